/* SPDX-License-Identifier: Apache-2.0 */
/* path.h: what the files of calls on names (path, stat, names, links, attr) share. */
#ifndef UK_PATH_H
#define UK_PATH_H

#include "vfs.h"

#define UK_PERMISSIONS 07777u

uint32_t uk_umask(void);
bool uk_user_empty(uint64_t user); /* is it an empty string? */
/*
 * What the call with these AT_ flags means: w->file where it is an open file (the
 * descriptor itself, or by way of /proc/self/fd), else w->node. To be ended in any case.
 */
long uk_find(struct uk_walk *w, uint64_t dirfd, uint64_t user, uint32_t at_flags);
/* The place of a name that is to be made or removed; which: of the two path buffers. */
long uk_find_parent(struct uk_walk *w, uint64_t dirfd, uint64_t user, int which);
/* May a name be made there (not if there is one), or removed? 0 or -errno. */
long uk_may_make(const struct uk_walk *w, bool is_dir);
long uk_may_remove(const struct uk_walk *w);
struct uk_name *uk_name_of(const struct uk_walk *w);
/* Gives a new node its name; without one it goes. 0 or -errno; node NULL: -ENOSPC. */
long uk_make_name(const struct uk_walk *w, struct uk_node *node);

#endif
