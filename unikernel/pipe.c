/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.c: pipes within the program.
 *
 * There is one thread, so a reader of an empty pipe waits for somebody who cannot come,
 * but for a signal's handler that writes. It sleeps until a signal ends the wait, as it
 * would on Linux.
 *
 * The buffer starts with a page and doubles up to the pipe's size when it is needed: most
 * pipes carry a byte at a time.
 */
#include <asm/ioctls.h>
#include <asm/poll.h>

#include "vfs.h"

#define EVENTS_IN  (POLLIN | POLLRDNORM)
#define EVENTS_OUT (POLLOUT | POLLWRNORM)

#define PIPE_BYTES     0x10000u  /* F_GETPIPE_SZ of a new pipe */
#define PIPE_BYTES_MAX 0x100000u /* /proc/sys/fs/pipe-max-size */

struct uk_pipe {
	uint8_t *buffer;          /* capacity bytes of frames, a ring */
	uint32_t capacity, limit; /* powers of two; capacity 0: no buffer yet */
	uint32_t head, used;
	uint32_t readers, writers; /* open files */
	struct uk_file *files;     /* those */
	uint64_t ino;
};

static bool has_room(const struct uk_pipe *p)
{
	return p->limit - p->used >= PIPE_BUF;
}

/* Data came, or room: those are told that are open for it. */
static void pipe_moved(struct uk_pipe *p, bool data)
{
	uint32_t other = data ? O_WRONLY : O_RDONLY;

	for (struct uk_file *f = p->files; f; f = f->next)
		if ((f->flags & O_ACCMODE) != other)
			uk_file_ready(f, data ? EVENTS_IN : EVENTS_OUT);
}

/* A ring of this capacity, at least what is used: 0 or -ENOMEM. */
static long pipe_resize(struct uk_pipe *p, uint32_t capacity)
{
	uint8_t *buffer = uk_pages(capacity / NOXS_PAGE);
	uint32_t first = uk_min(p->used, p->capacity - p->head);

	if (!buffer)
		return -ENOMEM;
	if (p->buffer) {
		memcpy(buffer, p->buffer + p->head, first);
		memcpy(buffer + first, p->buffer, p->used - first);
		uk_pages_free(p->buffer, p->capacity / NOXS_PAGE);
	}
	p->buffer = buffer;
	p->capacity = capacity;
	p->head = 0;
	return 0;
}

/* 0 when a signal that was nobody's has passed, else -EAGAIN or -EINTR. */
static long pipe_wait(uint32_t flags)
{
	long r;

	if (flags & O_NONBLOCK)
		return -EAGAIN;
	r = uk_wait(NOXS_EV_POWER, NOXS_FOREVER);
	return r < 0 ? r : 0;
}

static long pipe_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct uk_pipe *p = f->pipe;
	uint32_t bytes, first;
	bool had_room;

	if (!n)
		return 0;
	while (!p->used) {
		long r;

		if (!p->writers)
			return 0;
		r = pipe_wait(flags);
		if (r)
			return r;
	}
	bytes = (uint32_t)uk_min(n, p->used);
	first = uk_min(bytes, p->capacity - p->head);
	if (uk_copy_out(user, p->buffer + p->head, first) ||
	    uk_copy_out(user + first, p->buffer, bytes - first))
		return -EFAULT;
	had_room = has_room(p);
	p->used -= bytes;
	p->head = p->used ? (p->head + bytes) & (p->capacity - 1) : 0;
	if (!had_room && has_room(p))
		pipe_moved(p, false);
	return bytes;
}

/* As many of n bytes as there is room for: count, -EFAULT or -ENOMEM. */
static long pipe_put(struct uk_pipe *p, uint64_t user, size_t n)
{
	uint32_t bytes = (uint32_t)uk_min(n, p->limit - p->used);
	uint32_t capacity = uk_max(p->capacity, (uint32_t)NOXS_PAGE);
	uint32_t tail, first;

	while (capacity < p->used + bytes)
		capacity *= 2;
	if (capacity != p->capacity && pipe_resize(p, capacity))
		return -ENOMEM;
	tail = (p->head + p->used) & (p->capacity - 1);
	first = uk_min(bytes, p->capacity - tail);
	if (uk_copy_in(p->buffer + tail, user, first) ||
	    uk_copy_in(p->buffer, user + first, bytes - first))
		return -EFAULT;
	p->used += bytes;
	return bytes;
}

static long pipe_write(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct uk_pipe *p = f->pipe;
	size_t done = 0;

	while (done < n) {
		/* Up to PIPE_BUF bytes go in one piece or not at all. */
		uint32_t need = n <= PIPE_BUF ? (uint32_t)n : 1;
		long r;

		if (!p->readers) {
			uk_signal_raise(13); /* SIGPIPE */
			r = -EPIPE;
		} else if (p->limit - p->used >= need) {
			r = pipe_put(p, user + done, n - done);
		} else {
			r = pipe_wait(flags);
		}
		if (r < 0) {
			if (!done)
				return r;
			break;
		}
		done += (size_t)r;
	}
	if (done)
		pipe_moved(p, true);
	return (long)done;
}

static long pipe_stat(struct uk_file *f, struct statx *st)
{
	st->stx_mode = S_IFIFO | 0600;
	st->stx_nlink = 1;
	st->stx_uid = UK_NOXS->uid;
	st->stx_gid = UK_NOXS->gid;
	st->stx_ino = f->pipe->ino;
	st->stx_dev_minor = UK_FS_PIPE;
	st->stx_blksize = NOXS_PAGE;
	return 0;
}

static long pipe_ioctl(struct uk_file *f, uint32_t cmd, uint64_t arg)
{
	int used = (int)f->pipe->used;

	return cmd == FIONREAD ? uk_copy_out(arg, &used, sizeof(used)) : -ENOTTY;
}

static uint32_t read_poll(struct uk_file *f, uint32_t *wait)
{
	return (f->pipe->used ? EVENTS_IN : 0) | (f->pipe->writers ? 0 : POLLHUP);
}

static uint32_t write_poll(struct uk_file *f, uint32_t *wait)
{
	return (has_room(f->pipe) ? EVENTS_OUT : 0) | (f->pipe->readers ? 0 : POLLERR);
}

static uint32_t both_poll(struct uk_file *f, uint32_t *wait)
{
	return read_poll(f, wait) | write_poll(f, wait);
}

static void pipe_count(struct uk_file *f, uint32_t by)
{
	uint32_t access = f->flags & O_ACCMODE;

	if (access != O_WRONLY)
		f->pipe->readers += by;
	if (access != O_RDONLY)
		f->pipe->writers += by;
}

static void pipe_release(struct uk_file *f)
{
	struct uk_pipe *p = f->pipe;
	struct uk_file **at = &p->files;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	pipe_count(f, UINT32_MAX); /* -1 */
	/* An end, for those on the other side. */
	for (f = p->files; f && !p->readers != !p->writers; f = f->next)
		uk_file_changed(f);
	if (p->readers || p->writers)
		return;
	if (p->buffer)
		uk_pages_free(p->buffer, p->capacity / NOXS_PAGE);
	uk_free(p);
}

static const struct uk_file_ops pipe_ops[] = {
	[O_RDONLY] = {.release = pipe_release,
		      .read = pipe_read,
		      .stat = pipe_stat,
		      .ioctl = pipe_ioctl,
		      .poll = read_poll},
	[O_WRONLY] = {.release = pipe_release,
		      .write = pipe_write,
		      .stat = pipe_stat,
		      .ioctl = pipe_ioctl,
		      .poll = write_poll},
	[O_RDWR] = {.release = pipe_release,
		    .read = pipe_read,
		    .write = pipe_write,
		    .stat = pipe_stat,
		    .ioctl = pipe_ioctl,
		    .poll = both_poll},
};

static bool is_pipe(const struct uk_file *f)
{
	return f->ops >= pipe_ops && f->ops < pipe_ops + uk_countof(pipe_ops);
}

static struct uk_file *pipe_open(struct uk_pipe *p, uint32_t flags)
{
	struct uk_file *f = uk_file_new(&pipe_ops[uk_min(flags & O_ACCMODE, O_RDWR)], flags);

	if (f) {
		f->pipe = p;
		f->next = p->files;
		p->files = f;
		pipe_count(f, 1);
	}
	return f;
}

long uk_pipe_pair(struct uk_file *end[2], uint32_t flags)
{
	static uint64_t last_ino = 100;
	struct uk_pipe *p;

	if (flags & ~(uint32_t)(O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	p = uk_alloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->limit = PIPE_BYTES;
	p->ino = ++last_ino;
	end[0] = pipe_open(p, O_RDONLY | flags);
	if (!end[0]) {
		uk_free(p);
		return -ENOMEM;
	}
	end[1] = pipe_open(p, O_WRONLY | flags);
	if (!end[1]) {
		uk_file_put(end[0]);
		return -ENOMEM;
	}
	return 0;
}

struct uk_file *uk_pipe_reopen(struct uk_file *of, uint32_t flags)
{
	return pipe_open(of->pipe, flags & (O_ACCMODE | O_NONBLOCK | O_LARGEFILE));
}

long uk_pipe_size(struct uk_file *f)
{
	return is_pipe(f) ? (long)f->pipe->limit : -EBADF;
}

long uk_pipe_set_size(struct uk_file *f, uint64_t bytes)
{
	uint32_t limit = (uint32_t)NOXS_PAGE;

	if (!is_pipe(f))
		return -EBADF;
	if (bytes > PIPE_BYTES_MAX)
		return UK_NOXS->uid && bytes <= INT32_MAX ? -EPERM : -EINVAL;
	while (limit < bytes)
		limit *= 2;
	if (limit < f->pipe->used)
		return -EBUSY;
	if (f->pipe->capacity > limit && pipe_resize(f->pipe, limit))
		return -ENOMEM;
	f->pipe->limit = limit;
	pipe_moved(f->pipe, false);
	return limit;
}
