/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c: alarm and ITIMER_REAL. The monitor sees the expiry in power.timer_ns and
 * preempts a program that computes past it; a sleeping one is woken by its deadline.
 */
#include <asm/errno.h>
#include <linux/time.h>

#include "signal.h"
#include "vfs.h"

#define NS 1000000000ull
#define US 1000ull

static uint64_t interval_ns;
uint64_t uk_timer_at;          /* of ITIMER_REAL; 0: not armed */
static uint64_t uk_timer_tick; /* of the network; 0: none */

/* The monitor is asked for the earlier of the two. */
static void program_timer(void)
{
	uint64_t at = uk_timer_at && (!uk_timer_tick || uk_timer_at < uk_timer_tick)
			      ? uk_timer_at
			      : uk_timer_tick;

	UK_CONTROL->power.timer_ns = at;
}

void uk_timer_tick_at(uint64_t ns)
{
	uk_timer_tick = ns;
	program_timer();
}

uint64_t uk_timer_next(void)
{
	uint64_t t = uk_timer_at, fd = uk_timerfd_next;

	/* One that is due is told of now, and ends the wait: somebody may wait for it. */
	if (fd != NOXS_FOREVER)
		uk_timerfd_run();
	return uk_min(t ? t : NOXS_FOREVER, fd);
}

bool uk_timer_expired(void)
{
	uint64_t *t = &uk_timer_at, now = uk_monotonic_ns();

	if (!*t || now < *t)
		return false;
	/* Expiries that were missed are not made up for, but the beat is kept. */
	*t = interval_ns ? *t + ((now - *t) / interval_ns + 1) * interval_ns : 0;
	program_timer();
	return true;
}

static void arm(uint64_t value_ns, uint64_t every_ns, uint64_t *left_ns, uint64_t *old_every)
{
	uint64_t *t = &uk_timer_at, now = uk_monotonic_ns();

	*left_ns = !*t ? 0 : *t > now ? *t - now : 1;
	*old_every = interval_ns;
	interval_ns = every_ns;
	*t = value_ns ? now + value_ns : 0;
	program_timer();
}

UK_SYSCALL(alarm)
{
	uint64_t left, every;

	arm((a & UINT32_MAX) * NS, 0, &left, &every);
	return (long)((left + NS - 1) / NS);
}

static struct __kernel_old_itimerval itimer(uint64_t left, uint64_t every)
{
	return (struct __kernel_old_itimerval){
		.it_interval = {(long)(every / NS), (long)(every % NS / US)},
		.it_value = {(long)(left / NS), (long)(left % NS / US)},
	};
}

UK_SYSCALL(getitimer)
{
	uint64_t t = uk_timer_at, now = uk_monotonic_ns();
	struct __kernel_old_itimerval it = itimer(t > now ? t - now : 0, interval_ns);

	if (a > ITIMER_PROF)
		return -EINVAL;
	if (a != ITIMER_REAL)
		memset(&it, 0, sizeof(it));
	return uk_copy_out(b, &it, sizeof(it));
}

UK_SYSCALL(setitimer)
{
	struct __kernel_old_itimerval it;
	uint64_t left, every;

	if (a != ITIMER_REAL) /* those count CPU time: nobody here measures it by ticks */
		return -EINVAL;
	if (!b)
		return -EFAULT;
	if (uk_copy_in(&it, b, sizeof(it)))
		return -EFAULT;
	if (it.it_value.tv_usec < 0 || it.it_value.tv_usec >= 1000000 ||
	    it.it_interval.tv_usec < 0 || it.it_interval.tv_usec >= 1000000)
		return -EINVAL;
	arm((uint64_t)it.it_value.tv_sec * NS + (uint64_t)it.it_value.tv_usec * US,
	    (uint64_t)it.it_interval.tv_sec * NS + (uint64_t)it.it_interval.tv_usec * US, &left,
	    &every);
	if (c) {
		it = itimer(left, every);
		return uk_copy_out(c, &it, sizeof(it));
	}
	return 0;
}
