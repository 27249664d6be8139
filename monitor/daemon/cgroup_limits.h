/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_limits.h: the files in a shell's cgroups that limit and count, for cgroup.c. */
#ifndef MAYFLY_CGROUP_LIMITS_H
#define MAYFLY_CGROUP_LIMITS_H

#include "cgroup.h"
#include "cgroup_tree.h"

/* As cgroups_check, cgroups_set (without the check), cgroups_usage, cgroups_out_of_memory. */
int cgroup_limits_check(const struct cgroup_tree *t, const struct cgroup_limits *l,
			struct err *err);
int cgroup_limits_set(const struct cgroup_tree *t, uint64_t shell, const struct cgroup_limits *l,
		      struct err *err);
int cgroup_limits_usage(const struct cgroup_tree *t, uint64_t shell, struct cgroup_usage *u);
bool cgroup_limits_oom(const struct cgroup_tree *t, uint64_t shell);

#endif
