/* SPDX-License-Identifier: Apache-2.0 */
/* sigrestart.c: a read that a signal interrupts: EINTR, or going on with SA_RESTART. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile int calls;
static int fd[2];

static void on_alarm(int sig)
{
	(void)sig;
	if (++calls == 3)
		CHECK(write(fd[1], "x", 1) == 1);
}

static void start(int flags)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = flags};
	struct itimerval timer = {{0, 10000}, {0, 10000}};

	calls = 0;
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

int main(void)
{
	struct timespec ts = {5, 0}, left;
	struct pollfd p;
	char c;

	CHECK(pipe(fd) == 0);
	start(0);
	CHECK_ERR(read(fd[0], &c, 1), EINTR);
	CHECK(calls == 1);
	start(SA_RESTART);
	CHECK(read(fd[0], &c, 1) == 1 && c == 'x' && calls == 3);
	/* some calls are never started again */
	start(SA_RESTART);
	p = (struct pollfd){.fd = fd[0], .events = POLLIN};
	CHECK_ERR(poll(&p, 1, 5000), EINTR);
	CHECK_ERR(nanosleep(&ts, &left), EINTR);
	CHECK(left.tv_sec == 4 && left.tv_nsec > 500000000);
	calls = 3;
	CHECK_ERR(pause(), EINTR);
	CHECK(calls > 3);
	return success();
}
