/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll_edge.c: what is an edge: which calls make an event for edge-triggered watches, with
 * pipes, eventfds and sockets.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP)

static char block[1 << 20];

static int watch(int fd, uint32_t events)
{
	struct epoll_event e = {.events = events | EPOLLET};
	int ep = epoll_create1(0);

	CHECK(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
	return ep;
}

static void again(int ep, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events | EPOLLET};

	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e) == 0);
}

static uint32_t next(int ep)
{
	struct epoll_event e[4];
	int n = epoll_wait(ep, e, 4, 0);

	CHECK(n == 0 || n == 1);
	return n ? e[0].events : 0;
}

/* Until nothing more goes in, or comes out. */
static long fill(int fd)
{
	long all = 0, n;

	while ((n = write(fd, block, sizeof(block))) > 0)
		all += n;
	CHECK(errno == EAGAIN);
	return all;
}

static long drain(int fd)
{
	long all = 0, n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		all += n;
	return all;
}

static void pipes(void)
{
	int p[2], in, out;

	CHECK(pipe2(p, O_NONBLOCK) == 0);
	in = watch(p[0], EPOLLIN);
	out = watch(p[1], EPOLLOUT);
	CHECK(next(in) == 0 && next(out) == EPOLLOUT && next(out) == 0);

	/* each write is an edge; two before a wait are one event */
	CHECK(write(p[1], "abc", 3) == 3 && next(in) == EPOLLIN && next(in) == 0);
	CHECK(write(p[1], "def", 3) == 3 && next(in) == EPOLLIN && next(in) == 0);
	CHECK(write(p[1], "g", 1) == 1 && write(p[1], "h", 1) == 1);
	CHECK(next(in) == EPOLLIN && next(in) == 0);
	/* reading a part is none, neither for the reader nor, while there is room, the writer */
	CHECK(read(p[0], block, 2) == 2 && next(in) == 0 && next(out) == 0);
	CHECK(drain(p[0]) == 6 && next(in) == 0 && next(out) == 0);
	/* an event that was read before the wait is none */
	CHECK(write(p[1], "i", 1) == 1 && read(p[0], block, 1) == 1 && next(in) == 0);
	/* a change of the watch looks anew */
	CHECK(write(p[1], "j", 1) == 1 && next(in) == EPOLLIN && next(in) == 0);
	again(in, p[0], EPOLLIN);
	CHECK(next(in) == EPOLLIN && next(in) == 0);
	again(in, p[0], EPOLLRDHUP);
	CHECK(next(in) == 0 && write(p[1], "k", 1) == 1 && next(in) == 0);
	again(in, p[0], EPOLLIN);
	CHECK(next(in) == EPOLLIN && drain(p[0]) == 2 && next(in) == 0 && next(out) == 0);

	/* room is an edge once it was full */
	CHECK(fill(p[1]) == 65536 && next(in) == EPOLLIN && next(out) == 0);
	CHECK(read(p[0], block, 4096) == 4096 && next(out) == EPOLLOUT && next(out) == 0);
	CHECK(read(p[0], block, 4096) == 4096 && next(out) == 0 && next(in) == 0);
	CHECK(drain(p[0]) == 65536 - 8192 && next(out) == 0);

	/* ends */
	CHECK(close(p[1]) == 0 && next(in) == EPOLLHUP && next(in) == 0 && next(out) == 0);
	CHECK(close(p[0]) == 0 && close(in) == 0 && close(out) == 0);
	CHECK(pipe2(p, O_NONBLOCK) == 0);
	out = watch(p[1], EPOLLOUT);
	CHECK(next(out) == EPOLLOUT && close(p[0]) == 0);
	CHECK(next(out) == (EPOLLOUT | EPOLLERR) && next(out) == 0);
	CHECK(close(p[1]) == 0 && close(out) == 0);
	/* one of two writers is no end */
	CHECK(pipe2(p, O_NONBLOCK) == 0);
	in = watch(p[0], EPOLLIN);
	out = dup(p[1]);
	CHECK(close(p[1]) == 0 && next(in) == 0 && close(out) == 0 && next(in) == EPOLLHUP);
	CHECK(close(p[0]) == 0 && close(in) == 0);
}

static void eventfds(void)
{
	int e = eventfd(0, EFD_NONBLOCK), in = watch(e, EPOLLIN),
	    both = watch(e, EPOLLIN | EPOLLOUT);
	eventfd_t v;

	CHECK(next(in) == 0 && next(both) == EPOLLOUT && next(both) == 0);
	CHECK(eventfd_write(e, 1) == 0 && next(in) == EPOLLIN && next(in) == 0);
	CHECK(next(both) == (EPOLLIN | EPOLLOUT) && next(both) == 0);
	CHECK(eventfd_write(e, 1) == 0 && next(in) == EPOLLIN && next(in) == 0);
	CHECK(next(both) == (EPOLLIN | EPOLLOUT));
	/* a read is an edge for who asks for room */
	CHECK(eventfd_read(e, &v) == 0 && v == 2 && next(in) == 0);
	CHECK(next(both) == EPOLLOUT && next(both) == 0);
	/* not when nothing was read */
	CHECK_ERR(eventfd_read(e, &v), EAGAIN);
	CHECK(next(both) == 0);
	CHECK(eventfd_write(e, 0xfffffffffffffffe) == 0 && next(both) == EPOLLIN);
	CHECK_ERR(eventfd_write(e, 1), EAGAIN);
	CHECK(next(both) == 0);
	CHECK(eventfd_read(e, &v) == 0 && next(both) == EPOLLOUT && next(in) == 0);
	CHECK(close(e) == 0 && close(in) == 0 && close(both) == 0);
}

static void streams(void)
{
	int s[2], all, in, out;
	long n;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	all = watch(s[0], ALL);
	in = watch(s[0], EPOLLIN | EPOLLRDHUP);
	out = watch(s[1], EPOLLOUT);
	CHECK(next(all) == EPOLLOUT && next(all) == 0 && next(in) == 0 && next(out) == EPOLLOUT);

	CHECK(write(s[1], "abc", 3) == 3 && next(in) == EPOLLIN && next(in) == 0);
	CHECK(next(all) == (EPOLLIN | EPOLLOUT) && next(all) == 0 && next(out) == 0);
	CHECK(write(s[1], "def", 3) == 3 && next(in) == EPOLLIN && next(in) == 0);
	CHECK(next(all) == (EPOLLIN | EPOLLOUT));
	/* what was sent in one piece counts as read when all of it is */
	CHECK(read(s[0], block, 2) == 2 && next(in) == 0 && next(out) == 0);
	CHECK(read(s[0], block, 1) == 1 && next(out) == EPOLLOUT && next(out) == 0);
	CHECK(drain(s[0]) == 3 && next(out) == EPOLLOUT && next(in) == 0 && next(all) == 0);
	/* reading one's own input is no edge of one's own room */
	CHECK(write(s[0], "x", 1) == 1 && next(all) == 0);
	CHECK(drain(s[1]) == 1 && next(all) == EPOLLOUT && next(in) == 0);

	/* room: when a quarter or less is in use */
	n = fill(s[1]);
	CHECK(n > 65536 && next(out) == 0 && next(in) == EPOLLIN);
	CHECK(read(s[0], block, 1) == 1 && next(out) == 0);
	CHECK(drain(s[0]) == n - 1 && next(out) == EPOLLOUT && next(out) == 0 && next(in) == 0);

	/* ends */
	CHECK(write(s[1], "x", 1) == 1 && shutdown(s[1], SHUT_WR) == 0);
	CHECK(next(in) == (EPOLLIN | EPOLLRDHUP) && next(in) == 0);
	CHECK(next(all) == ALL && next(all) == 0);
	CHECK(drain(s[0]) == 1 && next(in) == 0);
	next(out);
	CHECK(shutdown(s[1], SHUT_RD) == 0);
	CHECK(next(in) == (EPOLLIN | EPOLLRDHUP | EPOLLHUP) && next(in) == 0);
	CHECK(next(all) == (ALL | EPOLLHUP) && next(all) == 0);
	CHECK(close(s[1]) == 0);
	CHECK(next(all) == (ALL | EPOLLHUP) && next(all) == 0);
	CHECK(close(s[0]) == 0 && close(all) == 0 && close(in) == 0 && close(out) == 0);

	/* closed with something unread: an error, too */
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	all = watch(s[0], ALL);
	CHECK(next(all) == EPOLLOUT && write(s[0], "x", 1) == 1 && next(all) == 0);
	CHECK(close(s[1]) == 0 && next(all) == (ALL | EPOLLHUP | EPOLLERR) && next(all) == 0);
	CHECK_ERR(read(s[0], block, 1), ECONNRESET);
	CHECK(read(s[0], block, 1) == 0 && close(s[0]) == 0 && close(all) == 0);
}

static void datagrams(void)
{
	int s[2], in, out;

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s) == 0);
	in = watch(s[0], EPOLLIN);
	out = watch(s[1], EPOLLOUT);
	CHECK(next(in) == 0 && next(out) == EPOLLOUT);
	CHECK(send(s[1], "a", 1, 0) == 1 && next(in) == EPOLLIN && next(in) == 0);
	CHECK(send(s[1], "b", 1, 0) == 1 && next(in) == EPOLLIN && next(out) == 0);
	CHECK(recv(s[0], block, 1, 0) == 1 && next(in) == 0 && next(out) == EPOLLOUT);
	CHECK(recv(s[0], block, 1, MSG_PEEK) == 1 && next(in) == 0 && next(out) == 0);
	CHECK(recv(s[0], block, 1, 0) == 1 && next(out) == EPOLLOUT && next(in) == 0);
	CHECK(close(s[1]) == 0 && next(in) == 0);
	CHECK(close(s[0]) == 0 && close(in) == 0 && close(out) == 0);
}

/* An edge-triggered watch of an epoll: an event of any of its files is an edge. */
static void nested(void)
{
	int a = eventfd(0, 0), b = eventfd(0, 0), inner = epoll_create1(0), outer;
	struct epoll_event e = {.events = EPOLLIN}, many[4];

	CHECK(epoll_ctl(inner, EPOLL_CTL_ADD, a, &e) == 0);
	CHECK(epoll_ctl(inner, EPOLL_CTL_ADD, b, &e) == 0);
	outer = watch(inner, EPOLLIN);
	CHECK(next(outer) == 0);
	CHECK(eventfd_write(a, 1) == 0 && next(outer) == EPOLLIN && next(outer) == 0);
	CHECK(eventfd_write(b, 1) == 0 && next(outer) == EPOLLIN && next(outer) == 0);
	CHECK(epoll_wait(inner, many, 4, 0) == 2 && next(outer) == 0);
	CHECK(eventfd_read(a, &(eventfd_t){0}) == 0 && eventfd_read(b, &(eventfd_t){0}) == 0);
	CHECK(epoll_wait(inner, many, 4, 0) == 0 && next(outer) == 0);
	CHECK(eventfd_write(a, 1) == 0 && next(outer) == EPOLLIN);
	CHECK(close(a) == 0 && close(b) == 0 && close(inner) == 0 && close(outer) == 0);
}

int main(void)
{
	pipes();
	eventfds();
	streams();
	datagrams();
	nested();
	return success();
}
