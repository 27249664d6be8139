/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.c: SOCK_STREAM: how connections are made and ended; those that come are tcplisten.c's.
 * tcp(7), RFC 9293; what a call says in which state: Linux, net/ipv4/tcp.c and af_inet.c.
 *
 * A bound socket has no pcb: its port is in inet.c's table. One is made to connect or listen,
 * with address and port put into it. What lwIP is asked to look at twice (tcp_bind's walk
 * through all pcbs) is so asked never.
 */
#include "stack.h"
#include "tcpsock.h"

static const struct sock_ops tcp_ops;
static void died(void *arg, err_t error);

struct tcp_sock *tcp_sock_new(uint16_t family)
{
	struct tcp_sock *t = uk_alloc(sizeof(*t));

	if (!t)
		return NULL;
	inet_init(&t->i, &tcp_ops, family, SOCK_STREAM, IPPROTO_TCP);
	t->i.s.send_bytes = TCP_SND_BUF;
	t->i.s.receive_bytes = TCP_WND;
	t->accept_last = &t->accept_first;
	t->half_last = &t->half_first;
	tcp_options_init(t);
	return t;
}

void tcp_hold(struct tcp_sock *t, struct tcp_pcb *pcb)
{
	t->pcb = pcb;
	net_demux_add(t);
	tcp_arg(pcb, t);
	tcp_recv(pcb, tcp_came);
	tcp_sent(pcb, tcp_acknowledged);
	tcp_err(pcb, died);
	tcp_sock_tuned(&t->i.s);
}

void tcp_let_go(struct tcp_sock *t)
{
	struct tcp_pcb *pcb = t->pcb;

	if (!pcb)
		return;
	net_demux_remove(t);
	tcp_late_remove(t);
	t->pcb = NULL;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
}

static void abort_pcb(struct tcp_sock *t)
{
	struct tcp_pcb *pcb = t->pcb;

	tcp_let_go(t);
	if (pcb)
		tcp_abort(pcb);
}

/* The port is free again unless bind fixed it: Linux's tcp_done. */
static void over(struct tcp_sock *t)
{
	if (!t->i.fixed_port)
		inet_free_port(&t->i);
}

/* lwIP has freed the pcb. */
static void died(void *arg, err_t error)
{
	struct tcp_sock *t = arg;
	struct sock *s = &t->i.s;

	net_demux_remove(t);
	tcp_late_remove(t);
	t->pcb = NULL;
	t->dead = true;
	if (error == ERR_RST)
		s->error = !t->was_connected ? ECONNREFUSED : t->got_fin ? EPIPE : ECONNRESET;
	else if (error != ERR_CLSD) /* ERR_CLSD: both sides had said their last */
		s->error = ETIMEDOUT;
	over(t);
	sock_changed(s);
}

void tcp_failed(const ip_addr_t *to, uint16_t port, uint16_t local_port, uint32_t sequence,
		int error)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		struct tcp_sock *t = pcb->callback_arg;

		/* Once it is connected, such a message is a hint only (RFC 5461). And it is about
		 * our SYN, or forged (RFC 5927, 4.1). */
		if (pcb->state != SYN_SENT || !t || pcb->local_port != local_port ||
		    pcb->remote_port != port || !ip_addr_cmp(&pcb->remote_ip, to) ||
		    sequence != pcb->lastack)
			continue;
		abort_pcb(t);
		t->dead = true;
		t->i.s.error = error;
		over(t);
		sock_changed(&t->i.s);
		return;
	}
}

bool tcp_is_under_way(const ip_addr_t *from, uint16_t local_port, const ip_addr_t *to,
		      uint16_t port, uint32_t sequence)
{
	for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->local_port == local_port && pcb->remote_port == port &&
		    ip_addr_cmp(&pcb->remote_ip, to) && ip_addr_cmp(&pcb->local_ip, from))
			return TCP_SEQ_GEQ(sequence, pcb->lastack) &&
			       TCP_SEQ_LT(sequence, pcb->snd_nxt);
	return false;
}

/* ---- names ---- */

static long tcp_sock_bind(struct sock *s, const struct sock_address *at)
{
	struct inet_sock *i = inet_of(s);
	struct sock_address v4 = *at;
	ip_addr_t ip;
	uint16_t port;
	long r;

	if (s->family == AF_INET && at->bytes >= sizeof(struct sockaddr_in) && !at->family)
		v4.family = AF_INET;
	r = inet_parse(i, &v4, &ip, &port);
	if (!r && v4.family != at->family && !ip_addr_isany(&ip))
		r = -EAFNOSUPPORT;
	if (!r)
		r = inet_check_local(i, &ip);
	if (r)
		return r;
	if (i->local_port || tcp_of(s)->pcb || tcp_of(s)->dead)
		return -EINVAL;
	if (ip_addr_isany(&ip) && !IP_IS_V4(&ip))
		IP_SET_TYPE_VAL(ip, inet_type(i));
	r = inet_take_port(i, &ip, port);
	if (r)
		return r;
	i->fixed_address = !ip_addr_isany(&ip);
	i->fixed_port = port;
	return 0;
}

static long tcp_sock_name(struct sock *s, bool peer, struct sock_address *out)
{
	struct tcp_sock *t = tcp_of(s);

	/* TIME_WAIT and later has no peer on Linux either. */
	if (peer && !tcp_is_connected(t))
		return -ENOTCONN;
	return inet_name(s, peer, out);
}

/* ---- connect ---- */

/* Those that connect to i.remote as soon as there is a route. */
static struct tcp_sock *early;

static void wait_for_route(struct tcp_sock *t)
{
	t->early_next = early;
	t->early_link = &early;
	if (early)
		early->early_link = &t->early_next;
	early = t;
}

static void no_longer_early(struct tcp_sock *t)
{
	if (!t->early_link)
		return;
	*t->early_link = t->early_next;
	if (t->early_next)
		t->early_next->early_link = t->early_link;
	t->early_link = NULL;
}

/* As if it had never been connected; what bind fixed stays. */
static void start_over(struct tcp_sock *t)
{
	struct inet_sock *i = &t->i;
	bool had_port = i->fixed_port;

	no_longer_early(t);
	abort_pcb(t);
	tcp_drop_received(t);
	t->told = TCP_UNCONNECTED;
	t->was_connected = t->got_fin = t->dead = false;
	i->s.read_shut = i->s.write_shut = false;
	i->remote_port = 0;
	if (!had_port) {
		inet_free_port(i);
		i->local_port = 0;
	}
	if (!i->fixed_address) {
		memset(&i->local, 0, sizeof(i->local));
		IP_SET_TYPE(&i->local, inet_type(i));
	}
}

static err_t connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct tcp_sock *t = arg;

	/* What lost SYNs have made of the time-out is not for data (RFC 6298, 5.7). */
	pcb->rto = (s16_t)uk_min(pcb->rto, 3000 / TCP_SLOW_INTERVAL);
	t->was_connected = true;
	sock_changed(&t->i.s);
	return ERR_OK;
}

/* Is there a connection with these four already? */
static bool taken(const struct tcp_pcb *mine)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->local_port == mine->local_port && pcb->remote_port == mine->remote_port &&
		    ip_addr_cmp(&pcb->local_ip, &mine->local_ip) &&
		    ip_addr_cmp(&pcb->remote_ip, &mine->remote_ip))
			return true;
	return false;
}

static long start_connect(struct tcp_sock *t, const ip_addr_t *ip, uint16_t port)
{
	struct inet_sock *i = &t->i;
	struct tcp_pcb *pcb;
	const ip_addr_t *source;
	ip_addr_t from;
	long r = inet_check_peer(i, ip, &source);
	err_t e;

	if (r == -EACCES || ip_addr_ismulticast(ip))
		return -ENETUNREACH;
	if (r == -EAGAIN) {
		wait_for_route(t);
		i->remote = *ip;
		i->remote_port = port;
		t->told = TCP_CONNECTING;
		return -EINPROGRESS;
	}
	if (r)
		return r;
	from = *source;
	if (!i->local_port) {
		r = inet_take_port(i, &from, 0);
		if (r)
			return -EADDRNOTAVAIL;
	}
	pcb = tcp_new_ip_type(IP_GET_TYPE(ip));
	if (!pcb)
		return -ENOBUFS;
	pcb->local_ip = from;
	pcb->local_port = i->local_port;
	pcb->remote_ip = *ip;
	pcb->remote_port = port;
	if (taken(pcb)) {
		pcb->local_port = 0;
		tcp_abort(pcb);
		return -EADDRNOTAVAIL;
	}
	tcp_hold(t, pcb);
	icmp_listen();
	e = tcp_connect(pcb, ip, port, connected);
	if (e != ERR_OK) {
		abort_pcb(t);
		return inet_errno(e);
	}
	i->local = pcb->local_ip;
	i->remote = pcb->remote_ip;
	i->remote_port = port;
	t->told = TCP_CONNECTING;
	return -EINPROGRESS;
}

void tcp_connect_early(void)
{
	struct tcp_sock *t = early, *next;

	/* Who still has to wait comes in front, and is not met again. */
	for (; t; t = next) {
		struct sock *s = &t->i.s;
		ip_addr_t to = t->i.remote;
		long r;

		next = t->early_next;
		no_longer_early(t);
		r = start_connect(t, &to, t->i.remote_port);
		if (r == -EINPROGRESS)
			continue;
		t->dead = true;
		s->error = (int)-r;
		over(t);
		sock_changed(s);
	}
}

static long tcp_sock_connect(struct sock *s, const struct sock_address *to)
{
	struct tcp_sock *t = tcp_of(s);
	ip_addr_t ip;
	uint16_t port;
	long r;

	if (to->bytes < sizeof(to->family))
		return -EINVAL;
	if (to->family == AF_UNSPEC) {
		if (!s->listening)
			start_over(t);
		return 0;
	}
	if (t->told == TCP_CONNECTED || s->listening)
		return -EISCONN;
	if (t->told == TCP_CONNECTING) {
		if (t->was_connected) {
			t->told = TCP_CONNECTED;
			return s->error ? sock_take_error(s) : 0;
		}
		if (!t->dead)
			return -EALREADY;
		r = s->error ? sock_take_error(s) : -ECONNABORTED;
		start_over(t);
		return r;
	}
	r = inet_parse(&t->i, to, &ip, &port);
	if (r)
		return r;
	inet_loopback_if_any(&ip);
	r = start_connect(t, &ip, port);
	if (r != -EINPROGRESS)
		start_over(t);
	return r;
}

/* ---- the end ---- */

static long tcp_sock_shutdown(struct sock *s, int how)
{
	struct tcp_sock *t = tcp_of(s);

	if (s->listening) {
		if (how != SHUT_WR)
			tcp_stop_listening(t);
		sock_changed(s);
		return 0;
	}
	s->read_shut |= how != SHUT_WR;
	if (t->told == TCP_CONNECTING && !t->was_connected && !t->dead) {
		start_over(t);
		sock_changed(s);
		return 0;
	}
	if (!t->pcb) {
		s->write_shut |= how != SHUT_RD;
		return -ENOTCONN;
	}
	if (how != SHUT_RD && !s->write_shut) {
		s->write_shut = true;
		net_resend_later(t->pcb);
		tcp_shutdown(t->pcb, 0, 1);
		/* The peer's came first: lwIP goes from CLOSING on without a word. */
		if (t->pcb && t->pcb->state >= CLOSING && t->pcb->state != LAST_ACK)
			tcp_let_go(t);
	}
	sock_changed(s);
	return 0;
}

/* SO_LINGER: until all is acknowledged, or the time is over. */
static void linger(struct tcp_sock *t)
{
	uint64_t deadline = 0;

	t->i.s.write_shut = true;
	net_resend_later(t->pcb);
	tcp_shutdown(t->pcb, 0, 1);
	while (t->pcb && (t->pcb->unsent || t->pcb->unacked)) {
		uint64_t ns = (uint64_t)t->i.s.linger_s * 1000000000u;

		if (sock_wait(ns, &deadline))
			break;
	}
}

static void tcp_sock_close(struct sock *s)
{
	struct tcp_sock *t = tcp_of(s);
	struct tcp_pcb *pcb;

	tcp_stop_listening(t);
	tcp_leave_queue(t);
	no_longer_early(t);
	/* Data that nobody read, or no time to linger: a reset (RFC 2525, 2.17). */
	if (t->queued || !s->linger_s) {
		abort_pcb(t);
	} else if (t->pcb) {
		if (s->linger_s > 0 && tcp_is_connected(t))
			linger(t);
		pcb = t->pcb;
		tcp_let_go(t);
		if (pcb) {
			net_resend_later(pcb);
			tcp_close(pcb);
		}
	}
	tcp_drop_received(t);
	inet_fini(&t->i);
	uk_free(t);
}

static const struct sock_ops tcp_ops = {
	.bind = tcp_sock_bind,
	.listen = tcp_sock_listen,
	.connect = tcp_sock_connect,
	.accept = tcp_sock_accept,
	.send = tcp_sock_send,
	.recv = tcp_sock_recv,
	.shutdown = tcp_sock_shutdown,
	.name = tcp_sock_name,
	.setopt = tcp_setopt,
	.getopt = tcp_getopt,
	.ioctl = tcp_sock_ioctl,
	.poll = tcp_sock_poll,
	.close = tcp_sock_close,
	.tuned = tcp_sock_tuned,
};

long tcp_socket(uint16_t family, struct sock **s)
{
	struct tcp_sock *t = tcp_sock_new(family);

	if (!t)
		return -ENOMEM;
	*s = &t->i.s;
	return 0;
}

/* ---- the program's end ---- */

/* Is there something that a peer does not have yet? */
static bool unfinished(void)
{
	for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->unsent || pcb->unacked || pcb->flags & TF_CLOSEPEND)
			return true;
	return false;
}

void net_goodbye(uint64_t wait_ns)
{
	uint64_t deadline = 0;

	for (uint32_t fd = 0; fd < uk_fds.size; fd++) {
		struct uk_file *f = uk_fds.file[fd];
		struct sock *s = f && f->ops == &uk_sock_ops ? f->sock : NULL;

		if (!s || s->ops != &tcp_ops)
			continue;
		f->sock = NULL;
		s->file = NULL;
		/* Who exits does not linger on Linux. */
		if (s->linger_s > 0)
			s->linger_s = -1;
		tcp_sock_close(s);
	}
	while (wait_ns && (unfinished() || udp_unresolved()) && !sock_wait(wait_ns, &deadline))
		;
	net_flush();
}
