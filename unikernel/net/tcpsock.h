/* SPDX-License-Identifier: Apache-2.0 */
/* tcpsock.h: what tcp.c (connections), tcpdata.c (bytes) and tcpopt.c (options) share. */
#ifndef UK_TCPSOCK_H
#define UK_TCPSOCK_H

#include "inet.h"

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

/* What connect(2) has been told: Linux's enum socket_state. */
enum tcp_told { TCP_UNCONNECTED, TCP_CONNECTING, TCP_CONNECTED };

struct tcp_sock {
	struct inet_sock i;
	/*
	 * NULL: there is none yet, or none any more. lwIP frees a pcb with or without a word:
	 * from CLOSING on without one, so then it is lwIP's alone (tcp_let_go).
	 */
	struct tcp_pcb *pcb;
	enum tcp_told told;
	bool was_connected; /* the handshake came to its end */
	bool got_fin;       /* the peer's: when queue is empty, it is the end */
	bool dead;          /* the connection is over, both ways */

	struct tcp_sock *demux_next, **demux_link; /* demux.c: those with a pcb */

	/* Received, not read: pbufs of which the first is read up to taken. */
	struct pbuf *first, *last;
	uint32_t taken, queued;

	/* A send or poll found no room: who waits is told when there is enough. */
	bool wants_room, starved; /* starved: there was room, but no memory */

	/* listening: */
	struct tcp_pcb_listen *listener;
	struct tcp_sock *accept_first, **accept_last;
	uint32_t naccept, backlog;
	struct tcp_half *half_first, **half_last; /* handshakes under way, the oldest first */
	uint32_t nhalf;
	uint64_t cookies_until_ns; /* so long the last of cookie.c's answers may come back */
	/* not accepted yet: */
	struct tcp_sock *accept_next, **accept_link, *accept_from;

	/* connecting, without a route yet (-EAGAIN of inet_check_peer): */
	struct tcp_sock *early_next, **early_link;

	/* Options: tcpopt.c */
	bool no_delay, cork, quick_ack;
	uint32_t idle_s, interval_s, probes; /* keep-alive */
	uint32_t user_timeout_ms, max_segment, defer_accept_s, syn_retries, linger2_s, window_clamp;
	uint32_t not_sent_low;
	uint64_t stuck_since_ns; /* TCP_USER_TIMEOUT: nothing was acknowledged since */
	uint32_t stuck_at;
};

static inline struct tcp_sock *tcp_of(struct sock *s)
{
	return (struct tcp_sock *)s;
}

/* ---- tcp.c ---- */
struct tcp_sock *tcp_sock_new(uint16_t family);         /* without a pcb; NULL: no memory */
void tcp_hold(struct tcp_sock *t, struct tcp_pcb *pcb); /* the pcb is t's */
/* The pcb is lwIP's from now on: no callback comes to us any more. */
void tcp_let_go(struct tcp_sock *t);
static inline bool tcp_is_connected(const struct tcp_sock *t)
{
	return t->pcb && t->pcb->state >= ESTABLISHED;
}

/* ---- demux.c ---- */
void net_demux_add(struct tcp_sock *t);    /* its pcb has all addresses and ports */
void net_demux_remove(struct tcp_sock *t); /* before its pcb goes */

/* ---- lateack.c ---- */
void tcp_late_add(struct tcp_sock *t); /* data came for it */
void tcp_late_remove(const struct tcp_sock *t);

/* ---- cookie.c ---- */
/* The SYN that pcb is made of is answered, and then pcb goes. */
void tcp_cookie_answer(struct tcp_sock *l, struct tcp_pcb *pcb);
bool tcp_cookie_answered(const struct tcp_pcb *pcb); /* it is that one, and shall stay */
bool tcp_cookie_again(struct tcp_pcb *pcb); /* it is made of a SYN that was answered before */

/* ---- tcplisten.c ---- */
#define TCP_HALF 0 /* of a pcb's ext_args: recovery.c has the others */
long tcp_sock_listen(struct sock *s, int backlog);
long tcp_sock_accept(struct sock *s, struct sock **new, struct sock_address *from);
void tcp_stop_listening(struct tcp_sock *t);
void tcp_leave_queue(struct tcp_sock *t); /* of a listener, where t waits in one */

/* ---- tcpdata.c ---- */
long tcp_sock_send(struct sock *s, struct sock_msg *m);
long tcp_sock_recv(struct sock *s, struct sock_msg *m);
uint32_t tcp_sock_poll(struct sock *s);
long tcp_sock_ioctl(struct sock *s, uint32_t cmd, uint64_t arg);
void tcp_drop_received(struct tcp_sock *t);
void tcp_look_at(struct tcp_sock *t); /* for starved and user_timeout_ms */
/* lwIP's callbacks */
err_t tcp_came(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error);
err_t tcp_acknowledged(void *arg, struct tcp_pcb *pcb, u16_t bytes);

/* ---- tcpopt.c ---- */
void tcp_options_init(struct tcp_sock *t);
void tcp_options_inherit(struct tcp_sock *t, const struct tcp_sock *from);
void tcp_sock_tuned(struct sock *s); /* what options say, into the pcb */
/* User time-out and starvation, twice a second: false: the connection was aborted. */
bool tcp_user_timeout_over(struct tcp_sock *t);

#endif
