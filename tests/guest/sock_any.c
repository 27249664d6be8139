/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock_any.c: calls on sockets in any order, of a fixed seed: whatever each says, the kernel goes
 * on, and bytes that arrive are those that were sent. Argument: another seed.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "sock.h"

#define SOCKETS 40
#define TURNS   60000

static int fds[SOCKETS];
static int ports[8]; /* of the last listeners and bound ones */
static unsigned long state;
static char buf[9000];

static unsigned any(unsigned n)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(state >> 33) % n;
}

static socklen_t address(struct sockaddr_in6 *a, int family)
{
	int port = any(8) ? ports[any(8)] : (int)any(3);

	memset(a, 0, sizeof(*a));
	if (family == AF_INET) {
		struct sockaddr_in *a4 = (struct sockaddr_in *)a;

		a4->sin_family = any(30) ? AF_INET : (unsigned short)any(12);
		a4->sin_port = htons((unsigned short)port);
		a4->sin_addr.s_addr = any(4) ? htonl(INADDR_LOOPBACK) : 0;
		return any(30) ? sizeof(*a4) : any(20);
	}
	*a = in6(any(3) ? "::1" : any(2) ? "::" : "::ffff:127.0.0.1", port);
	a->sin6_family = any(30) ? AF_INET6 : (unsigned short)any(12);
	return any(30) ? sizeof(*a) : any(30);
}

static int family_of(int fd)
{
	int v = AF_INET;
	socklen_t n = sizeof(v);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &v, &n);
	return v;
}

static void make(int i)
{
	static const int families[] = {AF_INET, AF_INET, AF_INET6};
	static const int types[] = {SOCK_STREAM, SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW};
	int family = families[any(3)], type = types[any(5)];
	int protocol = type == SOCK_RAW ? (family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6) : 0;

	fds[i] = socket(family, type | SOCK_NONBLOCK, protocol);
}

static void option(int fd)
{
	static const int levels[] = {SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6};
	struct linger l = {(int)any(2), 0};
	socklen_t n = any(64);
	int level = levels[any(4)], name = (int)any(70),
	    v = any(5) ? (int)any(3) : (int)any(100000);

	switch (any(6)) {
	case 0:
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
		break;
	case 1:
	case 2:
		/* No time-outs: nothing here waits; no queue disciplines or filters of Linux's. */
		if (level != SOL_SOCKET || name < 20 || name == SO_TIMESTAMP)
			if (level != SOL_SOCKET || name != SO_LINGER)
				set_int(fd, level, name, v);
		break;
	default:
		getsockopt(fd, level, name, buf, &n);
	}
}

static void message(int fd)
{
	struct sockaddr_in6 a;
	struct iovec iov[3] = {{buf, any(3000)}, {buf + 100, any(10)}, {buf + 50, any(4000)}};
	char control[128] = {0};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = any(4)};

	if (any(2)) {
		m.msg_control = control;
		m.msg_controllen = any(sizeof(control));
	}
	if (any(2)) {
		if (any(2)) {
			m.msg_name = &a;
			m.msg_namelen = address(&a, family_of(fd));
		}
		sendmsg(fd, &m, MSG_NOSIGNAL | (any(4) ? 0 : MSG_MORE));
	} else {
		recvmsg(fd, &m, any(4) ? 0 : MSG_PEEK);
	}
}

static void turn(int i, int ep)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP}, got[8];
	struct sockaddr_in6 a;
	socklen_t n = sizeof(a);
	int fd = fds[i], other;

	switch (any(16)) {
	case 0:
		if (any(3))
			break;
		if (fd >= 0)
			close(fd);
		make(i);
		break;
	case 1:
		n = address(&a, family_of(fd));
		if (bind(fd, SA(a), n) == 0)
			ports[any(8)] = local_port(fd);
		break;
	case 2:
		if (listen(fd, (int)any(4)) == 0)
			ports[any(8)] = local_port(fd);
		break;
	case 3:
	case 4:
		n = address(&a, family_of(fd));
		connect(fd, SA(a), n);
		break;
	case 5:
	case 6:
		other = accept4(fd, SA(a), &n, SOCK_NONBLOCK);
		if (other >= 0) {
			int slot = (int)any(SOCKETS);

			if (fds[slot] >= 0)
				close(fds[slot]);
			fds[slot] = other;
		}
		break;
	case 7:
		shutdown(fd, (int)any(3));
		break;
	case 8:
	case 9:
		send(fd, buf, any(sizeof(buf)), MSG_NOSIGNAL);
		break;
	case 10:
	case 11:
		recv(fd, buf, any(sizeof(buf)), any(5) ? 0 : (int)any(0x100));
		break;
	case 12:
		option(fd);
		break;
	case 13:
		message(fd);
		break;
	case 14:
		epoll_ctl(ep, any(3) ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &e);
		epoll_wait(ep, got, 8, 0);
		break;
	case 15:
		getpeername(fd, SA(a), &n);
		events(fd, POLLIN | POLLOUT, 0);
		ioctl(fd, FIONREAD, &other);
		break;
	}
}

int main(int argc, char **argv)
{
	int ep = epoll_create1(0), fd[2];
	char c[8];

	state = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < SOCKETS; i++)
		make(i);
	for (int i = 0; i < TURNS; i++) {
		int k = (int)any(SOCKETS);

		if (fds[k] < 0)
			make(k);
		if (fds[k] >= 0)
			turn(k, ep);
	}
	for (int i = 0; i < SOCKETS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	CHECK(close(ep) == 0);
	/* and it works as before */
	tcp_pair(fd);
	CHECK(send(fd[0], "still", 5, 0) == 5 && recv(fd[1], c, 8, 0) == 5 &&
	      !memcmp(c, "still", 5));
	return success();
}
