/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd.c: timerfd_create(2): timers that are read, and can be waited for.
 *
 * Nothing runs when one expires: whoever sleeps does so until the next expiry at most
 * (uk_timer_next), and whoever looks has those that are due told of first. A periodic timer
 * that has expired stands still until it is read, and then knows how often it would have.
 */
#include <asm/poll.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/timerfd.h>

#include "list.h"
#include "vfs.h"

#define NS 1000000000ull

struct timerfd {
	struct uk_list armed; /* on the list: it will expire */
	struct uk_file *file;
	bool realtime; /* its clock */
	bool wall;     /* due is by the wall clock, else monotonic */
	bool expired;  /* and not read since */
	uint64_t due, interval_ns, ticks;
};

static struct uk_list armed = {&armed, &armed};
uint64_t uk_timerfd_next = NOXS_FOREVER;

static uint64_t now_of(const struct timerfd *t)
{
	return t->wall ? uk_realtime_ns() : uk_monotonic_ns();
}

static uint64_t left_of(const struct timerfd *t)
{
	uint64_t now = now_of(t);

	return t->due > now ? t->due - now : 0;
}

/* Not before then is one due. */
static void next_at_most(const struct timerfd *t)
{
	uint64_t mono;

	if (!__builtin_add_overflow(uk_monotonic_ns(), left_of(t), &mono))
		uk_timerfd_next = uk_min(uk_timerfd_next, mono);
}

static void arm(struct timerfd *t)
{
	uk_list_add(&armed, &t->armed);
	next_at_most(t);
}

void uk_timerfd_run(void)
{
	if (uk_monotonic_ns() < uk_timerfd_next)
		return;
	uk_timerfd_next = NOXS_FOREVER;
	for (struct uk_list *l = armed.next, *next; l != &armed; l = next) {
		struct timerfd *t = uk_list_of(l, struct timerfd, armed);

		next = l->next;
		if (left_of(t)) {
			next_at_most(t);
			continue;
		}
		uk_list_remove(l);
		t->expired = true;
		t->ticks++;
		uk_file_ready(t->file, POLLIN);
	}
}

/* A periodic timer that stands still goes on, and has missed what it has missed. */
static void go_on(struct timerfd *t)
{
	uint64_t periods;

	if (t->expired && t->interval_ns) {
		/* One, that brought it here, was counted. */
		periods = (now_of(t) - t->due) / t->interval_ns + 1;
		t->ticks += periods - 1;
		if (__builtin_mul_overflow(periods, t->interval_ns, &periods) ||
		    __builtin_add_overflow(t->due, periods, &t->due))
			t->due = NOXS_FOREVER;
		arm(t);
	}
	t->expired = false;
}

static long timerfd_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct timerfd *t = f->own;
	uint64_t ticks;

	if (n < sizeof(ticks))
		return -EINVAL;
	for (uk_timerfd_run(); !t->ticks; uk_timerfd_run()) {
		long r = flags & O_NONBLOCK ? -EAGAIN : uk_wait(NOXS_EV_POWER, NOXS_FOREVER);

		if (r < 0)
			return r;
	}
	go_on(t);
	ticks = t->ticks;
	t->ticks = 0;
	return uk_copy_out(user, &ticks, sizeof(ticks)) ? -EFAULT : (long)sizeof(ticks);
}

static uint32_t timerfd_poll(struct uk_file *f, uint32_t *wait)
{
	const struct timerfd *t = f->own;

	uk_timerfd_run();
	return t->ticks ? POLLIN : 0;
}

static void timerfd_release(struct uk_file *f)
{
	struct timerfd *t = f->own;

	uk_list_remove(&t->armed);
	uk_free(t);
}

static const struct uk_file_ops timerfd_ops = {
	.anon = "anon_inode:[timerfd]",
	.read = timerfd_read,
	.lseek = uk_lseek_nothing,
	.poll = timerfd_poll,
	.release = timerfd_release,
};

UK_SYSCALL(timerfd_create)
{
	uint32_t clock = (uint32_t)a, flags = (uint32_t)b;
	bool alarm = clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
	struct timerfd *t;
	struct uk_file *file;
	long fd = -ENOMEM;

	if (flags & ~(uint32_t)(TFD_CLOEXEC | TFD_NONBLOCK) ||
	    (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	     !alarm))
		return -EINVAL;
	if (alarm && UK_NOXS->uid) /* CAP_WAKE_ALARM */
		return -EPERM;
	t = uk_alloc(sizeof(*t));
	file = uk_file_new(&timerfd_ops, O_RDWR | (flags & TFD_NONBLOCK));
	if (t && file) {
		uk_list_init(&t->armed);
		t->file = file;
		t->realtime = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
		file->own = t;
		fd = uk_fd_install(file, 0, flags & TFD_CLOEXEC);
	}
	if (fd < 0) {
		uk_free(t);
		uk_free(file);
	}
	return fd;
}

static struct timerfd *timerfd_of(uint64_t fd, long *error)
{
	struct uk_file *f = uk_fd_io(fd);

	*error = f ? -EINVAL : -EBADF;
	return f && f->ops == &timerfd_ops ? f->own : NULL;
}

static struct __kernel_timespec timespec_of(uint64_t ns)
{
	return (struct __kernel_timespec){(int64_t)(ns / NS), (long long)(ns % NS)};
}

/* What timerfd_gettime tells: until the next expiry, which a periodic one always has. */
static struct __kernel_itimerspec setting(struct timerfd *t)
{
	uk_timerfd_run();
	go_on(t);
	return (struct __kernel_itimerspec){
		.it_interval = timespec_of(t->interval_ns),
		.it_value = timespec_of(uk_list_empty(&t->armed) ? 0 : uk_max(left_of(t), 1ull)),
	};
}

UK_SYSCALL(timerfd_gettime)
{
	struct __kernel_itimerspec it;
	long error;
	struct timerfd *t = timerfd_of(a, &error);

	if (!t)
		return error;
	it = setting(t);
	return uk_copy_out(b, &it, sizeof(it));
}

/* In ns; what is too far away is never. False: it is no time. */
static bool ns_of(const struct __kernel_timespec *ts, uint64_t *ns)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (long long)NS)
		return false;
	if (__builtin_mul_overflow((uint64_t)ts->tv_sec, NS, ns) ||
	    __builtin_add_overflow(*ns, (uint64_t)ts->tv_nsec, ns))
		*ns = NOXS_FOREVER;
	return true;
}

UK_SYSCALL(timerfd_settime)
{
	const uint32_t known = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	struct __kernel_itimerspec new, old;
	bool absolute = b & TFD_TIMER_ABSTIME;
	uint64_t value, interval;
	struct timerfd *t;
	long error;

	if (uk_copy_in(&new, c, sizeof(new)))
		return -EFAULT;
	if ((uint32_t)b & ~known || !ns_of(&new.it_value, &value) ||
	    !ns_of(&new.it_interval, &interval))
		return -EINVAL;
	t = timerfd_of(a, &error);
	if (!t)
		return error;
	old = setting(t);
	uk_list_remove(&t->armed);
	t->expired = false;
	t->ticks = 0;
	t->interval_ns = interval;
	t->wall = absolute && t->realtime;
	t->due = value;
	if (!absolute && __builtin_add_overflow(uk_monotonic_ns(), value, &t->due))
		t->due = NOXS_FOREVER;
	if (value)
		arm(t);
	return d ? uk_copy_out(d, &old, sizeof(old)) : 0;
}
