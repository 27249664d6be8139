/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_path.c: names: the walk, links, rename, directories, attributes, the first tree.
 */
/* clang-format off */
/* sources: unikernel/vfs.c unikernel/walk.c unikernel/file.c unikernel/fd.c unikernel/path.c unikernel/stat.c unikernel/names.c unikernel/links.c unikernel/attr.c unikernel/node.c unikernel/dir.c unikernel/ramfs.c unikernel/dev.c unikernel/proc.c unikernel/etc.c unikernel/pipe.c unikernel/poll.c tests/unit/uk_mock.c */
/* clang-format on */
/* First: after libc's headers Linux's leave out what libc has under the same name. */
#include "../../unikernel/vfs.h"
#include "uk_mock.h"

#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TRUE_OR(name, ...)       assert_int_equal(CALL(name, __VA_ARGS__), 0)
#define FAILS(errno_, name, ...) assert_int_equal(CALL(name, __VA_ARGS__), -(errno_))

static int setup(void **state)
{
	(void)state;
	uk_mock_reset();
	TRUE_OR(mkdir, "/tmp/t", 0755);
	TRUE_OR(chdir, "/tmp/t");
	return 0;
}

static void remove_all(const char *path)
{
	char name[512], buf[4096];
	long fd = CALL(open, path, O_DIRECTORY, 0), n;

	assert_true(fd >= 0);
	while ((n = CALL(getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += *(uint16_t *)(buf + at + 16)) {
			const char *text = buf + at + 19;

			if (!strcmp(text, ".") || !strcmp(text, ".."))
				continue;
			uk_snprintf(name, sizeof(name), "%s/%s", path, text);
			if (buf[at + 18] == 4)
				remove_all(name);
			else
				TRUE_OR(unlink, name);
		}
	}
	TRUE_OR(close, fd);
	TRUE_OR(rmdir, path);
}

static int teardown(void **state)
{
	(void)state;
	TRUE_OR(chdir, "/");
	remove_all("/tmp/t");
	return 0;
}

static void make(const char *path)
{
	long fd = CALL(creat, path, 0644);

	assert_true(fd >= 0);
	TRUE_OR(close, fd);
}

static uint64_t ino(const char *path)
{
	struct stat st;

	TRUE_OR(lstat, path, &st);
	return st.st_ino;
}

static uint64_t nlink_of(const char *path)
{
	struct stat st;

	TRUE_OR(lstat, path, &st);
	return st.st_nlink;
}

static void walk_errors(void **state)
{
	char *longest = calloc(1, 8192);

	(void)state;
	make("file");
	FAILS(ENOENT, access, "", 0);
	FAILS(EFAULT, access, NULL, 0);
	FAILS(ENOENT, access, "none", 0);
	FAILS(ENOENT, access, "none/x", 0);
	FAILS(ENOTDIR, access, "file/x", 0);
	FAILS(ENOTDIR, access, "file/", 0);
	FAILS(ENOTDIR, access, "file/.", 0);
	TRUE_OR(access, "//tmp///t/./../t/file", 0);
	TRUE_OR(access, "/../../tmp/", 0);
	FAILS(EACCES, access, "file", 1);
	FAILS(EINVAL, access, "file", 8);
	memset(longest, 'a', 256);
	FAILS(ENAMETOOLONG, access, longest, 0);
	longest[255] = 0;
	FAILS(ENOENT, access, longest, 0);
	memset(longest, '/', 8000);
	FAILS(ENAMETOOLONG, access, longest, 0);
	longest[4095] = 0;
	TRUE_OR(access, longest, 0);
	FAILS(EBADF, faccessat, 50, "x", 0);
	FAILS(ENOTDIR, faccessat, 1, "x", 0);
	TRUE_OR(faccessat, 1, "/tmp", 0);
	free(longest);
}

static void open_flags(void **state)
{
	char buf[8];
	long fd;

	(void)state;
	FAILS(ENOENT, open, "new", O_RDWR, 0);
	FAILS(EISDIR, open, "new/", O_RDWR | O_CREAT, 0644);
	FAILS(EINVAL, open, "new", O_RDWR | O_CREAT | O_DIRECTORY, 0644);
	make("new");
	FAILS(EEXIST, open, "new", O_RDWR | O_CREAT | O_EXCL, 0644);
	FAILS(ENOTDIR, open, "new", O_DIRECTORY, 0);
	FAILS(EISDIR, open, ".", O_RDWR, 0);
	FAILS(EISDIR, open, "/", O_RDONLY | O_CREAT, 0);
	TRUE_OR(symlink, "dangling", "link");
	FAILS(ELOOP, open, "link", O_NOFOLLOW, 0);
	FAILS(EEXIST, open, "link", O_CREAT | O_EXCL, 0600);
	fd = CALL(open, "link", O_CREAT | O_RDWR, 0666); /* makes what it points to */
	assert_true(fd >= 0);
	TRUE_OR(close, fd);
	assert_int_equal(ino("dangling") != ino("link"), 1);
	fd = CALL(open, "link", O_PATH | O_NOFOLLOW, 0);
	assert_true(fd >= 0);
	assert_int_equal(CALL(readlinkat, fd, "", buf, 8), 8);
	FAILS(EBADF, read, fd, buf, 1);
	FAILS(EBADF, fchmod, fd, 0);
	TRUE_OR(close, fd);
	FAILS(EINVAL, open, ".", O_TMPFILE | O_RDONLY, 0600);
	fd = CALL(open, ".", O_TMPFILE | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(CALL(write, fd, "temp", 4), 4);
	TRUE_OR(linkat, fd, "", AT_FDCWD, "named", AT_EMPTY_PATH);
	TRUE_OR(close, fd);
	assert_int_equal(nlink_of("named"), 1);
	FAILS(EINVAL, open, "new", O_RDWR | (O_TMPFILE & ~O_DIRECTORY), 0);
}

static void open_how(void **state)
{
	struct {
		struct open_how how;
		uint64_t more;
	} h = {.how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH}};
	long dir;

	(void)state;
	TRUE_OR(mkdir, "d", 0755);
	make("d/f");
	make("out");
	TRUE_OR(symlink, "../out", "d/up");
	TRUE_OR(symlink, "/f", "d/abs");
	dir = CALL(open, "d", O_RDONLY, 0);
	FAILS(EXDEV, openat2, dir, "../out", &h, 24);
	FAILS(EXDEV, openat2, dir, "up", &h, 24);
	FAILS(EXDEV, openat2, dir, "/f", &h, 24);
	FAILS(EXDEV, openat2, dir, "abs", &h, 24);
	h.how.resolve = RESOLVE_IN_ROOT;
	assert_int_equal(CALL(openat2, dir, "abs", &h, 24), dir + 1);
	assert_int_equal(CALL(openat2, dir, "../../f", &h, sizeof(h)), dir + 2);
	h.how.resolve = RESOLVE_NO_SYMLINKS;
	FAILS(ELOOP, openat2, dir, "up", &h, 24);
	h.more = 1;
	FAILS(E2BIG, openat2, dir, "f", &h, sizeof(h));
	FAILS(EINVAL, openat2, dir, "f", &h, 16);
	h.how.mode = 1;
	FAILS(EINVAL, openat2, dir, "f", &h, 24);
	TRUE_OR(close_range, dir, dir + 2, 0);
}

static void links(void **state)
{
	char buf[64], name[16];

	(void)state;
	make("a");
	TRUE_OR(link, "a", "b");
	assert_int_equal(ino("a"), ino("b"));
	assert_int_equal(nlink_of("a"), 2);
	FAILS(EEXIST, link, "a", "b");
	FAILS(EPERM, link, ".", "dirlink");
	FAILS(ENOENT, link, "a", "c/");
	FAILS(EXDEV, link, "/proc/version", "c");
	TRUE_OR(symlink, "a", "s");
	FAILS(EEXIST, symlink, "x", "s");
	FAILS(ENOENT, symlink, "", "s2");
	assert_int_equal(CALL(readlink, "s", buf, 64), 1);
	FAILS(EINVAL, readlink, "a", buf, 64);
	FAILS(EINVAL, readlink, "s", buf, 0);
	TRUE_OR(linkat, AT_FDCWD, "s", AT_FDCWD, "s3", 0);
	assert_int_equal(ino("s3"), ino("s"));
	TRUE_OR(linkat, AT_FDCWD, "s", AT_FDCWD, "a3", AT_SYMLINK_FOLLOW);
	assert_int_equal(ino("a3"), ino("a"));
	TRUE_OR(unlink, "a");
	assert_int_equal(nlink_of("b"), 2);
	TRUE_OR(symlink, "self", "self");
	FAILS(ELOOP, access, "self", 0);
	TRUE_OR(symlink, "b", "l0");
	for (int i = 1; i <= 41; i++) {
		uk_snprintf(buf, sizeof(buf), "l%d", i - 1);
		uk_snprintf(name, sizeof(name), "l%d", i);
		TRUE_OR(symlink, buf, name);
	}
	TRUE_OR(access, "l39", 0);
	FAILS(ELOOP, access, "l40", 0);
	TRUE_OR(symlink, "/tmp/t/", "dir");
	TRUE_OR(access, "dir/b", 0);
	FAILS(ENOTDIR, unlink, "dir/");
	TRUE_OR(unlink, "dir");
}

static void renames(void **state)
{
	uint64_t was;

	(void)state;
	make("a");
	make("b");
	TRUE_OR(mkdir, "d", 0755);
	TRUE_OR(mkdir, "d/e", 0755);
	TRUE_OR(mkdir, "empty", 0755);
	was = ino("a");
	TRUE_OR(rename, "a", "b");
	assert_int_equal(ino("b"), was);
	FAILS(ENOENT, access, "a", 0);
	FAILS(ENOENT, rename, "a", "c");
	FAILS(EISDIR, rename, "b", "d");
	FAILS(ENOTDIR, rename, "d", "b");
	FAILS(ENOTEMPTY, rename, "empty", "d");
	FAILS(EINVAL, rename, "d", "d/e/f");
	FAILS(EINVAL, rename, "d", "d/e");
	FAILS(ENOTEMPTY, rename, "d/e", "d");
	FAILS(EBUSY, rename, ".", "x");
	FAILS(EBUSY, rename, "d", "..");
	FAILS(ENOTDIR, rename, "b", "c/");
	FAILS(ENOTDIR, rename, "b/", "c");
	FAILS(EXDEV, rename, "b", "/proc/b");
	FAILS(EEXIST, renameat2, AT_FDCWD, "b", AT_FDCWD, "d", RENAME_NOREPLACE);
	FAILS(ENOENT, renameat2, AT_FDCWD, "b", AT_FDCWD, "no", RENAME_EXCHANGE);
	FAILS(EINVAL, renameat2, AT_FDCWD, "b", AT_FDCWD, "d", 3);
	TRUE_OR(renameat2, AT_FDCWD, "b", AT_FDCWD, "d/e", RENAME_EXCHANGE);
	assert_int_equal(ino("d/e"), was);
	assert_int_equal(nlink_of("d"), 2);
	assert_int_equal(nlink_of("."), 5);
	TRUE_OR(rename, "d", "empty"); /* over an empty directory */
	assert_int_equal(nlink_of("."), 4);
	TRUE_OR(rename, "empty", "b/moved/"); /* a slash is right for a directory */
	TRUE_OR(access, "b/moved/../moved/e", 0);
	assert_int_equal(nlink_of("."), 3);
	assert_int_equal(nlink_of("b"), 3);
	TRUE_OR(link, "b/moved/e", "same");
	TRUE_OR(rename, "same", "b/moved/e"); /* two links to one: nothing happens */
	TRUE_OR(access, "same", 0);
}

static void removals(void **state)
{
	char buf[64];
	long fd;

	(void)state;
	TRUE_OR(mkdir, "d", 0777);
	FAILS(EEXIST, mkdir, "d", 0777);
	FAILS(EEXIST, mkdir, "d/", 0777);
	FAILS(EEXIST, mkdir, "/", 0777);
	FAILS(ENOENT, mkdir, "x/y", 0777);
	FAILS(ENOENT, mkdir, "/proc/x", 0777);
	FAILS(EPERM, mkdir, "/sys/x", 0777);
	FAILS(EPERM, unlink, "/proc/version");
	make("d/f");
	FAILS(ENOTEMPTY, rmdir, "d");
	FAILS(EISDIR, unlink, "d");
	FAILS(EISDIR, unlink, "d/");
	FAILS(ENOTDIR, unlink, "d/f/");
	FAILS(ENOTDIR, rmdir, "d/f");
	FAILS(EINVAL, rmdir, "d/.");
	FAILS(ENOTEMPTY, rmdir, "d/..");
	FAILS(EBUSY, rmdir, "/");
	FAILS(EBUSY, rmdir, "/proc");
	FAILS(EINVAL, unlinkat, AT_FDCWD, "d", 1);
	TRUE_OR(unlinkat, AT_FDCWD, "d/f", 0);
	TRUE_OR(chdir, "d");
	fd = CALL(open, ".", O_RDONLY, 0);
	TRUE_OR(rmdir, "../d");
	FAILS(ENOENT, getcwd, buf, 64);
	FAILS(ENOENT, creat, "f", 0644);
	FAILS(ENOENT, mkdir, "f", 0644);
	FAILS(ENOENT, getdents64, fd, buf, 64);
	TRUE_OR(access, "..", 0);
	TRUE_OR(chdir, "..");
	assert_int_equal(CALL(getcwd, buf, 64), 7);
	assert_string_equal(buf, "/tmp/t");
	FAILS(ERANGE, getcwd, buf, 6);
	TRUE_OR(close, fd);
	fd = CALL(open, "gone", O_CREAT | O_RDWR, 0644);
	TRUE_OR(unlink, "gone");
	assert_int_equal(CALL(write, fd, "still", 5), 5);
	uk_snprintf(buf, sizeof(buf), "/proc/self/fd/%ld", fd);
	assert_int_equal(CALL(readlink, buf, buf, 64), 21);
	assert_memory_equal(buf, "/tmp/t/gone (deleted)", 21);
	TRUE_OR(close, fd);
}

/* Reading with a small buffer while every name that was read is removed or renamed. */
static void reading_while_changing(void **state)
{
	enum { N = 300 };
	char name[32], buf[128], seen[N] = {0};
	long fd, n, total = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		uk_snprintf(name, sizeof(name), "f%d", i);
		make(name);
	}
	fd = CALL(open, ".", O_DIRECTORY, 0);
	FAILS(EINVAL, getdents64, fd, buf, 10);
	while ((n = CALL(getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += *(uint16_t *)(buf + at + 16)) {
			const char *text = buf + at + 19;
			int i = atoi(text + 1);

			if (text[0] != 'f')
				continue;
			assert_int_equal(seen[i]++, 0);
			total++;
			if (i % 2) {
				TRUE_OR(unlink, text);
			} else {
				uk_snprintf(name, sizeof(name), "g%d", i);
				TRUE_OR(rename, text, name);
			}
		}
	}
	assert_int_equal(n, 0);
	assert_int_equal(total, N);
	assert_int_equal(CALL(lseek, fd, 0, SEEK_SET), 0);
	for (total = 0; (n = CALL(getdents64, fd, buf, sizeof(buf))) > 0;)
		for (long at = 0; at < n; at += *(uint16_t *)(buf + at + 16))
			total++;
	assert_int_equal(total, N / 2 + 2);
	FAILS(EISDIR, read, fd, buf, 1);
	TRUE_OR(close, fd);
	/* gaps are closed by now or soon: names are still found */
	for (int i = 0; i < N; i++) {
		uk_snprintf(name, sizeof(name), "f%d", i);
		make(name);
	}
	TRUE_OR(access, "g298", 0);
	TRUE_OR(access, "f0", 0);
}

static void attributes(void **state)
{
	struct stat st;
	struct statx stx;
	struct statfs fs;
	int64_t times[4] = {100, 5, 200, 999999999};

	(void)state;
	assert_int_equal(CALL(umask, 027), 022);
	make("f");
	TRUE_OR(stat, "f", &st);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(CALL(umask, 022), 027);
	TRUE_OR(chmod, "f", 06755);
	TRUE_OR(chown, "f", 12, -1);
	TRUE_OR(stat, "f", &st);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 0);
	TRUE_OR(utimensat, AT_FDCWD, "f", times, 0);
	TRUE_OR(stat, "f", &st);
	assert_int_equal(st.st_atime, 100);
	assert_int_equal(st.st_mtime_nsec, 999999999);
	times[1] = 0x3fffffff;
	times[3] = 0x3ffffffe;
	TRUE_OR(utimensat, AT_FDCWD, "f", times, 0);
	TRUE_OR(stat, "f", &st);
	assert_int_equal(st.st_atime, 1700000000);
	assert_int_equal(st.st_mtime, 200);
	times[1] = 1000000000;
	FAILS(EINVAL, utimensat, AT_FDCWD, "f", times, 0);
	times[1] = times[3] = 0x3ffffffe;
	TRUE_OR(utimensat, AT_FDCWD, "missing", times, 0);
	FAILS(EFAULT, utimensat, AT_FDCWD, NULL, NULL, 0);
	FAILS(EBADF, utimensat, 50, NULL, NULL, 0);
	TRUE_OR(statx, AT_FDCWD, "f", 0, STATX_ALL, &stx);
	assert_int_equal(stx.stx_mask, STATX_BASIC_STATS | STATX_BTIME);
	FAILS(EINVAL, statx, AT_FDCWD, "f", AT_STATX_SYNC_TYPE, STATX_ALL, &stx);
	FAILS(EINVAL, newfstatat, AT_FDCWD, "f", &st, AT_REMOVEDIR);
	FAILS(EINVAL, truncate, "f", -1);
	FAILS(EISDIR, truncate, ".", 0);
	TRUE_OR(truncate, "f", 5000);
	TRUE_OR(stat, "f", &st);
	assert_int_equal(st.st_size, 5000);
	assert_int_equal(st.st_blocks, 0);
	TRUE_OR(statfs, "f", &fs);
	assert_int_equal(fs.f_type, TMPFS_MAGIC);
	TRUE_OR(statfs, "/proc/self", &fs);
	assert_int_equal(fs.f_type, PROC_SUPER_MAGIC);
	TRUE_OR(newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH);
	assert_int_equal(st.st_ino, ino("."));
}

static void not_root(void **state)
{
	(void)state;
	make("f");
	TRUE_OR(chmod, "f", 0604);
	TRUE_OR(chown, "f", 5, 5);
	uk_mock_noxs()->uid = 5;
	FAILS(EACCES, creat, "g", 0644);
	FAILS(EACCES, unlink, "f");
	TRUE_OR(access, "f", 6);
	uk_mock_noxs()->uid = 6;
	uk_mock_noxs()->gid = 6;
	FAILS(EACCES, open, "f", O_WRONLY, 0);
	FAILS(EPERM, chmod, "f", 0777);
	assert_int_equal(CALL(open, "f", O_RDONLY, 0), 3);
	TRUE_OR(close, 3);
	uk_mock_noxs()->uid = 0;
}

static const char *text_of(const char *path)
{
	static char buf[4096];
	long fd = CALL(open, path, O_RDONLY, 0), n;

	assert_true(fd >= 0);
	n = CALL(read, fd, buf, sizeof(buf) - 1);
	assert_true(n >= 0);
	buf[n] = 0;
	TRUE_OR(close, fd);
	return buf;
}

static void first_tree(void **state)
{
	static const uint64_t strings[] = {2, 0, 0, 0, 0, 0};
	uint64_t stack[6];
	char buf[64], zero = 1;
	struct stat st, fst;
	long fd;

	(void)state;
	memcpy(stack, strings, sizeof(stack));
	stack[1] = (uint64_t) "program";
	stack[2] = (uint64_t) "arg";
	stack[4] = (uint64_t) "A=b";
	uk_mock_noxs()->rsp = (uint64_t)stack;
	assert_memory_equal(text_of("/proc/self/cmdline"), "program\0arg\0", 13);
	assert_string_equal(text_of("/proc/42/environ"), "A=b");
	assert_string_equal(text_of("/proc/self/comm"), "program\n");
	assert_non_null(strstr(text_of("/proc/self/status"), "Pid:\t42\n"));
	assert_non_null(strstr(text_of("/proc/self/maps"), "r-xp"));
	assert_non_null(strstr(text_of("/proc/meminfo"), "MemTotal:         262144 kB\n"));
	assert_non_null(strstr(text_of("/etc/hosts"), "mockhost"));
	assert_non_null(strstr(text_of("/etc/passwd"), "root:x:0:0:"));
	assert_string_equal(text_of("/proc/sys/kernel/hostname"), "mockhost\n");
	assert_int_equal(strlen(text_of("/proc/sys/kernel/random/boot_id")), 37);
	assert_string_equal(text_of("/sys/devices/system/cpu/online"), "0\n");
	text_of("/proc/self/stat");
	text_of("/proc/self/statm");
	text_of("/proc/self/limits");
	text_of("/proc/cpuinfo");
	text_of("/proc/uptime");
	text_of("/proc/stat");
	text_of("/proc/mounts");
	assert_int_equal(CALL(readlink, "/proc/self/exe", buf, 64), 12);
	assert_memory_equal(buf, "/bin/program", 12);
	assert_int_equal(CALL(readlink, "/proc/self/cwd", buf, 64), 6);
	assert_int_equal(CALL(readlink, "/proc/self", buf, 64), 2);
	TRUE_OR(access, "/work/dir", 0);

	fd = CALL(open, "/dev/zero", O_RDWR, 0);
	assert_int_equal(CALL(read, fd, &zero, 1), 1);
	assert_int_equal(zero, 0);
	TRUE_OR(close, fd);
	fd = CALL(open, "/dev/full", O_RDWR, 0);
	FAILS(ENOSPC, write, fd, "x", 1);
	TRUE_OR(close, fd);
	fd = CALL(open, "/dev/urandom", O_RDONLY, 0);
	assert_int_equal(CALL(read, fd, buf, 64), 64);
	TRUE_OR(fstat, fd, &st);
	assert_int_equal(st.st_rdev, 0x109);
	TRUE_OR(close, fd);
	FAILS(ENXIO, open, "/dev/tty", O_RDWR, 0);
	uk_mock_noxs()->stream[1].flags = NOXS_STREAM_TTY;
	fd = CALL(open, "/dev/tty", O_RDWR, 0);
	assert_int_equal(CALL(write, fd, "tty", 3), 3);
	assert_memory_equal(uk_mock.out[1], "tty", 3);
	TRUE_OR(close, fd);
	TRUE_OR(stat, "/dev/tty", &st);
	TRUE_OR(fstat, 1, &fst);
	assert_int_equal(st.st_ino, fst.st_ino);
	assert_int_equal(st.st_rdev, fst.st_rdev);

	fd = CALL(open, "/dev/stdout", O_WRONLY, 0);
	assert_int_equal(CALL(write, fd, "out", 3), 3);
	assert_memory_equal(uk_mock.out[1], "ttyout", 6);
	TRUE_OR(close, fd);
	make("f");
	fd = CALL(open, "f", O_RDWR, 0);
	assert_int_equal(CALL(write, fd, "contents", 8), 8);
	uk_snprintf(buf, sizeof(buf), "/dev/fd/%ld", fd);
	assert_string_equal(text_of(buf), "contents"); /* an offset of its own */
	TRUE_OR(close, fd);
	FAILS(ENOENT, open, buf, O_RDONLY, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(walk_errors), T(open_flags), T(open_how),
		T(links),       T(renames),    T(removals),
		T(attributes),  T(not_root),   T(reading_while_changing),
		T(first_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
