/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_front.c: the front ends of console and power device against a monitor that writes
 * nonsense: whatever stands in the noxs page and in the fields that are the monitor's, the
 * kernel writes only where its rings are, returns what a Linux kernel could, and comes back.
 */
/* clang-format off */
/* sources: unikernel/device.c unikernel/console.c unikernel/power.c unikernel/signal.c unikernel/wait.c tests/unit/uk_mock.c */
/* clang-format on */
#include "../../unikernel/device.h"
#include "../../unikernel/net/net.h"
#include "../../unikernel/signal.h"
#include "uk_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/mman.h>

#define SIGTERM 15
#define SIGUSR1 10
#define RINGS   (NOXS_GVA_NOXS - NOXS_GVA_STDIN)

static struct noxs_control *const control = UK_CONTROL;
static uint8_t *const ring_area = (uint8_t *)NOXS_GVA_STDIN;

/* ---- what these files need of the others ---- */

struct uk_frame *uk_frame;
static jmp_buf panicked;
static unsigned panics;
static uint64_t slept;

void uk_panic(const char *fmt, ...)
{
	(void)fmt;
	panics++;
	longjmp(panicked, 1);
}

bool uk_timer_expired(void)
{
	return false;
}

uint64_t uk_timer_at;
uint64_t uk_timer_next(void)
{
	return NOXS_FOREVER;
}

void uk_timer_tick_at(uint64_t ns)
{
	(void)ns;
}

/* There is no network here: test_net_driver.c, test_net_wait.c. */
bool uk_net_live;
uint32_t uk_net_ndevs, uk_net_unsent;
struct net_dev uk_net_dev[NOXS_NET_MAX];

void uk_net_device_start(const struct noxs_device *d)
{
	(void)d;
}

long net_stack_start(void)
{
	return -12;
}

bool net_late_acks(void)
{
	return false;
}

bool uk_net_service(void)
{
	return false;
}

uint64_t uk_net_deadline(void)
{
	return NOXS_FOREVER;
}

void net_flush(void)
{
}

void net_goodbye(uint64_t wait_ns)
{
	(void)wait_ns;
}

bool net_spins(void)
{
	return false;
}

bool net_news(void)
{
	return false;
}

void net_waiting(void)
{
}

void uk_slept(uint64_t ns)
{
	slept += ns;
}

long uk_sigframe_push(struct uk_frame *f, int sig, const struct uk_sigaction *act,
		      const struct siginfo *info, uint64_t mask, uint64_t cr2)
{
	(void)f, (void)sig, (void)act, (void)info, (void)mask, (void)cr2;
	return 0;
}

/* ---- the monitor ---- */

static void map(uint64_t at, size_t n)
{
	if (mmap((void *)at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		abort();
}

/* The contract's pages lie where AddressSanitizer thinks that there is no memory: its memcpy
 * and memset must not look. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "replace_intrin=0";
}

/* The rings are mapped, and nothing before them. */
__attribute__((constructor)) static void map_rings(void)
{
	map(NOXS_GVA_STDIN, RINGS);
#ifdef __SANITIZE_ADDRESS__
	map(((NOXS_GVA_STDIN >> 3) + 0x7fff8000) & ~(NOXS_PAGE - 1), RINGS / 8 + NOXS_PAGE);
#endif
}

static void offer(struct noxs_page *noxs)
{
	noxs->device[0] = (struct noxs_device){
		.type = NOXS_DEV_CONSOLE,
		.doorbell = NOXS_DB_QUEUE,
		.features = NOXS_CONSOLE_DOORBELL,
		.control = (uint64_t)&control->console,
		.config = {NOXS_GVA_STDIN, NOXS_STDIN_BYTES, NOXS_GVA_STDOUT, NOXS_STDOUT_BYTES,
			   NOXS_GVA_STDERR, NOXS_STDERR_BYTES},
	};
	noxs->device[1] = (struct noxs_device){
		.type = NOXS_DEV_POWER,
		.features = UINT64_MAX,
		.control = (uint64_t)&control->power,
	};
	noxs->ndevices = 2;
}

static unsigned rung, last_slot;

static void count_rings(unsigned slot, uint64_t value)
{
	(void)value;
	rung++;
	last_slot = slot;
}

static int setup(void **state)
{
	(void)state;
	uk_mock_reset();
	uk_mock.doorbell = count_rings;
	memset(control, 0, sizeof(*control));
	memset(ring_area, 0xa5, RINGS);
	offer(uk_mock_noxs());
	panics = 0;
	slept = 0;
	return 0;
}

/* Did it give up? Most nonsense in the table is not worth going on with. */
static bool start_panics(void)
{
	panics = 0;
	memset(control, 0, sizeof(*control));
	if (!setjmp(panicked))
		uk_devices_start();
	return panics;
}

/* Only [gva, gva + bytes) of the rings has been written to. */
static void only_in(uint64_t gva, uint64_t bytes)
{
	for (uint64_t at = NOXS_GVA_STDIN; at < NOXS_GVA_NOXS; at++)
		if (*(uint8_t *)at != 0xa5 && (at < gva || at >= gva + bytes))
			fail_msg("a byte at 0x%lx was written", at);
}

/* ---- the device table ---- */

static void takes_what_it_knows(void **state)
{
	(void)state;
	uk_mock_noxs()->device[0].features = UINT64_MAX;
	assert_false(start_panics());
	assert_int_equal(control->console.front.state, NOXS_READY);
	assert_int_equal(control->console.front.features, NOXS_CONSOLE_DOORBELL);
	assert_int_equal(control->power.front.state, NOXS_READY);
	assert_int_equal(control->power.front.features,
			 NOXS_POWER_SIGNAL | NOXS_POWER_SHUTDOWN | NOXS_POWER_SUSPEND);
	uk_mock_noxs()->device[0].features = 0;
	uk_mock_noxs()->device[1].features = ~(uint64_t)NOXS_POWER_SUSPEND;
	assert_false(start_panics());
	assert_int_equal(control->console.front.features, 0);
	assert_int_equal(control->power.front.features, NOXS_POWER_SIGNAL | NOXS_POWER_SHUTDOWN);
}

static void tables_that_make_no_sense(void **state)
{
	struct noxs_page *noxs = uk_mock_noxs();
	static const uint16_t unknown[] = {0, 3, 0x7fff, 0xffff};

	(void)state;
	/* More than there can be. */
	noxs->ndevices = UINT32_MAX;
	assert_false(start_panics());
	noxs->ndevices = 0;
	assert_false(start_panics());
	assert_int_equal(control->console.front.state, NOXS_INIT);
	/* Types that nobody knows. */
	for (size_t i = 0; i < 4; i++) {
		offer(noxs);
		noxs->device[2] = (struct noxs_device){.type = unknown[i], .control = 8};
		noxs->ndevices = 3;
		assert_false(start_panics());
		assert_int_equal(control->console.front.state, NOXS_READY);
	}
	/* A second console is not taken; its address is not even looked at. */
	noxs->device[2] = noxs->device[0];
	noxs->device[2].control = 8;
	assert_false(start_panics());
	/* Control blocks elsewhere. */
	for (int i = 0; i < 2; i++) {
		offer(noxs);
		noxs->device[i].control ^= 0x1000;
		assert_true(start_panics());
		noxs->device[i].control = 0;
		assert_true(start_panics());
	}
	offer(noxs);
	noxs->version++;
	assert_true(start_panics());
	noxs->version--;
	noxs->magic ^= 1;
	assert_true(start_panics());
	only_in(0, 0);
}

static void rings_that_cannot_be(void **state)
{
	static const uint64_t bad[][2] = {
		{NOXS_GVA_STDOUT, 0},
		{NOXS_GVA_STDOUT, 3},
		{NOXS_GVA_STDOUT, NOXS_STDOUT_BYTES - 1},
		{NOXS_GVA_STDOUT, 1ull << 63},
		{NOXS_GVA_STDOUT, UINT64_MAX},
		{NOXS_GVA_STDOUT, 0x80000},
		{NOXS_GVA_STDIN - 1, 0x1000},
		{NOXS_GVA_NOXS, 0x1000},
		{NOXS_GVA_NOXS - 0x1000, 0x2000},
		{NOXS_GVA_CONTROL, 0x40},
		{0, 0x1000},
		{8, 0x1000},
		{UINT64_MAX, 1},
		{UINT64_MAX - 0xfff, 0x1000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (int s = 0; s < NOXS_NSTREAMS; s++) {
			offer(uk_mock_noxs());
			uk_mock_noxs()->device[0].config[2 * s] = bad[i][0];
			uk_mock_noxs()->device[0].config[2 * s + 1] = bad[i][1];
			assert_true(start_panics());
			assert_int_equal(control->console.front.state, NOXS_INIT);
		}
	/* Another place and size is no nonsense. */
	offer(uk_mock_noxs());
	uk_mock_noxs()->device[0].config[2] = NOXS_GVA_STDERR + 0x8000;
	uk_mock_noxs()->device[0].config[3] = 0x80;
	assert_false(start_panics());
	assert_int_equal(uk_console_room(NOXS_STDOUT), 0x80);
	assert_int_equal(uk_console_write(NOXS_STDOUT, (uint64_t)ring_area, 0x1000), 0x80);
	only_in(NOXS_GVA_STDERR + 0x8000, 0x80);
}

/* ---- the console ---- */

static void indices_at_random(void **state)
{
	static uint8_t user[3 * NOXS_STDIN_BYTES];
	static const struct {
		uint64_t gva;
		uint32_t bytes;
	} rings[] = {
		{NOXS_GVA_STDIN, NOXS_STDIN_BYTES},
		{NOXS_GVA_STDOUT, NOXS_STDOUT_BYTES},
		{NOXS_GVA_STDERR, NOXS_STDERR_BYTES},
	};

	(void)state;
	assert_false(start_panics());
	srand(5);
	for (int i = 0; i < 3000; i++) {
		int s = i % 3;
		struct noxs_ring *r = &control->console.ring[s];
		uint32_t bytes = rings[s].bytes;
		size_t n = (size_t)rand() % sizeof(user), room;
		long ret;

		/* Often just off by one. */
		r->head = (uint32_t)rand() * 2u;
		r->tail = r->head +
			  (rand() % 2 ? (uint32_t)rand() * 2u : bytes + (uint32_t)(rand() % 3) - 1);
		if (s == NOXS_STDIN) {
			room = uk_console_avail();
			ret = uk_console_read((uint64_t)user, n);
		} else {
			room = uk_console_room(s);
			ret = uk_console_write(s, (uint64_t)user, n);
		}
		assert_in_range(room, 0, bytes);
		assert_int_equal(ret, n < room ? n : room);
		if (i % 100 < 3) {
			only_in(rings[s].gva, s == NOXS_STDIN ? 0 : bytes);
			memset(ring_area, 0xa5, RINGS);
		}
	}
	for (uint64_t at = NOXS_GVA_STDOUT + NOXS_STDOUT_BYTES; at < NOXS_GVA_STDERR; at++)
		assert_int_equal(*(uint8_t *)at, 0xa5);
	only_in(NOXS_GVA_STDOUT, NOXS_GVA_STDERR + NOXS_STDERR_BYTES - NOXS_GVA_STDOUT);
}

static void errors_of_any_value_are_errors(void **state)
{
	static const uint32_t errors[] = {1, 32, 4095, 4096, 0x7fffffff, 0x80000000, UINT32_MAX};

	(void)state;
	assert_false(start_panics());
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		control->console.error[NOXS_STDOUT] = errors[i];
		assert_true(uk_console_failed(NOXS_STDOUT));
		assert_in_range(-uk_console_write(NOXS_STDOUT, (uint64_t)errors, 4), 1, 4095);
	}
	only_in(0, 0);
}

static void without_a_console_nothing_is_written(void **state)
{
	(void)state;
	/* As when it never was: rings from another test would be in the way. */
	if (control->console.front.state)
		return;
	assert_true(uk_console_failed(NOXS_STDERR));
	assert_in_range(-uk_console_write(NOXS_STDERR, (uint64_t)ring_area, 4), 1, 4095);
	assert_int_equal(uk_console_read((uint64_t)ring_area, 4), 0);
	uk_console_print("text", 4);
	only_in(0, 0);
}

/* A system call that writes n bytes in two pieces. */
static void guest_writes(int stream, size_t n)
{
	uk_console_write(stream, (uint64_t)ring_area, n / 2);
	uk_console_write(stream, (uint64_t)ring_area, n - n / 2);
	if (uk_console_written)
		uk_console_tell();
}

static void rings_once_for_each_time_it_is_asked(void **state)
{
	static const uint32_t bad[] = {0, 1, NOXS_DB_QUEUE - 1, NOXS_DB_SLOTS - 2, UINT32_MAX};

	(void)state;
	rung = 0;
	/* A slot that is none: it is never rung. */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		offer(uk_mock_noxs());
		uk_mock_noxs()->device[0].doorbell = bad[i];
		assert_false(start_panics());
		control->console.wake[NOXS_STDOUT] = (uint32_t)i + 1;
		guest_writes(NOXS_STDOUT, 4);
		assert_int_equal(rung, 0);
	}
	offer(uk_mock_noxs());
	uk_mock_noxs()->device[0].doorbell = 100;
	assert_false(start_panics());
	guest_writes(NOXS_STDOUT, 4);
	assert_int_equal(rung, 0);
	for (uint32_t i = 1; i < 5; i++) {
		control->console.wake[NOXS_STDERR] = 0 - i; /* any other value */
		guest_writes(NOXS_STDERR, 4);
		guest_writes(NOXS_STDERR, 4);
		assert_int_equal(rung, i);
		assert_int_equal(last_slot, 100 + NOXS_STDERR);
	}
	/* Nothing was written: nothing to tell. */
	control->console.wake[NOXS_STDERR] = 77;
	guest_writes(NOXS_STDERR, 0);
	assert_int_equal(rung, 4);
	/* Somebody has taken it meanwhile. */
	uk_console_write(NOXS_STDERR, (uint64_t)bad, 4);
	control->console.ring[NOXS_STDERR].head = control->console.ring[NOXS_STDERR].tail;
	uk_console_tell();
	assert_int_equal(rung, 4);
}

/* ---- power ---- */

static uint64_t pending(void)
{
	uint64_t set, all = UINT64_MAX, none = 0;

	CALL(rt_sigprocmask, 0, &all, NULL, 8); /* SIG_BLOCK: what comes waits */
	CALL(rt_sigpending, &set, 8);
	(void)none;
	return set;
}

static void requests_that_nobody_knows_are_acknowledged(void **state)
{
	(void)state;
	assert_false(start_panics());
	for (uint32_t what = 0; what < 256; what++) {
		uint32_t request = NOXS_REQUEST(7, what, 255);

		if (what == NOXS_REQ_SUSPEND)
			continue;
		control->power.request = request;
		uk_signal_poll();
		assert_int_equal(control->power.ack, request);
	}
	control->power.request = 0;
	uk_signal_poll();
	assert_int_equal(control->power.ack, 0);
}

static void signals_out_of_range_are_none(void **state)
{
	static const uint32_t wild[] = {0, 65, 66, 128, 255};
	uint64_t before;

	(void)state;
	assert_false(start_panics());
	before = pending();
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		control->power.request = NOXS_REQUEST(i + 1, NOXS_REQ_SIGNAL, wild[i]);
		uk_signal_poll();
		assert_int_equal(control->power.ack, control->power.request);
	}
	assert_int_equal(pending(), before);
	control->power.request = NOXS_REQUEST(9, NOXS_REQ_SIGNAL, SIGUSR1);
	uk_signal_poll();
	assert_true(pending() & 1ull << (SIGUSR1 - 1));
	control->power.request = NOXS_REQUEST(10, NOXS_REQ_SHUTDOWN, 0);
	uk_signal_poll();
	assert_true(pending() & 1ull << (SIGTERM - 1));
}

static unsigned waits;
static const uint32_t *script; /* what power.request becomes at each WAIT; 0: stays */

static void plays(unsigned slot, uint64_t value)
{
	(void)value;
	assert_int_equal(slot, NOXS_DB_WAIT);
	assert_int_equal(control->wait.events & NOXS_EV_POWER, NOXS_EV_POWER);
	waits++;
	control->wait.ready = 0xffffffff; /* all there is, and more */
	uk_mock.mono_ns += 1000;
	if (*script)
		control->power.request = *script;
	script++;
}

static void suspended_it_waits_for_anything_else(void **state)
{
	static const uint32_t resume[] = {0, 0, 0, NOXS_REQUEST(2, NOXS_REQ_RESUME, 0)};
	static const uint32_t wild[] = {0, UINT32_MAX};
	static const uint32_t again[] = {NOXS_REQUEST(2, NOXS_REQ_SUSPEND, 0),
					 NOXS_REQUEST(3, NOXS_REQ_SUSPEND, 0),
					 NOXS_REQUEST(4, NOXS_REQ_RESUME, 0)};

	(void)state;
	assert_false(start_panics());
	uk_mock.doorbell = plays;
	waits = 0;
	script = resume;
	control->power.request = NOXS_REQUEST(1, NOXS_REQ_SUSPEND, 0);
	uk_signal_poll();
	assert_int_equal(waits, 4);
	assert_int_equal(control->power.ack, resume[3]);
	assert_int_equal(slept, 4000);
	waits = 0;
	script = wild;
	control->power.request = NOXS_REQUEST(5, NOXS_REQ_SUSPEND, 0);
	uk_signal_poll();
	assert_int_equal(waits, 2);
	assert_int_equal(control->power.ack, UINT32_MAX);
	waits = 0;
	script = again;
	control->power.request = NOXS_REQUEST(1, NOXS_REQ_SUSPEND, 0);
	uk_signal_poll();
	assert_int_equal(waits, 3);
	assert_int_equal(control->power.ack, again[2]);
}

static void a_wait_gives_only_what_was_asked_for(void **state)
{
	static const uint32_t nothing[] = {0, 0};
	static const uint32_t suspends[] = {NOXS_REQUEST(6, NOXS_REQ_SUSPEND, 0),
					    NOXS_REQUEST(7, NOXS_REQ_RESUME, 0)};

	(void)state;
	assert_false(start_panics());
	pending(); /* blocks all */
	uk_mock.doorbell = plays;
	script = nothing;
	assert_int_equal(uk_wait(NOXS_EV_STDIN, NOXS_FOREVER), NOXS_EV_STDIN);
	/* What was ready before a suspend is not what is ready after. */
	waits = 0;
	script = suspends;
	assert_int_equal(uk_wait(NOXS_EV_STDOUT, NOXS_FOREVER), NOXS_EV_STDOUT);
	assert_int_equal(waits, 2);
}

static void only_power(unsigned slot, uint64_t value)
{
	(void)slot, (void)value;
	control->wait.ready = ++waits < 5 ? NOXS_EV_POWER : 0;
}

static void a_request_that_is_nothing_to_the_program_does_not_end_its_wait(void **state)
{
	(void)state;
	assert_false(start_panics());
	uk_mock.doorbell = only_power;
	waits = 0;
	assert_int_equal(uk_wait(NOXS_EV_STDIN, NOXS_FOREVER), 0);
	assert_int_equal(waits, 5);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		CASE(without_a_console_nothing_is_written),
		CASE(rings_once_for_each_time_it_is_asked),
		CASE(takes_what_it_knows),
		CASE(tables_that_make_no_sense),
		CASE(rings_that_cannot_be),
		CASE(indices_at_random),
		CASE(errors_of_any_value_are_errors),
		CASE(requests_that_nobody_knows_are_acknowledged),
		CASE(signals_out_of_range_are_none),
		CASE(suspended_it_waits_for_anything_else),
		CASE(a_wait_gives_only_what_was_asked_for),
		CASE(a_request_that_is_nothing_to_the_program_does_not_end_its_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
