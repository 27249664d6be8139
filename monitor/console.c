/* SPDX-License-Identifier: Apache-2.0 */
/* console.c: see console.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "kick.h"

#define RETRY_NS 4000000 /* for a sink that took nothing, and for what the other thread is at */

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
	*c = (struct console){.guest = guest, .fd = {0, 1, 2}};
}

static void fail(struct console *c, int stream, int errnum)
{
	c->error[stream] = errnum;
	__atomic_store_n(&c->guest->control->console.error[stream], (uint32_t)errnum,
			 __ATOMIC_RELEASE);
}

/* ---- output ---- */

/* Bytes the guest has put into an output ring, or -EPROTO. */
static int available(const struct console *c, int stream, struct err *err)
{
	/* Ours first: the other thread may move it on, and it never passes the guest's. */
	uint32_t head = c->head[stream];
	/* Acquire: the bytes are there before the index says so. */
	uint32_t tail = __atomic_load_n(&ring(c, stream)->tail, __ATOMIC_ACQUIRE);
	uint32_t n = tail - head;

	if (!device_is_live(&c->front))
		return 0;
	if (n > ring_bytes[stream])
		return err_set(err, EPROTO,
			       "the guest broke its console: stream %d holds %u bytes of %u",
			       stream, n, ring_bytes[stream]);
	return (int)n;
}

bool console_holds(const struct console *c, int stream)
{
	struct err ignored;

	return !c->error[stream] && available(c, stream, &ignored);
}

bool console_pending(const struct console *c)
{
	return console_holds(c, NOXS_STDOUT) || console_holds(c, NOXS_STDERR);
}

bool console_ask(struct console *c)
{
	struct noxs_console *page = &c->guest->control->console;

	if (!device_is_live(&c->front) || !(c->front.features & NOXS_CONSOLE_DOORBELL))
		return false;
	c->asked++;
	for (int s = NOXS_STDOUT; s <= NOXS_STDERR; s++)
		__atomic_store_n(&page->wake[s], c->asked, __ATOMIC_RELAXED);
	/* The guest sees that it is to ring, or we see what it has written before that. */
	atomic_thread_fence(memory_order_seq_cst);
	return true;
}

bool console_close(struct console *c)
{
	return !atomic_exchange_explicit(&c->busy, true, memory_order_acquire);
}

static void consumed(struct console *c, int stream, uint32_t n)
{
	c->head[stream] += n;
	/* Release: the room is not ours any more once the guest sees this. */
	__atomic_store_n(&ring(c, stream)->head, c->head[stream], __ATOMIC_RELEASE);
}

/* Passes on what it can of n bytes: how many, 0 if none now, or -errno of the stream. */
static ssize_t pass_on(struct console *c, int stream, const uint8_t *data, size_t n, bool guard)
{
	struct pollfd p = {.fd = c->fd[stream], .events = POLLOUT};
	ssize_t done;

	if (c->put)
		return c->put(c->put_arg, stream, data, n);
	if (p.fd < 0)
		return -EBADF;
	if (poll(&p, 1, 0) <= 0)
		return 0;
	/* A pipe that polls writable takes PIPE_BUF bytes without blocking, no more; and not even
	 * those if somebody else writes to it between the two calls. */
	if (guard)
		kick_guard();
	done = write(p.fd, data, n < PIPE_BUF ? n : PIPE_BUF);
	if (done < 0)
		done = errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (guard)
		kick_unguard();
	return done;
}

static int drain(struct console *c, int stream, bool guard, struct err *err)
{
	int moved = 0;

	for (;;) {
		int n = available(c, stream, err);
		uint32_t at = c->head[stream] & (ring_bytes[stream] - 1);
		ssize_t done;

		if (n <= 0)
			return n < 0 ? n : moved;
		if (c->error[stream]) {
			c->bytes_lost += (uint64_t)n;
			consumed(c, stream, (uint32_t)n);
			continue;
		}
		if ((uint32_t)n > ring_bytes[stream] - at)
			n = (int)(ring_bytes[stream] - at);
		done = pass_on(c, stream, c->guest->ring[stream] + at, (size_t)n, guard);
		if (done < 0) {
			fail(c, stream, (int)-done);
			continue;
		}
		if (!done)
			return moved;
		consumed(c, stream, (uint32_t)done);
		c->bytes[stream] += (uint64_t)done;
		moved += (int)done;
	}
}

/* Both streams, if the other thread is not at it. */
static int drain_both(struct console *c, bool guard, struct err *err)
{
	int out, more = 0;

	/* Acquire and release: each sees what the other did to head, error and the sink. */
	if (atomic_exchange_explicit(&c->busy, true, memory_order_acquire))
		return 0;
	out = device_look(&c->front, &c->guest->control->console.front, DEVICE_CONSOLE_FEATURES,
			  "console", err);
	if (!out)
		out = drain(c, NOXS_STDOUT, guard, err);
	if (out >= 0)
		more = drain(c, NOXS_STDERR, guard, err);
	atomic_store_explicit(&c->busy, false, memory_order_release);
	return out < 0 ? out : more < 0 ? more : out + more;
}

int console_drain(struct console *c, struct err *err)
{
	return drain_both(c, true, err);
}

int console_drain_aside(struct console *c, struct err *err)
{
	return drain_both(c, false, err);
}

/* ---- input ---- */

/* Bytes of input the guest has not taken yet, or -EPROTO. */
static int unread(const struct console *c, struct err *err)
{
	uint32_t n = c->tail - __atomic_load_n(&ring(c, NOXS_STDIN)->head, __ATOMIC_ACQUIRE);

	if (n > NOXS_STDIN_BYTES)
		return err_set(err, EPROTO,
			       "the guest broke its console: it took input it was not given");
	return (int)n;
}

static bool takes_input(const struct console *c)
{
	return !c->eof && c->front.state <= NOXS_READY;
}

/* Where the next input goes: the ring's free part in one or two pieces. Bytes, or -EPROTO. */
static int input_room(const struct console *c, struct iovec iov[2], struct err *err)
{
	uint32_t at = c->tail & (NOXS_STDIN_BYTES - 1), room, first;
	int used = unread(c, err);

	if (used < 0)
		return used;
	room = NOXS_STDIN_BYTES - (uint32_t)used;
	first = room < NOXS_STDIN_BYTES - at ? room : NOXS_STDIN_BYTES - at;
	iov[0] = (struct iovec){c->guest->ring[NOXS_STDIN] + at, first};
	iov[1] = (struct iovec){c->guest->ring[NOXS_STDIN], room - first};
	return (int)room;
}

static void given(struct console *c, size_t n)
{
	c->tail += (uint32_t)n;
	c->bytes[NOXS_STDIN] += n;
	/* Release: the bytes are there before the guest sees that they are. */
	__atomic_store_n(&ring(c, NOXS_STDIN)->tail, c->tail, __ATOMIC_RELEASE);
}

size_t console_give(struct console *c, const void *data, size_t n)
{
	struct err ignored;
	struct iovec iov[2];
	int room = input_room(c, iov, &ignored);
	size_t first;

	if (room <= 0 || !takes_input(c))
		return 0;
	if (n > (size_t)room)
		n = (size_t)room;
	first = n < iov[0].iov_len ? n : iov[0].iov_len;
	memcpy(iov[0].iov_base, data, first);
	memcpy(iov[1].iov_base, (const char *)data + first, n - first);
	given(c, n);
	return n;
}

void console_end_input(struct console *c)
{
	c->eof = true;
	__atomic_store_n(&c->guest->control->console.eof, 1, __ATOMIC_RELEASE);
}

/* Reads what stdin has into the ring; only called when the guest asked for input. */
static int fill(struct console *c, struct err *err)
{
	struct iovec iov[2];
	int room = input_room(c, iov, err);
	ssize_t n;

	if (room <= 0)
		return room;
	kick_guard(); /* whoever else reads it may have been quicker */
	n = readv(c->fd[NOXS_STDIN], iov, 2);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		kick_unguard();
		return 0;
	}
	/* A read error ends the input too; the guest is told which it was. */
	if (n < 0)
		fail(c, NOXS_STDIN, errno);
	kick_unguard();
	if (n <= 0)
		console_end_input(c);
	else
		given(c, (size_t)n);
	return 0;
}

/* ---- waiting ---- */

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

/* What to wait for besides time. Returns true where time alone tells: a sink's room, or output
 * that the other thread has in hand. */
static bool interests(const struct console *c, uint32_t events, int other, struct pollfd *p)
{
	bool later = false;

	for (int s = 0; s < NOXS_NSTREAMS; s++) {
		bool want = s == NOXS_STDIN ? (events & NOXS_EV_STDIN) && takes_input(c)
					    : console_holds(c, s);

		if (want && s != NOXS_STDIN && (c->put || c->busy)) {
			later = true;
			want = false;
		}
		p[s] = (struct pollfd){
			.fd = want ? c->fd[s] : -1,
			.events = s == NOXS_STDIN ? POLLIN : POLLOUT,
		};
	}
	p[NOXS_NSTREAMS] = (struct pollfd){.fd = other, .events = POLLIN};
	return later;
}

int console_wait(struct console *c, uint32_t events, int64_t timeout_ns, int other,
		 const sigset_t *mask, struct err *err)
{
	int64_t deadline = -1, now = now_ns();

	/* The guest chose it: a sum that overflows is no deadline. */
	if (timeout_ns >= 0 && timeout_ns <= INT64_MAX - now)
		deadline = now + timeout_ns;
	if (events & NOXS_EV_STDIN && c->fd[NOXS_STDIN] < 0 && !c->input_open && !c->eof)
		console_end_input(c);

	for (bool looked = false;; looked = true) {
		int ret = console_drain(c, err), is = ret < 0 ? ret : ready(c, events, err);
		struct pollfd p[NOXS_NSTREAMS + 1 + CONSOLE_OTHERS];
		int64_t left = -1, retry = -1;
		struct timespec t;
		unsigned others = 0;

		if (is >= 0 && c->others)
			is |= (int)c->others(events, p + NOXS_NSTREAMS + 1, &others, &retry);
		if (is)
			return is;
		if (deadline >= 0 && (left = deadline - now_ns()) <= 0) {
			if (looked)
				return 0;
			left = 0; /* no time to wait; but what is there is there */
		}
		if (interests(c, events, other, p) && (left < 0 || left > RETRY_NS))
			left = RETRY_NS;
		if (retry >= 0 && (left < 0 || left > retry))
			left = retry;
		t = (struct timespec){left / 1000000000, left % 1000000000};
		/* No tick is needed meanwhile. But the network's waits are short and many: one tick
		 * that comes for nothing costs less than two calls each time. */
		if (!c->others)
			kick_timer_off();
		if (ppoll(p, NOXS_NSTREAMS + 1 + others, left < 0 ? NULL : &t, mask) < 0)
			return errno == EINTR ? -EINTR
					      : err_set(err, errno, "cannot wait for the console");
		if (p[NOXS_STDIN].revents) {
			ret = fill(c, err);
			if (ret < 0)
				return ret;
		}
		if (p[NOXS_NSTREAMS].revents)
			return CONSOLE_EV_OTHER;
	}
}

int console_verdict(const struct console *c, int status, const char *program, struct err *err)
{
	int error = c->error[NOXS_STDOUT];

	if (!error || !c->bytes_lost || status)
		return status;
	if (error == EPIPE)
		return 128 + SIGPIPE;
	err_set(err, error, "cannot write the output of %s", program);
	return ERR_EXIT_SELF;
}
