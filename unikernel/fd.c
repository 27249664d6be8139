/* SPDX-License-Identifier: Apache-2.0 */
/* fd.c: system calls on descriptors but for moving data: close, dup, fcntl, ioctl, pipe, sync. */
#include <asm/ioctls.h>
#include <linux/fadvise.h>
#include <linux/fs.h>

#include "vfs.h"

#define CLOSE_RANGE_CLOEXEC_FLAG (1u << 2)
#define CLOSE_RANGE_UNSHARE_FLAG (1u << 1)

#define LOCK_ACTIONS 15u /* flock: all but LOCK_NB */

UK_SYSCALL(close)
{
	return uk_fd_close(a);
}

UK_SYSCALL(close_range)
{
	uint32_t first = (uint32_t)a, last = (uint32_t)b;

	if ((uint32_t)c & ~(CLOSE_RANGE_CLOEXEC_FLAG | CLOSE_RANGE_UNSHARE_FLAG) || first > last)
		return -EINVAL;
	for (uint32_t fd = first; fd <= last && fd < uk_fds.size; fd++) {
		if (!uk_fds.file[fd])
			continue;
		if (c & CLOSE_RANGE_CLOEXEC_FLAG)
			uk_fd_set_cloexec(fd, true);
		else
			uk_fd_close(fd);
	}
	return 0;
}

static long dup_from(struct uk_file *f, uint32_t min, bool cloexec)
{
	long fd = uk_fd_install(f, min, cloexec);

	if (fd >= 0)
		f->refs++;
	return fd;
}

static long dup_at(struct uk_file *f, uint32_t to, bool cloexec)
{
	long fd;

	if (!f)
		return -EBADF;
	f->refs++; /* before: the one that is replaced may be the same */
	fd = uk_fd_install_at(f, to, cloexec);
	if (fd < 0)
		f->refs--;
	return fd;
}

UK_SYSCALL(dup)
{
	struct uk_file *file = uk_fd(a);

	return file ? dup_from(file, 0, false) : -EBADF;
}

UK_SYSCALL(dup2)
{
	if ((uint32_t)a == (uint32_t)b)
		return uk_fd(a) ? (long)(uint32_t)a : -EBADF;
	return dup_at(uk_fd(a), (uint32_t)b, false);
}

UK_SYSCALL(dup3)
{
	if ((uint32_t)c & ~(uint32_t)O_CLOEXEC || (uint32_t)a == (uint32_t)b)
		return -EINVAL;
	return dup_at(uk_fd(a), (uint32_t)b, c & O_CLOEXEC);
}

/* No other process is there to hold a lock, so a valid request is granted. */
static long lock(struct uk_file *f, bool get, bool ofd, uint64_t user)
{
	struct flock l;
	uint32_t mode = f->flags & O_ACCMODE;

	if (uk_copy_in(&l, user, sizeof(l)))
		return -EFAULT;
	if (ofd && l.l_pid)
		return -EINVAL;
	if (l.l_type != F_RDLCK && l.l_type != F_WRLCK && (get || l.l_type != F_UNLCK))
		return -EINVAL;
	if (l.l_whence != SEEK_SET && l.l_whence != SEEK_CUR && l.l_whence != SEEK_END)
		return -EINVAL;
	if (l.l_whence == SEEK_SET && (l.l_start < 0 || l.l_start + uk_min(l.l_len, 0) < 0))
		return -EINVAL;
	if (get) {
		l.l_type = F_UNLCK;
		return uk_copy_out(user, &l, sizeof(l));
	}
	if ((l.l_type == F_RDLCK && mode == O_WRONLY) || (l.l_type == F_WRLCK && mode == O_RDONLY))
		return -EBADF;
	return 0;
}

#define SETFL_MASK ((uint32_t)(O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT | FASYNC))

static long fcntl_io(struct uk_file *f, uint32_t cmd, uint64_t arg)
{
	switch (cmd) {
	case F_SETFL:
		f->flags = (f->flags & ~SETFL_MASK) | (arg & SETFL_MASK);
		return 0;
	case F_GETLK:
	case F_OFD_GETLK:
		return lock(f, true, cmd == F_OFD_GETLK, arg);
	case F_SETLK:
	case F_SETLKW:
		return lock(f, false, false, arg);
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return lock(f, false, true, arg);
	case F_GETPIPE_SZ:
		return uk_pipe_size(f);
	case F_SETPIPE_SZ:
		return uk_pipe_set_size(f, (uint32_t)arg);
	case F_GETOWN:
	case F_SETOWN:
	case F_GETSIG:
	case F_SETSIG:
		return 0; /* nobody sends SIGIO here */
	case F_GETLEASE:
		return F_UNLCK;
	default:
		return -EINVAL;
	}
}

UK_SYSCALL(fcntl)
{
	struct uk_file *file = uk_fd(a);

	if (!file)
		return -EBADF;
	switch ((uint32_t)b) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if ((uint32_t)c >= uk_fds.limit)
			return -EINVAL;
		return dup_from(file, (uint32_t)c, (uint32_t)b == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return uk_fd_cloexec((uint32_t)a) ? FD_CLOEXEC : 0;
	case F_SETFD:
		uk_fd_set_cloexec((uint32_t)a, c & FD_CLOEXEC);
		return 0;
	case F_GETFL:
		return file->flags;
	default:
		return file->flags & O_PATH ? -EBADF : fcntl_io(file, (uint32_t)b, c);
	}
}

UK_SYSCALL(ioctl)
{
	struct uk_file *file = uk_fd_io(a);
	uint32_t cmd = (uint32_t)b;
	uint32_t flag = cmd == FIONBIO ? O_NONBLOCK : FASYNC;
	int value;

	if (!file)
		return -EBADF;
	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
		uk_fd_set_cloexec((uint32_t)a, cmd == FIOCLEX);
		return 0;
	case FIONBIO:
	case FIOASYNC:
		if (uk_copy_in(&value, c, sizeof(value)))
			return -EFAULT;
		file->flags = value ? file->flags | flag : file->flags & ~flag;
		return 0;
	case FIONREAD:
		if (!file->node || !UK_S_ISREG(file->node->mode))
			break;
		value = (int)(file->node->size - file->pos);
		return uk_copy_out(c, &value, sizeof(value));
	}
	return file->ops->ioctl ? file->ops->ioctl(file, cmd, c) : -ENOTTY;
}

static long make_pipe(uint64_t user, uint32_t flags)
{
	struct uk_file *end[2];
	int fd[2];
	long r = uk_pipe_pair(end, flags & ~(uint32_t)O_CLOEXEC);

	if (r)
		return r;
	for (int i = 0; i < 2; i++) {
		r = uk_fd_install(end[i], 0, flags & O_CLOEXEC);
		fd[i] = (int)r;
		if (r < 0) {
			uk_file_put(end[1]);
			if (i)
				uk_fd_close((uint32_t)fd[0]);
			else
				uk_file_put(end[0]);
			return r;
		}
	}
	r = uk_copy_out(user, fd, sizeof(fd));
	if (r) {
		uk_fd_close((uint32_t)fd[0]);
		uk_fd_close((uint32_t)fd[1]);
	}
	return r;
}

UK_SYSCALL(pipe)
{
	return make_pipe(a, 0);
}

UK_SYSCALL(pipe2)
{
	return make_pipe(a, (uint32_t)b);
}

/* ---- what has no meaning for files in memory but its errors ---- */

static long sync_one(uint64_t fd)
{
	struct uk_file *f = uk_fd_io(fd);
	struct statx st = {0};

	if (!f)
		return -EBADF;
	uk_file_stat(f, &st);
	return UK_S_ISREG(st.stx_mode) || UK_S_ISDIR(st.stx_mode) ? 0 : -EINVAL;
}

UK_SYSCALL(fsync)
{
	return sync_one(a);
}

UK_SYSCALL(fdatasync)
{
	return sync_one(a);
}

UK_SYSCALL(sync)
{
	return 0;
}

UK_SYSCALL(syncfs)
{
	return uk_fd_io(a) ? 0 : -EBADF;
}

UK_SYSCALL(sync_file_range)
{
	struct uk_file *file = uk_fd_io(a);

	if (!file)
		return -EBADF;
	if (d & ~7ull || (int64_t)b < 0 || (int64_t)c < 0)
		return -EINVAL;
	return file->node ? 0 : -ESPIPE;
}

UK_SYSCALL(fadvise64)
{
	struct uk_file *file = uk_fd_io(a);

	if (!file)
		return -EBADF;
	if (!file->node)
		return file->ops == &uk_console_ops ? 0 : -ESPIPE;
	return (uint32_t)d > POSIX_FADV_NOREUSE || (int64_t)c < 0 ? -EINVAL : 0;
}

UK_SYSCALL(flock)
{
	struct uk_file *file = uk_fd_io(a);
	uint32_t op = (uint32_t)b & LOCK_ACTIONS & ~(uint32_t)LOCK_NB;

	if (op != LOCK_SH && op != LOCK_EX && op != LOCK_UN)
		return -EINVAL;
	return file ? 0 : -EBADF;
}
