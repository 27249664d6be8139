/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.c: from a name to an open file; what the other calls on names share (path.h).
 *
 * Each finds its object with uk_walk() and then does one thing to it. The order of the
 * checks is Linux's: which of two errors a program gets is part of the interface.
 */
#include <linux/openat2.h>

#include "path.h"

static uint32_t mask = UINT32_MAX; /* umask; the noxs page's until it is first asked for */

uint32_t uk_umask(void)
{
	if (mask == UINT32_MAX)
		mask = UK_NOXS->umask & 0777;
	return mask;
}

UK_SYSCALL(umask)
{
	uint32_t old = uk_umask();

	mask = (uint32_t)a & 0777;
	return old;
}

/* ---- finding ---- */

bool uk_user_empty(uint64_t user)
{
	char first;

	return !uk_copy_in(&first, user, 1) && !first;
}

/*
 * What the call with these AT_ flags means: w->file where it is an open file (the
 * descriptor itself, or by way of /proc/self/fd), else w->node. To be ended in any case.
 */
long uk_find(struct uk_walk *w, uint64_t dirfd, uint64_t user, uint32_t at_flags)
{
	char *path;
	long r;

	*w = (struct uk_walk){0};
	/* Looked at first: fstat() by way of newfstatat() should touch no path buffer. */
	if (at_flags & AT_EMPTY_PATH && uk_user_empty(user)) {
		if ((int)dirfd == AT_FDCWD) {
			w->node = uk_cwd();
			return w->node ? 0 : -ENOMEM;
		}
		w->file = uk_fd(dirfd);
		if (!w->file)
			return -EBADF;
		w->node = w->file->node;
		return 0;
	}
	r = uk_path_in(user, 0, &path);
	if (r < 0)
		return r;
	return uk_walk_existing(w, (int)dirfd, path,
				at_flags & AT_SYMLINK_NOFOLLOW ? 0 : UK_WALK_FOLLOW);
}

/* The place of a name that is to be made or removed. */
long uk_find_parent(struct uk_walk *w, uint64_t dirfd, uint64_t user, int which)
{
	char *path;
	long r = uk_path_in(user, which, &path);

	*w = (struct uk_walk){0};
	return r < 0 ? r : uk_walk(w, (int)dirfd, path, UK_WALK_PARENT);
}

/* May a name be made there? Not if there is one. */
long uk_may_make(const struct uk_walk *w, bool is_dir)
{
	if (w->node || w->dots)
		return -EEXIST;
	if (!is_dir && w->slash)
		return -ENOENT;
	if (!w->dir->nlink || w->dir->fs == UK_FS_PROC)
		return -ENOENT;
	if (w->dir->fs == UK_FS_SYS)
		return -EPERM;
	return uk_may(w->dir, UK_MAY_W | UK_MAY_X);
}

long uk_may_remove(const struct uk_walk *w)
{
	if (w->dir->fs != UK_FS_RAM)
		return -EPERM;
	return uk_may(w->dir, UK_MAY_W | UK_MAY_X);
}

struct uk_name *uk_name_of(const struct uk_walk *w)
{
	return uk_dir_find(w->dir, w->name, w->length);
}

/* Give a new node its name; without one it goes. */
long uk_make_name(const struct uk_walk *w, struct uk_node *node)
{
	long r;

	if (!node)
		return -ENOSPC;
	uk_node_ref(node);
	r = uk_dir_add(w->dir, w->name, w->length, node);
	uk_node_unref(node);
	return r;
}

/* ---- open ---- */

/* What f->flags keeps of open's. */
#define OPEN_KEPT (~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC))
#define OPEN_PATH ((uint32_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW))

static long open_on(struct uk_file *file, struct uk_node *node, uint32_t flags)
{
	long r = 0;

	uk_node_ref(node);
	file->node = node;
	file->flags = flags & (flags & O_PATH ? OPEN_PATH : OPEN_KEPT);
	if (flags & O_PATH)
		return 0;
	file->ops = node->ops;
	if (file->ops->open)
		r = file->ops->open(file);
	if (r)
		file->ops = &uk_none_ops; /* nothing to release */
	return r;
}

static long open_make(struct uk_file *file, const struct uk_walk *w, uint32_t flags, uint32_t mode)
{
	struct uk_node *node;
	long r;

	r = uk_may_make(w, false);
	if (r)
		return r == -EPERM ? -EACCES : r;
	node = uk_node_new(w->dir, S_IFREG | (mode & UK_PERMISSIONS & ~uk_umask()));
	r = uk_make_name(w, node);
	return r ? r : open_on(file, node, flags);
}

static long open_tmpfile(struct uk_file *file, struct uk_node *dir, uint32_t flags, uint32_t mode)
{
	struct uk_node *node;
	long r = uk_may(dir, UK_MAY_W | UK_MAY_X);

	if (r)
		return r;
	if (dir->fs != UK_FS_RAM)
		return -EOPNOTSUPP;
	if (!dir->nlink)
		return -ENOENT;
	node = uk_node_new(dir, S_IFREG | (mode & UK_PERMISSIONS & ~uk_umask()));
	if (!node)
		return -ENOSPC;
	node->linkable = !(flags & O_EXCL);
	return open_on(file, node, flags);
}

static long open_existing(struct uk_file *file, struct uk_node *node, uint32_t flags)
{
	uint32_t access = flags & O_ACCMODE;
	uint32_t need = (access != O_WRONLY ? UK_MAY_R : 0) |
			(access != O_RDONLY || flags & O_TRUNC ? UK_MAY_W : 0);
	bool is_dir = UK_S_ISDIR(node->mode);
	long r;

	if (is_dir && flags & O_CREAT)
		return -EISDIR;
	if (!is_dir && flags & O_DIRECTORY)
		return -ENOTDIR;
	if (flags & O_PATH)
		return open_on(file, node, flags);
	if (UK_S_ISLNK(node->mode))
		return -ELOOP;
	if (is_dir && need & UK_MAY_W)
		return -EISDIR;
	r = uk_may(node, need);
	if (!r)
		r = open_on(file, node, flags);
	if (!r && flags & O_TRUNC && node->ops == &uk_ramfs_ops)
		r = uk_ramfs_truncate(node, 0);
	return r;
}

/* Open anew what a descriptor has that no name leads to: a stream or a pipe. */
static long open_again(struct uk_file *of, uint32_t flags, bool cloexec)
{
	struct uk_file *file;
	long fd;

	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (of->ops != &uk_console_ops && uk_pipe_size(of) < 0)
		return -ENXIO; /* a socket, an eventfd */
	flags &= flags & O_PATH ? OPEN_PATH : OPEN_KEPT;
	file = of->ops == &uk_console_ops ? uk_console_reopen(of, flags)
					  : uk_pipe_reopen(of, flags);
	if (!file)
		return -ENOMEM;
	fd = uk_fd_install(file, 0, cloexec);
	if (fd < 0)
		uk_file_put(file);
	return fd;
}

static long open_walked(struct uk_walk *w, uint32_t flags, uint32_t mode)
{
	bool cloexec = flags & O_CLOEXEC;
	struct uk_file *file;
	long fd, r;

	if (w->file && !w->node)
		return open_again(w->file, flags, cloexec);
	file = uk_file_new(&uk_none_ops, 0);
	if (!file)
		return -ENOMEM;
	/* The number first: without one no file is made. */
	fd = uk_fd_install(file, 0, cloexec);
	if (fd < 0) {
		uk_file_put(file);
		return fd;
	}
	if ((flags & O_TMPFILE) == O_TMPFILE)
		r = !w->node                     ? -ENOENT
		    : !UK_S_ISDIR(w->node->mode) ? -ENOTDIR
						 : open_tmpfile(file, w->node, flags, mode);
	else if (!w->node)
		r = flags & O_CREAT ? open_make(file, w, flags, mode) : -ENOENT;
	else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		r = -EEXIST;
	else
		r = open_existing(file, w->node, flags);
	if (r) {
		uk_fd_close((uint64_t)fd);
		return r;
	}
	return fd;
}

static long open_path(uint64_t dirfd, uint64_t user, uint32_t flags, uint32_t mode,
		      uint32_t walk_flags)
{
	struct uk_walk w;
	char *path;
	long r;

	if (flags & O_PATH)
		flags &= OPEN_PATH | O_CLOEXEC;
	else
		flags |= O_LARGEFILE;
	if (flags & __O_TMPFILE &&
	    ((flags & O_TMPFILE) != O_TMPFILE || (flags & O_ACCMODE) == O_RDONLY))
		return -EINVAL;
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		return -EINVAL;
	r = uk_path_in(user, 0, &path);
	if (r < 0)
		return r;
	if (!(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
		walk_flags |= UK_WALK_FOLLOW;
	if (flags & O_CREAT)
		walk_flags |= UK_WALK_CREATE;
	r = uk_walk(&w, (int)dirfd, path, walk_flags);
	if (!r)
		r = open_walked(&w, flags, mode);
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(open)
{
	return open_path((uint64_t)AT_FDCWD, a, (uint32_t)b, (uint32_t)c, 0);
}

UK_SYSCALL(openat)
{
	return open_path(a, b, (uint32_t)c, (uint32_t)d, 0);
}

UK_SYSCALL(creat)
{
	return open_path((uint64_t)AT_FDCWD, a, O_CREAT | O_WRONLY | O_TRUNC, (uint32_t)b, 0);
}

#define OPEN_VALID                                                                              \
	((uint64_t)(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | \
		    O_SYNC | O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY |          \
		    O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | __O_TMPFILE))
#define RESOLVE_VALID                                                               \
	((uint64_t)(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | \
		    RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED))

UK_SYSCALL(openat2)
{
	struct open_how how;
	uint32_t walk_flags = 0;

	if (d < sizeof(how))
		return -EINVAL;
	if (d > NOXS_PAGE)
		return -E2BIG;
	if (uk_copy_in(&how, c, sizeof(how)))
		return -EFAULT;
	for (uint64_t at = sizeof(how); at < d; at++)
		if (!uk_user_empty(c + at)) /* a field that we do not know is set */
			return -E2BIG;
	if (how.flags & ~OPEN_VALID || how.resolve & ~RESOLVE_VALID)
		return -EINVAL;
	if (how.flags & (O_CREAT | __O_TMPFILE) ? how.mode & ~(uint64_t)UK_PERMISSIONS : how.mode)
		return -EINVAL;
	if (how.flags & O_PATH && how.flags & ~(uint64_t)(OPEN_PATH | O_CLOEXEC))
		return -EINVAL;
	if (how.resolve & RESOLVE_BENEATH && how.resolve & RESOLVE_IN_ROOT)
		return -EINVAL;
	if (how.resolve & RESOLVE_NO_SYMLINKS)
		walk_flags |= UK_WALK_NO_LINKS;
	if (how.resolve & RESOLVE_NO_MAGICLINKS)
		walk_flags |= UK_WALK_NO_MAGIC;
	if (how.resolve & RESOLVE_BENEATH)
		walk_flags |= UK_WALK_BENEATH;
	if (how.resolve & RESOLVE_IN_ROOT)
		walk_flags |= UK_WALK_IN_ROOT;
	return open_path(a, b, (uint32_t)how.flags, (uint32_t)how.mode, walk_flags);
}

/* ---- current directory ---- */

UK_SYSCALL(getcwd)
{
	struct uk_node *dir = uk_cwd();
	long n;

	if (!dir)
		return -ENOMEM;
	if (!dir->nlink)
		return -ENOENT;
	n = uk_node_path(dir, uk_path_buffer[0], PATH_MAX);
	if (n < 0)
		return n;
	if ((uint64_t)n + 1 > b)
		return -ERANGE;
	return uk_copy_out(a, uk_path_buffer[0], (size_t)n + 1) ? -EFAULT : n + 1;
}

static long change_dir(struct uk_node *dir)
{
	long r;

	if (!dir || !UK_S_ISDIR(dir->mode))
		return -ENOTDIR;
	r = uk_may(dir, UK_MAY_X);
	if (!r)
		uk_cwd_set(dir);
	return r;
}

UK_SYSCALL(chdir)
{
	struct uk_walk w;
	long r = uk_find(&w, (uint64_t)AT_FDCWD, a, 0);

	if (!r)
		r = change_dir(w.node);
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(fchdir)
{
	struct uk_file *file = uk_fd(a);

	return file ? change_dir(file->node) : -EBADF;
}

UK_SYSCALL(getdents64)
{
	struct uk_file *file = uk_fd_io(a);

	if (!file)
		return -EBADF;
	return file->ops->getdents ? file->ops->getdents(file, b, (uint32_t)c) : -ENOTDIR;
}
