/* SPDX-License-Identifier: Apache-2.0 */
/* rtnl.h: what netlink.c takes of linux/netlink.h and linux/rtnetlink.h, which musl's compiler
 * does not find. */
#ifndef RTNL_H
#define RTNL_H

#include <stdint.h>

#define NETLINK_ROUTE   0
#define SOL_NETLINK     270
#define NETLINK_EXT_ACK 11

struct sockaddr_nl {
	unsigned short nl_family, nl_pad;
	uint32_t nl_pid, nl_groups;
};

struct nlmsghdr {
	uint32_t nlmsg_len;
	uint16_t nlmsg_type, nlmsg_flags;
	uint32_t nlmsg_seq, nlmsg_pid;
};

struct nlmsgerr {
	int error;
	struct nlmsghdr msg;
};

struct rtgenmsg {
	unsigned char rtgen_family;
};

struct ifinfomsg {
	unsigned char ifi_family, pad;
	unsigned short ifi_type;
	int ifi_index;
	unsigned ifi_flags, ifi_change;
};

struct ifaddrmsg {
	uint8_t ifa_family, ifa_prefixlen, ifa_flags, ifa_scope;
	uint32_t ifa_index;
};

struct rtattr {
	unsigned short rta_len, rta_type;
};

enum { NLM_F_REQUEST = 1, NLM_F_MULTI = 2, NLM_F_ACK = 4, NLM_F_DUMP = 0x300 };
enum { NLMSG_ERROR = 2, NLMSG_DONE = 3 };
enum {
	RTM_NEWLINK = 16,
	RTM_GETLINK = 18,
	RTM_SETLINK = 19,
	RTM_NEWADDR = 20,
	RTM_GETADDR = 22,
	RTM_GETROUTE = 26,
	RTM_GETNEIGH = 30,
	RTM_NONE = 1023, /* above all that there are */
};
enum { IFLA_ADDRESS = 1, IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_STATS64 = 23 };
enum { IFA_LOCAL = 2, IFA_LABEL = 3 };
enum { RT_SCOPE_HOST = 254 };

/* Lengths are multiples of 4. */
static inline uint32_t rtnl_align(uint32_t n)
{
	return (n + 3) & ~3u;
}

static inline void *rtnl_body(const struct nlmsghdr *h)
{
	return (char *)h + sizeof(*h);
}

/* The attribute's value behind a fixed part of head bytes; NULL: none. */
static inline void *rtnl_attribute(const struct nlmsghdr *h, size_t head, int type, size_t *bytes)
{
	uint32_t at = sizeof(*h) + rtnl_align((uint32_t)head);

	while (at + sizeof(struct rtattr) <= h->nlmsg_len) {
		struct rtattr *a = (void *)((char *)h + at);

		if (a->rta_len < sizeof(*a) || a->rta_len > h->nlmsg_len - at)
			return NULL;
		*bytes = a->rta_len - sizeof(*a);
		if (a->rta_type == type)
			return a + 1;
		at += rtnl_align(a->rta_len);
	}
	return NULL;
}

#endif
