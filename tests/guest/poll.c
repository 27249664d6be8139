/* SPDX-License-Identifier: Apache-2.0 */
/* poll.c: poll, ppoll and select: readiness, time-outs, bad descriptors, signal masks. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	got = sig;
}

static long now_ms(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct itimerval timer = {.it_value = {0, 20000}};
	struct timespec ts = {0, 30000000};
	struct timeval tv = {0, 30000};
	sigset_t blocked, none;
	char path[] = "/tmp/mayfly-poll-XXXXXX", c;
	struct pollfd p[4];
	fd_set in, out;
	int fd[2], file = mkstemp(path);
	long start;

	CHECK(file >= 0 && unlink(path) == 0 && pipe(fd) == 0);
	p[0] = (struct pollfd){.fd = fd[0], .events = POLLIN};
	p[1] = (struct pollfd){.fd = fd[1], .events = POLLOUT};
	p[2] = (struct pollfd){.fd = file, .events = POLLIN | POLLOUT};
	p[3] = (struct pollfd){.fd = -1, .events = POLLIN, .revents = 7};
	CHECK(poll(p, 4, 1000) == 2);
	CHECK(!p[0].revents && p[1].revents == POLLOUT && p[2].revents == (POLLIN | POLLOUT));
	CHECK(!p[3].revents);
	p[3].fd = 900;
	CHECK(poll(p, 4, -1) == 3 && p[3].revents == POLLNVAL);
	CHECK(poll(p, 1, 0) == 0);
	start = now_ms();
	CHECK(poll(p, 1, 30) == 0 && now_ms() - start >= 30);
	start = now_ms();
	CHECK(ppoll(NULL, 0, &ts, NULL) == 0 && now_ms() - start >= 30);
	CHECK(write(fd[1], "x", 1) == 1 && poll(p, 1, -1) == 1 && p[0].revents == POLLIN);
	CHECK_ERR(poll(BAD_POINTER, 1, 0), EFAULT);
	CHECK_ERR(poll(p, (nfds_t)check_minus_one, 0), EINVAL);
	ts.tv_nsec = 1000000000;
	CHECK_ERR(ppoll(p, 1, &ts, NULL), EINVAL);

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd[0], &in);
	FD_SET(fd[1], &in);
	FD_SET(fd[1], &out);
	CHECK(select(fd[1] + 1, &in, &out, NULL, NULL) == 2);
	CHECK(FD_ISSET(fd[0], &in) && !FD_ISSET(fd[1], &in) && FD_ISSET(fd[1], &out));
	CHECK(read(fd[0], &c, 1) == 1);
	start = now_ms();
	CHECK(select(fd[1] + 1, &in, NULL, NULL, &tv) == 0 && now_ms() - start >= 30);
	CHECK(!FD_ISSET(fd[0], &in));
	CHECK_ERR(select(-1, NULL, NULL, NULL, &tv), EINVAL);
	FD_SET(60, &in);
	CHECK_ERR(select(61, &in, NULL, NULL, &tv), EBADF);

	/* a signal ends the wait, one that is blocked only where the mask lets it in */
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK_ERR(poll(p, 1, -1), EINTR);
	CHECK(got == SIGALRM);
	got = 0;
	CHECK(sigemptyset(&none) == 0 && sigemptyset(&blocked) == 0);
	CHECK(sigaddset(&blocked, SIGALRM) == 0 && sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK(poll(p, 1, 60) == 0 && !got);
	CHECK_ERR(ppoll(p, 1, NULL, &none), EINTR);
	CHECK(got == SIGALRM && sigprocmask(SIG_BLOCK, NULL, &none) == 0);
	CHECK(sigismember(&none, SIGALRM) == 1);

	CHECK(close(fd[1]) == 0 && poll(p, 1, -1) == 1 && p[0].revents == POLLHUP);
	CHECK(close(fd[0]) == 0 && pipe(fd) == 0 && close(fd[0]) == 0);
	p[0] = (struct pollfd){.fd = fd[1], .events = POLLOUT};
	CHECK(poll(p, 1, -1) == 1 && p[0].revents & POLLERR);
	CHECK(close(fd[1]) == 0 && close(file) == 0);
	return success();
}
