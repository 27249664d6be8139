/* SPDX-License-Identifier: Apache-2.0 */
/* fdtable.c: descriptors: the lowest is taken, copies share offset and flags, limits. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	char path[] = "/tmp/mayfly-fdtable-XXXXXX";
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct rlimit limit;
	int fd = mkstemp(path), copy, on = 1, high;

	CHECK(fd >= 0 && unlink(path) == 0);
	copy = dup(fd);
	CHECK(copy == fd + 1);
	CHECK(write(fd, "abcdef", 6) == 6 && lseek(copy, 0, SEEK_CUR) == 6);
	CHECK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK) == 0);
	CHECK((fcntl(copy, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) ==
	      (O_RDWR | O_APPEND | O_NONBLOCK));
	CHECK(ioctl(copy, FIONBIO, &(int){0}) == 0 && !(fcntl(fd, F_GETFL) & O_NONBLOCK));

	/* close-on-exec is the descriptor's own */
	CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(copy, F_GETFD) == 0);
	CHECK(ioctl(copy, FIOCLEX, &on) == 0 && fcntl(copy, F_GETFD) == FD_CLOEXEC);
	CHECK(close(copy) == 0);
	CHECK_ERR(close(copy), EBADF);
	CHECK(dup(fd) == copy && fcntl(copy, F_GETFD) == 0);
	CHECK(fcntl(fd, F_DUPFD_CLOEXEC, 100) == 100 && fcntl(100, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fd, F_DUPFD, 100) == 101);
	CHECK(dup2(fd, 100) == 100 && fcntl(100, F_GETFD) == 0);
	CHECK(dup2(fd, fd) == fd);
	CHECK_ERR(dup3(fd, fd, 0), EINVAL);
	CHECK(dup3(fd, 102, O_CLOEXEC) == 102 && fcntl(102, F_GETFD) == FD_CLOEXEC);
	CHECK_ERR(dup(99), EBADF);
	CHECK_ERR(dup2(99, 98), EBADF);
	CHECK_ERR(dup2(98, 98), EBADF);
	CHECK_ERR(fcntl(99, F_GETFD), EBADF);

	/* locks are always had: nobody else is there */
	CHECK(fcntl(fd, F_SETLK, &lock) == 0 && fcntl(fd, F_GETLK, &lock) == 0);
	CHECK(lock.l_type == F_UNLCK);
	lock.l_type = 9;
	CHECK_ERR(fcntl(fd, F_SETLK, &lock), EINVAL);

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 1024);
	if (limit.rlim_cur > 4096) {
		limit.rlim_cur = 4096;
		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	}
	CHECK_ERR(fcntl(fd, F_DUPFD, (int)limit.rlim_cur), EINVAL);
	CHECK_ERR(dup2(fd, (int)limit.rlim_cur), EBADF);
	CHECK(dup2(fd, 1000) == 1000 && lseek(1000, 0, SEEK_CUR) == 6);
	CHECK(close(100) == 0 && close(101) == 0 && close(102) == 0 && close(1000) == 0);
	for (high = copy; (on = dup(fd)) >= 0; high = on)
		CHECK(on > high); /* some may be inherited */
	CHECK(errno == EMFILE && high == (int)limit.rlim_cur - 1);
	CHECK(close(500) == 0 && dup(fd) == 500);
	for (; high > fd; high--)
		CHECK(close(high) == 0);
	CHECK(close(fd) == 0);
	return success();
}
