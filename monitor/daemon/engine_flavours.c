/* SPDX-License-Identifier: Apache-2.0 */
/* engine_flavours.c: the pool's flavours, told and changed while it works. */
#include <stdio.h>
#include <string.h>

#include "engine_own.h"

size_t engine_pool(struct engine *e, struct flavour_level level[ENGINE_MAX_FLAVOURS])
{
	for (size_t i = 0; i < e->pool.n; i++)
		level[i] = e->pool.flavour[i].level;
	return e->pool.n;
}

static int check_flavours(const struct engine *e, const struct flavour *f, size_t n,
			  struct err *err)
{
	bool has_default = false;

	if (!n || n > ENGINE_MAX_FLAVOURS) {
		err_set(err, 0, "a pool has 1 to %d flavours", ENGINE_MAX_FLAVOURS);
		return ENGINE_BAD;
	}
	for (size_t i = 0; i < n; i++) {
		if (f[i].minimum > f[i].maximum || f[i].maximum > ENGINE_MAX_READY) {
			err_set(err, 0,
				"a flavour's minimum, %u, is at most its maximum, %u, and that at "
				"most %u",
				f[i].minimum, f[i].maximum, ENGINE_MAX_READY);
			return ENGINE_BAD;
		}
		if (engine_check_memory(f[i].memory_bytes, err))
			return ENGINE_BAD;
		for (size_t k = 0; k < i; k++)
			if (f[k].memory_bytes == f[i].memory_bytes && !strcmp(f[k].net, f[i].net)) {
				err_set(err, 0,
					"two flavours have %llu bytes of memory and the same net "
					"devices",
					(unsigned long long)f[i].memory_bytes);
				return ENGINE_BAD;
			}
		has_default |= f[i].memory_bytes == e->options.memory_bytes && !*f[i].net;
	}
	if (has_default)
		return 0;
	err_set(err, 0, "the default flavour, of %llu bytes, cannot be left out",
		(unsigned long long)e->options.memory_bytes);
	return ENGINE_BAD;
}

static void move_all(struct link *to, struct link *from)
{
	struct link *l;

	while ((l = list_first(from))) {
		list_remove(l);
		list_add(to, l);
	}
}

/* What was sorted by the old flavours is sorted by the new ones. */
static void sort_anew(struct engine *e, struct link *ready, struct link *waiting)
{
	struct link *l, opening;

	list_init(&opening);

	while ((l = list_first(ready))) {
		struct shell *shell = LIST_OF(l, struct shell, list);
		int flavour = shell_flavour(e, shell);

		list_remove(l);
		if (flavour < 0) {
			shell_discard(e, shell);
			continue;
		}
		list_add(&e->ready[flavour], l);
		e->pool.flavour[flavour].level.ready++;
	}
	while ((l = list_first(waiting))) {
		struct record *r = LIST_OF(l, struct record, queue);
		int flavour = start_flavour(e, r);

		list_remove(l);
		if (flavour >= 0)
			list_add(&e->waiting[flavour], l);
		else
			list_add(r->vm.net && r->start->nnet < r->vm.net->n ? &opening
									    : &e->waiting_bound,
				 l);
		if (flavour >= 0)
			e->pool.flavour[flavour].waiting++;
	}
	for (l = e->shells.preparing.next; l != &e->shells.preparing; l = l->next) {
		const struct shell *shell = LIST_OF(l, struct shell, list);
		int flavour = shell_flavour(e, shell);

		if (flavour >= 0)
			pool_began(&e->pool, flavour, shell->urgent, loop_now_ns());
	}
	/* They waited for a shell that had their net devices. */
	while ((l = list_first(&opening))) {
		struct record *r = LIST_OF(l, struct record, queue);

		list_remove(l);
		r->start->queued_ns = 0;
		start_open_net(e, r);
	}
}

int engine_set_pool(struct engine *e, const struct flavour *flavour, size_t n, struct err *err)
{
	int ret = check_flavours(e, flavour, n, err);
	struct link ready, waiting;
	char detail[80];

	if (ret)
		return ret;
	list_init(&ready);
	list_init(&waiting);
	for (size_t i = 0; i < e->pool.n; i++) {
		move_all(&ready, &e->ready[i]);
		move_all(&waiting, &e->waiting[i]);
	}
	/* Those that were bound for want of a flavour may have one now. */
	move_all(&waiting, &e->waiting_bound);
	pool_change(&e->pool, flavour, n);
	sort_anew(e, &ready, &waiting);
	snprintf(detail, sizeof(detail), "%zu flavours", n);
	event_tell(e, "pool", NULL, detail);
	pool_watch(e);
	return 0;
}
