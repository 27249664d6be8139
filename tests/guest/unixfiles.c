/* SPDX-License-Identifier: Apache-2.0 */
/* unixfiles.c: what goes with the data of an AF_UNIX socket: open files and credentials. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

static char data[256];
static union {
	char bytes[2048];
	struct cmsghdr align;
} control;

/* Sends text with a control message of n bytes; type 0: without. */
static long send_with(int s, const char *text, int type, const void *what, size_t n)
{
	struct iovec v = {(char *)text, strlen(text)};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct cmsghdr *c = &control.align;

	if (type) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = type;
		c->cmsg_len = CMSG_LEN(n);
		memcpy(CMSG_DATA(c), what, n);
	}
	return sendmsg(s, &m, 0);
}

/* Receives up to size bytes and room bytes of control messages into the buffers above. */
static long receive(int s, size_t size, size_t room, int flags, struct msghdr *m)
{
	static struct iovec v;

	v = (struct iovec){data, size};
	memset(&control, 0, sizeof(control));
	*m = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1};
	m->msg_control = room ? &control : NULL;
	m->msg_controllen = room;
	return recvmsg(s, m, flags);
}

/* The descriptors of the one control message: how many. */
static int fds_of(struct msghdr *m, int *fd)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t n;

	if (!c)
		return 0;
	CHECK(c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && !CMSG_NXTHDR(m, c));
	n = c->cmsg_len - CMSG_LEN(0);
	memcpy(fd, CMSG_DATA(c), n);
	return (int)(n / sizeof(int));
}

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void files(int type)
{
	char path[] = "/tmp/mayfly-files-XXXXXX";
	int s[2], file = mkstemp(path), fd[4] = {-1, -1, -1, -1}, send[3], p[2];
	struct msghdr m;

	CHECK(file >= 0 && unlink(path) == 0 && write(file, "content", 7) == 7);
	CHECK(socketpair(AF_UNIX, type, 0, s) == 0 && pipe(p) == 0);

	/* another descriptor of the same open file: one position for both */
	CHECK(send_with(s[0], "x", SCM_RIGHTS, &file, sizeof(file)) == 1);
	CHECK(receive(s[1], 9, sizeof(control), MSG_CMSG_CLOEXEC, &m) == 1);
	CHECK(!(m.msg_flags & MSG_CTRUNC) && fds_of(&m, fd) == 1 && fd[0] != file);
	CHECK(fcntl(fd[0], F_GETFD) == FD_CLOEXEC);
	CHECK(lseek(fd[0], 2, SEEK_SET) == 2 && read(file, data, 9) == 5);
	CHECK(close(fd[0]) == 0);

	/* it stays open under way, without any descriptor */
	CHECK(send_with(s[0], "y", SCM_RIGHTS, &p[1], sizeof(int)) == 1 && close(p[1]) == 0);
	CHECK(fcntl(p[0], F_SETFL, O_NONBLOCK) == 0);
	CHECK_ERR(read(p[0], data, 1), EAGAIN);
	CHECK(receive(s[1], 9, sizeof(control), 0, &m) == 1 && fds_of(&m, fd) == 1);
	CHECK(fcntl(fd[0], F_GETFD) == 0 && write(fd[0], "z", 1) == 1 && close(fd[0]) == 0);
	CHECK(read(p[0], data, 9) == 1 && read(p[0], data, 9) == 0 && close(p[0]) == 0);

	/* several; too little room for them, or none: they are closed */
	send[0] = send[1] = send[2] = file;
	CHECK(send_with(s[0], "3", SCM_RIGHTS, send, sizeof(send)) == 1);
	CHECK(receive(s[1], 9, CMSG_SPACE(sizeof(send)), 0, &m) == 1);
	CHECK(m.msg_flags == 0 && fds_of(&m, fd) == 3);
	for (int i = 0; i < 3; i++)
		CHECK(close(fd[i]) == 0);
	CHECK(pipe(p) == 0);
	send[0] = file;
	send[1] = send[2] = p[1];
	CHECK(send_with(s[0], "3", SCM_RIGHTS, send, sizeof(send)) == 1 && close(p[1]) == 0);
	CHECK(receive(s[1], 9, CMSG_LEN(sizeof(int)), 0, &m) == 1);
	CHECK(m.msg_flags & MSG_CTRUNC && fds_of(&m, fd) == 1 && close(fd[0]) == 0);
	CHECK(read(p[0], data, 1) == 0 && close(p[0]) == 0);
	CHECK(pipe(p) == 0);
	CHECK(send_with(s[0], "1", SCM_RIGHTS, &p[1], sizeof(int)) == 1 && close(p[1]) == 0);
	CHECK(recv(s[1], data, 9, 0) == 1 && read(p[0], data, 1) == 0 && close(p[0]) == 0);
	CHECK(pipe(p) == 0);
	CHECK(send_with(s[0], "1", SCM_RIGHTS, &p[1], sizeof(int)) == 1 && close(p[1]) == 0);
	CHECK(receive(s[1], 9, 0, 0, &m) == 1 && m.msg_flags & MSG_CTRUNC);
	CHECK(read(p[0], data, 1) == 0 && close(p[0]) == 0);

	/* looked at: they come each time */
	CHECK(send_with(s[0], "p", SCM_RIGHTS, &file, sizeof(file)) == 1);
	CHECK(receive(s[1], 9, sizeof(control), MSG_PEEK, &m) == 1 && fds_of(&m, fd) == 1);
	CHECK(close(fd[0]) == 0);
	CHECK(receive(s[1], 9, sizeof(control), 0, &m) == 1 && fds_of(&m, fd) == 1);
	CHECK(close(fd[0]) == 0);

	/* bad ones */
	send[0] = 900;
	CHECK_ERR(send_with(s[0], "b", SCM_RIGHTS, send, sizeof(int)), EBADF);
	CHECK_ERR(send_with(s[0], "b", 77, send, sizeof(int)), EINVAL);
	CHECK_ERR(recv(s[1], data, 9, MSG_DONTWAIT), EAGAIN);

	/* never received: closed with the socket that they wait in */
	CHECK(pipe(p) == 0);
	CHECK(send_with(s[0], "1", SCM_RIGHTS, &p[1], sizeof(int)) == 1 && close(p[1]) == 0);
	CHECK(close(s[1]) == 0 && read(p[0], data, 1) == 0);
	CHECK(close(s[0]) == 0 && close(p[0]) == 0 && close(file) == 0);
}

/* A stream's data is not read on behind files. */
static void stream(void)
{
	int s[2], e = eventfd(0, 0), fd[4];
	struct msghdr m;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(write(s[0], "one", 3) == 3);
	CHECK(send_with(s[0], "two", SCM_RIGHTS, &e, sizeof(e)) == 3);
	CHECK(write(s[0], "three", 5) == 5);
	CHECK(receive(s[1], 64, sizeof(control), 0, &m) == 6 && !memcmp(data, "onetwo", 6));
	CHECK(fds_of(&m, fd) == 1 && close(fd[0]) == 0);
	CHECK(receive(s[1], 64, sizeof(control), 0, &m) == 5 && fds_of(&m, fd) == 0);
	/* they come with the first byte that is read */
	CHECK(send_with(s[0], "abc", SCM_RIGHTS, &e, sizeof(e)) == 3);
	CHECK(receive(s[1], 1, sizeof(control), 0, &m) == 1 && fds_of(&m, fd) == 1);
	CHECK(close(fd[0]) == 0);
	CHECK(receive(s[1], 64, sizeof(control), 0, &m) == 2 && fds_of(&m, fd) == 0);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0 && close(e) == 0);
}

/* An epoll watches the open file: also through a descriptor that was sent. */
static void watched(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int s[2], e = eventfd(0, 0), ep = epoll_create1(0), fd[4];
	struct msghdr m;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev) == 0);
	CHECK(send_with(s[0], "x", SCM_RIGHTS, &e, sizeof(e)) == 1 && close(e) == 0);
	CHECK(receive(s[1], 9, sizeof(control), 0, &m) == 1 && fds_of(&m, fd) == 1);
	CHECK(eventfd_write(fd[0], 1) == 0 && epoll_wait(ep, &ev, 1, 0) == 1);
	CHECK(close(fd[0]) == 0 && epoll_wait(ep, &ev, 1, 0) == 0);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0 && close(ep) == 0);
}

/* Sockets in the queues of sockets in the queues of sockets. */
static void within(void)
{
	enum { DEEP = 300 };
	int s[2], t[2], p[2], last;

	CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(send_with(s[0], "x", SCM_RIGHTS, &p[1], sizeof(int)) == 1 && close(p[1]) == 0);
	CHECK(close(s[0]) == 0);
	last = s[1];
	for (int i = 0; i < DEEP; i++) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, t) == 0);
		/* Linux limits how deep */
		if (send_with(t[0], "x", SCM_RIGHTS, &last, sizeof(last)) != 1)
			CHECK(errno == ETOOMANYREFS);
		CHECK(close(t[0]) == 0 && close(last) == 0);
		last = t[1];
	}
	CHECK(close(last) == 0 && read(p[0], data, 1) == 0 && close(p[0]) == 0);
	CHECK(!is_open(last));
}

static void credentials(int type)
{
	struct ucred c = {getpid(), getuid(), getgid()}, bad = {getpid() + 1, getuid(), getgid()};
	struct cmsghdr *h = &control.align;
	struct msghdr m;
	int s[2], on = 1;
	socklen_t n = sizeof(on);

	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, n) == 0);
	on = 0;
	CHECK(getsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, &n) == 0 && on == 1);
	CHECK(send_with(s[0], "a", 0, NULL, 0) == 1);
	CHECK(receive(s[1], 9, sizeof(control), 0, &m) == 1 && CMSG_FIRSTHDR(&m) == h);
	CHECK(h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof(c)));
	CHECK(!memcmp(CMSG_DATA(h), &c, sizeof(c)) && !CMSG_NXTHDR(&m, h));
	CHECK(send_with(s[0], "a", SCM_CREDENTIALS, &c, sizeof(c)) == 1);
	CHECK(receive(s[1], 9, sizeof(control), 0, &m) == 1);
	CHECK(!memcmp(CMSG_DATA(h), &c, sizeof(c)));
	CHECK_ERR(send_with(s[0], "a", SCM_CREDENTIALS, &c, 4), EINVAL);
	bad.pid = 0x3fffffff; /* more than there can be */
	CHECK(send_with(s[0], "a", SCM_CREDENTIALS, &bad, sizeof(bad)) == -1);
	CHECK(errno == (getuid() ? EPERM : ESRCH));
	/* no room: it is said */
	CHECK(send_with(s[0], "a", 0, NULL, 0) == 1);
	CHECK(receive(s[1], 9, 0, 0, &m) == 1 && m.msg_flags & MSG_CTRUNC);
	CHECK(close(s[0]) == 0 && close(s[1]) == 0);
}

int main(void)
{
	files(SOCK_STREAM);
	files(SOCK_DGRAM);
	files(SOCK_SEQPACKET);
	stream();
	watched();
	within();
	credentials(SOCK_STREAM);
	credentials(SOCK_DGRAM);
	return success();
}
