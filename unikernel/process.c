/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c: who and where the program is, what it may have, and its end. There is one
 * process with one thread; what it asks of itself is answered as Linux would answer.
 */
#include <asm/errno.h>
#include <asm/prctl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "arch.h"
#include "../noxs/clock.h"
#include "signal.h"

UK_SYSCALL(exit_group)
{
	for (;;)
		uk_doorbell(NOXS_DB_EXIT, a & 0xff);
}

UK_SYSCALL(exit)
{
	return sys_exit_group(a, b, c, d, e, f);
}

UK_SYSCALL(arch_prctl)
{
	uint64_t base;

	switch (a) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (b >= NOXS_GVA_END)
			return -EPERM;
		if (a == ARCH_SET_FS)
			uk_set_fs(b);
		else
			uk_set_gs(b);
		return 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		base = a == ARCH_GET_FS ? uk_fs() : uk_gs();
		return uk_copy_out(b, &base, sizeof(base));
	}
	return -EINVAL;
}

static char comm[16];

UK_SYSCALL(prctl)
{
	switch (a) {
	case PR_SET_NAME: {
		char name[16];
		long n = uk_copy_str(name, b, sizeof(name));

		if (n < 0 && n != -ENAMETOOLONG)
			return n;
		memcpy(comm, name, sizeof(comm) - 1);
		return 0;
	}
	case PR_GET_NAME:
		return uk_copy_out(b, comm, sizeof(comm));
	case PR_GET_DUMPABLE:
		return 1;
	case PR_SET_DUMPABLE:
	case PR_SET_PDEATHSIG:
	case PR_SET_NO_NEW_PRIVS:
	case PR_SET_VMA:
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return 1;
	}
	return -EINVAL;
}

UK_SYSCALL(set_tid_address)
{
	return UK_NOXS->pid;
}

static uint64_t robust_list;

UK_SYSCALL(set_robust_list)
{
	if (b != 24)
		return -EINVAL;
	robust_list = a;
	return 0;
}

UK_SYSCALL(get_robust_list)
{
	uint64_t size = 24;

	if (a && a != UK_NOXS->pid)
		return -ESRCH;
	if (uk_copy_out(c, &size, sizeof(size)))
		return -EFAULT;
	return uk_copy_out(b, &robust_list, sizeof(robust_list));
}

/* One vCPU, never migrated: cpu_id stays 0 and no critical section is ever aborted. */
UK_SYSCALL(rseq)
{
	static uint64_t registered;
	static const uint32_t ids[2];

	if (c & 1) { /* unregister */
		uint32_t gone[2] = {0, (uint32_t)-1};

		if (a != registered)
			return -EINVAL;
		registered = 0;
		return uk_copy_out(a, gone, sizeof(gone));
	}
	if (c || b < 32 || (a & 31))
		return -EINVAL;
	if (registered)
		return registered == a ? -EBUSY : -EINVAL;
	if (uk_copy_out(a, ids, sizeof(ids)))
		return -EFAULT;
	registered = a;
	return 0;
}

/* With one thread nobody else can wake a waiter: it sleeps to its timeout or a signal. */
UK_SYSCALL(futex)
{
	uint32_t value, op = (uint32_t)b & ~(uint32_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	uint64_t deadline = NOXS_FOREVER, now;
	int64_t ts[2];

	if (a & 3)
		return -EINVAL;
	switch (op) {
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
	case FUTEX_REQUEUE:
	case FUTEX_WAKE_OP:
		return uk_copy_in(&value, a, sizeof(value));
	case FUTEX_CMP_REQUEUE:
		if (uk_copy_in(&value, a, sizeof(value)))
			return -EFAULT;
		return value == (uint32_t)f ? 0 : -EAGAIN;
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		if (uk_copy_in(&value, a, sizeof(value)))
			return -EFAULT;
		if (value != (uint32_t)c)
			return -EAGAIN;
		if (d) {
			if (uk_copy_in(ts, d, sizeof(ts)))
				return -EFAULT;
			if (ts[0] < 0 || ts[1] < 0 || ts[1] >= 1000000000)
				return -EINVAL;
			deadline = (uint64_t)ts[0] * 1000000000ull + (uint64_t)ts[1];
			now = b & FUTEX_CLOCK_REALTIME ? uk_realtime_ns() : uk_monotonic_ns();
			if (op == FUTEX_WAIT)
				deadline += uk_monotonic_ns();
			else
				deadline = uk_monotonic_ns() + (deadline > now ? deadline - now : 0);
		}
		while (uk_monotonic_ns() < deadline)
			if (uk_wait(0, deadline) == -EINTR)
				return -EINTR;
		return -ETIMEDOUT;
	}
	return -ENOSYS;
}

UK_SYSCALL(sched_yield)
{
	return 0;
}

static bool self(uint64_t pid)
{
	return !pid || pid == UK_NOXS->pid;
}

UK_SYSCALL(sched_getaffinity)
{
	uint64_t mask = 1;

	if (!self(a))
		return -ESRCH;
	if (b < sizeof(mask) || (b & 7))
		return -EINVAL;
	return uk_copy_out(c, &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

UK_SYSCALL(sched_setaffinity)
{
	uint64_t mask = 0;

	if (!self(a))
		return -ESRCH;
	if (uk_copy_in(&mask, c, uk_min(b, sizeof(mask))))
		return -EFAULT;
	return mask & 1 ? 0 : -EINVAL;
}

UK_SYSCALL(sched_getscheduler)
{
	return self(a) ? 0 : -ESRCH;
}

UK_SYSCALL(getpriority)
{
	return a > 2 ? -EINVAL : self(b) ? 20 : -ESRCH; /* the kernel's form of nice 0 */
}

UK_SYSCALL(setpriority)
{
	return a > 2 ? -EINVAL : self(b) ? 0 : -ESRCH;
}

UK_SYSCALL(getcpu)
{
	uint32_t zero = 0;

	if ((a && uk_copy_out(a, &zero, sizeof(zero))) || (b && uk_copy_out(b, &zero, sizeof(zero))))
		return -EFAULT;
	return 0;
}

static struct rlimit64 limits[RLIM_NLIMITS];

static struct rlimit64 *limit(uint64_t resource)
{
	if (!limits[RLIMIT_NOFILE].rlim_cur) {
		for (size_t i = 0; i < RLIM_NLIMITS; i++)
			limits[i] = (struct rlimit64){RLIM64_INFINITY, RLIM64_INFINITY};
		limits[RLIMIT_NOFILE] = (struct rlimit64){1024, 4096};
		limits[RLIMIT_STACK] = (struct rlimit64){NOXS_STACK_BYTES, NOXS_STACK_BYTES};
		limits[RLIMIT_CORE] = (struct rlimit64){0, RLIM64_INFINITY};
		limits[RLIMIT_NPROC] = (struct rlimit64){1, 1};
	}
	return &limits[resource];
}

static long set_limit(uint64_t resource, const struct rlimit64 *new)
{
	struct rlimit64 *l = limit(resource);

	if (new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (new->rlim_max > l->rlim_max)
		return -EPERM;
	*l = *new;
	return 0;
}

UK_SYSCALL(getrlimit)
{
	return a >= RLIM_NLIMITS ? -EINVAL : uk_copy_out(b, limit(a), sizeof(struct rlimit64));
}

UK_SYSCALL(setrlimit)
{
	struct rlimit64 new;

	if (a >= RLIM_NLIMITS)
		return -EINVAL;
	return uk_copy_in(&new, b, sizeof(new)) ? -EFAULT : set_limit(a, &new);
}

UK_SYSCALL(prlimit64)
{
	struct rlimit64 new, old;

	if (!self(a))
		return -ESRCH;
	if (b >= RLIM_NLIMITS)
		return -EINVAL;
	old = *limit(b);
	if (c && uk_copy_in(&new, c, sizeof(new)))
		return -EFAULT;
	if (c) {
		long err = set_limit(b, &new);

		if (err)
			return err;
	}
	return d ? uk_copy_out(d, &old, sizeof(old)) : 0;
}

UK_SYSCALL(uname)
{
	struct new_utsname u;

	memset(&u, 0, sizeof(u));
	/* The interface is Linux', so programs that look for its version find one. */
	memcpy(u.sysname, "Linux", 6);
	memcpy(u.release, UK_RELEASE, sizeof(UK_RELEASE));
	memcpy(u.version, "#1 mayfly library kernel", 25);
	memcpy(u.machine, "x86_64", 7);
	memcpy(u.domainname, "(none)", 7);
	memcpy(u.nodename, UK_NOXS->hostname, sizeof(u.nodename) - 1);
	return uk_copy_out(a, &u, sizeof(u));
}

UK_SYSCALL(sysinfo)
{
	uint64_t total, left, mapped;
	struct sysinfo si;

	uk_mm_usage(&total, &left, &mapped);
	memset(&si, 0, sizeof(si));
	si.uptime = (long)((uk_monotonic_ns() -
			    noxs_clock_at(&UK_NOXS->clock, UK_CONTROL->stats.boot_tsc)) /
			   1000000000ull);
	si.totalram = total;
	si.freeram = left;
	si.procs = 1;
	si.mem_unit = 1;
	return uk_copy_out(a, &si, sizeof(si));
}

#define ANSWER(name, value)                                                               \
	UK_SYSCALL(name)                                                                  \
	{                                                                                 \
		return (value);                                                           \
	}
ANSWER(getpid, UK_NOXS->pid)
ANSWER(gettid, UK_NOXS->pid)
ANSWER(getppid, 0)
ANSWER(getuid, UK_NOXS->uid)
ANSWER(geteuid, UK_NOXS->uid)
ANSWER(getgid, UK_NOXS->gid)
ANSWER(getegid, UK_NOXS->gid)
ANSWER(getgroups, 0)
ANSWER(getpgrp, UK_NOXS->pid)
ANSWER(getpgid, self(a) ? (long)UK_NOXS->pid : -ESRCH)
ANSWER(getsid, self(a) ? (long)UK_NOXS->pid : -ESRCH)
ANSWER(setpgid, self(a) && self(b) ? 0 : -ESRCH)
ANSWER(setsid, -EPERM) /* a session's leader already */
ANSWER(setuid, a == UK_NOXS->uid ? 0 : -EPERM)
ANSWER(setgid, a == UK_NOXS->gid ? 0 : -EPERM)

static long three_ids(uint64_t a, uint64_t b, uint64_t c, uint32_t id)
{
	if (uk_copy_out(a, &id, 4) || uk_copy_out(b, &id, 4) || uk_copy_out(c, &id, 4))
		return -EFAULT;
	return 0;
}
ANSWER(getresuid, three_ids(a, b, c, UK_NOXS->uid))
ANSWER(getresgid, three_ids(a, b, c, UK_NOXS->gid))

UK_SYSCALL(getrandom)
{
	char buf[256];
	uint64_t done = 0;

	if (c & ~7ull)
		return -EINVAL;
	while (done < b && done < INT32_MAX) {
		size_t part = uk_min(b - done, sizeof(buf));

		uk_random(buf, part);
		if (uk_copy_out(a + done, buf, part))
			return done ? (long)done : -EFAULT;
		done += part;
	}
	return (long)done;
}
