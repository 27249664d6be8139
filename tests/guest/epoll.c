/* SPDX-License-Identifier: Apache-2.0 */
/* epoll.c: epoll's calls: errors, level-triggered watches, one-shot ones, nesting, closing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define EXCLUSIVE (1u << 28)

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

static int ctl(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	return epoll_ctl(ep, op, fd, &e);
}

/* The one event that is there, or none: its bits, 0. */
static uint32_t one(int ep, uint64_t *data)
{
	struct epoll_event e[4];
	int n = epoll_wait(ep, e, 4, 0);

	CHECK(n == 0 || n == 1);
	if (n && data)
		*data = e[0].data.u64;
	return n ? e[0].events : 0;
}

static void errors(void)
{
	char path[] = "/tmp/mayfly-epoll-XXXXXX";
	int ep = epoll_create1(0), other = epoll_create1(0), event = eventfd(0, 0), file, dir, null;
	struct epoll_event e[2] = {{.events = EPOLLIN}};
	static const struct {
		int op;
		uint32_t events;
		int err;
	} how[] = {
		{EPOLL_CTL_MOD, EPOLLIN, ENOENT},
		{EPOLL_CTL_DEL, EPOLLIN, ENOENT},
		{0, EPOLLIN, EINVAL},
		{4, EPOLLIN, EINVAL},
		{EPOLL_CTL_MOD, EPOLLIN | EXCLUSIVE, EINVAL},
		{EPOLL_CTL_ADD, EPOLLIN | EPOLLONESHOT | EXCLUSIVE, EINVAL},
		{EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP | EXCLUSIVE, EINVAL},
	};

	CHECK(ep >= 0 && other >= 0 && event >= 0);
	CHECK_ERR(syscall(SYS_epoll_create, 0), EINVAL);
	CHECK_ERR(epoll_create1(1), EINVAL);
	CHECK(fcntl(ep, F_GETFD) == 0 && fcntl(ep, F_GETFL) == O_RDWR);
	for (size_t i = 0; i < sizeof(how) / sizeof(*how); i++)
		CHECK_ERR(ctl(ep, how[i].op, event, how[i].events, 0), how[i].err);
	CHECK_ERR(ctl(ep, EPOLL_CTL_ADD, 900, EPOLLIN, 0), EBADF);
	CHECK_ERR(ctl(900, EPOLL_CTL_ADD, event, EPOLLIN, 0), EBADF);
	CHECK_ERR(ctl(-1, EPOLL_CTL_ADD, -1, EPOLLIN, 0), EBADF);
	CHECK_ERR(ctl(event, EPOLL_CTL_ADD, ep, EPOLLIN, 0), EINVAL);
	CHECK_ERR(ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 0), EINVAL);
	CHECK_ERR(ctl(ep, EPOLL_CTL_ADD, other, EPOLLIN | EXCLUSIVE, 0), EINVAL);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, event, BAD_POINTER), EFAULT);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, 900, BAD_POINTER), EFAULT);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, event, BAD_POINTER), ENOENT);

	/* what never waits cannot be watched */
	file = mkstemp(path);
	CHECK(file >= 0 && unlink(path) == 0);
	dir = open("/tmp", O_RDONLY | O_DIRECTORY);
	null = open("/dev/null", O_RDWR);
	CHECK_ERR(ctl(ep, EPOLL_CTL_ADD, file, EPOLLIN, 0), EPERM);
	CHECK_ERR(ctl(ep, EPOLL_CTL_ADD, dir, EPOLLIN, 0), EPERM);
	CHECK_ERR(ctl(ep, EPOLL_CTL_ADD, null, EPOLLIN, 0), EPERM);
	CHECK_ERR(ctl(ep, EPOLL_CTL_DEL, file, 0, 0), EPERM);
	CHECK_ERR(ctl(event, EPOLL_CTL_ADD, file, EPOLLIN, 0), EPERM);
	CHECK(close(file) == 0 && close(dir) == 0 && close(null) == 0);

	CHECK(ctl(ep, EPOLL_CTL_ADD, event, EPOLLIN | EXCLUSIVE, 0) == 0);
	CHECK_ERR(ctl(ep, EPOLL_CTL_ADD, event, EPOLLIN, 0), EEXIST);
	CHECK_ERR(ctl(ep, EPOLL_CTL_MOD, event, EPOLLIN, 0), EINVAL);
	CHECK_ERR(epoll_wait(ep, e, 0, 0), EINVAL);
	CHECK_ERR(epoll_wait(ep, e, (int)check_minus_one, 0), EINVAL);
	CHECK_ERR(syscall(SYS_epoll_wait, ep, e, INT_MAX / 12 + 1, 0), EINVAL);
	CHECK_ERR(epoll_wait(900, e, 1, 0), EBADF);
	CHECK_ERR(epoll_wait(event, e, 1, 0), EINVAL);
	CHECK(eventfd_write(event, 1) == 0);
	CHECK_ERR(epoll_wait(ep, BAD_POINTER, 1, 0), EFAULT);
	CHECK(epoll_wait(ep, e, 2, 0) == 1); /* it was not lost */
	CHECK_ERR(read(ep, e, sizeof(e)), EINVAL);
	CHECK_ERR(write(ep, e, sizeof(e)), EINVAL);
	CHECK(lseek(ep, 7, SEEK_SET) == 0);
	CHECK(close(ep) == 0 && close(other) == 0 && close(event) == 0);
}

static void levels(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), p[2], event = eventfd(0, 0);
	struct epoll_event e[4];
	uint64_t data;
	char c;

	CHECK(fcntl(ep, F_GETFD) == FD_CLOEXEC && pipe(p) == 0);
	CHECK(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 0x123456789abcdef0) == 0);
	CHECK(one(ep, NULL) == 0);
	CHECK(write(p[1], "ab", 2) == 2);
	CHECK(one(ep, &data) == EPOLLIN && data == 0x123456789abcdef0);
	CHECK(read(p[0], &c, 1) == 1 && one(ep, NULL) == EPOLLIN);
	CHECK(read(p[0], &c, 1) == 1 && one(ep, NULL) == 0);
	/* only what is asked for, but ends and errors always */
	CHECK(write(p[1], "c", 1) == 1 && ctl(ep, EPOLL_CTL_MOD, p[0], 0, 7) == 0);
	CHECK(one(ep, NULL) == 0);
	CHECK(close(p[1]) == 0 && one(ep, &data) == EPOLLHUP && data == 7);
	CHECK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLRDNORM, 8) == 0);
	CHECK(one(ep, &data) == (EPOLLIN | EPOLLRDNORM | EPOLLHUP) && data == 8);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL) == 0 && one(ep, NULL) == 0);
	CHECK(close(p[0]) == 0);

	/* one-shot: once, and then nothing until it is asked for again */
	CHECK(ctl(ep, EPOLL_CTL_ADD, event, EPOLLIN | EPOLLONESHOT, 1) == 0);
	CHECK(eventfd_write(event, 1) == 0 && one(ep, NULL) == EPOLLIN && one(ep, NULL) == 0);
	CHECK(eventfd_write(event, 1) == 0 && one(ep, NULL) == 0);
	CHECK(ctl(ep, EPOLL_CTL_MOD, event, EPOLLIN | EPOLLOUT | EPOLLONESHOT, 1) == 0);
	CHECK(one(ep, NULL) == (EPOLLIN | EPOLLOUT) && one(ep, NULL) == 0);
	CHECK(ctl(ep, EPOLL_CTL_MOD, event, EPOLLIN | EPOLLET, 1) == 0);
	CHECK(one(ep, NULL) == EPOLLIN && one(ep, NULL) == 0);
	CHECK(ctl(ep, EPOLL_CTL_MOD, event, EPOLLIN | EPOLLET, 1) == 0);
	CHECK(one(ep, NULL) == EPOLLIN && one(ep, NULL) == 0);

	/* more than fit: each has its turn */
	for (int round = 0, seen = 0, fd[5]; round < 5; round++) {
		if (!round) {
			CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, event, NULL) == 0);
			for (int i = 0; i < 5; i++) {
				fd[i] = eventfd(1, 0);
				CHECK(ctl(ep, EPOLL_CTL_ADD, fd[i], EPOLLIN, (uint64_t)i) == 0);
			}
		}
		CHECK(epoll_wait(ep, e, 2, -1) == 2);
		seen += 1 << 4 * e[0].data.u64;
		seen += 1 << 4 * e[1].data.u64;
		if (round == 4)
			CHECK(seen == 0x22222);
		for (int i = 0; round == 4 && i < 5; i++)
			CHECK(close(fd[i]) == 0);
	}
	CHECK(one(ep, NULL) == 0);
	CHECK(close(ep) == 0 && close(event) == 0);
}

/* A watch goes with the last descriptor of its file, not with its own. */
static void closing(void)
{
	int ep = epoll_create1(0), event = eventfd(1, 0), again, third;
	struct epoll_event e[4];
	uint64_t data = 0;

	CHECK(ctl(ep, EPOLL_CTL_ADD, event, EPOLLIN, 1) == 0);
	again = dup(event);
	CHECK(ctl(ep, EPOLL_CTL_ADD, again, EPOLLIN, 2) == 0);
	CHECK(epoll_wait(ep, e, 4, 0) == 2);
	CHECK(close(event) == 0 && epoll_wait(ep, e, 4, 0) == 2);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, event, NULL), EBADF);
	third = eventfd(0, 0);
	CHECK(third == event); /* another file with the same number is another watch */
	CHECK_ERR(ctl(ep, EPOLL_CTL_MOD, third, EPOLLIN, 3), ENOENT);
	CHECK(ctl(ep, EPOLL_CTL_ADD, third, EPOLLIN, 3) == 0);
	CHECK(epoll_wait(ep, e, 4, 0) == 2);
	CHECK(close(again) == 0 && one(ep, NULL) == 0);
	CHECK(eventfd_write(third, 1) == 0 && one(ep, &data) == EPOLLIN && data == 3);
	/* dup2 over it closes it, too */
	event = eventfd(0, 0);
	CHECK(dup2(event, third) == third && one(ep, NULL) == 0);
	CHECK(ctl(ep, EPOLL_CTL_ADD, event, EPOLLIN, 4) == 0);
	CHECK(close(ep) == 0 && close(event) == 0 && close(third) == 0);
}

static void nesting(void)
{
	int ep[8], event = eventfd(0, 0), n;
	struct pollfd p;

	for (int i = 0; i < 8; i++)
		ep[i] = epoll_create1(0);
	CHECK(ctl(ep[0], EPOLL_CTL_ADD, event, EPOLLIN, 0) == 0);
	for (n = 1; n < 8 && !ctl(ep[n], EPOLL_CTL_ADD, ep[n - 1], EPOLLIN, (uint64_t)n); n++)
		;
	CHECK(errno == ELOOP && n == 5); /* EP_MAX_NESTS */
	CHECK_ERR(ctl(ep[0], EPOLL_CTL_ADD, ep[1], EPOLLIN, 0), ELOOP);
	CHECK_ERR(ctl(ep[0], EPOLL_CTL_ADD, ep[4], EPOLLIN, 0), ELOOP);
	p = (struct pollfd){.fd = ep[4], .events = POLLIN | POLLOUT};
	CHECK(poll(&p, 1, 0) == 0);
	CHECK(eventfd_write(event, 1) == 0);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	for (int i = 0; i < 5; i++)
		CHECK(one(ep[i], NULL) == EPOLLIN);
	CHECK(one(ep[4], NULL) == EPOLLIN);
	CHECK(eventfd_read(event, &(eventfd_t){0}) == 0);
	CHECK(one(ep[4], NULL) == 0 && poll(&p, 1, 0) == 0);
	/* one in the middle is closed: those above have nothing to watch */
	CHECK(close(ep[2]) == 0 && eventfd_write(event, 1) == 0);
	CHECK(one(ep[1], NULL) == EPOLLIN && one(ep[4], NULL) == 0);
	for (int i = 0; i < 8; i++)
		CHECK(i == 2 || close(ep[i]) == 0);
	CHECK(close(event) == 0);
}

static void waiting(void)
{
	struct itimerval timer = {.it_value = {0, 20000}};
	struct timespec ts = {0, 30000000};
	int ep = epoll_create1(0), event = eventfd(0, 0);
	sigset_t blocked, none;
	struct epoll_event e;
	long start = now_ms();

	CHECK(epoll_wait(ep, &e, 1, 30) == 0 && now_ms() - start >= 30);
	CHECK(ctl(ep, EPOLL_CTL_ADD, event, EPOLLIN, 0) == 0);
	start = now_ms();
	CHECK(syscall(SYS_epoll_pwait2, ep, &e, 1, &ts, NULL, 0) == 0 && now_ms() - start >= 30);
	ts.tv_nsec = 1000000000;
	CHECK_ERR(syscall(SYS_epoll_pwait2, ep, &e, 1, &ts, NULL, 0), EINVAL);
	CHECK_ERR(syscall(SYS_epoll_pwait2, ep, &e, 1, BAD_POINTER, NULL, 0), EFAULT);
	CHECK_ERR(syscall(SYS_epoll_pwait, ep, &e, 1, 0, &none, 4), EINVAL);

	CHECK(sigemptyset(&none) == 0 && sigemptyset(&blocked) == 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK_ERR(epoll_wait(ep, &e, 1, -1), EINTR);
	CHECK(got == SIGALRM);
	got = 0;
	CHECK(sigaddset(&blocked, SIGALRM) == 0 && sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK(epoll_wait(ep, &e, 1, 60) == 0 && !got);
	CHECK_ERR(epoll_pwait(ep, &e, 1, -1, &none), EINTR);
	CHECK(got == SIGALRM);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK_ERR(syscall(SYS_epoll_pwait2, ep, &e, 1, NULL, &none, 8), EINTR);
	CHECK(sigprocmask(SIG_UNBLOCK, &blocked, NULL) == 0);
	CHECK(close(ep) == 0 && close(event) == 0);
}

static void files(void)
{
	int ep = epoll_create1(0);
	char path[64], link[64];
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", ep);
	n = readlink(path, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = '\0';
	CHECK(!strcmp(link, "anon_inode:[eventpoll]"));
	CHECK(fstat(ep, &st) == 0 && st.st_mode == 0600 && st.st_nlink == 1 && !st.st_size);
	CHECK_ERR(open(path, O_RDONLY), ENXIO);
	CHECK_ERR(ftruncate(ep, 0), EINVAL);
	CHECK_ERR(fsync(ep), EINVAL);
	CHECK(close(ep) == 0);
}

/* 1,000 watches of which a few are ready; all closed at once in the end. */
static void many(void)
{
	enum { MANY = 500 };
	static int p[MANY][2];
	struct epoll_event e[64];
	int ep = epoll_create1(0);

	for (int i = 0; i < MANY; i++) {
		CHECK(pipe(p[i]) == 0);
		CHECK(ctl(ep, EPOLL_CTL_ADD, p[i][0], EPOLLIN, (uint64_t)i) == 0);
		CHECK(ctl(ep, EPOLL_CTL_ADD, p[i][1], i % 100 ? 0 : EPOLLOUT, 1000 + (uint64_t)i) ==
		      0);
	}
	for (int round = 0; round < 200; round++) {
		int a = round * 7 % MANY, b = round * 13 % MANY, seen = 0, out = 0, n;
		char c;

		CHECK(write(p[a][1], "x", 1) == 1 && write(p[b][1], "x", 1) == 1);
		n = epoll_wait(ep, e, 64, -1);
		CHECK(n == 5 + (a == b ? 1 : 2));
		for (int i = 0; i < n; i++) {
			uint64_t at = e[i].data.u64;

			out += at >= 1000 && e[i].events == EPOLLOUT;
			seen += (at == (uint64_t)a || at == (uint64_t)b) && e[i].events == EPOLLIN;
		}
		CHECK(out == 5 && seen == n - 5);
		CHECK(read(p[a][0], &c, 1) == 1 && read(p[b][0], &c, 1) == 1);
	}
	for (int i = 0; i < MANY; i++)
		CHECK(close(p[i][0]) == 0);
	/* writers without a reader */
	for (int i = 0; i < 10; i++) {
		CHECK(epoll_wait(ep, e, 64, -1) == 64);
		for (int j = 0; j < 64; j++)
			CHECK(e[j].events & EPOLLERR && e[j].data.u64 >= 1000);
	}
	for (int i = 0; i < MANY; i++)
		CHECK(close(p[i][1]) == 0);
	CHECK(one(ep, NULL) == 0 && close(ep) == 0);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	errors();
	levels();
	closing();
	nesting();
	waiting();
	files();
	many();
	return success();
}
