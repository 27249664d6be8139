/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink.c: the requests of NETLINK_ROUTE (rtnetlink(7)): lists of interfaces, addresses,
 * routes and neighbours, and the few changes that there can be: an interface up or down, its IPv4
 * address, its gateway. All else is -EOPNOTSUPP.
 */
#include <linux/rtnetlink.h>

#include "if.h"
#include "netlink.h"

#define AF_BRIDGE 7

/* operstates of linux/if.h, RFC 2863 */
enum { OPER_UNKNOWN = 0, OPER_DOWN = 2, OPER_UP = 6 };

/* The attribute of this type behind a fixed part of head bytes; NULL: none that is long enough. */
static const void *attribute(const struct nlmsghdr *h, uint32_t head, uint16_t type, uint32_t bytes)
{
	uint32_t at = NLMSG_HDRLEN + NLMSG_ALIGN(head);

	while (at + NLA_HDRLEN <= h->nlmsg_len) {
		const struct nlattr *a = (const void *)((const uint8_t *)h + at);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > h->nlmsg_len - at)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type && a->nla_len - NLA_HDRLEN >= (int)bytes)
			return (const uint8_t *)a + NLA_HDRLEN;
		at += NLA_ALIGN(a->nla_len);
	}
	return NULL;
}

static uint32_t attribute_u32(const struct nlmsghdr *h, uint32_t head, uint16_t type)
{
	const void *p = attribute(h, head, type, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

/* The interface that a struct ifinfomsg names by index or by its name. */
static bool link_of(const struct nlmsghdr *h, const struct ifinfomsg *in, struct net_if *nif)
{
	const char *text = attribute(h, sizeof(*in), IFLA_IFNAME, 1);
	char name[sizeof(nif->name)];
	uint32_t n = 0;

	if (in->ifi_index)
		return net_if_get((uint32_t)in->ifi_index, nif);
	if (!text)
		return false;
	while (n < sizeof(name) - 1 && text + n < (const char *)h + h->nlmsg_len && text[n]) {
		name[n] = text[n];
		n++;
	}
	name[n] = '\0';
	return net_if_find(name, nif);
}

/* ---- interfaces ---- */

static void put_stats(struct nl_answer *a, const struct net_if *nif)
{
	struct rtnl_link_stats64 s64 = {
		.rx_packets = nif->rx_frames,
		.tx_packets = nif->tx_frames,
		.rx_bytes = nif->rx_bytes,
		.tx_bytes = nif->tx_bytes,
		.rx_dropped = nif->rx_dropped,
		.tx_dropped = nif->tx_dropped,
	};
	struct rtnl_link_stats s32 = {
		.rx_packets = (uint32_t)nif->rx_frames,
		.tx_packets = (uint32_t)nif->tx_frames,
		.rx_bytes = (uint32_t)nif->rx_bytes,
		.tx_bytes = (uint32_t)nif->tx_bytes,
		.rx_dropped = (uint32_t)nif->rx_dropped,
		.tx_dropped = (uint32_t)nif->tx_dropped,
	};

	nl_attribute(a, IFLA_STATS64, &s64, sizeof(s64));
	nl_attribute(a, IFLA_STATS, &s32, sizeof(s32));
}

static void put_link(struct nl_answer *a, const struct net_if *nif, uint16_t flags)
{
	bool lo = nif->index == IF_LOOPBACK_INDEX, up = nif->flags & IFF_RUNNING;
	uint8_t broadcast[6], carrier = up, link_mode = 0;
	uint8_t state = lo ? OPER_UNKNOWN : up ? OPER_UP : OPER_DOWN;
	static const char queueing[] = "noqueue";
	struct ifinfomsg i = {
		.ifi_type = lo ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
		.ifi_index = (int)nif->index,
		.ifi_flags = nif->flags | (up ? IFF_LOWER_UP : 0),
	};

	memset(broadcast, lo ? 0 : 0xff, sizeof(broadcast));
	nl_begin(a, RTM_NEWLINK, flags, &i, sizeof(i));
	nl_attribute(a, IFLA_IFNAME, nif->name, (uint32_t)strlen(nif->name) + 1);
	nl_u32(a, IFLA_TXQLEN, IF_QUEUE_LENGTH);
	nl_attribute(a, IFLA_OPERSTATE, &state, 1);
	nl_attribute(a, IFLA_LINKMODE, &link_mode, 1);
	nl_u32(a, IFLA_MTU, nif->mtu);
	nl_u32(a, IFLA_GROUP, 0);
	nl_u32(a, IFLA_PROMISCUITY, 0);
	nl_u32(a, IFLA_NUM_TX_QUEUES, 1);
	nl_u32(a, IFLA_NUM_RX_QUEUES, 1);
	nl_attribute(a, IFLA_CARRIER, &carrier, 1);
	nl_attribute(a, IFLA_QDISC, queueing, sizeof(queueing));
	nl_attribute(a, IFLA_ADDRESS, nif->mac, sizeof(nif->mac));
	nl_attribute(a, IFLA_BROADCAST, broadcast, sizeof(broadcast));
	put_stats(a, nif);
}

static long get_link(const struct nlmsghdr *h, struct nl_answer *a)
{
	const struct ifinfomsg *in = NLMSG_DATA(h);
	struct net_if nif;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*in)))
		return -EINVAL;
	if (!in->ifi_index && !attribute(h, sizeof(*in), IFLA_IFNAME, 1))
		return -EINVAL;
	if (!link_of(h, in, &nif))
		return -ENODEV;
	put_link(a, &nif, 0);
	return 0;
}

static long set_link(const struct nlmsghdr *h)
{
	const struct ifinfomsg *in = NLMSG_DATA(h);
	uint32_t flags, mtu;
	struct net_if nif;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*in)))
		return -EINVAL;
	if (!link_of(h, in, &nif))
		return h->nlmsg_flags & NLM_F_CREATE ? -EOPNOTSUPP : -ENODEV;
	if (h->nlmsg_flags & NLM_F_EXCL)
		return -EEXIST;
	mtu = attribute_u32(h, sizeof(*in), IFLA_MTU);
	if ((mtu && mtu != nif.mtu) || attribute(h, sizeof(*in), IFLA_ADDRESS, 1))
		return -EOPNOTSUPP;
	flags = in->ifi_flags;
	if (in->ifi_change)
		flags = (flags & in->ifi_change) | (nif.flags & ~in->ifi_change);
	if ((!in->ifi_flags && !in->ifi_change) || flags == nif.flags)
		return 0;
	return net_if_set_flags(nif.index, flags);
}

/* ---- addresses ---- */

static uint8_t scope_of(const struct net_if *nif, const struct noxs_net_address *at)
{
	if (nif->index == IF_LOOPBACK_INDEX)
		return RT_SCOPE_HOST;
	/* RFC 4291, 2.5.6, and RFC 3927 */
	if (at->family == 6 ? at->address[0] == 0xfe && (at->address[1] & 0xc0) == 0x80
			    : at->address[0] == 169 && at->address[1] == 254)
		return RT_SCOPE_LINK;
	return RT_SCOPE_UNIVERSE;
}

static void put_address(struct nl_answer *a, const struct net_if *nif, uint32_t n)
{
	const struct noxs_net_address *at = &nif->address[n];
	const struct net_if_life *life = &nif->life[n];
	bool v4 = at->family == 4;
	uint8_t flags = (uint8_t)((life->advertised ? 0 : IFA_F_PERMANENT) |
				  (life->preferred_s ? 0 : IFA_F_DEPRECATED));
	struct ifa_cacheinfo cache = {
		.ifa_prefered = life->preferred_s,
		.ifa_valid = life->valid_s,
	};
	struct ifaddrmsg i = {
		.ifa_family = v4 ? AF_INET : AF_INET6,
		.ifa_prefixlen = at->prefix,
		.ifa_flags = flags,
		.ifa_scope = scope_of(nif, at),
		.ifa_index = nif->index,
	};

	nl_begin(a, RTM_NEWADDR, NLM_F_MULTI, &i, sizeof(i));
	nl_attribute(a, IFA_ADDRESS, at->address, v4 ? 4 : 16);
	if (v4) {
		nl_attribute(a, IFA_LOCAL, at->address, 4);
		if (nif->broadcast4 && nif->index != IF_LOOPBACK_INDEX)
			nl_u32(a, IFA_BROADCAST, nif->broadcast4);
		nl_attribute(a, IFA_LABEL, nif->name, (uint32_t)strlen(nif->name) + 1);
	}
	nl_u32(a, IFA_FLAGS, flags);
	nl_attribute(a, IFA_CACHEINFO, &cache, sizeof(cache));
}

static long set_address(const struct nlmsghdr *h, bool add)
{
	const struct ifaddrmsg *in = NLMSG_DATA(h);
	uint32_t address;
	struct net_if nif;
	long r;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*in)))
		return -EINVAL;
	if (in->ifa_family != AF_INET)
		return -EOPNOTSUPP;
	address = attribute_u32(h, sizeof(*in), IFA_LOCAL);
	if (!address)
		address = attribute_u32(h, sizeof(*in), IFA_ADDRESS);
	if (!address || in->ifa_prefixlen > 32)
		return -EINVAL;
	if (!net_if_get(in->ifa_index, &nif))
		return -ENODEV;
	if (!add)
		r = nif.ip4 == address ? net_if_set_ip4(nif.index, 0, 0, 0) : -EADDRNOTAVAIL;
	else if (nif.ip4 == address && !(h->nlmsg_flags & NLM_F_REPLACE))
		r = -EEXIST;
	else if (nif.ip4 && nif.ip4 != address)
		r = -EOPNOTSUPP; /* an interface has one */
	else
		r = net_if_set_ip4(nif.index, address, if_mask4(in->ifa_prefixlen), nif.gateway4);
	if (!r)
		net_packet_addresses_changed();
	return r;
}

/* ---- routes ---- */

static void put_route(struct nl_answer *a, const struct net_if *nif, struct rtmsg r,
		      const void *destination, const void *source, const void *gateway)
{
	uint32_t bytes = r.rtm_family == AF_INET ? 4 : 16;

	r.rtm_table = RT_TABLE_MAIN;
	r.rtm_type = RTN_UNICAST;
	nl_begin(a, RTM_NEWROUTE, NLM_F_MULTI, &r, sizeof(r));
	nl_u32(a, RTA_TABLE, RT_TABLE_MAIN);
	if (r.rtm_dst_len)
		nl_attribute(a, RTA_DST, destination, bytes);
	if (source)
		nl_attribute(a, RTA_PREFSRC, source, bytes);
	if (gateway)
		nl_attribute(a, RTA_GATEWAY, gateway, bytes);
	nl_u32(a, RTA_OIF, nif->index);
}

static void put_routes4(struct nl_answer *a, const struct net_if *nif)
{
	uint32_t network = nif->ip4 & nif->mask4;

	if (nif->gateway4)
		put_route(a, nif,
			  (struct rtmsg){.rtm_family = AF_INET,
					 .rtm_protocol = RTPROT_BOOT,
					 .rtm_scope = RT_SCOPE_UNIVERSE},
			  NULL, NULL, &nif->gateway4);
	put_route(a, nif,
		  (struct rtmsg){.rtm_family = AF_INET,
				 .rtm_dst_len = if_prefix4(nif->mask4),
				 .rtm_protocol = RTPROT_KERNEL,
				 .rtm_scope = RT_SCOPE_LINK},
		  &network, &nif->ip4, NULL);
}

static void put_routes6(struct nl_answer *a, const struct net_if *nif)
{
	for (uint32_t i = 0; i < nif->naddresses; i++) {
		struct noxs_net_address at = nif->address[i];

		if (at.family != 6 || at.prefix > 128)
			continue;
		for (uint32_t bit = at.prefix; bit < 128; bit++)
			at.address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
		put_route(a, nif,
			  (struct rtmsg){.rtm_family = AF_INET6,
					 .rtm_dst_len = at.prefix,
					 .rtm_protocol = RTPROT_KERNEL},
			  at.address, NULL, NULL);
	}
	if (nif->gateway6.family)
		put_route(a, nif,
			  (struct rtmsg){.rtm_family = AF_INET6,
					 .rtm_protocol = nif->advertised ? RTPROT_RA : RTPROT_BOOT},
			  NULL, NULL, nif->gateway6.address);
}

static long set_route(const struct nlmsghdr *h, bool add)
{
	const struct rtmsg *in = NLMSG_DATA(h);
	uint32_t gateway, index;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*in)))
		return -EINVAL;
	if (in->rtm_family != AF_INET || in->rtm_dst_len)
		return -EOPNOTSUPP; /* one gateway an interface is all there is */
	gateway = attribute_u32(h, sizeof(*in), RTA_GATEWAY);
	index = attribute_u32(h, sizeof(*in), RTA_OIF);
	if (add && !gateway)
		return -EOPNOTSUPP;
	for (uint32_t i = IF_LOOPBACK_INDEX + 1; i < IF_INDEX_END; i++) {
		struct net_if nif;

		if ((index && index != i) || !net_if_get(i, &nif) || !nif.ip4)
			continue;
		if (!add && nif.gateway4 && (!gateway || gateway == nif.gateway4))
			return net_if_set_ip4(i, nif.ip4, nif.mask4, 0);
		if (!add || (nif.ip4 ^ gateway) & nif.mask4)
			continue;
		if (nif.gateway4 && !(h->nlmsg_flags & NLM_F_REPLACE))
			return -EEXIST;
		return net_if_set_ip4(i, nif.ip4, nif.mask4, gateway);
	}
	return add ? -ENETUNREACH : -ESRCH;
}

/* ---- neighbours ---- */

static void put_neighbours(struct nl_answer *a, bool v4)
{
	struct net_neighbour to;

	for (uint32_t at = 0; net_neighbour_next(&at, &to);) {
		bool is4 = to.address.family == 4;
		struct ndmsg m = {
			.ndm_family = is4 ? AF_INET : AF_INET6,
			.ndm_ifindex = (int)to.index,
			.ndm_state = to.stale ? NUD_STALE : NUD_REACHABLE,
			.ndm_flags = to.router ? NTF_ROUTER : 0,
			.ndm_type = RTN_UNICAST,
		};

		if (is4 != v4)
			continue;
		nl_begin(a, RTM_NEWNEIGH, NLM_F_MULTI, &m, sizeof(m));
		nl_attribute(a, NDA_DST, to.address.address, is4 ? 4 : 16);
		nl_attribute(a, NDA_LLADDR, to.mac, sizeof(to.mac));
	}
}

/* ---- requests ---- */

/* Of one family, as Linux does it: all interfaces' IPv4 addresses come before any IPv6 one. */
static void dump_family(uint16_t type, bool v4, struct nl_answer *a)
{
	struct net_if nif;

	for (uint32_t i = 1; i < IF_INDEX_END; i++) {
		if (!net_if_get(i, &nif))
			continue;
		for (uint32_t j = 0; type == RTM_GETADDR && j < nif.naddresses; j++)
			if ((nif.address[j].family == 4) == v4)
				put_address(a, &nif, j);
		if (type != RTM_GETROUTE || i == IF_LOOPBACK_INDEX || !(nif.flags & IFF_UP))
			continue;
		if (!v4)
			put_routes6(a, &nif);
		else if (nif.ip4)
			put_routes4(a, &nif);
	}
	if (type == RTM_GETNEIGH)
		put_neighbours(a, v4);
}

static long dump(const struct nlmsghdr *h, struct nl_answer *a)
{
	uint8_t family = ((const struct rtgenmsg *)NLMSG_DATA(h))->rtgen_family;
	struct net_if nif;
	int none = 0;

	for (uint32_t i = 1; h->nlmsg_type == RTM_GETLINK && i < IF_INDEX_END; i++)
		if (family != AF_BRIDGE && net_if_get(i, &nif))
			put_link(a, &nif, NLM_F_MULTI);
	if (family != AF_INET6 && family != AF_BRIDGE)
		dump_family(h->nlmsg_type, true, a);
	if (family != AF_INET && family != AF_BRIDGE)
		dump_family(h->nlmsg_type, false, a);
	nl_begin(a, NLMSG_DONE, NLM_F_MULTI, &none, sizeof(none));
	return -EINTR;
}

long rtnetlink_request(const struct nlmsghdr *h, struct nl_answer *a)
{
	bool dumps = h->nlmsg_flags & NLM_F_DUMP;

	if (h->nlmsg_type > RTM_MAX)
		return -EOPNOTSUPP;
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtgenmsg)))
		return 0;
	if (h->nlmsg_type % 4 != RTM_GETLINK % 4 && UK_NOXS->uid)
		return -EPERM; /* no CAP_NET_ADMIN */
	switch (h->nlmsg_type) {
	case RTM_GETLINK:
		return dumps ? dump(h, a) : get_link(h, a);
	case RTM_GETADDR:
	case RTM_GETROUTE:
	case RTM_GETNEIGH:
		return dumps ? dump(h, a) : -EOPNOTSUPP;
	case RTM_NEWLINK:
	case RTM_SETLINK:
		return set_link(h);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return set_address(h, h->nlmsg_type == RTM_NEWADDR);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return set_route(h, h->nlmsg_type == RTM_NEWROUTE);
	default:
		return -EOPNOTSUPP;
	}
}
