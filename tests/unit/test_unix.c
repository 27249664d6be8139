/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_unix.c: AF_UNIX sockets at random: who refers to whom must come out even, whatever is
 * closed first and wherever memory is out. AddressSanitizer sees what is used too late.
 */
/* clang-format off */
/* sources: unikernel/net/unix.c unikernel/net/unixname.c unikernel/net/unixmsg.c unikernel/net/socket.c unikernel/net/sockmsg.c unikernel/net/sockopt.c unikernel/epoll.c unikernel/eventfd.c unikernel/timerfd.c unikernel/vfs.c unikernel/walk.c unikernel/file.c unikernel/fd.c unikernel/path.c unikernel/stat.c unikernel/names.c unikernel/links.c unikernel/attr.c unikernel/node.c unikernel/dir.c unikernel/ramfs.c unikernel/dev.c unikernel/proc.c unikernel/etc.c unikernel/pipe.c unikernel/poll.c tests/unit/uk_mock.c */
/* clang-format on */
/* First: after libc's headers Linux's leave out what libc has under the same name. */
#include "../../unikernel/vfs.h"
#include "../../unikernel/net/net.h"
#include "../../unikernel/net/sock.h"
#include "uk_mock.h"

#include <asm/poll.h>
#include <asm/socket.h>
#include <linux/eventpoll.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- the other families, of which there is none ---- */

long net_stack_start(void)
{
	return 0;
}

long inet_socket(uint16_t family, uint16_t type, uint16_t protocol, struct sock **s)
{
	(void)family, (void)type, (void)protocol, (void)s;
	return -EAFNOSUPPORT;
}

long netlink_socket(uint16_t type, uint16_t protocol, struct sock **s)
{
	(void)type, (void)protocol, (void)s;
	return -EAFNOSUPPORT;
}

long packet_socket(uint16_t type, uint16_t protocol, struct sock **s)
{
	(void)type, (void)protocol, (void)s;
	return -EAFNOSUPPORT;
}

bool net_if_get(uint32_t index, struct net_if *out)
{
	(void)index, (void)out;
	return false;
}

bool net_if_find(const char *name, struct net_if *out)
{
	(void)name, (void)out;
	return false;
}

long net_if_ioctl(uint32_t cmd, uint64_t arg)
{
	(void)cmd, (void)arg;
	return -ENOTTY;
}

void uk_signal_no_restart(void)
{
}

/* ---- what is done ---- */

enum { FIRST = 3, LAST = 40 }; /* descriptors in play */

static uint8_t data[300000];
static int ep;

static int any_fd(void)
{
	return FIRST + rand() % (LAST - FIRST);
}

/* One of a few names: abstract ones, and two paths. */
static uint32_t any_name(struct sock_address *at)
{
	static const char *const name[] = {"\0a", "\0b", "\0c", "/tmp/x", "/tmp/y"};
	int i = rand() % 5;

	memset(at, 0, sizeof(*at));
	at->family = AF_UNIX;
	memcpy(at->raw + 2, name[i], i < 3 ? 2 : 7);
	return i < 3 ? 4 : 9;
}

static uint16_t any_type(void)
{
	static const uint16_t type[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

	return type[rand() % 3];
}

struct header {
	uint64_t name;
	uint32_t name_bytes, pad;
	struct iovec *iov;
	uint64_t niov;
	uint8_t *control;
	uint64_t control_bytes;
	uint32_t flags, pad2;
};

/* Pipes and eventfds only: sockets could be in their own queues, which nobody then empties. */
static bool may_be_sent(int fd)
{
	struct uk_file *f = uk_fd((uint64_t)fd);

	return f && f->ops != &uk_sock_ops && fd != ep;
}

static long send_any(int fd)
{
	uint8_t control[64] = {0};
	struct sock_cmsg c = {sizeof(c), SOL_SOCKET, 1};
	struct iovec iov = {data, (size_t)rand() % (rand() % 20 ? 500 : sizeof(data))};
	struct header h = {.iov = &iov, .niov = 1};
	struct sock_address at;

	if (rand() % 4 == 0) {
		h.name_bytes = any_name(&at);
		h.name = (uint64_t)at.raw;
	}
	for (int i = 0; rand() % 3 == 0 && i < 4; i++) {
		int sent = any_fd();

		if (may_be_sent(sent)) {
			memcpy(control + c.bytes, &sent, sizeof(sent));
			c.bytes += sizeof(sent);
		}
	}
	if (c.bytes > sizeof(c)) {
		memcpy(control, &c, sizeof(c));
		h.control = control;
		h.control_bytes = c.bytes;
	}
	return CALL(sendmsg, fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void receive_any(int fd)
{
	uint8_t control[64];
	struct iovec iov = {data, (size_t)rand() % (rand() % 20 ? 700 : sizeof(data)) + 1};
	struct header h = {.iov = &iov,
			   .niov = 1,
			   .control = rand() % 3 ? control : NULL,
			   .control_bytes = (uint64_t)rand() % sizeof(control)};

	CALL(recvmsg, fd, &h, MSG_DONTWAIT | (rand() % 5 ? 0 : MSG_PEEK));
}

static void watch_any(int fd)
{
	struct epoll_event e = {(uint32_t)rand() | EPOLLIN, (uint64_t)fd}, got[8];

	e.events &= EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET | EPOLLONESHOT;
	CALL(epoll_ctl, ep, rand() % 3 + 1, fd, &e);
	CALL(epoll_wait, ep, got, 8, 0);
}

static void step(void)
{
	struct sock_address at;
	int fd = any_fd(), pair[2];
	uint32_t n = any_name(&at);
	bool room = uk_fds.low < LAST - 4;

	switch (rand() % 16) {
	case 0:
		if (room)
			CALL(socketpair, AF_UNIX, any_type() | O_NONBLOCK, 0, pair);
		break;
	case 1:
	case 2:
		if (room)
			CALL(socket, AF_UNIX, any_type() | O_NONBLOCK, 0);
		break;
	case 3:
		if (room)
			rand() % 2 ? CALL(pipe, pair) : CALL(eventfd2, 1, 0);
		break;
	case 4:
		CALL(bind, fd, at.raw, n);
		break;
	case 5:
		CALL(listen, fd, rand() % 3);
		break;
	case 6:
	case 7:
		CALL(connect, fd, at.raw, n);
		break;
	case 8:
		if (room)
			CALL(accept4, fd, NULL, NULL, O_NONBLOCK);
		break;
	case 9:
		CALL(shutdown, fd, rand() % 3);
		break;
	case 10:
		if (fd != ep)
			CALL(close, fd);
		break;
	case 11:
		CALL(unlink, at.raw + 2);
		break;
	case 12:
		watch_any(fd);
		break;
	case 13:
		receive_any(fd);
		break;
	default:
		send_any(fd);
	}
}

static long nothing_comes(uint32_t events, uint64_t deadline_ns)
{
	(void)events;
	assert_int_equal(deadline_ns, 0);
	return 0;
}

static void at_random(void **state)
{
	size_t frames = uk_mock.frames, allocs = uk_mock.allocs;

	(void)state;
	uk_mock.wait = nothing_comes;
	for (unsigned seed = 1; seed <= 20; seed++) {
		srand(seed);
		ep = (int)CALL(epoll_create1, 0);
		for (int i = 0; i < 4000; i++) {
			/* Now and then there is no memory. */
			uk_mock.alloc_limit =
				seed % 4 || rand() % 8 ? SIZE_MAX : (size_t)rand() % 3;
			step();
		}
		uk_mock.alloc_limit = SIZE_MAX;
		for (int fd = FIRST; fd < (int)uk_fds.size; fd++)
			CALL(close, fd);
		CALL(unlink, "/tmp/x");
		CALL(unlink, "/tmp/y");
		/* all of it has come back */
		assert_int_equal(uk_mock.frames, frames);
		assert_int_equal(uk_mock.allocs, allocs);
	}
}

/* Where memory is scarce each socket has room for a little, and so for all in the end. */
static void scarce(void **state)
{
	enum { PAIRS = 8 };
	int s[PAIRS][2];
	size_t left = uk_mock.frames;
	long n, sent = 0;

	(void)state;
	for (int i = 0; i < PAIRS; i++)
		assert_int_equal(CALL(socketpair, AF_UNIX, SOCK_STREAM | O_NONBLOCK, 0, s[i]), 0);
	for (int i = 1; i < PAIRS; i++) {
		while ((n = CALL(write, s[i][0], data, sizeof(data))) > 0)
			sent += n;
		assert_int_equal(n, -EAGAIN);
	}
	assert_true(sent > 1400000);
	uk_mock.frames = 600;
	assert_int_equal(CALL(write, s[0][0], data, sizeof(data)), NOXS_PAGE);
	assert_int_equal(CALL(write, s[0][0], data, sizeof(data)), -EAGAIN);
	assert_int_equal(CALL(read, s[0][1], data, sizeof(data)), NOXS_PAGE);
	assert_int_equal(CALL(write, s[0][0], data, 100), 100);
	uk_mock.frames = 200; /* these are the program's */
	assert_int_equal(CALL(write, s[0][0], data, 100), -ENOBUFS);
	uk_mock.frames = 600;
	for (int i = 1; i < PAIRS; i++)
		while ((n = CALL(read, s[i][1], data, sizeof(data))) > 0)
			sent -= n;
	assert_int_equal(sent, 0);
	assert_true(CALL(write, s[0][0], data, sizeof(data)) > 200000);
	uk_mock.frames = left;
	for (int i = 0; i < PAIRS; i++) {
		CALL(close, s[i][0]);
		CALL(close, s[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_random),
		cmocka_unit_test(scarce),
	};

	long fd;

	uk_mock_reset();
	/* What stays is made before things are counted: the table of descriptors, directories. */
	CALL(dup2, 1, UK_FD_DEFAULT - 1);
	CALL(close, UK_FD_DEFAULT - 1);
	fd = CALL(open, "/tmp/x", O_CREAT | O_RDWR, 0600);
	CALL(close, fd);
	CALL(unlink, "/tmp/x");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
