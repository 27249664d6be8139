/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.c: sockets of NETLINK_ROUTE (netlink(7)): requests are answered when they are sent,
 * the answers wait in the socket until they are received. Memberships in groups are kept, but
 * nothing is ever announced to them.
 */
#include <asm/ioctls.h>
#include <asm/poll.h>

#include "netlink.h"
#include "net.h"

#define SOL_NETLINK   270
#define NL_GROUPS_MAX 64u /* RTNLGRP_* there are, and some */
#define NL_SEND_MAX   0x10000u

struct netlink_sock {
	struct sock s;
	struct netlink_sock *next;
	bool bound;
	uint32_t port, peer; /* nl_pid */
	uint64_t groups;
	uint32_t options; /* bit per NETLINK_* option that is on or off */
	struct nl_datagram *first, *last;
	uint32_t held; /* bytes of the queue's datagrams */
};

static struct netlink_sock *sockets;

static struct netlink_sock *netlink_of(struct sock *s)
{
	return (struct netlink_sock *)s;
}

/* ---- messages ---- */

void nl_begin(struct nl_answer *a, uint16_t type, uint16_t flags, const void *body, uint32_t bytes)
{
	struct nl_datagram *d = a->last;
	uint32_t need = NLMSG_ALIGN(NLMSG_HDRLEN + bytes);

	a->message = NULL;
	/* 1 KiB: the longest message, RTM_NEWLINK, has less */
	if (!d || d->bytes + uk_max(need, 1024u) > sizeof(d->data)) {
		if (need > sizeof(d->data) || !(d = uk_alloc(sizeof(*d)))) {
			a->failed = true;
			return;
		}
		if (a->last)
			a->last->next = d;
		else
			a->first = d;
		a->last = d;
	}
	a->message = (void *)(d->data + d->bytes);
	a->message->nlmsg_len = NLMSG_HDRLEN + bytes;
	a->message->nlmsg_type = type;
	a->message->nlmsg_flags = flags;
	a->message->nlmsg_seq = a->request->nlmsg_seq;
	a->message->nlmsg_pid = a->port;
	memcpy(NLMSG_DATA(a->message), body, bytes);
	d->bytes += need;
}

void nl_attribute(struct nl_answer *a, uint16_t type, const void *value, uint32_t bytes)
{
	struct nl_datagram *d = a->last;
	struct nlattr *attr;

	if (!a->message)
		return;
	if (d->bytes + NLA_HDRLEN + NLA_ALIGN(bytes) > sizeof(d->data)) {
		a->failed = true;
		return;
	}
	attr = (void *)(d->data + d->bytes);
	attr->nla_len = (uint16_t)(NLA_HDRLEN + bytes);
	attr->nla_type = type;
	memcpy((uint8_t *)attr + NLA_HDRLEN, value, bytes);
	d->bytes += NLA_HDRLEN + NLA_ALIGN(bytes);
	a->message->nlmsg_len = (uint32_t)(d->data + d->bytes - (uint8_t *)a->message);
}

void nl_u32(struct nl_answer *a, uint16_t type, uint32_t value)
{
	nl_attribute(a, type, &value, sizeof(value));
}

/* NLMSG_ERROR: the request's header, and where it has failed all of it. */
static void acknowledge(struct nl_answer *a, long error, bool header_only)
{
	struct nlmsgerr *e;
	uint32_t bytes = sizeof(*e);

	if (error && !header_only)
		bytes += a->request->nlmsg_len - NLMSG_HDRLEN;
	e = uk_alloc(bytes);
	if (!e) {
		a->failed = true;
		return;
	}
	e->error = (int)error;
	memcpy(&e->msg, a->request, bytes - offsetof(struct nlmsgerr, msg));
	nl_begin(a, NLMSG_ERROR, error && !header_only ? 0 : NLM_F_CAPPED, e, bytes);
	uk_free(e);
}

/* ---- calls ---- */

static bool port_taken(uint32_t port)
{
	for (struct netlink_sock *n = sockets; n; n = n->next)
		if (n->bound && n->port == port)
			return true;
	return false;
}

/* Linux gives the first socket the process's number, others what looks negative. */
static void autobind(struct netlink_sock *n)
{
	uint32_t port = UK_NOXS->pid;

	if (n->bound)
		return;
	for (uint32_t next = (uint32_t)-4096; port_taken(port); next--)
		port = next;
	n->port = port;
	n->bound = true;
}

static long netlink_address(const struct sock_address *from, struct sockaddr_nl *nl)
{
	if (from->bytes < sizeof(*nl))
		return -EINVAL;
	memcpy(nl, from->raw, sizeof(*nl));
	return nl->nl_family == AF_NETLINK ? 0 : -EINVAL;
}

static long netlink_bind(struct sock *s, const struct sock_address *at)
{
	struct netlink_sock *n = netlink_of(s);
	struct sockaddr_nl nl;
	long r = netlink_address(at, &nl);

	if (r)
		return r;
	if (n->bound && nl.nl_pid != n->port)
		return -EINVAL;
	if (!n->bound && nl.nl_pid) {
		if (port_taken(nl.nl_pid))
			return -EADDRINUSE;
		n->port = nl.nl_pid;
		n->bound = true;
	}
	autobind(n);
	n->groups = (n->groups & ~0xffffffffull) | nl.nl_groups;
	return 0;
}

static long netlink_connect(struct sock *s, const struct sock_address *to)
{
	struct netlink_sock *n = netlink_of(s);
	struct sockaddr_nl nl;
	long r;

	if (to->bytes >= sizeof(to->family) && to->family == AF_UNSPEC) {
		n->peer = 0;
		return 0;
	}
	r = netlink_address(to, &nl);
	if (r)
		return r;
	if (UK_NOXS->uid && (nl.nl_pid || nl.nl_groups))
		return -EPERM;
	autobind(n);
	n->peer = nl.nl_pid;
	return 0;
}

static long netlink_name(struct sock *s, bool peer, struct sock_address *out)
{
	struct netlink_sock *n = netlink_of(s);
	struct sockaddr_nl nl = {
		.nl_family = AF_NETLINK,
		.nl_pid = peer ? n->peer : n->port,
		.nl_groups = peer ? 0 : (uint32_t)n->groups,
	};

	memcpy(out->raw, &nl, sizeof(nl));
	out->bytes = sizeof(nl);
	return 0;
}

static bool option(const struct netlink_sock *n, int name)
{
	return n->options >> name & 1;
}

/* The datagrams go to the socket's queue, or, where that is full, are lost. */
static void queue_answer(struct netlink_sock *n, struct nl_answer *a)
{
	if (a->failed)
		n->s.error = ENOBUFS;
	a->last = NULL;
	while (a->first) {
		struct nl_datagram *d = a->first;

		a->first = d->next;
		d->next = NULL;
		if (n->held + d->bytes > n->s.receive_bytes) {
			uk_free(d);
			if (!option(n, NETLINK_NO_ENOBUFS))
				n->s.error = ENOBUFS;
			continue;
		}
		if (n->first)
			n->last->next = d;
		else
			n->first = d;
		n->last = d;
		n->held += d->bytes;
		sock_changed(&n->s);
	}
}

static void serve(struct netlink_sock *n, const struct nlmsghdr *request)
{
	struct nl_answer a = {.request = request, .port = n->port};
	long r = 0;

	if (request->nlmsg_flags & NLM_F_REQUEST && request->nlmsg_type >= NLMSG_MIN_TYPE)
		r = rtnetlink_request(request, &a);
	queue_answer(n, &a); /* an ACK comes by itself */
	if (r != -EINTR && (r || request->nlmsg_flags & NLM_F_ACK))
		acknowledge(&a, r, option(n, NETLINK_CAP_ACK));
	queue_answer(n, &a);
}

static long netlink_send(struct sock *s, struct sock_msg *m)
{
	struct netlink_sock *n = netlink_of(s);
	uint32_t port = n->peer;
	uint8_t *data;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->name.bytes) {
		struct sockaddr_nl nl;
		long r = netlink_address(&m->name, &nl);

		if (r)
			return r;
		port = nl.nl_pid;
	}
	autobind(n);
	if (m->bytes > NL_SEND_MAX)
		return -EMSGSIZE;
	if (port)
		return port_taken(port) ? -EPERM : -ECONNREFUSED; /* there is only the kernel */
	data = uk_alloc(m->bytes);
	if (!data)
		return -ENOBUFS;
	if (sock_copy_in(m, 0, data, m->bytes) < 0) {
		uk_free(data);
		return -EFAULT;
	}
	for (size_t at = 0; m->bytes - at >= NLMSG_HDRLEN;) {
		const struct nlmsghdr *h = (const void *)(data + at);

		if (h->nlmsg_len < NLMSG_HDRLEN || h->nlmsg_len > m->bytes - at)
			break;
		serve(n, h);
		at += uk_min((size_t)NLMSG_ALIGN(h->nlmsg_len), m->bytes - at);
	}
	uk_free(data);
	return (long)m->bytes;
}

static long netlink_recv(struct sock *s, struct sock_msg *m)
{
	struct netlink_sock *n = netlink_of(s);
	struct sockaddr_nl from = {.nl_family = AF_NETLINK};
	struct nl_datagram *d = n->first;
	uint32_t take, bytes;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->error)
		return sock_take_error(s);
	if (!d)
		return -EAGAIN;
	bytes = d->bytes;
	take = (uint32_t)uk_min(m->bytes, (size_t)bytes);
	if (sock_copy_out(m, 0, d->data, take) < 0)
		return -EFAULT;
	if (take < bytes)
		m->out_flags |= MSG_TRUNC;
	memcpy(m->name.raw, &from, sizeof(from));
	m->name.bytes = sizeof(from);
	if (option(n, NETLINK_PKTINFO)) {
		struct nl_pktinfo info = {0};

		sock_put_cmsg(m, SOL_NETLINK, NETLINK_PKTINFO, &info, sizeof(info));
	}
	if (!(m->flags & MSG_PEEK)) {
		n->first = d->next;
		n->held -= d->bytes;
		uk_free(d);
	}
	return m->flags & MSG_TRUNC ? bytes : take;
}

static long netlink_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes)
{
	struct netlink_sock *n = netlink_of(s);
	uint32_t v;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (bytes < sizeof(v))
		return -EINVAL;
	memcpy(&v, val, sizeof(v));
	switch (name) {
	case NETLINK_ADD_MEMBERSHIP:
	case NETLINK_DROP_MEMBERSHIP:
		if (!v || v > NL_GROUPS_MAX)
			return -EINVAL;
		if (name == NETLINK_ADD_MEMBERSHIP)
			n->groups |= 1ull << (v - 1);
		else
			n->groups &= ~(1ull << (v - 1));
		return 0;
	case NETLINK_PKTINFO:
	case NETLINK_BROADCAST_ERROR:
	case NETLINK_NO_ENOBUFS:
	case NETLINK_CAP_ACK:
	case NETLINK_EXT_ACK:
	case NETLINK_GET_STRICT_CHK:
		n->options = (n->options & ~(1u << name)) | (uint32_t) !!v << name;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static long netlink_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes)
{
	int v;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	switch (name) {
	case NETLINK_PKTINFO:
	case NETLINK_BROADCAST_ERROR:
	case NETLINK_NO_ENOBUFS:
	case NETLINK_CAP_ACK:
	case NETLINK_EXT_ACK:
	case NETLINK_GET_STRICT_CHK:
		if (*bytes < sizeof(v))
			return -EINVAL;
		v = option(netlink_of(s), name);
		memcpy(val, &v, sizeof(v));
		*bytes = sizeof(v);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static long netlink_ioctl(struct sock *s, uint32_t cmd, uint64_t arg)
{
	struct netlink_sock *n = netlink_of(s);
	int bytes = n->first ? (int)n->first->bytes : 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	return uk_copy_out(arg, &bytes, sizeof(bytes)) ? -EFAULT : 0;
}

static uint32_t netlink_poll(struct sock *s)
{
	return POLLOUT | POLLWRNORM | POLLWRBAND |
	       (netlink_of(s)->first ? POLLIN | POLLRDNORM : 0) | (s->error ? POLLERR : 0);
}

static void netlink_close(struct sock *s)
{
	struct netlink_sock *n = netlink_of(s), **at = &sockets;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	while (n->first) {
		struct nl_datagram *d = n->first;

		n->first = d->next;
		uk_free(d);
	}
	uk_free(n);
}

static const struct sock_ops netlink_ops = {
	.bind = netlink_bind,
	.connect = netlink_connect,
	.send = netlink_send,
	.recv = netlink_recv,
	.name = netlink_name,
	.setopt = netlink_setopt,
	.getopt = netlink_getopt,
	.ioctl = netlink_ioctl,
	.poll = netlink_poll,
	.close = netlink_close,
};

long netlink_socket(uint16_t type, uint16_t protocol, struct sock **s)
{
	struct netlink_sock *n;
	long r;

	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol != NETLINK_ROUTE)
		return -EPROTONOSUPPORT;
	r = net_stack_start();
	if (r)
		return r;
	n = uk_alloc(sizeof(*n));
	if (!n)
		return -ENOBUFS;
	sock_init(&n->s, &netlink_ops, AF_NETLINK, type, protocol);
	n->next = sockets;
	sockets = n;
	*s = &n->s;
	return 0;
}
