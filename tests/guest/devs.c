/* SPDX-License-Identifier: Apache-2.0 */
/* devs.c: /dev/null, zero, full, random and urandom; descriptors by name in /dev/fd. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	static const char zeros[5000];
	char path[] = "/tmp/mayfly-devs-XXXXXX", name[32], buf[5000], more[16];
	struct stat st;
	int fd = open("/dev/null", O_RDWR), again;

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(major(st.st_rdev) == 1 && minor(st.st_rdev) == 3);
	CHECK(write(fd, "gone", 4) == 4 && read(fd, buf, 4) == 0 && lseek(fd, 7, SEEK_SET) == 0);
	CHECK(!isatty(fd) && errno == ENOTTY && close(fd) == 0);

	fd = open("/dev/zero", O_RDWR);
	memset(buf, 1, sizeof(buf));
	CHECK(read(fd, buf, sizeof(buf)) == sizeof(buf) && !memcmp(buf, zeros, sizeof(buf)));
	CHECK_ERR(read(fd, BAD_POINTER, 1), EFAULT);
	CHECK(write(fd, "gone", 4) == 4 && close(fd) == 0);

	fd = open("/dev/full", O_RDWR);
	CHECK_ERR(write(fd, "x", 1), ENOSPC);
	CHECK(read(fd, buf, 8) == 8 && close(fd) == 0);

	for (int i = 0; i < 2; i++) {
		fd = open(i ? "/dev/urandom" : "/dev/random", O_RDONLY);
		CHECK(fd >= 0 && read(fd, buf, 16) == 16 && read(fd, more, 16) == 16);
		CHECK(memcmp(buf, zeros, 16) && memcmp(buf, more, 16) && close(fd) == 0);
	}

	/* opened by its descriptor's name a file gets an offset of its own */
	fd = mkstemp(path);
	CHECK(fd >= 0 && write(fd, "text", 4) == 4);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	again = open(name, O_RDONLY);
	CHECK(again >= 0 && read(again, buf, 8) == 4 && lseek(fd, 0, SEEK_CUR) == 4);
	CHECK(close(again) == 0 && close(fd) == 0 && unlink(path) == 0);
	CHECK_ERR(open(name, O_RDONLY), ENOENT);
	fd = open("/dev/stdout", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "by name\n", 8) == 8 && close(fd) == 0);
	return success();
}
