/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c: the server of the network tests: one thread, poll(2), IPv4 and IPv6. Runs in a
 * VM and as a process. Prints "ready" when it listens. What is behind a port is in stream.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

#define MAX   2100
#define WORDS 8192

struct conn {
	int kind; /* a port */
	bool listens, ended;
	struct order order;  /* SOURCE, and how much of it has come in nhave */
	struct summing sums; /* SINK, SOURCE */
	size_t nhave, sent;  /* ECHO: what is in `have` from `sent` on is still to be sent */
	char have[2048];
};

static struct pollfd polled[MAX];
static struct conn *conn[MAX];
static int n;
static struct stat_answer stats;
static uint64_t words[WORDS + 1];

static void add(int fd, int kind, bool listens)
{
	if (n == MAX) {
		close(fd);
		return;
	}
	conn[n] = calloc(1, sizeof(*conn[n]));
	if (!conn[n])
		fail("calloc");
	conn[n]->kind = kind;
	conn[n]->listens = listens;
	polled[n] = (struct pollfd){.fd = fd, .events = POLLIN};
	n++;
}

/* A VM may be without IPv6. */
static void open_port(int family, int type, int port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	bool is6 = family == AF_INET6;
	int on = 1, fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 && is6 && errno == EAFNOSUPPORT)
		return;
	if (fd < 0)
		fail("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		fail("SO_REUSEADDR");
	if (is6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)))
		fail("IPV6_V6ONLY");
	if (bind(fd, is6 ? (void *)&v6 : (void *)&v4, is6 ? sizeof(v6) : sizeof(v4)))
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, 1024))
		fail("listen");
	add(fd, port, type == SOCK_STREAM);
}

static void answer(int fd, const void *data, size_t bytes)
{
	/* Small, and the first that is sent (SOURCE: not, but then there was room). */
	while (write(fd, data, bytes) < 0) {
		if (errno != EAGAIN)
			return;
		poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
	}
}

static void accepted(int listener, int kind)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		stats.accepted++;
		if (kind == PORT_END)
			exit(0);
		if (kind == PORT_STAT) {
			answer(fd, &stats, sizeof(stats));
			close(fd);
			continue;
		}
		add(fd, kind, false);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		fail("accept4");
}

static void datagrams(int fd, int kind)
{
	static char data[65536];
	struct sockaddr_storage from;
	socklen_t bytes = sizeof(from);
	ssize_t got;

	while ((got = recvfrom(fd, data, sizeof(data), 0, (void *)&from, &bytes)) >= 0) {
		stats.datagrams++;
		if (kind == PORT_ECHO &&
		    sendto(fd, data, (size_t)got, 0, (void *)&from, bytes) < 0 && errno != EAGAIN &&
		    errno != ECONNREFUSED)
			fail("sendto");
		bytes = sizeof(from);
	}
	if (errno != EAGAIN && errno != ECONNREFUSED)
		fail("recvfrom");
}

/* Each returns what to poll for, 0 at the connection's end. */
static short sink(int fd, struct conn *c)
{
	ssize_t got;

	while ((got = read(fd, words, sizeof(words))) > 0)
		sum_add(&c->sums, words, (size_t)got);
	if (got < 0)
		return errno == EAGAIN ? POLLIN : 0;
	c->sums.sum = sum_end(&c->sums);
	answer(fd, &c->sums.sum, sizeof(struct sum));
	return 0;
}

static short source(int fd, struct conn *c)
{
	const char *data;
	ssize_t got;
	size_t bytes;

	if (c->nhave < sizeof(c->order)) {
		got = read(fd, (char *)&c->order + c->nhave, sizeof(c->order) - c->nhave);
		if (got <= 0)
			return got < 0 && errno == EAGAIN ? POLLIN : 0;
		if ((c->nhave += (size_t)got) < sizeof(c->order))
			return POLLIN;
	}
	while ((bytes = c->order.bytes - c->sums.sum.bytes)) {
		if (bytes > WORDS * 8)
			bytes = WORDS * 8;
		data = stream_fill(words, (bytes + 7) / 8, c->order.seed, c->sums.sum.bytes);
		got = write(fd, data, bytes);
		if (got < 0)
			return errno == EAGAIN ? POLLOUT : 0;
		sum_add(&c->sums, data, (size_t)got);
	}
	c->sums.sum = sum_end(&c->sums);
	answer(fd, &c->sums.sum, sizeof(struct sum));
	return 0;
}

static short echo(int fd, struct conn *c)
{
	ssize_t got;

	for (;;) {
		while (c->sent < c->nhave) {
			got = write(fd, c->have + c->sent, c->nhave - c->sent);
			if (got < 0)
				return errno == EAGAIN ? POLLOUT : 0;
			c->sent += (size_t)got;
		}
		got = read(fd, c->have, sizeof(c->have));
		if (got <= 0)
			return got < 0 && errno == EAGAIN ? POLLIN : 0;
		c->sent = 0;
		c->nhave = (size_t)got;
	}
}

static short gone(int fd)
{
	ssize_t got;

	while ((got = read(fd, words, sizeof(words))) > 0)
		;
	if (got < 0 && errno == EAGAIN)
		return POLLIN;
	if (got < 0 && errno == ECONNRESET)
		stats.resets++;
	else
		stats.ends++;
	return 0;
}

static short reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	char byte;

	if (read(fd, &byte, 1) < 0 && errno == EAGAIN)
		return POLLIN;
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)))
		fail("SO_LINGER");
	return 0;
}

static short serve(int fd, struct conn *c)
{
	switch (c->kind) {
	case PORT_SINK:
		return sink(fd, c);
	case PORT_SOURCE:
		return source(fd, c);
	case PORT_ECHO:
		return echo(fd, c);
	case PORT_RESET:
		return reset(fd);
	default:
		return gone(fd);
	}
}

int main(void)
{
	static const int families[] = {AF_INET, AF_INET6};
	int type;
	socklen_t bytes = sizeof(type);

	for (int f = 0; f < 2; f++) {
		for (int port = PORT_FIRST; port <= PORT_END; port++)
			open_port(families[f], SOCK_STREAM, port);
		open_port(families[f], SOCK_DGRAM, PORT_ECHO);
		open_port(families[f], SOCK_DGRAM, PORT_SILENT);
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(polled, (nfds_t)n, -1) < 0)
			fail("poll");
		for (int i = n - 1; i >= 0; i--) {
			int fd = polled[i].fd;

			if (!polled[i].revents)
				continue;
			bytes = sizeof(type);
			if (conn[i]->listens) {
				accepted(fd, conn[i]->kind);
				continue;
			}
			if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes))
				fail("SO_TYPE");
			if (type == SOCK_DGRAM) {
				datagrams(fd, conn[i]->kind);
				continue;
			}
			polled[i].events = serve(fd, conn[i]);
			if (polled[i].events)
				continue;
			close(fd);
			free(conn[i]);
			n--;
			polled[i] = polled[n];
			conn[i] = conn[n];
		}
	}
}
