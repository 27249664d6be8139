/* SPDX-License-Identifier: Apache-2.0 */
/* attr.c: changing what a file is besides its name: mode, owner, size, times. */
#include <linux/time_types.h>

#include "path.h"

#define UTIME_NOW  0x3fffffffl /* <sys/stat.h>; Linux exports neither */
#define UTIME_OMIT 0x3ffffffel

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
	node->mode = (node->mode & ~UK_PERMISSIONS) | (mode & UK_PERMISSIONS);
	node->ctime = uk_now();
	return 0;
}

static long chmod_at(uint64_t dirfd, uint64_t user, uint32_t mode)
{
	struct uk_walk w;
	long r = uk_find(&w, dirfd, user, 0);

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
	r = uk_find(&w, dirfd, user, flags);
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
	r = uk_find(&w, (uint64_t)AT_FDCWD, a, 0);
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
	r = uk_find(&w, dirfd, user, flags);
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
