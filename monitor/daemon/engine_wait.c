/* SPDX-License-Identifier: Apache-2.0 */
/* engine_wait.c: those who wait for a VM's end. */
#include <stdlib.h>

#include "engine_own.h"

struct waiter {
	struct link link;
	uint64_t token;
	engine_done *done;
	void *arg;
};

static void free_waiter(struct engine *e, struct waiter *w)
{
	slots_take(&e->waiters, w->token);
	list_remove(&w->link);
	free(w);
}

uint64_t engine_wait(struct engine *e, struct vm *vm, engine_done *done, void *arg)
{
	struct record *r = record_of(vm);
	struct waiter *w = malloc(sizeof(*w));
	uint64_t token;

	if (!w)
		return 0;
	*w = (struct waiter){.done = done, .arg = arg};
	list_init(&w->link);
	w->token = token = slots_put(&e->waiters, w);
	if (!token) {
		free(w);
		return 0;
	}
	list_add(&r->waiters, &w->link);
	if (vm->state == VM_EXITED)
		waiters_call(e, r);
	return token;
}

void engine_cancel(struct engine *e, uint64_t token)
{
	struct waiter *w = slots_get(&e->waiters, token);

	if (w)
		free_waiter(e, w);
}

void waiters_call(struct engine *e, struct record *r)
{
	struct link *first;

	record_hold(r);
	while ((first = list_first(&r->waiters))) {
		struct waiter w = *LIST_OF(first, struct waiter, link);

		free_waiter(e, LIST_OF(first, struct waiter, link));
		w.done(w.arg, &r->vm, 0, NULL);
	}
	record_release(r);
}
