/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procnet.c: the network as files: /proc/net, /proc/sys/net, /sys/class/net (proc(5),
 * sysfs-class-net).
 */
#include "../vfs.h"
#include "if.h"

/* resolv.conf(5) is looked at before any socket is made: this long a lease may take. */
#define LEASE_NS 5000000000ull

struct text {
	char *buf;
	size_t size, length;
};

#define PRINT(t, ...)                                                   \
	((t)->length +=                                                 \
	 (size_t)uk_snprintf((t)->buf + uk_min((t)->length, (t)->size), \
			     (t)->size - uk_min((t)->length, (t)->size), __VA_ARGS__))

/* The interface of this index, with the stack started: who lists them may be the first user. */
static bool interface(uint32_t index, struct net_if *nif)
{
	return !net_stack_start() && net_if_get(index, nif);
}

/* ---- /proc/net ---- */

static size_t make_dev(char *buf, size_t size)
{
	struct text t = {buf, size, 0};
	struct net_if n;

	PRINT(&t, "Inter-|   Receive                                                |  Transmit\n"
		  " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		  "packets errs drop fifo colls carrier compressed\n");
	for (uint32_t i = 1; i < IF_INDEX_END; i++)
		if (interface(i, &n))
			PRINT(&t,
			      "%6s: %7lu %7lu %4u %4lu %4u %5u %10u %9u %8lu %7lu %4u %4lu %4u "
			      "%5u %7u %10u\n",
			      n.name, n.rx_bytes, n.rx_frames, 0, n.rx_dropped, 0, 0, 0, 0,
			      n.tx_bytes, n.tx_frames, 0, n.tx_dropped, 0, 0, 0, 0);
	return t.length;
}

/* Addresses as Linux prints them: the number that their four bytes are in memory. */
static void print_route(struct text *t, const char *name, uint32_t destination, uint32_t gateway,
			uint32_t flags, uint32_t mask)
{
	size_t i;

	PRINT(t, "%s\t", name);
	i = t->length;
	PRINT(t, "%08x\t%08x\t%04x\t0\t0\t0\t%08x\t0\t0\t0\n", destination, gateway, flags, mask);
	for (; i < t->length && i < t->size; i++)
		if (t->buf[i] >= 'a')
			t->buf[i] = (char)(t->buf[i] - 'a' + 'A');
}

static size_t make_route(char *buf, size_t size)
{
	enum { RTF_UP = 1, RTF_GATEWAY = 2 }; /* linux/route.h */
	struct text t = {buf, size, 0};
	struct net_if n;

	PRINT(&t, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\t"
		  "IRTT\n");
	for (uint32_t i = IF_LOOPBACK_INDEX + 1; i < IF_INDEX_END; i++) {
		if (!interface(i, &n) || !n.ip4 || !(n.flags & IFF_UP))
			continue;
		if (n.gateway4)
			print_route(&t, n.name, 0, n.gateway4, RTF_UP | RTF_GATEWAY, 0);
		print_route(&t, n.name, n.ip4 & n.mask4, 0, RTF_UP, n.mask4);
	}
	return t.length;
}

static size_t make_arp(char *buf, size_t size)
{
	struct text t = {buf, size, 0};
	struct net_neighbour to;
	struct net_if n;

	PRINT(&t,
	      "IP address       HW type     Flags       HW address            Mask     Device\n");
	for (uint32_t at = 0; !net_stack_start() && net_neighbour_next(&at, &to);) {
		const uint8_t *a = to.address.address, *m = to.mac;
		char address[16];

		if (to.address.family != 4 || !net_if_get(to.index, &n))
			continue;
		uk_snprintf(address, sizeof(address), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
		PRINT(&t,
		      "%-16s 0x1         0x2         %02x:%02x:%02x:%02x:%02x:%02x     *        "
		      "%s\n", /* Ethernet; ATF_COM of linux/if_arp.h: complete */
		      address, m[0], m[1], m[2], m[3], m[4], m[5], n.name);
	}
	return t.length;
}

static size_t make_if_inet6(char *buf, size_t size)
{
	struct text t = {buf, size, 0};
	struct net_if n;

	for (uint32_t i = 1; i < IF_INDEX_END; i++) {
		if (!interface(i, &n))
			continue;
		for (uint32_t j = 0; j < n.naddresses; j++) {
			const uint8_t *a = n.address[j].address;
			/* net/ipv6.h of Linux: IPV6_ADDR_LOOPBACK, IPV6_ADDR_LINKLOCAL */
			uint32_t scope = i == IF_LOOPBACK_INDEX                  ? 0x10
					 : a[0] == 0xfe && (a[1] & 0xc0) == 0x80 ? 0x20
										 : 0;

			if (n.address[j].family != 6)
				continue;
			for (uint32_t k = 0; k < 16; k++)
				PRINT(&t, "%02x", a[k]);
			PRINT(&t, " %02x %02x %02x %02x %8s\n", i, n.address[j].prefix, scope,
			      n.life[j].advertised ? 0 : 0x80, n.name); /* IFA_F_PERMANENT */
		}
	}
	return t.length;
}

/* ---- /proc/net/pnp: what /etc/resolv.conf is a link to ---- */

/* With DHCP the servers come with the lease, which may still be under way. */
static uint32_t name_servers(struct noxs_net_address *server, uint32_t max)
{
	uint64_t deadline = uk_monotonic_ns() + LEASE_NS;
	uint32_t n;

	uk_net_service();
	while (!(n = net_dns_servers(server, max)) && uk_monotonic_ns() < deadline) {
		bool asked = false;

		for (uint32_t i = 0; i < uk_net_ndevs; i++) {
			struct net_if nif;

			asked |= uk_net_dev[i].noxs->config.flags & NOXS_NET_DHCP &&
				 net_if_get(uk_net_dev[i].id + 2, &nif) && !nif.ip4;
		}
		if (!asked || uk_wait(NOXS_EV_NET_ALL, uk_min(deadline, uk_net_deadline())) < 0)
			break;
		uk_net_service();
	}
	return n;
}

static size_t make_pnp(char *buf, size_t size)
{
	struct noxs_net_address server[NOXS_NET_DNS];
	struct text t = {buf, size, 0};
	uint32_t n;

	if (!uk_net_ndevs || net_stack_start())
		return 0;
	n = name_servers(server, uk_countof(server));
	for (uint32_t i = 0; i < uk_net_ndevs && !t.length; i++) {
		const struct noxs_net_config *c = &uk_net_dev[i].noxs->config;

		if (c->domain[0])
			PRINT(&t, "search %.*s\n", (int)sizeof(c->domain), c->domain);
	}
	if (!t.length && net_dhcp_domain[0])
		PRINT(&t, "search %s\n", net_dhcp_domain);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *a = server[i].address;

		if (server[i].family == 4) {
			PRINT(&t, "nameserver %u.%u.%u.%u\n", a[0], a[1], a[2], a[3]);
			continue;
		}
		PRINT(&t, "nameserver ");
		for (uint32_t j = 0; j < 16; j += 2)
			PRINT(&t, "%s%x", j ? ":" : "", (uint32_t)a[j] << 8 | a[j + 1]);
		PRINT(&t, "\n");
	}
	return t.length;
}

void net_proc_fill(struct uk_node *dir)
{
	static const struct uk_text texts[] = {
		{"dev", make_dev},          {"route", make_route},      {"if_inet6", make_if_inet6},
		{"pnp", make_pnp},          {"tcp", net_proc_sockets},  {"tcp6", net_proc_sockets},
		{"udp", net_proc_sockets},  {"udp6", net_proc_sockets}, {"raw", net_proc_sockets},
		{"raw6", net_proc_sockets}, {"arp", make_arp},
	};

	dir->dir.fill = NULL;
	uk_text_add(dir, texts, uk_countof(texts));
}

/* ---- /proc/sys/net ---- */

static size_t make_somaxconn(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "4096\n");
}

static size_t make_socket_memory(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "212992\n");
}

static size_t make_socket_max(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "4194304\n"); /* sockopt.c */
}

static size_t make_port_range(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "32768\t60999\n"); /* inet.c */
}

static size_t make_zero(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size, "0\n");
}

void net_sysctl_fill(struct uk_node *dir)
{
	static const struct uk_text core[] = {
		{"somaxconn", make_somaxconn}, {"rmem_default", make_socket_memory},
		{"rmem_max", make_socket_max}, {"wmem_default", make_socket_memory},
		{"wmem_max", make_socket_max},
	};
	static const struct uk_text ipv4[] = {{"ip_local_port_range", make_port_range},
					      {"ip_forward", make_zero}};
	static const struct uk_text ipv6[] = {{"bindv6only", make_zero}};
	static const struct uk_text conf[] = {{"disable_ipv6", make_zero}};
	struct uk_node *sub;

	dir->dir.fill = NULL;
	uk_text_add(uk_make_dir(dir, "core", 0555, NULL), core, uk_countof(core));
	uk_text_add(uk_make_dir(dir, "ipv4", 0555, NULL), ipv4, uk_countof(ipv4));
	sub = uk_make_dir(dir, "ipv6", 0555, NULL);
	uk_text_add(sub, ipv6, uk_countof(ipv6));
	sub = sub ? uk_make_dir(sub, "conf", 0555, NULL) : NULL;
	if (sub)
		uk_text_add(uk_make_dir(sub, "all", 0555, NULL), conf, uk_countof(conf));
}

/* ---- /sys/class/net: the directory's name says whose, the file's name says what ---- */

static bool interface_of_text(struct net_if *nif, const struct uk_node *dir)
{
	return net_if_find(dir->name->text, nif);
}

static size_t print_mac(char *buf, size_t size, const uint8_t *m)
{
	return (size_t)uk_snprintf(buf, size, "%02x:%02x:%02x:%02x:%02x:%02x\n", m[0], m[1], m[2],
				   m[3], m[4], m[5]);
}

static size_t make_attribute(char *buf, size_t size)
{
	static const uint8_t zero[6], ones[6] = {255, 255, 255, 255, 255, 255};
	const char *what = uk_text_node->name->text;
	uint64_t value = 0;
	struct net_if n;
	bool lo, up;

	if (!interface_of_text(&n, uk_text_node->name->dir))
		return 0;
	lo = n.index == IF_LOOPBACK_INDEX;
	up = n.flags & IFF_RUNNING;
	if (!strcmp(what, "address"))
		return print_mac(buf, size, n.mac);
	if (!strcmp(what, "broadcast"))
		return print_mac(buf, size, lo ? zero : ones);
	if (!strcmp(what, "operstate"))
		return (size_t)uk_snprintf(buf, size, "%s\n", lo ? "unknown" : up ? "up" : "down");
	if (!strcmp(what, "flags"))
		return (size_t)uk_snprintf(buf, size, "0x%x\n",
					   n.flags & 0xffff & ~(uint32_t)IFF_RUNNING);
	if (!strcmp(what, "carrier"))
		value = up;
	else if (!strcmp(what, "mtu"))
		value = n.mtu;
	else if (!strcmp(what, "ifindex") || !strcmp(what, "iflink"))
		value = n.index;
	else if (!strcmp(what, "type"))
		value = lo ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
	else if (!strcmp(what, "tx_queue_len"))
		value = IF_QUEUE_LENGTH;
	else if (!strcmp(what, "addr_len"))
		value = sizeof(n.mac);
	return (size_t)uk_snprintf(buf, size, "%lu\n", value);
}

static size_t make_statistic(char *buf, size_t size)
{
	const char *what = uk_text_node->name->text;
	bool rx = what[0] == 'r';
	uint64_t value = 0;
	struct net_if n;

	if (!interface_of_text(&n, uk_text_node->name->dir->name->dir))
		return 0;
	if (!strcmp(what + 3, "packets"))
		value = rx ? n.rx_frames : n.tx_frames;
	else if (!strcmp(what + 3, "bytes"))
		value = rx ? n.rx_bytes : n.tx_bytes;
	else if (!strcmp(what + 3, "dropped"))
		value = rx ? n.rx_dropped : n.tx_dropped;
	return (size_t)uk_snprintf(buf, size, "%lu\n", value);
}

static void interface_fill(struct uk_node *dir)
{
	static const struct uk_text texts[] = {
		{"address", make_attribute},   {"addr_len", make_attribute},
		{"broadcast", make_attribute}, {"carrier", make_attribute},
		{"flags", make_attribute},     {"ifindex", make_attribute},
		{"iflink", make_attribute},    {"mtu", make_attribute},
		{"operstate", make_attribute}, {"tx_queue_len", make_attribute},
		{"type", make_attribute},
	};
	static const struct uk_text statistics[] = {
		{"rx_packets", make_statistic}, {"rx_bytes", make_statistic},
		{"rx_dropped", make_statistic}, {"rx_errors", make_statistic},
		{"tx_packets", make_statistic}, {"tx_bytes", make_statistic},
		{"tx_dropped", make_statistic}, {"tx_errors", make_statistic},
	};

	dir->dir.fill = NULL;
	uk_text_add(dir, texts, uk_countof(texts));
	uk_text_add(uk_make_dir(dir, "statistics", 0555, NULL), statistics, uk_countof(statistics));
}

/* Names can change with the device's configuration (a clone's), so every look is a new one. */
void net_class_fill(struct uk_node *dir)
{
	struct net_if n;

	dir->dir.fill = NULL; /* finding names would fill again */
	for (uint32_t i = 1; i < IF_INDEX_END; i++)
		if (interface(i, &n) && !uk_dir_find(dir, n.name, strlen(n.name)))
			uk_make_dir(dir, n.name, 0555, interface_fill);
	dir->dir.fill = net_class_fill;
}
