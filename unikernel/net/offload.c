/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offload.c: devices that take segments larger than the MTU, with checksums left out
 * (NOXS_NET_SEGMENTS; VIRTIO 1.2, 5.1.6.2).
 *
 * lwIP knows nothing of that: its segments are as large as the MSS. So on such a device a
 * connection's MSS is raised, to some full segments, once the one that was agreed on is known
 * to be the MTU's, and the device is told where to cut. For lwIP the interface has no MTU, and
 * what is not TCP is cut into fragments here, by lwIP's own functions.
 */
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ieee.h"

#include "lwip_hooks.h"
#include "stack.h"

#define SEGMENTS  11u /* of 1460 bytes: with their headers they fit into 16 KiB of memory */
#define ETH_BYTES 14u
#define TCP_CSUM  16u /* offset of the checksum in TCP's header */

enum { NEEDS_CSUM = 1, GSO_TCP4 = 1, GSO_TCP6 = 4 };

/* ---- TCP ---- */

static uint16_t base_mss(const struct net_iface *iface, bool v6)
{
	return (uint16_t)(v6 ? iface->mtu6 - IP6_HLEN - TCP_HLEN : iface->mtu - IP_HLEN - TCP_HLEN);
}

/* Where the device is to cut what goes there. */
static uint16_t path_mss(const struct net_iface *iface, bool v6, const void *ip)
{
	const struct ip6_hdr *ip6 = ip;
	const struct ip_hdr *ip4 = ip;

	return (uint16_t)(v6 ? net_pmtu6(&ip6->dest, iface->mtu6) - IP6_HLEN - TCP_HLEN
			     : net_pmtu4(ip4->dest.addr, iface->mtu) - IP_HLEN - TCP_HLEN);
}

/* lwIP has told the interface's MSS, and has never heard of a true MTU. */
static void clamp_mss(struct tcp_hdr *tcp, uint16_t mss)
{
	uint8_t *option = (uint8_t *)(tcp + 1);

	/* lwIP's first option is this one. */
	if (TCPH_HDRLEN_BYTES(tcp) < TCP_HLEN + 4 || option[0] != LWIP_TCP_OPT_MSS)
		return;
	if ((option[2] << 8 | option[3]) > mss) {
		option[2] = (uint8_t)(mss >> 8);
		option[3] = (uint8_t)mss;
	}
}

bool net_offload_send(struct net_iface *iface, struct pbuf *p, struct noxs_net_vnet *vnet)
{
	const struct eth_hdr *eth = p->payload;
	bool v6 = eth->type == PP_HTONS(ETHTYPE_IPV6);
	uint32_t ip_bytes = v6 ? IP6_HLEN : IP_HLEN, sum;
	struct tcp_hdr *tcp;
	uint32_t headers;
	uint16_t mss;

	if (p->len < ETH_BYTES + ip_bytes + TCP_HLEN)
		return false;
	if (v6) {
		const struct ip6_hdr *ip = (const void *)(eth + 1);

		if (IP6H_NEXTH(ip) != IP6_NEXTH_TCP)
			return false;
		sum = net_checksum(&ip->src, 32);
	} else {
		const struct ip_hdr *ip = (const void *)(eth + 1);

		if (eth->type != PP_HTONS(ETHTYPE_IP) || IPH_PROTO(ip) != IP_PROTO_TCP ||
		    IPH_HL_BYTES(ip) != IP_HLEN || (IPH_OFFSET(ip) & PP_HTONS(0x3fff)))
			return false;
		sum = net_checksum(&ip->src, 8);
	}
	tcp = (struct tcp_hdr *)((uint8_t *)(eth + 1) + ip_bytes);
	headers = ETH_BYTES + ip_bytes + TCPH_HDRLEN_BYTES(tcp);
	if (TCPH_FLAGS(tcp) & TCP_SYN)
		clamp_mss(tcp, base_mss(iface, v6));
	/* What is summed up already: the pseudo header. Its length is the whole segment's. */
	sum += PP_HTONS(IP_PROTO_TCP) + lwip_htons(p->tot_len - ETH_BYTES - ip_bytes);
	sum = (sum >> 16) + (sum & 0xffff);
	tcp->chksum = (u16_t)((sum >> 16) + sum);
	*vnet = (struct noxs_net_vnet){
		.flags = NEEDS_CSUM,
		.csum_start = (uint16_t)(ETH_BYTES + ip_bytes),
		.csum_offset = TCP_CSUM,
	};
	mss = path_mss(iface, v6, eth + 1);
	if (p->tot_len - headers > mss) {
		vnet->gso_type = v6 ? GSO_TCP6 : GSO_TCP4;
		vnet->gso_size = mss;
		vnet->hdr_len = (uint16_t)headers;
	}
	return true;
}

void net_offload_tcp_input(struct tcp_pcb *pcb)
{
	struct net_iface *iface = net_iface_of(ip_current_input_netif());
	uint16_t mss;

	if (!iface || !iface->dev->segments || pcb->state != ESTABLISHED)
		return;
	mss = base_mss(iface, IP_IS_V6(&pcb->remote_ip));
	if (pcb->mss == mss) {
		pcb->mss = (u16_t)(mss * SEGMENTS);
		/* A segment must fit, or it would wait for ever. */
		pcb->cwnd = LWIP_MAX(pcb->cwnd, pcb->mss);
		/* Nor may it once a recovery is over, whose window this is. lwIP keeps it at two
		 * segments at least; but if the SYN was lost, at two of those of then. */
		pcb->ssthresh = LWIP_MAX(pcb->ssthresh, 2u * pcb->mss);
	}
}

/* ---- all else: fragments ---- */

/*
 * TCP over IPv4 is not to be cut on its way (RFC 1191), as on Linux: a receiver with many pieces
 * of packets under way may put those of different ones together (RFC 4963). But what is known to
 * be too large, from before that was known, is. Datagrams may be cut, unless their sender says no.
 */
bool net_dont_fragment;

static void whole(struct ip_hdr *ip, uint16_t bytes)
{
	uint32_t sum;

	if (IPH_OFFSET(ip) ||
	    !(IPH_PROTO(ip) == IP_PROTO_TCP ? net_pmtu_whole4(ip->dest.addr, bytes)
					    : net_dont_fragment))
		return;
	IPH_OFFSET_SET(ip, PP_HTONS(IP_DF));
	/* The checksum has been made: one word more (RFC 1624). */
	sum = (uint16_t)~IPH_CHKSUM(ip) + PP_HTONS(IP_DF);
	IPH_CHKSUM_SET(ip, (u16_t) ~((sum >> 16) + sum));
}

static err_t output4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	struct net_iface *iface = (struct net_iface *)netif;
	struct ip_hdr *ip = p->payload;
	uint16_t wire = iface->dev->segments ? net_pmtu4(ip->dest.addr, iface->mtu) : iface->mtu;
	err_t err;

	if (p->tot_len <= iface->mtu || IPH_PROTO(ip) == IP_PROTO_TCP) {
		/* The device cuts a large one to packets that fit. */
		whole(ip, uk_min(p->tot_len, wire));
		return net_neighbour_output(netif, p, to);
	}
	netif->mtu = iface->mtu;
	err = ip4_frag(p, netif, to);
	netif->mtu = UINT16_MAX;
	return err;
}

/* Of lwIP's row for to, if it has one: it makes one of what it sends. */
static void set_pmtu(const ip6_addr_t *to, uint16_t mtu)
{
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++)
		if (ip6_addr_cmp(&destination_cache[i].destination_addr, to))
			destination_cache[i].pmtu = mtu;
}

static err_t output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	struct net_iface *iface = (struct net_iface *)netif;
	const struct ip6_hdr *ip = p->payload;
	uint16_t mtu = net_pmtu6(&ip->dest, iface->mtu6);
	err_t err;

	if (p->tot_len <= mtu || IP6H_NEXTH(ip) == IP6_NEXTH_TCP)
		return ethip6_output(netif, p, to);
	netif->mtu6 = mtu;
	set_pmtu(to, mtu);
	err = ip6_frag(p, netif, to);
	set_pmtu(to, UINT16_MAX);
	netif->mtu6 = UINT16_MAX;
	return err;
}

void net_offload_start(struct net_iface *iface)
{
	struct netif *netif = &iface->netif;

	netif->output = output4;
	if (!iface->dev->segments)
		return;
	netif->output_ip6 = output6;
	netif->chksum_flags &= (u16_t)~NETIF_CHECKSUM_GEN_TCP;
}

void net_offload_mtu(struct net_iface *iface)
{
	struct netif *netif = &iface->netif;

	if (!iface->dev->segments) {
		iface->mtu = netif->mtu;
		iface->mtu6 = netif->mtu6;
		return;
	}
	/* A router may have told a smaller one (RFC 4861, 4.6.4). */
	if (netif->mtu != UINT16_MAX)
		iface->mtu = netif->mtu;
	if (netif->mtu6 != UINT16_MAX)
		iface->mtu6 = LWIP_MIN(netif->mtu6, iface->mtu);
	netif->mtu = netif->mtu6 = UINT16_MAX;
}
