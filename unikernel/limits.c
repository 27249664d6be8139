/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c: resource limits. All are kept; the one on descriptors is enforced (vfs.c). */
#include <linux/resource.h>

#include "vfs.h"

static struct rlimit64 limits[RLIM_NLIMITS];

static struct rlimit64 *limit(uint64_t resource)
{
	if (!limits[RLIMIT_STACK].rlim_max) {
		for (size_t i = 0; i < RLIM_NLIMITS; i++)
			limits[i] = (struct rlimit64){RLIM64_INFINITY, RLIM64_INFINITY};
		limits[RLIMIT_NOFILE] = (struct rlimit64){uk_fds.limit, UK_FD_MAX};
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
	if (resource == RLIMIT_NOFILE)
		uk_fds.limit = (uint32_t) new->rlim_cur;
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

	if (!uk_self(a))
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
