/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd.c: the counter: reading, semaphores, overflow, readiness, errors. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

#define MOST 0xfffffffffffffffeull

static volatile sig_atomic_t got;
static int wake;

static void on_signal(int sig)
{
	uint64_t one = 1;

	got = sig;
	if (wake >= 0 && write(wake, &one, sizeof(one)) != sizeof(one))
		got = -1;
}

static int ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static uint64_t take(int fd)
{
	uint64_t v = 0;

	CHECK(read(fd, &v, sizeof(v)) == sizeof(v));
	return v;
}

static void put(int fd, uint64_t v)
{
	CHECK(write(fd, &v, sizeof(v)) == sizeof(v));
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct itimerval timer = {.it_value = {0, 20000}};
	char path[64], link[64];
	uint64_t v[2] = {5, 6};
	struct stat st;
	fd_set in;
	int e = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC), s;

	CHECK(e >= 0 && fcntl(e, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(e, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK_ERR(syscall(SYS_eventfd2, 0, 2), EINVAL);
	CHECK(ready(e) == (POLLIN | POLLOUT) && take(e) == 3 && ready(e) == POLLOUT);
	CHECK_ERR(read(e, v, 8), EAGAIN);
	CHECK_ERR(read(e, v, 7), EINVAL);
	CHECK_ERR(write(e, v, 7), EINVAL);
	CHECK_ERR(write(e, BAD_POINTER, 8), EFAULT);
	CHECK(read(e, v, 0) == -1 && errno == EINVAL);
	put(e, 5);
	put(e, 6);
	CHECK(take(e) == 11);
	put(e, 0); /* nothing was added, nothing can be read */
	CHECK(ready(e) == POLLOUT);
	CHECK_ERR(read(e, v, 8), EAGAIN);
	put(e, 1);
	v[1] = 99;
	CHECK(read(e, v, 16) == 8 && v[0] == 1 && v[1] == 99);

	/* full, and over */
	v[0] = MOST + 1;
	CHECK_ERR(write(e, v, 8), EINVAL);
	put(e, MOST);
	CHECK(ready(e) == POLLIN);
	v[0] = 1;
	CHECK_ERR(write(e, v, 8), EAGAIN);
	put(e, 0);
	CHECK(take(e) == MOST);
	put(e, MOST - 1);
	CHECK(ready(e) == (POLLIN | POLLOUT));
	v[0] = 2;
	CHECK_ERR(write(e, v, 8), EAGAIN);
	put(e, 1);
	CHECK(take(e) == MOST);

	s = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	CHECK(take(s) == 1 && ready(s) == (POLLIN | POLLOUT) && take(s) == 1);
	CHECK_ERR(read(s, v, 8), EAGAIN);
	put(s, 3);
	for (int i = 0; i < 3; i++)
		CHECK(take(s) == 1);
	CHECK(ready(s) == POLLOUT && close(s) == 0);

	/* one counter for all its descriptors */
	s = dup(e);
	put(s, 9);
	FD_ZERO(&in);
	FD_SET(e, &in);
	CHECK(select(e + 1, &in, NULL, NULL, NULL) == 1 && take(e) == 9 && close(s) == 0);

	CHECK_ERR(pread(e, v, 8, 0), ESPIPE);
	CHECK_ERR(pwrite(e, v, 8, 0), ESPIPE);
	CHECK(lseek(e, 5, SEEK_SET) == 0);
	CHECK(fstat(e, &st) == 0 && st.st_mode == 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", e);
	memset(link, 0, sizeof(link));
	CHECK(readlink(path, link, sizeof(link) - 1) > 0 && !strcmp(link, "anon_inode:[eventfd]"));
	CHECK_ERR(open(path, O_RDWR), ENXIO);
	CHECK(close(e) == 0);
	CHECK_ERR(read(e, v, 8), EBADF);

	/* it waits: for a signal's end, or its handler's write */
	wake = -1;
	e = eventfd(0, 0);
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	wake = e;
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK(take(e) == 1 && got == SIGALRM);
	wake = -1;
	sa.sa_flags = 0;
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK_ERR(read(e, v, 8), EINTR);
	put(e, MOST);
	v[0] = 1;
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK_ERR(write(e, v, 8), EINTR);
	CHECK(take(e) == MOST && close(e) == 0);
	return success();
}
