/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.c ADDRESS N BYTES: N connections that are opened at once, without a wait between them, each
 * with a stream of its own of so many bytes to serve.c's echo and back, all of them at the same
 * time. Prints how long it took from the first connect to the last connection that stood, and the
 * rate. Runs in a VM and as a process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"

#define LIMIT_S 60
#define PART    16384 /* of a stream, by one call */

struct one {
	int fd;
	unsigned events; /* that epoll was asked for */
	uint64_t seed, sent, got;
	int stands;
};

static struct one *crowd;
static unsigned n, standing, over;
static uint64_t bytes;
static int poller;
static double began_s, stood_s;

#define NEED(what)                                                                              \
	do {                                                                                    \
		if (!(what)) {                                                                  \
			fprintf(stderr, "crowd: not true: %s (line %d, errno %d: %s)\n", #what, \
				__LINE__, errno, strerror(errno));                              \
			exit(1);                                                                \
		}                                                                               \
	} while (0)

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static socklen_t address(const char *text, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (void *)to;
	struct sockaddr_in6 *v6 = (void *)to;

	v4->sin_port = htons(PORT_ECHO); /* sin6_port, too */
	to->ss_family = AF_INET;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		return sizeof(*v4);
	to->ss_family = AF_INET6;
	NEED(inet_pton(AF_INET6, text, &v6->sin6_addr) == 1);
	return sizeof(*v6);
}

static void watch(struct one *c, unsigned events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (events == c->events)
		return;
	NEED(!epoll_ctl(poller, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e));
	c->events = events;
}

static void stands(struct one *c)
{
	int error;
	socklen_t size = sizeof(error);

	NEED(!getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size));
	errno = error;
	NEED(!error);
	c->stands = 1;
	if (++standing == n)
		stood_s = now_s();
}

static void send_some(struct one *c)
{
	static uint64_t words[PART / 8 + 1];
	uint64_t left = bytes - c->sent;
	size_t part = left < PART ? left : PART;
	ssize_t sent = send(c->fd, stream_fill(words, (part + 7) / 8, c->seed, c->sent), part,
			    MSG_NOSIGNAL);

	NEED(sent > 0 || errno == EAGAIN);
	c->sent += sent > 0 ? (uint64_t)sent : 0;
	if (c->sent == bytes) {
		watch(c, EPOLLIN);
		NEED(!shutdown(c->fd, SHUT_WR));
	}
}

/* What comes back is this connection's, and in order. */
static void receive_some(struct one *c)
{
	static uint64_t words[PART / 8 + 1];
	static char came[PART];
	ssize_t got = recv(c->fd, came, sizeof(came), 0);

	if (got < 0 && errno == EAGAIN)
		return;
	NEED(got >= 0);
	if (!got) {
		NEED(c->got == bytes);
		close(c->fd);
		over++;
		return;
	}
	NEED(c->got + (uint64_t)got <= c->sent);
	NEED(!memcmp(came, stream_fill(words, ((size_t)got + 7) / 8, c->seed, c->got),
		     (size_t)got));
	c->got += (uint64_t)got;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage to = {0};
	socklen_t to_bytes;

	alarm(LIMIT_S);
	NEED(argc == 4);
	to_bytes = address(argv[1], &to);
	n = (unsigned)atoi(argv[2]);
	bytes = strtoull(argv[3], NULL, 0);
	crowd = calloc(n, sizeof(*crowd));
	poller = epoll_create1(EPOLL_CLOEXEC);
	NEED(crowd && poller >= 0 && n && bytes);
	began_s = now_s();
	for (unsigned i = 0; i < n; i++) {
		crowd[i].seed = i + 1;
		crowd[i].fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		NEED(crowd[i].fd >= 0);
		NEED(!connect(crowd[i].fd, (void *)&to, to_bytes) || errno == EINPROGRESS);
	}
	for (unsigned i = 0; i < n; i++)
		watch(&crowd[i], EPOLLIN | EPOLLOUT);
	while (over < n) {
		struct epoll_event e[64];
		int events = epoll_wait(poller, e, 64, -1);

		NEED(events > 0);
		for (int i = 0; i < events; i++) {
			struct one *c = e[i].data.ptr;

			if (!c->stands)
				stands(c);
			if (c->sent < bytes && e[i].events & EPOLLOUT)
				send_some(c);
			if (e[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				receive_some(c);
		}
	}
	printf("%u connections in %.0f ms, %.1f MB/s\n", n, (stood_s - began_s) * 1e3,
	       2 * (double)n * (double)bytes / 1e6 / (now_s() - began_s));
	return 0;
}
