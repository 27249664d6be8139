/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c: a shell's cgroups: making and removing. */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_limits.h"
#include "cgroup_tree.h"

#define COLLECT_TRIES 64 /* a call of cgroups_collect: about 2 ms */
#define COLLECT_PAUSE 31 /* calls that are skipped, at most, when nothing can be removed */

_Static_assert(CGROUP_MAX_HIERARCHIES <= ZYGOTE_MAX_CGROUPS, "a descriptor for each");

struct cgroups {
	struct cgroup_tree tree;
	/* Numbers of shells whose cgroups were still in use when they were to be removed: a ring.
	 */
	uint64_t *busy;
	size_t first, n, size; /* size: 0 or a power of two */
	unsigned skip, pause;
	char path[512];
};

/* Removes shell's directories in the first n hierarchies: whether they are gone. */
static bool remove_all(const struct cgroups *cs, uint64_t shell, size_t n)
{
	bool gone = true;
	char name[32];

	snprintf(name, sizeof(name), "shell-%llu", (unsigned long long)shell);
	while (n-- > 0)
		if (unlinkat(cs->tree.h[n].dir, name, AT_REMOVEDIR) && errno != ENOENT)
			gone = false;
	return gone;
}

struct cgroups *cgroups_open(const char *parent, struct err *err)
{
	struct cgroups *cs = calloc(1, sizeof(*cs));
	const struct cgroup_hierarchy *h;

	if (!cs) {
		err_set(err, ENOMEM, "cannot keep account of cgroups");
		return NULL;
	}
	if (cgroup_tree_open(&cs->tree, parent, err)) {
		free(cs);
		return NULL;
	}
	h = &cs->tree.h[0];
	snprintf(cs->path, sizeof(cs->path), "%s/%s/%s", h->mount_path, h->parent, h->name);
	return cs;
}

void cgroups_close(struct cgroups *cs)
{
	if (!cs)
		return;
	/* What had processes a moment ago may have none by now. */
	for (; cs->n; cs->n--, cs->first++)
		remove_all(cs, cs->busy[cs->first & (cs->size - 1)], cs->tree.n);
	cgroup_tree_close(&cs->tree);
	free(cs->busy);
	free(cs);
}

const char *cgroups_missing(const struct cgroups *cs)
{
	return cs->tree.missing[0] ? cs->tree.missing : NULL;
}

const char *cgroups_path(const struct cgroups *cs)
{
	return cs->path;
}

/* The cgroup's directory, and the file through which it is joined; or negative errno.
 * v1's tasks takes one thread. That is all there is to move, and for a thread that moves itself
 * the kernel need not stop all forks of the machine first, which cgroup.procs does (the
 * threadgroup lock waits for an RCU grace period: 20 ms). */
static int make(const struct cgroup_hierarchy *h, uint64_t shell)
{
	char name[64];
	int fd, error;

	snprintf(name, sizeof(name), "shell-%llu", (unsigned long long)shell);
	if (mkdirat(h->dir, name, 0755))
		return -errno;
	snprintf(name, sizeof(name), "shell-%llu/%s", (unsigned long long)shell,
		 h->v2 ? "cgroup.procs" : "tasks");
	fd = openat(h->dir, name, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	error = errno;
	*strchr(name, '/') = '\0';
	unlinkat(h->dir, name, AT_REMOVEDIR);
	return -error;
}

int cgroups_create(struct cgroups *cs, uint64_t shell, const struct cgroup_limits *limits,
		   int fds[ZYGOTE_MAX_CGROUPS], struct err *err)
{
	int r = limits ? cgroup_limits_check(&cs->tree, limits, err) : 0;
	size_t n = 0;

	for (; n < cs->tree.n && !r; n++) {
		fds[n] = make(&cs->tree.h[n], shell);
		if (fds[n] < 0) {
			r = fds[n];
			err_set(err, -r, "cannot make the cgroup %s/%s/%s/shell-%llu%s",
				cs->tree.h[n].mount_path, cs->tree.h[n].parent, cs->tree.h[n].name,
				(unsigned long long)shell,
				r == -ENOSPC || r == -EAGAIN
					? " (cgroup.max.descendants above it, or 65,535 memory "
					  "cgroups)"
					: "");
			break;
		}
	}
	if (!r && limits)
		r = cgroup_limits_set(&cs->tree, shell, limits, err);
	if (!r)
		return (int)n;
	remove_all(cs, shell, n);
	while (n-- > 0)
		close(fds[n]);
	return r;
}

static void put_busy(struct cgroups *cs, uint64_t shell)
{
	if (cs->n == cs->size) {
		size_t size = cs->size ? cs->size * 2 : 64;
		uint64_t *busy = malloc(size * sizeof(*busy));

		if (!busy)
			return; /* the next daemon's sweep finds it */
		for (size_t i = 0; i < cs->n; i++)
			busy[i] = cs->busy[(cs->first + i) & (cs->size - 1)];
		free(cs->busy);
		cs->busy = busy;
		cs->first = 0;
		cs->size = size;
	}
	cs->busy[(cs->first + cs->n++) & (cs->size - 1)] = shell;
}

void cgroups_remove(struct cgroups *cs, uint64_t shell)
{
	if (!remove_all(cs, shell, cs->tree.n))
		put_busy(cs, shell);
}

static bool any_stale(const struct cgroups *cs)
{
	for (size_t i = 0; i < cs->tree.n; i++)
		if (cs->tree.h[i].stale)
			return true;
	return false;
}

size_t cgroups_collect(struct cgroups *cs)
{
	unsigned budget = COLLECT_TRIES;
	size_t before = cs->n, removed = 0;

	if (!cs->n && !any_stale(cs))
		return 0;
	if (cs->skip) {
		cs->skip--;
		return cs->n + 1;
	}
	for (size_t i = 0; i < before && budget; i++, budget--) {
		uint64_t shell = cs->busy[cs->first++ & (cs->size - 1)];

		cs->n--;
		if (remove_all(cs, shell, cs->tree.n))
			removed++;
		else
			put_busy(cs, shell); /* there is room: one was taken out */
	}
	removed += cgroup_tree_sweep(&cs->tree, &budget);
	/* Something that does not end need not be looked at ten times a second. */
	cs->pause = removed ? 0 : cs->pause * 2 + 1;
	if (cs->pause > COLLECT_PAUSE)
		cs->pause = COLLECT_PAUSE;
	cs->skip = cs->pause;
	return cs->n + any_stale(cs);
}

/* ---- limits and usage: cgroup_limits.c ---- */

int cgroups_check(const struct cgroups *cs, const struct cgroup_limits *limits, struct err *err)
{
	return cgroup_limits_check(&cs->tree, limits, err);
}

int cgroups_set(struct cgroups *cs, uint64_t shell, const struct cgroup_limits *limits,
		struct err *err)
{
	int r = cgroup_limits_check(&cs->tree, limits, err);

	return r ? r : cgroup_limits_set(&cs->tree, shell, limits, err);
}

int cgroups_usage(struct cgroups *cs, uint64_t shell, struct cgroup_usage *usage)
{
	return cgroup_limits_usage(&cs->tree, shell, usage);
}

bool cgroups_out_of_memory(struct cgroups *cs, uint64_t shell)
{
	return cgroup_limits_oom(&cs->tree, shell);
}
