/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neighbour.c: who has sent us a packet can be answered. lwIP asks for the MAC of every neighbour
 * that it is to send to and that has not asked for ours (RFC 826): for a VM that was started by a
 * packet this is one round trip, and two exits, before its first answer. The packet's own frame
 * tells it.
 *
 * But a source address is easily forged, from behind a router, too, which an ARP request is not;
 * and a frame may be another's who passes the packet on. So what was heard is used while it is new,
 * only for who is not in lwIP's table, and asked for all the same when the VM is awake one or two
 * seconds later: nobody waits for that. Unless he has asked for us meanwhile, as Linux does after
 * five.
 */
#include "lwip/etharp.h"
#include "lwip/prot/etharp.h"
#include "lwip/prot/iana.h"

#include "stack.h"

#define ETH_IP   0x0008 /* in network order */
#define ETH_ARP  0x0608
#define IP_AT    14u
#define IP_BYTES 20u
#define TTL      8u /* in the IP header */
#define SOURCE   12u
#define SENDER   28u /* the ARP packet's, in its frame */
#define UNSURE   8u

static struct {
	struct net_iface *iface; /* NULL: it has been used, or is of no use */
	ip4_addr_t address;
	struct eth_addr mac;
} heard;

/* To be asked for. With more at once the others are asked for first, as by every host. */
static struct {
	struct netif *netif;
	ip4_addr_t address;
	bool waited; /* for a tick */
} unsure[UNSURE];
static uint32_t nunsure;

/* What hosts begin with: whoever passes a packet on takes one off (RFC 1812, 5.3.1). */
static bool is_first_ttl(uint8_t ttl)
{
	return ttl == 64 || ttl == 128 || ttl == 255;
}

/* By ARP he speaks for himself: etharp.c enters that. */
static void is_sure(const struct netif *netif, const uint8_t *sender)
{
	for (uint32_t i = 0; i < nunsure; i++)
		if (unsure[i].netif == netif && !memcmp(&unsure[i].address, sender, 4))
			unsure[i--] = unsure[--nunsure];
}

void net_neighbour_heard(struct net_iface *iface, const struct net_frame *f)
{
	const struct netif *netif = &iface->netif;
	const uint8_t *frame = f->piece[0].data;
	ip4_addr_t from;
	uint16_t type;

	if (f->piece[0].bytes < IP_AT + IP_BYTES)
		return;
	memcpy(&type, frame + 12, sizeof(type));
	memcpy(&from, frame + IP_AT + SOURCE, sizeof(from));
	if (type == ETH_ARP)
		is_sure(netif, frame + SENDER);
	if (type != ETH_IP || (frame[0] & 1) ||
	    (ip4_addr_cmp(&from, &heard.address) &&
	     !memcmp(&heard.mac, frame + 6, sizeof(heard.mac))))
		return;
	heard.iface = NULL;
	heard.address = from;
	memcpy(&heard.mac, frame + 6, sizeof(heard.mac));
	if ((frame[6] & 1) || !is_first_ttl(frame[IP_AT + TTL]) ||
	    ip4_addr_isany_val(*netif_ip4_addr(netif)) ||
	    !ip4_addr_netcmp(&from, netif_ip4_addr(netif), netif_ip4_netmask(netif)) ||
	    ip4_addr_cmp(&from, netif_ip4_addr(netif)) || ip4_addr_isbroadcast(&from, netif))
		return;
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
	if (nunsure == UNSURE || etharp_find_addr(netif, &heard.address, &mac, &ip) >= 0)
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
	unsure[nunsure].netif = netif;
	unsure[nunsure].waited = false;
	unsure[nunsure++].address = heard.address;
}

err_t net_neighbour_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	if (heard.iface && &heard.iface->netif == netif && ip4_addr_cmp(to, &heard.address))
		learn(netif);
	return etharp_output(netif, p, to);
}

void net_neighbour_age(void)
{
	heard.iface = NULL;
	ip4_addr_set_any(&heard.address);
	for (uint32_t i = 0; i < nunsure; i++) {
		struct netif *netif = unsure[i].netif;

		if (!unsure[i].waited) {
			unsure[i].waited = true;
			continue;
		}
		if (netif_is_up(netif) && netif_is_link_up(netif))
			etharp_request(netif, &unsure[i].address);
		unsure[i--] = unsure[--nunsure];
	}
}

void net_neighbour_forget(void)
{
	nunsure = 0;
	net_neighbour_age();
}
