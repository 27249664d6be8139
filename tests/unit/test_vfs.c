/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_vfs.c: descriptors, the console's streams, and the contents of files.
 */
/* clang-format off */
/* sources: unikernel/vfs.c unikernel/walk.c unikernel/file.c unikernel/fd.c unikernel/path.c unikernel/stat.c unikernel/names.c unikernel/links.c unikernel/attr.c unikernel/node.c unikernel/dir.c unikernel/ramfs.c unikernel/dev.c unikernel/proc.c unikernel/etc.c unikernel/pipe.c unikernel/poll.c tests/unit/uk_mock.c */
/* clang-format on */
/* First: after libc's headers Linux's leave out what libc has under the same name. */
#include "../../unikernel/vfs.h"
#include "uk_mock.h"

#include <asm/ioctls.h>
#include <asm/stat.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int setup(void **state)
{
	(void)state;
	uk_mock_reset();
	return 0;
}

static int open_new(const char *path)
{
	long fd = CALL(open, path, O_RDWR | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	return (int)fd;
}

static void drop(int fd, const char *path)
{
	assert_int_equal(CALL(close, fd), 0);
	assert_int_equal(CALL(unlink, path), 0);
}

/* ---- descriptors ---- */

static void lowest_descriptor(void **state)
{
	(void)state;
	assert_int_equal(CALL(dup, 1), 3);
	assert_int_equal(CALL(dup, 1), 4);
	assert_int_equal(CALL(fcntl, 1, F_DUPFD, 10), 10);
	assert_int_equal(CALL(close, 3), 0);
	assert_int_equal(CALL(close, 3), -EBADF);
	assert_int_equal(CALL(dup, 1), 3);
	assert_int_equal(CALL(dup, 1), 5);
	assert_int_equal(CALL(dup2, 1, 200), 200); /* grows the table */
	assert_int_equal(CALL(dup2, 1, 200), 200);
	assert_int_equal(CALL(dup2, 200, 200), 200);
	assert_int_equal(CALL(dup2, 201, 201), -EBADF);
	assert_int_equal(CALL(dup2, 1, 1024), -EBADF);
	assert_int_equal(CALL(dup3, 1, 1, 0), -EINVAL);
	assert_int_equal(CALL(dup3, 1, 6, O_CLOEXEC), 6);
	assert_int_equal(CALL(fcntl, 6, F_GETFD), FD_CLOEXEC);
	assert_int_equal(CALL(fcntl, 1, F_DUPFD, 1024), -EINVAL);
	assert_int_equal(CALL(close_range, 3, ~0u, 4), 0);
	assert_int_equal(CALL(fcntl, 200, F_GETFD), FD_CLOEXEC);
	assert_int_equal(CALL(close_range, 3, ~0u, 0), 0);
	assert_int_equal(CALL(close_range, 4, 3, 0), -EINVAL);
	assert_int_equal(CALL(dup, 1), 3);
	assert_int_equal(CALL(close, 3), 0);
}

static void table_full(void **state)
{
	(void)state;
	for (int i = 3; i < 1024; i++)
		assert_int_equal(CALL(dup, 1), i);
	assert_int_equal(CALL(dup, 1), -EMFILE);
	assert_int_equal(CALL(open, "/tmp/x", O_CREAT | O_RDWR, 0644), -EMFILE);
	assert_int_equal(CALL(access, "/tmp/x", 0), -ENOENT); /* no number, no file */
	assert_int_equal(CALL(close, 512), 0);
	assert_int_equal(CALL(dup, 1), 512);
	assert_int_equal(CALL(close_range, 3, ~0u, 0), 0);
}

static void shared_offset(void **state)
{
	int fd = open_new("/tmp/shared"), copy = (int)CALL(dup, fd);

	(void)state;
	assert_int_equal(CALL(write, fd, "abcdef", 6), 6);
	assert_int_equal(CALL(lseek, copy, 0, SEEK_CUR), 6);
	assert_int_equal(CALL(fcntl, fd, F_SETFL, O_NONBLOCK | O_APPEND), 0);
	assert_int_equal(CALL(fcntl, copy, F_GETFL), O_RDWR | O_NONBLOCK | O_APPEND | O_LARGEFILE);
	assert_int_equal(CALL(close, copy), 0);
	drop(fd, "/tmp/shared");
}

/* ---- console ---- */

static void console_write(void **state)
{
	struct iovec iov[] = {{"hello", 5}, {NULL, 0}, {" world\n", 7}};

	(void)state;
	assert_int_equal(CALL(ioctl, 1, TIOCGWINSZ, iov), -ENOTTY);
	assert_int_equal(CALL(writev, 1, iov, 3), 12);
	assert_int_equal(uk_mock.out_bytes[1], 12);
	assert_memory_equal(uk_mock.out[1], "hello world\n", 12);
	assert_int_equal(CALL(write, 1, NULL, 5), -EFAULT);
	assert_int_equal(CALL(write, 0, "x", 1), -EBADF);
	assert_int_equal(CALL(read, 1, iov, 1), -EBADF);
	assert_int_equal(CALL(write, 99, "x", 1), -EBADF);
	assert_int_equal(CALL(writev, 1, iov, 1025), -EINVAL);
	assert_int_equal(CALL(writev, 1, iov, -1), -EINVAL);
	assert_int_equal(CALL(writev, 1, NULL, 1), -EFAULT);
	assert_int_equal(CALL(writev, 1, NULL, 0), 0);
	iov[0].iov_len = INT64_MAX;
	assert_int_equal(CALL(writev, 1, iov, 3), -EINVAL);
	iov[0].iov_len = UINT64_MAX;
	assert_int_equal(CALL(writev, 1, iov, 3), -EINVAL);
	assert_int_equal(CALL(pwrite64, 1, "x", 1, 0), -ESPIPE);
	assert_int_equal(CALL(lseek, 1, 0, SEEK_SET), -ESPIPE);
}

static long wait_room(uint32_t events, uint64_t deadline_ns)
{
	assert_int_equal(events, NOXS_EV_STDERR);
	if (!deadline_ns)
		return 0;
	uk_mock.out_room[2] += 4;
	return NOXS_EV_STDERR;
}

static long wait_signal(uint32_t events, uint64_t deadline_ns)
{
	(void)events;
	(void)deadline_ns;
	return -EINTR;
}

static void console_full(void **state)
{
	(void)state;
	uk_mock.out_room[2] = 3;
	uk_mock.wait = wait_room;
	assert_int_equal(CALL(write, 2, "0123456789", 10), 10);
	assert_memory_equal(uk_mock.out[2], "0123456789", 10);
	uk_mock.out_room[2] = 3;
	uk_mock.wait = wait_signal;
	assert_int_equal(CALL(write, 2, "0123456789", 10), 3);
	assert_int_equal(CALL(write, 2, "0123456789", 10), -EINTR);
	uk_mock.wait = wait_room;
	uk_mock.out_room[2] = 0;
	assert_int_equal(CALL(fcntl, 2, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(CALL(write, 2, "0123456789", 10), -EAGAIN);
	assert_int_equal(CALL(fcntl, 2, F_SETFL, 0), 0);
	uk_mock.out_error[2] = EPIPE;
	assert_int_equal(CALL(write, 2, "0123456789", 10), -EPIPE);
	assert_int_equal(uk_mock.raised, 1ull << 13);
}

static long wait_input(uint32_t events, uint64_t deadline_ns)
{
	(void)deadline_ns;
	assert_int_equal(events, NOXS_EV_STDIN);
	uk_mock.in = "late";
	uk_mock.in_bytes = 4;
	return NOXS_EV_STDIN;
}

static void console_read(void **state)
{
	char one[4] = "", two[16] = "";
	struct iovec iov[] = {{one, 3}, {two, 16}};

	(void)state;
	uk_mock.in = "abcde";
	uk_mock.in_bytes = 5;
	assert_int_equal(CALL(readv, 0, iov, 2), 5);
	assert_string_equal(one, "abc");
	assert_string_equal(two, "de");
	/* the first part is full: what is not there yet is not waited for */
	uk_mock.in = "xyz";
	uk_mock.in_bytes = 3;
	uk_mock.wait = wait_signal;
	assert_int_equal(CALL(readv, 0, iov, 2), 3);
	uk_mock.wait = wait_input;
	assert_int_equal(CALL(read, 0, two, 16), 4);
	assert_memory_equal(two, "late", 4);
	assert_int_equal(CALL(read, 0, two, 0), 0);
	uk_mock.in_eof = true;
	assert_int_equal(CALL(read, 0, two, 16), 0);
}

static void console_kinds(void **state)
{
	struct noxs_page *noxs = uk_mock_noxs();
	struct winsize size;
	struct termios settings;
	struct stat st;

	(void)state;
	assert_int_equal(CALL(fstat, 1, &st), 0);
	assert_int_equal(st.st_mode & S_IFMT, S_IFREG);
	noxs->stream[1].flags = NOXS_STREAM_PIPE;
	assert_int_equal(CALL(fstat, 1, &st), 0);
	assert_int_equal(st.st_mode & S_IFMT, S_IFIFO);
	assert_int_equal(CALL(lseek, 1, 0, SEEK_CUR), -ESPIPE);
	noxs->stream[1] = (struct noxs_stream_info){NOXS_STREAM_TTY, 25, 80};
	assert_int_equal(CALL(newfstatat, 1, "", &st, AT_EMPTY_PATH), 0);
	assert_int_equal(st.st_mode & S_IFMT, S_IFCHR);
	assert_int_equal(CALL(ioctl, 1, TIOCGWINSZ, &size), 0);
	assert_int_equal(size.ws_row, 25);
	assert_int_equal(size.ws_col, 80);
	assert_int_equal(CALL(ioctl, 1, TCGETS, &settings), 0);
	assert_true(settings.c_lflag & ICANON);
	assert_int_equal(CALL(ioctl, 1, TIOCGWINSZ, NULL), -EFAULT);
	assert_int_equal(CALL(fstat, 1, NULL), -EFAULT);
	assert_int_equal(CALL(fstat, 77, &st), -EBADF);
}

/* ---- contents ---- */

/* A file against a plain array, with operations at random. */
static void random_contents(void **state)
{
	enum { BYTES = 1 << 20 };
	char *model = calloc(1, BYTES), *buf = malloc(BYTES);
	size_t size = 0;
	int fd = open_new("/tmp/random");

	(void)state;
	srand(7);
	for (int i = 0; i < 2000; i++) {
		size_t off = (size_t)rand() % BYTES, n = (size_t)rand() % 9000;

		n = uk_min(n, BYTES - off);
		switch (rand() % 5) {
		case 0:
		case 1:
			memset(buf, rand(), n);
			assert_int_equal(CALL(pwrite64, fd, buf, n, off), n);
			memcpy(model + off, buf, n);
			if (n)
				size = uk_max(size, off + n);
			break;
		case 2:
			if (rand() % 8)
				break;
			assert_int_equal(CALL(ftruncate, fd, off), 0);
			if (off < size)
				memset(model + off, 0, size - off);
			size = off;
			break;
		case 3:
			if (!n)
				break;
			assert_int_equal(CALL(fallocate, fd,
					      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, n),
					 0);
			memset(model + off, 0, n);
			break;
		case 4: {
			size_t want = off >= size ? 0 : uk_min(n, size - off);

			assert_int_equal(CALL(pread64, fd, buf, n, off), want);
			assert_memory_equal(buf, model + off, want);
		}
		}
	}
	assert_int_equal(CALL(pread64, fd, buf, BYTES, 0), size);
	assert_memory_equal(buf, model, size);
	drop(fd, "/tmp/random");
	free(model);
	free(buf);
}

static void sparse(void **state)
{
	const uint64_t far = 1ull << 50;
	struct stat st;
	char c;
	size_t before = uk_mock.frames;
	int fd = open_new("/tmp/sparse");

	(void)state;
	assert_int_equal(CALL(pwrite64, fd, "x", 1, far), 1);
	assert_int_equal(CALL(pwrite64, fd, "y", 1, 8192), 1);
	assert_int_equal(CALL(fstat, fd, &st), 0);
	assert_int_equal(st.st_size, far + 1);
	assert_int_equal(st.st_blocks, 16);
	assert_int_equal(CALL(pread64, fd, &c, 1, far / 2), 1);
	assert_int_equal(c, 0);
	assert_int_equal(CALL(lseek, fd, 0, SEEK_DATA), 8192);
	assert_int_equal(CALL(lseek, fd, 8193, SEEK_DATA), 8193);
	assert_int_equal(CALL(lseek, fd, 8192, SEEK_HOLE), 12288);
	assert_int_equal(CALL(lseek, fd, 12288, SEEK_DATA), far);
	assert_int_equal(CALL(lseek, fd, far, SEEK_HOLE), far + 1);
	assert_int_equal(CALL(lseek, fd, far + 1, SEEK_DATA), -ENXIO);
	assert_int_equal(CALL(lseek, fd, -1, SEEK_SET), -EINVAL);
	assert_int_equal(CALL(lseek, fd, 0, 9), -EINVAL);
	assert_int_equal(CALL(pwrite64, fd, "x", 1, INT64_MAX), -EFBIG);
	assert_int_equal(CALL(pwrite64, fd, "x", 1, -1ull), -EINVAL);
	assert_int_equal(CALL(ftruncate, fd, 0), 0);
	assert_int_equal(uk_mock.frames, before);
	drop(fd, "/tmp/sparse");
}

static void no_space(void **state)
{
	static char block[16 * NOXS_PAGE];
	int fd = open_new("/tmp/full");
	size_t total = 0;
	long r;

	(void)state;
	uk_mock.frames = UK_FRAMES_RESERVE + 40;
	while ((r = CALL(write, fd, block, sizeof(block))) > 0)
		total += (size_t)r;
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(total, 40 * NOXS_PAGE);
	assert_int_equal(uk_mock.frames, UK_FRAMES_RESERVE);
	assert_int_equal(CALL(fallocate, fd, 0, total, NOXS_PAGE), -ENOSPC);
	/* what is there can be written over, and freeing makes room */
	assert_int_equal(CALL(pwrite64, fd, "abc", 3, 0), 3);
	assert_int_equal(CALL(ftruncate, fd, NOXS_PAGE), 0);
	assert_int_equal(CALL(write, fd, block, 1), 1);
	drop(fd, "/tmp/full");
	assert_int_equal(uk_mock.frames, UK_FRAMES_RESERVE + 40);
}

static void bad_source(void **state)
{
	char buf[8] = "zzzzzzz";
	int fd = open_new("/tmp/bad");

	(void)state;
	assert_int_equal(CALL(write, fd, "abc", 3), 3);
	assert_int_equal(CALL(write, fd, 8, 4), -EFAULT);
	assert_int_equal(CALL(pread64, fd, NULL, 3, 0), -EFAULT);
	assert_int_equal(CALL(ftruncate, fd, 7), 0);
	assert_int_equal(CALL(pread64, fd, buf, 8, 0), 7);
	assert_memory_equal(buf, "abc\0\0\0\0", 7);
	drop(fd, "/tmp/bad");
}

static void append(void **state)
{
	char buf[16];
	int fd = open_new("/tmp/append"), at;

	(void)state;
	assert_int_equal(CALL(write, fd, "one", 3), 3);
	at = (int)CALL(open, "/tmp/append", O_WRONLY | O_APPEND, 0);
	assert_int_equal(CALL(write, at, "two", 3), 3);
	assert_int_equal(CALL(lseek, at, 0, SEEK_CUR), 6);
	assert_int_equal(CALL(pwrite64, at, "three", 5, 0), 5); /* as Linux: appends */
	assert_int_equal(CALL(pread64, fd, buf, 16, 0), 11);
	assert_memory_equal(buf, "onetwothree", 11);
	assert_int_equal(CALL(close, at), 0);
	at = (int)CALL(open, "/tmp/append", O_WRONLY | O_TRUNC, 0);
	assert_int_equal(CALL(pread64, fd, buf, 16, 0), 0);
	assert_int_equal(CALL(close, at), 0);
	drop(fd, "/tmp/append");
}

static void between_files(void **state)
{
	char buf[32];
	uint64_t off = 2, to = 1;
	int a = open_new("/tmp/a"), b = open_new("/tmp/b");

	(void)state;
	assert_int_equal(CALL(write, a, "0123456789", 10), 10);
	assert_int_equal(CALL(sendfile, 1, a, &off, 5), 5);
	assert_int_equal(off, 7);
	assert_memory_equal(uk_mock.out[1], "23456", 5);
	assert_int_equal(CALL(lseek, a, 0, SEEK_CUR), 10);
	off = 0;
	assert_int_equal(CALL(copy_file_range, a, &off, b, &to, 100, 0), 10);
	assert_int_equal(to, 11);
	assert_int_equal(CALL(pread64, b, buf, 32, 0), 11);
	assert_memory_equal(buf,
			    "\0"
			    "0123456789",
			    11);
	off = 0;
	to = 5;
	assert_int_equal(CALL(copy_file_range, a, &off, a, &to, 6, 0), -EINVAL);
	assert_int_equal(CALL(copy_file_range, a, NULL, b, NULL, 6, 1), -EINVAL);
	drop(a, "/tmp/a");
	drop(b, "/tmp/b");
}

/* Every way in which the heap can fail while a file is made and filled. */
static void no_memory(void **state)
{
	static char block[3 * NOXS_PAGE];

	(void)state;
	for (size_t limit = 0; limit < 16; limit++) {
		size_t before = uk_mock.allocs;
		long fd;

		uk_mock.alloc_limit = limit;
		fd = CALL(open, "/tmp/oom", O_RDWR | O_CREAT, 0644);
		if (fd >= 0) {
			CALL(pwrite64, fd, block, sizeof(block), 1 << 24);
			CALL(mkdir, "/tmp/oomdir", 0755);
			CALL(symlink, "target", "/tmp/oomlink");
			CALL(rename, "/tmp/oom", "/tmp/oomdir/x");
			assert_int_equal(CALL(close, fd), 0);
		} else {
			assert_true(fd == -ENOMEM || fd == -ENOSPC);
		}
		uk_mock.alloc_limit = SIZE_MAX;
		CALL(unlink, "/tmp/oomdir/x");
		CALL(unlink, "/tmp/oom");
		CALL(unlink, "/tmp/oomlink");
		CALL(rmdir, "/tmp/oomdir");
		/* /tmp's own tables may have been made and stay */
		assert_true(uk_mock.allocs - before <= 2);
	}
}

static void for_mmap(void **state)
{
	struct uk_node *node;
	uint32_t flags;
	char *page;
	int fd = open_new("/tmp/map"), out;

	(void)state;
	assert_int_equal(CALL(write, fd, "mapped", 6), 6);
	assert_int_equal(uk_file_mappable(fd, &flags, &node), 0);
	assert_int_equal(flags & O_ACCMODE, O_RDWR);
	page = uk_ramfs_page(node, 0, false);
	assert_memory_equal(page, "mapped", 7);
	assert_null(uk_ramfs_page(node, 1, false));
	out = (int)CALL(open, "/tmp/map", O_WRONLY, 0);
	assert_int_equal(uk_file_mappable(out, &flags, &node), -EACCES);
	assert_int_equal(uk_file_mappable(0, &flags, &node), -ENODEV);
	assert_int_equal(uk_file_mappable(-1, &flags, &node), -EBADF);
	assert_int_equal(CALL(close, out), 0);
	out = (int)CALL(open, "/dev/zero", O_RDWR, 0);
	assert_int_equal(uk_file_mappable(out, &flags, &node), 0);
	assert_null(node);
	assert_int_equal(CALL(close, out), 0);
	assert_int_equal(CALL(unlink, "/tmp/map"), 0);
	assert_int_equal(CALL(close, fd), 0);
}

/* While a file is mapped its frames stay, and what is cut off reads as zero. */
static void mapped_frames(void **state)
{
	int fd = open_new("/tmp/shared");
	struct uk_node *node;
	uint32_t flags;
	char *page, buf[8];

	(void)state;
	assert_int_equal(CALL(ftruncate, fd, 3 * 4096), 0);
	assert_int_equal(uk_file_mappable(fd, &flags, &node), 0);
	uk_ramfs_mapped(node, true);
	page = uk_ramfs_page(node, 1, true);
	memcpy(page, "stored", 6);
	assert_int_equal(CALL(pread64, fd, buf, 6, 4096), 6);
	assert_memory_equal(buf, "stored", 6);
	assert_int_equal(CALL(ftruncate, fd, 100), 0);
	assert_ptr_equal(uk_ramfs_page(node, 1, false), page);
	assert_int_equal(page[0], 0);
	/* stored behind the end: gone when the file grows */
	memcpy(page, "again", 5);
	assert_int_equal(CALL(pwrite64, fd, "x", 1, 8192), 1);
	assert_int_equal(CALL(pread64, fd, buf, 6, 4096), 6);
	assert_memory_equal(buf, "\0\0\0\0\0", 6);
	assert_int_equal(CALL(ftruncate, fd, 10), 0);
	((char *)uk_ramfs_page(node, 0, true))[50] = 1;
	uk_ramfs_mapped(node, false);
	assert_null(uk_ramfs_page(node, 1, false));
	assert_int_equal(((char *)uk_ramfs_page(node, 0, false))[50], 0);
	assert_int_equal(CALL(unlink, "/tmp/shared"), 0);
	assert_int_equal(CALL(close, fd), 0);
}

static void closed_streams(void **state)
{
	(void)state;
	/* last of all: it takes stdin away */
	uk_mock_noxs()->stream[0].flags = NOXS_STREAM_CLOSED;
	uk_vfs_init();
	assert_int_equal(CALL(read, 0, NULL, 1), -EBADF);
	assert_int_equal(CALL(dup, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lowest_descriptor, setup),
		cmocka_unit_test_setup(table_full, setup),
		cmocka_unit_test_setup(shared_offset, setup),
		cmocka_unit_test_setup(console_write, setup),
		cmocka_unit_test_setup(console_full, setup),
		cmocka_unit_test_setup(console_read, setup),
		cmocka_unit_test_setup(console_kinds, setup),
		cmocka_unit_test_setup(random_contents, setup),
		cmocka_unit_test_setup(sparse, setup),
		cmocka_unit_test_setup(no_space, setup),
		cmocka_unit_test_setup(bad_source, setup),
		cmocka_unit_test_setup(append, setup),
		cmocka_unit_test_setup(between_files, setup),
		cmocka_unit_test_setup(no_memory, setup),
		cmocka_unit_test_setup(for_mmap, setup),
		cmocka_unit_test_setup(mapped_frames, setup),
		cmocka_unit_test_setup(closed_streams, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
