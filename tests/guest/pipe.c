/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c: a pipe within the program: order, limits, ends, and a wait that a signal ends. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	got = sig;
}

int main(void)
{
	static char block[70000];
	struct sigaction sa = {.sa_handler = on_signal};
	struct itimerval timer = {.it_value = {0, 20000}};
	struct stat st;
	char buf[64];
	int p[2], n;

	CHECK(pipe2(p, O_NONBLOCK | O_CLOEXEC) == 0);
	CHECK(fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[0], F_GETFL) & O_NONBLOCK);
	CHECK(fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode));
	CHECK_ERR(lseek(p[0], 0, SEEK_CUR), ESPIPE);
	CHECK_ERR(pread(p[0], buf, 1, 0), ESPIPE);
	CHECK_ERR(write(p[0], "x", 1), EBADF);
	CHECK_ERR(read(p[1], buf, 1), EBADF);
	CHECK_ERR(read(p[0], buf, 1), EAGAIN);
	CHECK(write(p[1], "one", 3) == 3 && write(p[1], "two", 3) == 3);
	CHECK(ioctl(p[0], FIONREAD, &n) == 0 && n == 6);
	CHECK(read(p[0], buf, 4) == 4 && !memcmp(buf, "onet", 4));
	CHECK(read(p[0], buf, 64) == 2 && !memcmp(buf, "wo", 2));

	/* full: a part of much, but nothing of what must go in one piece */
	CHECK(fcntl(p[1], F_GETPIPE_SZ) == 65536);
	CHECK(write(p[1], block, sizeof(block)) == 65536);
	CHECK_ERR(write(p[1], "x", 1), EAGAIN);
	CHECK(read(p[0], block, 4096) == 4096);
	CHECK(write(p[1], block, 4096) == 4096);
	CHECK_ERR(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
	CHECK(fcntl(p[1], F_SETPIPE_SZ, 100000) == 131072);
	CHECK(write(p[1], block, 4096) == 4096);
	for (int left = 65536 + 4096; left; left -= n) {
		n = (int)read(p[0], block, 5000);
		CHECK(n > 0);
	}
	CHECK_ERR(read(p[0], buf, 1), EAGAIN);

	/* the ends: no writer is the end of input, no reader is SIGPIPE */
	CHECK(write(p[1], "last", 4) == 4 && close(p[1]) == 0);
	CHECK(read(p[0], buf, 64) == 4 && read(p[0], buf, 64) == 0);
	CHECK(close(p[0]) == 0 && pipe(p) == 0 && close(p[0]) == 0);
	CHECK(sigaction(SIGPIPE, &sa, NULL) == 0);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	CHECK(got == SIGPIPE && close(p[1]) == 0);

	/* nobody will write: only a signal ends the wait */
	CHECK(pipe(p) == 0 && sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK_ERR(read(p[0], buf, 1), EINTR);
	CHECK(got == SIGALRM && close(p[0]) == 0 && close(p[1]) == 0);
	return success();
}
