/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_tree.c: finds the hierarchies that carry memory, cpu and pids, v1 or v2. */
#include "cgroup_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

/* What of /proc/self/cgroup matters: where this process is, for each controller and in v2. */
struct own_paths {
	struct {
		bool v2;
		unsigned controllers;
		char *path;
	} entry[16]; /* there are fewer controllers than that, each once */
	size_t n;
};

/* Why a controller could not be had at one mount; another mount may still have it. */
struct failures {
	struct {
		unsigned bits;
		bool v2_lacks_it; /* as it should where v1 has it: other reasons say more */
		struct err err;
	} f[8];
	size_t n;
};

int cgroup_read(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), error;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	error = errno;
	close(fd);
	if (n < 0)
		return -error;
	text[n] = '\0';
	return (int)n;
}

int cgroup_write(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	close(fd);
	return -error;
}

static int read_own(struct own_paths *own, struct err *err)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	own->n = 0;
	if (!f)
		return err_set(err, errno, "cannot open /proc/self/cgroup: is /proc mounted?");
	while ((n = getline(&line, &size, f)) > 0) {
		struct cgroup_self self;
		char *path;

		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (own->n == sizeof(own->entry) / sizeof(own->entry[0]) ||
		    !cgroup_parse_self(line, &self) ||
		    (!self.v2 && !(self.controllers & CGROUP_WANTED)))
			continue;
		path = strdup(self.path);
		if (!path)
			break;
		own->entry[own->n].v2 = self.v2;
		own->entry[own->n].controllers = self.controllers;
		own->entry[own->n++].path = path;
	}
	free(line);
	fclose(f);
	return 0;
}

static void free_own(struct own_paths *own)
{
	for (size_t i = 0; i < own->n; i++)
		free(own->entry[i].path);
}

static const char *own_path(const struct own_paths *own, const struct cgroup_mount *m)
{
	for (size_t i = 0; i < own->n; i++)
		if (own->entry[i].v2 == m->v2 &&
		    (m->v2 || own->entry[i].controllers & m->controllers & CGROUP_WANTED))
			return own->entry[i].path;
	return NULL;
}

/* Opens a mount point, if no other file system hides what mountinfo tells of. */
static int open_mount(const struct cgroup_mount *m, struct err *err)
{
	int fd = open(m->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return err_set(err, errno, "cannot open %s", m->point);
	if (fstatfs(fd, &fs) || fs.f_type != (m->v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC)) {
		close(fd);
		return err_set(err, 0, "another file system is mounted over %s", m->point);
	}
	return fd;
}

/* One mount: a hierarchy more in t, or the reason why not. */
static int take_mount(struct cgroup_tree *t, const struct cgroup_mount *m,
		      const struct own_paths *own, const char *path, struct err *err)
{
	struct cgroup_hierarchy *h = &t->h[t->n];
	const char *below = NULL, *mine = own_path(own, m);
	int r;

	if (m->read_only)
		return err_set(err, 0, "%s is mounted read-only", m->point);
	/* A new cpuset cgroup takes no process before somebody gives it CPUs and memory nodes. */
	if (m->controllers & CGROUP_CPUSET)
		return err_set(err, 0,
			       "%s has cpuset in the same hierarchy, which mayfly does not set up",
			       m->point);
	if (!path && (!mine || !(below = cgroup_below(m->root, mine))))
		return err_set(err, 0,
			       "%s does not show this process' own cgroup (%s; the mount shows %s "
			       "only): name one with --cgroup",
			       m->point, mine ? mine : "unknown", m->root);
	memset(h, 0, sizeof(*h));
	h->v2 = m->v2;
	h->has = m->controllers & (CGROUP_WANTED | CGROUP_CPUACCT);
	h->mount = open_mount(m, err);
	if (h->mount < 0)
		return h->mount;
	h->mount_path = strdup(m->point);
	r = h->mount_path ? cgroup_place(h, path ? NULL : below, path, err)
			  : err_set(err, ENOMEM, "cannot remember %s", m->point);
	if (!r && !(h->has & CGROUP_WANTED & ~t->has)) {
		cgroup_leave(h); /* v2 that turned out to offer nothing new */
		r = -EEXIST;
	}
	if (r) {
		close(h->mount);
		free(h->mount_path);
		return r;
	}
	t->has |= h->has;
	t->n++;
	return 0;
}

static int read_mounts(struct cgroup_tree *t, const struct own_paths *own, const char *path,
		       struct failures *fail, struct err *err)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!f)
		return err_set(err, errno, "cannot open /proc/self/mountinfo: is /proc mounted?");
	while ((n = getline(&line, &size, f)) > 0 && t->n < CGROUP_MAX_HIERARCHIES) {
		struct cgroup_mount m;
		unsigned bits;
		int r;

		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (!cgroup_parse_mount(line, &m))
			continue;
		bits = (m.v2 ? CGROUP_WANTED : m.controllers & CGROUP_WANTED) & ~t->has;
		if (!bits || fail->n == sizeof(fail->f) / sizeof(fail->f[0]))
			continue;
		r = take_mount(t, &m, own, path, &fail->f[fail->n].err);
		if (!r && m.v2)
			err_set(&fail->f[fail->n].err, 0,
				"%s does not offer it to this daemon's cgroup (systemd: "
				"Delegate=yes in the unit)",
				m.point);
		fail->f[fail->n].v2_lacks_it = m.v2 && (!r || r == -ENOTSUP);
		fail->f[fail->n++].bits = bits;
	}
	free(line);
	fclose(f);
	return 0;
}

static void tell_missing(struct cgroup_tree *t, const struct failures *fail)
{
	unsigned untold = CGROUP_WANTED & ~t->has;
	size_t n = 0;
	char names[64];

	for (size_t i = 0; i < 2 * fail->n && untold; i++) {
		size_t j = i % fail->n;
		unsigned bits = fail->f[j].bits & untold;

		if (!bits || fail->f[j].v2_lacks_it != (i >= fail->n))
			continue;
		n += (size_t)snprintf(t->missing + n, sizeof(t->missing) - n, "%s%s: %.300s",
				      n ? "; " : "", cgroup_controller_names(bits, names),
				      fail->f[j].err.message);
		untold &= ~bits;
	}
	if (untold)
		snprintf(t->missing + n, sizeof(t->missing) - n,
			 "%s%s: no mounted cgroup hierarchy has it", n ? "; " : "",
			 cgroup_controller_names(untold, names));
}

int cgroup_tree_open(struct cgroup_tree *t, const char *parent, struct err *err)
{
	const char *path = strcmp(parent, "auto") != 0 ? parent : NULL;
	struct failures fail = {.n = 0};
	struct own_paths own;
	int r;

	memset(t, 0, sizeof(*t));
	if (path && !cgroup_path_is_good(path))
		return err_set(err, 0,
			       "'%.100s' cannot be the VMs' cgroup: a path from the hierarchies' "
			       "roots without \"..\" is wanted, or \"auto\"",
			       path);
	if (path)
		path += strspn(path, "/");
	r = read_own(&own, err);
	if (!r)
		r = read_mounts(t, &own, path, &fail, err);
	if (!r) {
		tell_missing(t, &fail);
		if (!t->n)
			r = err_set(err, 0, "no cgroups can be made: %.450s", t->missing);
	}
	free_own(&own);
	return r;
}

void cgroup_tree_close(struct cgroup_tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		cgroup_leave(&t->h[i]);
		close(t->h[i].mount);
		free(t->h[i].mount_path);
	}
	t->n = 0;
}

size_t cgroup_tree_sweep(struct cgroup_tree *t, unsigned *budget)
{
	size_t removed = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->h[i].stale)
			removed += cgroup_sweep(&t->h[i], budget);
	return removed;
}
