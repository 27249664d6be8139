/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcpdata.c: the bytes of TCP connections. What was received stays in lwIP's pbufs until the
 * program reads it, and only then the window opens again; what is sent is copied into lwIP's
 * send buffer, which keeps it until the peer has it.
 */
#include <asm/ioctls.h>
#include <linux/sockios.h>

#include "stack.h"
#include "tcpsock.h"

#define BOUNCE_BYTES 32768u /* from the program's memory to lwIP's goes through one of these */
#define LOOK_TICKS   5      /* of lwIP's slow timer: half a second */
#define SMALL_BYTES  1220   /* Nagle's algorithm is about segments that are smaller (RFC 9293) */
#define PUSH_BYTES   65536u /* of a large send, the peer gets so much while the rest is copied */

/* ---- receiving ---- */

void tcp_drop_received(struct tcp_sock *t)
{
	while (t->first) {
		struct pbuf *p = t->first;

		t->first = p->next;
		p->next = NULL;
		pbuf_free(p);
	}
	t->last = NULL;
	t->queued = t->taken = 0;
}

err_t tcp_came(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	struct tcp_sock *t = arg;

	if (!p) {
		t->got_fin = true;
		/* From here on lwIP frees it without a word. */
		if (pcb->state == CLOSING || pcb->state == TIME_WAIT)
			tcp_let_go(t);
		sock_changed(&t->i.s);
		return ERR_OK;
	}
	t->queued += p->tot_len;
	if (t->last)
		t->last->next = p;
	else
		t->first = p;
	while (p->next)
		p = p->next;
	t->last = p;
	tcp_late_add(t);
	sock_ready(&t->i.s, SOCK_IN);
	return ERR_OK;
}

/* lwIP counts what was read in 16 bits. */
static void open_window(struct tcp_sock *t, size_t bytes)
{
	while (t->pcb && bytes) {
		uint16_t n = (uint16_t)uk_min(bytes, 0xffffu);

		tcp_recved(t->pcb, n);
		bytes -= n;
	}
}

/* Up to n bytes to the message, from the queue's start: count, -EFAULT. */
static long take(struct tcp_sock *t, struct sock_msg *m, size_t n, bool peek)
{
	bool discard = m->flags & MSG_TRUNC; /* tcp(7) */
	uint32_t taken = t->taken;
	struct pbuf *p = t->first;
	size_t done = 0;
	long r = 0;

	while (done < n) {
		size_t bytes = uk_min(n - done, p->len - taken);

		if (!discard &&
		    sock_copy_out(m, m->done + done, (uint8_t *)p->payload + taken, bytes) < 0) {
			r = -EFAULT;
			break;
		}
		done += bytes;
		taken += (uint32_t)bytes;
		if (taken < p->len)
			break;
		taken = 0;
		if (peek) {
			p = p->next;
			continue;
		}
		t->first = p->next;
		p->next = NULL;
		pbuf_free(p);
		p = t->first;
		if (!p)
			t->last = NULL;
	}
	if (!peek) {
		t->taken = taken;
		t->queued -= (uint32_t)done;
		open_window(t, done);
	}
	return done ? (long)done : r;
}

long tcp_sock_recv(struct sock *s, struct sock_msg *m)
{
	struct tcp_sock *t = tcp_of(s);
	size_t n = uk_min(m->bytes - m->done, t->queued);

	if (m->flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (s->listening)
		return -ENOTCONN;
	if (m->flags & MSG_OOB)
		return -EINVAL;
	if (n)
		return take(t, m, n, m->flags & MSG_PEEK);
	/* What was read before an error is told first. */
	if (m->done && (t->got_fin || s->error || t->dead || s->read_shut))
		return 0;
	if (t->got_fin && !t->queued)
		return 0;
	if (s->error)
		return sock_take_error(s);
	if (s->read_shut || t->dead)
		return 0;
	return t->was_connected || t->told == TCP_CONNECTING ? -EAGAIN : -ENOTCONN;
}

/* ---- sending ---- */

static uint32_t room(const struct tcp_sock *t)
{
	uint32_t limit = uk_min(t->i.s.send_bytes, (uint32_t)TCP_SND_BUF);
	uint32_t used = TCP_SND_BUF - t->pcb->snd_buf;

	return used < limit && t->pcb->snd_queuelen < TCP_SND_QUEUELEN - 8 ? limit - used : 0;
}

/* Linux's sk_stream_is_writeable: a third of the buffer is free. */
static bool writable(const struct tcp_sock *t)
{
	uint32_t free = room(t), limit = uk_min(t->i.s.send_bytes, (uint32_t)TCP_SND_BUF);

	return !t->starved && free >= (limit - free) / 2 && free &&
	       t->pcb->snd_queuelen < TCP_SND_QUEUELEN * 2 / 3;
}

static void room_came(struct tcp_sock *t)
{
	if (!t->wants_room || !writable(t))
		return;
	t->wants_room = false;
	sock_ready(&t->i.s, SOCK_OUT);
}

static err_t tcp_looked_at(void *arg, struct tcp_pcb *pcb);

/* A connection is looked at only where there is a reason: each costs an idle VM a wake-up. */
void tcp_look_at(struct tcp_sock *t)
{
	bool reason = t->starved || t->user_timeout_ms;

	tcp_poll(t->pcb, reason ? tcp_looked_at : NULL, reason ? LOOK_TICKS : 0);
}

err_t tcp_acknowledged(void *arg, struct tcp_pcb *pcb, u16_t bytes)
{
	struct tcp_sock *t = arg;

	if (t->starved) {
		t->starved = false;
		tcp_look_at(t);
	}
	room_came(t);
	return ERR_OK;
}

/* Twice a second. */
static err_t tcp_looked_at(void *arg, struct tcp_pcb *pcb)
{
	struct tcp_sock *t = arg;

	if (t->user_timeout_ms && tcp_user_timeout_over(t)) {
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	if (t->starved) {
		t->starved = false;
		room_came(t);
		tcp_look_at(t);
	}
	return ERR_OK;
}

static bool much_unsent(const struct tcp_pcb *pcb)
{
	uint32_t window = uk_min(pcb->snd_wnd, pcb->cwnd);

	return pcb->snd_lbb - pcb->snd_nxt >= PUSH_BYTES && pcb->snd_nxt - pcb->lastack < window;
}

/* As much of the message as there is room for: count, -EAGAIN, -EFAULT, -ENOBUFS. */
static long put(struct tcp_sock *t, const struct sock_msg *m)
{
	static uint8_t *bounce;
	bool more = m->flags & MSG_MORE || t->cork;
	size_t at = m->done;
	long r = -EAGAIN;

	if (!bounce && !m->kernel)
		bounce = uk_alloc(BOUNCE_BYTES - 16);
	if (!bounce && !m->kernel)
		return -ENOBUFS;
	while (at < m->bytes) {
		size_t n = uk_min(m->bytes - at, (size_t)room(t));
		const uint8_t *from = bounce;
		bool last;

		n = uk_min(n, BOUNCE_BYTES - 16);
		if (!n)
			break;
		if (m->kernel)
			from = (const uint8_t *)m->iov->iov_base + at;
		else if (sock_copy_in(m, at, bounce, n) < 0) {
			r = -EFAULT;
			break;
		}
		last = at + n == m->bytes && !more;
		net_resend_later(t->pcb);
		if (tcp_write(t->pcb, from, (uint16_t)n,
			      TCP_WRITE_FLAG_COPY | (last ? 0 : TCP_WRITE_FLAG_MORE)) != ERR_OK) {
			t->starved = true;
			tcp_look_at(t);
			break;
		}
		at += n;
		if (at < m->bytes && much_unsent(t->pcb))
			tcp_output(t->pcb);
	}
	return at > m->done ? (long)(at - m->done) : r;
}

/*
 * Is what waits in the buffer to go now? With MSG_MORE or TCP_CORK only whole segments, and of
 * a sendfile that goes on only much; the rest goes when lwIP's timer comes by, as Linux's does
 * after 200 ms.
 */
static bool is_time(const struct tcp_sock *t, const struct sock_msg *m)
{
	if (!(m->flags & MSG_MORE) && !t->cork)
		return true;
	if (m->kernel)
		return much_unsent(t->pcb);
	return t->pcb->unsent && t->pcb->unsent->len >= t->pcb->mss / 2;
}

/* lwIP's segments may be larger than those on the wire (offload.c): to it even a large one may
 * look small, and would wait for an acknowledgement. */
static void output(struct tcp_sock *t)
{
	struct tcp_pcb *pcb = t->pcb;
	bool large = pcb->unsent && pcb->unsent->len >= SMALL_BYTES && !t->no_delay;

	if (large)
		tcp_nagle_disable(pcb);
	tcp_output(pcb);
	if (large)
		tcp_nagle_enable(pcb);
}

long tcp_sock_send(struct sock *s, struct sock_msg *m)
{
	struct tcp_sock *t = tcp_of(s);
	long r;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (s->error && !m->done)
		return sock_take_error(s);
	if (t->told == TCP_CONNECTING && !t->was_connected && !t->dead && !s->write_shut)
		return -EAGAIN;
	if (s->write_shut || !tcp_is_connected(t))
		return m->done ? 0 : -EPIPE;
	if (m->bytes == m->done)
		return 0;
	if (t->wants_room && !writable(t))
		return -EAGAIN;
	t->wants_room = false;
	r = put(t, m);
	if (r == -EAGAIN || (r > 0 && m->done + (size_t)r < m->bytes))
		t->wants_room = true;
	if (t->wants_room || (r > 0 && is_time(t, m)))
		output(t);
	return r;
}

/* ---- looking ---- */

uint32_t tcp_sock_poll(struct sock *s)
{
	struct tcp_sock *t = tcp_of(s);
	bool connecting = t->told == TCP_CONNECTING && !t->was_connected && !t->dead;
	bool read_shut = s->read_shut || t->got_fin || t->dead;
	bool write_shut = s->write_shut || t->dead;
	uint32_t events = s->error ? POLLERR : 0;

	if (s->listening)
		return t->accept_first ? POLLIN | POLLRDNORM : 0;
	if ((read_shut && write_shut) || (!t->pcb && !connecting))
		events |= POLLHUP;
	if (read_shut)
		events |= POLLIN | POLLRDNORM | POLLRDHUP;
	if (connecting)
		return events;
	/* A window's worth is never there (Linux's tcp_set_rcvlowat has half of it, too). */
	if (t->queued >= uk_min(s->receive_low, TCP_WND / 2u) || (t->queued && read_shut))
		events |= POLLIN | POLLRDNORM;
	if (write_shut || !t->pcb || writable(t))
		events |= POLLOUT | POLLWRNORM;
	else
		t->wants_room = true;
	return events;
}

long tcp_sock_ioctl(struct sock *s, uint32_t cmd, uint64_t arg)
{
	struct tcp_sock *t = tcp_of(s);
	int n;

	switch (cmd) {
	case FIONREAD:
		if (s->listening)
			return -EINVAL;
		n = (int)t->queued;
		break;
	case TIOCOUTQ:
		if (s->listening)
			return -EINVAL;
		n = t->pcb ? (int)(TCP_SND_BUF - t->pcb->snd_buf) : 0;
		break;
	case SIOCATMARK:
		n = 0;
		break;
	default:
		return -ENOTTY;
	}
	return uk_copy_out(arg, &n, sizeof(n));
}
