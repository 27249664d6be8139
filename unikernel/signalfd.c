/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd.c: signalfd(2): pending signals, which the program has blocked, are read. */
#include <asm/poll.h>
#include <linux/signal.h>
#include <linux/signalfd.h>

#include "list.h"
#include "signal.h"
#include "vfs.h"

#define BIT(sig) (1ull << ((sig)-1))

struct signalfd {
	struct uk_list all;
	struct uk_file *file;
	uint64_t mask;
};

static struct uk_list all = {&all, &all};
uint64_t uk_signalfd_mask;

static void mask_again(void)
{
	uk_signalfd_mask = 0;
	for (struct uk_list *l = all.next; l != &all; l = l->next)
		uk_signalfd_mask |= uk_list_of(l, struct signalfd, all)->mask;
}

/* As on Linux any signal is an edge for each of them. */
void uk_signalfd_raised(void)
{
	for (struct uk_list *l = all.next; l != &all; l = l->next)
		uk_file_changed(uk_list_of(l, struct signalfd, all)->file);
}

static struct signalfd_siginfo info_of(const struct siginfo *from)
{
	struct signalfd_siginfo to = {
		.ssi_signo = (uint32_t)from->si_signo,
		.ssi_errno = from->si_errno,
		.ssi_code = from->si_code,
		.ssi_pid = (uint32_t)from->si_pid,
		.ssi_uid = from->si_uid,
	};

	return to;
}

/* As many as there is room for; waits for the first only. */
static long signalfd_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct signalfd *s = f->own;
	struct signalfd_siginfo out;
	struct siginfo info;
	size_t done = 0;

	if (n < sizeof(out))
		return -EINVAL;
	while (n - done >= sizeof(out)) {
		if (!uk_signal_take(s->mask, &info)) {
			long r;

			if (done)
				break;
			r = flags & O_NONBLOCK ? -EAGAIN
					       : uk_signalfd_wait(NOXS_EV_POWER, NOXS_FOREVER);
			if (r < 0)
				return r;
			continue;
		}
		out = info_of(&info);
		if (uk_copy_out(user + done, &out, sizeof(out)))
			return done ? (long)done : -EFAULT;
		done += sizeof(out);
	}
	return (long)done;
}

static uint32_t signalfd_poll(struct uk_file *f, uint32_t *wait)
{
	const struct signalfd *s = f->own;

	return uk_signal_take(s->mask, NULL) ? POLLIN : 0;
}

static void signalfd_release(struct uk_file *f)
{
	struct signalfd *s = f->own;

	uk_list_remove(&s->all);
	uk_free(s);
	mask_again();
}

static const struct uk_file_ops signalfd_ops = {
	.anon = "anon_inode:[signalfd]",
	.read = signalfd_read,
	.lseek = uk_lseek_nothing,
	.poll = signalfd_poll,
	.release = signalfd_release,
};

/* The monitor ends a VM by a signal that its program does not know; these it knows. */
static void set_mask(struct signalfd *s, uint64_t mask)
{
	s->mask = mask;
	mask_again();
	UK_CONTROL->power.handled |= mask;
}

static long signalfd_new(uint64_t mask, uint32_t flags)
{
	struct signalfd *s = uk_alloc(sizeof(*s));
	struct uk_file *file = uk_file_new(&signalfd_ops, O_RDWR | (flags & SFD_NONBLOCK));
	long fd = -ENOMEM;

	if (s && file)
		fd = uk_fd_install(file, 0, flags & SFD_CLOEXEC);
	if (fd < 0) {
		uk_free(s);
		uk_free(file);
		return fd;
	}
	s->file = file;
	file->own = s;
	uk_list_add(&all, &s->all);
	set_mask(s, mask);
	return fd;
}

static long signalfd_set(int fd, uint64_t user, uint64_t size, uint32_t flags)
{
	struct uk_file *file;
	uint64_t mask;

	if (size != sizeof(mask))
		return -EINVAL;
	if (uk_copy_in(&mask, user, sizeof(mask)))
		return -EFAULT;
	if (flags & ~(uint32_t)(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	mask &= ~(BIT(SIGKILL) | BIT(SIGSTOP));
	if (fd == -1)
		return signalfd_new(mask, flags);
	file = uk_fd_io((uint64_t)fd);
	if (!file)
		return -EBADF;
	if (file->ops != &signalfd_ops)
		return -EINVAL;
	set_mask(file->own, mask);
	uk_file_changed(file);
	return fd;
}

UK_SYSCALL(signalfd)
{
	return signalfd_set((int)a, b, c, 0);
}

UK_SYSCALL(signalfd4)
{
	return signalfd_set((int)a, b, c, (uint32_t)d);
}
