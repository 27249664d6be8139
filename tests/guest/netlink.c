/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.c: NETLINK_ROUTE by hand: lists of links and addresses, one link, errors, ACKs. */
#define _GNU_SOURCE
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "rtnl.h"

struct request {
	struct nlmsghdr h;
	union {
		struct rtgenmsg gen;
		struct ifinfomsg link;
	};
};

static int fd;
static _Alignas(4) char buf[65536];
static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

static void ask(struct request *r, int type, int flags, unsigned seq)
{
	r->h = (struct nlmsghdr){.nlmsg_len = sizeof(r->h) + sizeof(r->link),
				 .nlmsg_type = (unsigned short)type,
				 .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags),
				 .nlmsg_seq = seq};
	CHECK(sendto(fd, r, r->h.nlmsg_len, 0, (void *)&kernel, sizeof(kernel)) ==
	      (ssize_t)r->h.nlmsg_len);
}

static size_t receive(void)
{
	struct sockaddr_nl from = {0};
	socklen_t n = sizeof(from);
	ssize_t got = recvfrom(fd, buf, sizeof(buf), 0, (void *)&from, &n);

	CHECK(got >= (ssize_t)sizeof(struct nlmsghdr));
	CHECK(n == sizeof(from) && from.nl_family == AF_NETLINK && from.nl_pid == 0);
	return (size_t)got;
}

/* The error of the one NLMSG_ERROR that comes; it brings back the request's header. */
static int error_of(const struct request *r)
{
	const struct nlmsghdr *h = (void *)buf;
	const struct nlmsgerr *e = rtnl_body(h);

	CHECK(receive() >= sizeof(*h) + sizeof(*e));
	CHECK(h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq == r->h.nlmsg_seq);
	CHECK(e->msg.nlmsg_type == r->h.nlmsg_type && e->msg.nlmsg_len == r->h.nlmsg_len);
	return e->error;
}

static void check_lo(const struct nlmsghdr *h)
{
	const struct ifinfomsg *i = rtnl_body(h);
	const unsigned *mtu;
	const char *name;
	size_t n;

	CHECK(h->nlmsg_type == RTM_NEWLINK && i->ifi_index == 1 && i->ifi_type == 772);
	CHECK(i->ifi_flags & IFF_UP && i->ifi_flags & IFF_LOOPBACK);
	name = rtnl_attribute(h, sizeof(*i), IFLA_IFNAME, &n);
	CHECK(name && n == 3 && !strcmp(name, "lo"));
	mtu = rtnl_attribute(h, sizeof(*i), IFLA_MTU, &n);
	CHECK(mtu && n == 4 && *mtu >= 16384);
	CHECK(rtnl_attribute(h, sizeof(*i), IFLA_ADDRESS, &n) && n == 6);
	CHECK(rtnl_attribute(h, sizeof(*i), IFLA_STATS64, &n) && n >= 184);
}

static void check_address(const struct nlmsghdr *h, int *found)
{
	const struct ifaddrmsg *i = rtnl_body(h);
	const unsigned char *a;
	size_t n;

	CHECK(h->nlmsg_type == RTM_NEWADDR && i->ifa_family == AF_INET);
	a = rtnl_attribute(h, sizeof(*i), IFA_LOCAL, &n);
	CHECK(a && n == 4);
	if (i->ifa_index != 1 || a[0] != 127 || a[3] != 1)
		return;
	(*found)++;
	CHECK(i->ifa_prefixlen == 8 && i->ifa_scope == RT_SCOPE_HOST);
	CHECK(!strcmp(rtnl_attribute(h, sizeof(*i), IFA_LABEL, &n), "lo"));
}

/* Reads the answers to a dump up to NLMSG_DONE; how many there were of lo. */
static int dump(int type, int family)
{
	struct request r = {.gen = {.rtgen_family = (unsigned char)family}};
	static unsigned seq = 100;
	int found = 0;

	ask(&r, type, NLM_F_DUMP, ++seq);
	for (;;) {
		size_t n = receive();

		for (size_t at = 0; at < n;) {
			const struct nlmsghdr *h = (void *)(buf + at);

			CHECK(h->nlmsg_len >= sizeof(*h) && h->nlmsg_len <= n - at);
			at += rtnl_align(h->nlmsg_len);
			CHECK(h->nlmsg_seq == seq && h->nlmsg_flags & NLM_F_MULTI);
			if (h->nlmsg_type == NLMSG_DONE)
				return found;
			if (type == RTM_GETADDR)
				check_address(h, &found);
			if (type == RTM_GETLINK &&
			    ((struct ifinfomsg *)rtnl_body(h))->ifi_index == 1) {
				check_lo(h);
				found++;
			}
		}
	}
}

int main(void)
{
	struct sockaddr_nl at = {.nl_family = AF_NETLINK}, got;
	struct pollfd p = {.events = POLLIN | POLLOUT};
	struct request r = {.link = {.ifi_index = 1}};
	socklen_t n = sizeof(got);
	ssize_t whole;
	int one = 1, second;

	CHECK_ERR(socket(AF_NETLINK, SOCK_RAW, 31), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE), ESOCKTNOSUPPORT);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	CHECK(fd >= 0);
	CHECK_ERR(bind(fd, (void *)&at, sizeof(at) - 1), EINVAL);
	CHECK(bind(fd, (void *)&at, sizeof(at)) == 0);
	CHECK(getsockname(fd, (void *)&got, &n) == 0 && n == sizeof(got));
	CHECK(got.nl_family == AF_NETLINK && got.nl_pid != 0);
	second = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);
	CHECK(second >= 0);
	CHECK_ERR(bind(second, (void *)&got, sizeof(got)), EADDRINUSE);
	CHECK(close(second) == 0);
	CHECK(setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)) == 0);
	CHECK_ERR(setsockopt(fd, SOL_NETLINK, 99, &one, sizeof(one)), ENOPROTOOPT);

	p.fd = fd;
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	CHECK_ERR(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
	CHECK(dump(RTM_GETLINK, AF_UNSPEC) == 1);
	CHECK(dump(RTM_GETADDR, AF_INET) == 1);
	dump(RTM_GETROUTE, AF_INET);
	dump(RTM_GETNEIGH, AF_UNSPEC);

	/* one link: how long it is can be asked for */
	ask(&r, RTM_GETLINK, 0, 7);
	CHECK(poll(&p, 1, 1000) == 1 && p.revents & POLLIN);
	whole = recv(fd, buf, 20, MSG_PEEK | MSG_TRUNC);
	CHECK(whole > 100 && recv(fd, buf, sizeof(buf), 0) == whole);
	check_lo((void *)buf);
	ask(&r, RTM_GETLINK, NLM_F_ACK, 8);
	CHECK(receive() == (size_t)whole && error_of(&r) == 0);

	/* what cannot be done */
	r.link.ifi_index = 12345;
	ask(&r, RTM_GETLINK, 0, 9);
	CHECK(error_of(&r) == -ENODEV);
	r.link.ifi_index = 0;
	ask(&r, RTM_GETLINK, 0, 10);
	CHECK(error_of(&r) == -EINVAL);
	ask(&r, RTM_NONE, 0, 11);
	CHECK(error_of(&r) == -EOPNOTSUPP);
	if (!geteuid()) {
		r.link = (struct ifinfomsg){.ifi_index = 1};
		ask(&r, RTM_SETLINK, NLM_F_ACK, 12); /* nothing of it is to change */
		CHECK(error_of(&r) == 0);
		r.link.ifi_index = 12345;
		ask(&r, RTM_SETLINK, NLM_F_ACK, 13);
		CHECK(error_of(&r) == -ENODEV);
	}
	CHECK_ERR(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
	return success();
}
