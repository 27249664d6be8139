/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h: tokens for things that may be gone when the token is used.
 *
 * A token is a slot's number and how often it was used: a late cancel finds nothing, instead
 * of what has moved in since. All calls take constant time (put: amortized).
 */
#ifndef MAYFLY_SLOTS_H
#define MAYFLY_SLOTS_H

#include <stdint.h>

struct slot {
	void *thing; /* NULL: free */
	uint32_t used, next_free;
};

/* All zero is an empty one. */
struct slots {
	struct slot *slot;
	uint32_t size, free; /* free: number + 1 of the first free slot; 0: none */
};

/* A token for thing (not NULL), never 0; 0: no memory. */
uint64_t slots_put(struct slots *s, void *thing);
/* What the token stands for; NULL: it is gone. */
void *slots_get(const struct slots *s, uint64_t token);
/* Takes it out: what the token stood for, or NULL. */
void *slots_take(struct slots *s, uint64_t token);
void slots_free(struct slots *s);

#endif
