/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.c: system calls on names (open, make, remove, rename) and on attributes.
 *
 * Each finds its object with uk_walk() and then does one thing to it. The order of the
 * checks is Linux's: which of two errors a program gets is part of the interface.
 */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/time_types.h>

#include "vfs.h"

#define UTIME_NOW  0x3fffffffl /* <sys/stat.h>; Linux exports neither */
#define UTIME_OMIT 0x3ffffffel

#define PERMISSIONS 07777u

static uint32_t mask = UINT32_MAX; /* umask; the noxs page's until it is first asked for */

static uint32_t umask_now(void)
{
	if (mask == UINT32_MAX)
		mask = UK_NOXS->umask & 0777;
	return mask;
}

UK_SYSCALL(umask)
{
	uint32_t old = umask_now();

	mask = (uint32_t)a & 0777;
	return old;
}

/* ---- finding ---- */

static bool user_empty(uint64_t user)
{
	char first;

	return !uk_copy_in(&first, user, 1) && !first;
}

/*
 * What the call with these AT_ flags means: w->file where it is an open file (the
 * descriptor itself, or by way of /proc/self/fd), else w->node. To be ended in any case.
 */
static long find(struct uk_walk *w, uint64_t dirfd, uint64_t user, uint32_t at_flags)
{
	char *path;
	long r;

	*w = (struct uk_walk){0};
	/* Looked at first: fstat() by way of newfstatat() should touch no path buffer. */
	if (at_flags & AT_EMPTY_PATH && user_empty(user)) {
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
static long find_parent(struct uk_walk *w, uint64_t dirfd, uint64_t user, int which)
{
	char *path;
	long r = uk_path_in(user, which, &path);

	*w = (struct uk_walk){0};
	return r < 0 ? r : uk_walk(w, (int)dirfd, path, UK_WALK_PARENT);
}

/* May a name be made there? Not if there is one. */
static long may_make(const struct uk_walk *w, bool is_dir)
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

static long may_remove(const struct uk_walk *w)
{
	if (w->dir->fs != UK_FS_RAM)
		return -EPERM;
	return uk_may(w->dir, UK_MAY_W | UK_MAY_X);
}

static struct uk_name *name_of(const struct uk_walk *w)
{
	return uk_dir_find(w->dir, w->name, w->length);
}

/* Give a new node its name; without one it goes. */
static long make_name(const struct uk_walk *w, struct uk_node *node)
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

	r = may_make(w, false);
	if (r)
		return r == -EPERM ? -EACCES : r;
	node = uk_node_new(w->dir, S_IFREG | (mode & PERMISSIONS & ~umask_now()));
	r = make_name(w, node);
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
	node = uk_node_new(dir, S_IFREG | (mode & PERMISSIONS & ~umask_now()));
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
	flags &= flags & O_PATH ? OPEN_PATH : OPEN_KEPT;
	file =
	    of->ops == &uk_console_ops ? uk_console_reopen(of, flags) : uk_pipe_reopen(of, flags);
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
		if (!user_empty(c + at)) /* a field that we do not know is set */
			return -E2BIG;
	if (how.flags & ~OPEN_VALID || how.resolve & ~RESOLVE_VALID)
		return -EINVAL;
	if (how.flags & (O_CREAT | __O_TMPFILE) ? how.mode & ~(uint64_t)PERMISSIONS : how.mode)
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

/* ---- stat ---- */

static uint64_t dev_number(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (uint64_t)(minor & ~0xffu) << 12;
}

static long stat_out(uint64_t user, const struct statx *from)
{
	struct stat st = {
	    .st_dev = dev_number(from->stx_dev_major, from->stx_dev_minor),
	    .st_ino = from->stx_ino,
	    .st_nlink = from->stx_nlink,
	    .st_mode = from->stx_mode,
	    .st_uid = from->stx_uid,
	    .st_gid = from->stx_gid,
	    .st_rdev = dev_number(from->stx_rdev_major, from->stx_rdev_minor),
	    .st_size = (int64_t)from->stx_size,
	    .st_blksize = from->stx_blksize,
	    .st_blocks = (int64_t)from->stx_blocks,
	    .st_atime = (uint64_t)from->stx_atime.tv_sec,
	    .st_atime_nsec = from->stx_atime.tv_nsec,
	    .st_mtime = (uint64_t)from->stx_mtime.tv_sec,
	    .st_mtime_nsec = from->stx_mtime.tv_nsec,
	    .st_ctime = (uint64_t)from->stx_ctime.tv_sec,
	    .st_ctime_nsec = from->stx_ctime.tv_nsec,
	};

	return uk_copy_out(user, &st, sizeof(st));
}

static long stat_at(uint64_t dirfd, uint64_t user, uint32_t at_flags, struct statx *st)
{
	struct uk_walk w;
	long r = find(&w, dirfd, user, at_flags);

	*st = (struct statx){0};
	if (!r && w.file)
		r = uk_file_stat(w.file, st);
	else if (!r)
		uk_node_stat(w.node, st);
	uk_walk_end(&w);
	return r;
}

static long stat_call(uint64_t dirfd, uint64_t user, uint32_t at_flags, uint64_t out)
{
	struct statx st;
	long r = stat_at(dirfd, user, at_flags, &st);

	return r ? r : stat_out(out, &st);
}

UK_SYSCALL(stat)
{
	return stat_call((uint64_t)AT_FDCWD, a, 0, b);
}

UK_SYSCALL(lstat)
{
	return stat_call((uint64_t)AT_FDCWD, a, AT_SYMLINK_NOFOLLOW, b);
}

UK_SYSCALL(fstat)
{
	struct uk_file *file = uk_fd(a);
	struct statx st = {0};
	long r;

	if (!file)
		return -EBADF;
	r = uk_file_stat(file, &st);
	return r ? r : stat_out(b, &st);
}

UK_SYSCALL(newfstatat)
{
	if ((uint32_t)d & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	return stat_call(a, b, (uint32_t)d, c);
}

UK_SYSCALL(statx)
{
	const uint32_t known =
	    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
	struct statx st;
	long r;

	if ((uint32_t)d & STATX__RESERVED || (uint32_t)c & ~known ||
	    (c & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	r = stat_at(a, b, (uint32_t)c, &st);
	if (r)
		return r;
	st.stx_mask = STATX_BASIC_STATS | (st.stx_btime.tv_sec ? STATX_BTIME : 0);
	return uk_copy_out(e, &st, sizeof(st));
}

static long statfs_out(uint64_t user, const struct uk_node *node)
{
	struct statfs st = {.f_bsize = NOXS_PAGE, .f_frsize = NOXS_PAGE, .f_namelen = NAME_MAX};
	uint64_t total, available, mapped;

	st.f_type = PIPEFS_MAGIC;
	if (node)
		st.f_type = node->fs == UK_FS_PROC  ? PROC_SUPER_MAGIC
			    : node->fs == UK_FS_SYS ? SYSFS_MAGIC
						    : TMPFS_MAGIC;
	if (st.f_type == TMPFS_MAGIC) {
		uk_mm_usage(&total, &available, &mapped);
		st.f_blocks = (int64_t)(total / NOXS_PAGE);
		st.f_bfree = st.f_bavail = (int64_t)(available / NOXS_PAGE);
		st.f_files = st.f_blocks;
		st.f_ffree = st.f_bfree;
	}
	return uk_copy_out(user, &st, sizeof(st));
}

UK_SYSCALL(statfs)
{
	struct uk_walk w;
	long r = find(&w, (uint64_t)AT_FDCWD, a, 0);

	if (!r)
		r = statfs_out(b, w.node);
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(fstatfs)
{
	struct uk_file *file = uk_fd(a);

	return file ? statfs_out(b, file->node) : -EBADF;
}

static long access_at(uint64_t dirfd, uint64_t user, uint32_t mode, uint32_t at_flags)
{
	struct uk_walk w;
	long r;

	if (mode & ~(uint32_t)(UK_MAY_R | UK_MAY_W | UK_MAY_X) ||
	    at_flags & ~(uint32_t)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	r = find(&w, dirfd, user, at_flags);
	if (!r && w.node)
		r = uk_may(w.node, mode);
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(access)
{
	return access_at((uint64_t)AT_FDCWD, a, (uint32_t)b, 0);
}

UK_SYSCALL(faccessat)
{
	return access_at(a, b, (uint32_t)c, 0);
}

UK_SYSCALL(faccessat2)
{
	return access_at(a, b, (uint32_t)c, (uint32_t)d);
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
	long r = find(&w, (uint64_t)AT_FDCWD, a, 0);

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

/* ---- making and removing names ---- */

static long mkdir_at(uint64_t dirfd, uint64_t user, uint32_t mode)
{
	struct uk_walk w;
	long r = find_parent(&w, dirfd, user, 0);

	if (!r)
		r = may_make(&w, true);
	if (!r)
		r = make_name(&w, uk_node_new(w.dir, S_IFDIR | (mode & 01777 & ~umask_now())));
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
	r = may_remove(w);
	if (r)
		return r;
	if (!UK_S_ISDIR(w->node->mode))
		return -ENOTDIR;
	if (w->node->fs != w->dir->fs)
		return -EBUSY;
	if (!dir_empty(w->node))
		return -ENOTEMPTY;
	uk_dir_remove(name_of(w));
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
	r = may_remove(w);
	if (r)
		return r;
	if (UK_S_ISDIR(w->node->mode))
		return -EISDIR;
	uk_dir_remove(name_of(w));
	return 0;
}

static long remove_at(uint64_t dirfd, uint64_t user, bool is_dir)
{
	struct uk_walk w;
	long r = find_parent(&w, dirfd, user, 0);

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
	r = may_remove(from);
	if (!r)
		r = may_remove(to);
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
	struct uk_name *one = name_of(from), *two = name_of(to);
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
	old = name_of(from);
	replaced = to->node ? name_of(to) : NULL;
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
	r = find_parent(&from, from_fd, from_user, 0);
	if (!r)
		r = find_parent(&to, to_fd, to_user, 1);
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

/* ---- links ---- */

static long link_walked(const struct uk_walk *from, const struct uk_walk *to)
{
	struct uk_node *node = from->node;
	long r = to->node || to->dots ? -EEXIST : to->slash ? -ENOENT : 0;

	if (r)
		return r;
	if (!node || node->fs != to->dir->fs)
		return -EXDEV;
	r = may_make(to, false);
	if (r)
		return r;
	if (UK_S_ISDIR(node->mode))
		return -EPERM;
	if (!node->nlink && !node->linkable)
		return -ENOENT;
	r = uk_dir_add(to->dir, to->name, to->length, node);
	if (!r)
		node->linkable = false;
	return r;
}

static long link_at(uint64_t from_fd, uint64_t from_user, uint64_t to_fd, uint64_t to_user,
		    uint32_t flags)
{
	struct uk_walk from, to = {0};
	long r;

	if (flags & ~(uint32_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	/* find() follows unless told not to, link() does so only if told to */
	r = find(&from, from_fd, from_user,
		 (flags & AT_EMPTY_PATH) | (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW));
	if (!r)
		r = find_parent(&to, to_fd, to_user, 1);
	if (!r)
		r = link_walked(&from, &to);
	uk_walk_end(&from);
	uk_walk_end(&to);
	return r;
}

UK_SYSCALL(link)
{
	return link_at((uint64_t)AT_FDCWD, a, (uint64_t)AT_FDCWD, b, 0);
}

UK_SYSCALL(linkat)
{
	return link_at(a, b, c, d, (uint32_t)e);
}

static long symlink_at(uint64_t target_user, uint64_t dirfd, uint64_t user)
{
	struct uk_walk w = {0};
	char *target;
	long n = uk_path_in(target_user, 1, &target), r;

	if (n <= 0)
		return n ? n : -ENOENT;
	r = find_parent(&w, dirfd, user, 0);
	if (!r)
		r = may_make(&w, false);
	if (!r)
		r = make_name(&w, uk_link_new(w.dir, target, (size_t)n));
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(symlink)
{
	return symlink_at(a, (uint64_t)AT_FDCWD, b);
}

UK_SYSCALL(symlinkat)
{
	return symlink_at(a, b, c);
}

static long link_text(const struct uk_node *link, const char **text)
{
	struct uk_file *file;

	*text = uk_path_buffer[1];
	switch (link->link.magic) {
	case UK_LINK_FD:
		file = uk_fd((uint64_t)link->link.fd);
		return file ? (long)uk_file_link(file, uk_path_buffer[1], PATH_MAX) : -ENOENT;
	case UK_LINK_CWD:
		return uk_node_path(uk_cwd(), uk_path_buffer[1], PATH_MAX);
	default:
		*text = link->link.target;
		return (long)link->size;
	}
}

static long readlink_at(uint64_t dirfd, uint64_t user, uint64_t out, int size)
{
	struct uk_walk w;
	const char *text = NULL;
	long n;

	if (size <= 0)
		return -EINVAL;
	n = find(&w, dirfd, user, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);
	if (!n && (!w.node || !UK_S_ISLNK(w.node->mode)))
		n = w.file || user_empty(user) ? -ENOENT : -EINVAL;
	if (!n)
		n = link_text(w.node, &text);
	if (n > 0) {
		n = uk_min(n, size);
		if (uk_copy_out(out, text, (size_t)n))
			n = -EFAULT;
	}
	uk_walk_end(&w);
	return n;
}

UK_SYSCALL(readlink)
{
	return readlink_at((uint64_t)AT_FDCWD, a, b, (int)c);
}

UK_SYSCALL(readlinkat)
{
	return readlink_at(a, b, c, (int)d);
}

/* ---- mode and owner ---- */

static bool owns(const struct uk_node *node)
{
	return UK_NOXS->uid == 0 || UK_NOXS->uid == node->uid;
}

/* A node is missing where the descriptor is a stream or a pipe: nothing keeps it. */
static long set_mode(struct uk_node *node, uint32_t mode)
{
	if (!node)
		return 0;
	if (!owns(node))
		return -EPERM;
	if (UK_S_ISLNK(node->mode))
		return -EOPNOTSUPP;
	node->mode = (node->mode & ~PERMISSIONS) | (mode & PERMISSIONS);
	node->ctime = uk_now();
	return 0;
}

static long chmod_at(uint64_t dirfd, uint64_t user, uint32_t mode)
{
	struct uk_walk w;
	long r = find(&w, dirfd, user, 0);

	if (!r)
		r = set_mode(w.node, mode);
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(chmod)
{
	return chmod_at((uint64_t)AT_FDCWD, a, (uint32_t)b);
}

UK_SYSCALL(fchmod)
{
	struct uk_file *file = uk_fd_io(a);

	return file ? set_mode(file->node, (uint32_t)b) : -EBADF;
}

UK_SYSCALL(fchmodat)
{
	return chmod_at(a, b, (uint32_t)c);
}

static long set_owner(struct uk_node *node, uint32_t uid, uint32_t gid)
{
	if (!node)
		return 0;
	if (!owns(node) || (UK_NOXS->uid && uid != UINT32_MAX && uid != node->uid))
		return -EPERM;
	if (uid != UINT32_MAX)
		node->uid = uid;
	if (gid != UINT32_MAX)
		node->gid = gid;
	if (!UK_S_ISDIR(node->mode))
		node->mode &= ~(uint32_t)(S_ISUID | (node->mode & S_IXGRP ? S_ISGID : 0));
	node->ctime = uk_now();
	return 0;
}

static long chown_at(uint64_t dirfd, uint64_t user, uint64_t uid, uint64_t gid, uint32_t flags)
{
	struct uk_walk w;
	long r;

	if (flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	r = find(&w, dirfd, user, flags);
	if (!r)
		r = set_owner(w.node, (uint32_t)uid, (uint32_t)gid);
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(chown)
{
	return chown_at((uint64_t)AT_FDCWD, a, b, c, 0);
}

UK_SYSCALL(lchown)
{
	return chown_at((uint64_t)AT_FDCWD, a, b, c, AT_SYMLINK_NOFOLLOW);
}

UK_SYSCALL(fchown)
{
	struct uk_file *file = uk_fd_io(a);

	return file ? set_owner(file->node, (uint32_t)b, (uint32_t)c) : -EBADF;
}

UK_SYSCALL(fchownat)
{
	return chown_at(a, b, c, d, (uint32_t)e);
}

/* ---- size ---- */

UK_SYSCALL(truncate)
{
	struct uk_walk w;
	long r;

	if ((int64_t)b < 0)
		return -EINVAL;
	r = find(&w, (uint64_t)AT_FDCWD, a, 0);
	if (!r && w.node && UK_S_ISDIR(w.node->mode))
		r = -EISDIR;
	else if (!r && (!w.node || w.node->ops != &uk_ramfs_ops))
		r = -EINVAL;
	if (!r)
		r = uk_may(w.node, UK_MAY_W);
	if (!r)
		r = uk_ramfs_truncate(w.node, b);
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(ftruncate)
{
	struct uk_file *file = uk_fd_io(a);

	if ((int64_t)b < 0)
		return -EINVAL;
	if (!file)
		return -EBADF;
	if (file->ops != &uk_ramfs_ops || (file->flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	return uk_ramfs_truncate(file->node, b);
}

UK_SYSCALL(fallocate)
{
	struct uk_file *file = uk_fd_io(a);

	if (!file)
		return -EBADF;
	if ((int64_t)c < 0 || (int64_t)d <= 0)
		return -EINVAL;
	if (!uk_ramfs_can_fallocate((uint32_t)b))
		return -EOPNOTSUPP;
	if ((file->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (!file->node)
		return -ESPIPE;
	if (file->ops != &uk_ramfs_ops)
		return -ENODEV;
	if (c + d > UK_OFF_MAX)
		return -EFBIG;
	return uk_ramfs_fallocate(file->node, (uint32_t)b, c, d);
}

/* ---- times ---- */

/* nsec may be UTIME_NOW or UTIME_OMIT. */
static long set_times(struct uk_node *node, const struct uk_time time[2])
{
	struct uk_time now;

	if (!node)
		return 0;
	if (!owns(node) && uk_may(node, UK_MAY_W))
		return time[0].nsec == UTIME_NOW && time[1].nsec == UTIME_NOW ? -EACCES : -EPERM;
	now = uk_now();
	if (time[0].nsec != UTIME_OMIT)
		node->atime = time[0].nsec == UTIME_NOW ? now : time[0];
	if (time[1].nsec != UTIME_OMIT)
		node->mtime = time[1].nsec == UTIME_NOW ? now : time[1];
	node->ctime = now;
	return 0;
}

static long utimes_at(uint64_t dirfd, uint64_t user, const struct uk_time time[2], uint32_t flags)
{
	struct uk_walk w;
	long r;

	if (flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!user && (int)dirfd != AT_FDCWD) { /* futimens */
		struct uk_file *file = uk_fd_io(dirfd);

		if (flags)
			return -EINVAL;
		return file ? set_times(file->node, time) : -EBADF;
	}
	r = find(&w, dirfd, user, flags);
	if (!r)
		r = set_times(w.node, time);
	uk_walk_end(&w);
	return r;
}

static const struct uk_time times_now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

UK_SYSCALL(utimensat)
{
	struct __kernel_timespec spec[2];
	struct uk_time time[2];

	if (!c)
		return utimes_at(a, b, times_now, (uint32_t)d);
	if (uk_copy_in(spec, c, sizeof(spec)))
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if ((uint64_t)spec[i].tv_nsec >= 1000000000 && spec[i].tv_nsec != UTIME_NOW &&
		    spec[i].tv_nsec != UTIME_OMIT)
			return -EINVAL;
		time[i] = (struct uk_time){spec[i].tv_sec, (uint32_t)spec[i].tv_nsec};
	}
	if (time[0].nsec == UTIME_OMIT && time[1].nsec == UTIME_OMIT)
		return 0; /* not even the path is looked at */
	return utimes_at(a, b, time, (uint32_t)d);
}

/* utimes and futimesat: struct timeval, which is two longs. */
static long utimes_us(uint64_t dirfd, uint64_t user, uint64_t times_user)
{
	struct uk_time time[2];
	int64_t tv[2][2];

	if (!times_user)
		return utimes_at(dirfd, user, times_now, 0);
	if (uk_copy_in(tv, times_user, sizeof(tv)))
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (tv[i][1] < 0 || tv[i][1] >= 1000000)
			return -EINVAL;
		time[i] = (struct uk_time){tv[i][0], (uint32_t)tv[i][1] * 1000};
	}
	return utimes_at(dirfd, user, time, 0);
}

UK_SYSCALL(utimes)
{
	return utimes_us((uint64_t)AT_FDCWD, a, b);
}

UK_SYSCALL(futimesat)
{
	return utimes_us(a, b, c);
}

UK_SYSCALL(utime)
{
	struct uk_time time[2];
	int64_t sec[2]; /* struct utimbuf */

	if (!b)
		return utimes_at((uint64_t)AT_FDCWD, a, times_now, 0);
	if (uk_copy_in(sec, b, sizeof(sec)))
		return -EFAULT;
	time[0] = (struct uk_time){sec[0], 0};
	time[1] = (struct uk_time){sec[1], 0};
	return utimes_at((uint64_t)AT_FDCWD, a, time, 0);
}

UK_SYSCALL(getdents64)
{
	struct uk_file *file = uk_fd_io(a);

	if (!file)
		return -EBADF;
	return file->ops->getdents ? file->ops->getdents(file, b, (uint32_t)c) : -ENOTDIR;
}
