/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pipe.c: pipes, and poll and select over pipes, files and the console.
 */
/* clang-format off */
/* sources: unikernel/vfs.c unikernel/walk.c unikernel/file.c unikernel/fd.c unikernel/path.c unikernel/stat.c unikernel/names.c unikernel/links.c unikernel/attr.c unikernel/node.c unikernel/dir.c unikernel/ramfs.c unikernel/dev.c unikernel/proc.c unikernel/etc.c unikernel/pipe.c unikernel/poll.c tests/unit/uk_mock.c */
/* clang-format on */
/* First: after libc's headers Linux's leave out what libc has under the same name. */
#include "../../unikernel/vfs.h"
#include "uk_mock.h"

#include <asm/poll.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static int p[2];
static uint32_t waits;
static uint64_t last_deadline;

static int setup(void **state)
{
	(void)state;
	uk_mock_reset();
	waits = 0;
	return CALL(pipe2, p, O_NONBLOCK) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	CALL(close, p[0]);
	CALL(close, p[1]);
	/* all of it has come back */
	return uk_mock.frames == 1 << 16 && !uk_mock.allocs ? 0 : -1;
}

/* Random pieces through the ring against a count that both sides keep. */
static void through_the_ring(void **state)
{
	static uint8_t buf[70000];
	uint8_t put = 0, got = 0;
	size_t used = 0;

	(void)state;
	srand(3);
	for (int i = 0; i < 3000; i++) {
		size_t n = (size_t)rand() % (i % 100 ? 3000 : 70000) + 1, want;
		long r;

		if (rand() % 2) {
			for (size_t k = 0; k < n; k++)
				buf[k] = (uint8_t)(put + k);
			r = CALL(write, p[1], buf, n);
			want = n <= 65536 - used ? n : n <= PIPE_BUF ? 0 : 65536 - used;
			assert_int_equal(r, want ? (long)want : -EAGAIN);
			put += (uint8_t)want;
			used += want;
		} else {
			r = CALL(read, p[0], buf, n);
			want = uk_min(n, used);
			assert_int_equal(r, want ? (long)want : -EAGAIN);
			for (size_t k = 0; k < want; k++)
				assert_int_equal(buf[k], (uint8_t)(got + k));
			got += (uint8_t)want;
			used -= want;
		}
	}
}

static void starts_small(void **state)
{
	size_t before = uk_mock.frames;

	(void)state;
	assert_int_equal(CALL(write, p[1], "x", 1), 1);
	assert_int_equal(uk_mock.frames, before - 1);
	assert_int_equal(CALL(write, p[1], NULL, 1), -EFAULT);
	assert_int_equal(CALL(fcntl, p[0], F_GETPIPE_SZ), 65536);
	assert_int_equal(CALL(fcntl, p[0], F_SETPIPE_SZ, 1), 4096);
	assert_int_equal(CALL(fcntl, p[0], F_SETPIPE_SZ, 5000), 8192);
	assert_int_equal(CALL(fcntl, p[0], F_SETPIPE_SZ, 1 << 21), -EINVAL);
	assert_int_equal(CALL(fcntl, 1, F_GETPIPE_SZ), -EBADF);
	assert_int_equal(CALL(pipe2, p, O_APPEND), -EINVAL);
	assert_int_equal(CALL(pipe2, NULL, 0), -EFAULT);
	assert_int_equal(CALL(dup, 1), p[1] + 1); /* nothing was left open */
	assert_int_equal(CALL(close, p[1] + 1), 0);
}

static void ends(void **state)
{
	char c;

	(void)state;
	assert_int_equal(CALL(close, p[0]), 0);
	assert_int_equal(CALL(write, p[1], "x", 1), -EPIPE);
	assert_int_equal(uk_mock.raised, 1 << 13);
	assert_int_equal(CALL(open, "/dev/fd/4", O_RDONLY, 0), p[0]); /* a reader again */
	assert_int_equal(CALL(write, p[1], "y", 1), 1);
	assert_int_equal(CALL(close, p[1]), 0);
	assert_int_equal(CALL(read, p[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(CALL(read, p[0], &c, 1), 0);
}

static long handler_writes(uint32_t events, uint64_t deadline_ns)
{
	assert_int_equal(events, NOXS_EV_POWER);
	last_deadline = deadline_ns;
	if (waits++ == 0)
		return 0;
	return -EINTR;
}

static void blocking(void **state)
{
	char c;

	(void)state;
	assert_int_equal(CALL(fcntl, p[0], F_SETFL, 0), 0);
	uk_mock.wait = handler_writes;
	assert_int_equal(CALL(read, p[0], &c, 1), -EINTR);
	assert_int_equal(waits, 2);
	assert_true(last_deadline == NOXS_FOREVER);
}

static long time_passes(uint32_t events, uint64_t deadline_ns)
{
	waits |= events;
	if (deadline_ns != NOXS_FOREVER && deadline_ns > uk_mock.mono_ns)
		uk_mock.mono_ns = deadline_ns;
	return 0;
}

static void polling(void **state)
{
	struct pollfd few[3] = {{.fd = p[0], .events = POLLIN},
				{.fd = p[1], .events = POLLOUT},
				{.fd = -5, .events = POLLIN}};
	int64_t spec[2] = {0, 30000000};
	uint64_t set = 0, start = uk_mock.mono_ns;

	(void)state;
	assert_int_equal(CALL(poll, few, 3, 0), 1);
	assert_int_equal(few[1].revents, POLLOUT);
	assert_int_equal(CALL(poll, few, 1, 0), 0); /* and never slept */
	uk_mock.wait = time_passes;
	assert_int_equal(CALL(poll, few, 1, 20), 0);
	assert_int_equal(uk_mock.mono_ns, start + 20000000);
	assert_int_equal(CALL(ppoll, few, 1, spec, &set, 8), 0);
	assert_int_equal(uk_mock.mono_ns, start + 50000000);
	assert_int_equal(spec[1], 0);
	assert_int_equal(uk_mock.mask_swaps, 1);
	assert_int_equal(uk_mock.mask_restores, 1);
	assert_int_equal(CALL(ppoll, few, 1, spec, &set, 4), -EINVAL);
	/* the console: waits for input only, though there is room for output */
	waits = 0;
	few[0].fd = 0;
	assert_int_equal(CALL(poll, few, 1, 1), 0);
	assert_int_equal(waits, NOXS_EV_STDIN);
	uk_mock.in_bytes = 1;
	assert_int_equal(CALL(poll, few, 1, -1), 1);
	assert_int_equal(few[0].revents, POLLIN);
	few[0].fd = 77;
	assert_int_equal(CALL(poll, few, 1, -1), 1);
	assert_int_equal(few[0].revents, POLLNVAL);
	assert_int_equal(CALL(poll, few, 1025, -1), -EINVAL);
	assert_int_equal(CALL(poll, NULL, 1, -1), -EFAULT);
	uk_mock.signal_pending = true;
	few[0].fd = p[0];
	assert_int_equal(CALL(poll, few, 1, 0), -EINTR);
}

static void selecting(void **state)
{
	uint64_t in[2] = {1ull << p[0] | 1ull << 1, 7}, out[2] = {1ull << p[1], 7};
	int64_t tv[2] = {0, 1500000}, bad[2] = {-1, 0};

	(void)state;
	assert_int_equal(CALL(select, p[1] + 1, in, out, NULL, NULL), 1);
	assert_int_equal(in[0], 0);
	assert_int_equal(in[1], 7); /* behind the last descriptor: left alone */
	assert_int_equal(out[0], 1ull << p[1]);
	assert_int_equal(CALL(write, p[1], "x", 1), 1);
	in[0] = 1ull << p[0];
	assert_int_equal(CALL(select, p[1] + 1, in, out, NULL, tv), 2);
	assert_int_equal(tv[0], 1);
	assert_int_equal(tv[1], 500000);
	in[0] = 1ull << 50;
	assert_int_equal(CALL(select, 64, in, NULL, NULL, tv), -EBADF);
	assert_int_equal(CALL(select, -1, in, NULL, NULL, tv), -EINVAL);
	assert_int_equal(CALL(select, 64, NULL, NULL, NULL, bad), -EINVAL);
	assert_int_equal(CALL(select, 64, 8, NULL, NULL, tv), -EFAULT);
}

static int make_the_tree(void **state)
{
	(void)state;
	/* What stays is made before things are counted. */
	uk_mock_reset();
	return (int)CALL(access, "/dev/fd/0", 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(through_the_ring),
		T(starts_small),
		T(blocking),
		T(polling),
		T(selecting),
		cmocka_unit_test_setup(ends, setup), /* makes nodes in /proc that stay */
	};

	return cmocka_run_group_tests(tests, make_the_tree, NULL);
}
