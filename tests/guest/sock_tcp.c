/* SPDX-License-Identifier: Apache-2.0 */
/* sock_tcp.c: TCP within the program: connections, bytes, their ends, and what poll says. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sock.h"

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	got = sig;
}

static void names(void)
{
	struct sockaddr_in a, b;
	socklen_t n = sizeof(a), few = 4;
	struct stat st;
	char text[64] = "", link[64];
	int fd[2], port, l = listener(5, &port);

	fd[0] = connected(port);
	fd[1] = accept4(l, SA(a), &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK(fd[1] >= 0 && n == sizeof(a) && a.sin_family == AF_INET);
	CHECK(a.sin_addr.s_addr == htonl(INADDR_LOOPBACK) &&
	      ntohs(a.sin_port) == local_port(fd[0]));
	CHECK(fcntl(fd[1], F_GETFL) == (O_RDWR | O_NONBLOCK) &&
	      fcntl(fd[1], F_GETFD) == FD_CLOEXEC);
	CHECK(getpeername(fd[0], SA(b), &n) == 0 && ntohs(b.sin_port) == port);
	CHECK(getsockname(fd[1], SA(b), &n) == 0 && ntohs(b.sin_port) == port);
	CHECK(b.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	memset(&b, 0x55, sizeof(b));
	CHECK(getsockname(fd[1], SA(b), &few) == 0 && few == sizeof(b)); /* cut */
	CHECK(b.sin_family == AF_INET && b.sin_addr.s_addr == 0x55555555);
	CHECK(fstat(fd[0], &st) == 0 && S_ISSOCK(st.st_mode));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd[0]);
	CHECK(readlink(link, text, sizeof(text) - 1) > 0);
	snprintf(link, sizeof(link), "socket:[%lu]", (unsigned long)st.st_ino);
	CHECK(!strcmp(text, link));
	CHECK_ERR(lseek(fd[0], 0, SEEK_CUR), ESPIPE);
	CHECK_ERR(pread(fd[0], text, 1, 0), ESPIPE);
	CHECK_ERR(fsync(fd[0]), EINVAL);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0 && close(l) == 0);
}

static unsigned sum(unsigned s, const unsigned char *p, long n)
{
	for (long i = 0; i < n; i++)
		s = s * 31 + p[i];
	return s;
}

/* 10 MB, as much at a time as there is room for. */
static void transfer(void)
{
	static unsigned char out[300000], in[70000];
	const long total = 10 * 1000 * 1000;
	unsigned sent = 0, received = 0;
	long nsent = 0, nreceived = 0;
	int fd[2];

	tcp_pair(fd);
	nonblocking(fd[0]);
	for (unsigned i = 0, x = 1; i < sizeof(out); i++, x = x * 1103515245 + 12345)
		out[i] = (unsigned char)(x >> 16);
	while (nreceived < total) {
		long n = total - nsent > (long)sizeof(out) ? (long)sizeof(out) : total - nsent;

		if (n) {
			n = write(fd[0], out, (size_t)n);
			CHECK(n > 0 || errno == EAGAIN);
			if (n > 0) {
				sent = sum(sent, out, n);
				nsent += n;
			}
		}
		CHECK(events(fd[1], POLLIN, 5000) == POLLIN);
		n = read(fd[1], in, sizeof(in));
		CHECK(n > 0);
		received = sum(received, in, n);
		nreceived += n;
	}
	CHECK(nsent == total && nreceived == total && sent == received);
	CHECK(events(fd[0], POLLOUT, 5000) == POLLOUT && events(fd[1], POLLIN, 0) == 0);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0);
}

static void bytes(void)
{
	char buf[64], part[2][8];
	struct iovec iov[2] = {{part[0], 3}, {part[1], 8}};
	struct iovec out[3] = {{"GET", 3}, {"", 0}, {" /x", 3}};
	int fd[2], n;

	tcp_pair(fd);
	CHECK_ERR(recv(fd[0], buf, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(writev(fd[0], out, 3) == 6);
	CHECK(events(fd[1], POLLIN | POLLOUT, 1000) == (POLLIN | POLLOUT));
	CHECK(ioctl(fd[1], FIONREAD, &n) == 0 && n == 6);
	CHECK(recv(fd[1], buf, 64, MSG_PEEK) == 6 && !memcmp(buf, "GET /x", 6));
	CHECK(recv(fd[1], buf, 2, MSG_PEEK) == 2);
	CHECK(readv(fd[1], iov, 2) == 6 && !memcmp(part[0], "GET", 3) &&
	      !memcmp(part[1], " /x", 3));
	CHECK_ERR(recv(fd[1], buf, 64, MSG_DONTWAIT), EAGAIN);

	/* WAITALL is there when all is; peeking, too */
	CHECK(send(fd[1], "12345", 5, 0) == 5 && send(fd[1], "67890", 5, 0) == 5);
	CHECK(events(fd[0], POLLIN, 1000) == POLLIN);
	CHECK(recv(fd[0], buf, 10, MSG_PEEK | MSG_WAITALL) == 10 && !memcmp(buf, "1234567890", 10));
	CHECK(recv(fd[0], buf, 10, MSG_WAITALL) == 10 && !memcmp(buf, "1234567890", 10));
	/* what is discarded is counted */
	CHECK(send(fd[1], "12345", 5, 0) == 5 && events(fd[0], POLLIN, 1000) == POLLIN);
	CHECK(recv(fd[0], NULL, 3, MSG_TRUNC) == 3 && recv(fd[0], buf, 9, 0) == 2 && buf[0] == '4');
	/* the address is not looked at once it is connected, nor is one given back */
	socklen_t len = sizeof(buf);
	CHECK(sendto(fd[1], "a", 1, 0, NULL, 0) == 1);
	CHECK(recvfrom(fd[0], buf, 1, 0, (struct sockaddr *)part, &len) == 1 && len == 0);
	CHECK(write(fd[0], "", 0) == 0 && read(fd[0], buf, 0) == 0);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0);
}

/* One side says its last; the other goes on. */
static void half_close(void)
{
	char buf[64];
	int fd[2];

	tcp_pair(fd);
	CHECK(events(fd[1], POLLIN | POLLRDHUP, 0) == 0);
	CHECK(send(fd[0], "last", 4, 0) == 4 && shutdown(fd[0], SHUT_WR) == 0);
	CHECK(events(fd[1], POLLIN | POLLOUT | POLLRDHUP, 1000) == (POLLIN | POLLOUT | POLLRDHUP));
	CHECK(read(fd[1], buf, 64) == 4 && read(fd[1], buf, 64) == 0 && read(fd[1], buf, 64) == 0);
	CHECK_ERR(send(fd[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(send(fd[1], "answer", 6, 0) == 6 && read(fd[0], buf, 64) == 6);
	CHECK(shutdown(fd[1], SHUT_WR) == 0);
	CHECK(events(fd[0], POLLIN | POLLRDHUP, 1000) == (POLLIN | POLLRDHUP | POLLHUP));
	CHECK(events(fd[1], POLLIN | POLLOUT, 1000) == (POLLIN | POLLOUT | POLLHUP));
	CHECK(read(fd[0], buf, 64) == 0 && close(fd[0]) == 0 && close(fd[1]) == 0);

	/* SHUT_RD says nothing to the other side */
	tcp_pair(fd);
	CHECK(shutdown(fd[0], SHUT_RD) == 0 && read(fd[0], buf, 1) == 0);
	CHECK(send(fd[0], "x", 1, 0) == 1 && read(fd[1], buf, 8) == 1);
	CHECK(close(fd[0]) == 0 && read(fd[1], buf, 8) == 0 && close(fd[1]) == 0);
}

static void resets(void)
{
	struct linger now = {1, 0};
	struct sigaction sa = {.sa_handler = on_signal};
	char buf[64];
	int fd[2];

	CHECK(sigaction(SIGPIPE, &sa, NULL) == 0);
	/* closed with bytes unread */
	tcp_pair(fd);
	CHECK(send(fd[0], "unread", 6, 0) == 6 && events(fd[1], POLLIN, 1000) == POLLIN);
	CHECK(close(fd[1]) == 0);
	CHECK(events(fd[0], POLLIN, 1000) == (POLLIN | POLLERR | POLLHUP));
	CHECK(get_int(fd[0], SOL_SOCKET, SO_ERROR) == ECONNRESET);
	CHECK(get_int(fd[0], SOL_SOCKET, SO_ERROR) == 0 && read(fd[0], buf, 1) == 0);
	got = 0;
	CHECK_ERR(write(fd[0], "x", 1), EPIPE);
	CHECK(got == SIGPIPE);
	got = 0;
	CHECK_ERR(send(fd[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(got == 0 && close(fd[0]) == 0);

	/* SO_LINGER with no time: what was received before is read first */
	tcp_pair(fd);
	CHECK(setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
	CHECK(close(fd[1]) == 0);
	CHECK(events(fd[0], POLLIN, 1000) & POLLERR);
	CHECK_ERR(read(fd[0], buf, 64), ECONNRESET);
	CHECK(read(fd[0], buf, 64) == 0 && close(fd[0]) == 0);

	/* data to who is gone: first it goes, then there is a reset */
	tcp_pair(fd);
	CHECK(close(fd[1]) == 0 && events(fd[0], POLLIN, 1000) == POLLIN);
	CHECK(send(fd[0], "x", 1, 0) == 1);
	CHECK(events(fd[0], 0, 1000) == (POLLERR | POLLHUP));
	CHECK_ERR(send(fd[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(close(fd[0]) == 0);
}

static void connects(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0), any = {.sin_family = AF_UNSPEC};
	int port, l = listener(5, &port), fd, n;

	/* not waiting: it is under way, then it is told once */
	a.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(events(fd, POLLIN | POLLOUT, 0) == (POLLOUT | POLLHUP)); /* never connected */
	CHECK_ERR(connect(fd, SA(a), sizeof(a)), EINPROGRESS);
	CHECK(events(fd, POLLOUT, 1000) == POLLOUT && get_int(fd, SOL_SOCKET, SO_ERROR) == 0);
	CHECK(connect(fd, SA(a), sizeof(a)) == 0);
	CHECK_ERR(connect(fd, SA(a), sizeof(a)), EISCONN);
	CHECK(events(l, POLLIN, 1000) == POLLIN && (n = accept(l, NULL, NULL)) >= 0);
	CHECK(close(n) == 0 && close(fd) == 0);
	CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
	CHECK(close(l) == 0);

	/* nobody there: the socket can try again */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERR(connect(fd, SA(a), sizeof(a)), ECONNREFUSED);
	CHECK_ERR(connect(fd, SA(a), sizeof(a)), ECONNREFUSED);
	l = listener(5, &port);
	a.sin_port = htons((uint16_t)port);
	CHECK(connect(fd, SA(a), sizeof(a)) == 0);
	CHECK_ERR(connect(fd, SA(a), sizeof(a)), EISCONN);
	/* AF_UNSPEC takes it back */
	CHECK(connect(fd, SA(any), sizeof(any)) == 0);
	CHECK_ERR(getpeername(fd, SA(any), &(socklen_t){sizeof(any)}), ENOTCONN);
	CHECK(connect(fd, SA(a), sizeof(a)) == 0 && close(fd) == 0);
	CHECK(close(l) == 0);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_ERR(connect(fd, SA(a), sizeof(a)), EINPROGRESS);
	CHECK(events(fd, POLLIN | POLLOUT, 1000) == (POLLIN | POLLOUT | POLLERR | POLLHUP));
	CHECK(get_int(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
	CHECK(get_int(fd, SOL_SOCKET, SO_ERROR) == 0 && close(fd) == 0);

	/* 0.0.0.0 is this machine */
	l = listener(5, &port);
	a = in4("0.0.0.0", port);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(fd, SA(a), sizeof(a)) == 0 && close(fd) == 0 && close(l) == 0);
}

static void backlog(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	int port, l = listener(1, &port), fd[3], n;

	/* One more than the backlog fits (listen in Linux); the third's SYN is dropped. */
	a.sin_port = htons((uint16_t)port);
	for (int i = 0; i < 3; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK_ERR(connect(fd[i], SA(a), sizeof(a)), EINPROGRESS);
		CHECK(events(fd[i], POLLOUT, i < 2 ? 1000 : 50) == (i < 2 ? POLLOUT : 0));
	}
	CHECK_ERR(connect(fd[2], SA(a), sizeof(a)), EALREADY);
	CHECK_ERR(send(fd[2], "x", 1, 0), EAGAIN);
	CHECK((n = accept(l, NULL, NULL)) >= 0 && close(n) == 0);
	CHECK(events(fd[2], POLLOUT, 10000) == POLLOUT); /* its SYN comes again */
	CHECK(get_int(l, SOL_SOCKET, SO_ACCEPTCONN) == 1 && listen(l, 5) == 0);

	/* what was not accepted when the listener goes is reset */
	CHECK(close(l) == 0 && events(fd[1], 0, 1000) == (POLLERR | POLLHUP));
	CHECK(get_int(fd[1], SOL_SOCKET, SO_ERROR) == ECONNRESET);
	for (int i = 0; i < 3; i++)
		CHECK(close(fd[i]) == 0);
}

/* Connections that are gone before they are accepted are accepted all the same. */
static void accepted_late(void)
{
	char buf[8];
	int port, l = listener(5, &port), fd = connected(port), n;

	CHECK(send(fd, "hello", 5, 0) == 5 && close(fd) == 0);
	CHECK((n = accept(l, NULL, NULL)) >= 0);
	CHECK(read(n, buf, 8) == 5 && read(n, buf, 8) == 0 && close(n) == 0);
	CHECK(shutdown(l, SHUT_RD) == 0);
	CHECK_ERR(accept(l, NULL, NULL), EINVAL);
	CHECK(get_int(l, SOL_SOCKET, SO_ACCEPTCONN) == 0 && close(l) == 0);
}

int main(void)
{
	names();
	bytes();
	transfer();
	half_close();
	resets();
	connects();
	backlog();
	accepted_late();
	return success();
}
