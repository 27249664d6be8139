/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: how many shells are to be ready: policy only, no processes, no clock of its own.
 *
 *     a start --pool_take--> a ready shell, or it waits (and one is made urgently)
 *     pool_next: what is to be made now, pool_excess: what is too much
 *
 * A flavour's target is the greatest of
 *   - its minimum;
 *   - the starts of the busiest tenth of a second lately: such a burst finds them ready;
 *   - twice the starts that come while one shell is being prepared, at the present rate:
 *     what keeps up with a steady stream;
 * and never more than its maximum. Rates are means over about a second and over about twenty,
 * of which the greater counts, so the target follows a rise at once and a fall slowly; the
 * memory of a burst halves every ten seconds.
 *
 * What a flavour has beyond the latter two, up to its minimum, is a store: it is filled again when
 * no start has come for POOL_QUIET_NS, and twice as long as preparing takes; seldom until then.
 * What is being prepared costs the starts beside it as much as it takes itself.
 *
 * In the background not more are prepared at once than there are CPUs; a start that waits has
 * its own made at normal priority, eight per CPU at once. When shells of a flavour cannot be made
 * (out of PIDs, memory, its net devices) the background makes none of it for 100 ms at first,
 * twice as long each time, 10 s at most.
 */
#ifndef MAYFLY_POOL_H
#define MAYFLY_POOL_H

#include <stdbool.h>

#include "engine.h"

struct pool_flavour {
	struct flavour_level level;
	uint32_t urgent;          /* of those preparing */
	uint32_t waiting;         /* starts */
	uint32_t in_tick;         /* starts since the tick began */
	uint32_t demand;          /* the target, but for the minimum */
	double fast, slow, burst; /* starts a second, a second, a tick */
	double prepare_ns;        /* mean */
	unsigned failures;        /* in a row */
	uint64_t pause_until_ns;
};

struct pool {
	struct pool_flavour flavour[ENGINE_MAX_FLAVOURS];
	size_t n;
	unsigned cpus;
	uint64_t tick_ns, taken_ns;
	uint64_t stored_ns; /* the last one began that neither the rate demands nor a start */
};

void pool_init(struct pool *p, const struct flavour *flavour, size_t n, unsigned cpus);

/* Other flavours; those of equal size keep their history. The caller has counted what is ready,
 * preparing and waiting, and sets it anew. */
void pool_change(struct pool *p, const struct flavour *flavour, size_t n);

/* The flavour of that size with those net devices ("": none), or -1. */
int pool_find(const struct pool *p, uint64_t memory_bytes, const char *net);

/* A start. True: take a ready shell; false: it has to wait. */
bool pool_take(struct pool *p, int flavour, uint64_t now_ns);
/* A start that waited does so no more: it was served by a ready shell, or given up. */
void pool_served(struct pool *p, int flavour);
void pool_gave_up(struct pool *p, int flavour);

void pool_began(struct pool *p, int flavour, bool urgent, uint64_t now_ns);
void pool_ready(struct pool *p, int flavour, bool urgent, uint64_t took_ns);
void pool_failed(struct pool *p, int flavour, bool urgent, uint64_t now_ns);
/* A ready shell is gone without a start. */
void pool_lost(struct pool *p, int flavour);

/* Which flavour to make one of now, and whether urgently; -1: none. */
int pool_next(const struct pool *p, uint64_t now_ns, bool *urgent);
/* A flavour with a ready shell too many; -1: none. */
int pool_excess(const struct pool *p);

/* A time without starts after which it is likely that none comes in the next milliseconds. */
#define POOL_QUIET_NS 20000000ull

/* Every POOL_TICK_NS, as long as pool_is_busy says so. */
#define POOL_TICK_NS 100000000ull
void pool_tick(struct pool *p, uint64_t now_ns);
/* Whether anything changes with time alone. */
bool pool_is_busy(const struct pool *p, uint64_t now_ns);
/* After how long to look again, if it is: a tick, or sooner, when it will have been quiet. */
uint64_t pool_look_ns(const struct pool *p, uint64_t now_ns);

#endif
