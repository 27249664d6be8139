/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: clocks go on and agree, sleeps last as long as asked, CPU time grows. */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define MS 1000000l

static long ns_of(struct timespec t)
{
	return t.tv_sec * 1000000000l + t.tv_nsec;
}

static long vdso(clockid_t id)
{
	struct timespec t;

	CHECK(clock_gettime(id, &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return ns_of(t);
}

static long call(clockid_t id)
{
	struct timespec t;

	CHECK(syscall(SYS_clock_gettime, id, &t) == 0);
	return ns_of(t);
}

int main(void)
{
	static const clockid_t ids[] = {CLOCK_REALTIME,        CLOCK_MONOTONIC,
					CLOCK_BOOTTIME,        CLOCK_MONOTONIC_RAW,
					CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE};
	struct timespec t, left = {7, 7}, wait = {0, 20 * MS};
	volatile unsigned long n = 0;
	struct timeval tv;
	struct rusage ru;
	struct tms tms;
	long last = 0, start, cpu;

	for (int i = 0; i < 20000; i++) {
		long now = i % 100 ? vdso(CLOCK_MONOTONIC) : call(CLOCK_MONOTONIC);

		CHECK(now >= last);
		last = now;
	}
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		start = vdso(ids[i]);
		CHECK(labs(call(ids[i]) - start) < 50 * MS);
		CHECK(clock_getres(ids[i], &t) == 0 && ns_of(t) > 0 && ns_of(t) < 50 * MS);
	}
	CHECK(gettimeofday(&tv, NULL) == 0);
	CHECK(labs(vdso(CLOCK_REALTIME) / 1000 - (tv.tv_sec * 1000000 + tv.tv_usec)) < 50000);
	CHECK(labs(time(NULL) - vdso(CLOCK_REALTIME) / 1000000000) <= 1);
	CHECK(time(NULL) > 1600000000);

	start = vdso(CLOCK_MONOTONIC);
	cpu = vdso(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(nanosleep(&wait, &left) == 0 && vdso(CLOCK_MONOTONIC) - start >= 20 * MS);
	CHECK(vdso(CLOCK_PROCESS_CPUTIME_ID) - cpu < 15 * MS); /* slept, not used */
	for (int i = 0; i < 2; i++) {
		clockid_t id = i ? CLOCK_REALTIME : CLOCK_MONOTONIC;
		long until = vdso(id) + 20 * MS;

		t = (struct timespec){until / 1000000000, until % 1000000000};
		CHECK(clock_nanosleep(id, TIMER_ABSTIME, &t, NULL) == 0 && vdso(id) >= until);
		start = vdso(CLOCK_MONOTONIC);
		CHECK(clock_nanosleep(id, TIMER_ABSTIME, &t, NULL) == 0); /* in the past */
		CHECK(vdso(CLOCK_MONOTONIC) - start < 500 * MS);
		start = vdso(CLOCK_MONOTONIC);
		CHECK(clock_nanosleep(id, 0, &wait, &left) == 0);
		CHECK(vdso(CLOCK_MONOTONIC) - start >= 20 * MS);
	}

	cpu = vdso(CLOCK_PROCESS_CPUTIME_ID);
	start = vdso(CLOCK_MONOTONIC);
	while (vdso(CLOCK_MONOTONIC) - start < 60 * MS)
		n++;
	CHECK(vdso(CLOCK_PROCESS_CPUTIME_ID) - cpu > MS);
	CHECK(vdso(CLOCK_THREAD_CPUTIME_ID) > MS);
	CHECK(getrusage(RUSAGE_SELF, &ru) == 0 && times(&tms) != -1);
	CHECK(ru.ru_utime.tv_sec * 1000000l + ru.ru_utime.tv_usec + ru.ru_stime.tv_sec * 1000000l +
		      ru.ru_stime.tv_usec >
	      1000);
	CHECK(ru.ru_maxrss > 0 && clock() != (clock_t)-1);

	CHECK_ERR(syscall(SYS_clock_gettime, 12345, &t), EINVAL);
	wait.tv_nsec = 1000000000;
	CHECK_ERR(syscall(SYS_nanosleep, &wait, NULL), EINVAL);
	wait = (struct timespec){-1, 0};
	CHECK_ERR(syscall(SYS_nanosleep, &wait, NULL), EINVAL);
	return success();
}
