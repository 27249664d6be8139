/* SPDX-License-Identifier: Apache-2.0 */
/* stat.c: what a name or a descriptor stands for: stat, statfs, access. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/magic.h>

#include "path.h"

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
	long r = uk_find(&w, dirfd, user, at_flags);

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
	long r = uk_find(&w, (uint64_t)AT_FDCWD, a, 0);

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
	r = uk_find(&w, dirfd, user, at_flags);
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
