/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_power.c: the power device's back end against guests that answer, that do not, and
 * that answer what nobody asked. The guest's side is played here.
 */
/* sources: monitor/power.c monitor/device.c monitor/err.c */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../monitor/power.h"

#define MS       1000000ull
#define BIT(sig) (1ull << ((sig)-1))

static struct noxs_power page;
static struct power p;
static struct err err;

static int setup(void **state)
{
	(void)state;
	memset(&page, 0, sizeof(page));
	page.front.features = DEVICE_POWER_FEATURES;
	page.front.state = NOXS_READY;
	page.handled = BIT(SIGTERM) | BIT(SIGUSR1);
	power_init(&p, &page);
	return power_look(&p, 0, &err);
}

static int look(uint64_t ms)
{
	return power_look(&p, ms * MS, &err);
}

static void asked_for(uint32_t what, uint32_t sig)
{
	assert_int_equal(NOXS_REQUEST_WHAT(page.request), what);
	assert_int_equal(NOXS_REQUEST_SIGNAL(page.request), sig);
	assert_int_not_equal(page.request, page.ack);
}

static void acknowledge(void)
{
	page.ack = page.request;
}

static void a_signal_is_passed_on(void **state)
{
	uint32_t first;

	(void)state;
	assert_int_equal(look(0), 0);
	assert_false(power_signal(&p, SIGTERM));
	assert_int_equal(look(0), 1);
	asked_for(NOXS_REQ_SIGNAL, SIGTERM);
	first = page.request;
	acknowledge();
	assert_int_equal(look(1), 0);
	/* The same again is another request. */
	assert_false(power_signal(&p, SIGTERM));
	assert_int_equal(look(2), 1);
	assert_int_not_equal(page.request, first);
}

static void signals_wait_for_their_turn(void **state)
{
	(void)state;
	assert_false(power_signal(&p, SIGUSR1));
	assert_false(power_signal(&p, SIGTERM));
	assert_int_equal(look(0), 1);
	asked_for(NOXS_REQ_SIGNAL, SIGUSR1);
	assert_int_equal(look(1), 1);
	asked_for(NOXS_REQ_SIGNAL, SIGUSR1); /* not taken yet, so not replaced */
	acknowledge();
	assert_int_equal(look(2), 1);
	asked_for(NOXS_REQ_SIGNAL, SIGTERM);
	acknowledge();
	assert_int_equal(look(3), 0);
}

static void a_signal_nobody_handles_is_the_end_or_nothing(void **state)
{
	(void)state;
	assert_true(power_signal(&p, SIGINT));
	assert_true(power_signal(&p, 64));
	assert_false(power_signal(&p, SIGWINCH));
	assert_false(power_signal(&p, SIGCHLD));
	assert_false(power_signal(&p, 0));
	assert_false(power_signal(&p, 65));
	assert_false(power_signal(&p, -1));
	page.handled = UINT64_MAX;
	assert_true(power_signal(&p, SIGKILL));
	assert_false(power_signal(&p, SIGSTOP));
	assert_int_equal(look(0), 0);
}

static void a_front_end_that_is_not_there_is_not_asked(void **state)
{
	(void)state;
	memset(&page.front, 0, sizeof(page.front));
	power_init(&p, &page);
	assert_int_equal(look(0), 0);
	assert_true(power_signal(&p, SIGTERM));
	assert_true(power_shutdown(&p));
	power_suspend(&p, true, 0);
	assert_int_equal(look(0), 0);
	assert_true(p.held);
	assert_int_equal(p.unacknowledged, 0);
	assert_int_equal(page.request, 0);
	power_suspend(&p, false, 1);
	assert_int_equal(look(1), 0);
	assert_false(p.held);
	/* One that takes signals and nothing else. */
	page.front = (struct noxs_front){.state = NOXS_READY, .features = NOXS_POWER_SIGNAL};
	assert_int_equal(look(2), 0);
	assert_true(power_shutdown(&p));
	assert_false(power_signal(&p, SIGTERM));
	acknowledge();
	assert_int_equal(look(2), 1);
	/* Closed again. */
	acknowledge();
	page.front.state = NOXS_CLOSED;
	assert_int_equal(look(3), 0);
	assert_true(power_signal(&p, SIGTERM));
}

static void shutdown_is_asked_for(void **state)
{
	(void)state;
	assert_false(power_shutdown(&p));
	assert_int_equal(look(0), 1);
	asked_for(NOXS_REQ_SHUTDOWN, 0);
	acknowledge();
	assert_int_equal(look(1), 0);
	page.handled = 0;
	assert_true(power_shutdown(&p));
}

static void suspend_is_answered(void **state)
{
	(void)state;
	power_suspend(&p, true, 0);
	assert_int_equal(look(0), 1);
	asked_for(NOXS_REQ_SUSPEND, 0);
	assert_false(p.held);
	assert_int_equal(power_next_ns(&p), 50 * MS);
	acknowledge();
	assert_int_equal(look(1), 0);
	assert_true(p.held);
	assert_int_equal(power_next_ns(&p), 0);
	/* Meanwhile signals wait. */
	assert_false(power_signal(&p, SIGTERM));
	assert_int_equal(look(2), 0);
	assert_true(p.held);
	power_suspend(&p, false, 3 * MS);
	assert_int_equal(look(3), 1);
	assert_false(p.held);
	asked_for(NOXS_REQ_RESUME, 0);
	acknowledge();
	assert_int_equal(look(4), 1);
	asked_for(NOXS_REQ_SIGNAL, SIGTERM);
	assert_int_equal(p.unacknowledged, 0);
}

static void a_guest_that_does_not_answer_is_held_anyway(void **state)
{
	(void)state;
	power_suspend(&p, true, 0);
	assert_int_equal(look(0), 1);
	assert_int_equal(look(49), 1);
	assert_false(p.held);
	look(50);
	assert_true(p.held);
	assert_int_equal(p.unacknowledged, 1);
	/* It never saw the request: RESUME takes its place. */
	power_suspend(&p, false, 60 * MS);
	assert_int_equal(look(60), 1);
	assert_false(p.held);
	asked_for(NOXS_REQ_RESUME, 0);
	/* And again, before it has answered that. */
	power_suspend(&p, true, 61 * MS);
	assert_int_equal(look(61), 1);
	assert_int_equal(look(111), 1);
	assert_true(p.held);
	power_suspend(&p, false, 112 * MS);
	assert_int_equal(look(112), 1);
	acknowledge();
	assert_int_equal(look(113), 0);
	assert_false(p.held);
}

static void a_request_under_way_does_not_keep_it_from_being_held(void **state)
{
	(void)state;
	assert_false(power_signal(&p, SIGTERM));
	assert_int_equal(look(0), 1);
	power_suspend(&p, true, 0);
	assert_int_equal(look(0), 1);
	asked_for(NOXS_REQ_SIGNAL, SIGTERM);
	look(50);
	assert_true(p.held);
	power_suspend(&p, false, 51 * MS);
	assert_int_equal(look(51), 1);
	assert_false(p.held);
	asked_for(NOXS_REQ_SIGNAL, SIGTERM); /* it can take that now */
	acknowledge();
	assert_int_equal(look(52), 0);
}

static void changing_ones_mind_is_nothing(void **state)
{
	(void)state;
	power_suspend(&p, true, 0);
	power_suspend(&p, true, 1);
	power_suspend(&p, false, 2);
	assert_int_equal(look(0), 0);
	assert_int_equal(page.request, 0);
	assert_false(p.held);
}

static void answers_to_what_was_not_asked_end_the_guest(void **state)
{
	static const uint32_t acks[] = {1, 0x10000, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		setup(NULL);
		page.ack = acks[i];
		assert_int_equal(look(0), -EPROTO);
		assert_non_null(strstr(err.message, "not made"));
	}
	/* The request that it sees is the page's; the one that counts is ours. */
	setup(NULL);
	power_suspend(&p, true, 0);
	assert_int_equal(look(0), 1);
	page.request = page.ack = 0x7777;
	assert_int_equal(look(1), -EPROTO);
	assert_false(p.held);
	/* Taking an answer back. */
	setup(NULL);
	assert_false(power_signal(&p, SIGTERM));
	look(0);
	acknowledge();
	assert_int_equal(look(0), 0);
	page.ack = 0;
	assert_int_equal(look(0), -EPROTO);
}

static void wild_front_ends_end_the_guest(void **state)
{
	(void)state;
	page.front.state = 4;
	assert_int_equal(look(0), -EPROTO);
	setup(NULL);
	page.front.state = NOXS_INIT;
	assert_int_equal(look(0), -EPROTO);
	power_init(&p, &page);
	page.front = (struct noxs_front){.state = NOXS_READY, .features = 1ull << 40};
	assert_int_equal(look(0), -EPROTO);
	assert_non_null(strstr(err.message, "power device"));
}

static void the_guests_timer_asks_for_a_look(void **state)
{
	(void)state;
	page.timer_ns = 5 * MS;
	assert_int_equal(look(4), 0);
	assert_int_equal(look(5), 1);
}

static void the_count_wraps_and_is_never_0(void **state)
{
	(void)state;
	for (int i = 0; i < 70000; i++) {
		assert_false(power_signal(&p, SIGTERM));
		assert_int_equal(look(0), 1);
		assert_int_not_equal(page.request >> 16, 0);
		acknowledge();
		assert_int_equal(look(0), 0);
	}
}

static void the_table_says_where_things_are(void **state)
{
	static struct noxs_page noxs;

	(void)state;
	device_offer(&noxs);
	assert_int_equal(noxs.ndevices, 2);
	assert_int_equal(noxs.device[0].type, NOXS_DEV_CONSOLE);
	assert_int_equal(noxs.device[0].doorbell, NOXS_DB_QUEUE);
	assert_int_equal(noxs.device[0].control, NOXS_GVA_CONTROL);
	assert_int_equal(noxs.device[0].config[2 * NOXS_STDOUT], NOXS_GVA_STDOUT);
	assert_int_equal(noxs.device[0].config[2 * NOXS_STDOUT + 1], NOXS_STDOUT_BYTES);
	assert_int_equal(noxs.device[1].type, NOXS_DEV_POWER);
	assert_int_equal(noxs.device[1].control,
			 NOXS_GVA_CONTROL + offsetof(struct noxs_control, power));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		CASE(a_signal_is_passed_on),
		CASE(signals_wait_for_their_turn),
		CASE(a_signal_nobody_handles_is_the_end_or_nothing),
		CASE(a_front_end_that_is_not_there_is_not_asked),
		CASE(shutdown_is_asked_for),
		CASE(suspend_is_answered),
		CASE(a_guest_that_does_not_answer_is_held_anyway),
		CASE(a_request_under_way_does_not_keep_it_from_being_held),
		CASE(changing_ones_mind_is_nothing),
		CASE(answers_to_what_was_not_asked_end_the_guest),
		CASE(wild_front_ends_end_the_guest),
		CASE(the_guests_timer_asks_for_a_look),
		CASE(the_count_wraps_and_is_never_0),
		CASE(the_table_says_where_things_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
