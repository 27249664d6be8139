/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd.c: blocked signals that are read and waited for. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	got = sig;
}

static int is_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	int n = poll(&p, 1, 0);

	CHECK(n == 0 || (n == 1 && p.revents == POLLIN));
	return n;
}

static sigset_t set_of(int a, int b)
{
	sigset_t s;

	CHECK(sigemptyset(&s) == 0 && sigaddset(&s, a) == 0 && sigaddset(&s, b) == 0);
	return s;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct itimerval timer = {.it_value = {0, 20000}};
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	sigset_t set = set_of(SIGUSR1, SIGTERM), more = set_of(SIGALRM, SIGALRM), left;
	struct signalfd_siginfo info[3];
	int s, ep = epoll_create1(0);
	char link[64] = "", path[64];

	CHECK(sizeof(info[0]) == 128);
	CHECK_ERR(syscall(SYS_signalfd4, -1, &set, 7, 0), EINVAL);
	CHECK_ERR(syscall(SYS_signalfd4, -1, BAD_POINTER, 8, 0), EFAULT);
	CHECK_ERR(syscall(SYS_signalfd4, -1, &set, 8, 1), EINVAL);
	CHECK_ERR(signalfd(900, &set, 0), EBADF);
	CHECK_ERR(signalfd(ep, &set, 0), EINVAL);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	s = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(s >= 0 && fcntl(s, F_GETFD) == FD_CLOEXEC &&
	      fcntl(s, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK_ERR(read(s, info, sizeof(info)), EAGAIN);
	CHECK_ERR(read(s, info, 127), EINVAL);
	CHECK(!is_ready(s) && raise(SIGUSR1) == 0 && is_ready(s));
	CHECK(kill(getpid(), SIGTERM) == 0 && kill(getpid(), SIGTERM) == 0);
	memset(info, 1, sizeof(info));
	CHECK(read(s, info, sizeof(info)) == 2 * sizeof(*info) && !is_ready(s));
	CHECK(info[0].ssi_signo == SIGUSR1 && info[1].ssi_signo == SIGTERM);
	CHECK(info[1].ssi_code == SI_USER && info[1].ssi_pid == (uint32_t)getpid());
	CHECK(info[1].ssi_uid == getuid());
	CHECK(raise(SIGUSR1) == 0 && raise(SIGTERM) == 0);
	CHECK(read(s, info, 200) == 128 && read(s, info, 200) == 128);
	CHECK(sigpending(&left) == 0 && !sigismember(&left, SIGTERM));

	/* watched: an edge for each that comes; a wait ends, no handler runs */
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && sigaction(SIGUSR1, &sa, NULL) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, s, &e) == 0 && epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(raise(SIGUSR1) == 0 && epoll_wait(ep, &e, 1, -1) == 1);
	CHECK(epoll_wait(ep, &e, 1, 10) == 0);
	CHECK(raise(SIGTERM) == 0 && epoll_wait(ep, &e, 1, -1) == 1);
	CHECK(read(s, info, sizeof(info)) == 256 && epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(sigprocmask(SIG_BLOCK, &more, NULL) == 0 && signalfd(s, &more, 0) == s);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0 && epoll_wait(ep, &e, 1, -1) == 1);
	CHECK(read(s, info, sizeof(info)) == 128 && info[0].ssi_signo == SIGALRM && !got);
	/* as does a read; another call does not end by it */
	CHECK(fcntl(s, F_SETFL, 0) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK(read(s, info, sizeof(info)) == 128 && info[0].ssi_signo == SIGALRM);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0 && usleep(50000) == 0 && is_ready(s));
	CHECK(poll(NULL, 0, 10) == 0 && !got);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0 && !strcmp(link, "anon_inode:[signalfd]"));
	/* what was not read is delivered when it may be */
	CHECK(close(s) == 0 && sigprocmask(SIG_UNBLOCK, &more, NULL) == 0 && got == SIGALRM);
	CHECK(close(ep) == 0);
	return success();
}
