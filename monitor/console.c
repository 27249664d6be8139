/* SPDX-License-Identifier: Apache-2.0 */
/* console.c: see console.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "console.h"

static const uint32_t ring_bytes[NOXS_NSTREAMS] = {
	NOXS_STDIN_BYTES,
	NOXS_STDOUT_BYTES,
	NOXS_STDERR_BYTES,
};

static struct noxs_ring *ring(const struct console *c, int stream)
{
	return &c->guest->control->console.ring[stream];
}

void console_init(struct console *c, struct guest *guest)
{
	*c = (struct console){.guest = guest};
}

/* Bytes the guest has put into an output ring, or -EPROTO. */
static int available(const struct console *c, int stream, struct err *err)
{
	/* Acquire: the bytes are there before the index says so. */
	uint32_t tail = __atomic_load_n(&ring(c, stream)->tail, __ATOMIC_ACQUIRE);
	uint32_t n = tail - c->head[stream];

	if (n > ring_bytes[stream])
		return err_set(err, EPROTO,
			       "the guest broke its console: stream %d holds %u bytes of %u",
			       stream, n, ring_bytes[stream]);
	return (int)n;
}

bool console_pending(const struct console *c)
{
	struct err ignored;

	return (!c->error[NOXS_STDOUT] && available(c, NOXS_STDOUT, &ignored)) ||
	       (!c->error[NOXS_STDERR] && available(c, NOXS_STDERR, &ignored));
}

static void fail(struct console *c, int stream, int errnum)
{
	c->error[stream] = errnum;
	__atomic_store_n(&c->guest->control->console.error[stream], (uint32_t)errnum,
			 __ATOMIC_RELEASE);
}

static void consumed(struct console *c, int stream, uint32_t n)
{
	c->head[stream] += n;
	/* Release: the room is not ours any more once the guest sees this. */
	__atomic_store_n(&ring(c, stream)->head, c->head[stream], __ATOMIC_RELEASE);
}

static int drain(struct console *c, int stream, struct err *err)
{
	int moved = 0;

	for (;;) {
		int n = available(c, stream, err);
		uint32_t at = c->head[stream] & (ring_bytes[stream] - 1);
		struct pollfd p = {.fd = stream, .events = POLLOUT};
		ssize_t done;

		if (n <= 0)
			return n < 0 ? n : moved;
		if (c->error[stream]) {
			if (stream == NOXS_STDOUT)
				c->bytes_lost += (uint64_t)n;
			consumed(c, stream, (uint32_t)n);
			continue;
		}
		/* A pipe that polls writable takes PIPE_BUF bytes without blocking, no more. */
		if ((uint32_t)n > PIPE_BUF)
			n = PIPE_BUF;
		if ((uint32_t)n > ring_bytes[stream] - at)
			n = (int)(ring_bytes[stream] - at);
		if (poll(&p, 1, 0) <= 0)
			return moved;
		done = write(stream, c->guest->ring[stream] + at, (size_t)n);
		if (done < 0 && (errno == EAGAIN || errno == EINTR))
			return moved;
		if (done < 0) {
			fail(c, stream, errno);
			continue;
		}
		consumed(c, stream, (uint32_t)done);
		c->bytes_out += (uint64_t)done;
		moved += (int)done;
	}
}

int console_drain(struct console *c, struct err *err)
{
	int out = drain(c, NOXS_STDOUT, err);
	int more = out < 0 ? out : drain(c, NOXS_STDERR, err);

	return more < 0 ? more : out + more;
}

/* Bytes of input the guest has not taken yet, or -EPROTO. */
static int unread(const struct console *c, struct err *err)
{
	uint32_t n = c->tail - __atomic_load_n(&ring(c, NOXS_STDIN)->head, __ATOMIC_ACQUIRE);

	if (n > NOXS_STDIN_BYTES)
		return err_set(err, EPROTO,
			       "the guest broke its console: it took input it was not given");
	return (int)n;
}

/* Reads what stdin has into the ring; only called when the guest asked for input. */
static int fill(struct console *c, struct err *err)
{
	struct noxs_ring *r = ring(c, NOXS_STDIN);
	int used = unread(c, err);
	uint32_t at = c->tail & (NOXS_STDIN_BYTES - 1), room = NOXS_STDIN_BYTES - (uint32_t)used;
	ssize_t n;

	if (used < 0 || !room)
		return used < 0 ? used : 0;
	struct iovec iov[2] = {
		{c->guest->ring[NOXS_STDIN] + at, room},
		{c->guest->ring[NOXS_STDIN], 0},
	};
	if (room > NOXS_STDIN_BYTES - at) {
		iov[0].iov_len = NOXS_STDIN_BYTES - at;
		iov[1].iov_len = room - iov[0].iov_len;
	}
	n = readv(STDIN_FILENO, iov, 2);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		/* A read error ends the input too; the guest is told which it was. */
		if (n < 0)
			fail(c, NOXS_STDIN, errno);
		c->eof = true;
		__atomic_store_n(&c->guest->control->console.eof, 1, __ATOMIC_RELEASE);
		return 0;
	}
	c->tail += (uint32_t)n;
	c->bytes_in += (uint64_t)n;
	__atomic_store_n(&r->tail, c->tail, __ATOMIC_RELEASE);
	return 0;
}

/* Those of events that are there, or -EPROTO. */
static int ready(const struct console *c, uint32_t events, struct err *err)
{
	int in = unread(c, err), out = available(c, NOXS_STDOUT, err),
	    more = available(c, NOXS_STDERR, err);
	uint32_t is = 0;

	if (in < 0 || out < 0 || more < 0)
		return -EPROTO;
	if (in || c->eof)
		is |= NOXS_EV_STDIN;
	if (c->error[NOXS_STDOUT] || out < (int)NOXS_STDOUT_BYTES)
		is |= NOXS_EV_STDOUT;
	if (c->error[NOXS_STDERR] || more < (int)NOXS_STDERR_BYTES)
		is |= NOXS_EV_STDERR;
	if (!console_pending(c))
		is |= CONSOLE_EV_FLUSHED;
	return (int)(is & events);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int console_wait(struct console *c, uint32_t events, int64_t timeout_ns, const sigset_t *mask,
		 struct err *err)
{
	int64_t deadline = -1, now = now_ns();

	/* The guest chose it: a sum that overflows is no deadline. */
	if (timeout_ns >= 0 && timeout_ns <= INT64_MAX - now)
		deadline = now + timeout_ns;

	for (;;) {
		int ret = console_drain(c, err), is = ret < 0 ? ret : ready(c, events, err);
		struct timespec t, *tp = NULL;
		struct pollfd p[NOXS_NSTREAMS];

		if (is)
			return is;
		for (int s = 0; s < NOXS_NSTREAMS; s++) {
			bool want = s == NOXS_STDIN ? (events & NOXS_EV_STDIN) && !c->eof
						    : !c->error[s] && available(c, s, err) > 0;

			p[s] = (struct pollfd){
				.fd = want ? s : -1,
				.events = s == NOXS_STDIN ? POLLIN : POLLOUT,
			};
		}
		if (deadline >= 0) {
			int64_t left = deadline - now_ns();

			if (left <= 0)
				return 0;
			t = (struct timespec){left / 1000000000, left % 1000000000};
			tp = &t;
		}
		if (ppoll(p, NOXS_NSTREAMS, tp, mask) < 0)
			return errno == EINTR ? -EINTR
					      : err_set(err, errno, "cannot wait for the console");
		if (p[NOXS_STDIN].revents) {
			ret = fill(c, err);
			if (ret < 0)
				return ret;
		}
	}
}
