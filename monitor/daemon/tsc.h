/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tsc.h: time stamps of guests and shells, in microseconds.
 *
 * Stamps are TSC values (the guest has nothing else that costs nothing). The rate is measured
 * against CLOCK_MONOTONIC, again and again from the same first point, so it gets more exact
 * the longer the daemon runs; after its first 2 ms the error is about 1 in 10,000.
 */
#ifndef MAYFLY_TSC_H
#define MAYFLY_TSC_H

#include <stdint.h>

struct tsc {
	uint64_t base_tsc, base_ns, measured_ns;
	double us_per_tick;
};

void tsc_init(struct tsc *t);
/* From one stamp to another; 0 if they are not in this order. */
uint64_t tsc_us(struct tsc *t, uint64_t from, uint64_t to);

#endif
