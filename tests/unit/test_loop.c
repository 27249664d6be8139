/* SPDX-License-Identifier: Apache-2.0 */
/* test_loop.c: the daemon's event loop, its timers, its tokens. */
/* sources: monitor/daemon/loop.c monitor/daemon/timers.c monitor/daemon/slots.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../../monitor/daemon/loop.h"
#include "../../monitor/daemon/slots.h"
#include "../../monitor/daemon/timers.h"

/* ---- tokens ---- */

static void tokens(void **state)
{
	struct slots s = {0};
	int thing[200];
	uint64_t token[200], again;

	(void)state;
	assert_null(slots_get(&s, 0));
	assert_null(slots_get(&s, 1));
	for (int i = 0; i < 200; i++) {
		token[i] = slots_put(&s, &thing[i]);
		assert_true(token[i]);
	}
	for (int i = 0; i < 200; i++)
		assert_ptr_equal(slots_get(&s, token[i]), &thing[i]);
	assert_ptr_equal(slots_take(&s, token[7]), &thing[7]);
	assert_null(slots_take(&s, token[7]));
	/* Who moves in has another token. */
	again = slots_put(&s, &thing[0]);
	assert_true(again != token[7]);
	assert_null(slots_get(&s, token[7]));
	assert_ptr_equal(slots_get(&s, again), &thing[0]);
	assert_null(slots_get(&s, ~0ull));
	slots_free(&s);
}

/* ---- timers, without a clock ---- */

static int fired[5000], nfired;

static void fire(void *arg)
{
	fired[nfired++] = (int)(intptr_t)arg;
}

static void timers_are_in_order(void **state)
{
	struct timers t = {0};
	uint64_t token[3000];
	int left = 0;

	(void)state;
	nfired = 0;
	srandom(1);
	for (int i = 0; i < 3000; i++) {
		uint64_t when = (uint64_t)(random() % 1000);

		/* What fires tells its time, to look at the order. */
		token[i] = timers_add(&t, when, fire, (void *)(intptr_t)when);
		assert_true(token[i]);
	}
	for (int i = 0; i < 3000; i++) {
		if (random() % 3)
			left++;
		else
			timers_cancel(&t, token[i]), timers_cancel(&t, token[i]);
	}
	assert_int_equal(t.count, left);
	timers_run(&t, 499);
	for (int i = 1; i < nfired; i++)
		assert_true(fired[i - 1] <= fired[i]);
	assert_true(nfired && fired[nfired - 1] <= 499);
	assert_true(timers_next_ns(&t) >= 500);
	timers_run(&t, 1000);
	assert_int_equal(nfired, left);
	assert_true(timers_next_ns(&t) == UINT64_MAX);
	timers_free(&t);
}

static void equal_times_keep_their_order(void **state)
{
	struct timers t = {0};

	(void)state;
	nfired = 0;
	for (int i = 0; i < 50; i++)
		timers_add(&t, 7, fire, (void *)(intptr_t)i);
	timers_run(&t, 7);
	assert_int_equal(nfired, 50);
	for (int i = 0; i < 50; i++)
		assert_int_equal(fired[i], i);
	timers_free(&t);
}

static struct timers *self_timers;

static void add_again(void *arg)
{
	nfired++;
	timers_add(self_timers, 0, add_again, arg);
}

static void a_timer_that_adds_itself_lets_others_live(void **state)
{
	struct timers t = {0};

	(void)state;
	nfired = 0;
	self_timers = &t;
	timers_add(&t, 0, add_again, NULL);
	timers_run(&t, 10);
	assert_int_equal(nfired, 1);
	timers_run(&t, 10);
	assert_int_equal(nfired, 2);
	timers_free(&t);
}

/* ---- the loop ---- */

struct world {
	struct loop *loop;
	int a[2], b[2];
	int calls;
	bool other_was_called;
	uint64_t token;
};

static void stop(void *arg)
{
	loop_stop(((struct world *)arg)->loop);
}

static void setup(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->loop = loop_new();
	assert_non_null(w->loop);
	assert_int_equal(pipe2(w->a, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(w->b, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(loop_after(w->loop, 5000000000ull, stop, w)); /* whatever happens */
}

static void teardown(struct world *w)
{
	loop_free(w->loop);
	for (int i = 0; i < 2; i++)
		close(w->a[i]), close(w->b[i]);
}

static void read_one(void *arg, uint32_t events)
{
	struct world *w = arg;
	char c;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(w->a[0], &c, 1), 1);
	if (++w->calls == 3)
		loop_stop(w->loop);
}

static void descriptors_are_level_triggered(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	assert_int_equal(loop_watch(w.loop, -1, EPOLLIN, read_one, &w), -EBADF);
	assert_int_equal(loop_watch(w.loop, w.a[0], EPOLLIN, read_one, &w), 0);
	assert_int_equal(loop_watch(w.loop, w.a[0], EPOLLIN, read_one, &w), -EEXIST);
	assert_int_equal(write(w.a[1], "xyz", 3), 3);
	assert_int_equal(loop_run(w.loop), 0);
	assert_int_equal(w.calls, 3);
	teardown(&w);
}

static void must_not(void *arg, uint32_t events)
{
	(void)events;
	((struct world *)arg)->other_was_called = true;
}

/* Forgets the other descriptor, whose event is in the same batch, closes it, and watches
 * another file by the same number: that one is not ready. */
static void forget_other(void *arg, uint32_t events)
{
	struct world *w = arg;
	int fresh[2];

	(void)events;
	if (w->calls++)
		return;
	loop_change(w->loop, w->a[0], 0);
	loop_change(w->loop, w->b[0], 0);
	assert_int_equal(pipe2(fresh, O_CLOEXEC), 0);
	assert_int_equal(dup2(fresh[0], w->a[0]), w->a[0]);
	assert_int_equal(dup2(fresh[0], w->b[0]), w->b[0]);
	close(fresh[0]);
	close(w->a[1]), close(w->b[1]);
	w->a[1] = fresh[1];
	w->b[1] = dup(fresh[1]);
	assert_int_equal(loop_watch(w->loop, w->a[0], EPOLLIN, must_not, w), 0);
	assert_int_equal(loop_watch(w->loop, w->b[0], EPOLLIN, must_not, w), 0);
	assert_true(loop_after(w->loop, 20000000, stop, w));
}

static void a_forgotten_descriptors_event_is_nobodys(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	assert_int_equal(loop_watch(w.loop, w.a[0], EPOLLIN, forget_other, &w), 0);
	assert_int_equal(loop_watch(w.loop, w.b[0], EPOLLIN, forget_other, &w), 0);
	assert_int_equal(write(w.a[1], "x", 1), 1);
	assert_int_equal(write(w.b[1], "x", 1), 1);
	assert_int_equal(loop_run(w.loop), 0);
	assert_int_equal(w.calls, 1);
	assert_false(w.other_was_called);
	teardown(&w);
}

static void must_not_expire(void *arg)
{
	(void)arg;
	fail_msg("a cancelled timer expired");
}

static void cancel_and_stop(void *arg)
{
	struct world *w = arg;

	loop_cancel(w->loop, w->token);
	loop_cancel(w->loop, w->token);
	loop_after(w->loop, 30000000, stop, w);
}

static void timers_can_be_cancelled(void **state)
{
	struct world w;
	uint64_t begin;

	(void)state;
	setup(&w);
	begin = loop_now_ns();
	assert_true(loop_after(w.loop, 5000000, cancel_and_stop, &w));
	w.token = loop_after(w.loop, 20000000, must_not_expire, &w);
	loop_cancel(w.loop, 0);
	assert_int_equal(loop_run(w.loop), 0);
	assert_in_range(loop_now_ns() - begin, 35000000, 4000000000ull);
	teardown(&w);
}

static void count(void *arg)
{
	struct world *w = arg;

	if (++w->calls == 3)
		loop_stop(w->loop);
	else
		loop_after(w->loop, 0, stop, w);
}

static void before_sleep_is_called_until_it_is_taken_back(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	loop_before_sleep(w.loop, count, &w);
	assert_int_equal(loop_run(w.loop), 0);
	assert_int_equal(w.calls, 1);
	loop_before_sleep(w.loop, NULL, &w);
	loop_after(w.loop, 0, stop, &w);
	assert_int_equal(loop_run(w.loop), 0);
	assert_int_equal(w.calls, 1);
	teardown(&w);
}

static void a_time_beyond_all_clocks_is_no_time_in_the_past(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	assert_true(loop_after(w.loop, UINT64_MAX, must_not_expire, &w));
	loop_after(w.loop, 5000000, stop, &w);
	assert_int_equal(loop_run(w.loop), 0);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens),
		cmocka_unit_test(timers_are_in_order),
		cmocka_unit_test(equal_times_keep_their_order),
		cmocka_unit_test(a_timer_that_adds_itself_lets_others_live),
		cmocka_unit_test(descriptors_are_level_triggered),
		cmocka_unit_test(a_forgotten_descriptors_event_is_nobodys),
		cmocka_unit_test(timers_can_be_cancelled),
		cmocka_unit_test(before_sleep_is_called_until_it_is_taken_back),
		cmocka_unit_test(a_time_beyond_all_clocks_is_no_time_in_the_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
