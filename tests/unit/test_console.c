/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_console.c: the console's back end against a guest that keeps the rules and one that
 * does not. The guest's side is played here: rings in plain memory, streams on pipes.
 */
/* sources: monitor/console.c monitor/device.c monitor/kick.c monitor/err.c */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "../../monitor/console.h"
#include "../../monitor/kick.h"

static struct noxs_control control;
static struct guest guest;
static struct console c;
static uint8_t rings[NOXS_NSTREAMS][NOXS_STDIN_BYTES];
static struct err err;
static struct kvm_run vcpu;
static int out[2], in[2];

static void open_front(uint32_t state, uint64_t features)
{
	control.console.front.features = features;
	control.console.front.state = state;
}

static int setup(void **state)
{
	(void)state;
	memset(&control, 0, sizeof(control));
	guest = (struct guest){.control = &control, .ring = {rings[0], rings[1], rings[2]}};
	console_init(&c, &guest);
	open_front(NOXS_READY, NOXS_CONSOLE_DOORBELL);
	if (pipe(out) || pipe(in))
		return -1;
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	c.fd[0] = in[0];
	c.fd[1] = c.fd[2] = out[1];
	kick_prepare(&vcpu);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(out[0]);
	close(out[1]);
	close(in[0]);
	close(in[1]);
	return 0;
}

static int drain(void)
{
	return console_drain(&c, &err);
}

static int wait_for(uint32_t events, int64_t timeout_ns)
{
	sigset_t none;

	sigemptyset(&none);
	return console_wait(&c, events, timeout_ns, -1, &none, &err);
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

static void input_that_is_there_is_found_without_waiting(void **state)
{
	(void)state;
	assert_int_equal(wait_for(NOXS_EV_STDIN, 0), 0);
	assert_int_equal(write(in[1], "x", 1), 1);
	assert_int_equal(wait_for(NOXS_EV_STDIN, 0), NOXS_EV_STDIN);
}

static void another_descriptor_ends_the_wait(void **state)
{
	sigset_t none;
	int other[2];

	(void)state;
	sigemptyset(&none);
	assert_int_equal(pipe(other), 0);
	assert_int_equal(console_wait(&c, NOXS_EV_STDIN, 1000000, other[0], &none, &err), 0);
	assert_int_equal(write(other[1], "x", 1), 1);
	assert_int_equal(console_wait(&c, NOXS_EV_STDIN, -1, other[0], &none, &err),
			 CONSOLE_EV_OTHER);
	close(other[0]);
	close(other[1]);
}

/* ---- a shell's console: no descriptors ---- */

static void input_that_is_given_arrives_and_ends(void **state)
{
	static char big[NOXS_STDIN_BYTES + 10];

	(void)state;
	c.fd[NOXS_STDIN] = -1;
	c.input_open = true;
	assert_int_equal(wait_for(NOXS_EV_STDIN, 1000000), 0);
	assert_int_equal(console_give(&c, "abc", 3), 3);
	assert_int_equal(wait_for(NOXS_EV_STDIN, -1), NOXS_EV_STDIN);
	assert_memory_equal(rings[NOXS_STDIN], "abc", 3);
	/* More than fits, across the ring's end: what fits, and no more. */
	control.console.ring[NOXS_STDIN].head = 2;
	memset(big, 'y', sizeof(big));
	assert_int_equal(console_give(&c, big, sizeof(big)), NOXS_STDIN_BYTES - 1);
	assert_int_equal(console_give(&c, big, 1), 0);
	assert_int_equal(control.console.ring[NOXS_STDIN].tail, NOXS_STDIN_BYTES + 2);
	assert_int_equal(rings[NOXS_STDIN][1], 'y');
	assert_int_equal(rings[NOXS_STDIN][2], 'c');
	assert_int_equal(c.bytes[NOXS_STDIN], NOXS_STDIN_BYTES + 2);
	control.console.ring[NOXS_STDIN].head = NOXS_STDIN_BYTES + 2;
	assert_int_equal(wait_for(NOXS_EV_STDIN, 1000000), 0);
	console_end_input(&c);
	assert_int_equal(control.console.eof, 1);
	assert_int_equal(wait_for(NOXS_EV_STDIN, -1), NOXS_EV_STDIN);
	assert_int_equal(console_give(&c, "late", 4), 0);
	/* A guest that moved its index to where nothing was: nothing is written anywhere. */
	c.eof = false;
	control.console.ring[NOXS_STDIN].head = 0x80000000;
	assert_int_equal(console_give(&c, "abc", 3), 0);
}

static void without_input_there_is_the_end_of_it(void **state)
{
	(void)state;
	c.fd[NOXS_STDIN] = -1;
	assert_int_equal(wait_for(NOXS_EV_STDIN, -1), NOXS_EV_STDIN);
	assert_int_equal(control.console.eof, 1);
}

static struct {
	char text[64];
	size_t n, takes;
	int error, calls;
} sink;

static ssize_t put(void *arg, int stream, const void *data, size_t n)
{
	assert_ptr_equal(arg, &sink);
	sink.calls++;
	if (sink.error && stream == NOXS_STDOUT)
		return -sink.error;
	n = n < sink.takes ? n : sink.takes;
	sink.takes -= n;
	memcpy(sink.text + sink.n, data, n);
	sink.n += n;
	return (ssize_t)n;
}

static void use_sink(size_t takes, int error)
{
	memset(&sink, 0, sizeof(sink));
	sink.takes = takes;
	sink.error = error;
	c.put = put;
	c.put_arg = &sink;
	c.fd[1] = c.fd[2] = -1;
}

static void a_sink_takes_what_it_likes(void **state)
{
	(void)state;
	use_sink(4, 0);
	guest_writes(NOXS_STDOUT, "hello world", 11);
	assert_int_equal(drain(), 4);
	assert_int_equal(wait_for(CONSOLE_EV_FLUSHED, 20000000), 0);
	assert_in_range(sink.calls, 3, 12); /* offered again, but not as fast as can be */
	sink.takes = 100;
	assert_int_equal(wait_for(CONSOLE_EV_FLUSHED, -1), CONSOLE_EV_FLUSHED);
	assert_memory_equal(sink.text, "hello world", 11);
	assert_int_equal(c.bytes[NOXS_STDOUT], 11);
}

static void a_sink_that_fails_fails_the_stream(void **state)
{
	(void)state;
	use_sink(100, ENOSPC);
	guest_writes(NOXS_STDOUT, "lost", 4);
	guest_writes(NOXS_STDERR, "kept", 4);
	assert_int_equal(drain(), 4);
	assert_int_equal(control.console.error[NOXS_STDOUT], ENOSPC);
	assert_int_equal(c.bytes_lost, 4);
	assert_memory_equal(sink.text, "kept", 4);
}

static void output_without_anywhere_to_go_is_an_error(void **state)
{
	(void)state;
	c.fd[NOXS_STDERR] = -1;
	guest_writes(NOXS_STDERR, "lost", 4);
	assert_int_equal(drain(), 0);
	assert_int_equal(c.error[NOXS_STDERR], EBADF);
}

/* ---- the front end's state ---- */

static void a_console_that_is_not_in_use_is_not_looked_at(void **state)
{
	(void)state;
	open_front(NOXS_INIT, 0);
	control.console.ring[NOXS_STDOUT].tail = 0x80000000; /* as wild as can be */
	assert_int_equal(drain(), 0);
	assert_false(console_pending(&c));
	open_front(NOXS_CLOSED, 0);
	assert_int_equal(drain(), 0);
	assert_false(console_pending(&c));
	assert_false(console_ask(&c));
}

static void one_that_is_closing_gets_no_more_input(void **state)
{
	char buf[8];

	(void)state;
	open_front(NOXS_CLOSING, 0);
	guest_writes(NOXS_STDOUT, "last", 4);
	assert_int_equal(drain(), 4);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 4);
	assert_int_equal(write(in[1], "x", 1), 1);
	assert_int_equal(wait_for(NOXS_EV_STDIN, 1000000), 0);
	assert_int_equal(console_give(&c, "x", 1), 0);
	assert_int_equal(control.console.ring[NOXS_STDIN].tail, 0);
}

static void states_and_features_that_cannot_be_end_the_guest(void **state)
{
	static const uint32_t wild[] = {NOXS_CLOSED + 1, 0x80000000, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		console_init(&c, &guest);
		open_front(wild[i], 0);
		assert_int_equal(drain(), -EPROTO);
		assert_non_null(strstr(err.message, "state"));
	}
	for (uint32_t from = NOXS_READY; from <= NOXS_CLOSED; from++)
		for (uint32_t to = NOXS_INIT; to < from; to++) {
			console_init(&c, &guest);
			open_front(from, 0);
			assert_int_equal(drain(), 0);
			open_front(to, 0);
			assert_int_equal(drain(), -EPROTO);
			assert_non_null(strstr(err.message, "cannot follow"));
		}
	console_init(&c, &guest);
	open_front(NOXS_READY, 1ull << 63 | NOXS_CONSOLE_DOORBELL);
	assert_int_equal(drain(), -EPROTO);
	assert_non_null(strstr(err.message, "features"));
	/* Changed behind our back they are what they were. */
	console_init(&c, &guest);
	open_front(NOXS_READY, 0);
	assert_int_equal(drain(), 0);
	open_front(NOXS_READY, UINT64_MAX);
	assert_int_equal(drain(), 0);
	assert_false(console_ask(&c));
}

static void asks_to_be_rung(void **state)
{
	uint32_t wake;

	(void)state;
	assert_int_equal(drain(), 0);
	wake = control.console.wake[NOXS_STDOUT];
	assert_true(console_ask(&c));
	assert_int_not_equal(control.console.wake[NOXS_STDOUT], wake);
	assert_int_not_equal(control.console.wake[NOXS_STDERR], wake);
	control.console.wake[NOXS_STDOUT] = wake; /* the guest's page, but not the guest's count */
	assert_true(console_ask(&c));
	assert_int_equal(control.console.wake[NOXS_STDOUT], wake + 2);
}

/* ---- somebody else writes to the same pipe ---- */

static bool rival;

/* The pipe polls writable; then another process fills it, before we write. */
int poll(struct pollfd *p, nfds_t n, int timeout)
{
	static char junk[4096];
	struct timespec t = {timeout / 1000, timeout % 1000 * 1000000l};
	int ret = (int)syscall(SYS_ppoll, p, n, timeout < 0 ? NULL : &t, NULL, 0);

	if (rival && ret == 1 && p->revents & POLLOUT) {
		int flags = fcntl(p->fd, F_GETFL);

		fcntl(p->fd, F_SETFL, flags | O_NONBLOCK);
		while (write(p->fd, junk, sizeof(junk)) > 0)
			;
		fcntl(p->fd, F_SETFL, flags);
	}
	return ret;
}

static void a_write_that_blocks_all_the_same_is_given_up(void **state)
{
	char text[PIPE_BUF];
	struct timespec a, b;

	(void)state;
	memset(text, 'm', sizeof(text));
	guest_writes(NOXS_STDOUT, text, sizeof(text));
	for (int timer = 0; timer < 2; timer++) {
		/* Whether a tick was to come anyway, or none. */
		kick_timer_off();
		if (timer)
			kick_timer(1000000000);
		rival = true;
		clock_gettime(CLOCK_MONOTONIC, &a);
		assert_int_equal(drain(), 0);
		clock_gettime(CLOCK_MONOTONIC, &b);
		rival = false;
		assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 500);
		assert_true(console_pending(&c));
		while (read(out[0], text, sizeof(text)) > 0)
			;
	}
	/* A timer that fires in the gap between the look and the write comes again. */
	kick_guard();
	clock_gettime(CLOCK_MONOTONIC, &a);
	do
		clock_gettime(CLOCK_MONOTONIC, &b);
	while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 50);
	assert_int_equal(nanosleep(&(struct timespec){2, 0}, NULL), -1);
	kick_unguard();
	kick_timer_off();
	assert_int_equal(drain(), PIPE_BUF);
	assert_int_equal(read(out[0], text, sizeof(text)), PIPE_BUF);
	assert_int_equal(text[0], 'm');
}

/* ---- two threads ---- */

#define PIECES 20000
static atomic_bool over;
static uint32_t next_out;

static ssize_t check_order(void *arg, int stream, const void *data, size_t n)
{
	static atomic_bool inside;
	const uint8_t *bytes = data;

	(void)arg, (void)stream;
	if (atomic_exchange(&inside, true))
		abort(); /* never twice at once */
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != (uint8_t)next_out++)
			abort();
	atomic_store(&inside, false);
	return (ssize_t)n;
}

static void *drains_aside(void *arg)
{
	struct err mine;

	(void)arg;
	while (!over)
		if (console_drain_aside(&c, &mine) < 0)
			abort();
	return NULL;
}

static void *guest_thread(void *arg)
{
	struct noxs_ring *r = &control.console.ring[NOXS_STDOUT];
	uint32_t next = 0;

	(void)arg;
	for (int i = 0; i < PIECES; i++) {
		uint32_t n = 1 + (uint32_t)i * 7919 % 5000;

		while (n >
		       NOXS_STDOUT_BYTES - (r->tail - __atomic_load_n(&r->head, __ATOMIC_ACQUIRE)))
			;
		for (uint32_t k = 0; k < n; k++)
			rings[NOXS_STDOUT][(r->tail + k) & (NOXS_STDOUT_BYTES - 1)] =
				(uint8_t)next++;
		__atomic_store_n(&r->tail, r->tail + n, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void two_threads_pass_on_in_order(void **state)
{
	pthread_t aside, writer;

	(void)state;
	c.put = check_order;
	next_out = 0;
	over = false;
	pthread_create(&aside, NULL, drains_aside, NULL);
	pthread_create(&writer, NULL, guest_thread, NULL);
	while (pthread_tryjoin_np(writer, NULL))
		assert_true(drain() >= 0);
	assert_int_equal(wait_for(CONSOLE_EV_FLUSHED, -1), CONSOLE_EV_FLUSHED);
	over = true;
	pthread_join(aside, NULL);
	assert_int_equal(c.bytes[NOXS_STDOUT], control.console.ring[NOXS_STDOUT].tail);
	assert_int_equal((uint32_t)c.bytes[NOXS_STDOUT], next_out);
}

static void output_that_another_has_in_hand_is_waited_for(void **state)
{
	(void)state;
	guest_writes(NOXS_STDOUT, "x", 1);
	assert_int_equal(drain(), 1);
	guest_writes(NOXS_STDOUT, "y", 1);
	c.busy = true;
	assert_int_equal(drain(), 0);
	assert_int_equal(wait_for(CONSOLE_EV_FLUSHED, 20000000), 0);
	assert_false(console_close(&c));
	c.busy = false;
	assert_int_equal(wait_for(CONSOLE_EV_FLUSHED, -1), CONSOLE_EV_FLUSHED);
	assert_true(console_close(&c));
	guest_writes(NOXS_STDOUT, "z", 1);
	assert_int_equal(console_drain_aside(&c, &err), 0);
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
		CASE(input_that_is_there_is_found_without_waiting),
		CASE(another_descriptor_ends_the_wait),
		CASE(input_that_is_given_arrives_and_ends),
		CASE(without_input_there_is_the_end_of_it),
		CASE(a_sink_takes_what_it_likes),
		CASE(a_sink_that_fails_fails_the_stream),
		CASE(output_without_anywhere_to_go_is_an_error),
		CASE(a_console_that_is_not_in_use_is_not_looked_at),
		CASE(one_that_is_closing_gets_no_more_input),
		CASE(states_and_features_that_cannot_be_end_the_guest),
		CASE(asks_to_be_rung),
		CASE(a_write_that_blocks_all_the_same_is_given_up),
		CASE(two_threads_pass_on_in_order),
		CASE(output_that_another_has_in_hand_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
