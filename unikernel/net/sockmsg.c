/* SPDX-License-Identifier: Apache-2.0 */
/* sockmsg.c: messages between program and sockets: send, recv and all their kin. */
#include <linux/time_types.h>

#include "net.h"
#include "sock.h"

#define SIGPIPE 13

#define SENDS_A_LOOK 16 /* calls that only send, for one look at what has come */

#define FEW         8    /* iovecs that fit on the stack */
#define CONTROL_FEW 256  /* bytes of control messages that do */
#define CONTROL_MAX 8192 /* and the most that there may be (net.core.optmem_max is as much) */

/* ---- what families use ---- */

/* Walks the iovecs from off on. */
static long copy(const struct sock_msg *m, size_t off, uint8_t *kernel, size_t bytes, bool out)
{
	size_t left = bytes;

	for (size_t i = 0; i < m->niov && left; i++) {
		size_t have = m->iov[i].iov_len, n;
		uint64_t user;
		long r = 0;

		if (off >= have) {
			off -= have;
			continue;
		}
		n = uk_min(left, have - off);
		user = (uint64_t)m->iov[i].iov_base + off;
		if (out)
			r = uk_copy_out(user, kernel, n);
		else if (m->kernel)
			memcpy(kernel, (const void *)user, n);
		else
			r = uk_copy_in(kernel, user, n);
		if (r)
			return r;
		kernel += n;
		left -= n;
		off = 0;
	}
	return (long)(bytes - left);
}

long sock_copy_in(const struct sock_msg *m, size_t off, void *to, size_t bytes)
{
	return copy(m, off, to, bytes, false);
}

long sock_copy_out(const struct sock_msg *m, size_t off, const void *from, size_t bytes)
{
	return copy(m, off, (uint8_t *)from, bytes, true);
}

static uint64_t cmsg_align(uint64_t bytes)
{
	return (bytes + 7) & ~7ull;
}

bool sock_put_cmsg(struct sock_msg *m, int level, int type, const void *data, uint32_t bytes)
{
	struct sock_cmsg c = {sizeof(c) + bytes, level, type};
	size_t room = m->control_max - m->control_bytes, n = bytes;
	uint8_t *to = m->control + m->control_bytes;

	if (!m->control || room < sizeof(c)) {
		m->out_flags |= MSG_CTRUNC;
		return false;
	}
	if (room < c.bytes) {
		m->out_flags |= MSG_CTRUNC;
		c.bytes = room;
		n = room - sizeof(c);
	}
	memcpy(to, &c, sizeof(c));
	memcpy(to + sizeof(c), data, n);
	m->control_bytes += uk_min(cmsg_align(c.bytes), room);
	return n == bytes;
}

const struct sock_cmsg *sock_next_cmsg(const struct sock_msg *m, const struct sock_cmsg *c)
{
	size_t at = c ? (size_t)((const uint8_t *)c - m->control) + cmsg_align(c->bytes) : 0;

	return at + sizeof(*c) <= m->control_bytes ? (const void *)(m->control + at) : NULL;
}

/* ---- one message ---- */

static long send_turns(struct sock *s, struct sock_msg *m, bool nonblock)
{
	bool stream = s->type == SOCK_STREAM, looked = false;
	uint64_t deadline = 0;
	long r;

	for (;;) {
		r = s->ops->send(s, m);
		if (r >= 0) {
			m->done += (size_t)r;
			if (!stream || m->done >= m->bytes)
				return (long)m->done;
			r = -EAGAIN;
		}
		if (r != -EAGAIN)
			break;
		if (nonblock && sock_looked(&looked))
			continue;
		if (nonblock)
			break;
		r = sock_wait(s->send_timeout_ns, &deadline);
		if (r)
			break;
	}
	return m->done ? (long)m->done : r;
}

long sock_send(struct sock *s, struct sock_msg *m, bool nonblock)
{
	static uint32_t sends;
	bool looked = false;
	long r;

	if (!s->ops->send)
		return -EOPNOTSUPP;
	/* Who only ever sends must hear of neighbours and acknowledgements, too. */
	if (++sends % SENDS_A_LOOK == 0)
		sock_looked(&looked);
	r = send_turns(s, m, nonblock || m->flags & MSG_DONTWAIT);
	if (r == -EPIPE && s->type == SOCK_STREAM && !(m->flags & MSG_NOSIGNAL))
		uk_signal_raise(SIGPIPE);
	return r;
}

/* A stream's turn: is it enough, or the end? peek: the whole of it again each turn. */
static bool enough(struct sock_msg *m, long r, size_t target)
{
	if (m->flags & MSG_PEEK)
		return !r || (size_t)r >= target;
	m->done += (size_t)r;
	return !r || m->done >= target;
}

long sock_receive(struct sock *s, struct sock_msg *m, bool nonblock)
{
	size_t target = uk_min(s->receive_low, m->bytes);
	uint64_t deadline = 0;
	bool looked = false;
	long given_up = 0;

	if (!s->ops->recv)
		return -EOPNOTSUPP;
	if (m->flags & MSG_WAITALL)
		target = m->bytes;
	if (m->flags & (MSG_DONTWAIT | MSG_ERRQUEUE))
		nonblock = true;
	for (;;) {
		long r = s->ops->recv(s, m), w;
		bool over = nonblock;

		if (r >= 0)
			over |= s->type != SOCK_STREAM || enough(m, r, target);
		else
			over |= r != -EAGAIN;
		if (r == -EAGAIN && nonblock && sock_looked(&looked))
			continue;
		if (over)
			return m->done ? (long)m->done : r == -EAGAIN && given_up ? given_up : r;
		w = sock_wait(s->receive_timeout_ns, &deadline);
		if (!w)
			continue;
		/* A signal, or the time is over: told is what had come by then all the same. Over
		 * the loopback that is what the program itself sent, and has not been looked at. */
		if (!m->done && r == -EAGAIN && sock_looked(&looked)) {
			nonblock = true;
			given_up = w;
			continue;
		}
		return m->done ? (long)m->done : r > 0 ? r : w;
	}
}

long sock_send_kernel(struct uk_file *f, const void *data, size_t n, bool more)
{
	struct iovec iov = {(void *)data, n};
	struct sock_msg m = {
		.iov = &iov, .niov = 1, .bytes = n, .flags = more ? MSG_MORE : 0, .kernel = true};

	return sock_send(f->sock, &m, f->flags & O_NONBLOCK);
}

/* ---- one buffer ---- */

static bool nonblocking(const struct sock *s)
{
	return s->file->flags & O_NONBLOCK;
}

UK_SYSCALL(sendto)
{
	struct iovec iov = {(void *)b, uk_min(c, UK_RW_MAX)};
	struct sock_msg m = {.iov = &iov, .niov = 1, .bytes = iov.iov_len, .flags = (uint32_t)d};
	long r = 0;
	struct sock *s = sock_of(a, &r);

	if (!s)
		return r;
	if (e) {
		r = sock_address_in(&m.name, e, f);
		if (r)
			return r;
	}
	return sock_send(s, &m, nonblocking(s));
}

UK_SYSCALL(recvfrom)
{
	struct iovec iov = {(void *)b, uk_min(c, UK_RW_MAX)};
	struct sock_msg m = {.iov = &iov, .niov = 1, .bytes = iov.iov_len, .flags = (uint32_t)d};
	long r = 0, named;
	struct sock *s = sock_of(a, &r);

	if (!s)
		return r;
	r = sock_receive(s, &m, nonblocking(s));
	if (r < 0 || !e)
		return r;
	named = sock_address_out(&m.name, e, f);
	return named ? named : r;
}

/* ---- struct msghdr (sendmsg(2)), and many of them ---- */

struct msghdr {
	uint64_t name;
	uint32_t name_bytes, pad;
	uint64_t iov, niov;
	uint64_t control, control_bytes;
	uint32_t flags, pad2;
};
_Static_assert(sizeof(struct msghdr) == 56, "struct msghdr");

struct mmsghdr {
	struct msghdr h;
	uint32_t bytes, pad;
};

/* A message's parts that do not fit where most do. */
struct parts {
	struct iovec few[FEW], *iov;
	uint8_t control_few[CONTROL_FEW] __attribute__((aligned(8))), *control;
};

static void parts_free(struct parts *p)
{
	if (p->iov != p->few)
		uk_free(p->iov);
	if (p->control != p->control_few)
		uk_free(p->control);
}

/* The header, and the iovecs into p: 0 or -errno. To be freed in any case. */
static long header_in(uint64_t user, struct msghdr *h, struct sock_msg *m, struct parts *p)
{
	memset(m, 0, sizeof(*m));
	p->iov = p->few;
	p->control = p->control_few;
	if (uk_copy_in(h, user, sizeof(*h)))
		return -EFAULT;
	if (!h->name)
		h->name_bytes = 0;
	if ((int32_t)h->name_bytes < 0)
		return -EINVAL;
	h->name_bytes = uk_min(h->name_bytes, sizeof(m->name.raw));
	if (h->niov > UIO_MAXIOV)
		return -EMSGSIZE;
	if (h->niov > FEW)
		p->iov = uk_alloc(h->niov * sizeof(*p->iov));
	if (!p->iov)
		return -ENOMEM;
	if (uk_copy_in(p->iov, h->iov, h->niov * sizeof(*p->iov)))
		return -EFAULT;
	for (size_t i = 0; i < h->niov; i++) {
		if ((int64_t)p->iov[i].iov_len < 0)
			return -EINVAL;
		p->iov[i].iov_len = uk_min(p->iov[i].iov_len, UK_RW_MAX - m->bytes);
		m->bytes += p->iov[i].iov_len;
	}
	m->iov = p->iov;
	m->niov = h->niov;
	return 0;
}

/* Room for n bytes of control messages. */
static long control_make(struct sock_msg *m, struct parts *p, size_t n)
{
	if (n > CONTROL_FEW)
		p->control = uk_alloc(n);
	if (!p->control)
		return -ENOBUFS;
	m->control = p->control;
	m->control_max = n;
	return 0;
}

static long control_in(struct sock_msg *m, struct parts *p, uint64_t user, uint64_t n)
{
	const struct sock_cmsg *c = NULL;

	if (n > CONTROL_MAX)
		return -ENOBUFS;
	if (control_make(m, p, n))
		return -ENOBUFS;
	if (uk_copy_in(m->control, user, n))
		return -EFAULT;
	m->control_bytes = n;
	while ((c = sock_next_cmsg(m, c)))
		if (c->bytes < sizeof(*c) ||
		    c->bytes > n - (size_t)((const uint8_t *)c - m->control))
			return -EINVAL;
	return 0;
}

static long send_header(struct sock *s, uint64_t user, uint32_t flags)
{
	struct parts p;
	struct sock_msg m;
	struct msghdr h;
	long r = header_in(user, &h, &m, &p);

	if (!r && h.control_bytes)
		r = control_in(&m, &p, h.control, h.control_bytes);
	if (!r && h.name_bytes)
		r = sock_address_in(&m.name, h.name, h.name_bytes);
	m.flags = flags;
	if (!r)
		r = sock_send(s, &m, nonblocking(s));
	parts_free(&p);
	return r;
}

UK_SYSCALL(sendmsg)
{
	long r = 0;
	struct sock *s = sock_of(a, &r);

	return s ? send_header(s, b, (uint32_t)c) : r;
}

UK_SYSCALL(sendmmsg)
{
	uint32_t n = uk_min((uint32_t)c, UIO_MAXIOV), i;
	long r = 0;
	struct sock *s = sock_of(a, &r);

	if (!s)
		return r;
	for (i = 0; i < n; i++) {
		uint64_t user = b + i * sizeof(struct mmsghdr);
		uint32_t sent;

		r = send_header(s, user, (uint32_t)d);
		if (r < 0)
			break;
		sent = (uint32_t)r;
		r = uk_copy_out(user + offsetof(struct mmsghdr, bytes), &sent, sizeof(sent));
		if (r)
			break;
	}
	return i ? (long)i : r;
}

/* What the family has put into m, to where the program wants it. */
static long header_out(uint64_t user, const struct msghdr *h, const struct sock_msg *m)
{
	uint32_t flags = m->out_flags | (m->flags & MSG_CMSG_CLOEXEC), name = m->name.bytes;
	uint64_t control = m->control_bytes;

	if (h->name &&
	    (uk_copy_out(h->name, m->name.raw, uk_min(name, h->name_bytes)) ||
	     uk_copy_out(user + offsetof(struct msghdr, name_bytes), &name, sizeof(name))))
		return -EFAULT;
	if (control && uk_copy_out(h->control, m->control, control))
		return -EFAULT;
	if (uk_copy_out(user + offsetof(struct msghdr, flags), &flags, sizeof(flags)) ||
	    uk_copy_out(user + offsetof(struct msghdr, control_bytes), &control, sizeof(control)))
		return -EFAULT;
	return 0;
}

static long receive_header(struct sock *s, uint64_t user, uint32_t flags, bool nonblock)
{
	struct parts p;
	struct sock_msg m;
	struct msghdr h;
	long r = header_in(user, &h, &m, &p);

	if (!r && h.control && h.control_bytes)
		r = control_make(&m, &p, uk_min(h.control_bytes, CONTROL_MAX));
	m.flags = flags;
	if (!r)
		r = sock_receive(s, &m, nonblock);
	if (r >= 0) {
		long out = header_out(user, &h, &m);

		r = out ? out : r;
	}
	parts_free(&p);
	return r;
}

UK_SYSCALL(recvmsg)
{
	long r = 0;
	struct sock *s = sock_of(a, &r);

	return s ? receive_header(s, b, (uint32_t)c, nonblocking(s)) : r;
}

/* Deadline of recvmmsg's struct timespec; it is looked at after each message only (BUGS). */
static long mmsg_deadline(uint64_t user, uint64_t *deadline)
{
	struct __kernel_timespec t;

	*deadline = NOXS_FOREVER;
	if (!user)
		return 0;
	if (uk_copy_in(&t, user, sizeof(t)))
		return -EFAULT;
	if (t.tv_sec < 0 || t.tv_nsec < 0 || t.tv_nsec > 999999999)
		return -EINVAL;
	if (t.tv_sec < INT64_MAX / 2000000000)
		*deadline =
			uk_monotonic_ns() + (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	return 0;
}

static void mmsg_left(uint64_t user, uint64_t deadline)
{
	uint64_t now = uk_monotonic_ns(), left = deadline > now ? deadline - now : 0;
	struct __kernel_timespec t = {(int64_t)(left / 1000000000u), (int64_t)(left % 1000000000u)};

	if (user && deadline != NOXS_FOREVER)
		uk_copy_out(user, &t, sizeof(t));
}

UK_SYSCALL(recvmmsg)
{
	uint32_t n = uk_min((uint32_t)c, UIO_MAXIOV), flags = (uint32_t)d, i;
	uint64_t deadline;
	long r = mmsg_deadline(e, &deadline);
	struct sock *s;

	if (r)
		return r;
	s = sock_of(a, &r);
	if (!s)
		return r;
	r = s->error ? sock_take_error(s) : 0;
	for (i = 0; !r && i < n; i++) {
		uint64_t user = b + i * sizeof(struct mmsghdr);
		bool wait = !nonblocking(s) && !(flags & MSG_WAITFORONE && i);
		uint32_t bytes;

		r = receive_header(s, user, flags & ~(uint32_t)MSG_WAITFORONE, !wait);
		if (r < 0)
			break;
		bytes = (uint32_t)r;
		r = uk_copy_out(user + offsetof(struct mmsghdr, bytes), &bytes, sizeof(bytes));
		if (r)
			break;
		if (deadline != NOXS_FOREVER && uk_monotonic_ns() >= deadline) {
			i++;
			break;
		}
	}
	mmsg_left(e, deadline);
	return i ? (long)i : r;
}
