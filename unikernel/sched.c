/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched.c: scheduling and what threads need of a kernel, where there is one thread on one
 * vCPU: there is nobody to wait for, to wake, or to be preferred to.
 */
#include <asm/errno.h>
#include <linux/futex.h>
#include <linux/sched.h>

#include "arch.h"

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
				deadline =
					uk_monotonic_ns() + (deadline > now ? deadline - now : 0);
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

UK_SYSCALL(sched_getaffinity)
{
	uint64_t mask = 1;

	if (!uk_self(a))
		return -ESRCH;
	if (b < sizeof(mask) || (b & 7))
		return -EINVAL;
	return uk_copy_out(c, &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

UK_SYSCALL(sched_setaffinity)
{
	uint64_t mask = 0;

	if (!uk_self(a))
		return -ESRCH;
	if (uk_copy_in(&mask, c, uk_min(b, sizeof(mask))))
		return -EFAULT;
	return mask & 1 ? 0 : -EINVAL;
}

UK_SYSCALL(sched_getscheduler)
{
	return uk_self(a) ? 0 : -ESRCH;
}

UK_SYSCALL(sched_setscheduler)
{
	uint32_t priority, policy = (uint32_t)b & ~SCHED_RESET_ON_FORK;

	if (!uk_self(a))
		return -ESRCH;
	if (uk_copy_in(&priority, c, sizeof(priority)))
		return -EFAULT;
	if (policy == SCHED_FIFO || policy == SCHED_RR)
		return -EPERM;
	return priority || policy > SCHED_IDLE ? -EINVAL : 0;
}

UK_SYSCALL(sched_setparam)
{
	return sys_sched_setscheduler(a, SCHED_NORMAL, b, 0, 0, 0);
}

UK_SYSCALL(sched_getparam)
{
	uint32_t zero = 0;

	return !uk_self(a) ? -ESRCH : uk_copy_out(b, &zero, sizeof(zero));
}

static long policy_priority(uint64_t policy, long real_time)
{
	if ((uint32_t)policy == SCHED_FIFO || (uint32_t)policy == SCHED_RR)
		return real_time;
	return (uint32_t)policy > SCHED_DEADLINE || (uint32_t)policy == 4 ? -EINVAL : 0;
}

UK_SYSCALL(sched_get_priority_max)
{
	return policy_priority(a, 99);
}

UK_SYSCALL(sched_get_priority_min)
{
	return policy_priority(a, 1);
}

UK_SYSCALL(getpriority)
{
	return a > 2 ? -EINVAL : uk_self(b) ? 20 : -ESRCH; /* the kernel's form of nice 0 */
}

UK_SYSCALL(setpriority)
{
	return a > 2 ? -EINVAL : uk_self(b) ? 0 : -ESRCH;
}

UK_SYSCALL(getcpu)
{
	uint32_t zero = 0;

	if ((a && uk_copy_out(a, &zero, sizeof(zero))) ||
	    (b && uk_copy_out(b, &zero, sizeof(zero))))
		return -EFAULT;
	return 0;
}
