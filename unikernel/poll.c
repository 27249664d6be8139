/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.c: poll, ppoll, select and pselect6: look at every descriptor, and if none is
 * ready sleep for what can change that: a console ring, the network, a timer, the
 * deadline, a signal.
 *
 * Nothing is queued anywhere: with one thread, no other file changes while the program
 * sleeps. epoll.c waits in here, too.
 */
#include <asm/poll.h>
#include <linux/time_types.h>

#include "vfs.h"
#include "net/net.h"

#define EVENTS_IN  (POLLIN | POLLRDNORM | POLLRDBAND)
#define EVENTS_OUT (POLLOUT | POLLWRNORM | POLLWRBAND)
#define FILE_READY (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM) /* a file never waits */

#define NSEC 1000000000ull

uint32_t uk_file_events(struct uk_file *f, uint32_t events, uint32_t *wait)
{
	uint32_t can_change = 0;
	uint32_t ready = f->ops->poll ? f->ops->poll(f, &can_change) : FILE_READY;

	/* Only for what was asked: a terminal has room for output nearly always. The net may
	 * change a socket either way. */
	if (!(events & EVENTS_IN))
		can_change &= ~(uint32_t)NOXS_EV_STDIN;
	if (!(events & EVENTS_OUT))
		can_change &= ~(uint32_t)(NOXS_EV_STDOUT | NOXS_EV_STDERR);
	*wait |= can_change;
	return ready & (events | POLLERR | POLLHUP);
}

static uint32_t fd_events(uint32_t fd, uint32_t events, uint32_t *wait)
{
	struct uk_file *f = uk_fd_io(fd);

	return f ? uk_file_events(f, events, wait) : POLLNVAL;
}

/* ---- deadlines ---- */

uint64_t uk_deadline_in(uint64_t ns)
{
	uint64_t deadline;

	if (!ns)
		return 0;
	return __builtin_add_overflow(uk_monotonic_ns(), ns, &deadline) ? NOXS_FOREVER : deadline;
}

/* Of a struct of two longs: seconds, and units of which there are per_sec in one. */
static long deadline_copy(uint64_t user, uint64_t per_sec, uint64_t *deadline)
{
	int64_t t[2];
	uint64_t ns;

	*deadline = NOXS_FOREVER;
	if (!user)
		return 0;
	if (uk_copy_in(t, user, sizeof(t)))
		return -EFAULT;
	/* A timeval may have more than a second's microseconds, a timespec not. */
	if (t[0] < 0 || t[1] < 0 || (per_sec == NSEC && t[1] >= (int64_t)NSEC))
		return -EINVAL;
	if (!__builtin_mul_overflow((uint64_t)t[0], NSEC, &ns) &&
	    !__builtin_add_overflow(ns, (uint64_t)t[1] * (NSEC / per_sec), &ns))
		*deadline = uk_deadline_in(ns);
	return 0;
}

long uk_deadline_copy(uint64_t user, uint64_t *deadline)
{
	return deadline_copy(user, NSEC, deadline);
}

/* Linux writes the time that was left; no fault is reported for it. */
static void left_out(uint64_t user, uint64_t per_sec, uint64_t deadline)
{
	uint64_t now, left;
	int64_t t[2];

	if (!user || deadline == NOXS_FOREVER)
		return;
	now = uk_monotonic_ns();
	left = deadline > now ? deadline - now : 0;
	t[0] = (int64_t)(left / NSEC);
	t[1] = (int64_t)(left % NSEC / (NSEC / per_sec));
	uk_copy_out(user, t, sizeof(t));
}

/* ---- the loop ---- */

/* A program that asks time and again without waiting: the monitor is not asked more often. */
#define ASK_EVERY_NS 50000

/* Is it worth an exit that a call which may not wait finds out what the monitor has? */
static bool worth_asking(uint32_t wait)
{
	static uint64_t last_ns;
	uint64_t now;

	/* Sockets without a device: nothing comes from the monitor. */
	if (!uk_net_ndevs)
		wait &= ~NOXS_EV_NET_ALL;
	/* Its wait makes the monitor look at all it has, so the console needs no exception. */
	if (!(wait & NOXS_EV_NET_ALL))
		return wait;
	now = uk_monotonic_ns();
	if (now - last_ns < ASK_EVERY_NS)
		return false;
	last_ns = now;
	return true;
}

static long wait_ready(uk_scan_fn *scan, void *what, uint64_t deadline)
{
	bool last = false;

	if (uk_net_live)
		uk_net_service();
	for (;;) {
		uint32_t wait = 0;
		long n;

		if (uk_timerfd_next != NOXS_FOREVER)
			uk_timerfd_run();
		n = scan(what, &wait);
		if (n || last)
			return n;
		if (!deadline && !worth_asking(wait))
			return uk_signal_poll() ? -EINTR : 0;
		wait = wait ? wait : NOXS_EV_POWER;
		n = uk_signalfd_mask ? uk_signalfd_wait(wait, deadline) : uk_wait(wait, deadline);
		if (n < 0)
			return n;
		last = deadline != NOXS_FOREVER && uk_monotonic_ns() >= deadline;
	}
}

long uk_poll_wait(uk_scan_fn *scan, void *what, uint64_t deadline, uint64_t set_user,
		  size_t set_size)
{
	uint64_t old;
	long r = set_user ? uk_sigmask_swap(set_user, set_size, &old) : 0;

	if (r)
		return r;
	r = wait_ready(scan, what, deadline);
	if (set_user)
		uk_sigmask_restore(old, r == -EINTR);
	return r;
}

/* ---- poll ---- */

struct poll_set {
	struct pollfd *fds;
	uint32_t n;
};

static long poll_scan(void *what, uint32_t *wait)
{
	struct poll_set *set = what;
	long count = 0;

	for (uint32_t i = 0; i < set->n; i++) {
		struct pollfd *p = &set->fds[i];

		p->revents = 0;
		if (p->fd >= 0)
			p->revents = (short)fd_events((uint32_t)p->fd, (uint16_t)p->events, wait);
		count += !!p->revents;
	}
	return count;
}

/* Room for n: the one there was, for a program asks for as many each time. */
static struct pollfd *poll_room(uint32_t n)
{
	static struct pollfd *room;
	static uint32_t size;
	struct pollfd *more;

	if (n <= size)
		return room;
	more = uk_alloc(n * sizeof(*more));
	if (more) {
		uk_free(room);
		room = more;
		size = n;
	}
	return more;
}

static long poll_fds(uint64_t user, uint32_t n, uint64_t deadline, uint64_t set_user,
		     size_t set_size)
{
	struct pollfd few[16];
	struct poll_set set = {.fds = few, .n = n};
	long r;

	if (n > uk_fds.limit)
		return -EINVAL;
	if (n > uk_countof(few))
		set.fds = poll_room(n);
	if (!set.fds)
		return -ENOMEM;
	r = uk_copy_in(set.fds, user, n * sizeof(*set.fds));
	if (!r)
		r = uk_poll_wait(poll_scan, &set, deadline, set_user, set_size);
	if (r >= 0 && uk_copy_out(user, set.fds, n * sizeof(*set.fds)))
		r = -EFAULT;
	return r;
}

UK_SYSCALL(poll)
{
	int ms = (int)c;

	return poll_fds(a, (uint32_t)b,
			ms < 0 ? NOXS_FOREVER : uk_deadline_in((uint64_t)ms * 1000000), 0, 0);
}

UK_SYSCALL(ppoll)
{
	uint64_t deadline;
	long r = deadline_copy(c, NSEC, &deadline);

	if (r)
		return r;
	r = poll_fds(a, (uint32_t)b, deadline, d, e);
	left_out(c, NSEC, deadline);
	return r;
}

/* ---- select ---- */

#define SELECT_WORDS (UK_FD_MAX / 64)

enum { SELECT_IN, SELECT_OUT, SELECT_EX, SELECT_SETS };

/* What each set asks for, and which events put a descriptor into the answer. */
static const struct {
	uint32_t ask, answer;
} select_events[SELECT_SETS] = {
	[SELECT_IN] = {EVENTS_IN, EVENTS_IN | POLLHUP | POLLERR},
	[SELECT_OUT] = {EVENTS_OUT, EVENTS_OUT | POLLERR},
	[SELECT_EX] = {POLLPRI, POLLPRI},
};

struct select_set {
	uint32_t n; /* descriptors */
	uint64_t ask[SELECT_SETS][SELECT_WORDS];
	uint64_t answer[SELECT_SETS][SELECT_WORDS];
};

static long select_scan(void *what, uint32_t *wait)
{
	struct select_set *set = what;
	long count = 0;

	memset(set->answer, 0, sizeof(set->answer));
	for (uint32_t fd = 0; fd < set->n; fd++) {
		uint32_t word = fd / 64, events = 0, ready;
		uint64_t bit = 1ull << fd % 64;

		if (!(set->ask[0][word] | set->ask[1][word] | set->ask[2][word])) {
			fd |= 63;
			continue;
		}
		for (int i = 0; i < SELECT_SETS; i++)
			if (set->ask[i][word] & bit)
				events |= select_events[i].ask;
		if (!events)
			continue;
		ready = fd_events(fd, events, wait);
		if (ready & POLLNVAL)
			return -EBADF;
		for (int i = 0; i < SELECT_SETS; i++) {
			if (set->ask[i][word] & bit && ready & select_events[i].answer) {
				set->answer[i][word] |= bit;
				count++;
			}
		}
	}
	return count;
}

static long select_fds(int n, const uint64_t user[SELECT_SETS], uint64_t deadline,
		       uint64_t set_user, size_t set_size)
{
	static struct select_set set; /* 3 KiB: too much for the stack */
	size_t bytes;
	long r;

	if (n < 0)
		return -EINVAL;
	set.n = uk_min((uint32_t)n, UK_FD_MAX);
	bytes = (set.n + 63) / 64 * 8;
	for (int i = 0; i < SELECT_SETS; i++) {
		memset(set.ask[i], 0, bytes);
		if (user[i] && uk_copy_in(set.ask[i], user[i], bytes))
			return -EFAULT;
		if (set.n % 64)
			set.ask[i][set.n / 64] &= (1ull << set.n % 64) - 1;
	}
	r = uk_poll_wait(select_scan, &set, deadline, set_user, set_size);
	for (int i = 0; i < SELECT_SETS && r >= 0; i++)
		if (user[i] && uk_copy_out(user[i], set.answer[i], bytes))
			r = -EFAULT;
	return r;
}

UK_SYSCALL(select)
{
	uint64_t sets[SELECT_SETS] = {b, c, d}, deadline;
	long r = deadline_copy(e, 1000000, &deadline);

	if (r)
		return r;
	r = select_fds((int)a, sets, deadline, 0, 0);
	left_out(e, 1000000, deadline);
	return r;
}

UK_SYSCALL(pselect6)
{
	uint64_t sets[SELECT_SETS] = {b, c, d}, deadline;
	uint64_t mask[2] = {0, 0}; /* address and size of a sigset_t */
	long r;

	if (f && uk_copy_in(mask, f, sizeof(mask)))
		return -EFAULT;
	r = deadline_copy(e, NSEC, &deadline);
	if (r)
		return r;
	r = select_fds((int)a, sets, deadline, mask[0], mask[1]);
	left_out(e, NSEC, deadline);
	return r;
}
