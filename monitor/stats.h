/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h: --stats: what a run took. */
#ifndef MAYFLY_STATS_H
#define MAYFLY_STATS_H

#include "run.h"

/* Prints the counters to stderr, one "mayfly: name: value" a line. The guest's own figures
 * are what it says of itself. */
void stats_print(const struct vm *vm, const struct guest *guest, const struct console *console,
		 const struct image *image, const struct host *host,
		 const struct run_result *result);

/* Guest RAM that the host has memory for (mincore(2): its own and the page cache's). */
uint64_t stats_resident_bytes(const struct gmem *ram);

#endif
