/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gro.c: segments of one connection that came one behind the other go to lwIP as one.
 *
 * Most of what a segment costs is not its bytes: a pass through lwIP, a wake-up of the socket,
 * half an acknowledgement. So of what lies in the RX ring, consecutive data of a connection is
 * chained, under the first one's headers (what Linux calls generic receive offload). Nothing is
 * kept back for it: what is left at the end of a batch is passed on.
 */
#include "lwip/inet_chksum.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"

#include "lwip_hooks.h"
#include "stack.h"

#define ETH_BYTES    14u
#define MAX_SEGMENTS 16u    /* an acknowledgement for so many is often enough for the sender */
#define MAX_BYTES    40000u /* of a chain: lwIP counts in 16 bits */

/* Where things are in a frame that may be merged. */
struct segment {
	const uint8_t *frame;
	uint32_t head; /* bytes before the data */
	uint32_t data;
	uint32_t sequence;
	bool v6, pushed;
};

static struct {
	struct net_iface *iface;
	struct pbuf *p; /* NULL: none */
	struct segment s;
	uint32_t next; /* sequence number that would follow */
	uint32_t count;
} held;

/* lwIP is looking at more than one: more than one would be acknowledged at once. */
static bool many;

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static const uint8_t *tcp_of(const struct segment *s)
{
	return s->frame + ETH_BYTES + (s->v6 ? 40 : 20);
}

/* Plain data: no flags but ACK and PSH, no IP options, all there, nothing behind it. */
static bool parse(const struct pbuf *p, struct segment *s)
{
	const uint8_t *ip = (const uint8_t *)p->payload + ETH_BYTES, *tcp;
	uint32_t type, bytes;

	if (p->len < ETH_BYTES + 60)
		return false;
	s->frame = p->payload;
	type = be16(s->frame + 12);
	s->v6 = type == ETHTYPE_IPV6;
	if (s->v6) {
		if (ip[6] != IP_PROTO_TCP)
			return false;
		bytes = 40 + be16(ip + 4);
	} else {
		if (type != ETHTYPE_IP || ip[0] != 0x45 || ip[9] != IP_PROTO_TCP ||
		    (be16(ip + 6) & (IP_MF | IP_OFFMASK)))
			return false;
		bytes = be16(ip + 2);
	}
	tcp = tcp_of(s);
	s->head = (uint32_t)(tcp - s->frame) + (tcp[12] >> 4) * 4u;
	s->pushed = tcp[13] & TCP_PSH;
	s->sequence = be16(tcp + 4) << 16 | be16(tcp + 6);
	if (bytes + ETH_BYTES != p->tot_len || (tcp[12] >> 4) < 5 || s->head >= p->tot_len ||
	    s->head > p->len || (tcp[13] & ~TCP_PSH) != TCP_ACK)
		return false;
	s->data = p->tot_len - s->head;
	return true;
}

/* The checksums that lwIP would look at; of several segments it cannot. */
static bool check(struct pbuf *p, const struct segment *s, bool good)
{
	const uint8_t *ip = s->frame + ETH_BYTES;
	uint32_t before = ETH_BYTES + (s->v6 ? 40 : 20);
	ip_addr_t from, to;
	u16_t sum;

	if (!s->v6 && inet_chksum(ip, 20))
		return false;
	if (good)
		return true;
	if (s->v6) {
		ip_addr_copy_from_ip6_packed(from, *(const ip6_addr_p_t *)(ip + 8));
		ip_addr_copy_from_ip6_packed(to, *(const ip6_addr_p_t *)(ip + 24));
	} else {
		ip4_addr_t a;

		memcpy(&a, ip + 12, 4);
		ip_addr_copy_from_ip4(from, a);
		memcpy(&a, ip + 16, 4);
		ip_addr_copy_from_ip4(to, a);
	}
	pbuf_remove_header(p, before);
	sum = ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, &from, &to);
	pbuf_add_header_force(p, before);
	return !sum;
}

/* All that stands in front of the data is alike, but for what tells one from the next. */
static bool follows(const struct net_iface *iface, const struct segment *s)
{
	const uint8_t *a, *b = tcp_of(s);
	uint32_t ip = ETH_BYTES + (s->v6 ? 8 : 12);

	if (!held.p)
		return false;
	a = tcp_of(&held.s);
	return held.iface == iface && held.s.v6 == s->v6 && held.s.head == s->head &&
	       held.next == s->sequence && held.count < MAX_SEGMENTS &&
	       held.p->tot_len + s->data <= MAX_BYTES &&
	       /* Ethernet addresses, type, TOS or flow label, hop limit */
	       !memcmp(held.s.frame, s->frame, ETH_BYTES + 2) &&
	       (s->v6 ? !memcmp(held.s.frame + ETH_BYTES, s->frame + ETH_BYTES, 4) &&
				held.s.frame[ETH_BYTES + 7] == s->frame[ETH_BYTES + 7]
		      : held.s.frame[ETH_BYTES + 8] == s->frame[ETH_BYTES + 8]) &&
	       /* IP addresses, ports */
	       !memcmp(held.s.frame + ip, s->frame + ip, (s->v6 ? 32u : 8u) + 4u) &&
	       /* acknowledgement, header length; window; options */
	       !memcmp(a + 8, b + 8, 5) && !memcmp(a + 14, b + 14, 2) &&
	       !memcmp(a + 20, b + 20, (b[12] >> 4) * 4u - 20u);
}

void net_gro_flush(void)
{
	struct pbuf *p = held.p;
	uint8_t *ip;

	if (!p)
		return;
	ip = (uint8_t *)held.s.frame + ETH_BYTES;
	held.p = NULL;
	if (held.count > 1 && held.s.v6) {
		put16(ip + 4, p->tot_len - ETH_BYTES - 40u);
	} else if (held.count > 1) {
		u16_t sum;

		put16(ip + 2, p->tot_len - ETH_BYTES);
		put16(ip + 10, 0);
		sum = inet_chksum(ip, 20);
		memcpy(ip + 10, &sum, 2);
	}
	many = held.count > 1;
	net_stack_input(held.iface, p, true);
	many = false;
}

void net_gro_input(struct net_iface *iface, struct pbuf *p, bool good)
{
	struct segment s;

	if (!parse(p, &s) || !check(p, &s, good)) {
		net_gro_flush();
		net_stack_input(iface, p, good);
		return;
	}
	if (follows(iface, &s)) {
		uint8_t *flags = (uint8_t *)tcp_of(&held.s) + 13;

		*flags |= s.pushed ? TCP_PSH : 0;
		pbuf_remove_header(p, s.head);
		pbuf_cat(held.p, p);
		held.next += s.data;
		held.count++;
	} else {
		net_gro_flush();
		held.iface = iface;
		held.p = p;
		held.s = s;
		held.next = s.sequence + s.data;
		held.count = 1;
	}
	/* The sender has no more for now, or this was the end of something. */
	if (s.pushed || s.data < held.s.data)
		net_gro_flush();
}

void net_gro_tcp_input(struct tcp_pcb *pcb)
{
	/* What listens has no flags: it is a smaller struct, and something else is there. */
	if (many && pcb->state > LISTEN)
		tcp_set_flags(pcb, TF_ACK_DELAY);
}
