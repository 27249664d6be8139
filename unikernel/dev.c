/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev.c: character devices: the console's three streams, and /dev.
 *
 * Where the monitor's streams are a terminal, all three are the one terminal: reading
 * takes from stdin and writing to stdin's descriptor goes to stdout, as programs expect
 * that prompt on whichever descriptor isatty() likes.
 */
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>

#include "vfs.h"

/* ---- console ---- */

static bool is_tty(int stream)
{
	return UK_NOXS->stream[stream].flags & NOXS_STREAM_TTY;
}

/*
 * Wait for event: 0, -EAGAIN or -EINTR. A call that may not block waits too, for no time:
 * the monitor moves data when the VM exits, and a program that only ever asks would
 * otherwise ask for ever.
 */
static long console_wait(uint32_t event, uint32_t flags)
{
	bool may_block = !(flags & O_NONBLOCK);
	long r = uk_wait(event, may_block ? NOXS_FOREVER : 0);

	if (may_block)
		return r < 0 ? r : 0;
	return r > 0 ? 0 : -EAGAIN;
}

static long console_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	while (n) {
		/* Asked first: what came before the end is in the ring by then. */
		bool eof = uk_console_eof();
		long r = uk_console_read(user, n);

		if (r || eof)
			return r;
		r = console_wait(NOXS_EV_STDIN, flags);
		if (r)
			return r;
	}
	return 0;
}

static long console_write(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	int stream = f->stream == NOXS_STDIN ? NOXS_STDOUT : f->stream;
	size_t done = 0;

	while (done < n) {
		long r = uk_console_write(stream, user + done, n - done);

		if (r > 0) {
			done += (size_t)r;
			continue;
		}
		if (!r)
			r = console_wait(1u << stream, flags);
		if (!r)
			continue;
		if (r == -EPIPE)
			uk_signal_raise(13); /* SIGPIPE */
		return done ? (long)done : r;
	}
	return (long)done;
}
_Static_assert(NOXS_EV_STDOUT == 1 << NOXS_STDOUT && NOXS_EV_STDERR == 1 << NOXS_STDERR,
	       "a stream's event is its bit");

static long console_lseek(struct uk_file *f, int64_t off, int whence)
{
	/* What the monitor was given may be a file, but only its owner can seek it. */
	uint32_t flags = UK_NOXS->stream[f->stream].flags;

	if (flags & (NOXS_STREAM_TTY | NOXS_STREAM_PIPE) || whence != SEEK_CUR || off)
		return -ESPIPE;
	return (long)f->pos; /* ftell on a redirected stream */
}

static long console_stat(struct uk_file *f, struct statx *st)
{
	uint32_t flags = UK_NOXS->stream[f->stream].flags;

	st->stx_nlink = 1;
	st->stx_uid = UK_NOXS->uid;
	st->stx_gid = UK_NOXS->gid;
	st->stx_blksize = NOXS_PAGE;
	st->stx_dev_minor = UK_FS_PIPE;
	st->stx_ino = 1 + (uint64_t)f->stream;
	if (flags & NOXS_STREAM_TTY) {
		st->stx_mode = S_IFCHR | 0620;
		st->stx_blksize = 1024;
		st->stx_dev_minor = UK_FS_RAM;
		st->stx_ino = UK_INO_TTY;
		st->stx_rdev_major = 5;
	} else if (flags & NOXS_STREAM_PIPE) {
		st->stx_mode = S_IFIFO | 0600;
	} else {
		st->stx_mode = S_IFREG | 0644;
	}
	return 0;
}

static uint32_t console_poll(struct uk_file *f, uint32_t *wait)
{
	uint32_t mode = f->flags & O_ACCMODE, events = 0;
	int out = f->stream == NOXS_STDIN ? NOXS_STDOUT : f->stream;

	if (mode != O_WRONLY) {
		bool eof = uk_console_eof();

		if (uk_console_avail() || eof)
			events |= POLLIN | POLLRDNORM;
		if (eof && UK_NOXS->stream[NOXS_STDIN].flags & (NOXS_STREAM_TTY | NOXS_STREAM_PIPE))
			events |= POLLHUP;
		*wait |= NOXS_EV_STDIN;
	}
	if (mode != O_RDONLY) {
		if (uk_console_failed(out))
			events |= POLLERR | POLLOUT | POLLWRNORM;
		else if (uk_console_room(out))
			events |= POLLOUT | POLLWRNORM;
		*wait |= 1u << out;
	}
	return events;
}

/*
 * Line editing is the business of the terminal behind the monitor. What a program sets
 * is kept so that it reads its own settings back.
 */
static struct termios tty_settings = {
	.c_iflag = ICRNL | IXON,
	.c_oflag = OPOST | ONLCR,
	.c_cflag = B38400 | CS8 | CREAD,
	.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.c_cc = {[VINTR] = 3,
		 [VQUIT] = 28,
		 [VERASE] = 127,
		 [VKILL] = 21,
		 [VEOF] = 4,
		 [VMIN] = 1,
		 [VSTART] = 17,
		 [VSTOP] = 19,
		 [VSUSP] = 26,
		 [VREPRINT] = 18,
		 [VDISCARD] = 15,
		 [VWERASE] = 23,
		 [VLNEXT] = 22},
};

static long console_ioctl(struct uk_file *f, uint32_t cmd, uint64_t arg)
{
	const struct noxs_stream_info *info = &UK_NOXS->stream[f->stream];
	struct winsize size = {.ws_row = info->rows, .ws_col = info->columns};
	int value;

	if (cmd == FIONREAD && (f->flags & O_ACCMODE) != O_WRONLY) {
		value = (int)uk_console_avail();
		return uk_copy_out(arg, &value, sizeof(value));
	}
	if (!is_tty(f->stream))
		return -ENOTTY;
	switch (cmd) {
	case TIOCGWINSZ:
		return uk_copy_out(arg, &size, sizeof(size));
	case TCGETS:
		return uk_copy_out(arg, &tty_settings, sizeof(tty_settings));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return uk_copy_in(&tty_settings, arg, sizeof(tty_settings));
	case TIOCGPGRP:
	case TIOCGSID:
		value = (int)UK_NOXS->pid;
		return uk_copy_out(arg, &value, sizeof(value));
	case TIOCOUTQ:
		value = 0;
		return uk_copy_out(arg, &value, sizeof(value));
	case TIOCSPGRP:
	case TIOCSWINSZ:
	case TIOCSCTTY:
	case TIOCNOTTY:
	case TCSBRK:
	case TCSBRKP:
	case TCXONC:
	case TCFLSH:
		return 0;
	default:
		return -ENOTTY;
	}
}

const struct uk_file_ops uk_console_ops = {
	.read = console_read,
	.write = console_write,
	.lseek = console_lseek,
	.stat = console_stat,
	.ioctl = console_ioctl,
	.poll = console_poll,
};

struct uk_file *uk_console_reopen(struct uk_file *of, uint32_t flags)
{
	struct uk_file *f = uk_file_new(&uk_console_ops, flags);

	if (f)
		f->stream = of->stream;
	return f;
}

/* ---- /dev ---- */

static long null_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	return 0;
}

static long null_write(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	return (long)n;
}

static long null_lseek(struct uk_file *f, int64_t off, int whence)
{
	return (long)(f->pos = 0);
}

static long zero_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	return uk_zero_out(user, n) ? -EFAULT : (long)n;
}

static long full_write(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	return -ENOSPC;
}

static long random_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	uint8_t block[256];
	size_t done = 0;

	while (done < n) {
		size_t bytes = uk_min(n - done, sizeof(block));

		uk_random(block, bytes);
		if (uk_copy_out(user + done, block, bytes))
			break;
		done += bytes;
	}
	memset(block, 0, sizeof(block));
	return done || !n ? (long)done : -EFAULT;
}

static long tty_open(struct uk_file *f)
{
	for (int i = 0; i < NOXS_NSTREAMS; i++) {
		if (!is_tty(i))
			continue;
		f->ops = &uk_console_ops;
		f->stream = i;
		return 0;
	}
	return -ENXIO;
}

static const struct uk_file_ops null_ops = {
	.seekable = true,
	.read = null_read,
	.write = null_write,
	.lseek = null_lseek,
};

static const struct uk_file_ops zero_ops = {
	.seekable = true,
	.mappable = true,
	.read = zero_read,
	.write = null_write,
	.lseek = null_lseek,
};

static const struct uk_file_ops full_ops = {
	.seekable = true,
	.read = zero_read,
	.write = full_write,
	.lseek = null_lseek,
};

static const struct uk_file_ops random_ops = {
	.seekable = true,
	.read = random_read,
	.write = null_write,
	.lseek = null_lseek,
};

static const struct uk_file_ops tty_ops = {.open = tty_open};

void uk_dev_fill(struct uk_node *dir)
{
	static const struct {
		const char *name;
		const struct uk_file_ops *ops;
		uint32_t major, minor;
	} device[] = {
		{"null", &null_ops, 1, 3},      {"zero", &zero_ops, 1, 5},
		{"full", &full_ops, 1, 7},      {"random", &random_ops, 1, 8},
		{"urandom", &random_ops, 1, 9}, {"tty", &tty_ops, 5, 0},
	};

	dir->dir.fill = NULL;
	for (size_t i = 0; i < uk_countof(device); i++) {
		struct uk_node *node =
			uk_make_file(dir, device[i].name, S_IFCHR | 0666, device[i].ops);

		if (!node)
			return;
		node->rdev = MKDEV(device[i].major, device[i].minor);
		if (device[i].ops == &tty_ops)
			node->ino = UK_INO_TTY;
	}
	uk_make_link(dir, "fd", "/proc/self/fd");
	uk_make_link(dir, "stdin", "/proc/self/fd/0");
	uk_make_link(dir, "stdout", "/proc/self/fd/1");
	uk_make_link(dir, "stderr", "/proc/self/fd/2");
	uk_make_dir(dir, "shm", 01777, NULL);
}
