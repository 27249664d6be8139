/* SPDX-License-Identifier: Apache-2.0 */
/* timers.c: see timers.h. */
#include <stdbool.h>
#include <stdlib.h>

#include "timers.h"

struct timer {
	uint64_t when_ns, order; /* equal times: in the order in which they were added */
	uint64_t token;
	loop_expired *expired;
	void *arg;
	uint32_t at; /* in the heap */
};

/* The smallest is heap[0]; the children of i are 2i+1 and 2i+2. */
static bool before(const struct timer *a, const struct timer *b)
{
	return a->when_ns != b->when_ns ? a->when_ns < b->when_ns : a->order < b->order;
}

static void put(struct timers *t, uint32_t at, struct timer *timer)
{
	t->heap[at] = timer;
	timer->at = at;
}

static void up(struct timers *t, uint32_t at, struct timer *timer)
{
	while (at && before(timer, t->heap[(at - 1) / 2])) {
		put(t, at, t->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(t, at, timer);
}

static void down(struct timers *t, uint32_t at, struct timer *timer)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < t->count && before(t->heap[child + 1], t->heap[child]))
			child++;
		if (child >= t->count || !before(t->heap[child], timer))
			break;
		put(t, at, t->heap[child]);
		at = child;
	}
	put(t, at, timer);
}

/* Takes the timer out of the heap: the last one fills its place. */
static void out(struct timers *t, const struct timer *timer)
{
	struct timer *last = t->heap[--t->count];

	if (last == timer)
		return;
	if (timer->at && before(last, t->heap[(timer->at - 1) / 2]))
		up(t, timer->at, last);
	else
		down(t, timer->at, last);
}

static int make_room(struct timers *t)
{
	uint32_t size = t->size ? t->size * 2 : 64;
	struct timer **heap;

	if (t->count < t->size)
		return 0;
	heap = realloc(t->heap, size * sizeof(*heap));
	if (!heap)
		return -1;
	t->heap = heap;
	t->size = size;
	return 0;
}

uint64_t timers_add(struct timers *t, uint64_t when_ns, loop_expired *expired, void *arg)
{
	static uint64_t order;
	struct timer *timer = make_room(t) ? NULL : malloc(sizeof(*timer));

	if (!timer)
		return 0;
	*timer = (struct timer){when_ns, ++order, 0, expired, arg, 0};
	timer->token = slots_put(&t->tokens, timer);
	if (!timer->token) {
		free(timer);
		return 0;
	}
	t->count++;
	up(t, t->count - 1, timer);
	return timer->token;
}

void timers_cancel(struct timers *t, uint64_t token)
{
	struct timer *timer = slots_take(&t->tokens, token);

	if (!timer)
		return;
	out(t, timer);
	free(timer);
}

uint64_t timers_next_ns(const struct timers *t)
{
	return t->count ? t->heap[0]->when_ns : UINT64_MAX;
}

void timers_run(struct timers *t, uint64_t now_ns)
{
	uint32_t most = t->count;

	while (most-- && t->count && t->heap[0]->when_ns <= now_ns) {
		struct timer timer = *t->heap[0];

		timers_cancel(t, timer.token);
		timer.expired(timer.arg);
	}
}

void timers_free(struct timers *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		free(t->heap[i]);
	free(t->heap);
	slots_free(&t->tokens);
	*t = (struct timers){0};
}
