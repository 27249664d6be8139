/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neighbour.c: who has sent us a packet can be answered. lwIP asks for the MAC of every neighbour
 * that it is to send to and that has not asked for ours (RFC 826): for a VM that was started by a
 * packet this is one round trip, and two exits, before its first answer. The packet's own frame
 * tells; whoever forges one could forge an ARP request as well.
 */
#include "lwip/etharp.h"
#include "lwip/prot/etharp.h"
#include "lwip/prot/iana.h"

#include "stack.h"

#define ETH_IP   0x0008 /* in network order */
#define IP_AT    14u
#define IP_BYTES 20u
#define SOURCE   12u /* in the IP header */

static struct {
	struct net_iface *iface; /* NULL: it has been used */
	ip4_addr_t address;
	struct eth_addr mac;
} heard;

void net_neighbour_heard(struct net_iface *iface, const struct net_frame *f)
{
	const struct netif *netif = &iface->netif;
	const uint8_t *frame = f->piece[0].data;
	ip4_addr_t from;
	uint16_t type;

	if (f->piece[0].bytes < IP_AT + IP_BYTES || (frame[0] & 1))
		return;
	memcpy(&type, frame + 12, sizeof(type));
	memcpy(&from, frame + IP_AT + SOURCE, sizeof(from));
	if (type != ETH_IP || ip4_addr_cmp(&from, &heard.address))
		return;
	heard.iface = NULL;
	heard.address = from;
	if ((frame[6] & 1) || ip4_addr_isany_val(*netif_ip4_addr(netif)) ||
	    !ip4_addr_netcmp(&from, netif_ip4_addr(netif), netif_ip4_netmask(netif)) ||
	    ip4_addr_cmp(&from, netif_ip4_addr(netif)) || ip4_addr_isbroadcast(&from, netif))
		return;
	memcpy(&heard.mac, frame + 6, sizeof(heard.mac));
	heard.iface = iface;
}

/* As if it had told us, for lwIP's table has no other entrance. */
static void learn(struct netif *netif)
{
	struct etharp_hdr *arp;
	struct eth_addr *mac;
	const ip4_addr_t *ip;
	struct pbuf *p;

	heard.iface = NULL;
	if (etharp_find_addr(netif, &heard.address, &mac, &ip) >= 0)
		return;
	p = pbuf_alloc(PBUF_RAW, SIZEOF_ETHARP_HDR, PBUF_RAM);
	if (!p)
		return;
	arp = p->payload;
	*arp = (struct etharp_hdr){
		.hwtype = PP_HTONS(LWIP_IANA_HWTYPE_ETHERNET),
		.proto = PP_HTONS(ETHTYPE_IP),
		.hwlen = ETH_HWADDR_LEN,
		.protolen = sizeof(ip4_addr_t),
		.opcode = PP_HTONS(ARP_REPLY),
		.shwaddr = heard.mac,
	};
	memcpy(&arp->sipaddr, &heard.address, sizeof(arp->sipaddr));
	memcpy(&arp->dhwaddr, netif->hwaddr, sizeof(arp->dhwaddr));
	memcpy(&arp->dipaddr, netif_ip4_addr(netif), sizeof(arp->dipaddr));
	etharp_input(p, netif);
}

err_t net_neighbour_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	if (heard.iface && &heard.iface->netif == netif && ip4_addr_cmp(to, &heard.address))
		learn(netif);
	return etharp_output(netif, p, to);
}

void net_neighbour_forget(void)
{
	heard.iface = NULL;
	ip4_addr_set_any(&heard.address);
}
