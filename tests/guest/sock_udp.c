/* SPDX-License-Identifier: Apache-2.0 */
/* sock_udp.c: UDP within the program: with and without connect, truncation, errors, both IPs. */
#define _GNU_SOURCE
#include <sys/uio.h>

#include "sock.h"

static int bound4(int type)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	int fd = socket(AF_INET, SOCK_DGRAM | type, 0);

	CHECK(fd >= 0 && bind(fd, SA(a), sizeof(a)) == 0);
	return fd;
}

static int bound6(const char *address, bool only)
{
	struct sockaddr_in6 a = in6(address, 0);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	CHECK(fd >= 0 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, only) == 0);
	CHECK(bind(fd, SA(a), sizeof(a)) == 0);
	return fd;
}

static void unconnected(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0), from;
	socklen_t len = sizeof(from);
	char buf[64];
	int r = bound4(0), s = socket(AF_INET, SOCK_DGRAM, 0), n;

	to.sin_port = htons((uint16_t)local_port(r));
	CHECK(events(r, POLLIN | POLLOUT, 0) == POLLOUT && local_port(s) == 0);
	CHECK_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
	CHECK_ERR(getpeername(s, SA(from), &len), ENOTCONN);
	CHECK(sendto(s, "one", 3, 0, SA(to), sizeof(to)) == 3 && local_port(s) != 0);
	CHECK(sendto(s, "", 0, 0, SA(to), sizeof(to)) == 0);
	CHECK(sendto(s, "three", 5, 0, SA(to), sizeof(to)) == 5);
	CHECK(events(r, POLLIN, 1000) == POLLIN && ioctl(r, FIONREAD, &n) == 0 && n == 3);
	CHECK(recvfrom(r, buf, 64, MSG_PEEK, NULL, NULL) == 3);
	CHECK(recvfrom(r, buf, 64, 0, SA(from), &len) == 3 && !memcmp(buf, "one", 3));
	CHECK(len == sizeof(from) && from.sin_family == AF_INET);
	CHECK(ntohs(from.sin_port) == local_port(s));
	CHECK(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	CHECK(recv(r, buf, 64, 0) == 0); /* an empty one is not the end */
	CHECK(recv(r, buf, 2, MSG_TRUNC) == 5 && !memcmp(buf, "th", 2));
	CHECK_ERR(recv(r, buf, 2, MSG_DONTWAIT), EAGAIN); /* the rest of it is gone */
	CHECK(close(r) == 0 && close(s) == 0);
}

static void connected_ones(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0), none = {.sin_family = AF_UNSPEC};
	struct iovec two[2] = {{"ab", 2}, {"cd", 2}};
	char buf[64];
	int a = bound4(0), b = bound4(0), c = bound4(0);

	to.sin_port = htons((uint16_t)local_port(b));
	CHECK(connect(a, SA(to), sizeof(to)) == 0);
	CHECK(send(a, "hello", 5, 0) == 5 && recv(b, buf, 64, 0) == 5);
	CHECK(writev(a, two, 2) == 4 && read(b, buf, 64) == 4); /* one datagram */

	/* from its peer alone */
	to.sin_port = htons((uint16_t)local_port(a));
	CHECK(sendto(c, "stranger", 8, 0, SA(to), sizeof(to)) == 8);
	CHECK(sendto(b, "peer", 4, 0, SA(to), sizeof(to)) == 4);
	CHECK(events(a, POLLIN, 1000) == POLLIN && recv(a, buf, 64, 0) == 4);
	CHECK_ERR(recv(a, buf, 64, MSG_DONTWAIT), EAGAIN);

	/* a source address comes with connect */
	CHECK(close(c) == 0);
	c = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(connect(c, SA(to), sizeof(to)) == 0 && local_port(c) != 0);
	CHECK(getsockname(c, SA(none), &(socklen_t){sizeof(none)}) == 0);
	CHECK(none.sin_addr.s_addr == htonl(INADDR_LOOPBACK));

	/* and goes; with it a port that nobody chose, but not one that somebody did */
	memset(&none, 0, sizeof(none));
	CHECK(connect(c, SA(none), sizeof(none)) == 0 && local_port(c) == 0);
	CHECK_ERR(send(c, "x", 1, 0), EDESTADDRREQ);
	CHECK(connect(c, SA(to), sizeof(to)) == 0 && close(a) == 0);
	a = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(a, SA(to), sizeof(to)) == 0);
	to.sin_port = htons((uint16_t)local_port(b));
	CHECK(connect(a, SA(to), sizeof(to)) == 0);
	CHECK(connect(a, SA(none), sizeof(none)) == 0);
	CHECK(send(c, "again", 5, 0) == 5 && recv(a, buf, 64, 0) == 5);
	CHECK(shutdown(c, SHUT_RDWR) == 0);
	CHECK_ERR(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(recv(c, buf, 64, 0) == 0 && events(c, POLLIN, 0) == (POLLIN | POLLHUP));
	CHECK(close(a) == 0 && close(b) == 0 && close(c) == 0);
}

/* Nobody at the port: the error comes with the next call. */
static void refused(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0);
	struct sockaddr_in6 to6 = in6("::1", 0);
	char buf[8];
	int s = bound4(0), gone = bound4(0), port = local_port(gone);

	CHECK(close(gone) == 0);
	to.sin_port = htons((uint16_t)port);
	CHECK(connect(s, SA(to), sizeof(to)) == 0 && send(s, "x", 1, 0) == 1);
	CHECK(events(s, POLLIN, 1000) == POLLERR);
	CHECK_ERR(recv(s, buf, 8, 0), ECONNREFUSED);
	CHECK_ERR(recv(s, buf, 8, MSG_DONTWAIT), EAGAIN);
	CHECK(send(s, "x", 1, 0) == 1 && events(s, 0, 1000) == POLLERR);
	CHECK_ERR(send(s, "x", 1, 0), ECONNREFUSED);
	CHECK(send(s, "x", 1, 0) == 1 && events(s, 0, 1000) == POLLERR);
	CHECK(get_int(s, SOL_SOCKET, SO_ERROR) == ECONNREFUSED && close(s) == 0);

	s = bound4(0); /* not connected: it hears nothing of it */
	CHECK(sendto(s, "x", 1, 0, SA(to), sizeof(to)) == 1 && events(s, POLLIN, 20) == 0);
	CHECK(close(s) == 0);

	s = socket(AF_INET6, SOCK_DGRAM, 0);
	to6.sin6_port = htons((uint16_t)port);
	CHECK(connect(s, SA(to6), sizeof(to6)) == 0 && send(s, "x", 1, 0) == 1);
	CHECK(events(s, 0, 1000) == POLLERR);
	CHECK_ERR(recv(s, buf, 8, 0), ECONNREFUSED);
	CHECK(close(s) == 0);
}

static void sizes(void)
{
	static char big[70000], got[70000];
	struct sockaddr_in to = in4("127.0.0.1", 0);
	struct sockaddr_in6 to6 = in6("::1", 0);
	int r = bound4(0), s = bound4(0), r6 = bound6("::1", true), n;

	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 256);
	to.sin_port = htons((uint16_t)local_port(r));
	for (int size = 1; size <= 65507; size = size < 1400 ? size * 3 : size + 15989) {
		CHECK(sendto(s, big, (size_t)size, 0, SA(to), sizeof(to)) == size);
		CHECK(recv(r, got, sizeof(got), 0) == size && !memcmp(big, got, (size_t)size));
	}
	CHECK(sendto(s, big, 65507, 0, SA(to), sizeof(to)) == 65507);
	CHECK(recv(r, got, sizeof(got), 0) == 65507 && !memcmp(big, got, 65507));
	CHECK_ERR(sendto(s, big, 65508, 0, SA(to), sizeof(to)), EMSGSIZE);
	CHECK_ERR(sendto(s, big, 66000, 0, SA(to), sizeof(to)), EMSGSIZE);
	CHECK(close(s) == 0);
	s = socket(AF_INET6, SOCK_DGRAM, 0);
	to6.sin6_port = htons((uint16_t)local_port(r6));
	CHECK(sendto(s, big, 20000, 0, SA(to6), sizeof(to6)) == 20000);
	CHECK(recv(r6, got, sizeof(got), 0) == 20000 && !memcmp(big, got, 20000));

	/* what does not fit into the receive buffer is dropped, and room comes back */
	CHECK(set_int(r, SOL_SOCKET, SO_RCVBUF, 20000) == 0);
	CHECK(get_int(r, SOL_SOCKET, SO_RCVBUF) == 40000 && close(s) == 0);
	s = bound4(0);
	for (int i = 0; i < 100; i++)
		CHECK(sendto(s, big, 1000, 0, SA(to), sizeof(to)) == 1000);
	for (n = 0; recv(r, got, sizeof(got), MSG_DONTWAIT) == 1000; n++)
		;
	CHECK(errno == EAGAIN && n > 3 && n < 60);
	CHECK(sendto(s, big, 1000, 0, SA(to), sizeof(to)) == 1000);
	CHECK(recv(r, got, sizeof(got), 0) == 1000);
	CHECK(close(r) == 0 && close(s) == 0 && close(r6) == 0);
}

/* An IPv6 socket that speaks IPv4, too. */
static void dual(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0);
	struct sockaddr_in6 mapped = in6("::ffff:127.0.0.1", 0), from, self = in6("::1", 0);
	socklen_t len = sizeof(from);
	char buf[64], text[64];
	int both = bound6("::", false), only = bound6("::", true), four = bound4(0);

	to.sin_port = self.sin6_port = htons((uint16_t)local_port(both));
	CHECK(sendto(four, "four", 4, 0, SA(to), sizeof(to)) == 4);
	CHECK(recvfrom(both, buf, 64, 0, SA(from), &len) == 4 && len == sizeof(from));
	CHECK(from.sin6_family == AF_INET6 && ntohs(from.sin6_port) == local_port(four));
	CHECK(inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof(text)));
	CHECK(!strcmp(text, "::ffff:127.0.0.1"));
	CHECK(sendto(both, "back", 4, 0, SA(from), len) == 4 && recv(four, buf, 64, 0) == 4);
	CHECK(sendto(only, "six", 3, 0, SA(self), sizeof(self)) == 3);
	CHECK(recvfrom(both, buf, 64, 0, SA(from), &len) == 3);
	CHECK(inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof(text)) && !strcmp(text, "::1"));
	mapped.sin6_port = htons((uint16_t)local_port(four));
	CHECK_ERR(sendto(only, "x", 1, 0, SA(mapped), sizeof(mapped)), ENETUNREACH);
	CHECK_ERR(connect(only, SA(mapped), sizeof(mapped)), ENETUNREACH);
	CHECK(connect(both, SA(mapped), sizeof(mapped)) == 0 && send(both, "x", 1, 0) == 1);
	CHECK(recv(four, buf, 64, 0) == 1 && getsockname(both, SA(from), &len) == 0);
	CHECK(inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof(text)));
	CHECK(!strcmp(text, "::ffff:127.0.0.1"));
	CHECK_ERR(set_int(both, IPPROTO_IPV6, IPV6_V6ONLY, 1), EINVAL); /* too late */
	CHECK(close(both) == 0 && close(only) == 0 && close(four) == 0);
}

static void ports(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	struct sockaddr_in6 any = in6("::", 0);
	int s = bound4(0), t = socket(AF_INET, SOCK_DGRAM, 0), u = socket(AF_INET6, SOCK_DGRAM, 0);

	a.sin_port = any.sin6_port = htons((uint16_t)local_port(s));
	CHECK_ERR(bind(s, SA(a), sizeof(a)), EINVAL);
	CHECK_ERR(bind(t, SA(a), sizeof(a)), EADDRINUSE);
	CHECK_ERR(bind(u, SA(any), sizeof(any)), EADDRINUSE);
	CHECK(set_int(t, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	CHECK_ERR(bind(t, SA(a), sizeof(a)), EADDRINUSE);
	CHECK(set_int(s, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && bind(t, SA(a), sizeof(a)) == 0);
	CHECK(set_int(u, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0 && bind(u, SA(any), sizeof(any)) == 0);
	CHECK(close(s) == 0 && close(t) == 0 && close(u) == 0);
	s = bound4(0);
	CHECK_ERR(listen(s, 5), EOPNOTSUPP);
	CHECK_ERR(accept(s, NULL, NULL), EOPNOTSUPP);
	CHECK(close(s) == 0);
}

int main(void)
{
	unconnected();
	connected_ones();
	refused();
	sizes();
	dual();
	ports();
	return success();
}
