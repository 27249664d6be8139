/* SPDX-License-Identifier: Apache-2.0 */
/* names.c: making, removing and renaming what is in directories. */
#include <linux/fs.h>

#include "path.h"

static long mkdir_at(uint64_t dirfd, uint64_t user, uint32_t mode)
{
	struct uk_walk w;
	long r = uk_find_parent(&w, dirfd, user, 0);

	if (!r)
		r = uk_may_make(&w, true);
	if (!r)
		r = uk_make_name(&w, uk_node_new(w.dir, S_IFDIR | (mode & 01777 & ~uk_umask())));
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(mkdir)
{
	return mkdir_at((uint64_t)AT_FDCWD, a, (uint32_t)b);
}

UK_SYSCALL(mkdirat)
{
	return mkdir_at(a, b, (uint32_t)c);
}

static bool dir_empty(struct uk_node *dir)
{
	if (dir->dir.fill)
		dir->dir.fill(dir);
	return !dir->dir.count;
}

static long remove_dir(const struct uk_walk *w)
{
	long r;

	if (w->dots)
		return !w->name ? -EBUSY : w->length == 2 ? -ENOTEMPTY : -EINVAL;
	if (!w->node)
		return -ENOENT;
	r = uk_may_remove(w);
	if (r)
		return r;
	if (!UK_S_ISDIR(w->node->mode))
		return -ENOTDIR;
	if (w->node->fs != w->dir->fs)
		return -EBUSY;
	if (!dir_empty(w->node))
		return -ENOTEMPTY;
	uk_dir_remove(uk_name_of(w));
	return 0;
}

static long remove_file(const struct uk_walk *w)
{
	long r;

	if (w->dots)
		return -EISDIR;
	if (!w->node)
		return -ENOENT;
	if (w->slash)
		return UK_S_ISDIR(w->node->mode) ? -EISDIR : -ENOTDIR;
	r = uk_may_remove(w);
	if (r)
		return r;
	if (UK_S_ISDIR(w->node->mode))
		return -EISDIR;
	uk_dir_remove(uk_name_of(w));
	return 0;
}

static long remove_at(uint64_t dirfd, uint64_t user, bool is_dir)
{
	struct uk_walk w;
	long r = uk_find_parent(&w, dirfd, user, 0);

	if (!r)
		r = is_dir ? remove_dir(&w) : remove_file(&w);
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(rmdir)
{
	return remove_at((uint64_t)AT_FDCWD, a, true);
}

UK_SYSCALL(unlink)
{
	return remove_at((uint64_t)AT_FDCWD, a, false);
}

UK_SYSCALL(unlinkat)
{
	if ((uint32_t)c & ~(uint32_t)AT_REMOVEDIR)
		return -EINVAL;
	return remove_at(a, b, c & AT_REMOVEDIR);
}

/* Is top the directory node or above it? */
static bool is_above(const struct uk_node *top, const struct uk_node *node)
{
	while (node != top && node != node->dir.parent)
		node = node->dir.parent;
	return node == top;
}

static long rename_check(const struct uk_walk *from, const struct uk_walk *to, uint32_t flags)
{
	bool from_dir, to_dir;
	long r;

	if (from->dir->fs != to->dir->fs)
		return -EXDEV;
	if (from->dots)
		return -EBUSY;
	if (to->dots)
		return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if (!from->node)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && to->node)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE && !to->node)
		return -ENOENT;
	from_dir = UK_S_ISDIR(from->node->mode);
	to_dir = to->node && UK_S_ISDIR(to->node->mode);
	if (flags & RENAME_EXCHANGE && !to_dir && to->slash)
		return -ENOTDIR;
	if (!from_dir && (from->slash || (!(flags & RENAME_EXCHANGE) && to->slash)))
		return -ENOTDIR;
	if (from_dir && is_above(from->node, to->dir))
		return -EINVAL;
	if (to_dir && is_above(to->node, from->dir))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	r = uk_may_remove(from);
	if (!r)
		r = uk_may_remove(to);
	if (r)
		return r;
	if (!to->dir->nlink)
		return -ENOENT;
	if (!to->node || flags & RENAME_EXCHANGE || to->node == from->node)
		return 0;
	if (from_dir != to_dir)
		return from_dir ? -ENOTDIR : -EISDIR;
	return to_dir && !dir_empty(to->node) ? -ENOTEMPTY : 0;
}

static void exchange(struct uk_walk *from, struct uk_walk *to)
{
	struct uk_name *one = uk_name_of(from), *two = uk_name_of(to);
	uint32_t one_dir = UK_S_ISDIR(from->node->mode), two_dir = UK_S_ISDIR(to->node->mode);

	uk_name_set(one, to->node);
	uk_name_set(two, from->node);
	from->dir->nlink += two_dir - one_dir;
	to->dir->nlink += one_dir - two_dir;
	from->node->ctime = to->node->ctime = uk_now();
	from->dir->ctime = from->dir->mtime = from->node->ctime;
	to->dir->ctime = to->dir->mtime = from->node->ctime;
}

static long rename_walked(struct uk_walk *from, struct uk_walk *to, uint32_t flags)
{
	struct uk_name *old, *replaced;
	long r = rename_check(from, to, flags);

	if (r)
		return r;
	if (from->node == to->node) /* two links to one file: nothing happens, says POSIX */
		return 0;
	if (flags & RENAME_EXCHANGE) {
		exchange(from, to);
		return 0;
	}
	old = uk_name_of(from);
	replaced = to->node ? uk_name_of(to) : NULL;
	/* The new name first: it is the one step that can fail. */
	r = uk_dir_add(to->dir, to->name, to->length, from->node);
	if (r)
		return r;
	if (replaced)
		uk_dir_remove(replaced);
	uk_dir_remove(old);
	return 0;
}

static long rename_at(uint64_t from_fd, uint64_t from_user, uint64_t to_fd, uint64_t to_user,
		      uint32_t flags)
{
	struct uk_walk from, to = {0};
	long r;

	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = uk_find_parent(&from, from_fd, from_user, 0);
	if (!r)
		r = uk_find_parent(&to, to_fd, to_user, 1);
	if (!r)
		r = rename_walked(&from, &to, flags);
	uk_walk_end(&from);
	uk_walk_end(&to);
	return r;
}

UK_SYSCALL(rename)
{
	return rename_at((uint64_t)AT_FDCWD, a, (uint64_t)AT_FDCWD, b, 0);
}

UK_SYSCALL(renameat)
{
	return rename_at(a, b, c, d, 0);
}

UK_SYSCALL(renameat2)
{
	return rename_at(a, b, c, d, (uint32_t)e);
}
