/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edges.c: epoll over a network: which events come, once or again, against serve.c. Silent, and 0,
 * where all is as Linux has it; that it asks for nothing else is what the kind `process` shows.
 *
 *   edges ADDRESS...   of serve
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "stream.h"

#define EDGE   ((uint32_t)EPOLLET)
#define SOON   2000 /* ms in which what must come has come */
#define SILENT 40   /* ms in which what must not come would have */

#define NEED(what)                                                                              \
	do {                                                                                    \
		if (!(what)) {                                                                  \
			fprintf(stderr, "edges: not true: %s (line %d, events %x, errno %d)\n", \
				#what, __LINE__, e.events, errno);                              \
			exit(1);                                                                \
		}                                                                               \
	} while (0)

static struct sockaddr_storage to;
static socklen_t to_bytes;
static struct epoll_event e;
static char block[65536];

static int wait_for(int ep, int ms)
{
	e.events = 0;
	return epoll_wait(ep, &e, 1, ms);
}

/* One event, with these bits; others may be set. */
static bool comes(int ep, uint32_t bits)
{
	return wait_for(ep, SOON) == 1 && (e.events & bits) == bits;
}

static bool nothing(int ep)
{
	return wait_for(ep, SILENT) == 0;
}

static void watch(int ep, int fd, int op, uint32_t events)
{
	struct epoll_event set = {.events = events, .data.fd = fd};

	NEED(!epoll_ctl(ep, op, fd, &set));
}

static int begin(int type, int port)
{
	int fd = socket(to.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port); /* sin6_port, too */
	NEED(fd >= 0);
	NEED(!connect(fd, (void *)&to, to_bytes) || errno == EINPROGRESS);
	return fd;
}

static int pending(int fd)
{
	int error = -1;
	socklen_t bytes = sizeof(error);

	NEED(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes));
	return error;
}

static void edge_triggered(void)
{
	int ep = epoll_create1(0), fd = begin(SOCK_STREAM, PORT_ECHO);

	watch(ep, fd, EPOLL_CTL_ADD, EDGE | EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	do /* the half-made connection's own event may be seen first */
		NEED(wait_for(ep, SOON) == 1);
	while (!(e.events & EPOLLOUT));
	NEED(e.events == EPOLLOUT && !pending(fd));
	NEED(nothing(ep));
	NEED(write(fd, "a", 1) == 1);
	NEED(comes(ep, EPOLLIN));
	NEED(nothing(ep)); /* it is still there, but that is no news */
	NEED(write(fd, "b", 1) == 1);
	NEED(comes(ep, EPOLLIN));
	NEED(read(fd, block, 1) == 1 && *block == 'a');
	NEED(nothing(ep)); /* a rest is no news either */
	NEED(read(fd, block, 8) == 1 && *block == 'b');
	NEED(read(fd, block, 8) < 0 && errno == EAGAIN);
	NEED(!shutdown(fd, SHUT_WR));
	/* They close in answer. */
	do
		NEED(wait_for(ep, SOON) == 1);
	while (!(e.events & EPOLLHUP));
	NEED((e.events & (EPOLLIN | EPOLLRDHUP)) == (EPOLLIN | EPOLLRDHUP));
	NEED(!(e.events & EPOLLERR));
	NEED(read(fd, block, 8) == 0);
	close(fd);
	NEED(nothing(ep));
	close(ep);
}

static void level_and_once(void)
{
	int ep = epoll_create1(0), fd = begin(SOCK_STREAM, PORT_ECHO);

	watch(ep, fd, EPOLL_CTL_ADD, EPOLLOUT);
	NEED(comes(ep, EPOLLOUT));
	watch(ep, fd, EPOLL_CTL_MOD, EPOLLIN);
	NEED(nothing(ep));
	NEED(write(fd, "ab", 2) == 2);
	NEED(comes(ep, EPOLLIN) && comes(ep, EPOLLIN));
	NEED(recv(fd, block, 1, MSG_PEEK) == 1);
	NEED(comes(ep, EPOLLIN));
	NEED(read(fd, block, 1) == 1);
	NEED(comes(ep, EPOLLIN));
	NEED(read(fd, block, 1) == 1);
	NEED(nothing(ep));
	watch(ep, fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLONESHOT);
	NEED(write(fd, "c", 1) == 1);
	NEED(comes(ep, EPOLLIN));
	NEED(write(fd, "d", 1) == 1);
	NEED(nothing(ep));
	watch(ep, fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLONESHOT);
	NEED(comes(ep, EPOLLIN));
	NEED(nothing(ep));
	close(fd);
	close(ep);
}

/* More than all buffers hold, both ways: room is news when there was none. */
static void room(void)
{
	int ep = epoll_create1(0), fd = begin(SOCK_STREAM, PORT_ECHO);
	size_t filled = 0, back = 0;
	ssize_t n;

	watch(ep, fd, EPOLL_CTL_ADD, EDGE | EPOLLOUT);
	/* The echo stops reading when nobody reads what it writes. */
	for (;;) {
		while ((n = write(fd, block, sizeof(block))) > 0)
			filled += (size_t)n;
		NEED(errno == EAGAIN);
		if (!wait_for(ep, 5 * SILENT))
			break;
		NEED(e.events == EPOLLOUT || e.events == (EPOLLOUT | EPOLLIN));
	}
	NEED(filled > sizeof(block));
	while (!wait_for(ep, 0)) {
		n = read(fd, block, sizeof(block));
		NEED(n > 0 || errno == EAGAIN);
		if (n > 0)
			back += (size_t)n;
		else
			usleep(1000);
		NEED(back < filled);
	}
	NEED(e.events & EPOLLOUT);
	NEED(write(fd, block, 1) == 1);
	NEED(!shutdown(fd, SHUT_WR));
	/* All of it, or the server would be reset. */
	watch(ep, fd, EPOLL_CTL_MOD, EPOLLIN);
	while ((n = read(fd, block, sizeof(block))))
		if (n > 0)
			back += (size_t)n;
		else
			NEED(errno == EAGAIN && comes(ep, EPOLLIN));
	NEED(back == filled + 1);
	close(fd);
	close(ep);
}

static void failures(void)
{
	int ep = epoll_create1(0), fd = begin(SOCK_STREAM, PORT_NOBODY);

	watch(ep, fd, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	NEED(comes(ep, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP));
	NEED(pending(fd) == ECONNREFUSED && !pending(fd));
	NEED(comes(ep, EPOLLHUP) && !(e.events & EPOLLERR));
	close(fd);

	fd = begin(SOCK_STREAM, PORT_RESET);
	watch(ep, fd, EPOLL_CTL_ADD, EPOLLOUT);
	NEED(comes(ep, EPOLLOUT));
	watch(ep, fd, EPOLL_CTL_MOD, EDGE | EPOLLIN | EPOLLRDHUP);
	NEED(write(fd, "x", 1) == 1);
	NEED(comes(ep, EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP));
	NEED(nothing(ep));
	NEED(read(fd, block, 1) < 0 && errno == ECONNRESET);
	NEED(read(fd, block, 1) == 0);
	close(fd);

	fd = begin(SOCK_DGRAM, PORT_NOBODY);
	watch(ep, fd, EPOLL_CTL_ADD, EDGE | EPOLLIN);
	NEED(send(fd, "x", 1, 0) == 1);
	NEED(comes(ep, EPOLLERR));
	NEED(nothing(ep));
	NEED(pending(fd) == ECONNREFUSED);
	close(fd);
	close(ep);
}

static void datagrams(void)
{
	int ep = epoll_create1(0), fd = begin(SOCK_DGRAM, PORT_ECHO);

	watch(ep, fd, EPOLL_CTL_ADD, EDGE | EPOLLIN | EPOLLOUT);
	NEED(comes(ep, EPOLLOUT) && e.events == EPOLLOUT);
	for (int i = 0; i < 3; i++) {
		NEED(send(fd, "x", 1, 0) == 1);
		do /* sent: room is news, too */
			NEED(wait_for(ep, SOON) == 1);
		while (!(e.events & EPOLLIN));
		NEED(recv(fd, block, 8, 0) == 1);
		NEED(recv(fd, block, 8, 0) < 0 && errno == EAGAIN);
	}
	close(fd);
	close(ep);
}

/* Files of all kinds in one: each ends the wait for all. */
static void mixed(void)
{
	struct itimerspec in_20_ms = {.it_value.tv_nsec = 20000000};
	int ep = epoll_create1(0), outer = epoll_create1(0), fd = begin(SOCK_STREAM, PORT_ECHO);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), event = eventfd(0, EFD_NONBLOCK);
	uint64_t count = 1;

	watch(ep, fd, EPOLL_CTL_ADD, EPOLLOUT);
	NEED(comes(ep, EPOLLOUT));
	watch(ep, fd, EPOLL_CTL_MOD, EPOLLIN);
	watch(ep, timer, EPOLL_CTL_ADD, EPOLLIN);
	watch(ep, event, EPOLL_CTL_ADD, EPOLLIN);
	watch(outer, ep, EPOLL_CTL_ADD, EPOLLIN);
	NEED(nothing(ep));
	NEED(!timerfd_settime(timer, 0, &in_20_ms, NULL));
	NEED(comes(outer, EPOLLIN) && e.data.fd == ep);
	NEED(comes(ep, EPOLLIN) && e.data.fd == timer);
	NEED(read(timer, &count, sizeof(count)) == sizeof(count) && count == 1);
	NEED(write(event, &count, sizeof(count)) == sizeof(count));
	NEED(comes(ep, EPOLLIN) && e.data.fd == event);
	NEED(read(event, &count, sizeof(count)) == sizeof(count));
	NEED(write(fd, "x", 1) == 1);
	NEED(comes(outer, EPOLLIN) && comes(ep, EPOLLIN) && e.data.fd == fd);
	close(outer);
	close(ep);
	close(timer);
	close(event);
	close(fd);
}

/* Each is told of, though only a few fit at a time. */
static void many(void)
{
	enum { N = 200 };
	int ep = epoll_create1(0), fd[N], left = N;
	struct epoll_event some[16];
	bool seen[N] = {false};

	for (int i = 0; i < N; i++) {
		fd[i] = begin(SOCK_STREAM, PORT_ECHO);
		watch(ep, fd[i], EPOLL_CTL_ADD, EPOLLOUT | EPOLLONESHOT);
	}
	while (left) {
		int n = epoll_wait(ep, some, 16, SOON);

		NEED(n > 0);
		left -= n;
		for (int i = 0; i < n; i++)
			NEED(some[i].events == EPOLLOUT);
	}
	for (int i = 0; i < N; i++) {
		NEED(write(fd[i], "x", 1) == 1);
		watch(ep, fd[i], EPOLL_CTL_MOD, EDGE | EPOLLIN);
	}
	for (left = N; left;) {
		int n = epoll_wait(ep, some, 16, SOON);

		NEED(n > 0);
		for (int i = 0; i < n; i++)
			for (int k = 0; k < N; k++)
				if (fd[k] == some[i].data.fd) {
					NEED(!seen[k] && some[i].events == EPOLLIN);
					seen[k] = true;
					left--;
				}
	}
	NEED(nothing(ep));
	for (int i = 0; i < N; i++)
		close(fd[i]);
	close(ep);
}

int main(int argc, char **argv)
{
	struct sockaddr_in *v4 = (void *)&to;
	struct sockaddr_in6 *v6 = (void *)&to;

	alarm(60);
	for (int i = 1; i < argc; i++) {
		to = (struct sockaddr_storage){0};
		if (inet_pton(AF_INET, argv[i], &v4->sin_addr) == 1) {
			v4->sin_family = AF_INET;
			to_bytes = sizeof(*v4);
		} else {
			inet_pton(AF_INET6, argv[i], &v6->sin6_addr);
			v6->sin6_family = AF_INET6;
			to_bytes = sizeof(*v6);
		}
		edge_triggered();
		level_and_once();
		room();
		failures();
		datagrams();
		mixed();
		many();
	}
	return 0;
}
