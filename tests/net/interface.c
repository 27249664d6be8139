/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interface.c: prints all that a program can learn of its interfaces, and of sockets on them, as
 * text that is the same in a VM and in a process whose network is the same. "-": no such thing.
 *
 *   interface [until] ADDRESS...   of neighbours who run serve; until: first waits for one
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../guest/rtnl.h"
#include "stream.h"

/* linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h */
struct rtmsg {
	uint8_t family, dst_len, src_len, tos, table, protocol, scope, type;
	uint32_t flags;
};
struct ndmsg {
	uint8_t family, pad[3];
	int index;
	uint16_t state;
	uint8_t flags, type;
};
enum { NDA_DST = 1, NDA_LLADDR = 2, NEIGH_KNOWN = 0x1e /* reachable, stale, delay, probe */ };
enum { RTA_DST = 1, RTA_OIF = 4, RTA_GATEWAY = 5, RTA_PREFSRC = 7, RT_TABLE_MAIN = 254 };
enum { LINK_BROADCAST = 2, LINK_OPERSTATE = 16, LINK_CARRIER = 33 };
enum { ADDR_ADDRESS = 1, ADDR_BROADCAST = 4, ADDR_CACHEINFO = 6, ADDR_FLAGS = 8 };
enum { FLAG_PERMANENT = 0x80 };

/* What both sides are to agree on; Linux has more flags, and more of them by version. */
#define FLAGS                                                                                \
	(IFF_UP | IFF_BROADCAST | IFF_LOOPBACK | IFF_POINTOPOINT | IFF_RUNNING | IFF_NOARP | \
	 IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST)

static const char *ip(int family, const void *address)
{
	static char text[4][INET6_ADDRSTRLEN];
	static unsigned turn;
	char *to = text[turn++ % 4];

	return address ? inet_ntop(family, address, to, INET6_ADDRSTRLEN) : "-";
}

static const char *mac(const void *address, size_t bytes)
{
	static char text[32];
	const unsigned char *m = address;

	if (!address || bytes != 6)
		return "-";
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	return text;
}

/* An index is another in every namespace. */
static const char *name_of(unsigned index)
{
	static char name[IF_NAMESIZE];

	return if_indextoname(index, name) ? name : "-";
}

/* ---- libc ---- */

static const char *sockaddr(const struct sockaddr *a)
{
	static char text[3][80];
	static unsigned turn;
	char *to = text[turn++ % 3];

	if (!a)
		return "-";
	if (a->sa_family == AF_INET)
		return ip(AF_INET, &((const struct sockaddr_in *)a)->sin_addr);
	if (a->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a6 = (const void *)a;

		snprintf(to, sizeof(text[0]), "%s%%%s", ip(AF_INET6, &a6->sin6_addr),
			 a6->sin6_scope_id ? name_of(a6->sin6_scope_id) : "");
		return to;
	}
	if (a->sa_family == AF_PACKET) {
		const struct sockaddr_ll *l = (const void *)a;

		snprintf(to, sizeof(text[0]), "%s type %u of %s", mac(l->sll_addr, l->sll_halen),
			 l->sll_hatype, name_of((unsigned)l->sll_ifindex));
		return to;
	}
	return "?";
}

static void libc(void)
{
	struct if_nameindex *list = if_nameindex();
	struct ifaddrs *all;

	for (struct if_nameindex *i = list; i && i->if_index; i++)
		printf("if_nameindex: %s %s\n", i->if_name,
		       if_nametoindex(i->if_name) == i->if_index ? "found" : "lost");
	if_freenameindex(list);
	if (getifaddrs(&all))
		fail("getifaddrs");
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		bool both = i->ifa_addr && i->ifa_addr->sa_family != AF_PACKET;

		printf("getifaddrs: %s %x %s", i->ifa_name, i->ifa_flags & FLAGS,
		       sockaddr(i->ifa_addr));
		/* Linux' veth has no IPv6 broadcast, and libcs differ in what they make of that. */
		printf(" mask %s", both ? sockaddr(i->ifa_netmask) : "-");
		printf(" broadcast %s\n", i->ifa_flags & IFF_BROADCAST && i->ifa_addr &&
							  i->ifa_addr->sa_family == AF_INET
						  ? sockaddr(i->ifa_broadaddr)
						  : "-");
	}
	freeifaddrs(all);
}

/* ---- rtnetlink ---- */

static uint32_t number(const void *at, size_t bytes)
{
	uint32_t v = 0;

	if (at)
		memcpy(&v, at, bytes < sizeof(v) ? bytes : sizeof(v));
	return v;
}

static void show_link(const struct nlmsghdr *h)
{
	const struct ifinfomsg *i = rtnl_body(h);
	size_t n = 0, m = 0;
	const char *name = rtnl_attribute(h, sizeof(*i), IFLA_IFNAME, &n);
	const void *broadcast;

	printf("link: %s type %u flags %x", name ? name : "-", i->ifi_type, i->ifi_flags & FLAGS);
	printf(" mtu %u", number(rtnl_attribute(h, sizeof(*i), IFLA_MTU, &n), 4));
	printf(" operstate %u", number(rtnl_attribute(h, sizeof(*i), LINK_OPERSTATE, &n), 1));
	printf(" carrier %u", number(rtnl_attribute(h, sizeof(*i), LINK_CARRIER, &n), 1));
	printf(" %s", mac(rtnl_attribute(h, sizeof(*i), IFLA_ADDRESS, &m), 6));
	broadcast = rtnl_attribute(h, sizeof(*i), LINK_BROADCAST, &m);
	printf(" broadcast %s\n", mac(broadcast, 6));
}

static void show_address(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *i = rtnl_body(h);
	size_t n = 0;
	const uint32_t *life = rtnl_attribute(h, sizeof(*i), ADDR_CACHEINFO, &n);
	const char *label = rtnl_attribute(h, sizeof(*i), IFA_LABEL, &n);
	const void *local = rtnl_attribute(h, sizeof(*i), IFA_LOCAL, &n);
	const void *address = rtnl_attribute(h, sizeof(*i), ADDR_ADDRESS, &n);
	const void *broadcast = rtnl_attribute(h, sizeof(*i), ADDR_BROADCAST, &n);
	const void *flags = rtnl_attribute(h, sizeof(*i), ADDR_FLAGS, &n);

	printf("address: %s %s/%u", name_of(i->ifa_index), ip(i->ifa_family, address),
	       i->ifa_prefixlen);
	printf(" local %s broadcast %s label %s scope %u", ip(i->ifa_family, local),
	       ip(i->ifa_family, broadcast), label ? label : "-", i->ifa_scope);
	printf(" permanent %d %d forever %d\n", !!(i->ifa_flags & FLAG_PERMANENT),
	       !!(number(flags, 4) & FLAG_PERMANENT), life && life[0] + 1 == 0 && life[1] + 1 == 0);
}

static void show_route(const struct nlmsghdr *h)
{
	const struct rtmsg *r = rtnl_body(h);
	size_t n = 0;
	const void *to = rtnl_attribute(h, sizeof(*r), RTA_DST, &n);
	const void *gateway = rtnl_attribute(h, sizeof(*r), RTA_GATEWAY, &n);
	const void *from = rtnl_attribute(h, sizeof(*r), RTA_PREFSRC, &n);
	unsigned through = number(rtnl_attribute(h, sizeof(*r), RTA_OIF, &n), 4);

	/* Others are to oneself, or to groups; lo's are how Linux has it. */
	if (r->table != RT_TABLE_MAIN || !strcmp(name_of(through), "lo"))
		return;
	printf("route: %s/%u by %s through %s from %s type %u scope %u\n", ip(r->family, to),
	       r->dst_len, ip(r->family, gateway), name_of(through), ip(r->family, from), r->type,
	       r->scope);
}

static void show_neighbour(const struct nlmsghdr *h)
{
	const struct ndmsg *m = rtnl_body(h);
	size_t n = 0, bytes = 0;
	const void *address = rtnl_attribute(h, sizeof(*m), NDA_DST, &n);
	const void *at = rtnl_attribute(h, sizeof(*m), NDA_LLADDR, &bytes);

	/* Without groups and what was not found. */
	if (m->state & NEIGH_KNOWN)
		printf("neighbour: %s %s at %s\n", ip(m->family, address),
		       name_of((unsigned)m->index), mac(at, bytes));
}

static void dump(int type, int family, void (*show)(const struct nlmsghdr *))
{
	static _Alignas(8) char buf[65536];
	struct {
		struct nlmsghdr h;
		union {
			struct rtgenmsg gen;
			struct ifinfomsg link;
			struct rtmsg route;
			struct ndmsg neighbour;
		};
	} r = {.h = {.nlmsg_len = sizeof(r),
		     .nlmsg_type = (uint16_t)type,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	       .gen = {(unsigned char)family}};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &r, sizeof(r), 0) != sizeof(r))
		fail("netlink");
	for (bool more = true; more;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n <= 0)
			fail("netlink");
		for (ssize_t at = 0; at < n && more;) {
			const struct nlmsghdr *h = (const void *)(buf + at);

			at += rtnl_align(h->nlmsg_len);
			more = h->nlmsg_type != NLMSG_DONE;
			if (h->nlmsg_type == NLMSG_ERROR)
				printf("dump %d: error\n", type);
			else if (more)
				show(h);
		}
	}
	close(fd);
}

/* ---- ioctls ---- */

static const char *error(void)
{
	return strerror(errno);
}

static void ioctls(const char *name)
{
	static const struct {
		unsigned long cmd;
		const char *name;
	} cmds[] = {
		{SIOCGIFADDR, "address"},
		{SIOCGIFNETMASK, "mask"},
		{SIOCGIFBRDADDR, "broadcast"},
		{SIOCGIFDSTADDR, "destination"},
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {0};

	if (fd < 0)
		fail("socket");
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++) {
		int ret = ioctl(fd, cmds[i].cmd, &r);

		printf("ioctl: %s %s %s\n", name, cmds[i].name,
		       ret ? error() : sockaddr(&r.ifr_addr));
	}
	if (!ioctl(fd, SIOCGIFFLAGS, &r))
		printf("ioctl: %s flags %x\n", name, (unsigned)r.ifr_flags & FLAGS);
	if (!ioctl(fd, SIOCGIFHWADDR, &r))
		printf("ioctl: %s hardware %u %s\n", name, r.ifr_hwaddr.sa_family,
		       mac(r.ifr_hwaddr.sa_data, 6));
	if (!ioctl(fd, SIOCGIFMTU, &r))
		printf("ioctl: %s mtu %d\n", name, r.ifr_mtu);
	if (!ioctl(fd, SIOCGIFMETRIC, &r))
		printf("ioctl: %s metric %d\n", name, r.ifr_metric);
	if (!ioctl(fd, SIOCGIFINDEX, &r))
		printf("ioctl: %s index %s\n", name, name_of((unsigned)r.ifr_ifindex));
	if (!ioctl(fd, SIOCGIFNAME, &r))
		printf("ioctl: %s name %s\n", name, r.ifr_name);
	close(fd);
}

static void conf(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq all[8], r = {.ifr_name = "eth7"};
	struct ifconf c = {.ifc_len = sizeof(all), .ifc_req = all};

	if (ioctl(fd, SIOCGIFCONF, &c))
		fail("SIOCGIFCONF");
	for (int i = 0; i < c.ifc_len / (int)sizeof(all[0]); i++)
		printf("ifconf: %s %s\n", all[i].ifr_name, sockaddr(&all[i].ifr_addr));
	printf("ioctl: eth7 %s\n", ioctl(fd, SIOCGIFFLAGS, &r) ? error() : "there");
	close(fd);
}

/* ---- files ---- */

static bool slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, have = 0;

	while (fd >= 0 && (n = read(fd, text + have, size - 1 - (size_t)have)) > 0)
		have += n;
	text[have] = 0;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void attributes(void)
{
	static const char *const names[] = {"address", "addr_len", "broadcast", "carrier",
					    "flags",   "mtu",      "operstate", "type"};
	static const char *const interfaces[] = {"lo", "eth0"};
	char path[80], text[256];

	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			snprintf(path, sizeof(path), "/sys/class/net/%s/%s", interfaces[i],
				 names[k]);
			printf("%s: %s", path, slurp(path, text, sizeof(text)) ? text : "-\n");
		}
}

static void proc(void)
{
	static char text[8192];
	char *rest = text, *line;
	char address[33], device[17];
	unsigned index, prefix, scope, flags;

	if (slurp("/proc/net/route", text, sizeof(text)))
		while ((line = strsep(&rest, "\n")))
			if (*line)
				printf("/proc/net/route: %.*s\n", (int)strcspn(line, " "),
				       line); /* Linux pads it */
	rest = text;
	if (slurp("/proc/net/if_inet6", text, sizeof(text)))
		while ((line = strsep(&rest, "\n")))
			if (sscanf(line, "%32s %x %x %x %x %16s", address, &index, &prefix, &scope,
				   &flags, device) == 6)
				printf("/proc/net/if_inet6: %s %s %x %x %x %s\n", address,
				       name_of(index), prefix, scope, flags & FLAG_PERMANENT,
				       device);
	rest = text;
	if (slurp("/proc/net/dev", text, sizeof(text)))
		while ((line = strsep(&rest, "\n")))
			if (strchr(line, ':') || strchr(line, '|'))
				printf("/proc/net/dev: %.*s\n", (int)strcspn(line, ":"), line);
	rest = text;
	if (slurp("/proc/net/arp", text, sizeof(text)))
		while ((line = strsep(&rest, "\n")))
			if (*line)
				printf("/proc/net/arp: %s\n", line);
}

/* ---- sockets ---- */

static struct sockaddr_storage neighbour;
static socklen_t neighbour_bytes;

static void bound(const char *address, const char *scope)
{
	struct sockaddr_storage s = {0};
	struct sockaddr_in *v4 = (void *)&s;
	struct sockaddr_in6 *v6 = (void *)&s;
	bool is6 = strchr(address, ':');
	int fd, ret;

	s.ss_family = is6 ? AF_INET6 : AF_INET;
	inet_pton(s.ss_family, address, is6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr);
	if (scope && *scope)
		v6->sin6_scope_id = if_nametoindex(scope);
	fd = socket(s.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ret = bind(fd, (void *)&s, is6 ? sizeof(*v6) : sizeof(*v4));
	printf("bind: %s%%%s %s\n", address, scope ? scope : "", ret ? error() : "done");
	close(fd);
}

static void binds(void)
{
	struct ifaddrs *all;

	if (getifaddrs(&all))
		fail("getifaddrs");
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		const struct sockaddr_in6 *a = (void *)i->ifa_addr;

		if (!a || (a->sin6_family != AF_INET6 && i->ifa_addr->sa_family != AF_INET))
			continue;
		bound(ip(i->ifa_addr->sa_family,
			 i->ifa_addr->sa_family == AF_INET
				 ? (const void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr
				 : (const void *)&a->sin6_addr),
		      "");
		if (a->sin6_family == AF_INET6 && a->sin6_scope_id)
			bound(ip(AF_INET6, &a->sin6_addr), i->ifa_name);
	}
	freeifaddrs(all);
	bound("10.9.0.250", "");
	bound("fd09::fa", "");
	bound("10.9.0.255", "");
	bound("224.0.0.1", "");
	bound("ff02::1", "eth0");
}

/* The address and interface that a connection has, and what a datagram says of where it came. */
static void connections(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	struct sockaddr_storage self = {0};
	socklen_t bytes = sizeof(self);

	for (int i = 0; i < 2; i++) {
		int fd = socket(neighbour.ss_family, types[i] | SOCK_CLOEXEC, 0);

		if (connect(fd, (void *)&neighbour, neighbour_bytes))
			fail("connect");
		if (getsockname(fd, (void *)&self, &bytes))
			fail("getsockname");
		printf("%s: to %s from %s\n", i ? "UDP" : "TCP", sockaddr((void *)&neighbour),
		       sockaddr((void *)&self));
		close(fd);
	}
}

static void datagram(void)
{
	bool is6 = neighbour.ss_family == AF_INET6;
	int fd = socket(neighbour.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	char data[16] = "hello", control[256];
	struct iovec iov = {data, sizeof(data)};
	struct sockaddr_storage from;
	struct msghdr m = {.msg_name = &from,
			   .msg_namelen = sizeof(from),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};

	setsockopt(fd, is6 ? IPPROTO_IPV6 : IPPROTO_IP, is6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on,
		   sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5))
		printf("SO_BINDTODEVICE: %s\n", error());
	if (sendto(fd, data, 5, 0, (void *)&neighbour, neighbour_bytes) != 5)
		fail("sendto");
	if (recvmsg(fd, &m, 0) != 5)
		fail("recvmsg");
	printf("datagram: from %s", sockaddr((void *)&from));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		const struct in_pktinfo *p4 = (void *)CMSG_DATA(c);
		const struct in6_pktinfo *p6 = (void *)CMSG_DATA(c);

		if (is6)
			printf(" to %s at %s", ip(AF_INET6, &p6->ipi6_addr),
			       name_of(p6->ipi6_ifindex));
		else
			printf(" to %s (%s) at %s", ip(AF_INET, &p4->ipi_addr),
			       ip(AF_INET, &p4->ipi_spec_dst), name_of((unsigned)p4->ipi_ifindex));
	}
	putchar('\n');
	close(fd);
}

static void set_neighbour(const char *address)
{
	struct sockaddr_in *v4 = (void *)&neighbour;
	struct sockaddr_in6 *v6 = (void *)&neighbour;
	char text[80], *zone;

	snprintf(text, sizeof(text), "%s", address);
	zone = strchr(text, '%');
	if (zone)
		*zone++ = 0;
	neighbour = (struct sockaddr_storage){0};
	v4->sin_port = htons(PORT_ECHO); /* sin6_port, too */
	neighbour.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	neighbour_bytes = neighbour.ss_family == AF_INET6 ? sizeof(*v6) : sizeof(*v4);
	inet_pton(neighbour.ss_family, text,
		  neighbour.ss_family == AF_INET6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr);
	if (zone)
		v6->sin6_scope_id = if_nametoindex(zone);
}

/* Until there is a way to it. */
static void wait_for_it(void)
{
	for (int tries = 0; tries < 500; tries++) {
		int fd = socket(neighbour.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int ret = connect(fd, (void *)&neighbour, neighbour_bytes);

		close(fd);
		if (!ret)
			return;
		usleep(20000);
	}
	fail("connect");
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "until")) {
		set_neighbour(argv[2]);
		wait_for_it();
		argc--;
		argv++;
	}
	libc();
	dump(RTM_GETLINK, AF_UNSPEC, show_link);
	dump(RTM_GETADDR, AF_INET, show_address);
	dump(RTM_GETADDR, AF_INET6, show_address);
	dump(RTM_GETROUTE, AF_INET, show_route);
	dump(RTM_GETROUTE, AF_INET6, show_route);
	conf();
	ioctls("lo");
	ioctls("eth0");
	attributes();
	binds();
	for (int i = 1; i < argc; i++) {
		set_neighbour(argv[i]);
		connections();
		datagram();
	}
	/* Now that they are known. */
	dump(RTM_GETNEIGH, AF_INET, show_neighbour);
	dump(RTM_GETNEIGH, AF_INET6, show_neighbour);
	proc();
	return 0;
}
