/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dgram.c: what UDP and raw sockets have in common: a queue of received datagrams with what is
 * known of each, and where those that are sent go.
 */
#include <asm/ioctls.h>
#include <asm/socket.h>
#include <linux/ipv6.h>
#include <linux/sockios.h>

#include "inet.h"

#define OVERHEAD  768u /* what a datagram counts beside its bytes: Linux's truesize, about */
#define SPARE_MAX 256

static struct dgram *spare; /* freed ones, a few */
static uint32_t nspare;

void dgram_init(struct dgram_sock *d)
{
	d->last = &d->first;
}

static void dgram_free(struct dgram *g)
{
	if (g->p)
		pbuf_free(g->p);
	if (nspare >= SPARE_MAX) {
		uk_free(g);
		return;
	}
	g->next = spare;
	spare = g;
	nspare++;
}

static struct dgram *dgram_new(void)
{
	struct dgram *g = spare;

	if (!g)
		return uk_alloc(sizeof(*g));
	spare = g->next;
	nspare--;
	memset(g, 0, sizeof(*g));
	return g;
}

static struct dgram *take_first(struct dgram_sock *d)
{
	struct dgram *g = d->first;

	d->first = g->next;
	if (!d->first)
		d->last = &d->first;
	d->queued -= g->p->tot_len + OVERHEAD;
	return g;
}

void dgram_fini(struct dgram_sock *d)
{
	while (d->first)
		dgram_free(take_first(d));
	inet_fini(&d->i);
}

void dgram_put(struct dgram_sock *d, struct pbuf *p, const ip_addr_t *from, uint16_t port)
{
	struct dgram *g = NULL;

	if (d->queued < d->i.s.receive_bytes && !d->i.s.read_shut)
		g = dgram_new();
	if (!g) {
		pbuf_free(p);
		return;
	}
	g->p = p;
	g->from = *from;
	g->from_port = port;
	ip_addr_copy(g->to, *ip_current_dest_addr());
	g->index = netif_get_index(ip_current_input_netif());
	if (ip_current_is_v6()) {
		g->ttl = IP6H_HOPLIM(ip6_current_header());
		g->tos = (uint8_t)IP6H_TC(ip6_current_header());
	} else {
		g->ttl = IPH_TTL(ip4_current_header());
		g->tos = IPH_TOS(ip4_current_header());
	}
	if (d->i.s.timestamps)
		g->time_ns = uk_realtime_ns();
	*d->last = g;
	d->last = &g->next;
	d->queued += p->tot_len + OVERHEAD;
	sock_ready(&d->i.s, SOCK_IN);
}

/* ---- receiving ---- */

static void control6(struct dgram_sock *d, const struct dgram *g, struct sock_msg *m)
{
	int ttl = g->ttl, tos = g->tos;

	if (d->i.packet_info) {
		struct in6_pktinfo info = {.ipi6_ifindex = (int)g->index};
		struct sock_address at;

		inet_format(&d->i, &g->to, 0, &at);
		memcpy(&info.ipi6_addr, at.raw + offsetof(struct sockaddr_in6, sin6_addr), 16);
		sock_put_cmsg(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
	if (d->i.receive_ttl)
		sock_put_cmsg(m, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof(ttl));
	if (d->i.receive_tos)
		sock_put_cmsg(m, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	if (d->i.receive_old_ttl)
		sock_put_cmsg(m, IPPROTO_IPV6, IPV6_2292HOPLIMIT, &ttl, sizeof(ttl));
}

static void control4(struct dgram_sock *d, const struct dgram *g, struct sock_msg *m)
{
	int ttl = g->ttl;

	if (d->i.packet_info) {
		struct in_pktinfo info = {.ipi_ifindex = (int)g->index};

		info.ipi_addr.s_addr = info.ipi_spec_dst.s_addr = ip_2_ip4(&g->to)->addr;
		if (ip_addr_ismulticast(&g->to) ||
		    ip_addr_isbroadcast(&g->to, netif_get_by_index((uint8_t)g->index))) {
			struct netif *netif = netif_get_by_index((uint8_t)g->index);

			info.ipi_spec_dst.s_addr = netif ? netif_ip4_addr(netif)->addr : 0;
		}
		sock_put_cmsg(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
	if (d->i.receive_ttl)
		sock_put_cmsg(m, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	if (d->i.receive_tos)
		sock_put_cmsg(m, IPPROTO_IP, IP_TOS, &g->tos, sizeof(g->tos));
}

static void control_out(struct dgram_sock *d, const struct dgram *g, struct sock_msg *m)
{
	if (d->i.s.timestamps) {
		uint64_t ns = g->time_ns ? g->time_ns : uk_realtime_ns();
		bool fine = d->i.s.timestamps_ns;
		int64_t t[2] = {(int64_t)(ns / 1000000000u),
				(int64_t)(ns % 1000000000u / (fine ? 1 : 1000))};

		sock_put_cmsg(m, SOL_SOCKET, fine ? SO_TIMESTAMPNS_OLD : SO_TIMESTAMP_OLD, t,
			      sizeof(t));
	}
	if (d->i.s.family == AF_INET6)
		control6(d, g, m);
	else
		control4(d, g, m);
}

/* The pbuf chain's bytes into the message: count or -EFAULT. */
static long copy_out(const struct sock_msg *m, const struct pbuf *p, size_t bytes)
{
	size_t done = 0;

	for (; p && done < bytes; p = p->next) {
		size_t n = uk_min(p->len, bytes - done);

		if (sock_copy_out(m, done, p->payload, n) < 0)
			return -EFAULT;
		done += n;
	}
	return (long)done;
}

long dgram_recv(struct sock *s, struct sock_msg *m)
{
	struct dgram_sock *d = dgram_of(s);
	struct dgram *g = d->first;
	bool peek = m->flags & MSG_PEEK;
	long r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->flags & MSG_ERRQUEUE) /* errors come by errno alone */
		return -EAGAIN;
	if (s->error)
		return sock_take_error(s);
	if (!g)
		return s->read_shut ? 0 : -EAGAIN;
	if (!peek)
		take_first(d);
	r = copy_out(m, g->p, uk_min(m->bytes, g->p->tot_len));
	if (r >= 0) {
		if (g->p->tot_len > m->bytes) {
			m->out_flags |= MSG_TRUNC;
			if (m->flags & MSG_TRUNC)
				r = g->p->tot_len;
		}
		inet_format(&d->i, &g->from, g->from_port, &m->name);
		control_out(d, g, m);
	}
	if (!peek)
		dgram_free(g);
	return r;
}

uint32_t dgram_poll(struct sock *s)
{
	struct dgram_sock *d = dgram_of(s);
	uint32_t events = POLLOUT | POLLWRNORM | POLLWRBAND; /* there is no queue of sent ones */

	if (s->error)
		events |= POLLERR;
	if (s->read_shut)
		events |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (s->read_shut && s->write_shut)
		events |= POLLHUP;
	if (d->first)
		events |= POLLIN | POLLRDNORM;
	return events;
}

long dgram_ioctl(struct sock *s, uint32_t cmd, uint64_t arg)
{
	struct dgram_sock *d = dgram_of(s);
	int n;

	switch (cmd) {
	case FIONREAD: /* of the first datagram */
		n = d->first ? d->first->p->tot_len : 0;
		break;
	case TIOCOUTQ:
		n = 0;
		break;
	default:
		return -ENOTTY;
	}
	return uk_copy_out(arg, &n, sizeof(n));
}

long dgram_shutdown(struct sock *s, int how)
{
	s->read_shut |= how != SHUT_WR;
	s->write_shut |= how != SHUT_RD;
	sock_changed(s);
	return dgram_of(s)->connected ? 0 : -ENOTCONN;
}

/* ---- sending ---- */

long dgram_take_in(const struct sock_msg *m, size_t max, struct pbuf **p)
{
	if (m->bytes > max)
		return -EMSGSIZE;
	*p = pbuf_alloc(PBUF_TRANSPORT, (uint16_t)m->bytes, PBUF_RAM);
	if (!*p)
		return -ENOBUFS;
	if (sock_copy_in(m, 0, (*p)->payload, m->bytes) < 0) {
		pbuf_free(*p);
		return -EFAULT;
	}
	return 0;
}

/* Control messages that say how this one is sent: ip(7), ipv6(7), RFC 3542. */
static long control_in(struct inet_sock *i, const struct sock_msg *m, struct dgram_target *t)
{
	for (const struct sock_cmsg *c = NULL; (c = sock_next_cmsg(m, c));) {
		size_t bytes = c->bytes - sizeof(*c);
		int value = 0;

		memcpy(&value, c->data, uk_min(bytes, sizeof(value)));
		if (c->level == IPPROTO_IP && c->type == IP_PKTINFO) {
			struct in_pktinfo info;

			if (bytes < sizeof(info))
				return -EINVAL;
			memcpy(&info, c->data, sizeof(info));
			if (info.ipi_ifindex)
				t->netif = netif_get_by_index((uint8_t)info.ipi_ifindex);
			if (info.ipi_spec_dst.s_addr)
				ip_addr_set_ip4_u32_val(t->source, info.ipi_spec_dst.s_addr);
		} else if (c->level == IPPROTO_IPV6 && c->type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			struct sock_address at = {.bytes = sizeof(struct sockaddr_in6)};
			struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
			uint16_t port;

			if (bytes < sizeof(info))
				return -EINVAL;
			memcpy(&info, c->data, sizeof(info));
			if (info.ipi6_ifindex)
				t->netif = netif_get_by_index((uint8_t)info.ipi6_ifindex);
			in6.sin6_addr = info.ipi6_addr;
			in6.sin6_scope_id = (uint32_t)info.ipi6_ifindex;
			memcpy(at.raw, &in6, sizeof(in6));
			inet_parse(i, &at, &t->source, &port);
		} else if ((c->level == IPPROTO_IP && c->type == IP_TTL) ||
			   (c->level == IPPROTO_IPV6 && c->type == IPV6_HOPLIMIT)) {
			if (value < -1 || value > 255 || (!value && c->level == IPPROTO_IP))
				return -EINVAL;
			t->ttl = (int16_t)value;
		} else if ((c->level == IPPROTO_IP && c->type == IP_TOS) ||
			   (c->level == IPPROTO_IPV6 && c->type == IPV6_TCLASS)) {
			if (value < -1 || value > 255)
				return -EINVAL;
			t->tos = (int16_t)value;
		} else if (c->level == IPPROTO_IP || c->level == IPPROTO_IPV6) {
			return -EINVAL;
		}
	}
	return 0;
}

long dgram_target(struct dgram_sock *d, const struct sock_msg *m, struct dgram_target *t)
{
	const ip_addr_t *source;
	struct netif *netif;
	long r;

	memset(t, 0, sizeof(*t));
	t->ttl = t->tos = -1;
	if (m->name.bytes) {
		r = inet_parse(&d->i, &m->name, &t->to, &t->port);
		/* AF_UNSPEC is an old program's AF_INET. */
		if (r == -EAFNOSUPPORT && m->name.family == AF_UNSPEC && d->i.s.family == AF_INET) {
			struct sock_address at = m->name;

			at.family = AF_INET;
			r = inet_parse(&d->i, &at, &t->to, &t->port);
		}
		if (r)
			return r;
		if (IP_IS_V4(&t->to) && d->i.s.only_v6)
			return -ENETUNREACH;
		inet_loopback_if_any(&t->to);
	} else {
		if (!d->connected)
			return -EDESTADDRREQ;
		t->to = d->i.remote;
		t->port = d->i.remote_port;
	}
	if (m->control_bytes) {
		r = control_in(&d->i, m, t);
		if (r)
			return r;
	}
	netif = t->netif;
	r = inet_check_peer(&d->i, &t->to, &source);
	if (r && !((r == -ENETUNREACH || r == -EAGAIN) && netif))
		return r;
	if (!netif)
		netif = inet_route(&d->i, &t->to, &source);
	else
		source = ip_netif_get_local_ip(netif, &t->to);
	if (!netif || !source)
		return -ENETUNREACH;
	t->netif = netif;
	/* A source that control_in found keeps. */
	if (ip_addr_isany(&t->source) || IP_GET_TYPE(&t->source) != IP_GET_TYPE(&t->to))
		t->source = *source;
	return 0;
}
