/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demux.c: which connection a segment is for. lwIP looks through the list of all; with hundreds
 * of them that is most of what a segment costs. Here a table by addresses and ports knows those
 * that have a socket, and for the time that lwIP looks at the packet the list begins at the one:
 * it is the first, so nothing is moved. Behind it the list is as it was, and so it is in front,
 * when restored. Whatever is not in the table (handshakes under way, connections without a
 * socket) is found as ever.
 */
#include "lwip_hooks.h"
#include "stack.h"
#include "tcpsock.h"

#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"

#define BUCKETS 512u

static struct tcp_sock *table[BUCKETS];
static struct tcp_pcb *whole; /* the list's true head, while it begins at: */
static struct tcp_pcb *first;

static uint32_t bucket(uint32_t address, uint16_t port, uint16_t local_port)
{
	uint32_t h = address ^ ((uint32_t)port << 16 | local_port);

	return (h * 0x9e3779b1u) >> 16 & (BUCKETS - 1); /* Knuth's multiplicative hashing */
}

static uint32_t fold(const ip_addr_t *ip)
{
	const u32_t *a = ip_2_ip6(ip)->addr;

	return IP_IS_V4(ip) ? ip_2_ip4(ip)->addr : a[0] ^ a[1] ^ a[2] ^ a[3];
}

void net_demux_add(struct tcp_sock *t)
{
	const struct tcp_pcb *pcb = t->pcb;
	struct tcp_sock **head =
		&table[bucket(fold(&pcb->remote_ip), pcb->remote_port, pcb->local_port)];

	t->demux_next = *head;
	t->demux_link = head;
	if (*head)
		(*head)->demux_link = &t->demux_next;
	*head = t;
}

void net_demux_remove(struct tcp_sock *t)
{
	if (!t->demux_link)
		return;
	*t->demux_link = t->demux_next;
	if (t->demux_next)
		t->demux_next->demux_link = t->demux_link;
	t->demux_link = NULL;
}

void net_demux_restore(void)
{
	struct tcp_pcb *p = tcp_active_pcbs, *before = NULL;

	if (!whole)
		return;
	/* New ones come in front; the one itself may be gone. */
	while (p && p != first) {
		before = p;
		p = p->next;
	}
	if (!p) {
		for (p = whole; p->next != first; p = p->next)
			;
		p->next = tcp_active_pcbs;
	} else if (before) {
		before->next = whole;
		whole = tcp_active_pcbs;
	}
	tcp_active_pcbs = whole;
	whole = NULL;
}

static void begin_at(struct tcp_pcb *pcb)
{
	if (pcb == tcp_active_pcbs || pcb->state < SYN_SENT || pcb->state == TIME_WAIT)
		return;
	whole = tcp_active_pcbs;
	first = tcp_active_pcbs = pcb;
}

static void find(const ip_addr_t *from, const ip_addr_t *to, const struct tcp_hdr *h)
{
	uint16_t port = lwip_ntohs(h->src), local_port = lwip_ntohs(h->dest);
	const struct tcp_sock *t = table[bucket(fold(from), port, local_port)];

	for (; t; t = t->demux_next) {
		struct tcp_pcb *pcb = t->pcb;

		if (pcb->remote_port != port || pcb->local_port != local_port ||
		    !ip_addr_cmp(&pcb->remote_ip, from) || !ip_addr_cmp(&pcb->local_ip, to))
			continue;
		/* Bound to an interface it may not be meant. */
		if (pcb->netif_idx == NETIF_NO_INDEX)
			begin_at(pcb);
		return;
	}
}

/* lwIP calls these with each packet; it goes its way in any case. */
int net_demux_ip4(struct pbuf *p, struct netif *netif)
{
	const struct ip_hdr *ip = p->payload;
	ip_addr_t from = {.type = IPADDR_TYPE_V4}, to = {.type = IPADDR_TYPE_V4};
	uint32_t head;

	net_demux_restore();
	if (p->len < IP_HLEN || IPH_PROTO(ip) != IP_PROTO_TCP ||
	    IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF))
		return 0;
	net_time_wait_ip4(p, netif);
	head = IPH_HL_BYTES(ip);
	if (!tcp_active_pcbs || p->len < head + TCP_HLEN)
		return 0;
	ip_2_ip4(&from)->addr = ip->src.addr;
	ip_2_ip4(&to)->addr = ip->dest.addr;
	find(&from, &to, (const void *)((const uint8_t *)ip + head));
	return 0;
}

int net_demux_ip6(struct pbuf *p, struct netif *netif)
{
	const struct ip6_hdr *ip = p->payload;
	ip_addr_t from = {.type = IPADDR_TYPE_V6}, to = {.type = IPADDR_TYPE_V6};

	net_demux_restore();
	if (p->len < IP6_HLEN || IP6H_NEXTH(ip) != IP6_NEXTH_TCP)
		return 0;
	net_time_wait_ip6(p, netif);
	if (!tcp_active_pcbs || p->len < IP6_HLEN + TCP_HLEN)
		return 0;
	memcpy(ip_2_ip6(&from)->addr, &ip->src, 16);
	memcpy(ip_2_ip6(&to)->addr, &ip->dest, 16);
	/* Those of a link have a zone, in lwIP. */
	if (!ip6_addr_islinklocal(ip_2_ip6(&from)) && !ip6_addr_islinklocal(ip_2_ip6(&to)))
		find(&from, &to, (const void *)(ip + 1));
	return 0;
}
