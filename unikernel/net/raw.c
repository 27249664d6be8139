/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.c: SOCK_RAW of any IP protocol (raw(7), RFC 3542), and SOCK_DGRAM over ICMP: "ping
 * sockets" (icmp(7)), which send echo requests and get the answers to their own.
 */
#include "inet.h"

#include "lwip/inet_chksum.h"
#include "lwip/raw.h"

/* linux/icmp.h and icmpv6.h want libc's sys/socket.h. */
#define ICMP_ECHOREPLY      0
#define ICMP_ECHO           8
#define ICMP_FILTER         1 /* options */
#define ICMPV6_FILTER       1
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY   129

struct echo {
	uint8_t type, code;
	uint16_t checksum, id, sequence;
};

#define SOL_RAW_LEVEL 255
#define RAW_MAX       65535u

struct raw_sock {
	struct dgram_sock d;
	struct raw_pcb *pcb;
	bool ping;
	uint32_t filter;     /* ICMP_FILTER: a bit for each type that is not wanted */
	uint32_t filter6[8]; /* ICMPV6_FILTER */
};

static struct raw_sock *raw_of(struct sock *s)
{
	return (struct raw_sock *)s;
}

static bool is_v6(const struct raw_sock *r)
{
	return r->d.i.s.family == AF_INET6;
}

/* ---- receiving ---- */

static bool unwanted(const struct raw_sock *r, const struct pbuf *p, uint16_t head)
{
	uint16_t type = pbuf_get_at(p, head);

	if (is_v6(r))
		return r->pcb->protocol == IPPROTO_ICMPV6 &&
		       r->filter6[type >> 5] >> (type & 31) & 1;
	return r->pcb->protocol == IPPROTO_ICMP && type < 32 && r->filter >> type & 1;
}

static bool is_reply(const struct raw_sock *r, const struct pbuf *p, uint16_t head)
{
	uint16_t id = (uint16_t)(pbuf_get_at(p, (uint16_t)(head + 4)) << 8 |
				 pbuf_get_at(p, (uint16_t)(head + 5)));

	return pbuf_get_at(p, head) == (is_v6(r) ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY) &&
	       id == r->d.i.local_port;
}

/* Every socket gets a copy, and the protocol itself the packet. */
static u8_t raw_came(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	struct raw_sock *r = arg;
	uint16_t head = ip_current_header_tot_len();
	struct pbuf *copy;

	if (!is_v6(r))
		head = IPH_HL_BYTES(ip4_current_header());
	if (head > p->tot_len || unwanted(r, p, head) || (r->ping && !is_reply(r, p, head)))
		return 0;
	copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	if (!copy)
		return 0;
	if (r->ping || is_v6(r)) /* the header is IPv4's custom */
		pbuf_remove_header(copy, head);
	dgram_put(&r->d, copy, from, 0);
	return 0;
}

/* ---- names ---- */

/* The identifier of a ping socket's requests; 0: any. */
static void ping_take(struct raw_sock *r, uint16_t id)
{
	r->d.i.local_port = id ? id : (uint16_t)(net_random() | 1);
}

static long raw_sock_bind(struct sock *s, const struct sock_address *at)
{
	struct raw_sock *r = raw_of(s);
	ip_addr_t ip;
	uint16_t port;
	long e = inet_parse(&r->d.i, at, &ip, &port);

	if (!e && IP_IS_V4(&ip) && is_v6(r))
		e = -EADDRNOTAVAIL;
	if (!e)
		e = inet_check_local(&r->d.i, &ip);
	if (!e && r->ping && r->d.i.local_port)
		e = -EINVAL;
	if (e)
		return e;
	if (r->ping)
		ping_take(r, port);
	r->d.i.local = ip;
	r->d.i.fixed_address = !ip_addr_isany(&ip);
	raw_bind(r->pcb, &ip);
	return 0;
}

static long raw_sock_connect(struct sock *s, const struct sock_address *to)
{
	struct raw_sock *r = raw_of(s);
	const ip_addr_t *source;
	ip_addr_t ip;
	uint16_t port;
	long e;

	if (to->bytes < sizeof(to->family))
		return -EINVAL;
	if (to->family == AF_UNSPEC) {
		r->d.connected = false;
		r->d.i.remote_port = 0;
		raw_disconnect(r->pcb);
		s->ops->tuned(s);
		return 0;
	}
	e = inet_parse(&r->d.i, to, &ip, &port);
	if (e)
		return e;
	inet_loopback_if_any(&ip);
	e = inet_check_peer(&r->d.i, &ip, &source);
	if (e)
		return e;
	if (r->ping && !r->d.i.local_port)
		ping_take(r, 0);
	if (ip_addr_isany(&r->d.i.local)) {
		r->d.i.local = *source;
		raw_bind(r->pcb, &r->d.i.local);
	}
	raw_connect(r->pcb, &ip);
	r->d.i.remote = r->pcb->remote_ip;
	r->d.i.remote_port = port;
	r->d.connected = true;
	return 0;
}

/* ---- sending ---- */

/* An echo request of ours: its identifier is the socket's. */
static long ping_check(struct raw_sock *r, struct pbuf *p)
{
	struct echo *h = p->payload;

	if (p->len < sizeof(*h))
		return -EINVAL;
	if (h->type != (is_v6(r) ? ICMPV6_ECHO_REQUEST : ICMP_ECHO) || h->code)
		return -EINVAL;
	if (!r->d.i.local_port)
		ping_take(r, 0);
	h->id = lwip_htons(r->d.i.local_port);
	h->checksum = 0;
	if (!is_v6(r))
		h->checksum = inet_chksum(p->payload, p->len);
	return 0;
}

/* IP_HDRINCL: what raw(7) says that the kernel fills in. */
static long fill_header(struct pbuf *p, const struct dgram_target *t)
{
	static uint16_t id;
	struct ip_hdr *h = p->payload;

	if (p->len < IP_HLEN || IPH_HL_BYTES(h) < IP_HLEN || IPH_HL_BYTES(h) > p->len)
		return -EINVAL;
	IPH_LEN_SET(h, lwip_htons(p->tot_len));
	if (!h->src.addr)
		h->src.addr = ip_2_ip4(&t->source)->addr;
	if (!IPH_ID(h))
		IPH_ID_SET(h, lwip_htons(++id));
	IPH_CHKSUM_SET(h, 0);
	IPH_CHKSUM_SET(h, inet_chksum(h, IPH_HL_BYTES(h)));
	return 0;
}

/* lwIP sums up what it finds there, too. */
static long clear_checksum(struct pbuf *p, uint32_t offset)
{
	if (p->len < offset + 2)
		return -EINVAL;
	memset((uint8_t *)p->payload + offset, 0, 2);
	return 0;
}

static long raw_sock_send(struct sock *s, struct sock_msg *m)
{
	struct raw_sock *r = raw_of(s);
	struct dgram_target t;
	struct pbuf *p;
	err_t e;
	long ret;

	if (m->bytes > RAW_MAX)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	ret = dgram_target(&r->d, m, &t);
	if (ret)
		return ret;
	if (IP_IS_V4(&t.to) && is_v6(r))
		return -EINVAL;
	if (s->error)
		return sock_take_error(s);
	if (s->write_shut)
		return -EPIPE;
	ret = dgram_take_in(m, RAW_MAX - (is_v6(r) ? IP6_HLEN : IP_HLEN), &p);
	if (ret)
		return ret;
	if (r->ping)
		ret = ping_check(r, p);
	else if (r->pcb->flags & RAW_FLAGS_HDRINCL)
		ret = fill_header(p, &t);
	else if (is_v6(r) && r->pcb->chksum_reqd)
		ret = clear_checksum(p, r->pcb->chksum_offset);
	if (ret) {
		pbuf_free(p);
		return ret;
	}
	if (t.ttl >= 0)
		r->pcb->ttl = r->pcb->mcast_ttl = (uint8_t)t.ttl;
	if (t.tos >= 0)
		r->pcb->tos = (uint8_t)t.tos;
	e = raw_sendto_if_src(r->pcb, p, &t.to, t.netif, &t.source);
	pbuf_free(p);
	if (t.ttl >= 0 || t.tos >= 0)
		s->ops->tuned(s);
	return e == ERR_OK || e == ERR_MEM ? (long)m->bytes : inet_errno(e);
}

/* ---- options ---- */

static void raw_tuned(struct sock *s)
{
	struct raw_sock *r = raw_of(s);
	struct inet_sock *i = &r->d.i;

	if (s->broadcast)
		ip_set_option(r->pcb, SOF_BROADCAST);
	else
		ip_reset_option(r->pcb, SOF_BROADCAST);
	r->pcb->netif_idx = (uint8_t)s->bound_if;
	r->pcb->ttl = (uint8_t)(s->ttl < 0 ? RAW_TTL : s->ttl);
	r->pcb->tos = (uint8_t)uk_max(s->tos, 0);
	r->pcb->mcast_ttl = (uint8_t)i->multicast_ttl;
	r->pcb->mcast_ifindex = (uint8_t)i->multicast_if;
	if (i->multicast_loop)
		raw_set_flags(r->pcb, RAW_FLAGS_MULTICAST_LOOP);
	else
		raw_clear_flags(r->pcb, RAW_FLAGS_MULTICAST_LOOP);
	if (i->header_included || r->pcb->protocol == IPPROTO_RAW)
		raw_set_flags(r->pcb, RAW_FLAGS_HDRINCL);
	else
		raw_clear_flags(r->pcb, RAW_FLAGS_HDRINCL);
}

/* IPV6_CHECKSUM: where the checksum of what is sent goes; -1: nowhere. */
static long set_checksum(struct raw_sock *r, int at)
{
	if (r->pcb->protocol == IPPROTO_ICMPV6 || (at > 0 && at & 1) || at > 0xfffe)
		return -EINVAL;
	r->pcb->chksum_reqd = at >= 0;
	r->pcb->chksum_offset = (uint16_t)uk_max(at, 0);
	return 0;
}

static bool is_filter(const struct raw_sock *r, int level, int name)
{
	if (is_v6(r))
		return level == IPPROTO_ICMPV6 && name == ICMPV6_FILTER;
	return level == SOL_RAW_LEVEL && name == ICMP_FILTER && r->pcb->protocol == IPPROTO_ICMP;
}

static long raw_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes)
{
	struct raw_sock *r = raw_of(s);

	if (is_filter(r, level, name)) {
		void *filter = is_v6(r) ? (void *)r->filter6 : &r->filter;

		memcpy(filter, val, uk_min(bytes, is_v6(r) ? sizeof(r->filter6) : 4u));
		return 0;
	}
	if (is_v6(r) && !r->ping && name == IPV6_CHECKSUM &&
	    (level == IPPROTO_IPV6 || level == SOL_RAW_LEVEL))
		return bytes < sizeof(int) ? -EINVAL : set_checksum(r, *(const int *)val);
	return inet_setopt(s, level, name, val, bytes);
}

static long raw_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes)
{
	struct raw_sock *r = raw_of(s);

	if (!is_filter(r, level, name))
		return inet_getopt(s, level, name, val, bytes);
	*bytes = uk_min(*bytes, is_v6(r) ? (uint32_t)sizeof(r->filter6) : 4u);
	memcpy(val, is_v6(r) ? (void *)r->filter6 : &r->filter, *bytes);
	return 0;
}

static void raw_sock_close(struct sock *s)
{
	raw_remove(raw_of(s)->pcb);
	dgram_fini(dgram_of(s));
	uk_free(s);
}

static const struct sock_ops raw_ops = {
	.bind = raw_sock_bind,
	.connect = raw_sock_connect,
	.send = raw_sock_send,
	.recv = dgram_recv,
	.shutdown = dgram_shutdown,
	.name = inet_name,
	.setopt = raw_setopt,
	.getopt = raw_getopt,
	.ioctl = dgram_ioctl,
	.poll = dgram_poll,
	.close = raw_sock_close,
	.tuned = raw_tuned,
};

long raw_socket(uint16_t family, uint16_t type, uint16_t protocol, struct sock **s)
{
	struct raw_sock *r;

	if (protocol > 255)
		return -EPROTONOSUPPORT;
	r = uk_alloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	inet_init(&r->d.i, &raw_ops, family, type, protocol);
	r->d.i.s.only_v6 = family == AF_INET6; /* there are no mapped addresses here */
	IP_SET_TYPE_VAL(r->d.i.local, inet_type(&r->d.i));
	dgram_init(&r->d);
	r->ping = type == SOCK_DGRAM;
	if (!r->ping)
		r->d.i.local_port = protocol; /* getsockname shows it */
	r->pcb = raw_new_ip_type(inet_type(&r->d.i), (uint8_t)protocol);
	if (!r->pcb) {
		uk_free(r);
		return -ENOBUFS;
	}
	r->pcb->chksum_reqd = protocol == IPPROTO_ICMPV6;
	r->pcb->chksum_offset = 2; /* RFC 4443 */
	raw_recv(r->pcb, raw_came, r);
	*s = &r->d.i.s;
	raw_tuned(*s);
	return 0;
}
