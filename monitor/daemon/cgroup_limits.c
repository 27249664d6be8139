/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_limits.c: the files in a shell's cgroups that limit and count, on v1 and v2. */
#include "cgroup_limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_MILLI 10000000u
#define MAX_PIDS  4194304u /* PID_MAX_LIMIT: the kernel refuses more */

/* ---- files of one shell ---- */

static int set(const struct cgroup_hierarchy *h, uint64_t shell, const char *file, const char *text)
{
	char name[96];

	snprintf(name, sizeof(name), "shell-%llu/%s", (unsigned long long)shell, file);
	return cgroup_write(h->dir, name, text);
}

static int set_number(const struct cgroup_hierarchy *h, uint64_t shell, const char *file,
		      uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return set(h, shell, file, text);
}

static int get(const struct cgroup_hierarchy *h, uint64_t shell, const char *file, char *text,
	       size_t size)
{
	char name[96];

	snprintf(name, sizeof(name), "shell-%llu/%s", (unsigned long long)shell, file);
	return cgroup_read(h->dir, name, text, size);
}

static uint64_t get_number(const struct cgroup_hierarchy *h, uint64_t shell, const char *file)
{
	char text[32], *end;
	uint64_t n;

	if (get(h, shell, file, text, sizeof(text)) <= 0)
		return CGROUP_UNKNOWN;
	n = strtoull(text, &end, 10);
	return end == text ? CGROUP_UNKNOWN : n;
}

static uint64_t get_field(const struct cgroup_hierarchy *h, uint64_t shell, const char *file,
			  const char *key)
{
	char text[1024];

	if (get(h, shell, file, text, sizeof(text)) <= 0)
		return CGROUP_UNKNOWN;
	return (uint64_t)cgroup_field(text, key); /* -1 is CGROUP_UNKNOWN */
}

/* ---- limits ---- */

/* Swap is not there in every kernel, and its accounting may be off. */
static int unless_missing(int r)
{
	return r == -ENOENT ? 0 : r;
}

static int set_memory(const struct cgroup_hierarchy *h, uint64_t shell, uint64_t bytes)
{
	static const char limit[] = "memory.limit_in_bytes", swap[] = "memory.memsw.limit_in_bytes";
	int r;

	if (h->v2) {
		r = set_number(h, shell, "memory.max", bytes);
		return r ? r : unless_missing(set(h, shell, "memory.swap.max", "0"));
	}
	/* memsw is memory and swap, and never less than limit: which goes first depends on
	 * whether it rises. */
	r = set_number(h, shell, limit, bytes);
	if (r != -EINVAL)
		return r ? r : unless_missing(set_number(h, shell, swap, bytes));
	r = set_number(h, shell, swap, bytes);
	return r ? r : set_number(h, shell, limit, bytes);
}

static int set_weight(const struct cgroup_hierarchy *h, uint64_t shell, uint32_t weight)
{
	return h->v2 ? set_number(h, shell, "cpu.weight", weight)
		     : set_number(h, shell, "cpu.shares", cgroup_shares(weight));
}

static int set_quota(const struct cgroup_hierarchy *h, uint64_t shell, uint32_t milli)
{
	uint64_t quota, period;
	char text[48];
	int r;

	cgroup_quota(milli, &quota, &period);
	if (h->v2) {
		snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)quota,
			 (unsigned long long)period);
		return set(h, shell, "cpu.max", text);
	}
	r = set_number(h, shell, "cpu.cfs_period_us", period);
	return r ? r : set_number(h, shell, "cpu.cfs_quota_us", quota);
}

int cgroup_limits_set(const struct cgroup_tree *t, uint64_t shell, const struct cgroup_limits *l,
		      struct err *err)
{
	const char *what = NULL;
	int r = 0;

	for (size_t i = 0; i < t->n && !r; i++) {
		const struct cgroup_hierarchy *h = &t->h[i];

		if (!r && h->has & CGROUP_MEMORY && l->memory_max_bytes) {
			what = "memory limit";
			r = set_memory(h, shell, l->memory_max_bytes);
		}
		if (!r && h->has & CGROUP_PIDS && l->pids_max) {
			what = "limit of processes";
			r = set_number(h, shell, "pids.max", l->pids_max);
		}
		if (!r && h->has & CGROUP_CPU && l->cpu_weight) {
			what = "CPU weight";
			r = set_weight(h, shell, l->cpu_weight);
		}
		if (!r && h->has & CGROUP_CPU && l->cpu_max_milli) {
			what = "CPU limit";
			r = set_quota(h, shell, l->cpu_max_milli);
		}
	}
	if (!r)
		return 0;
	return err_set(err, -r, "cannot set the %s of shell %llu%s", what,
		       (unsigned long long)shell,
		       r == -EBUSY    ? " (it uses more already)"
		       : r == -EINVAL ? " (a limit above it is lower)"
				      : "");
}

int cgroup_limits_check(const struct cgroup_tree *t, const struct cgroup_limits *l, struct err *err)
{
	unsigned need = (l->memory_max_bytes ? CGROUP_MEMORY : 0) |
			(l->pids_max ? CGROUP_PIDS : 0) |
			(l->cpu_weight || l->cpu_max_milli ? CGROUP_CPU : 0);
	char names[64];

	if (l->cpu_weight > 10000)
		return err_set(err, EINVAL, "the CPU weight is %u; it can be 1 to 10000",
			       l->cpu_weight);
	if (l->cpu_max_milli > MAX_MILLI)
		return err_set(err, EINVAL,
			       "the CPU limit is %u thousandths of a CPU; it can be %u at most",
			       l->cpu_max_milli, MAX_MILLI);
	if (l->pids_max == 1 || l->pids_max > MAX_PIDS)
		return err_set(err, EINVAL,
			       "the limit of processes is %llu; it can be 2 (a VM's process and "
			       "KVM's thread) to %u",
			       (unsigned long long)l->pids_max, MAX_PIDS);
	if (l->memory_max_bytes > INT64_MAX)
		return err_set(err, EINVAL,
			       "the memory limit is %llu bytes; it can be %lld at most",
			       (unsigned long long)l->memory_max_bytes, (long long)INT64_MAX);
	if (need & ~t->has) {
		err_set(err, 0, "no limit of %s here: %.400s",
			cgroup_controller_names(need & ~t->has, names), t->missing);
		return -ENOTSUP;
	}
	return 0;
}

/* ---- usage ---- */

static uint64_t oom_kills(const struct cgroup_hierarchy *h, uint64_t shell)
{
	return get_field(h, shell, h->v2 ? "memory.events" : "memory.oom_control", "oom_kill");
}

bool cgroup_limits_oom(const struct cgroup_tree *t, uint64_t shell)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->h[i].has & CGROUP_MEMORY) {
			uint64_t n = oom_kills(&t->h[i], shell);

			return n && n != CGROUP_UNKNOWN;
		}
	return false;
}

static uint64_t cpu_ns(const struct cgroup_hierarchy *h, uint64_t shell)
{
	uint64_t us;

	if (!h->v2)
		return get_number(h, shell, "cpuacct.usage");
	us = get_field(h, shell, "cpu.stat", "usage_usec");
	return us == CGROUP_UNKNOWN ? us : us * 1000;
}

int cgroup_limits_usage(const struct cgroup_tree *t, uint64_t shell, struct cgroup_usage *u)
{
	char name[32];

	memset(u, 0xff, sizeof(*u)); /* CGROUP_UNKNOWN */
	snprintf(name, sizeof(name), "shell-%llu", (unsigned long long)shell);
	if (faccessat(t->h[0].dir, name, F_OK, 0))
		return -ENOENT;
	for (size_t i = 0; i < t->n; i++) {
		const struct cgroup_hierarchy *h = &t->h[i];

		if (h->has & CGROUP_MEMORY) {
			u->memory_bytes = get_number(
				h, shell, h->v2 ? "memory.current" : "memory.usage_in_bytes");
			u->oom_kills = oom_kills(h, shell);
		}
		if (h->has & CGROUP_PIDS)
			u->pids = get_number(h, shell, "pids.current");
		if (h->v2 || h->has & CGROUP_CPUACCT)
			u->cpu_ns = cpu_ns(h, shell);
	}
	return 0;
}
