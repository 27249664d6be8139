/* SPDX-License-Identifier: Apache-2.0 */
/* time.c: clocks from the TSC and the noxs page, and the calls that tell or pass time. */
#include <asm/errno.h>
#include <linux/time.h>
#include <linux/times.h>
#include <linux/resource.h>

#include "arch.h"
#include "../noxs/clock.h"
#include "signal.h"

#define NS 1000000000ull

uint64_t uk_monotonic_ns(void)
{
	return noxs_clock_ns(&UK_NOXS->clock, false);
}

uint64_t uk_realtime_ns(void)
{
	return noxs_clock_ns(&UK_NOXS->clock, true);
}

/* What clock id shows, in ns; -EINVAL for one that is not there. */
static long clock_now(uint64_t id, uint64_t *ns)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI:
		*ns = uk_realtime_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*ns = uk_monotonic_ns();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = uk_cpu_ns();
		return 0;
	}
	return -EINVAL;
}

/* One program, one vCPU: what it did not sleep, it ran. The monitor moves the clock's base
 * while the program sleeps, so the TSC of the start says nothing later. */
static uint64_t start_ns, slept_ns;

void uk_clock_start(void)
{
	start_ns = uk_monotonic_ns();
}

uint64_t uk_uptime_ns(void)
{
	return uk_monotonic_ns() - start_ns;
}

uint64_t uk_cpu_ns(void)
{
	return uk_uptime_ns() - slept_ns;
}

void uk_slept(uint64_t ns)
{
	slept_ns += ns;
}

UK_SYSCALL(clock_gettime)
{
	struct __kernel_timespec ts;
	uint64_t ns;
	long err = clock_now(a, &ns);

	if (err)
		return err;
	ts.tv_sec = (long long)(ns / NS);
	ts.tv_nsec = (long long)(ns % NS);
	return uk_copy_out(b, &ts, sizeof(ts));
}

UK_SYSCALL(clock_getres)
{
	struct __kernel_timespec ts = {0, 1};
	uint64_t ns;
	long err = clock_now(a, &ns);

	if (err || !b)
		return err;
	return uk_copy_out(b, &ts, sizeof(ts));
}

/* Sleeps until deadline on the monotonic clock; 0 or -EINTR. */
static long sleep_until(uint64_t deadline)
{
	for (;;) {
		long ret = uk_wait(0, deadline);

		if (ret < 0)
			return ret;
		if (uk_monotonic_ns() >= deadline)
			return 0;
	}
}

static long nanosleep_on(uint64_t id, bool absolute, uint64_t request, uint64_t remain)
{
	struct __kernel_timespec ts;
	uint64_t now, mono = uk_monotonic_ns(), ns, deadline;
	long err = clock_now(id, &now);

	if (err)
		return err;
	if (uk_copy_in(&ts, request, sizeof(ts)))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long long)NS)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)ts.tv_sec, NS, &ns) ||
	    __builtin_add_overflow(ns, (uint64_t)ts.tv_nsec, &ns))
		ns = NOXS_FOREVER;
	if (absolute)
		ns = ns > now ? ns - now : 0;
	if (__builtin_add_overflow(mono, ns, &deadline))
		deadline = NOXS_FOREVER;
	err = sleep_until(deadline);
	if (err && remain && !absolute) {
		uint64_t left = deadline - uk_min(deadline, uk_monotonic_ns());

		ts.tv_sec = (long long)(left / NS);
		ts.tv_nsec = (long long)(left % NS);
		if (uk_copy_out(remain, &ts, sizeof(ts)))
			return -EFAULT;
	}
	return err;
}

UK_SYSCALL(clock_nanosleep)
{
	return nanosleep_on(a, b & 1, c, d);
}

UK_SYSCALL(nanosleep)
{
	return nanosleep_on(CLOCK_MONOTONIC, false, a, b);
}

UK_SYSCALL(gettimeofday)
{
	uint64_t ns = uk_realtime_ns();
	struct __kernel_old_timeval tv = {(long)(ns / NS), (long)(ns % NS / 1000)};
	uint32_t zone[2] = {0, 0};

	if (a && uk_copy_out(a, &tv, sizeof(tv)))
		return -EFAULT;
	return b ? uk_copy_out(b, zone, sizeof(zone)) : 0;
}

UK_SYSCALL(time)
{
	long now = (long)(uk_realtime_ns() / NS);

	if (a && uk_copy_out(a, &now, sizeof(now)))
		return -EFAULT;
	return now;
}

UK_SYSCALL(times)
{
	struct tms tms = {.tms_utime = (__kernel_clock_t)(uk_cpu_ns() / (NS / 100))};

	if (a && uk_copy_out(a, &tms, sizeof(tms)))
		return -EFAULT;
	return (long)(uk_monotonic_ns() / (NS / 100));
}

UK_SYSCALL(getrusage)
{
	struct rusage ru;
	uint64_t ns = uk_cpu_ns(), total, left, mapped;

	if (a != 0 && a != 1 && a != (uint64_t)-1)
		return -EINVAL;
	memset(&ru, 0, sizeof(ru));
	if (a != (uint64_t)-1) {
		uk_mm_usage(&total, &left, &mapped);
		ru.ru_utime.tv_sec = (long)(ns / NS);
		ru.ru_utime.tv_usec = (long)(ns % NS / 1000);
		ru.ru_maxrss = (long)((total - left) / 1024);
		ru.ru_minflt = (long)UK_CONTROL->stats.faults;
	}
	return uk_copy_out(b, &ru, sizeof(ru));
}
