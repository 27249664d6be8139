/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_place.c: in one hierarchy, makes PARENT and the daemon's directory in it, and removes
 * those of daemons that are gone.
 *
 * v2 has two rules of its own (cgroup-v2.rst, "Top-down Constraint" and "No Internal Process
 * Constraint"): a directory's children have the controllers that its cgroup.subtree_control
 * names, and only one without processes may name any, the root excepted.
 */
#include "cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARENT_NAME "mayfly"        /* of "auto" */
#define LEAF_NAME   "mayfly-daemon" /* v2: where the daemon goes to make room */
#define OPEN_DIR    (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int open_dir(int at, const char *name)
{
	int fd = openat(at, name[0] ? name : ".", OPEN_DIR);

	return fd < 0 ? -errno : fd;
}

static int refused(const struct cgroup_hierarchy *h, const char *path, int error, struct err *err)
{
	const char *hint = "";

	if (error == EACCES || error == EPERM || error == EROFS)
		hint = " (systemd: Delegate=yes in the unit, or systemd-run --user --scope -p "
		       "Delegate=yes; or name a cgroup that is yours with --cgroup)";
	else if (error == EBUSY)
		hint = " (there are processes in it beside the daemon: start the daemon in a unit "
		       "of its own, or name a cgroup without processes with --cgroup)";
	else if (error == ENOTSUP)
		hint = ": its cgroup.controllers has none of memory, cpu, pids (systemd: "
		       "Delegate=yes in the unit)";
	err_set(err, error == ENOTSUP ? 0 : error, "cannot set up the cgroup %.80s/%.160s%s",
		h->mount_path, path, hint);
	return -error;
}

/* ---- v2: controllers for a directory's children ---- */

static unsigned listed(int dir, const char *file)
{
	char text[256];

	return cgroup_read(dir, file, text, sizeof(text)) < 0 ? 0 : cgroup_controllers(text);
}

/* Adds ('+') or takes away ('-') what differs. *changed: these bits. 0 or -errno. */
static int control(int dir, char sign, unsigned bits, unsigned *changed)
{
	static const char file[] = "cgroup.subtree_control";
	unsigned now = listed(dir, file);
	char text[128], name[64];
	int n = 0, r;

	*changed = 0;
	bits &= sign == '+' ? ~now : now;
	for (unsigned bit = 1; bit & CGROUP_WANTED; bit <<= 1)
		if (bits & bit)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%c%s ", sign,
				      cgroup_controller_names(bit, name));
	if (!n)
		return 0;
	r = cgroup_write(dir, file, text);
	if (!r)
		*changed = bits;
	return r;
}

static int into_leaf(int dir)
{
	if (mkdirat(dir, LEAF_NAME, 0755) && errno != EEXIST)
		return -errno;
	return cgroup_write(dir, LEAF_NAME "/cgroup.procs", "0");
}

static void out_of_leaf(int dir)
{
	cgroup_write(dir, "cgroup.procs", "0");
	unlinkat(dir, LEAF_NAME, AT_REMOVEDIR);
}

/* Lets dir's children have what dir itself has: h->has. */
static int enable(struct cgroup_hierarchy *h, int dir, unsigned *changed)
{
	h->has = listed(dir, "cgroup.controllers") & CGROUP_WANTED;
	return h->has ? control(dir, '+', h->has, changed) : -ENOTSUP;
}

/*
 * A directory for PARENT whose children can have controllers: own; own once this process has
 * moved into a leaf of it; or, if other processes are in own, the one above. Its descriptor;
 * *base says where from mount it is.
 */
static int make_room(struct cgroup_hierarchy *h, const char *own, char **base, struct err *err)
{
	const char *slash = strrchr(own, '/');
	size_t bytes = strlen(own);
	int dir = open_dir(h->mount, own), up, r;
	unsigned changed;

	if (dir < 0)
		return refused(h, own, -dir, err);
	r = enable(h, dir, &changed);
	if (r == -EBUSY && !into_leaf(dir)) {
		r = control(dir, '+', h->has, &h->enabled);
		h->left = r ? NULL : strdup(own);
		if (!h->left)
			out_of_leaf(dir);
	}
	if (r == -EBUSY && own[0] && (up = open_dir(dir, "..")) >= 0) {
		close(dir);
		dir = up;
		bytes = slash ? (size_t)(slash - own) : 0;
		r = enable(h, dir, &changed);
	}
	*base = r ? NULL : strndup(own, bytes);
	if (*base)
		return dir;
	close(dir);
	return refused(h, own, r ? -r : ENOMEM, err);
}

/* ---- PARENT ---- */

/* Opens the component name of dir, which is made if it is not there, and closes dir. */
static int step(struct cgroup_hierarchy *h, int dir, const char *name, struct err *err)
{
	unsigned changed;
	int next, r = 0;

	if (!mkdirat(dir, name, 0755))
		h->made++;
	else if (errno == EEXIST)
		h->made = 0;
	else
		r = -errno;
	next = r ? r : open_dir(dir, name);
	close(dir);
	if (next < 0)
		return refused(h, h->parent, -next, err);
	r = h->v2 ? control(next, '+', h->has, &changed) : 0;
	if (!r)
		return next;
	close(next);
	return refused(h, h->parent, -r, err);
}

/* Walks the path rest from dir, which it closes. */
static int walk(struct cgroup_hierarchy *h, int dir, const char *rest, struct err *err)
{
	char name[256];

	h->made = 0;
	while (*rest && dir >= 0) {
		size_t n = strcspn(rest, "/");

		if (n >= sizeof(name)) {
			close(dir);
			return refused(h, h->parent, ENAMETOOLONG, err);
		}
		memcpy(name, rest, n);
		name[n] = '\0';
		rest += n + strspn(rest + n, "/");
		dir = step(h, dir, name, err);
	}
	return dir;
}

/* PARENT beneath this process' own cgroup. */
static int open_auto(struct cgroup_hierarchy *h, const char *own, struct err *err)
{
	char *base = NULL;
	int dir;

	if (h->v2) {
		dir = make_room(h, own, &base, err);
	} else {
		dir = open_dir(h->mount, own);
		if (dir < 0)
			refused(h, own, -dir, err);
	}
	if (dir < 0)
		return dir;
	if (asprintf(&h->parent, "%s%s" PARENT_NAME, base ? base : own,
		     (base ? base : own)[0] ? "/" : "") < 0)
		h->parent = NULL;
	free(base);
	if (!h->parent) {
		close(dir);
		return refused(h, own, ENOMEM, err);
	}
	dir = walk(h, dir, PARENT_NAME, err);
	h->made = 1; /* by this daemon or another: it is nobody else's */
	return dir;
}

/* PARENT at path. */
static int open_named(struct cgroup_hierarchy *h, const char *path, struct err *err)
{
	int dir = open_dir(h->mount, ""), r;
	unsigned changed;

	if (dir < 0)
		return refused(h, "", -dir, err);
	r = h->v2 ? enable(h, dir, &changed) : 0;
	h->parent = r ? NULL : strdup(path);
	if (h->parent)
		return walk(h, dir, path, err);
	close(dir);
	return refused(h, "", r ? -r : ENOMEM, err);
}

/* ---- the daemon's directory ---- */

/* Locked, and still what the name stands for: a sweep may have taken it for a leftover. */
static bool lock_dir(int parent, const char *name, int dir)
{
	struct stat held, named;

	return !flock(dir, LOCK_EX | LOCK_NB) && !fstat(dir, &held) &&
	       !fstatat(parent, name, &named, AT_SYMLINK_NOFOLLOW) && held.st_ino == named.st_ino;
}

/* Another daemon's PID may be the same in another PID namespace, or have been another's. */
static int take_dir(struct cgroup_hierarchy *h)
{
	unsigned changed;

	for (unsigned i = 0; i < 1000; i++) {
		int dir;

		if (i)
			snprintf(h->name, sizeof(h->name), "daemon-%d.%u", getpid(), i);
		else
			snprintf(h->name, sizeof(h->name), "daemon-%d", getpid());
		if (mkdirat(h->parent_dir, h->name, 0755)) {
			if (errno == EEXIST)
				continue;
			return -errno;
		}
		dir = open_dir(h->parent_dir, h->name);
		if (dir >= 0 && lock_dir(h->parent_dir, h->name, dir)) {
			h->dir = dir;
			return h->v2 ? control(dir, '+', h->has, &changed) : 0;
		}
		if (dir >= 0)
			close(dir);
	}
	return -EEXIST;
}

int cgroup_place(struct cgroup_hierarchy *h, const char *own, const char *path, struct err *err)
{
	int r = -ENOENT;

	/* Another daemon that ends may remove PARENT between two steps of ours: ENOENT, ENODEV. */
	for (int try = 0; try < 5 && (r == -ENOENT || r == -ENODEV); try++) {
		h->dir = -1;
		h->parent_dir = path ? open_named(h, path, err) : open_auto(h, own, err);
		if (h->parent_dir < 0) {
			r = h->parent_dir;
		} else {
			unsigned everything = UINT_MAX;

			h->stale = true;
			cgroup_sweep(h, &everything);
			r = take_dir(h);
			if (r)
				refused(h, h->parent, -r, err);
		}
		if (r)
			cgroup_leave(h);
	}
	return r;
}

void cgroup_leave(struct cgroup_hierarchy *h)
{
	bool removed = h->parent != NULL;

	if (h->dir >= 0) {
		unlinkat(h->parent_dir, h->name, AT_REMOVEDIR);
		close(h->dir);
	}
	if (h->parent_dir >= 0)
		close(h->parent_dir);
	for (; removed && h->made; h->made--) {
		char *slash = strrchr(h->parent, '/');

		removed = !unlinkat(h->mount, h->parent, AT_REMOVEDIR);
		if (slash)
			*slash = '\0';
	}
	if (h->left) {
		unsigned changed;
		int dir = open_dir(h->mount, h->left);

		/* With PARENT gone nobody else needs what was enabled for it. */
		if (dir >= 0 && removed && !control(dir, '-', h->enabled, &changed))
			out_of_leaf(dir);
		if (dir >= 0)
			close(dir);
	}
	free(h->left);
	free(h->parent);
	h->left = h->parent = NULL;
	h->parent_dir = h->dir = -1;
}

/* ---- what others left ---- */

/* One daemon's directory: false if something of it is left and nobody owns it. */
static bool sweep_dir(int parent, const char *name, unsigned *budget, size_t *removed)
{
	int dir = open_dir(parent, name);
	bool all = true;
	struct dirent *e;
	DIR *d;

	if (dir < 0)
		return true;
	d = fdopendir(dir);
	if (!d || flock(dir, LOCK_EX | LOCK_NB)) {
		d ? (void)closedir(d) : (void)close(dir);
		return true; /* its daemon lives */
	}
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "shell-", 6) != 0)
			continue;
		if (!*budget || (--*budget, unlinkat(dir, e->d_name, AT_REMOVEDIR))) {
			all = false;
			if (!*budget)
				break;
		} else {
			++*removed;
		}
	}
	if (all && unlinkat(parent, name, AT_REMOVEDIR))
		all = errno == ENOENT;
	closedir(d);
	return all;
}

size_t cgroup_sweep(struct cgroup_hierarchy *h, unsigned *budget)
{
	int dir = open_dir(h->parent_dir, "");
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	size_t removed = 0;
	struct dirent *e;

	h->stale = false;
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, "daemon-", 7) && strcmp(e->d_name, h->name) != 0 &&
		    !sweep_dir(h->parent_dir, e->d_name, budget, &removed))
			h->stale = true;
	if (d)
		closedir(d);
	else if (dir >= 0)
		close(dir);
	return removed;
}
