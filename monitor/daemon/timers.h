/* SPDX-License-Identifier: Apache-2.0 */
/* timers.h: calls to be made later: a heap, O(log n) to add, cancel and take. */
#ifndef MAYFLY_TIMERS_H
#define MAYFLY_TIMERS_H

#include <stdint.h>

#include "loop.h"
#include "slots.h"

struct timer;

/* All zero is an empty one. */
struct timers {
	struct timer **heap;
	uint32_t count, size;
	struct slots tokens;
};

/* A token, never 0; 0: no memory. */
uint64_t timers_add(struct timers *t, uint64_t when_ns, loop_expired *expired, void *arg);
void timers_cancel(struct timers *t, uint64_t token);
/* When the next one is due; UINT64_MAX: there is none. */
uint64_t timers_next_ns(const struct timers *t);
/* Calls what is due at now_ns; not more than there are now, so what adds itself again does not
 * keep the caller here. */
void timers_run(struct timers *t, uint64_t now_ns);
void timers_free(struct timers *t);

#endif
