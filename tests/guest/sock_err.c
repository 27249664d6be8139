/* SPDX-License-Identifier: Apache-2.0 */
/* sock_err.c: what the calls on sockets say when they cannot: the errors of their man pages. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/uio.h>

#include "sock.h"

static void making(void)
{
	int sv[2], fd;

	CHECK_ERR(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERR(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERR(socket(AF_INET, 0, 0), ESOCKTNOSUPPORT);
	CHECK_ERR(socket(AF_INET, 14, 0), EINVAL);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM | 0x100000, 0), EINVAL);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, -1), EINVAL);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, 1000), EINVAL);
	CHECK_ERR(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_INET6, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	CHECK_ERR(socketpair(AF_INET, SOCK_STREAM, 0, sv), EOPNOTSUPP);
	CHECK((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP)) >= 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(close(fd) == 0);
}

/* Every call on what is none, or no socket. */
static void descriptors(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	struct msghdr m = {0};
	socklen_t n = sizeof(a);
	char c[1];
	int p[2], v = 1;

	CHECK(pipe(p) == 0);
	for (int i = 0; i < 2; i++) {
		int fd = i ? p[0] : 4000, e = i ? ENOTSOCK : EBADF;

		CHECK_ERR(bind(fd, SA(a), n), e);
		CHECK_ERR(listen(fd, 1), e);
		CHECK_ERR(accept(fd, NULL, NULL), e);
		CHECK_ERR(syscall(SYS_accept4, fd, NULL, NULL, 0x100000), i ? EINVAL : EBADF);
		CHECK_ERR(connect(fd, SA(a), n), e);
		CHECK_ERR(shutdown(fd, SHUT_RD), e);
		CHECK_ERR(getsockname(fd, SA(a), &n), e);
		CHECK_ERR(getpeername(fd, SA(a), &n), e);
		CHECK_ERR(send(fd, c, 1, 0), e);
		CHECK_ERR(recv(fd, c, 1, 0), e);
		CHECK_ERR(sendmsg(fd, &m, 0), e);
		CHECK_ERR(recvmsg(fd, &m, 0), e);
		CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, sizeof(v)), e);
		CHECK_ERR(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, &n), e);
	}
	CHECK(close(p[0]) == 0 && close(p[1]) == 0);
}

static void binding(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0), away = in4("192.0.2.1", 0);
	struct sockaddr_in6 six = in6("::1", 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0), port;

	CHECK_ERR(bind(fd, SA(a), 5), EINVAL);
	CHECK_ERR(bind(fd, SA(a), 500), EINVAL);
	CHECK_ERR(bind(fd, BAD_POINTER, sizeof(a)), EFAULT);
	CHECK_ERR(bind(fd, SA(six), sizeof(six)), EAFNOSUPPORT);
	CHECK_ERR(bind(fd, SA(away), sizeof(away)), EADDRNOTAVAIL);
	a.sin_family = AF_UNSPEC; /* stands for AF_INET where the address is none */
	CHECK_ERR(bind(fd, SA(a), sizeof(a)), EAFNOSUPPORT);
	a.sin_family = AF_INET;
	CHECK(bind(fd, SA(a), sizeof(a)) == 0);
	CHECK_ERR(bind(fd, SA(a), sizeof(a)), EINVAL);
	port = local_port(fd);
	a.sin_port = htons((uint16_t)port);
	CHECK_ERR(bind(other, SA(a), sizeof(a)), EADDRINUSE);
	a.sin_addr.s_addr = 0;
	CHECK_ERR(bind(other, SA(a), sizeof(a)), EADDRINUSE);
	/* with SO_REUSEADDR on both, until one listens */
	CHECK(set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	CHECK(set_int(other, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	a = in4("127.0.0.1", port);
	CHECK(bind(other, SA(a), sizeof(a)) == 0 && listen(fd, 1) == 0);
	CHECK_ERR(listen(other, 1), EADDRINUSE);
	CHECK(close(fd) == 0 && close(other) == 0);

	fd = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK_ERR(bind(fd, SA(a), sizeof(a)), EINVAL);
	six = in6("2001:db8::1", 0);
	CHECK_ERR(bind(fd, SA(six), sizeof(six)), EADDRNOTAVAIL);
	six = in6("fe80::1", 0);
	CHECK_ERR(bind(fd, SA(six), sizeof(six)), EINVAL); /* which interface? */
	CHECK(close(fd) == 0);
}

static void listening(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	char c[1];
	int port, l = listener(5, &port), fd;

	CHECK_ERR(connect(l, SA(a), sizeof(a)), EISCONN);
	CHECK_ERR(recv(l, c, 1, 0), ENOTCONN);
	CHECK_ERR(send(l, c, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERR(getpeername(l, SA(a), &(socklen_t){sizeof(a)}), ENOTCONN);
	CHECK_ERR(syscall(SYS_accept4, l, NULL, NULL, 1), EINVAL);
	fd = connected(port);
	CHECK_ERR(accept(l, SA(a), BAD_POINTER), EFAULT);
	CHECK_ERR(listen(fd, 5), EINVAL);
	CHECK_ERR(accept(fd, NULL, NULL), EINVAL);
	CHECK(close(fd) == 0 && close(l) == 0);
	fd = socket(AF_INET, SOCK_STREAM, 0); /* without bind: at any port */
	CHECK(listen(fd, 5) == 0 && local_port(fd) != 0 && close(fd) == 0);
}

static void connecting(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 1), many = in4("224.0.0.1", 1);
	struct sockaddr_in6 six = in6("::1", 1);
	int fd = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK_ERR(connect(fd, SA(a), 1), EINVAL);
	CHECK_ERR(connect(fd, SA(a), 8), EINVAL);
	CHECK_ERR(connect(fd, BAD_POINTER, sizeof(a)), EFAULT);
	CHECK_ERR(connect(fd, SA(six), sizeof(six)), EAFNOSUPPORT);
	CHECK_ERR(connect(fd, SA(many), sizeof(many)), ENETUNREACH);
	CHECK_ERR(connect(udp, SA(six), sizeof(six)), EAFNOSUPPORT);
	a = in4("255.255.255.255", 9);
	CHECK(connect(udp, SA(a), sizeof(a)) == -1 && (errno == EACCES || errno == ENETUNREACH));
	CHECK_ERR(sendto(udp, "x", 1, 0, SA(six), sizeof(six)), EAFNOSUPPORT);
	CHECK_ERR(sendto(udp, "x", 1, 0, SA(a), 8), EINVAL);
	a = in4("127.0.0.1", 0);
	CHECK_ERR(sendto(udp, "x", 1, 0, SA(a), sizeof(a)), EINVAL);
	CHECK_ERR(send(udp, "x", 1, MSG_OOB), EOPNOTSUPP);
	CHECK(close(udp) == 0 && close(fd) == 0);
}

/* Never connected. */
static void idle(void)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a), negative = (socklen_t)-1;
	char c[1];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK_ERR(recv(fd, c, 1, 0), ENOTCONN);
	CHECK_ERR(send(fd, c, 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERR(shutdown(fd, SHUT_RDWR), ENOTCONN);
	CHECK_ERR(shutdown(fd, 3), EINVAL);
	CHECK_ERR(getpeername(fd, SA(a), &n), ENOTCONN);
	CHECK_ERR(accept(fd, NULL, NULL), EINVAL);
	CHECK_ERR(getsockname(fd, SA(a), &negative), EINVAL);
	CHECK_ERR(getsockname(fd, SA(a), BAD_POINTER), EFAULT);
	CHECK_ERR(getsockname(fd, BAD_POINTER, &n), EFAULT);
	CHECK_ERR(recv(fd, c, 1, MSG_ERRQUEUE), EAGAIN);
	CHECK(getsockname(fd, SA(a), &n) == 0 && n == sizeof(a) && !a.sin_port &&
	      !a.sin_addr.s_addr);
	CHECK(close(fd) == 0);
}

static void buffers(void)
{
	struct iovec iov = {BAD_POINTER, 4};
	char c[4];
	int fd[2];

	tcp_pair(fd);
	CHECK_ERR(send(fd[0], BAD_POINTER, 4, 0), EFAULT);
	CHECK_ERR(writev(fd[0], &iov, 1), EFAULT);
	CHECK(send(fd[0], "1234", 4, 0) == 4);
	CHECK_ERR(recv(fd[1], BAD_POINTER, 4, 0), EFAULT);
	CHECK(recv(fd[1], c, 4, 0) == 4 && !memcmp(c, "1234", 4)); /* nothing was lost */
	CHECK_ERR(recv(fd[1], c, 4, MSG_OOB), EINVAL);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0);
}

int main(void)
{
	making();
	descriptors();
	binding();
	listening();
	connecting();
	idle();
	buffers();
	return success();
}
