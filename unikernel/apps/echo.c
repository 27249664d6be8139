/* SPDX-License-Identifier: Apache-2.0 */
/* echo.c: sends back what comes, over TCP and UDP (RFC 862). Argument: the port, 7. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "listen.h"

#define BATCH    32
#define DATAGRAM 65536

struct connection {
	int fd;
	uint32_t events; /* that epoll was asked for */
	size_t from, to; /* not yet sent back: [from, to) of data */
	char data[16384];
};

static int poller;

/* All that has come is taken, and sent, by one call each. */
static void echo_datagrams(int fd)
{
	static struct mmsghdr m[BATCH];
	static struct iovec iov[BATCH];
	static struct sockaddr_in6 from[BATCH];
	static char data[BATCH][DATAGRAM];
	static int used = BATCH; /* headers that the last call has changed */
	int n;

	for (int i = 0; i < used; i++) {
		iov[i] = (struct iovec){data[i], DATAGRAM};
		m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
					       .msg_namelen = sizeof(from[i]),
					       .msg_iov = &iov[i],
					       .msg_iovlen = 1};
	}
	n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
	used = n > 0 ? n : 0;
	for (int i = 0; i < n; i++)
		iov[i].iov_len = m[i].msg_len;
	/* A message that cannot be sent stops sendmmsg: it is lost, as datagrams may be. */
	for (int i = 0; i < n;) {
		int sent = sendmmsg(fd, m + i, (unsigned)(n - i), MSG_DONTWAIT);

		i += sent > 0 ? sent : 1;
	}
}

/* Data goes back before more is taken: a client that does not read stops its own sending. */
static void echo_stream(struct connection *c)
{
	uint32_t events;
	ssize_t n;

	do {
		if (c->from == c->to) {
			n = recv(c->fd, c->data, sizeof(c->data), 0);
			c->from = 0;
			c->to = n > 0 ? (size_t)n : 0;
			events = EPOLLIN;
		} else {
			n = send(c->fd, c->data + c->from, c->to - c->from, 0);
			c->from += n > 0 ? (size_t)n : 0;
			events = EPOLLOUT;
		}
	} while (n > 0 && c->from < c->to);
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(c->fd);
		free(c);
		return;
	}
	if (n > 0)
		events = EPOLLIN;
	if (events != c->events) {
		c->events = events;
		epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){events, {.ptr = c}});
	}
}

static void greet(int server)
{
	int fd = accept4(server, NULL, NULL, SOCK_NONBLOCK), one = 1;
	struct connection *c = fd >= 0 ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->fd = fd;
	c->events = EPOLLIN;
	epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.ptr = c}});
}

int main(int argc, char **argv)
{
	unsigned port = argc > 1 ? (unsigned)atoi(argv[1]) : 7;
	int tcp = listen_on(SOCK_STREAM | SOCK_NONBLOCK, port);
	int udp = listen_on(SOCK_DGRAM | SOCK_NONBLOCK, port);
	struct epoll_event event[64];

	poller = epoll_create1(0);
	epoll_ctl(poller, EPOLL_CTL_ADD, tcp, &(struct epoll_event){EPOLLIN, {.ptr = &tcp}});
	epoll_ctl(poller, EPOLL_CTL_ADD, udp, &(struct epoll_event){EPOLLIN, {.ptr = &udp}});
	ready("echo", port);
	for (;;) {
		int n = epoll_wait(poller, event, 64, -1);

		for (int i = 0; i < n; i++) {
			if (event[i].data.ptr == &tcp)
				greet(tcp);
			else if (event[i].data.ptr == &udp)
				echo_datagrams(udp);
			else
				echo_stream(event[i].data.ptr);
		}
	}
}
