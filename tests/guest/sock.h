/* SPDX-License-Identifier: Apache-2.0 */
/* sock.h: what the tests of sockets share: addresses, and connected pairs over loopback. */
#ifndef SOCK_H
#define SOCK_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define SA(x) ((struct sockaddr *)&(x))

static inline struct sockaddr_in in4(const char *text, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	CHECK(inet_pton(AF_INET, text, &a.sin_addr) == 1);
	return a;
}

static inline struct sockaddr_in6 in6(const char *text, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	CHECK(inet_pton(AF_INET6, text, &a.sin6_addr) == 1);
	return a;
}

static inline int local_port(int fd)
{
	struct sockaddr_in6 a;
	socklen_t n = sizeof(a);

	CHECK(getsockname(fd, SA(a), &n) == 0);
	return ntohs(a.sin6_port); /* it is in the same place in both */
}

/* A listener on 127.0.0.1, any port. */
static inline int listener(int backlog, int *port)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0 && bind(fd, SA(a), sizeof(a)) == 0 && listen(fd, backlog) == 0);
	*port = local_port(fd);
	return fd;
}

static inline int connected(int port)
{
	struct sockaddr_in a = in4("127.0.0.1", port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0 && connect(fd, SA(a), sizeof(a)) == 0);
	return fd;
}

/* Both ends of a TCP connection: [0] connected, [1] was accepted. */
static inline void tcp_pair(int fd[2])
{
	int port, l = listener(5, &port);

	fd[0] = connected(port);
	fd[1] = accept(l, NULL, NULL);
	CHECK(fd[1] >= 0 && close(l) == 0);
}

/* The events that hold within ms, of those asked for. */
static inline int events(int fd, int asked, int ms)
{
	struct pollfd p = {.fd = fd, .events = (short)asked};
	int n = poll(&p, 1, ms);

	CHECK(n >= 0 && !(p.revents & POLLNVAL));
	return p.revents;
}

static inline int get_int(int fd, int level, int name)
{
	int v = -12345;
	socklen_t n = sizeof(v);

	CHECK(getsockopt(fd, level, name, &v, &n) == 0 && n == sizeof(v));
	return v;
}

static inline int set_int(int fd, int level, int name, int v)
{
	return setsockopt(fd, level, name, &v, sizeof(v));
}

static inline void nonblocking(int fd)
{
	CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

static inline long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
