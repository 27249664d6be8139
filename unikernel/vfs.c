/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfs.c: open files and the table of descriptors.
 *
 * A program that only prints must touch as little as possible, so the table's first part
 * and the console's three open files are initialised data.
 */
#include "vfs.h"

/* ---- open files ---- */

static struct uk_file console_files[NOXS_NSTREAMS] = {
	{.ops = &uk_console_ops, .refs = 1, .flags = O_RDONLY, .stream = NOXS_STDIN},
	{.ops = &uk_console_ops, .refs = 1, .flags = O_WRONLY, .stream = NOXS_STDOUT},
	{.ops = &uk_console_ops, .refs = 1, .flags = O_WRONLY, .stream = NOXS_STDERR},
};

static struct uk_file *static_files[UK_FD_STATIC] = {
	&console_files[0],
	&console_files[1],
	&console_files[2],
};
static uint64_t static_cloexec[UK_FD_STATIC / 64];

struct uk_fds uk_fds = {
	.file = static_files,
	.cloexec = static_cloexec,
	.size = UK_FD_STATIC,
	.limit = UK_FD_DEFAULT,
	.low = NOXS_NSTREAMS,
};

void uk_vfs_init(void)
{
	for (int i = NOXS_NSTREAMS - 1; i >= 0; i--) {
		uint32_t flags = UK_NOXS->stream[i].flags;

		if (flags & NOXS_STREAM_CLOSED) {
			uk_fds.file[i] = NULL;
			uk_fds.low = (uint32_t)i;
		} else if (flags & NOXS_STREAM_TTY) {
			/* A terminal is one device, open for both on all three. */
			console_files[i].flags = O_RDWR;
		}
	}
}

struct uk_file *uk_file_new(const struct uk_file_ops *ops, uint32_t flags)
{
	struct uk_file *f = uk_alloc(sizeof(*f));

	if (f) {
		f->ops = ops;
		f->refs = 1;
		f->flags = flags;
	}
	return f;
}

void uk_file_put(struct uk_file *f)
{
	if (--f->refs)
		return;
	if (f->watches)
		uk_watches_closed(f);
	if (f->ops->release)
		f->ops->release(f);
	if (f->node)
		uk_node_unref(f->node);
	if (f < console_files || f >= console_files + NOXS_NSTREAMS)
		uk_free(f);
}

long uk_file_stat(struct uk_file *f, struct statx *st)
{
	if (f->ops->stat)
		return f->ops->stat(f, st);
	if (f->node) {
		uk_node_stat(f->node, st);
		return 0;
	}
	/* All anonymous inodes are one, and of no type. */
	st->stx_mode = 0600;
	st->stx_nlink = 1;
	st->stx_uid = st->stx_gid = 0;
	st->stx_ino = UK_INO_ANON;
	st->stx_dev_minor = UK_FS_PIPE;
	st->stx_blksize = NOXS_PAGE;
	return 0;
}

long uk_lseek_nothing(struct uk_file *f, int64_t off, int whence)
{
	return 0;
}

size_t uk_file_link(struct uk_file *f, char *buf, size_t size)
{
	long n;

	if (f->node) {
		n = uk_node_path(f->node, buf, size);
		if (n >= 0)
			return (size_t)n;
		return (size_t)uk_snprintf(buf, size, "(unreachable)");
	}
	if (f->ops->anon)
		return (size_t)uk_snprintf(buf, size, "%s", f->ops->anon);
	if (f->ops != &uk_console_ops) {
		struct statx st = {0};

		uk_file_stat(f, &st);
		return (size_t)uk_snprintf(buf, size, "%s:[%lu]",
					   (st.stx_mode & S_IFMT) == S_IFSOCK ? "socket" : "pipe",
					   (uint64_t)st.stx_ino);
	}
	if (UK_NOXS->stream[f->stream].flags & NOXS_STREAM_TTY)
		return (size_t)uk_snprintf(buf, size, "/dev/tty");
	return (size_t)uk_snprintf(buf, size, "console:[%d]", f->stream);
}

/* ---- descriptors ---- */

bool uk_fd_cloexec(uint32_t fd)
{
	return uk_fds.cloexec[fd / 64] >> fd % 64 & 1;
}

void uk_fd_set_cloexec(uint32_t fd, bool on)
{
	uint64_t bit = 1ull << fd % 64;

	if (on)
		uk_fds.cloexec[fd / 64] |= bit;
	else
		uk_fds.cloexec[fd / 64] &= ~bit;
}

/* Make the table hold fd: 0 or -ENOMEM. It grows in powers of two and never shrinks. */
static long fds_hold(uint32_t fd)
{
	uint32_t size = uk_fds.size;
	struct uk_file **file;

	if (fd < size)
		return 0;
	while (size <= fd)
		size *= 2;
	file = uk_alloc(size * sizeof(*file) + size / 8);
	if (!file)
		return -ENOMEM;
	memcpy(file, uk_fds.file, uk_fds.size * sizeof(*file));
	memcpy(file + size, uk_fds.cloexec, uk_fds.size / 8);
	if (uk_fds.file != static_files)
		uk_free(uk_fds.file);
	uk_fds.file = file;
	uk_fds.cloexec = (uint64_t *)(file + size);
	uk_fds.size = size;
	return 0;
}

long uk_fd_install(struct uk_file *f, uint32_t min, bool cloexec)
{
	uint32_t fd = uk_max(min, uk_fds.low);
	long r;

	while (fd < uk_fds.size && uk_fds.file[fd])
		fd++;
	if (fd >= uk_fds.limit)
		return -EMFILE;
	r = fds_hold(fd);
	if (r)
		return r;
	uk_fds.file[fd] = f;
	uk_fd_set_cloexec(fd, cloexec);
	if (min <= uk_fds.low)
		uk_fds.low = fd + 1;
	return fd;
}

long uk_fd_install_at(struct uk_file *f, uint32_t fd, bool cloexec)
{
	struct uk_file *old;
	long r;

	if (fd >= uk_fds.limit)
		return -EBADF;
	r = fds_hold(fd);
	if (r)
		return r;
	old = uk_fds.file[fd];
	uk_fds.file[fd] = f;
	uk_fd_set_cloexec(fd, cloexec);
	if (old)
		uk_file_put(old);
	return fd;
}

long uk_fd_close(uint64_t fd)
{
	struct uk_file *f = uk_fd(fd);

	if (!f)
		return -EBADF;
	uk_fds.file[(uint32_t)fd] = NULL;
	uk_fds.low = uk_min(uk_fds.low, (uint32_t)fd);
	uk_file_put(f);
	return 0;
}

/* ---- for mmap ---- */

long uk_file_mappable(int fd, uint32_t *open_flags, struct uk_node **node)
{
	struct uk_file *f = uk_fd_io((uint64_t)fd);

	if (!f)
		return -EBADF;
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	if (!f->ops->mappable)
		return -ENODEV;
	*open_flags = f->flags;
	*node = UK_S_ISREG(f->node->mode) ? f->node : NULL;
	return 0;
}
