/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: reading the noxs page's clock; for the library kernel and its vDSO. */
#ifndef NOXS_CLOCK_H
#define NOXS_CLOCK_H

#include "noxs.h"

/* What the clock showed (monotonic or wall) at a TSC value that is not before its base. */
static inline uint64_t noxs_clock_scale(const struct noxs_clock *c, uint64_t tsc)
{
	int64_t delta = (int64_t)(tsc - c->tsc_base);

	/* A TSC a little behind the base (another core's) counts as the base. */
	if (delta < 0)
		delta = 0;
	return (uint64_t)((unsigned __int128)(uint64_t)delta * c->mult >> c->shift);
}

/* ns now; retries while the monitor is writing (seqlock: odd, or changed meanwhile). */
static inline uint64_t noxs_clock_ns(const struct noxs_clock *c, int wall)
{
	for (;;) {
		uint32_t seq = __atomic_load_n(&c->seq, __ATOMIC_ACQUIRE), lo, hi;
		uint64_t ns;

		/* lfence: the TSC is not to be read before the sequence number. */
		__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
		ns = noxs_clock_scale(c, (uint64_t)hi << 32 | lo) +
		     (wall ? c->real_ns : c->mono_ns);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) && __atomic_load_n(&c->seq, __ATOMIC_RELAXED) == seq)
			return ns;
	}
}

/* Monotonic ns at tsc. */
static inline uint64_t noxs_clock_at(const struct noxs_clock *c, uint64_t tsc)
{
	return noxs_clock_scale(c, tsc) + c->mono_ns;
}

#endif
