/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edges.c SEED STEPS: a random walk over pipes, eventfds, AF_UNIX sockets and the epolls that
 * watch them, and each other. Prints what each call says and what each epoll then reports.
 * Linux and a VM must print the same: this is what compares the edges (e2e/epoll.bats).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLOTS  24
#define EPOLLS 6 /* more of them in a row, or a heap, and Linux's limits of nesting show */

static struct {
	int fd;    /* -1: free */
	char kind; /* r w: pipe, e: eventfd, p: epoll, s d q: sockets, S Q: they listen */
} slot[SLOTS];
static uint32_t state;
static char block[5000];
static const int type_of[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

static int below(int n)
{
	state = state * 1664525u + 1013904223u;
	return (int)((state >> 8) % (uint32_t)n);
}

static long said(long r)
{
	return r < 0 ? -errno : r;
}

/* Into a free slot; there is none: it is closed. */
static void keep(int fd, char kind)
{
	for (int i = 0; i < SLOTS; i++) {
		if (slot[i].fd < 0) {
			slot[i].fd = fd;
			slot[i].kind = kind;
			return;
		}
	}
	close(fd);
}

static int is(int i, const char *kinds)
{
	return slot[i].fd >= 0 && strchr(kinds, slot[i].kind);
}

/* One of these kinds, from a random one on; -1: there is none. */
static int find(const char *kinds)
{
	int first = below(SLOTS);

	for (int i = 0; i < SLOTS; i++)
		if (is((first + i) % SLOTS, kinds))
			return (first + i) % SLOTS;
	return -1;
}

static void shut(int i)
{
	close(slot[i].fd);
	slot[i].fd = -1;
}

/* ---- looking ---- */

static int by_data(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b;

	return x->data.u64 < y->data.u64 ? -1 : x->data.u64 > y->data.u64;
}

/* In the order that they come where a few are asked for: it is what decides who has a turn. */
static void look(int i)
{
	struct epoll_event e[64];
	int max = below(3) ? 64 : 1 + below(3), n = epoll_wait(slot[i].fd, e, max, 0);

	if (max == 64 && n > 0)
		qsort(e, (size_t)n, sizeof(*e), by_data);
	printf("  epoll %d: %ld", i, said(n));
	for (int k = 0; k < n; k++)
		printf(" %d:%x", (int)e[k].data.u64, e[k].events);
	puts("");
}

static void look_at_all(void)
{
	struct pollfd p[SLOTS];
	int n;

	for (int i = 0; i < SLOTS; i++)
		p[i] = (struct pollfd){slot[i].fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI |
							   POLLRDNORM | POLLWRNORM | POLLWRBAND};
	n = poll(p, SLOTS, 0);
	printf("  poll %d:", n);
	for (int i = 0; i < SLOTS; i++)
		if (slot[i].fd >= 0)
			printf(" %d%c%x", i, slot[i].kind, p[i].revents);
	puts("");
}

/* ---- doing ---- */

static void make(int step)
{
	int p[2], t = below(3), epolls = 0;

	for (int i = 0; i < SLOTS; i++)
		epolls += !!is(i, "p");
	switch (below(4)) {
	case 0:
		printf("pipe %ld\n", said(pipe2(p, O_NONBLOCK)));
		keep(p[0], 'r');
		keep(p[1], 'w');
		break;
	case 1:
		printf("pair %ld\n", said(socketpair(AF_UNIX, type_of[t] | SOCK_NONBLOCK, 0, p)));
		keep(p[0], "sqd"[t]);
		keep(p[1], "sqd"[t]);
		break;
	case 2:
		puts("eventfd");
		keep(eventfd((unsigned)below(2), EFD_NONBLOCK | (below(4) ? 0 : EFD_SEMAPHORE)),
		     'e');
		break;
	case 3:
		printf("epoll %d\n", step);
		if (epolls < EPOLLS)
			keep(epoll_create1(0), 'p');
	}
}

static void watch(void)
{
	static const uint32_t bits[] = {EPOLLIN,      EPOLLOUT,    EPOLLRDHUP, EPOLLPRI,
					EPOLLET,      EPOLLET,     EPOLLHUP,   EPOLLRDNORM,
					EPOLLONESHOT, EPOLLWRNORM, 1u << 28 /* EPOLLEXCLUSIVE */};
	static const int ops[] = {EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD,
				  EPOLL_CTL_DEL};
	int i = find("p"), at = below(SLOTS), op = ops[below(5)];
	struct epoll_event e = {.events = below(2) ? EPOLLIN : 0};

	for (int k = 0; k < 11; k++)
		if (below(k == 10 ? 20 : 3) == 0)
			e.events |= bits[k];
	if (i < 0)
		return;
	e.data.u64 = (uint64_t)(at + 100 * i);
	printf("ctl %d %d %d %x: ", i, op, at, e.events);
	printf("%ld\n", said(epoll_ctl(slot[i].fd, op, slot[at].fd, &e)));
}

static void put(int i)
{
	size_t n = 1 + (size_t)below(below(4) ? 20 : 3000);
	uint64_t count = 1 + (uint64_t)below(3);
	long r;

	memcpy(block, &count, sizeof(count));
	if (is(i, "e"))
		n = sizeof(count);
	r = is(i, "rwep") ? write(slot[i].fd, block, n) : send(slot[i].fd, block, n, MSG_NOSIGNAL);
	printf("put %d%c %zu: %ld\n", i, slot[i].kind, n, said(r));
	/* What comes after it changed between versions of Linux. */
	if (r < 0 && is(i, "d"))
		shut(i);
}

static void take(int i)
{
	size_t n = is(i, "e") ? 8 : 1 + (size_t)below(below(3) ? 20 : 5000);
	int how = below(8);
	long r;

	if (is(i, "sdq") && how < 2)
		r = recv(slot[i].fd, block, n, how ? MSG_PEEK : MSG_TRUNC);
	else
		r = read(slot[i].fd, block, n);
	printf("take %d%c %zu: %ld\n", i, slot[i].kind, n, said(r));
}

static void listener(int step)
{
	int t = below(2), fd = socket(AF_UNIX, type_of[t] | SOCK_NONBLOCK, 0), room = below(3);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t bytes =
		(socklen_t)(sizeof(at.sun_family) + 1 +
			    (size_t)snprintf(at.sun_path + 1, 60, "edges-%d-%d", getpid(), step));

	printf("listen %ld", said(bind(fd, (void *)&at, bytes)) + said(listen(fd, room)));
	keep(fd, "SQ"[t]);
	for (int i = below(4); i; i--) {
		fd = socket(AF_UNIX, type_of[t] | SOCK_NONBLOCK, 0);
		printf(" %ld", said(connect(fd, (void *)&at, bytes)));
		keep(fd, "sq"[t]);
	}
	puts("");
}

static void accept_one(void)
{
	int i = find("SQ"), fd;

	if (i < 0)
		return;
	fd = accept4(slot[i].fd, NULL, NULL, SOCK_NONBLOCK);
	printf("accept %d: %d\n", i, fd < 0 ? -errno : 0);
	if (fd >= 0)
		keep(fd, is(i, "S") ? 's' : 'q');
}

static void ask(int i)
{
	int error = 0, unread = -1;
	socklen_t n = sizeof(error);
	long r = said(getsockopt(slot[i].fd, SOL_SOCKET, SO_ERROR, &error, &n)), s = 0;

	if (is(i, "rwsdq"))
		s = said(ioctl(slot[i].fd, FIONREAD, &unread));
	printf("ask %d%c: %ld %d, %ld %d\n", i, slot[i].kind, r, error, s, unread);
}

static void step(int t)
{
	int i = below(SLOTS), other = below(SLOTS), how = below(3), what = below(26);
	int both = slot[i].fd >= 0 && slot[other].fd >= 0;

	printf("%d ", t);
	if (what < 5) {
		make(t);
	} else if (what < 10) {
		watch();
	} else if (slot[i].fd < 0) {
		listener(t);
	} else if (what < 14) {
		put(i);
	} else if (what < 18) {
		take(i);
	} else if (what < 19) {
		accept_one();
	} else if (what < 20) {
		ask(i);
	} else if (what < 21 && is(i, "sdq")) {
		printf("shutdown %d %d: %ld\n", i, how, said(shutdown(slot[i].fd, how)));
	} else if (what < 22 && !is(i, "p")) {
		printf("dup %d\n", i);
		keep(dup(slot[i].fd), slot[i].kind);
	} else if (what < 23 && both && !is(other, "p")) {
		printf("dup2 %d %d: ", other, i);
		printf("%d\n", dup2(slot[other].fd, slot[i].fd) < 0 ? -errno : 0);
		slot[i].kind = slot[other].kind;
	} else if (how == 0) {
		printf("close %d%c\n", i, slot[i].kind);
		shut(i);
	} else {
		puts("-");
	}
}

int main(int argc, char **argv)
{
	int steps = argc == 3 ? atoi(argv[2]) : 0;

	if (!steps)
		return 2;
	state = (uint32_t)atoi(argv[1]) * 7919 + 1;
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < SLOTS; i++)
		slot[i].fd = -1;
	for (int t = 0; t < steps; t++) {
		step(t);
		for (int i = 0; i < SLOTS; i++)
			if (is(i, "p") && below(3) == 0)
				look(i);
		if (below(5) == 0)
			look_at_all();
	}
	return 0;
}
