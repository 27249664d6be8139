/* SPDX-License-Identifier: Apache-2.0 */
/* engine_ask.c: questions to a running VM that it answers: pause, resume, stats; input
 * (engine_input.c) is sent and answered in the same way. */
#include <errno.h>
#include <stdlib.h>

#include "engine_own.h"

#define ANSWER_NS 2000000000ull

struct ask {
	struct link link; /* in its record's asks */
	struct engine *engine;
	struct record *record;
	enum ask_kind kind;
	engine_done *done;
	void *arg;
	uint64_t timer;
};

int vm_must_run(const struct record *r, struct err *err)
{
	static const char *const what[] = {
		[VM_CREATED] = "was not started", [VM_STARTING] = "is starting",
		[VM_RUNNING] = "is running",      [VM_PAUSED] = "is paused",
		[VM_EXITED] = "has ended",
	};

	if ((r->vm.state == VM_RUNNING || r->vm.state == VM_PAUSED) && r->process)
		return 0;
	err_set(err, 0, "VM %s %s", r->vm.id, what[r->vm.state]);
	return ENGINE_CONFLICT;
}

static void answer(struct ask *a, int failure, const struct err *err)
{
	struct record *r = a->record;
	struct ask copy = *a;

	loop_cancel(a->engine->loop, a->timer);
	list_remove(&a->link);
	free(a);
	record_hold(r);
	copy.done(copy.arg, &r->vm, failure, err);
	record_release(r);
}

static void is_late(void *arg)
{
	struct ask *a = arg;
	struct err err;

	a->timer = 0;
	err_set(&err, 0, "VM %s did not answer within 2 s", a->record->vm.id);
	answer(a, ENGINE_FAILED, &err);
}

static struct ask *first_of(const struct record *r, enum ask_kind kind)
{
	for (struct link *l = r->asks.next; l != &r->asks; l = l->next)
		if (LIST_OF(l, struct ask, link)->kind == kind)
			return LIST_OF(l, struct ask, link);
	return NULL;
}

bool ask_pending(const struct record *r, enum ask_kind kind)
{
	return first_of(r, kind);
}

void ask_answered(struct engine *e, struct record *r, enum ask_kind kind, int failure,
		  const struct err *err)
{
	struct ask *a;

	(void)e;
	record_hold(r);
	while ((a = first_of(r, kind)))
		answer(a, failure, err);
	record_release(r);
}

void asks_fail(struct engine *e, struct record *r)
{
	struct link *l;
	struct err err;

	(void)e;
	err_set(&err, 0, "VM %s has ended", r->vm.id);
	record_hold(r);
	while ((l = list_first(&r->asks)))
		answer(LIST_OF(l, struct ask, link), ENGINE_CONFLICT, &err);
	record_release(r);
}

static struct ask *new_ask(struct engine *e, struct record *r, enum ask_kind kind,
			   engine_done *done, void *arg, struct err *err)
{
	struct ask *a = malloc(sizeof(*a));

	if (a)
		*a = (struct ask){.engine = e, .record = r, .kind = kind, .done = done, .arg = arg};
	if (a && (a->timer = loop_after(e->loop, ANSWER_NS, is_late, a))) {
		list_add(&r->asks, &a->link);
		return a;
	}
	free(a);
	err_set(err, ENOMEM, "no memory for a question to VM %s", r->vm.id);
	return NULL;
}

int ask_send(struct engine *e, struct record *r, enum ask_kind kind, enum shell_op op, uint64_t arg,
	     const void *data, size_t bytes, engine_done *done, void *done_arg, struct err *err)
{
	struct ask *a = new_ask(e, r, kind, done, done_arg, err);
	int ret;

	if (!a)
		return ENGINE_BUSY;
	ret = control_send(r->vm.shell, op, arg, data, bytes, err);
	if (!ret)
		return 0;
	loop_cancel(e->loop, a->timer);
	list_remove(&a->link);
	free(a);
	return ret == -ESRCH ? ENGINE_CONFLICT : ENGINE_BUSY;
}

/* ---- pause, resume ---- */

int engine_pause(struct engine *e, struct vm *vm, bool pause, engine_done *done, void *arg,
		 struct err *err)
{
	struct record *r = record_of(vm);
	int ret = vm_must_run(r, err);

	if (ret)
		return ret;
	if (vm->state == (pause ? VM_PAUSED : VM_RUNNING) || ask_pending(r, ASK_STATE)) {
		err_set(err, 0, "VM %s is %s", vm->id,
			ask_pending(r, ASK_STATE) ? "just being paused or resumed"
			: pause                   ? "paused already"
						  : "not paused");
		return ENGINE_CONFLICT;
	}
	ret = ask_send(e, r, ASK_STATE, pause ? SHELL_PAUSE : SHELL_RESUME, 0, NULL, 0, done, arg,
		       err);
	if (!ret)
		r->state_asked = pause ? NEWS_PAUSED : NEWS_RUNNING;
	return ret;
}

/* Also when it comes so late that nobody waits for it any more. */
bool ask_take_state(struct engine *e, struct record *r, uint64_t state)
{
	if (state != r->state_asked)
		return false;
	r->state_asked = 0;
	vms_set_state(&e->vms, r, state == NEWS_PAUSED ? VM_PAUSED : VM_RUNNING);
	event_tell(e, state == NEWS_PAUSED ? "pause" : "resume", r, "");
	ask_answered(e, r, ASK_STATE, 0, NULL);
	return true;
}

/* ---- stats ---- */

int engine_stats(struct engine *e, struct vm *vm, engine_done *done, void *arg, struct err *err)
{
	struct record *r = record_of(vm);
	int ret = vm_must_run(r, err);

	if (ret)
		return ret;
	/* Who asks while an answer is on its way gets that one. */
	if (ask_pending(r, ASK_STATS))
		return new_ask(e, r, ASK_STATS, done, arg, err) ? 0 : ENGINE_BUSY;
	ret = ask_send(e, r, ASK_STATS, SHELL_STATS, 0, NULL, 0, done, arg, err);
	if (!ret && r->stats_due < UINT8_MAX)
		r->stats_due++;
	return ret;
}

bool ask_take_stats(struct engine *e, struct record *r, const struct news_item *item)
{
	if (!r->stats_due)
		return false;
	r->stats_due--;
	r->vm.counters = item->counters;
	vm_net_count(r->vm.net, item->net, item->nnet);
	ask_answered(e, r, ASK_STATS, 0, NULL);
	return true;
}
