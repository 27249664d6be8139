/* SPDX-License-Identifier: Apache-2.0 */
/*
 * icmp.c: errors that come as ICMP messages, to the sockets whose packets they are about. lwIP
 * does nothing with them; a raw pcb of ours looks at what comes, and leaves it to others.
 * RFC 792, RFC 4443; which errno a code is: Linux, net/ipv4/icmp.c, icmp_err_convert.
 */
#include "inet.h"

#include "lwip/raw.h"

#define HEADERS 48 /* of the packet that came back: an IPv6 header and eight bytes */

struct quoted {
	uint8_t protocol;
	ip_addr_t to;
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

static u8_t came4(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	uint16_t head = (uint16_t)(IPH_HL_BYTES(ip4_current_header()) + 8);
	uint8_t icmp[2], ip[HEADERS];
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
	if (!error || n < 20 || at + 8 > n)
		return 0;
	q.protocol = ip[9];
	IP_SET_TYPE_VAL(q.to, IPADDR_TYPE_V4);
	memcpy(&ip_2_ip4(&q.to)->addr, ip + 16, 4);
	ports(&q, ip + at);
	report(&q, error, hard);
	return 0;
}

/* Types 1 to 4 are errors; of them only unreachable is one that a socket hears of. */
static u8_t came6(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	static const uint8_t errors[] = {ENETUNREACH,  EACCES, EHOSTUNREACH, EHOSTUNREACH,
					 ECONNREFUSED, EACCES, EACCES};
	uint16_t head = ip_current_header_tot_len();
	uint8_t icmp[2], ip[HEADERS];
	struct quoted q = {0};

	if (pbuf_copy_partial(p, icmp, sizeof(icmp), head) < sizeof(icmp) || icmp[0] != 1 ||
	    icmp[1] >= sizeof(errors))
		return 0;
	if (pbuf_copy_partial(p, ip, sizeof(ip), head + 8) < 48)
		return 0;
	q.protocol = ip[6];
	IP_SET_TYPE_VAL(q.to, IPADDR_TYPE_V6);
	memcpy(ip_2_ip6(&q.to)->addr, ip + 24, 16);
	ip6_addr_assign_zone(ip_2_ip6(&q.to), IP6_UNKNOWN, ip_current_input_netif());
	ports(&q, ip + 40);
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
