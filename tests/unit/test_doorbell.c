/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_doorbell.c: the thread that passes output on when the guest rings. KVM is played
 * here: what is bound to a slot is rung by writing to its eventfd.
 */
/* sources: monitor/doorbell.c monitor/console.c monitor/device.c monitor/kick.c monitor/err.c */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "../../monitor/doorbell.h"
#include "../../monitor/kick.h"

static struct noxs_control control;
static struct guest guest;
static struct console c;
static uint8_t rings[NOXS_NSTREAMS][NOXS_STDIN_BYTES];
static struct kvm_run vcpu;
static struct vm vm = {.fd = 77};
static int out[2];
static int bound[NOXS_NSTREAMS], binds, fail_at;
static uint32_t last_wake[NOXS_NSTREAMS];

int vm_ioctl(struct vm *v, int fd, unsigned long request, unsigned long arg)
{
	const struct kvm_ioeventfd *bind = (const void *)arg;
	uint64_t slot = (bind->addr - NOXS_GPA_DOORBELL) / 8 - NOXS_DB_QUEUE;

	assert_int_equal(fd, v->fd);
	assert_int_equal(request, KVM_IOEVENTFD);
	assert_int_equal(bind->len, 8);
	assert_in_range(slot, NOXS_STDOUT, NOXS_STDERR);
	if (bind->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		assert_int_equal(bound[slot], bind->fd);
		bound[slot] = 0;
		return 0;
	}
	if (++binds == fail_at)
		return -ENOSPC;
	bound[slot] = bind->fd;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	kick_prepare(&vcpu);
	memset(&control, 0, sizeof(control));
	control.console.front = (struct noxs_front){NOXS_READY, 0, NOXS_CONSOLE_DOORBELL};
	guest = (struct guest){.control = &control, .ring = {rings[0], rings[1], rings[2]}};
	console_init(&c, &guest);
	binds = fail_at = 0;
	if (pipe(out))
		return -1;
	c.fd[1] = c.fd[2] = out[1];
	last_wake[NOXS_STDOUT] = last_wake[NOXS_STDERR] = 0;
	return console_drain(&c, &(struct err){0}); /* the run has seen the front end by then */
}

static int teardown(void **state)
{
	(void)state;
	doorbell_stop();
	close(out[0]);
	close(out[1]);
	return 0;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_ms(int ms)
{
	poll(NULL, 0, ms);
}

static void ring_bell(int stream)
{
	const uint64_t one = 1;

	assert_int_equal(write(bound[stream], &one, 8), 8);
}

/* As the library kernel does it. */
static void guest_prints(int stream, const char *text)
{
	struct noxs_ring *r = &control.console.ring[stream];
	uint32_t size = stream == NOXS_STDERR ? NOXS_STDERR_BYTES : NOXS_STDOUT_BYTES, wake;

	for (size_t i = 0; text[i]; i++)
		rings[stream][(r->tail + i) & (size - 1)] = (uint8_t)text[i];
	__atomic_store_n(&r->tail, r->tail + (uint32_t)strlen(text), __ATOMIC_RELEASE);
	atomic_thread_fence(memory_order_seq_cst);
	wake = __atomic_load_n(&control.console.wake[stream], __ATOMIC_RELAXED);
	if (wake != last_wake[stream]) {
		last_wake[stream] = wake;
		ring_bell(stream);
	}
}

/* It reads n bytes from the pipe within a second or fails. */
static void arrives(const char *text)
{
	char got[64];
	struct pollfd p = {.fd = out[0], .events = POLLIN};

	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(read(out[0], got, sizeof(got)), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* The thread has asked to be rung since it was last rung: it is about to sleep. */
static void asked_again(int stream)
{
	double until = seconds() + 5;

	while (__atomic_load_n(&control.console.wake[stream], __ATOMIC_ACQUIRE) ==
	       last_wake[stream]) {
		assert_true(seconds() < until);
		sleep_ms(1);
	}
}

static void what_cannot_be_bound_is_left_as_it_was(void **state)
{
	int status;

	(void)state;
	/* In a process of its own: it is not tried again. */
	if (!fork()) {
		fail_at = 2;
		if (doorbell_start(&vm, &c) || doorbell_is_on())
			_exit(1);
		if (bound[NOXS_STDOUT] || bound[NOXS_STDERR])
			_exit(2);
		fail_at = 0;
		_exit(doorbell_start(&vm, &c) || binds != 2 ? 3 : 0);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
}

static void output_arrives_when_it_is_rung_for(void **state)
{
	(void)state;
	assert_true(doorbell_start(&vm, &c));
	for (int i = 0; i < 20; i++) {
		asked_again(NOXS_STDOUT);
		guest_prints(NOXS_STDOUT, "line\n");
		arrives("line\n");
		asked_again(NOXS_STDERR);
		guest_prints(NOXS_STDERR, "error\n");
		arrives("error\n");
	}
	assert_in_range(doorbell_rung(), 1, 40);
}

static void a_reader_that_comes_late_gets_all(void **state)
{
	static char text[NOXS_STDOUT_BYTES / 2 + 1];
	size_t total = 0, got = 0;
	char buf[4096];

	(void)state;
	assert_true(doorbell_start(&vm, &c));
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 5; i++) {
		struct noxs_ring *r = &control.console.ring[NOXS_STDOUT];

		if (r->tail - __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) <=
		    NOXS_STDOUT_BYTES / 2) {
			guest_prints(NOXS_STDOUT, text);
			total += sizeof(text) - 1;
		}
		sleep_ms(5);
	}
	assert_true(console_pending(&c));
	while (got < total) {
		struct pollfd p = {.fd = out[0], .events = POLLIN};

		assert_int_equal(poll(&p, 1, 1000), 1);
		got += (size_t)read(out[0], buf, sizeof(buf));
	}
	assert_int_equal(got, total);
}

/* CPU time is what a storm could take. */
static void a_storm_of_rings_costs_next_to_nothing(void **state)
{
	struct timespec a, b, mine, more;
	double end, cpu;

	(void)state;
	assert_true(doorbell_start(&vm, &c));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mine);
	end = seconds() + 1;
	while (seconds() < end)
		for (int i = 0; i < 100; i++)
			ring_bell(NOXS_STDOUT);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &more);
	cpu = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9 -
	      (double)(more.tv_sec - mine.tv_sec) - (double)(more.tv_nsec - mine.tv_nsec) / 1e9;
	if (cpu > 0.25)
		fail_msg("the thread took %.3f s of CPU in 1 s", cpu);
	/* And it still does its work. */
	asked_again(NOXS_STDOUT);
	guest_prints(NOXS_STDOUT, "after\n");
	arrives("after\n");
}

static atomic_bool hangs;

static ssize_t hang(void *arg, int stream, const void *data, size_t n)
{
	(void)arg, (void)stream, (void)data;
	while (hangs)
		sleep_ms(1);
	return (ssize_t)n;
}

/* The last: there is no other thread after that. */
static void one_that_hangs_in_a_write_is_left_behind(void **state)
{
	double start;

	(void)state;
	c.put = hang;
	assert_true(doorbell_start(&vm, &c));
	asked_again(NOXS_STDOUT);
	hangs = true;
	guest_prints(NOXS_STDOUT, "never\n");
	while (!c.busy)
		sleep_ms(1);
	start = seconds();
	doorbell_stop();
	assert_true(seconds() - start < 2);
	assert_false(doorbell_is_on());
	hangs = false;
	while (c.busy) /* it lets go, and then it is gone: teardown may end the console */
		sleep_ms(1);
}

static void after_the_stop_it_touches_nothing(void **state)
{
	(void)state;
	assert_true(doorbell_start(&vm, &c));
	asked_again(NOXS_STDOUT);
	doorbell_stop();
	assert_true(c.busy);
	guest_prints(NOXS_STDOUT, "late\n");
	sleep_ms(20);
	assert_int_equal(control.console.ring[NOXS_STDOUT].head, 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_cannot_be_bound_is_left_as_it_was),
		CASE(output_arrives_when_it_is_rung_for),
		CASE(a_reader_that_comes_late_gets_all),
		CASE(a_storm_of_rings_costs_next_to_nothing),
		CASE(after_the_stop_it_touches_nothing),
		CASE(one_that_hangs_in_a_write_is_left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
