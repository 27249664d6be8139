/* SPDX-License-Identifier: Apache-2.0 */
/* tsc.c: see tsc.h. */
#include <x86intrin.h>

#include "loop.h"
#include "tsc.h"

#define FIRST_NS 2000000ull
#define AGAIN_NS 1000000000ull

static void measure(struct tsc *t, uint64_t now_ns)
{
	t->us_per_tick = (double)(now_ns - t->base_ns) / 1e3 / (double)(__rdtsc() - t->base_tsc);
	t->measured_ns = now_ns;
}

void tsc_init(struct tsc *t)
{
	uint64_t now;

	t->base_ns = loop_now_ns();
	t->base_tsc = __rdtsc();
	do
		now = loop_now_ns();
	while (now - t->base_ns < FIRST_NS);
	measure(t, now);
}

uint64_t tsc_us(struct tsc *t, uint64_t from, uint64_t to)
{
	uint64_t now = loop_now_ns();

	if (now - t->measured_ns > AGAIN_NS)
		measure(t, now);
	return to > from ? (uint64_t)((double)(to - from) * t->us_per_tick) : 0;
}
