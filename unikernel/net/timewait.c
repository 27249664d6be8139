/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timewait.c: a connection in TIME_WAIT gives way to a new one with the same addresses and
 * ports: clients use a port again sooner than we forget it. lwIP answers such a SYN as if it
 * were of the old connection. RFC 9293, 3.10.7.4; as RFC 1122, 4.2.2.13, lets.
 */
#include "tcpsock.h"

#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"

/* The one that a SYN would meet goes if the SYN cannot be an old duplicate. */
static void give_way(const ip_addr_t *from, const ip_addr_t *to, const struct tcp_hdr *h)
{
	uint16_t port = lwip_ntohs(h->src), local_port = lwip_ntohs(h->dest);
	uint32_t sequence = lwip_ntohl(h->seqno);

	for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next) {
		if (pcb->remote_port != port || pcb->local_port != local_port ||
		    !ip_addr_cmp_zoneless(&pcb->remote_ip, from) ||
		    !ip_addr_cmp_zoneless(&pcb->local_ip, to))
			continue;
		/* On the loopback there are none, and sequence numbers may be slower than it. */
		if (ip_addr_isloopback(from) || TCP_SEQ_GT(sequence, pcb->rcv_nxt)) {
			tcp_pcb_remove(&tcp_tw_pcbs, pcb);
			tcp_free(pcb);
		}
		return;
	}
}

/* Is it a SYN, and nothing else? All of it in the first pbuf, or never mind. */
static const struct tcp_hdr *syn_at(const struct pbuf *p, uint32_t off)
{
	const struct tcp_hdr *h = (const void *)((const uint8_t *)p->payload + off);

	if (!tcp_tw_pcbs || p->len < off + TCP_HLEN)
		return NULL;
	return (TCPH_FLAGS(h) & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN ? h : NULL;
}

int net_time_wait_ip4(struct pbuf *p, struct netif *netif)
{
	const struct ip_hdr *ip = p->payload;
	const struct tcp_hdr *h;
	ip_addr_t from = {.type = IPADDR_TYPE_V4}, to = {.type = IPADDR_TYPE_V4};

	if (p->len < IP_HLEN || IPH_PROTO(ip) != IP_PROTO_TCP ||
	    IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK))
		return 0;
	h = syn_at(p, IPH_HL_BYTES(ip));
	if (h) {
		ip_2_ip4(&from)->addr = ip->src.addr;
		ip_2_ip4(&to)->addr = ip->dest.addr;
		give_way(&from, &to, h);
	}
	return 0; /* the packet goes its way */
}

int net_time_wait_ip6(struct pbuf *p, struct netif *netif)
{
	const struct ip6_hdr *ip = p->payload;
	const struct tcp_hdr *h;
	ip_addr_t from = {.type = IPADDR_TYPE_V6}, to = {.type = IPADDR_TYPE_V6};

	if (p->len < IP6_HLEN || IP6H_NEXTH(ip) != IP6_NEXTH_TCP)
		return 0;
	h = syn_at(p, IP6_HLEN);
	if (h) {
		memcpy(ip_2_ip6(&from)->addr, &ip->src, 16);
		memcpy(ip_2_ip6(&to)->addr, &ip->dest, 16);
		give_way(&from, &to, h);
	}
	return 0;
}
