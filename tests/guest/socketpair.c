/* SPDX-License-Identifier: Apache-2.0 */
/* socketpair.c: pairs of AF_UNIX sockets: streams, datagrams, packets; how they end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t got;
static char block[1 << 20], other[1 << 20];

static void on_signal(int sig)
{
	got = sig;
}

static int events(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void errors(void)
{
	static const struct {
		int family, type, protocol, err;
	} bad[] = {
		{AF_UNIX, SOCK_RDM, 0, ESOCKTNOSUPPORT},
		{AF_UNIX, SOCK_STREAM, 2, EPROTONOSUPPORT},
		{AF_UNIX, 12, 0, EINVAL},
		{AF_UNIX, SOCK_STREAM | 0x100, 0, EINVAL},
		{77, SOCK_STREAM, 0, EAFNOSUPPORT},
	};
	struct sockaddr_un a;
	socklen_t n = sizeof(a);
	char path[64], link[64] = "", want[64];
	struct stat st;
	int s[2];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CHECK_ERR(socketpair(bad[i].family, bad[i].type, bad[i].protocol, s), bad[i].err);
		CHECK_ERR(socket(bad[i].family, bad[i].type, bad[i].protocol), bad[i].err);
	}
	CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD_POINTER), EFAULT);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, AF_UNIX, s) == 0);
	CHECK(fcntl(s[0], F_GETFD) == FD_CLOEXEC && fcntl(s[1], F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(s[0], F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(getsockname(s[0], (void *)&a, &n) == 0 && n == 2 && a.sun_family == AF_UNIX);
	n = sizeof(a);
	CHECK(getpeername(s[0], (void *)&a, &n) == 0 && n == 2 && a.sun_family == AF_UNIX);
	CHECK_ERR(lseek(s[0], 0, SEEK_CUR), ESPIPE);
	CHECK_ERR(pread(s[0], block, 1, 0), ESPIPE);
	CHECK_ERR(listen(s[0], 1), EINVAL);
	CHECK_ERR(accept(s[0], NULL, NULL), EINVAL);
	CHECK_ERR(shutdown(s[0], 3), EINVAL);
	a = (struct sockaddr_un){AF_UNIX, "/tmp/none"};
	CHECK_ERR(sendto(s[0], "x", 1, 0, (void *)&a, sizeof(a)), EISCONN);
	CHECK(fstat(s[0], &st) == 0 && S_ISSOCK(st.st_mode) && st.st_size == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s[0]);
	snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0 && !strcmp(link, want));
	CHECK_ERR(open(path, O_RDWR), ENXIO);
	CHECK(fstat(s[1], &st) == 0 && close(s[0]) == 0 && close(s[1]) == 0);
	CHECK_ERR(send(s[0], "x", 1, 0), EBADF);
	CHECK_ERR(send(0, "x", 1, 0), ENOTSOCK);
}

static void streams(void)
{
	struct iovec v[3] = {{block, 3}, {block + 10, 0}, {block + 20, 5}};
	struct iovec w[2] = {{other, 4}, {other + 4, 60}};
	struct timeval limit = {0, 30000};
	int s[2], n;
	long filled = 0, r;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(events(s[0]) == POLLOUT);
	CHECK_ERR(recv(s[0], block, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(write(s[0], "one", 3) == 3 && send(s[0], "two", 3, 0) == 3);
	CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 6 && events(s[1]) == (POLLIN | POLLOUT));
	CHECK(recv(s[1], block, 4, MSG_PEEK) == 4 && !memcmp(block, "onet", 4));
	CHECK(recv(s[1], block, 64, MSG_PEEK) == 6);
	CHECK(read(s[1], block, 4) == 4 && !memcmp(block, "onet", 4));
	CHECK(recv(s[1], block, 64, MSG_DONTWAIT) == 2 && !memcmp(block, "wo", 2));
	CHECK(send(s[1], "", 0, 0) == 0 && events(s[0]) == POLLOUT);
	memcpy(block, "abc", 3);
	memcpy(block + 20, "defgh", 5);
	CHECK(writev(s[1], v, 3) == 8 && readv(s[0], w, 2) == 8 && !memcmp(other, "abcdefgh", 8));
	CHECK(write(s[1], "xyz", 3) == 3);
	CHECK_ERR(read(s[0], BAD_POINTER, 3), EFAULT);
	CHECK(read(s[0], other, 9) == 3 && !memcmp(other, "xyz", 3));
	CHECK_ERR(write(s[0], BAD_POINTER, 3), EFAULT);
	CHECK_ERR(recv(s[1], other, 9, MSG_DONTWAIT), EAGAIN);

	/* all that fits, and the same comes out */
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)(i * 7 + i / 251);
	while ((r = send(s[0], block + filled, sizeof(block) - (size_t)filled, MSG_DONTWAIT)) > 0)
		filled += r;
	CHECK(r == -1 && errno == EAGAIN && filled > 100000 && filled < 500000);
	CHECK(!(events(s[0]) & POLLOUT));
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
	CHECK_ERR(send(s[0], block, 1, 0), EAGAIN);
	CHECK(recv(s[1], other, (size_t)filled, MSG_WAITALL) == filled);
	CHECK(!memcmp(block, other, (size_t)filled) && events(s[0]) == POLLOUT);
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	CHECK_ERR(recv(s[1], other, 1, 0), EAGAIN);
	CHECK(send(s[0], "part", 4, 0) == 4 && recv(s[1], other, 10, MSG_WAITALL) == 4);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

static void ends(int type)
{
	int s[2], err = -1, stream = type == SOCK_STREAM;
	socklen_t n = sizeof(err);

	/* one direction */
	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK(write(s[0], "last", 4) == 4 && shutdown(s[0], SHUT_WR) == 0);
	got = 0;
	CHECK_ERR(write(s[0], "x", 1), EPIPE);
	CHECK(got == (stream ? SIGPIPE : 0));
	got = 0;
	CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(got == 0);
	CHECK(events(s[0]) == POLLOUT && events(s[1]) == (POLLIN | POLLOUT | POLLRDHUP));
	CHECK(read(s[1], block, 9) == 4 && read(s[1], block, 9) == 0);
	CHECK(recv(s[1], block, 9, MSG_DONTWAIT) == 0);
	CHECK(write(s[1], "back", 4) == 4 && read(s[0], block, 9) == 4);
	/* the other, by the reader */
	CHECK(shutdown(s[0], SHUT_RD) == 0);
	CHECK(events(s[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(read(s[0], block, 9) == 0);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);

	/* closed: what was sent is read first */
	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK(write(s[0], "last", 4) == 4 && close(s[0]) == 0);
	CHECK(events(s[1]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	CHECK(read(s[1], block, 9) == 4 && read(s[1], block, 9) == 0);
	CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(getsockopt(s[1], SOL_SOCKET, SO_ERROR, &err, &n) == 0 && err == 0);
	CHECK(close(s[1]) == 0);

	/* closed before all was read */
	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK(write(s[0], "x", 1) == 1 && close(s[1]) == 0);
	CHECK(events(s[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR));
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &err, &n) == 0 && err == ECONNRESET);
	CHECK(events(s[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	CHECK(read(s[0], block, 1) == 0 && close(s[0]) == 0);
}

static void messages(int type)
{
	struct iovec v = {block, 3};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	int s[2], n;

	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK(send(s[0], "first", 5, 0) == 5 && send(s[0], "", 0, 0) == 0);
	CHECK(send(s[0], "third", 5, 0) == 5);
	CHECK(recv(s[1], block, 2, MSG_PEEK) == 2 &&
	      recv(s[1], block, 2, MSG_PEEK | MSG_TRUNC) == 5);
	CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == (type == SOCK_DGRAM ? 5 : 10));
	CHECK(recv(s[1], block, 64, 0) == 5 && !memcmp(block, "first", 5));
	CHECK(recv(s[1], block, 64, 0) == 0);
	CHECK(recvmsg(s[1], &m, 0) == 3 && m.msg_flags == MSG_TRUNC && !memcmp(block, "thi", 3));
	CHECK_ERR(recv(s[1], block, 64, MSG_DONTWAIT), EAGAIN);
	CHECK_ERR(send(s[0], block, sizeof(block), 0), EMSGSIZE);
	CHECK(send(s[0], block, 100000, 0) == 100000 && recv(s[1], other, 200000, 0) == 100000);
	/* full is full, as a whole */
	n = 0;
	while (send(s[0], block, 10000, MSG_DONTWAIT) == 10000)
		n++;
	CHECK(errno == EAGAIN && n >= 8 && n < 100 && !(events(s[0]) & POLLOUT));
	while (n--)
		CHECK(recv(s[1], block, sizeof(block), MSG_DONTWAIT) == 10000);
	CHECK(events(s[0]) == POLLOUT && close(s[0]) == 0 && close(s[1]) == 0);
}

static void datagrams(void)
{
	int s[2];

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	CHECK(send(s[0], "kept", 4, 0) == 4 && close(s[0]) == 0);
	CHECK(events(s[1]) == (POLLIN | POLLOUT));
	CHECK(recv(s[1], block, 64, 0) == 4);
	CHECK_ERR(recv(s[1], block, 64, MSG_DONTWAIT), EAGAIN);
	got = 0;
	CHECK_ERR(send(s[1], "x", 1, 0), ECONNREFUSED);
	CHECK_ERR(send(s[1], "x", 1, 0), ENOTCONN);
	CHECK(got == 0 && close(s[1]) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	CHECK(shutdown(s[1], SHUT_RD) == 0);
	CHECK_ERR(send(s[0], "x", 1, 0), EPIPE);
	CHECK(got == 0 && close(s[0]) == 0 && close(s[1]) == 0);
}

static void options(void)
{
	struct ucred c = {0, 0, 0};
	struct timeval timer_at = {0, 20000};
	struct itimerval timer = {.it_value = timer_at};
	int s[2], v = 0;
	socklen_t n = sizeof(c);

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &c, &n) == 0 && n == sizeof(c));
	CHECK(c.pid == getpid() && c.uid == getuid() && c.gid == getgid());
	n = sizeof(v);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &n) == 0 && v == SOCK_SEQPACKET);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &n) == 0 && v == AF_UNIX);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &n) == 0 && v == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &n) == 0 && v > 4096);
	v = 8192;
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, n) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &n) == 0 && v == 16384);
	CHECK_ERR(send(s[0], block, 16384, 0), EMSGSIZE);
	CHECK_ERR(setsockopt(s[0], 77, 1, &v, n), EOPNOTSUPP);
	CHECK_ERR(getsockopt(s[0], SOL_SOCKET, 999, &v, &n), ENOPROTOOPT);

	/* nobody will send: only a signal ends the wait */
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK_ERR(recv(s[1], block, 1, 0), EINTR);
	CHECK(got == SIGALRM && close(s[0]) == 0 && close(s[1]) == 0);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	CHECK(sigaction(SIGPIPE, &sa, NULL) == 0 && sigaction(SIGALRM, &sa, NULL) == 0);
	errors();
	streams();
	ends(SOCK_STREAM);
	ends(SOCK_SEQPACKET);
	messages(SOCK_DGRAM);
	messages(SOCK_SEQPACKET);
	datagrams();
	options();
	return success();
}
