/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd.c: eventfd(2): a counter that is written to and read, and can be waited for. */
#include <asm/poll.h>

#include "vfs.h"

/* linux/eventfd.h is not among the headers of every distribution. */
#define EFD_SEMAPHORE 1u
#define EFD_CLOEXEC   ((uint32_t)O_CLOEXEC)
#define EFD_NONBLOCK  ((uint32_t)O_NONBLOCK)

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
	uint64_t count;
	bool semaphore;
};

/* With one thread only a signal's handler can change the counter. */
static long eventfd_wait(uint32_t flags)
{
	long r = flags & O_NONBLOCK ? -EAGAIN : uk_wait(NOXS_EV_POWER, NOXS_FOREVER);

	return r < 0 ? r : 0;
}

static long eventfd_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct eventfd *e = f->own;
	uint64_t value;

	if (n < sizeof(value))
		return -EINVAL;
	while (!e->count) {
		long r = eventfd_wait(flags);

		if (r)
			return r;
	}
	value = e->semaphore ? 1 : e->count;
	e->count -= value;
	uk_file_ready(f, POLLOUT);
	/* Linux, too, has taken it by now. */
	return uk_copy_out(user, &value, sizeof(value)) ? -EFAULT : (long)sizeof(value);
}

static long eventfd_write(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct eventfd *e = f->own;
	uint64_t value;

	if (n < sizeof(value))
		return -EINVAL;
	if (uk_copy_in(&value, user, sizeof(value)))
		return -EFAULT;
	if (value > COUNT_MAX)
		return -EINVAL;
	while (value > COUNT_MAX - e->count) {
		long r = eventfd_wait(flags);

		if (r)
			return r;
	}
	e->count += value;
	uk_file_ready(f, POLLIN);
	return sizeof(value);
}

static uint32_t eventfd_poll(struct uk_file *f, uint32_t *wait)
{
	const struct eventfd *e = f->own;

	return (e->count ? POLLIN : 0) | (e->count < COUNT_MAX ? POLLOUT : 0);
}

static void eventfd_release(struct uk_file *f)
{
	uk_free(f->own);
}

static const struct uk_file_ops eventfd_ops = {
	.anon = "anon_inode:[eventfd]",
	.read = eventfd_read,
	.write = eventfd_write,
	.lseek = uk_lseek_nothing,
	.poll = eventfd_poll,
	.release = eventfd_release,
};

static long eventfd_make(uint32_t count, uint32_t flags)
{
	struct eventfd *e;
	struct uk_file *file;
	long fd = -ENOMEM;

	if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return -EINVAL;
	e = uk_alloc(sizeof(*e));
	file = uk_file_new(&eventfd_ops, O_RDWR | (flags & EFD_NONBLOCK));
	if (e && file) {
		e->count = count;
		e->semaphore = flags & EFD_SEMAPHORE;
		file->own = e;
		fd = uk_fd_install(file, 0, flags & EFD_CLOEXEC);
	}
	if (fd < 0) {
		uk_free(e);
		uk_free(file);
	}
	return fd;
}

UK_SYSCALL(eventfd)
{
	return eventfd_make((uint32_t)a, 0);
}

UK_SYSCALL(eventfd2)
{
	return eventfd_make((uint32_t)a, (uint32_t)b);
}
