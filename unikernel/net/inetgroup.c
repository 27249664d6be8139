/* SPDX-License-Identifier: Apache-2.0 */
/* inetgroup.c: multicast groups that sockets have joined: ip(7), ipv6(7), RFC 3678. */
#include "inet.h"

#include "lwip/igmp.h"
#include "lwip/mld6.h"

struct inet_group {
	struct inet_group *next;
	ip_addr_t address;
	uint32_t index; /* of the interface */
};

#define GROUPS_MAX 20 /* net.ipv4.igmp_max_memberships */

static long join(struct netif *netif, const ip_addr_t *group, bool leave)
{
	err_t r;

	if (IP_IS_V4(group))
		r = leave ? igmp_leavegroup_netif(netif, ip_2_ip4(group))
			  : igmp_joingroup_netif(netif, ip_2_ip4(group));
	else
		r = leave ? mld6_leavegroup_netif(netif, ip_2_ip6(group))
			  : mld6_joingroup_netif(netif, ip_2_ip6(group));
	/* An interface that cannot (loopback) is none that a group would have to be told of. */
	return r == ERR_MEM ? -ENOBUFS : 0;
}

/* The interface that a request names: by index, by its address, or by the route. */
struct netif *inet_group_netif(const ip_addr_t *group, uint32_t index, uint32_t address)
{
	struct netif *netif;

	if (index)
		return netif_get_by_index((uint8_t)index);
	if (address) {
		NETIF_FOREACH(netif)
		{
			if (netif_ip4_addr(netif)->addr == address)
				return netif;
		}
		return NULL;
	}
	netif = IP_IS_V4(group) ? ip4_route(ip_2_ip4(group))
				: ip6_route(IP6_ADDR_ANY6, ip_2_ip6(group));
	return netif ? netif : netif_default;
}

static long membership(struct inet_sock *i, bool leave, ip_addr_t *group, uint32_t index,
		       uint32_t address)
{
	struct netif *netif;
	struct inet_group *g, **at;
	uint32_t n = 0;
	long r;

	if (!ip_addr_ismulticast(group))
		return -EINVAL;
	netif = inet_group_netif(group, index, address);
	if (!netif)
		return -ENODEV;
	index = netif_get_index(netif);
	if (IP_IS_V6(group))
		ip6_addr_assign_zone(ip_2_ip6(group), IP6_MULTICAST, netif);
	for (at = &i->groups; *at; at = &(*at)->next, n++)
		if (ip_addr_cmp(&(*at)->address, group) && (*at)->index == index)
			break;
	if (leave) {
		g = *at;
		if (!g)
			return -EADDRNOTAVAIL;
		*at = g->next;
		uk_free(g);
		join(netif, group, true);
		return 0;
	}
	if (*at)
		return -EADDRINUSE;
	if (n >= GROUPS_MAX)
		return -ENOBUFS;
	g = uk_alloc(sizeof(*g));
	if (!g)
		return -ENOMEM;
	r = join(netif, group, false);
	if (r) {
		uk_free(g);
		return r;
	}
	g->address = *group;
	g->index = index;
	*at = g;
	return 0;
}

void inet_leave_groups(struct inet_sock *i)
{
	while (i->groups) {
		struct inet_group *g = i->groups;
		struct netif *netif = netif_get_by_index((uint8_t)g->index);

		i->groups = g->next;
		if (netif)
			join(netif, &g->address, true);
		uk_free(g);
	}
}

/* struct ip_mreq (8 bytes) or struct ip_mreqn. */
static long mreq4(const void *val, uint32_t bytes, struct ip_mreqn *mreq)
{
	if (bytes < sizeof(struct ip_mreq))
		return -EINVAL;
	memset(mreq, 0, sizeof(*mreq));
	memcpy(mreq, val, uk_min(bytes, sizeof(*mreq)));
	return 0;
}

long inet_membership4(struct inet_sock *i, bool leave, const void *val, uint32_t bytes)
{
	ip_addr_t group = {.type = IPADDR_TYPE_V4};
	struct ip_mreqn mreq;
	long r = mreq4(val, bytes, &mreq);

	if (r)
		return r;
	ip_2_ip4(&group)->addr = mreq.imr_multiaddr.s_addr;
	return membership(i, leave, &group, (uint32_t)mreq.imr_ifindex, mreq.imr_address.s_addr);
}

long inet_membership6(struct inet_sock *i, bool leave, const void *val, uint32_t bytes)
{
	ip_addr_t group = {.type = IPADDR_TYPE_V6};
	struct ipv6_mreq mreq;

	if (bytes < sizeof(mreq))
		return -EINVAL;
	memcpy(&mreq, val, sizeof(mreq));
	memcpy(ip_2_ip6(&group)->addr, &mreq.ipv6mr_multiaddr, 16);
	return membership(i, leave, &group, (uint32_t)mreq.ipv6mr_ifindex, 0);
}

/* struct group_req, of both families. */
long inet_membership(struct inet_sock *i, bool leave, const void *val, uint32_t bytes)
{
	struct inet_sock like = {.s.family = i->s.family};
	struct sock_address at = {.bytes = sizeof(at.raw)};
	struct group_req req;
	ip_addr_t group;
	uint16_t port;

	if (bytes < sizeof(req))
		return -EINVAL;
	memcpy(&req, val, sizeof(req));
	memcpy(at.raw, &req.gr_group, sizeof(at.raw));
	if (inet_parse(&like, &at, &group, &port))
		return -EADDRNOTAVAIL;
	return membership(i, leave, &group, req.gr_interface, 0);
}
