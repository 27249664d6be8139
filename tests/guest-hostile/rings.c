/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rings.c ATTACK [STREAM VALUE | VALUE]: ring indices that make no sense, and the rest of the
 * console's control block.
 */
#include "hostile.h"

static void wait_events(uint32_t events, uint64_t deadline)
{
	control->wait.events = events;
	control->wait.deadline_ns = deadline;
	ring(NOXS_DB_WAIT, 0);
}

/* All indices, as fast as they can be changed, while the kernel writes. */
static int at_random(uint64_t ns)
{
	const uint64_t end = mono_ns() + ns;
	uint32_t x = (uint32_t)page->clock.tsc_base | 1;

	while (mono_ns() < end) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		volatile struct noxs_ring *r = &control->console.ring[x % 3];

		/* Mostly inside of the ring, so that it goes on for a while. */
		if (x & 0x100)
			r->head += x >> 24;
		else
			r->tail = r->head + (x >> 12 & 0x3fff);
		control->console.error[x % 3] = x & 0x2000 ? 0 : x;
		control->console.eof = x;
		if (!(x & 0xff0000))
			(void)!write(1, "x", 1);
	}
	return 0;
}

/* A line every 100 us for 50 ms: the monitor gives the output a thread of its own. */
static void print_often(void)
{
	const uint64_t end = mono_ns() + 50 * MS;

	while (mono_ns() < end) {
		(void)!write(1, "often\n", 6);
		for (uint64_t until = mono_ns() + MS / 10; mono_ns() < until;)
			;
	}
}

int main(int argc, char **argv)
{
	const uint64_t stream_or_value = number(argc, argv, 2), stream = stream_or_value % 3;
	const uint64_t value = number(argc, argv, 3);
	volatile struct noxs_ring *r = &control->console.ring[stream];

	if (is(argv, "tail")) {
		r->tail += (uint32_t)value;
		wait_events(0, 1);
	} else if (is(argv, "head")) {
		r->head += (uint32_t)value;
		wait_events(NOXS_EV_STDIN | NOXS_EV_STDOUT, 1);
	} else if (is(argv, "tail-exit")) {
		r->tail += (uint32_t)value;
		ring(NOXS_DB_EXIT, 7);
	} else if (is(argv, "tail-compute")) {
		r->tail += (uint32_t)value;
		for (;;)
			;
	} else if (is(argv, "random")) {
		return at_random(1000 * MS);
	} else if (is(argv, "front")) { /* a state of the front end, once the monitor has seen it */
		wait_events(0, 1);
		control->console.front.state = (uint32_t)stream_or_value;
		wait_events(0, 1);
	} else if (is(argv, "features")) { /* accepted too late */
		wait_events(0, 1);
		control->console.front.features = stream_or_value;
		wait_events(0, 1);
		say("still heard\n");
		ring(NOXS_DB_EXIT, 0);
	} else if (is(argv, "often-tail")) { /* while the monitor's other thread is at it, too */
		print_often();
		r->tail += (uint32_t)value;
		ring(NOXS_DB_QUEUE + (unsigned)stream, 0);
		for (;;)
			;
	} else if (is(argv, "often-random")) {
		print_often();
		return at_random(500 * MS);
	} else if (is(argv, "often-wake")) { /* the monitor's own words, put into its mouth */
		for (uint64_t end = mono_ns() + 200 * MS; mono_ns() < end;) {
			control->console.wake[NOXS_STDOUT] += 1 + (uint32_t)value;
			(void)!write(1, "x", 1);
		}
	} else if (is(argv, "fields")) { /* what the monitor wrote is not what it believes */
		control->console.eof = 0xffffffff;
		for (int i = 0; i < NOXS_NSTREAMS; i++)
			control->console.error[i] = 0xffffffff;
		wait_events(NOXS_EV_STDOUT, mono_ns() + 10 * MS);
		control->console.eof = 0;
		for (int i = 0; i < NOXS_NSTREAMS; i++)
			control->console.error[i] = 0;
		say("still heard\n");
		ring(NOXS_DB_EXIT, 0);
	} else {
		return unknown_attack(argv);
	}
	return 0;
}
