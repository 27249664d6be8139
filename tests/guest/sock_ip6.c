/* SPDX-License-Identifier: Apache-2.0 */
/* sock_ip6.c: TCP over IPv6, IPv6 sockets that speak IPv4, too, and who may have which port. */
#define _GNU_SOURCE
#include "sock.h"

static int listener6(const char *address, int only, int port)
{
	struct sockaddr_in6 a = in6(address, port);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	CHECK(fd >= 0 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, only) == 0);
	if (bind(fd, SA(a), sizeof(a)) || listen(fd, 5)) {
		CHECK(close(fd) == 0);
		return -1;
	}
	return fd;
}

static const char *text(const struct sockaddr_in6 *a)
{
	static char t[64];

	CHECK(a->sin6_family == AF_INET6 && inet_ntop(AF_INET6, &a->sin6_addr, t, sizeof(t)));
	return t;
}

static void plain(void)
{
	struct sockaddr_in6 a = in6("::1", 0), from;
	socklen_t n = sizeof(from);
	char buf[8];
	int l = listener6("::1", 1, 0), c = socket(AF_INET6, SOCK_STREAM, 0), s;

	a.sin6_port = htons((uint16_t)local_port(l));
	CHECK(connect(c, SA(a), sizeof(a)) == 0 && (s = accept(l, SA(from), &n)) >= 0);
	CHECK(n == sizeof(from) && !strcmp(text(&from), "::1") && from.sin6_scope_id == 0);
	CHECK(ntohs(from.sin6_port) == local_port(c));
	CHECK(getsockname(s, SA(from), &n) == 0 && !strcmp(text(&from), "::1"));
	CHECK(send(c, "six", 3, 0) == 3 && recv(s, buf, 8, 0) == 3);
	CHECK(close(c) == 0 && recv(s, buf, 8, 0) == 0 && close(s) == 0 && close(l) == 0);
	/* nobody there; and :: is this machine */
	c = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK_ERR(connect(c, SA(a), sizeof(a)), ECONNREFUSED);
	l = listener6("::", 1, 0);
	a = in6("::", local_port(l));
	CHECK(connect(c, SA(a), sizeof(a)) == 0 && close(c) == 0 && close(l) == 0);
}

static void both(void)
{
	struct sockaddr_in6 mapped = in6("::ffff:127.0.0.1", 0), a, from;
	socklen_t n = sizeof(from);
	int l = listener6("::", 0, 0), port = local_port(l), c = connected(port), s;

	/* an IPv4 client */
	CHECK((s = accept(l, SA(from), &n)) >= 0 && n == sizeof(from));
	CHECK(!strcmp(text(&from), "::ffff:127.0.0.1"));
	CHECK(getsockname(s, SA(from), &n) == 0 && !strcmp(text(&from), "::ffff:127.0.0.1"));
	CHECK(get_int(s, SOL_SOCKET, SO_DOMAIN) == AF_INET6 && close(s) == 0 && close(c) == 0);
	/* an IPv6 one */
	a = in6("::1", port);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK(connect(c, SA(a), sizeof(a)) == 0 && (s = accept(l, SA(from), &n)) >= 0);
	CHECK(!strcmp(text(&from), "::1") && close(s) == 0 && close(c) == 0);
	/* an IPv6 socket to an IPv4 address */
	c = socket(AF_INET6, SOCK_STREAM, 0);
	mapped.sin6_port = htons((uint16_t)port);
	CHECK(connect(c, SA(mapped), sizeof(mapped)) == 0 && (s = accept(l, NULL, NULL)) >= 0);
	CHECK(getpeername(c, SA(from), &n) == 0 && !strcmp(text(&from), "::ffff:127.0.0.1"));
	CHECK(close(s) == 0 && close(c) == 0);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK(set_int(c, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0);
	CHECK_ERR(connect(c, SA(mapped), sizeof(mapped)), ENETUNREACH);
	CHECK(close(c) == 0 && close(l) == 0);
}

/* Who may have a port beside whom. */
static void ports(void)
{
	struct sockaddr_in a = in4("0.0.0.0", 0);
	int l = listener6("::", 0, 0), port = local_port(l), only,
	    v4 = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_port = htons((uint16_t)port);
	CHECK_ERR(bind(v4, SA(a), sizeof(a)), EADDRINUSE);
	CHECK(close(l) == 0);
	/* each its own */
	only = listener6("::", 1, port);
	CHECK(only >= 0 && bind(v4, SA(a), sizeof(a)) == 0 && listen(v4, 5) == 0);
	l = connected(port);
	CHECK(fcntl(only, F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERR(accept(only, NULL, NULL), EAGAIN);
	CHECK(close(l) == 0 && (l = accept(v4, NULL, NULL)) >= 0);
	CHECK(close(l) == 0 && close(only) == 0 && close(v4) == 0);
}

/* A connection outlives its listener, and holds the port against who does not share it. */
static void again(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	int port, l = listener(5, &port), c = connected(port), s = accept(l, NULL, NULL), m;

	CHECK(s >= 0 && close(l) == 0);
	a.sin_port = htons((uint16_t)port);
	m = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERR(bind(m, SA(a), sizeof(a)), EADDRINUSE);
	/* closed here first: it is in TIME_WAIT, and in the way */
	CHECK(close(s) == 0 && events(c, POLLIN, 1000) == POLLIN && close(c) == 0);
	CHECK_ERR(bind(m, SA(a), sizeof(a)), EADDRINUSE);
	CHECK(close(m) == 0);

	/* servers share it, so that they can start again */
	l = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_port = 0;
	CHECK(set_int(l, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	CHECK(bind(l, SA(a), sizeof(a)) == 0 && listen(l, 5) == 0);
	a.sin_port = htons((uint16_t)local_port(l));
	c = connected(local_port(l));
	CHECK((s = accept(l, NULL, NULL)) >= 0 && close(s) == 0 && close(l) == 0);
	CHECK(events(c, POLLIN, 1000) == POLLIN && close(c) == 0);
	l = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(set_int(l, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	CHECK(bind(l, SA(a), sizeof(a)) == 0 && listen(l, 5) == 0 && close(l) == 0);
}

/* A client that uses its port again sooner than the server's TIME_WAIT is over. */
static void same_port(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0), from = in4("127.0.0.1", 0);
	int port, l = listener(5, &port), c, s;

	to.sin_port = htons((uint16_t)port);
	for (int i = 0; i < 5; i++) {
		long t = now_ms();

		c = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(set_int(c, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
		CHECK(bind(c, SA(from), sizeof(from)) == 0);
		from.sin_port = htons((uint16_t)local_port(c));
		CHECK(connect(c, SA(to), sizeof(to)) == 0 && (s = accept(l, NULL, NULL)) >= 0);
		CHECK(close(s) == 0 && events(c, POLLIN, 1000) == POLLIN && close(c) == 0);
		CHECK(now_ms() - t < 900);
	}
	CHECK(close(l) == 0);
}

int main(void)
{
	plain();
	both();
	ports();
	again();
	same_port();
	return success();
}
