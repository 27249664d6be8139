/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: moving data: read, write, lseek, and from file to file. */
#include <linux/fs.h>

#include "vfs.h"

long uk_file_rw(struct uk_file *f, bool write, const struct iovec *iov, size_t n, uint64_t *pos,
		uint32_t flags)
{
	uint64_t own = f->pos;
	long done = 0;

	if (f->ops->vector && n > 1)
		return f->ops->vector(f, write, iov, n, flags);
	if (!pos)
		pos = &own;
	if (write && flags & O_APPEND && f->ops->seekable)
		*pos = f->node->size;
	for (size_t i = 0; i < n; i++) {
		uint64_t user = (uint64_t)iov[i].iov_base;
		size_t bytes = uk_min(iov[i].iov_len, UK_RW_MAX - (size_t)done);
		long r;

		if (!bytes && n > 1)
			continue;
		r = write ? f->ops->write(f, user, bytes, *pos, flags)
			  : f->ops->read(f, user, bytes, *pos, flags);
		if (r < 0) {
			if (!done)
				return r;
			break;
		}
		done += r;
		*pos += (uint64_t)r;
		if ((size_t)r < bytes)
			break;
		/* What was asked for first is there: a read waits for no more. */
		if (!write)
			flags |= O_NONBLOCK;
	}
	if (pos == &own)
		f->pos = own;
	return done;
}

static long rw_check(uint64_t fd, bool write, struct uk_file **f)
{
	*f = uk_fd_io(fd);
	if (!*f || ((*f)->flags & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if (write ? !(*f)->ops->write : !(*f)->ops->read)
		return -EINVAL;
	return 0;
}

static long rw_one(uint64_t fd, bool write, uint64_t user, size_t n, uint64_t *pos)
{
	struct iovec iov = {(void *)user, n};
	struct uk_file *f;
	long r;

	if (pos && (int64_t)*pos < 0)
		return -EINVAL;
	r = rw_check(fd, write, &f);
	if (r)
		return r;
	if (pos && !f->ops->seekable)
		return -ESPIPE;
	if ((int64_t)n < 0)
		return -EINVAL;
	return uk_file_rw(f, write, &iov, 1, pos, f->flags);
}

UK_SYSCALL(read)
{
	return rw_one(a, false, b, c, NULL);
}

UK_SYSCALL(write)
{
	return rw_one(a, true, b, c, NULL);
}

UK_SYSCALL(pread64)
{
	return rw_one(a, false, b, c, &d);
}

UK_SYSCALL(pwrite64)
{
	return rw_one(a, true, b, c, &d);
}

/* Copy the vector in and check it: few fit on the stack, more go to the heap. */
static long iov_in(struct iovec **iov, struct iovec *few, size_t nfew, uint64_t user, uint64_t n)
{
	uint64_t sum = 0;
	long r;

	*iov = few;
	if (n > UIO_MAXIOV)
		return -EINVAL;
	if (n > nfew)
		*iov = uk_alloc(n * sizeof(**iov));
	if (!*iov)
		return -ENOMEM;
	r = uk_copy_in(*iov, user, n * sizeof(**iov));
	for (size_t i = 0; !r && i < n; i++) {
		uint64_t bytes = (*iov)[i].iov_len;

		if (__builtin_add_overflow(sum, bytes, &sum) || (int64_t)bytes < 0 ||
		    (int64_t)sum < 0)
			r = -EINVAL;
	}
	return r;
}

static long rw_vector(uint64_t fd, bool write, uint64_t user, int n, uint64_t *pos, uint32_t rwf)
{
	struct iovec few[8], *iov;
	struct uk_file *f;
	uint32_t flags;
	long r;

	if (pos && (int64_t)*pos < 0)
		return -EINVAL;
	r = rw_check(fd, write, &f);
	if (r)
		return r;
	if (pos && !f->ops->seekable)
		return -ESPIPE;
	if (n < 0)
		return -EINVAL;
	if (rwf & ~(uint32_t)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
		return -EOPNOTSUPP;
	flags = f->flags | (rwf & RWF_NOWAIT ? O_NONBLOCK : 0) | (rwf & RWF_APPEND ? O_APPEND : 0);
	r = iov_in(&iov, few, uk_countof(few), user, (uint32_t)n);
	if (!r)
		r = uk_file_rw(f, write, iov, (uint32_t)n, pos, flags);
	if (iov != few)
		uk_free(iov);
	return r;
}

UK_SYSCALL(readv)
{
	return rw_vector(a, false, b, (int)c, NULL, 0);
}

UK_SYSCALL(writev)
{
	return rw_vector(a, true, b, (int)c, NULL, 0);
}

/* The offset comes in two halves for 32-bit's sake; here the first holds all of it. */
UK_SYSCALL(preadv)
{
	return rw_vector(a, false, b, (int)c, &d, 0);
}

UK_SYSCALL(pwritev)
{
	return rw_vector(a, true, b, (int)c, &d, 0);
}

UK_SYSCALL(preadv2)
{
	return rw_vector(a, false, b, (int)c, d == UINT64_MAX ? NULL : &d, (uint32_t)f);
}

UK_SYSCALL(pwritev2)
{
	return rw_vector(a, true, b, (int)c, d == UINT64_MAX ? NULL : &d, (uint32_t)f);
}

UK_SYSCALL(lseek)
{
	struct uk_file *file = uk_fd_io(a);

	if (!file)
		return -EBADF;
	if ((uint32_t)c > SEEK_MAX)
		return -EINVAL;
	return file->ops->lseek ? file->ops->lseek(file, (int64_t)b, (int)c) : -ESPIPE;
}

/*
 * From file to file. The operations move data to and from the program's memory only,
 * so the data goes by way of a mapping there: still one copy less than the program
 * would make, and it works between any two kinds of file.
 */
static long transfer(struct uk_file *in, uint64_t *in_pos, struct uk_file *out, uint64_t *out_pos,
		     size_t n)
{
	const size_t chunk = 1 << 16;
	uint64_t in_own = in->pos, *at = in_pos ? in_pos : &in_own;
	long buffer, done = 0, r = 0;

	if (!n)
		return 0;
	buffer = uk_mmap_anon(0, chunk, NOXS_R | NOXS_W);
	if (buffer < 0)
		return buffer;
	while (n) {
		struct iovec iov = {(void *)buffer, uk_min(n, chunk)};

		r = in->ops->read(in, (uint64_t)buffer, iov.iov_len, *at,
				  in->flags | (done ? O_NONBLOCK : 0));
		if (r <= 0)
			break;
		iov.iov_len = (size_t)r;
		r = uk_file_rw(out, true, &iov, 1, out_pos, out->flags);
		if (r <= 0)
			break;
		*at += (uint64_t)r;
		done += r;
		n -= (size_t)r;
		if ((size_t)r < iov.iov_len)
			break;
	}
	sys_munmap((uint64_t)buffer, chunk, 0, 0, 0, 0);
	if (!in_pos)
		in->pos = in_own;
	return done ? done : r;
}

/* As transfer, where out takes kernel memory and in has its data there: page by page. */
static long send_pages(struct uk_file *in, uint64_t *in_pos, struct uk_file *out, size_t n)
{
	static const uint8_t hole[NOXS_PAGE];
	uint64_t *at = in_pos ? in_pos : &in->pos;
	size_t left = *at < in->node->size ? uk_min(n, in->node->size - *at) : 0;
	long done = 0;

	while (left) {
		size_t off = *at % NOXS_PAGE, bytes = uk_min(left, NOXS_PAGE - off);
		const uint8_t *page = uk_ramfs_page(in->node, *at / NOXS_PAGE, false);
		long r = out->ops->send(out, (page ? page : hole) + off, bytes, left > bytes);

		if (r <= 0)
			return done ? done : r;
		*at += (uint64_t)r;
		done += r;
		left -= (size_t)r;
		if ((size_t)r < bytes)
			break;
	}
	return done;
}

/* An offset that a call takes from user memory and puts back there. */
static long offset_in(uint64_t user, struct uk_file *f, uint64_t *off, uint64_t **pos)
{
	*pos = NULL;
	if (!user)
		return 0;
	if (!f->ops->seekable)
		return -ESPIPE;
	if (uk_copy_in(off, user, sizeof(*off)))
		return -EFAULT;
	*pos = off;
	return (int64_t)*off < 0 ? -EINVAL : 0;
}

UK_SYSCALL(sendfile)
{
	struct uk_file *in, *out;
	uint64_t off, *pos;
	long r = rw_check(b, false, &in);

	if (!r)
		r = offset_in(c, in, &off, &pos);
	if (!r)
		r = rw_check(a, true, &out);
	if (!r && (out->flags & O_APPEND || in->ops->send)) /* a socket has no pages */
		r = -EINVAL;
	if (r)
		return r;
	if (out->ops->send && in->node && in->ops == &uk_ramfs_ops)
		r = send_pages(in, pos, out, uk_min(d, UK_RW_MAX));
	else
		r = transfer(in, pos, out, NULL, uk_min(d, UK_RW_MAX));
	if (pos && uk_copy_out(c, &off, sizeof(off)))
		return -EFAULT;
	return r;
}

UK_SYSCALL(copy_file_range)
{
	struct uk_file *in, *out;
	uint64_t in_off, out_off, *in_pos, *out_pos;
	size_t n = uk_min(e, UK_RW_MAX);
	long r = rw_check(a, false, &in);

	if (!r)
		r = rw_check(c, true, &out);
	if (!r)
		r = offset_in(b, in, &in_off, &in_pos);
	if (!r)
		r = offset_in(d, out, &out_off, &out_pos);
	if (r)
		return r;
	if (f)
		return -EINVAL;
	if (!in->node || !out->node)
		return -EINVAL;
	if (UK_S_ISDIR(in->node->mode) || UK_S_ISDIR(out->node->mode))
		return -EISDIR;
	if (!UK_S_ISREG(in->node->mode) || !UK_S_ISREG(out->node->mode))
		return -EINVAL;
	if (out->flags & O_APPEND)
		return -EBADF;
	if (in->node == out->node) {
		uint64_t from = in_pos ? in_off : in->pos, to = out_pos ? out_off : out->pos;

		if (from < to + n && to < from + n)
			return -EINVAL;
	}
	r = transfer(in, in_pos, out, out_pos, n);
	if ((in_pos && uk_copy_out(b, &in_off, sizeof(in_off))) ||
	    (out_pos && uk_copy_out(d, &out_off, sizeof(out_off))))
		return -EFAULT;
	return r;
}
