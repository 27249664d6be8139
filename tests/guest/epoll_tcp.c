/* SPDX-License-Identifier: Apache-2.0 */
/* epoll_tcp.c: epoll over TCP and UDP sockets: connecting, data, room, ends, very many. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static struct sockaddr_in at = {.sin_family = AF_INET};
static char block[1 << 20];

static void add(int ep, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
}

/* A socket that listens, on a port of its own, which at has then. */
static int listener(int backlog)
{
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t n = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.sin_port = 0;
	CHECK(l >= 0 && bind(l, (void *)&at, sizeof(at)) == 0 && listen(l, backlog) == 0);
	CHECK(getsockname(l, (void *)&at, &n) == 0);
	return l;
}

static int begin(void)
{
	int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	CHECK(c >= 0 && connect(c, (void *)&at, sizeof(at)) == -1 && errno == EINPROGRESS);
	return c;
}

/* Waits until the epoll's one file has these bits. */
static void until(int ep, uint32_t events)
{
	struct epoll_event e;

	do
		CHECK(epoll_wait(ep, &e, 1, 5000) == 1);
	while ((e.events & events) != events);
}

static void pair(int l, int s[2])
{
	int ep = epoll_create1(0);

	s[0] = begin();
	add(ep, s[0], EPOLLOUT, 0);
	until(ep, EPOLLOUT);
	CHECK(close(ep) == 0);
	while ((s[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK)) < 0)
		CHECK(errno == EAGAIN);
}

static void life(void)
{
	int l = listener(10), ep = epoll_create1(0), s[2], err = -1;
	struct linger abort_it = {1, 0};
	struct epoll_event e;
	socklen_t n = sizeof(err);
	long filled = 0, r;

	/* not connected: no end, but nothing else either */
	s[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	add(ep, s[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP, 0);
	CHECK(epoll_wait(ep, &e, 1, 0) == 1 && e.events == (EPOLLOUT | EPOLLHUP));
	CHECK(close(s[0]) == 0 && epoll_wait(ep, &e, 1, 0) == 0);

	/* the listener, then both ends */
	add(ep, l, EPOLLIN, 0);
	CHECK(epoll_wait(ep, &e, 1, 10) == 0);
	s[0] = begin();
	until(ep, EPOLLIN);
	s[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	CHECK(s[1] >= 0 && epoll_wait(ep, &e, 1, 0) == 0 && close(ep) == 0);
	ep = epoll_create1(0);
	add(ep, s[0], EPOLLOUT | EPOLLIN, 0);
	until(ep, EPOLLOUT);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &err, &n) == 0 && err == 0);
	CHECK(epoll_wait(ep, &e, 1, 0) == 1 && e.events == EPOLLOUT && close(ep) == 0);

	/* data: an edge for what comes, none for what is left */
	ep = epoll_create1(0);
	add(ep, s[1], EPOLLIN | EPOLLRDHUP | EPOLLET, 0);
	CHECK(epoll_wait(ep, &e, 1, 10) == 0);
	CHECK(send(s[0], "abcdef", 6, 0) == 6);
	until(ep, EPOLLIN);
	CHECK(read(s[1], block, 3) == 3 && epoll_wait(ep, &e, 1, 10) == 0);
	CHECK(send(s[0], "ghi", 3, 0) == 3);
	until(ep, EPOLLIN);
	CHECK(read(s[1], block, 64) == 6 && epoll_wait(ep, &e, 1, 10) == 0);
	CHECK(close(ep) == 0);

	/* room: gone when it is full, and back when much was read */
	ep = epoll_create1(0);
	add(ep, s[0], EPOLLOUT | EPOLLET, 0);
	until(ep, EPOLLOUT);
	for (int quiet = 0; quiet < 3;) {
		while ((r = send(s[0], block, sizeof(block), 0)) > 0) {
			filled += r;
			quiet = 0;
		}
		CHECK(errno == EAGAIN);
		quiet += epoll_wait(ep, &e, 1, 10) == 0;
	}
	while (filled) {
		r = read(s[1], block, sizeof(block));
		CHECK(r > 0 || errno == EAGAIN);
		filled -= r > 0 ? r : 0;
		if (r < 0) /* the rest is on its way, by who waits */
			epoll_wait(ep, &e, 1, 1);
	}
	CHECK(close(ep) == 0);
	ep = epoll_create1(0);
	add(ep, s[0], EPOLLOUT, 0);
	until(ep, EPOLLOUT);
	CHECK(close(ep) == 0);

	/* ends: half of one, the whole, by force */
	ep = epoll_create1(0);
	add(ep, s[1], EPOLLIN | EPOLLRDHUP | EPOLLET, 0);
	CHECK(shutdown(s[0], SHUT_WR) == 0);
	until(ep, EPOLLIN | EPOLLRDHUP);
	CHECK(read(s[1], block, 1) == 0 && epoll_wait(ep, &e, 1, 10) == 0);
	CHECK(send(s[1], "x", 1, 0) == 1 && close(ep) == 0);
	ep = epoll_create1(0);
	add(ep, s[0], EPOLLIN | EPOLLET, 0);
	until(ep, EPOLLIN);
	CHECK(read(s[0], block, 9) == 1 && close(s[1]) == 0);
	until(ep, EPOLLIN | EPOLLHUP);
	CHECK(read(s[0], block, 9) == 0 && close(s[0]) == 0 && close(ep) == 0);
	pair(l, s);
	ep = epoll_create1(0);
	add(ep, s[1], EPOLLIN | EPOLLRDHUP | EPOLLET, 0);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &abort_it, sizeof(abort_it)) == 0);
	CHECK(close(s[0]) == 0);
	until(ep, EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP);
	CHECK_ERR(read(s[1], block, 1), ECONNRESET);
	CHECK(read(s[1], block, 1) == 0 && close(s[1]) == 0 && close(ep) == 0);

	/* refused */
	CHECK(close(l) == 0);
	ep = epoll_create1(0);
	s[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	r = connect(s[0], (void *)&at, sizeof(at));
	CHECK(r == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
	if (errno == EINPROGRESS) {
		add(ep, s[0], EPOLLOUT, 0);
		until(ep, EPOLLERR | EPOLLHUP);
		CHECK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &err, &n) == 0);
		CHECK(err == ECONNREFUSED);
	}
	CHECK(close(s[0]) == 0 && close(ep) == 0);
}

static void datagrams(void)
{
	int a = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
	int b = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	socklen_t n = sizeof(at);
	struct epoll_event e;

	at.sin_port = 0;
	CHECK(bind(a, (void *)&at, sizeof(at)) == 0 && getsockname(a, (void *)&at, &n) == 0);
	add(ep, a, EPOLLIN | EPOLLET, 1);
	CHECK(epoll_wait(ep, &e, 1, 10) == 0);
	CHECK(sendto(b, "one", 3, 0, (void *)&at, n) == 3);
	CHECK(sendto(b, "two", 3, 0, (void *)&at, n) == 3);
	until(ep, EPOLLIN);
	CHECK(recv(a, block, 9, 0) == 3 && !memcmp(block, "one", 3));
	while (recv(a, block, 9, 0) < 0)
		CHECK(errno == EAGAIN && epoll_wait(ep, &e, 1, 5000) == 1);
	CHECK(!memcmp(block, "two", 3));
	CHECK_ERR(recv(a, block, 9, 0), EAGAIN);
	CHECK(sendto(b, "", 0, 0, (void *)&at, n) == 0);
	until(ep, EPOLLIN);
	CHECK(recv(a, block, 9, 0) == 0 && close(a) == 0 && close(b) == 0 && close(ep) == 0);
}

/* An edge-triggered server and its clients, 450 of them, in one loop. */
static void many(void)
{
	enum { MANY = 450, BYTES = 3000 };
	static struct {
		long sent, got;
	} c[MANY];
	static int fd[MANY];
	int l = listener(512), ep = epoll_create1(0), open_ = MANY;
	struct epoll_event e[64];

	add(ep, l, EPOLLIN | EPOLLET, UINT64_MAX);
	for (int i = 0; i < MANY; i++) {
		fd[i] = begin();
		add(ep, fd[i], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, (uint64_t)i);
	}
	while (open_) {
		int n = epoll_wait(ep, e, 64, 5000);

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			uint64_t who = e[i].data.u64;
			char buf[777];
			long r;
			int s;

			if (who == UINT64_MAX) {
				while ((s = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0)
					add(ep, s, EPOLLIN | EPOLLET, 1000000 + (uint64_t)s);
				CHECK(errno == EAGAIN);
			} else if (who >= 1000000) { /* the server's end: what comes goes back */
				s = (int)(who - 1000000);
				while ((r = read(s, buf, sizeof(buf))) > 0)
					CHECK(write(s, buf, (size_t)r) == r);
				CHECK(r == 0 || errno == EAGAIN);
				if (!r)
					CHECK(close(s) == 0);
			} else {
				s = fd[who];
				while (c[who].sent < BYTES &&
				       (r = write(s, block, (size_t)(BYTES - c[who].sent))) > 0)
					c[who].sent += r;
				while ((r = read(s, buf, sizeof(buf))) > 0)
					c[who].got += r;
				CHECK(r == 0 || errno == EAGAIN);
				if (c[who].got == BYTES) {
					CHECK(close(s) == 0);
					c[who].got++;
					open_--;
				}
			}
		}
	}
	CHECK(close(l) == 0 && close(ep) == 0);
}

int main(void)
{
	struct rlimit limit = {2048, 2048};

	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	life();
	datagrams();
	many();
	return success();
}
