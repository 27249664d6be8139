/* SPDX-License-Identifier: Apache-2.0 */
/* neighlist.c: whose MAC is known (ARP, neighbour discovery): for /proc/net/arp and netlink. */
#include "lwip/etharp.h"
#include "lwip/priv/nd6_priv.h"

#include "if.h"
#include "stack.h"

static bool get4(uint32_t i, struct net_neighbour *out)
{
	struct netif *netif;
	struct eth_addr *mac;
	ip4_addr_t *address;

	if (!etharp_get_entry(i, &address, &netif, &mac))
		return false;
	out->index = netif_get_index(netif);
	out->address = (struct noxs_net_address){.family = 4, .prefix = 32};
	memcpy(out->address.address, &address->addr, 4);
	memcpy(out->mac, mac->addr, sizeof(out->mac));
	return true;
}

static bool get6(uint32_t i, struct net_neighbour *out)
{
	const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];

	if (e->state == ND6_NO_ENTRY || e->state == ND6_INCOMPLETE || !e->netif)
		return false;
	out->index = netif_get_index(e->netif);
	out->address = (struct noxs_net_address){.family = 6, .prefix = 128};
	memcpy(out->address.address, e->next_hop_address.addr, 16);
	memcpy(out->mac, e->lladdr, sizeof(out->mac));
	out->stale = e->state != ND6_REACHABLE;
	out->router = e->isrouter;
	return true;
}

bool net_neighbour_next(uint32_t *at, struct net_neighbour *out)
{
	while (*at < ARP_TABLE_SIZE + LWIP_ND6_NUM_NEIGHBORS) {
		uint32_t i = (*at)++;

		*out = (struct net_neighbour){0};
		if (i < ARP_TABLE_SIZE ? get4(i, out) : get6(i - ARP_TABLE_SIZE, out))
			return true;
	}
	return false;
}
