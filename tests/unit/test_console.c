/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_console.c: the console's back end against a guest that keeps the rules and one that
 * does not. The guest's side is played here: rings in plain memory, streams on pipes.
 */
/* sources: monitor/console.c monitor/err.c */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../monitor/console.h"

static struct noxs_control control;
static struct guest guest;
static struct console c;
static uint8_t rings[NOXS_NSTREAMS][NOXS_STDIN_BYTES];
static struct err err;
static int saved[3], out[2], in[2];

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		saved[i] = dup(i);
	memset(&control, 0, sizeof(control));
	guest = (struct guest){.control = &control, .ring = {rings[0], rings[1], rings[2]}};
	console_init(&c, &guest);
	if (pipe(out) || pipe(in))
		return -1;
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		close(saved[i]);
	close(out[0]);
	close(out[1]);
	close(in[0]);
	close(in[1]);
	return 0;
}

/* The console works on descriptors 0 to 2: ours stand there only while it is called. */
static void swap_in(void)
{
	dup2(in[0], 0);
	dup2(out[1], 1);
	dup2(out[1], 2);
}

static void swap_out(void)
{
	for (int i = 0; i < 3; i++)
		dup2(saved[i], i);
}

static int drain(void)
{
	swap_in();
	int ret = console_drain(&c, &err);
	swap_out();
	return ret;
}

static int wait_for(uint32_t events, int64_t timeout_ns)
{
	sigset_t none;

	sigemptyset(&none);
	swap_in();
	int ret = console_wait(&c, events, timeout_ns, &none, &err);
	swap_out();
	return ret;
}

static void guest_writes(int stream, const char *text, size_t n)
{
	struct noxs_ring *r = &control.console.ring[stream];
	uint32_t size = stream == NOXS_STDERR ? NOXS_STDERR_BYTES : NOXS_STDOUT_BYTES;

	for (size_t i = 0; i < n; i++)
		rings[stream][(r->tail + i) & (size - 1)] = (uint8_t)text[i];
	r->tail += (uint32_t)n;
}

static void passes_output_on(void **state)
{
	char buf[32] = {0};

	(void)state;
	guest_writes(NOXS_STDOUT, "hello ", 6);
	guest_writes(NOXS_STDERR, "world", 5);
	assert_int_equal(drain(), 11);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 11);
	assert_string_equal(buf, "hello world");
	assert_int_equal(control.console.ring[NOXS_STDOUT].head, 6);
	assert_false(console_pending(&c));
}

static void indices_wrap(void **state)
{
	static char text[5000], got[5000];
	uint32_t start = UINT32_MAX - 2000;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	control.console.ring[NOXS_STDOUT].head = control.console.ring[NOXS_STDOUT].tail = start;
	c.head[NOXS_STDOUT] = start;
	guest_writes(NOXS_STDOUT, text, sizeof(text));
	assert_int_equal(drain(), sizeof(text));
	assert_int_equal(read(out[0], got, sizeof(got)), sizeof(text));
	assert_memory_equal(text, got, sizeof(text));
	assert_int_equal(control.console.ring[NOXS_STDOUT].head, start + 5000);
}

static void a_ring_with_more_than_it_holds_ends_the_guest(void **state)
{
	static const uint32_t tails[] = {NOXS_STDOUT_BYTES + 1, UINT32_MAX, 1u << 31};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		control.console.ring[NOXS_STDOUT].tail = tails[i];
		assert_int_equal(drain(), -EPROTO);
		assert_non_null(strstr(err.message, "broke its console"));
		assert_int_equal(wait_for(NOXS_EV_STDOUT, 0), -EPROTO);
	}
}

static void the_guest_cannot_move_our_indices(void **state)
{
	char buf[8];

	(void)state;
	guest_writes(NOXS_STDOUT, "abc", 3);
	assert_int_equal(drain(), 3);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 3);
	control.console.ring[NOXS_STDOUT].head = 0; /* "give it to me again" */
	assert_int_equal(drain(), 0);
	guest_writes(NOXS_STDOUT, "d", 1);
	assert_int_equal(drain(), 1);
	assert_int_equal(control.console.ring[NOXS_STDOUT].head, 4);
}

static void output_that_nobody_reads_stays_in_the_ring(void **state)
{
	static char text[NOXS_STDOUT_BYTES];
	size_t total = 0;

	(void)state;
	/* The pipe takes 64 KiB, then the ring fills; never does drain block. */
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 3; i++) {
		uint32_t room = NOXS_STDOUT_BYTES - (control.console.ring[NOXS_STDOUT].tail -
						     control.console.ring[NOXS_STDOUT].head);

		guest_writes(NOXS_STDOUT, text, room);
		total += room;
		assert_true(drain() >= 0);
	}
	assert_true(console_pending(&c));
	assert_int_equal(wait_for(NOXS_EV_STDOUT, 1000000),
			 0); /* full: no room before the time is up */
	while (total) {
		char buf[4096];
		ssize_t n = read(out[0], buf, sizeof(buf));

		if (n > 0)
			total -= (size_t)n;
		assert_true(drain() >= 0);
	}
	assert_false(console_pending(&c));
}

static void input_comes_when_it_is_asked_for(void **state)
{
	(void)state;
	assert_int_equal(write(in[1], "line\n", 5), 5);
	assert_int_equal(drain(), 0);
	assert_int_equal(control.console.ring[NOXS_STDIN].tail, 0);
	assert_int_equal(wait_for(NOXS_EV_STDIN, -1), NOXS_EV_STDIN);
	assert_int_equal(control.console.ring[NOXS_STDIN].tail, 5);
	assert_memory_equal(rings[NOXS_STDIN], "line\n", 5);
	control.console.ring[NOXS_STDIN].head = 5;
	assert_int_equal(wait_for(NOXS_EV_STDIN, 1000000), 0);
	close(in[1]);
	in[1] = -1;
	assert_int_equal(wait_for(NOXS_EV_STDIN, -1), NOXS_EV_STDIN);
	assert_int_equal(control.console.eof, 1);
}

static void a_guest_that_takes_what_it_was_not_given_is_ended(void **state)
{
	(void)state;
	static const uint32_t heads[] = {1, 0x10000001, UINT32_MAX - NOXS_STDIN_BYTES};

	for (size_t i = 0; i < 3; i++) {
		control.console.ring[NOXS_STDIN].head = heads[i];
		assert_int_equal(wait_for(NOXS_EV_STDIN, 0), -EPROTO);
		assert_non_null(strstr(err.message, "not given"));
	}
}

static void a_closed_reader_is_epipe(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	close(out[0]);
	out[0] = -1;
	guest_writes(NOXS_STDOUT, "lost", 4);
	assert_true(drain() >= 0);
	assert_int_equal(c.error[NOXS_STDOUT], EPIPE);
	assert_int_equal(control.console.error[NOXS_STDOUT], EPIPE);
	assert_int_equal(wait_for(NOXS_EV_STDOUT, -1), NOXS_EV_STDOUT);
}

static void waits_no_longer_than_told(void **state)
{
	struct timespec a, b;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(wait_for(NOXS_EV_POWER, 20000000), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >= 20000000);
	assert_int_equal(wait_for(CONSOLE_EV_FLUSHED, -1), CONSOLE_EV_FLUSHED);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(passes_output_on),
		CASE(indices_wrap),
		CASE(a_ring_with_more_than_it_holds_ends_the_guest),
		CASE(the_guest_cannot_move_our_indices),
		CASE(output_that_nobody_reads_stays_in_the_ring),
		CASE(input_comes_when_it_is_asked_for),
		CASE(a_guest_that_takes_what_it_was_not_given_is_ended),
		CASE(a_closed_reader_is_epipe),
		CASE(waits_no_longer_than_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
