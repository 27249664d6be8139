/* SPDX-License-Identifier: Apache-2.0 */
/* unixsock.c: AF_UNIX sockets with names: paths and abstract ones; connections, datagrams. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

#define START offsetof(struct sockaddr_un, sun_path)

static char dir[] = "/tmp/mayfly-unix-XXXXXX";

static struct sockaddr_un at(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name);
	return a;
}

/* @NAME: abstract; else a file in the directory. */
static socklen_t address(const char *name, struct sockaddr_un *a)
{
	*a = at(name);
	if (*name != '@')
		return sizeof(*a);
	memset(a->sun_path, 0, sizeof(a->sun_path));
	snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "mayfly-%d-%s", getpid(), name + 1);
	return (socklen_t)(START + 1 + strlen(a->sun_path + 1));
}

static int bind_to(int s, const char *name)
{
	struct sockaddr_un a;
	socklen_t n = address(name, &a);

	return bind(s, (void *)&a, n);
}

static int connect_to(int s, const char *name)
{
	struct sockaddr_un a;
	socklen_t n = address(name, &a);

	return connect(s, (void *)&a, n);
}

static long send_to(int s, const char *name, const char *text)
{
	struct sockaddr_un a;
	socklen_t n = address(name, &a);

	return sendto(s, text, strlen(text), 0, (void *)&a, n);
}

/* The name that the call gives is this one; NULL: none. */
static void check_name(int (*call)(int, struct sockaddr *, socklen_t *), int s, const char *name)
{
	struct sockaddr_un a, want;
	socklen_t n = sizeof(a), m;

	memset(&a, 1, sizeof(a));
	CHECK(call(s, (void *)&a, &n) == 0 && a.sun_family == AF_UNIX);
	if (!name) {
		CHECK(n == START);
		return;
	}
	m = address(name, &want);
	if (*name != '@')
		m = (socklen_t)(START + strlen(want.sun_path) + 1);
	CHECK(n == m && !memcmp(&a, &want, n));
}

static int events(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void names(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0), file;
	struct sockaddr_un a = at("s"), b;
	socklen_t n = sizeof(a);
	struct stat st;
	char c;

	CHECK(s >= 0 && d >= 0 && events(s) == (POLLOUT | POLLHUP) && events(d) == POLLOUT);
	check_name(getsockname, s, NULL);
	CHECK_ERR(getpeername(s, (void *)&b, &n), ENOTCONN);
	CHECK_ERR(read(s, &c, 1), EINVAL);
	CHECK_ERR(send(s, "x", 1, MSG_NOSIGNAL), ENOTCONN);
	CHECK_ERR(send(d, "x", 1, 0), ENOTCONN);
	CHECK_ERR(listen(s, 1), EINVAL);
	CHECK_ERR(listen(d, 1), EOPNOTSUPP);
	CHECK_ERR(accept(d, NULL, NULL), EOPNOTSUPP);

	/* addresses */
	CHECK_ERR(bind(s, (void *)&a, START - 1), EINVAL);
	CHECK_ERR(bind(s, (void *)&a, sizeof(a) + 1), EINVAL);
	a.sun_family = AF_INET;
	CHECK_ERR(bind(s, (void *)&a, sizeof(a)), EINVAL);
	CHECK_ERR(connect(s, (void *)&a, sizeof(a)), EINVAL);
	a.sun_family = AF_UNIX;
	CHECK_ERR(connect(s, (void *)&a, START), EINVAL);
	CHECK_ERR(bind(s, BAD_POINTER, sizeof(a)), EFAULT);
	CHECK_ERR(connect_to(s, "none"), ENOENT);
	CHECK_ERR(connect_to(s, "none/none"), ENOENT);
	CHECK_ERR(connect_to(s, "@none"), ECONNREFUSED);
	CHECK_ERR(bind_to(s, "none/none"), ENOENT);
	file = open(at("file").sun_path, O_CREAT | O_WRONLY, 0600);
	CHECK(file >= 0 && close(file) == 0);
	CHECK_ERR(bind_to(s, "file"), EADDRINUSE);
	CHECK_ERR(bind_to(s, "file/s"), ENOTDIR);
	CHECK_ERR(connect_to(s, "file"), ECONNREFUSED);

	/* a path is a node of the file system, and stays there */
	umask(022);
	CHECK(bind_to(s, "s") == 0);
	check_name(getsockname, s, "s");
	CHECK(stat(at("s").sun_path, &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK((st.st_mode & 0777) == 0755 && st.st_nlink == 1 && st.st_size == 0);
	CHECK_ERR(open(at("s").sun_path, O_RDWR), ENXIO);
	file = open(at("s").sun_path, O_PATH);
	CHECK(file >= 0 && close(file) == 0);
	CHECK_ERR(bind_to(s, "t"), EINVAL);
	CHECK_ERR(bind_to(d, "s"), EADDRINUSE);
	CHECK_ERR(connect_to(d, "s"), EPROTOTYPE);
	CHECK_ERR(send_to(d, "s", "x"), EPROTOTYPE);
	CHECK(close(s) == 0);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERR(connect_to(s, "s"), ECONNREFUSED);
	CHECK_ERR(bind_to(s, "s"), EADDRINUSE);
	CHECK(unlink(at("s").sun_path) == 0 && bind_to(s, "s") == 0);
	CHECK_ERR(connect_to(s, "s"), ECONNREFUSED); /* nobody listens */
	CHECK(rename(at("s").sun_path, at("r").sun_path) == 0);
	check_name(getsockname, s, "s");
	CHECK(close(s) == 0 && unlink(at("r").sun_path) == 0);

	/* abstract names are gone with their socket */
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind_to(s, "@a") == 0);
	check_name(getsockname, s, "@a");
	CHECK_ERR(bind_to(s, "@b"), EINVAL);
	file = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERR(bind_to(file, "@a"), EADDRINUSE);
	CHECK(close(s) == 0 && bind_to(file, "@a") == 0 && close(file) == 0);
	/* and the kernel gives some: five digits */
	CHECK(bind(d, (void *)&a, START) == 0);
	n = sizeof(b);
	CHECK(getsockname(d, (void *)&b, &n) == 0 && n == START + 6 && !b.sun_path[0]);
	for (int i = 1; i < 6; i++)
		CHECK(strchr("0123456789abcdef", b.sun_path[i]));
	CHECK(close(d) == 0);
}

static void connections(int type, const char *name)
{
	int l = socket(AF_UNIX, type | SOCK_NONBLOCK, 0), c[3], s, v;
	struct sockaddr_un a;
	socklen_t n = sizeof(v);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	int ep = epoll_create1(0);
	struct ucred cred;
	char buf[16];

	for (int i = 0; i < 3; i++)
		c[i] = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
	CHECK(bind_to(l, name) == 0 && listen(l, 1) == 0 && events(l) == 0);
	CHECK(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &v, &n) == 0 && v == 1);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, l, &e) == 0 && epoll_wait(ep, &e, 1, 0) == 0);
	CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
	CHECK_ERR(connect_to(l, name), EINVAL);
	/* a backlog of one lets two wait */
	CHECK(connect_to(c[0], name) == 0 && epoll_wait(ep, &e, 1, 0) == 1);
	CHECK(connect_to(c[1], name) == 0 && epoll_wait(ep, &e, 1, 0) == 1);
	CHECK_ERR(connect_to(c[2], name), EAGAIN);
	CHECK(events(l) == POLLIN && epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(events(c[0]) == POLLOUT);
	check_name(getpeername, c[0], name);
	check_name(getsockname, c[0], NULL);
	/* sent before it was accepted */
	CHECK(send(c[0], "early", 5, 0) == 5);
	n = sizeof(a);
	s = accept4(l, (void *)&a, &n, SOCK_CLOEXEC);
	CHECK(s >= 0 && n == START && fcntl(s, F_GETFD) == FD_CLOEXEC &&
	      fcntl(s, F_GETFL) == O_RDWR);
	check_name(getsockname, s, name);
	check_name(getpeername, s, NULL);
	CHECK(recv(s, buf, 16, 0) == 5 && !memcmp(buf, "early", 5));
	n = sizeof(cred);
	CHECK(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 && cred.pid == getpid());
	CHECK(getsockopt(c[0], SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 && cred.uid == getuid());
	CHECK(send(s, "hello", 5, 0) == 5 && recv(c[0], buf, 16, 0) == 5);
	CHECK(connect_to(c[2], name) == 0); /* there is room again */
	CHECK_ERR(connect_to(c[0], name), EAGAIN);
	CHECK(listen(l, 5) == 0);
	CHECK_ERR(connect_to(c[0], name), EISCONN);
	CHECK_ERR(listen(s, 1), EINVAL);
	/* the listener's end is the end of those that wait only */
	CHECK(close(l) == 0 && events(c[0]) == POLLOUT);
	CHECK(events(c[1]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR));
	CHECK_ERR(recv(c[1], buf, 1, 0), ECONNRESET);
	CHECK(recv(c[1], buf, 1, 0) == 0);
	CHECK(send(s, "still", 5, 0) == 5 && recv(c[0], buf, 16, 0) == 5);
	CHECK(close(s) == 0 && recv(c[0], buf, 16, 0) == 0);
	check_name(getpeername, c[0], name);
	l = socket(AF_UNIX, type, 0);
	CHECK_ERR(connect_to(l, name), ECONNREFUSED);
	CHECK(close(l) == 0 && close(ep) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(close(c[i]) == 0);
	if (*name != '@')
		CHECK(unlink(at(name).sun_path) == 0);
}

static void datagrams(void)
{
	int a = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int b = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), n = 0;
	struct sockaddr_un from, want, none = {.sun_family = AF_UNSPEC};
	struct epoll_event e = {.events = EPOLLOUT | EPOLLET};
	socklen_t bytes = sizeof(from);
	int ep = epoll_create1(0);
	char buf[64];

	CHECK(bind_to(a, "a") == 0 && bind_to(b, "@b") == 0);
	CHECK(send_to(b, "a", "hi") == 2 && send_to(c, "a", "there") == 5);
	CHECK(recvfrom(a, buf, 64, 0, (void *)&from, &bytes) == 2);
	CHECK(bytes == address("@b", &want) && !memcmp(&from, &want, bytes));
	bytes = sizeof(from);
	CHECK(recvfrom(a, buf, 64, 0, (void *)&from, &bytes) == 5 && bytes == 0);
	CHECK_ERR(send_to(a, "@none", "x"), ECONNREFUSED);
	CHECK_ERR(send_to(a, "none", "x"), ENOENT);

	/* connected: where to, and from whom alone */
	CHECK(connect_to(a, "@b") == 0);
	check_name(getpeername, a, "@b");
	CHECK(send(a, "one", 3, 0) == 3 && recv(b, buf, 64, 0) == 3);
	CHECK(send_to(b, "a", "back") == 4 && recv(a, buf, 64, 0) == 4);
	CHECK_ERR(send_to(c, "a", "x"), EPERM);
	CHECK_ERR(connect_to(c, "a"), EPERM);
	CHECK(connect(a, (void *)&none, sizeof(none)) == 0);
	CHECK_ERR(getpeername(a, (void *)&from, &bytes), ENOTCONN);
	CHECK_ERR(send(a, "x", 1, 0), ENOTCONN);
	CHECK(send_to(c, "a", "x") == 1 && recv(a, buf, 64, 0) == 1);

	/* strangers wait when ten or so are unread; an edge when they need not any more */
	CHECK(connect_to(c, "a") == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, c, &e) == 0);
	CHECK(epoll_wait(ep, &e, 1, 0) == 1 && e.events == EPOLLOUT);
	while (n < 1000 && send(c, "x", 1, 0) == 1)
		n++;
	CHECK(errno == EAGAIN && n >= 10 && n < 1000 && events(c) == 0);
	CHECK(epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(recv(a, buf, 64, 0) == 1 && epoll_wait(ep, &e, 1, 0) == 1 && events(c) == POLLOUT);
	CHECK(send(c, "x", 1, 0) == 1);
	CHECK_ERR(send(c, "x", 1, 0), EAGAIN);
	CHECK(close(a) == 0);
	CHECK_ERR(send(c, "x", 1, 0), ECONNREFUSED);
	CHECK_ERR(send(c, "x", 1, 0), ENOTCONN);
	CHECK_ERR(send_to(c, "a", "x"), ECONNREFUSED);
	CHECK(unlink(at("a").sun_path) == 0);
	CHECK(close(b) == 0 && close(c) == 0 && close(ep) == 0);

	/* to itself */
	a = socket(AF_UNIX, SOCK_DGRAM, 0);
	CHECK(bind_to(a, "@self") == 0 && connect_to(a, "@self") == 0);
	CHECK(send(a, "me", 2, 0) == 2 && recv(a, buf, 64, 0) == 2 && close(a) == 0);
}

/* Many at a time, and none is left over. */
static void many(void)
{
	enum { MANY = 450 };
	static int c[MANY], s[MANY];
	int l = socket(AF_UNIX, SOCK_STREAM, 0), ep = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN};
	char buf[8];

	CHECK(bind_to(l, "@many") == 0 && listen(l, 64) == 0);
	for (int i = 0; i < MANY; i++) {
		c[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(connect_to(c[i], "@many") == 0);
		s[i] = accept(l, NULL, NULL);
		e = (struct epoll_event){.events = EPOLLIN, .data.u64 = (uint64_t)i};
		CHECK(s[i] >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, s[i], &e) == 0);
	}
	for (int i = 0; i < MANY; i++) {
		int at = i * 77 % MANY;

		CHECK(write(c[at], &at, sizeof(at)) == sizeof(at));
		CHECK(epoll_wait(ep, &e, 1, -1) == 1 && e.data.u64 == (uint64_t)at);
		CHECK(read(s[at], buf, sizeof(buf)) == sizeof(at) && !memcmp(buf, &at, sizeof(at)));
	}
	for (int i = 0; i < MANY; i++)
		CHECK(close(i % 2 ? c[i] : s[i]) == 0);
	for (int i = 0; i < MANY; i++)
		CHECK(read(i % 2 ? s[i] : c[i], buf, 1) == 0 && close(i % 2 ? s[i] : c[i]) == 0);
	CHECK(close(l) == 0 && close(ep) == 0);
}

int main(void)
{
	CHECK(mkdtemp(dir));
	names();
	connections(SOCK_STREAM, "path");
	connections(SOCK_STREAM, "@abstract");
	connections(SOCK_SEQPACKET, "path");
	datagrams();
	many();
	CHECK(unlink(at("file").sun_path) == 0 && rmdir(dir) == 0);
	return success();
}
