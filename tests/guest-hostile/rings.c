/* SPDX-License-Identifier: Apache-2.0 */
/* rings.c ATTACK [STREAM VALUE]: ring indices that make no sense. */
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

int main(int argc, char **argv)
{
	const uint64_t stream = number(argc, argv, 2) % 3, value = number(argc, argv, 3);
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
	} else if (is(argv, "fields")) { /* what the monitor wrote is not what it believes */
		control->console.state = 0xdeadbeef;
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
