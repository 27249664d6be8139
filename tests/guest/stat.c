/* SPDX-License-Identifier: Apache-2.0 */
/* stat.c: attributes: mode, umask, owner, times, and the calls that set and tell them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	char base[] = "/tmp/mayfly-stat-XXXXXX";
	struct timespec t[2] = {{100, 5}, {200, 999999999}}, before;
	struct timeval us[2] = {{300, 7}, {400, 8}};
	struct statvfs vfs;
	struct stat st;
	int fd;

	CHECK(mkdtemp(base) && chdir(base) == 0);
	CHECK(stat(".", &st) == 0 && st.st_mode == (S_IFDIR | 0700) && st.st_nlink == 2);
	umask(027);
	fd = open("f", O_CREAT | O_RDWR, 0666);
	CHECK(fd >= 0 && umask(022) == 027);
	CHECK(fstat(fd, &st) == 0 && st.st_mode == (S_IFREG | 0640));
	CHECK(st.st_uid == geteuid() && st.st_nlink == 1 && st.st_size == 0 && st.st_blocks == 0);
	CHECK(fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISREG(st.st_mode));
	CHECK_ERR(fstatat(fd, "", &st, 0), ENOENT);
	CHECK_ERR(stat("", &st), ENOENT);
	CHECK_ERR(stat("none", &st), ENOENT);
	CHECK_ERR(stat("f/x", &st), ENOTDIR);
	CHECK_ERR(fstat(-1, &st), EBADF);

	CHECK(chmod("f", 04711) == 0 && stat("f", &st) == 0 && st.st_mode == (S_IFREG | 04711));
	CHECK(fchmod(fd, 0600) == 0 && access("f", R_OK | W_OK) == 0);
	CHECK_ERR(access("f", X_OK), EACCES);
	CHECK(chmod("f", 0100) == 0 && access("f", X_OK) == 0);
	if (geteuid() == 0) {
		CHECK(chown("f", 12, -1) == 0 && fchown(fd, -1, 34) == 0);
		CHECK(stat("f", &st) == 0 && st.st_uid == 12 && st.st_gid == 34);
	}

	CHECK(utimensat(AT_FDCWD, "f", t, 0) == 0 && stat("f", &st) == 0);
	CHECK(st.st_atim.tv_sec == 100 && st.st_atim.tv_nsec == 5);
	CHECK(st.st_mtim.tv_sec == 200 && st.st_mtim.tv_nsec == 999999999);
	t[0].tv_nsec = UTIME_OMIT;
	t[1].tv_nsec = UTIME_NOW;
	CHECK(futimens(fd, t) == 0 && fstat(fd, &st) == 0);
	CHECK(st.st_atim.tv_sec == 100 && st.st_mtim.tv_sec > 1000000);
	t[0].tv_nsec = 1000000000;
	CHECK_ERR(futimens(fd, t), EINVAL);
	CHECK(utimes("f", us) == 0 && stat("f", &st) == 0 && st.st_mtim.tv_nsec == 8000);

	/* writing changes mtime and ctime, reading changes atime if it is older */
	before = st.st_ctim;
	usleep(20000);
	CHECK(write(fd, "x", 1) == 1 && fstat(fd, &st) == 0);
	CHECK(st.st_mtim.tv_sec > 400 && st.st_size == 1);
	CHECK(st.st_ctim.tv_sec > before.tv_sec || st.st_ctim.tv_nsec > before.tv_nsec);
	CHECK(st.st_mtim.tv_sec == st.st_ctim.tv_sec);

	CHECK(statvfs(".", &vfs) == 0 && vfs.f_bsize && vfs.f_namemax == 255);
	CHECK(close(fd) == 0 && unlink("f") == 0 && chdir("/") == 0 && rmdir(base) == 0);
	return success();
}
