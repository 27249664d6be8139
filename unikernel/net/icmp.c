/* SPDX-License-Identifier: Apache-2.0 */
/*
 * icmp.c: errors that come as ICMP messages, to the sockets whose packets they are about. lwIP
 * does nothing with them; a raw pcb of ours looks at what comes, and leaves it to others. But for
 * a packet that was too large: of that lwIP must hear nothing (pmtu.c).
 * RFC 792, RFC 4443; which errno a code is: Linux, net/ipv4/icmp.c, icmp_err_convert.
 */
#include "inet.h"

#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/prot/icmp6.h"
#include "lwip/raw.h"

#include "stack.h"

#define HEADERS 48 /* of the packet that came back: an IPv6 header and eight bytes */

struct quoted {
	uint8_t protocol;
	ip_addr_t from, to;
	uint16_t local_port, port;
	uint32_t sequence; /* TCP's */
};

static uint16_t be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* What both protocols' headers begin with, and TCP's has behind it. */
static void ports(struct quoted *q, const uint8_t *at)
{
	q->local_port = be16(at);
	q->port = be16(at + 2);
	q->sequence = (uint32_t)be16(at + 4) << 16 | be16(at + 6);
}

static void report(const struct quoted *q, int error, bool hard)
{
	if (q->protocol == IPPROTO_UDP)
		udp_failed(&q->to, q->port, q->local_port, error, hard);
	else if (q->protocol == IPPROTO_TCP)
		tcp_failed(&q->to, q->port, q->local_port, q->sequence, error);
}

/*
 * A packet was too large for some link, whose MTU is this. Whoever cannot quote one of ours that
 * is under way is not believed (RFC 5927, 7.2): for TCP that is its sequence number. Linux, too,
 * tells a connected UDP socket.
 */
static void too_big(const struct quoted *q, uint32_t mtu)
{
	if (q->protocol == IPPROTO_TCP &&
	    tcp_is_under_way(&q->from, q->local_port, &q->to, q->port, q->sequence)) {
		net_pmtu_told(&q->to, mtu);
	} else if (q->protocol == IPPROTO_UDP &&
		   udp_has_sent(&q->from, q->local_port, &q->to, q->port)) {
		if (net_pmtu_told(&q->to, mtu))
			udp_failed(&q->to, q->port, q->local_port, EMSGSIZE, true);
	} else if (q->protocol != IPPROTO_TCP && q->protocol != IPPROTO_UDP && IP_IS_V6(&q->to)) {
		/* Answers to pings, fragments. IPv4's are cut by routers. */
		net_pmtu_told(&q->to, mtu);
	}
}

/* Type 3: 0, or the errno of a code. */
static int error4(uint8_t code, bool *hard)
{
	static const uint8_t errors[] = {
		ENETUNREACH,  EHOSTUNREACH, ENOPROTOOPT,  ECONNREFUSED, 0,
		EOPNOTSUPP,   ENETUNREACH,  EHOSTDOWN,    ENONET,       ENETUNREACH,
		EHOSTUNREACH, ENETUNREACH,  EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH,
		EHOSTUNREACH};

	*hard = code > 1 && code != 5 && code != 11 && code != 12;
	return code < uk_countof(errors) ? errors[code] : 0;
}

/* The checksum of the message, which lwIP has not looked at yet. */
static bool is_whole4(struct pbuf *p, uint16_t head)
{
	u16_t sum;

	pbuf_remove_header(p, head);
	sum = inet_chksum_pbuf(p);
	pbuf_add_header_force(p, head);
	return !sum;
}

static u8_t came4(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	uint16_t head = (uint16_t)(IPH_HL_BYTES(ip4_current_header()) + 8);
	uint8_t icmp[8], ip[HEADERS];
	struct quoted q = {0};
	uint32_t at;
	uint16_t n;
	bool hard;
	int error;

	if (pbuf_copy_partial(p, icmp, sizeof(icmp), head - 8) < sizeof(icmp) || icmp[0] != 3)
		return 0;
	error = error4(icmp[1], &hard);
	n = pbuf_copy_partial(p, ip, sizeof(ip), head);
	at = (ip[0] & 15u) * 4;
	if ((!error && icmp[1] != ICMP_DUR_FRAG) || n < 20 || at + 8 > n)
		return 0;
	q.protocol = ip[9];
	IP_SET_TYPE_VAL(q.from, IPADDR_TYPE_V4);
	memcpy(&ip_2_ip4(&q.from)->addr, ip + 12, 4);
	IP_SET_TYPE_VAL(q.to, IPADDR_TYPE_V4);
	memcpy(&ip_2_ip4(&q.to)->addr, ip + 16, 4);
	ports(&q, ip + at);
	if (icmp[1] != ICMP_DUR_FRAG)
		report(&q, error, hard);
	else if (!(be16(ip + 6) & IP_OFFMASK) && is_whole4(p, (uint16_t)(head - 8)))
		too_big(&q, be16(icmp + 6));
	return 0;
}

/* Type 2 is never left to lwIP, which believes everything. */
static u8_t came_too_big6(struct pbuf *p, const uint8_t *icmp, const struct quoted *q)
{
	uint32_t mtu = (uint32_t)be16(icmp + 4) << 16 | be16(icmp + 6);

	pbuf_remove_header(p, ip_current_header_tot_len());
	if (q && !ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, ip6_current_src_addr(),
				    ip6_current_dest_addr()))
		too_big(q, mtu);
	pbuf_free(p);
	return 1;
}

/* Types 1 to 4 are errors; of them a socket hears of unreachable, and pmtu.c of too big. */
static u8_t came6(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	static const uint8_t errors[] = {ENETUNREACH,  EACCES, EHOSTUNREACH, EHOSTUNREACH,
					 ECONNREFUSED, EACCES, EACCES};
	uint16_t head = ip_current_header_tot_len();
	uint8_t icmp[8] = {0}, ip[HEADERS];
	struct quoted q = {0};
	bool whole;

	pbuf_copy_partial(p, icmp, sizeof(icmp), head);
	if (icmp[0] != ICMP6_TYPE_PTB && (icmp[0] != ICMP6_TYPE_DUR || icmp[1] >= sizeof(errors)))
		return 0;
	whole = pbuf_copy_partial(p, ip, sizeof(ip), (uint16_t)(head + 8)) == sizeof(ip);
	if (whole) {
		q.protocol = ip[6];
		IP_SET_TYPE_VAL(q.from, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(&q.from)->addr, ip + 8, 16);
		ip6_addr_assign_zone(ip_2_ip6(&q.from), IP6_UNKNOWN, ip_current_input_netif());
		IP_SET_TYPE_VAL(q.to, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(&q.to)->addr, ip + 24, 16);
		ip6_addr_assign_zone(ip_2_ip6(&q.to), IP6_UNKNOWN, ip_current_input_netif());
		ports(&q, ip + 40);
	}
	if (icmp[0] == ICMP6_TYPE_PTB)
		return came_too_big6(p, icmp, whole ? &q : NULL);
	if (whole)
		report(&q, errors[icmp[1]], icmp[1] == 1 || icmp[1] >= 4);
	return 0;
}

void icmp_listen(void)
{
	static bool listening;
	struct raw_pcb *pcb;

	if (listening)
		return;
	listening = true;
	pcb = raw_new_ip_type(IPADDR_TYPE_V4, IPPROTO_ICMP);
	if (pcb) {
		raw_recv(pcb, came4, NULL);
		raw_bind(pcb, IP4_ADDR_ANY);
	}
	pcb = raw_new_ip_type(IPADDR_TYPE_V6, IPPROTO_ICMPV6);
	if (pcb) {
		raw_recv(pcb, came6, NULL);
		raw_bind(pcb, IP6_ADDR_ANY);
	}
}
