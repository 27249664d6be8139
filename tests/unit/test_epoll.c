/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_epoll.c: epoll over what no guest program can bring about: console streams that change
 * by the monitor, the network's part in a wait, memory that is out, a clock that jumps.
 */
/* clang-format off */
/* sources: unikernel/epoll.c unikernel/eventfd.c unikernel/timerfd.c unikernel/vfs.c unikernel/walk.c unikernel/file.c unikernel/fd.c unikernel/path.c unikernel/stat.c unikernel/names.c unikernel/links.c unikernel/attr.c unikernel/node.c unikernel/dir.c unikernel/ramfs.c unikernel/dev.c unikernel/proc.c unikernel/etc.c unikernel/pipe.c unikernel/poll.c tests/unit/uk_mock.c */
/* clang-format on */
/* First: after libc's headers Linux's leave out what libc has under the same name. */
#include "../../unikernel/vfs.h"
#include "../../unikernel/net/net.h"
#include "uk_mock.h"

#include <linux/eventpoll.h>
#include <linux/time_types.h>
#include <linux/timerfd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS 1000000ull

enum { CLOCK_REALTIME, CLOCK_MONOTONIC }; /* linux/time.h and libc's exclude each other */

static int ep;
static uint32_t waited; /* events that uk_wait was asked for, of all its calls */
static uint32_t nwaits;
static uint64_t until; /* deadline of the last one */
static void (*meanwhile)(void);

/* Sleeps to the deadline, or the next timer, as the real one does; meanwhile happens once. */
static long sleeps(uint32_t events, uint64_t deadline_ns)
{
	waited |= events;
	nwaits++;
	until = deadline_ns;
	if (meanwhile) {
		void (*now)(void) = meanwhile;

		meanwhile = NULL;
		now();
		return 0;
	}
	deadline_ns = uk_min(deadline_ns, uk_timerfd_next);
	assert_true(deadline_ns != NOXS_FOREVER);
	uk_mock.mono_ns = uk_max(uk_mock.mono_ns, deadline_ns);
	uk_timerfd_run();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	uk_mock_reset();
	for (int i = 0; i < NOXS_NSTREAMS; i++)
		uk_mock_noxs()->stream[i].flags = NOXS_STREAM_PIPE;
	uk_mock.wait = sleeps;
	waited = nwaits = 0;
	meanwhile = NULL;
	ep = (int)CALL(epoll_create1, 0);
	return ep < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int fd = 3; fd < 64; fd++)
		CALL(close, fd);
	/* all of it has come back */
	return uk_mock.frames == 1 << 16 && !uk_mock.allocs ? 0 : -1;
}

static long ctl(int op, int fd, uint32_t events)
{
	struct epoll_event e = {events, (uint64_t)fd};

	return CALL(epoll_ctl, ep, op, fd, &e);
}

/* Events of the one that is ready within ms; 0: none. */
static uint32_t next(int ms)
{
	struct epoll_event e[2];
	long n = CALL(epoll_wait, ep, e, 2, ms);

	assert_in_range(n, 0, 1);
	return n ? (uint32_t)e[0].events : 0;
}

/* ---- the console ---- */

static void comes(const char *text)
{
	uk_mock.in = text;
	uk_mock.in_bytes = strlen(text);
	uk_mock.in_stamp += (uint32_t)strlen(text);
}

static void input_comes(void)
{
	comes("input");
}

static void input_levels(void **state)
{
	char buf[8];

	(void)state;
	assert_int_equal(ctl(EPOLL_CTL_ADD, 0, EPOLLIN), 0);
	assert_int_equal(next(10), 0);
	assert_int_equal(waited, NOXS_EV_STDIN);
	meanwhile = input_comes;
	assert_int_equal(next(-1), EPOLLIN);
	assert_int_equal(CALL(read, 0, buf, 3), 3);
	assert_int_equal(next(-1), EPOLLIN);
	assert_int_equal(CALL(read, 0, buf, 8), 2);
	assert_int_equal(next(10), 0);
	uk_mock.in_eof = true;
	assert_int_equal(next(-1), EPOLLIN | EPOLLHUP);
	assert_int_equal(next(-1), EPOLLIN | EPOLLHUP);
}

static void input_edges(void **state)
{
	char buf[8];

	(void)state;
	comes("abc");
	assert_int_equal(ctl(EPOLL_CTL_ADD, 0, EPOLLIN | EPOLLET), 0);
	assert_int_equal(next(0), EPOLLIN);
	assert_int_equal(next(0), 0);
	comes("abcdef"); /* while some is unread */
	assert_int_equal(next(0), EPOLLIN);
	assert_int_equal(CALL(read, 0, buf, 2), 2);
	assert_int_equal(next(0), 0);
	comes("xyz"); /* as much as there was */
	assert_int_equal(next(0), EPOLLIN);
	assert_int_equal(CALL(read, 0, buf, 8), 3);
	assert_int_equal(next(0), 0);
	uk_mock.in_eof = true;
	assert_int_equal(next(0), EPOLLIN | EPOLLHUP);
	assert_int_equal(next(0), 0);
	assert_int_equal(ctl(EPOLL_CTL_MOD, 0, EPOLLIN | EPOLLET), 0);
	assert_int_equal(next(0), EPOLLIN | EPOLLHUP);
}

static void room_comes(void)
{
	uk_mock.out_room[NOXS_STDOUT] = 100;
}

static void output(void **state)
{
	(void)state;
	uk_mock.out_room[NOXS_STDOUT] = 0;
	assert_int_equal(ctl(EPOLL_CTL_ADD, 1, EPOLLOUT | EPOLLET), 0);
	assert_int_equal(next(10), 0);
	assert_int_equal(waited, NOXS_EV_STDOUT);
	meanwhile = room_comes;
	assert_int_equal(next(-1), EPOLLOUT);
	assert_int_equal(next(0), 0);
	uk_mock.out_room[NOXS_STDOUT] = 0;
	assert_int_equal(next(0), 0);
	uk_mock.out_room[NOXS_STDOUT] = 1;
	assert_int_equal(next(0), EPOLLOUT);
	uk_mock.out_error[NOXS_STDOUT] = 32;
	assert_int_equal(next(0), EPOLLOUT | EPOLLERR);
}

/* What stands behind the monitor's stream decides. */
static void stream_kinds(void **state)
{
	(void)state;
	uk_mock_noxs()->stream[0].flags = 0; /* a regular file */
	assert_int_equal(ctl(EPOLL_CTL_ADD, 0, EPOLLIN), -EPERM);
	uk_mock_noxs()->stream[0].flags = NOXS_STREAM_TTY;
	assert_int_equal(ctl(EPOLL_CTL_ADD, 0, EPOLLIN), 0);
	assert_int_equal(ctl(EPOLL_CTL_DEL, 0, 0), 0);
	assert_int_equal(next(10), 0);
	assert_int_equal(waited, NOXS_EV_POWER);
}

/* By way of an epoll in an epoll, which nothing tells of it. */
static void nested_console(void **state)
{
	int inner = ep, outer = (int)CALL(epoll_create1, 0);

	(void)state;
	assert_int_equal(ctl(EPOLL_CTL_ADD, 0, EPOLLIN), 0);
	ep = outer;
	assert_int_equal(ctl(EPOLL_CTL_ADD, inner, EPOLLIN), 0);
	assert_int_equal(next(10), 0);
	assert_int_equal(waited, NOXS_EV_STDIN);
	meanwhile = input_comes;
	assert_int_equal(next(-1), EPOLLIN);
	ep = inner;
	assert_int_equal(next(0), EPOLLIN);
}

/* ---- the network ---- */

static uint32_t net_events;

static uint32_t net_poll(struct uk_file *f, uint32_t *wait)
{
	(void)f;
	*wait |= NOXS_EV_NET_ALL;
	return net_events;
}

static const struct uk_file_ops net_ops = {.anon = "socket", .poll = net_poll};
static struct uk_file *net_file;

static int net_open(void)
{
	net_events = 0;
	net_file = uk_file_new(&net_ops, O_RDWR);
	return (int)uk_fd_install(net_file, 0, false);
}

static void data_comes(void)
{
	net_events = EPOLLIN;
	uk_file_changed(net_file);
}

static void network(void **state)
{
	int inner = ep, s = net_open();
	struct epoll_event e;

	(void)state;
	assert_int_equal(ctl(EPOLL_CTL_ADD, s, EPOLLIN | EPOLLET), 0);
	meanwhile = data_comes;
	assert_int_equal(next(-1), EPOLLIN);
	assert_int_equal(waited, NOXS_EV_NET_ALL);
	assert_int_equal(next(0), 0);
	data_comes();
	assert_int_equal(next(0), EPOLLIN);
	uk_file_ready(net_file, EPOLLOUT); /* nobody asked for that */
	assert_int_equal(next(0), 0);
	/* through another epoll */
	ep = (int)CALL(epoll_create1, 0);
	assert_int_equal(ctl(EPOLL_CTL_ADD, inner, EPOLLIN), 0);
	waited = 0;
	meanwhile = data_comes;
	assert_int_equal(next(-1), EPOLLIN);
	assert_int_equal(waited, NOXS_EV_NET_ALL);
	/* and none when the socket is gone */
	ep = inner;
	assert_int_equal(CALL(close, s), 0);
	waited = 0;
	assert_int_equal(next(10), 0);
	assert_int_equal(waited, NOXS_EV_POWER);
	assert_int_equal(CALL(epoll_wait, ep, &e, 1, 0), 0);
}

/* Calls that do not wait make an exit now and then only, without a device none. */
static void spinning(void **state)
{
	(void)state;
	assert_int_equal(ctl(EPOLL_CTL_ADD, net_open(), EPOLLIN), 0);
	uk_mock.mono_ns += MS;
	assert_int_equal(next(0), 0);
	assert_int_equal(nwaits, 0);
	uk_net_ndevs = 1;
	for (int i = 0; i < 100; i++)
		assert_int_equal(next(0), 0);
	assert_int_equal(nwaits, 1);
	assert_int_equal(until, 0);
	uk_mock.mono_ns += MS;
	assert_int_equal(next(0), 0);
	assert_int_equal(nwaits, 2);
	uk_net_ndevs = 0;
}

/* ---- memory ---- */

static void no_memory(void **state)
{
	int e = (int)CALL(eventfd2, 0, 0);

	(void)state;
	assert_true(e > ep);
	for (size_t left = 0; left < 2; left++) {
		uk_mock.alloc_limit = left;
		assert_int_equal(CALL(epoll_create1, 0), -ENOMEM);
		uk_mock.alloc_limit = left;
		assert_int_equal(CALL(eventfd2, 0, 0), -ENOMEM);
		uk_mock.alloc_limit = left;
		assert_int_equal(CALL(timerfd_create, CLOCK_MONOTONIC, 0), -ENOMEM);
	}
	uk_mock.alloc_limit = 0;
	assert_int_equal(ctl(EPOLL_CTL_ADD, e, EPOLLIN), -ENOMEM);
	uk_mock.alloc_limit = SIZE_MAX;
	assert_int_equal(ctl(EPOLL_CTL_DEL, e, 0), -ENOENT);
	assert_int_equal(ctl(EPOLL_CTL_ADD, e, EPOLLOUT), 0);
	assert_int_equal(next(0), EPOLLOUT);
}

static void no_descriptor(void **state)
{
	int fd;

	(void)state;
	while ((fd = (int)CALL(dup, 1)) >= 0)
		;
	assert_int_equal(fd, -EMFILE);
	assert_int_equal(CALL(epoll_create1, 0), -EMFILE);
	assert_int_equal(CALL(eventfd2, 0, 0), -EMFILE);
	assert_int_equal(CALL(timerfd_create, CLOCK_MONOTONIC, 0), -EMFILE);
	for (fd = 64; fd < UK_FD_DEFAULT; fd++)
		CALL(close, fd);
}

/* ---- timers ---- */

static void set(int t, int flags, uint64_t first, uint64_t every)
{
	struct __kernel_itimerspec it = {
		.it_value = {(int64_t)(first / 1000000000), (long long)(first % 1000000000)},
		.it_interval = {(int64_t)(every / 1000000000), (long long)(every % 1000000000)}};

	assert_int_equal(CALL(timerfd_settime, t, flags, &it, NULL), 0);
}

static uint64_t take(int t)
{
	uint64_t v = 0;
	long r = CALL(read, t, &v, 8);

	assert_true(r == 8 || r == -EAGAIN);
	return v;
}

static uint64_t left(int t)
{
	struct __kernel_itimerspec it;

	assert_int_equal(CALL(timerfd_gettime, t, &it), 0);
	return (uint64_t)it.it_value.tv_sec * 1000000000 + (uint64_t)it.it_value.tv_nsec;
}

static void counted(void **state)
{
	int t = (int)CALL(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK);

	(void)state;
	set(t, 0, 10 * MS, 3 * MS);
	uk_mock.mono_ns += 10 * MS - 1;
	assert_int_equal(take(t), 0);
	assert_int_equal(left(t), 1);
	uk_mock.mono_ns++;
	assert_int_equal(take(t), 1);
	assert_int_equal(left(t), 3 * MS);
	uk_mock.mono_ns += 3 * MS - 1;
	assert_int_equal(take(t), 0);
	uk_mock.mono_ns += 1;
	assert_int_equal(take(t), 1);
	uk_mock.mono_ns += 1000000 * 3 * MS + 1;
	assert_int_equal(take(t), 1000000);
	assert_int_equal(left(t), 3 * MS - 1);
	/* asked between, the count goes on */
	uk_mock.mono_ns += 7 * MS;
	assert_int_equal(left(t), 2 * MS - 1);
	uk_mock.mono_ns += 3 * MS;
	assert_int_equal(take(t), 3);
	/* by the wall clock, which is ahead */
	assert_int_equal(CALL(close, t), 0);
	assert_true(uk_mock.real_ns > uk_mock.mono_ns);
	t = (int)CALL(timerfd_create, CLOCK_REALTIME, TFD_NONBLOCK);
	set(t, TFD_TIMER_ABSTIME, uk_mock.real_ns + 50 * MS, 0);
	uk_mock.mono_ns += 40 * MS;
	uk_mock.real_ns += 40 * MS;
	assert_int_equal(take(t), 0);
	uk_mock.mono_ns += 20 * MS;
	uk_mock.real_ns += 20 * MS;
	assert_int_equal(take(t), 1);
	/* never: what no clock will show */
	set(t, 0, INT64_MAX / 2 * 1ull, 0);
	assert_int_equal(take(t), 0);
}

static void far_away(void **state)
{
	struct __kernel_itimerspec it = {.it_value = {INT64_MAX, 999999999},
					 .it_interval = {INT64_MAX, 0}};
	int t = (int)CALL(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK);

	(void)state;
	assert_int_equal(CALL(timerfd_settime, t, 0, &it, NULL), 0);
	assert_int_equal(take(t), 0);
	assert_int_equal(CALL(timerfd_settime, t, TFD_TIMER_ABSTIME, &it, NULL), 0);
	assert_int_equal(take(t), 0);
	it.it_value.tv_sec = 0;
	assert_int_equal(CALL(timerfd_settime, t, 0, &it, NULL), 0);
	uk_mock.mono_ns += 1000 * MS;
	assert_int_equal(take(t), 1);
	uk_mock.mono_ns += 1000 * MS;
	assert_int_equal(take(t), 0);
}

/* The wait ends with the first of many timers, and each is told of once. */
static void many_timers(void **state)
{
	uint64_t start = uk_mock.mono_ns;
	int t[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		t[i] = (int)CALL(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK);
		assert_int_equal(ctl(EPOLL_CTL_ADD, t[i], EPOLLIN | EPOLLET), 0);
		set(t[i], 0, (uint64_t)(i * 7 % 20 + 1) * MS, 100 * MS);
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(next(-1), EPOLLIN);
		assert_int_equal(uk_mock.mono_ns, start + (uint64_t)(i + 1) * MS);
	}
	assert_int_equal(next(1000), 0); /* none was read */
	for (int i = 0; i < 20; i++)
		assert_int_equal(take(t[i]), 11); /* 1020 ms have passed */
	assert_int_equal(next(-1), EPOLLIN);
}

/* ---- against a model: level-triggered, the set is what poll would say ---- */

static void random_walk(void **state)
{
	enum { N = 12 };
	int e[N];
	bool watched[N] = {0}, full[N] = {0};

	(void)state;
	srand(5);
	for (int i = 0; i < N; i++)
		e[i] = (int)CALL(eventfd2, 0, O_NONBLOCK);
	for (int round = 0; round < 20000; round++) {
		int i = rand() % N, ready = 0, n;
		uint64_t v = 1;
		struct epoll_event got[N];

		switch (rand() % 5) {
		case 0:
			assert_int_equal(ctl(EPOLL_CTL_ADD, e[i], EPOLLIN),
					 watched[i] ? -EEXIST : 0);
			watched[i] = true;
			break;
		case 1:
			assert_int_equal(ctl(EPOLL_CTL_DEL, e[i], 0), watched[i] ? 0 : -ENOENT);
			watched[i] = false;
			break;
		case 2:
			assert_int_equal(CALL(write, e[i], &v, 8), 8);
			full[i] = true;
			break;
		case 3:
			assert_int_equal(CALL(read, e[i], &v, 8), full[i] ? 8 : -EAGAIN);
			full[i] = false;
			break;
		case 4:
			assert_int_equal(CALL(close, e[i]), 0);
			e[i] = (int)CALL(eventfd2, 0, O_NONBLOCK);
			watched[i] = full[i] = false;
			break;
		}
		n = (int)CALL(epoll_wait, ep, got, N, 0);
		for (int k = 0; k < N; k++)
			ready += watched[k] && full[k];
		assert_int_equal(n, ready);
		for (int k = 0; k < n; k++) {
			int at = 0;

			while (e[at] != (int)got[k].data)
				at++;
			assert_true(watched[at] && full[at] && got[k].events == EPOLLIN);
		}
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(input_levels),   T(input_edges), T(output),   T(stream_kinds),
		T(nested_console), T(network),     T(spinning), T(no_memory),
		T(no_descriptor),  T(counted),     T(far_away), T(many_timers),
		T(random_walk),
	};

	/* The table of descriptors grows once and stays. */
	uk_mock_reset();
	assert_int_equal(CALL(dup2, 1, UK_FD_DEFAULT - 1), UK_FD_DEFAULT - 1);
	CALL(close, UK_FD_DEFAULT - 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
