/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_wait.c: uk_wait where there is a network: it is looked after whatever the program
 * waits for, and only who waits for it hears of it.
 */
/* sources: unikernel/wait.c tests/unit/uk_mock.c */
#include "../../unikernel/net/net.h"
#include "../../unikernel/signal.h"
#include "uk_mock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS 1000000ull

static struct noxs_wait *const page = &UK_CONTROL->wait;

/* ---- the network ---- */

bool uk_net_live;
uint32_t uk_net_ndevs, uk_net_unsent;
struct net_dev uk_net_dev[NOXS_NET_MAX];
uint64_t uk_timer_at;
static unsigned started, serviced, flushed, waits;
static unsigned frames; /* services that find something */
static uint64_t due_ns; /* lwIP's timer */
static uint64_t alarm_at, tick_at;
static long start_result;

long net_stack_start(void)
{
	started++;
	uk_net_live = !start_result;
	return start_result;
}

bool net_late_acks(void)
{
	return false;
}

bool uk_net_service(void)
{
	bool timer = uk_mock.mono_ns >= due_ns;

	serviced++;
	if (timer)
		due_ns = NOXS_FOREVER;
	if (!frames)
		return timer;
	frames--;
	return true;
}

uint64_t uk_net_deadline(void)
{
	return due_ns;
}

void net_flush(void)
{
	flushed++;
	uk_net_unsent = 0;
}

static bool awake;           /* the monitor polls */
static unsigned looks_until; /* looks before a frame is there */

bool net_spins(void)
{
	return awake;
}

bool net_news(void)
{
	uk_mock.mono_ns += 100;
	if (!looks_until || --looks_until)
		return false;
	frames++;
	return true;
}

void net_waiting(void)
{
	uk_net_unsent = 0;
}

uint64_t uk_timer_next(void)
{
	return alarm_at;
}

void uk_timer_tick_at(uint64_t ns)
{
	tick_at = ns;
}

void uk_slept(uint64_t ns)
{
	(void)ns;
}

/* ---- the monitor ---- */

/* What each WAIT ends by, in order; a deadline where there is nothing. */
static struct {
	uint32_t ready;
	unsigned frames;
	bool signal;
} script[8];
static uint32_t asked[8];
static uint64_t until[8];

static void monitor(unsigned slot, uint64_t value)
{
	(void)value;
	assert_int_equal(slot, NOXS_DB_WAIT);
	assert_true(waits < uk_countof(script));
	assert_int_equal(uk_net_unsent, 0);
	asked[waits] = page->events;
	until[waits] = page->deadline_ns;
	page->ready = script[waits].ready & page->events;
	frames += script[waits].frames;
	uk_mock.signal_pending |= script[waits].signal;
	if (!page->ready) {
		assert_int_not_equal(page->deadline_ns, NOXS_FOREVER);
		uk_mock.mono_ns = uk_max(uk_mock.mono_ns, page->deadline_ns);
	}
	waits++;
}

static int setup(void **state)
{
	(void)state;
	uk_mock_reset();
	uk_mock.doorbell = monitor;
	memset(script, 0, sizeof(script));
	uk_net_live = false;
	uk_net_ndevs = 2;
	uk_net_dev[0].id = 0;
	uk_net_dev[1].id = 2;
	started = serviced = flushed = waits = frames = 0;
	due_ns = alarm_at = NOXS_FOREVER;
	tick_at = 0;
	start_result = 0;
	awake = false;
	looks_until = 0;
	return 0;
}

#define DEVICES (NOXS_EV_NET(0) | NOXS_EV_NET(2))

/* ---- tests ---- */

static void without_a_network_nothing_of_it_is_touched(void **state)
{
	(void)state;
	uk_net_ndevs = 0;
	script[0].ready = NOXS_EV_STDIN;
	assert_int_equal(uk_wait(NOXS_EV_STDIN, NOXS_FOREVER), NOXS_EV_STDIN);
	assert_int_equal(started + serviced, 0);
	assert_int_equal(asked[0], NOXS_EV_STDIN | NOXS_EV_POWER);
	assert_int_equal(tick_at, 0);
}

static void a_program_that_sleeps_answers_pings(void **state)
{
	uint64_t end = uk_mock.mono_ns + 500 * MS;

	(void)state;
	script[0].ready = NOXS_EV_NET(0);
	script[0].frames = 2;
	script[1].ready = NOXS_EV_NET(2);
	script[1].frames = 1;
	assert_int_equal(uk_wait(0, end), 0);
	assert_int_equal(started, 1);
	assert_int_equal(waits, 3);
	assert_int_equal(frames, 0);
	assert_int_equal(asked[0], DEVICES | NOXS_EV_POWER);
	assert_int_equal(until[2], end);
	assert_int_equal(uk_mock.mono_ns, end);
}

static void who_waits_for_it_is_told(void **state)
{
	(void)state;
	script[0].ready = NOXS_EV_NET(0);
	script[0].frames = 1;
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL, NOXS_FOREVER), NOXS_EV_NET_ALL);
	assert_int_equal(waits, 1);
	/* What has come before need not be slept for. */
	frames = 1;
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL | NOXS_EV_STDIN, NOXS_FOREVER), NOXS_EV_NET_ALL);
	assert_int_equal(waits, 1);
	/* A frame that came to nothing is no news. */
	script[1].ready = NOXS_EV_NET(0);
	script[2].ready = NOXS_EV_STDIN;
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL | NOXS_EV_STDIN, NOXS_FOREVER), NOXS_EV_STDIN);
	assert_int_equal(waits, 3);
}

static void timers_of_the_stack_end_nobodys_wait(void **state)
{
	uint64_t start = uk_mock.mono_ns;

	(void)state;
	due_ns = start + 50 * MS;
	assert_int_equal(uk_wait(NOXS_EV_STDIN, start + 200 * MS), 0);
	assert_int_equal(until[0], start + 50 * MS);
	assert_int_equal(until[1], start + 200 * MS);
	assert_int_equal(uk_mock.mono_ns, start + 200 * MS);
}

static void other_timers_do(void **state)
{
	uint64_t start = uk_mock.mono_ns;

	(void)state;
	alarm_at = start + 70 * MS;
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL, NOXS_FOREVER), 0);
	assert_int_equal(until[0], start + 70 * MS);
	assert_int_equal(waits, 1);
}

static void a_look_without_waiting_asks_the_monitor_once(void **state)
{
	(void)state;
	script[0].ready = NOXS_EV_NET(0);
	script[0].frames = 1;
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL, 0), NOXS_EV_NET_ALL);
	assert_int_equal(waits, 1);
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL, 0), 0);
	assert_int_equal(waits, 2);
}

static void a_signal_interrupts(void **state)
{
	(void)state;
	script[0].ready = NOXS_EV_POWER;
	script[0].signal = true;
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL, NOXS_FOREVER), -EINTR);
	uk_mock.signal_pending = false;
	/* A request that is nothing to the program does not. */
	script[1].ready = NOXS_EV_POWER;
	script[2].ready = NOXS_EV_STDIN;
	assert_int_equal(uk_wait(NOXS_EV_STDIN | NOXS_EV_POWER, NOXS_FOREVER), NOXS_EV_STDIN);
	assert_int_equal(waits, 3);
}

static void while_the_monitor_polls_a_frame_needs_no_exit(void **state)
{
	(void)state;
	awake = true;
	looks_until = 100;
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL, NOXS_FOREVER), NOXS_EV_NET_ALL);
	assert_int_equal(waits, 0);
	/* Not for ever, and not past the deadline. */
	script[0].ready = NOXS_EV_STDIN;
	assert_int_equal(uk_wait(NOXS_EV_STDIN | NOXS_EV_NET_ALL, NOXS_FOREVER), NOXS_EV_STDIN);
	assert_int_equal(waits, 1);
	assert_int_equal(uk_wait(NOXS_EV_NET_ALL, uk_mock.mono_ns + 5000), 0);
	assert_int_equal(waits, 2);
}

static void without_memory_for_it_there_is_none(void **state)
{
	(void)state;
	start_result = -ENOMEM;
	script[0].ready = NOXS_EV_STDIN;
	assert_int_equal(uk_wait(NOXS_EV_STDIN, NOXS_FOREVER), NOXS_EV_STDIN);
	assert_int_equal(serviced, 0);
}

static void a_computing_program_is_preempted_for_it(void **state)
{
	(void)state;
	script[0].ready = NOXS_EV_STDIN;
	uk_wait(NOXS_EV_STDIN, NOXS_FOREVER);
	assert_int_equal(tick_at, uk_mock.mono_ns + 10 * MS);
	uk_mock.mono_ns = tick_at;
	uk_net_unsent = 1;
	serviced = 0;
	uk_net_tick();
	assert_int_equal(serviced, 1);
	assert_int_equal(flushed, 1);
	assert_int_equal(tick_at, uk_mock.mono_ns + 10 * MS);
	/* The loopback needs nobody's help. */
	uk_net_ndevs = 0;
	uk_net_tick();
	assert_int_equal(tick_at, 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		CASE(without_a_network_nothing_of_it_is_touched),
		CASE(a_program_that_sleeps_answers_pings),
		CASE(who_waits_for_it_is_told),
		CASE(timers_of_the_stack_end_nobodys_wait),
		CASE(other_timers_do),
		CASE(a_look_without_waiting_asks_the_monitor_once),
		CASE(a_signal_interrupts),
		CASE(while_the_monitor_polls_a_frame_needs_no_exit),
		CASE(without_memory_for_it_there_is_none),
		CASE(a_computing_program_is_preempted_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
