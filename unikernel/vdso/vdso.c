/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso.c: the clocks as a shared object in the program's address space, found by libc
 * through AT_SYSINFO_EHDR (vdso(7)). A call costs what reading the TSC costs.
 */
#include <linux/time.h>

#include "../../noxs/clock.h"

#define EXPORT __attribute__((visibility("default")))
#define CLOCK  (&((const struct noxs_page *)NOXS_GVA_NOXS)->clock)

EXPORT int __vdso_clock_gettime(int id, struct __kernel_timespec *ts);
EXPORT int __vdso_gettimeofday(struct __kernel_old_timeval *tv, uint32_t *zone);
EXPORT long __vdso_time(long *t);
EXPORT int __vdso_clock_getres(int id, struct __kernel_timespec *ts);
EXPORT long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static long call(long nr, long a, long b)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return ret;
}

/* The clocks that the noxs page answers: 0 monotonic, 1 wall, -1 ask the kernel. */
static int wall(int id)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		return 1;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		return 0;
	}
	return -1;
}

int __vdso_clock_gettime(int id, struct __kernel_timespec *ts)
{
	int w = wall(id);
	uint64_t ns;

	if (w < 0)
		return (int)call(228, id, (long)ts);
	ns = noxs_clock_ns(CLOCK, w);
	ts->tv_sec = (long long)(ns / 1000000000u);
	ts->tv_nsec = (long long)(ns % 1000000000u);
	return 0;
}

int __vdso_gettimeofday(struct __kernel_old_timeval *tv, uint32_t *zone)
{
	uint64_t ns = noxs_clock_ns(CLOCK, 1);

	if (tv) {
		tv->tv_sec = (long)(ns / 1000000000u);
		tv->tv_usec = (long)(ns % 1000000000u / 1000u);
	}
	if (zone)
		zone[0] = zone[1] = 0;
	return 0;
}

long __vdso_time(long *t)
{
	long now = (long)(noxs_clock_ns(CLOCK, 1) / 1000000000u);

	if (t)
		*t = now;
	return now;
}

int __vdso_clock_getres(int id, struct __kernel_timespec *ts)
{
	if (wall(id) < 0)
		return (int)call(229, id, (long)ts);
	if (ts)
		*ts = (struct __kernel_timespec){0, 1};
	return 0;
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	(void)unused;
	if (cpu)
		*cpu = 0;
	if (node)
		*node = 0;
	return 0;
}
