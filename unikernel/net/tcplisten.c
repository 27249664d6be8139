/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcplisten.c: TCP sockets that listen, and the connections that wait to be accepted: listen(2),
 * accept(2). lwIP makes the connection; when its handshake is over it gets a socket, and joins
 * the listener's queue.
 */
#include "tcpsock.h"

#define HALF_OPEN 256u /* handshakes under way; each costs a SYN a look. For more: cookie.c */

void tcp_leave_queue(struct tcp_sock *t)
{
	struct tcp_sock *from = t->accept_from;

	if (!from)
		return;
	*t->accept_link = t->accept_next;
	if (t->accept_next)
		t->accept_next->accept_link = t->accept_link;
	else
		from->accept_last = t->accept_link;
	from->naccept--;
	t->accept_from = NULL;
}

/* A handshake under way. */
struct tcp_half {
	struct tcp_sock *listener;
	struct tcp_pcb *pcb;
	struct tcp_half *next, **link;
};

/* lwIP's callback, too: the pcb is gone. */
static void half_over(u8_t id, void *data)
{
	struct tcp_half *h = data;

	*h->link = h->next;
	if (h->next)
		h->next->link = h->link;
	else
		h->listener->half_last = h->link;
	h->listener->nhalf--;
	net_free(h);
}

static const struct tcp_ext_arg_callbacks no_callbacks;

/* A handshake came to its end. */
static err_t came_in(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct tcp_sock *l = arg, *t;
	ip_addr_t local;

	if (error != ERR_OK || !pcb)
		return ERR_VAL;
	tcp_ext_arg_set_callbacks(pcb, TCP_HALF, &no_callbacks);
	if (!tcp_cookie_answered(pcb))
		half_over(TCP_HALF, tcp_ext_arg_get(pcb, TCP_HALF));
	t = l ? tcp_sock_new(l->i.s.family) : NULL;
	if (!t) {
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	tcp_options_inherit(t, l);
	t->told = TCP_CONNECTED;
	t->was_connected = true;
	local = pcb->local_ip;
	inet_share_port(&t->i, &local, pcb->local_port);
	t->i.remote = pcb->remote_ip;
	t->i.remote_port = pcb->remote_port;
	tcp_hold(t, pcb);
	t->accept_from = l;
	t->accept_link = l->accept_last;
	*l->accept_last = t;
	l->accept_last = &t->accept_next;
	l->naccept++;
	sock_ready(&l->i.s, SOCK_IN);
	return ERR_OK;
}

static const struct tcp_ext_arg_callbacks half_callbacks = {.destroy = half_over};

/*
 * A SYN that there is no room for is dropped: the peer sends it again (listen(2)). Where too many
 * handshakes are under way it is answered, but not kept: of a flood from forged addresses none
 * ever ends.
 */
static err_t syn_came(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb)
{
	struct tcp_sock *l = lpcb->callback_arg;
	struct tcp_half *h;

	if (!l || l->naccept > l->backlog)
		return ERR_MEM;
	if (!tcp_cookie_again(pcb) && l->nhalf >= HALF_OPEN) {
		tcp_cookie_answer(l, pcb);
		return ERR_OK;
	}
	h = net_malloc(sizeof(*h));
	if (!h)
		return ERR_MEM;
	*h = (struct tcp_half){.listener = l, .pcb = pcb, .link = l->half_last};
	*l->half_last = h;
	l->half_last = &h->next;
	l->nhalf++;
	tcp_ext_arg_set(pcb, id, h);
	tcp_ext_arg_set_callbacks(pcb, id, &half_callbacks);
	return ERR_OK;
}

static const struct tcp_ext_arg_callbacks syn_callbacks = {.passive_open = syn_came};

void tcp_stop_listening(struct tcp_sock *t)
{
	if (!t->listener)
		return;
	while (t->accept_first) {
		struct sock *s = &t->accept_first->i.s;

		tcp_leave_queue(t->accept_first);
		tcp_of(s)->i.s.linger_s = 0; /* never accepted: a reset, as on Linux */
		s->ops->close(s);
	}
	while (t->half_first)
		tcp_abandon(t->half_first->pcb, 0);
	t->listener->callback_arg = NULL;
	tcp_close((struct tcp_pcb *)t->listener);
	t->listener = NULL;
	t->i.s.listening = false;
}

long tcp_sock_listen(struct sock *s, int backlog)
{
	static bool has_id;
	struct tcp_sock *t = tcp_of(s);
	struct inet_sock *i = &t->i;
	struct tcp_pcb *pcb, *lpcb;
	ip_addr_t any = i->local;
	long r = 0;

	if (t->told != TCP_UNCONNECTED || t->dead)
		return -EINVAL;
	t->backlog = (uint32_t)backlog;
	if (s->listening)
		return 0;
	s->listening = true;
	if (!i->local_port)
		r = inet_take_port(i, &any, 0);
	else if (inet_port_conflicts(i, &i->local, i->local_port))
		r = -EADDRINUSE;
	pcb = r ? NULL : tcp_new_ip_type(IP_GET_TYPE(&i->local));
	if (!pcb) {
		s->listening = false;
		return r ? r : -ENOBUFS;
	}
	pcb->local_ip = i->local;
	pcb->local_port = i->local_port;
	pcb->netif_idx = (uint8_t)s->bound_if;
	lpcb = tcp_listen_with_backlog(pcb, 255);
	if (!lpcb) {
		tcp_abort(pcb);
		s->listening = false;
		return -ENOBUFS;
	}
	tcp_arg(lpcb, t);
	tcp_accept(lpcb, came_in);
	if (!has_id)
		tcp_ext_arg_alloc_id(); /* the first and only: TCP_HALF */
	has_id = true;
	tcp_ext_arg_set_callbacks(lpcb, TCP_HALF, &syn_callbacks);
	t->listener = (struct tcp_pcb_listen *)lpcb;
	tcp_sock_tuned(s);
	return 0;
}

long tcp_sock_accept(struct sock *s, struct sock **new, struct sock_address *from)
{
	struct tcp_sock *l = tcp_of(s), *t = l->accept_first;

	if (!s->listening)
		return -EINVAL;
	if (!t)
		return -EAGAIN;
	tcp_leave_queue(t);
	inet_format(&t->i, &t->i.remote, t->i.remote_port, from);
	*new = &t->i.s;
	return 0;
}
