/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nobody.c: neighbours that do not answer. lwIP gives them up without a word; whoever connects to
 * one, or through one, is told EHOSTUNREACH after three to four seconds, as on Linux (whose
 * arp_error_report and ndisc_error_report make an ICMP message of it for the host itself), and not
 * by TCP's own time-out. Linux tells UDP only with IP_RECVERR; here it is told nothing.
 */
#include "inet.h"

#include "lwip/etharp.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"

#include "stack.h"

#define TICKS 4u /* Linux asks three times, a second apart; the first tick is a part of one */

/* Whom an ARP request was for. As many as lwIP can ask at once. */
static struct {
	struct netif *netif; /* NULL: free */
	ip4_addr_t address;
	uint32_t ticks, quiet; /* since the first request, since the last */
} asked[ARP_TABLE_SIZE];

void net_nobody_asked(struct netif *netif, const void *address)
{
	uint32_t to = uk_countof(asked);

	for (uint32_t i = 0; i < uk_countof(asked); i++) {
		if (!asked[i].netif) {
			to = i;
		} else if (asked[i].netif == netif && !memcmp(&asked[i].address, address, 4)) {
			asked[i].quiet = 0;
			return;
		}
	}
	if (to == uk_countof(asked))
		return;
	asked[to].netif = netif;
	memcpy(&asked[to].address, address, 4);
	asked[to].ticks = asked[to].quiet = 0;
}

/* Do packets to that address go there first? */
static bool goes_by4(const ip4_addr_t *to, const struct netif *netif, const ip4_addr_t *hop)
{
	bool near = ip4_addr_netcmp(to, netif_ip4_addr(netif), netif_ip4_netmask(netif)) ||
		    ip4_addr_islinklocal(to);

	return ip4_route(to) == netif && ip4_addr_cmp(near ? to : netif_ip4_gw(netif), hop);
}

static bool goes_by6(const ip6_addr_t *to, const ip6_addr_t *hop)
{
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++)
		if (ip6_addr_cmp(&destination_cache[i].destination_addr, to))
			return ip6_addr_cmp(&destination_cache[i].next_hop_addr, hop);
	return false;
}

/* Who is connecting by way of it need not wait. netif, hop4 or hop6. */
static void tell(const struct netif *netif, const ip4_addr_t *hop4, const ip6_addr_t *hop6)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
		const ip_addr_t *to = &pcb->remote_ip;

		next = pcb->next;
		if (pcb->state != SYN_SENT || IP_IS_V6(to) != (hop6 != NULL))
			continue;
		if (hop6 ? goes_by6(ip_2_ip6(to), hop6) : goes_by4(ip_2_ip4(to), netif, hop4))
			tcp_failed(to, pcb->remote_port, pcb->local_port, pcb->lastack,
				   EHOSTUNREACH);
	}
}

static void tick4(void)
{
	for (uint32_t i = 0; i < uk_countof(asked); i++) {
		struct netif *netif = asked[i].netif;
		const ip4_addr_t *ip;
		struct eth_addr *mac;
		bool over;

		if (!netif)
			continue;
		over = ++asked[i].quiet > 1 || /* nor is it asked any more */
		       etharp_find_addr(netif, &asked[i].address, &mac, &ip) >= 0;
		if (!over && ++asked[i].ticks < TICKS)
			continue;
		asked[i].netif = NULL;
		if (!over)
			tell(netif, &asked[i].address, NULL);
	}
}

/* Those that nd6_tmr is going to give up. */
static void tick6(void)
{
	for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
		const struct nd6_neighbor_cache_entry *e = &neighbor_cache[i];

		if (e->state == ND6_INCOMPLETE && !e->isrouter &&
		    e->counter.probes_sent >= LWIP_ND6_MAX_MULTICAST_SOLICIT)
			tell(e->netif, NULL, &e->next_hop_address);
	}
}

void net_nobody_tick(void)
{
	tick4();
	tick6();
}

void net_nobody_forget(void)
{
	for (uint32_t i = 0; i < uk_countof(asked); i++)
		asked[i].netif = NULL;
}
