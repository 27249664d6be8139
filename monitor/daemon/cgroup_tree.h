/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_tree.h: the hierarchies, and in each the daemon's own directory, for cgroup.c.
 *
 * Directories are held open and everything is named from them: a name that somebody changes
 * above them changes nothing here.
 */
#ifndef MAYFLY_CGROUP_TREE_H
#define MAYFLY_CGROUP_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "../err.h"
#include "cgroup_parse.h"

/* As many as have a controller of their own (wire.h's ZYGOTE_MAX_CGROUPS is one more). */
#define CGROUP_MAX_HIERARCHIES 3

struct cgroup_hierarchy {
	bool v2;
	bool stale;       /* a daemon that is gone left something that is not removed yet */
	unsigned has;     /* enum cgroup_controller */
	int mount;        /* the mount point, open */
	char *mount_path; /* for messages */
	char *parent;     /* PARENT, from mount */
	unsigned made;    /* how many of its last components we made, or may remove */
	char *left;       /* v2: where this process was, from mount, before it went into a leaf */
	unsigned enabled; /* v2: what we enabled there */
	int parent_dir;   /* PARENT, open */
	int dir;          /* the daemon's directory in it, open and locked */
	char name[40];    /* of dir */
};

struct cgroup_tree {
	struct cgroup_hierarchy h[CGROUP_MAX_HIERARCHIES];
	size_t n;
	unsigned has;       /* of all */
	char missing[1024]; /* what cannot be limited and why, or "" */
};

/* See cgroups_open. 0 or negative errno with a message. */
int cgroup_tree_open(struct cgroup_tree *t, const char *parent, struct err *err);
void cgroup_tree_close(struct cgroup_tree *t);

/*
 * Removes what daemons that are gone left, with at most *budget tries, which it counts down.
 * Returns how much was removed; stale is cleared in each hierarchy where nothing is left.
 */
size_t cgroup_tree_sweep(struct cgroup_tree *t, unsigned *budget);

/* Reads or writes the small file dir/name. Bytes or 0, or negative errno; text ends with NUL. */
int cgroup_read(int dir, const char *name, char *text, size_t size);
int cgroup_write(int dir, const char *name, const char *text);

/* ---- between cgroup_tree.c, which finds hierarchies, and cgroup_place.c ---- */

/*
 * Makes h's PARENT and the daemon's directory in it. own: where this process is, from mount
 * ("" is mount itself): PARENT goes beneath it. path: PARENT itself. One of them is NULL.
 * h has v2, has (v1 only), mount and mount_path. On failure h holds nothing but these.
 */
int cgroup_place(struct cgroup_hierarchy *h, const char *own, const char *path, struct err *err);
/* Removes what cgroup_place made, as far as nobody uses it, and closes all but mount. */
void cgroup_leave(struct cgroup_hierarchy *h);
/* cgroup_tree_sweep for one hierarchy. */
size_t cgroup_sweep(struct cgroup_hierarchy *h, unsigned *budget);

#endif
