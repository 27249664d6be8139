/* SPDX-License-Identifier: Apache-2.0 */
/* engine_events.c: what happened: a ring of the last events, and who listens. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine_own.h"
#include "text.h"

struct listener {
	struct link link;
	uint64_t token;
	engine_listener *call;
	void *arg;
	uint64_t next; /* the first event that it has not got */
};

int events_open(struct engine *e, struct err *err)
{
	list_init(&e->listening);
	e->events = calloc(ENGINE_EVENTS, sizeof(*e->events));
	return e->events ? 0 : err_set(err, ENOMEM, "no memory for events");
}

void events_close(struct engine *e)
{
	struct link *l;

	while ((l = list_first(&e->listening))) {
		list_remove(l);
		free(LIST_OF(l, struct listener, link));
	}
	slots_free(&e->listeners);
	free(e->events);
}

static void copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = 0;
}

/* A listener may stop listening from within its call: it is looked up before each. */
static void catch_up(struct engine *e, uint64_t token)
{
	struct listener *l;

	while ((l = slots_get(&e->listeners, token)) && l->next <= e->last_event) {
		if (e->last_event - l->next >= ENGINE_EVENTS) {
			e->metrics.events_lost += e->last_event - ENGINE_EVENTS + 1 - l->next;
			l->next = e->last_event - ENGINE_EVENTS + 1;
		}
		l->call(l->arg, &e->events[l->next++ % ENGINE_EVENTS]);
	}
}

/* Who has all stands behind who has not; calls may change the list otherwise as they like. */
static void tell_all(struct engine *e)
{
	struct link *first;

	while ((first = list_first(&e->listening))) {
		struct listener *l = LIST_OF(first, struct listener, link);

		if (l->next > e->last_event)
			return;
		list_remove(first);
		list_add(&e->listening, first);
		catch_up(e, l->token);
	}
}

void event_tell(struct engine *e, const char *type, const struct record *r, const char *detail)
{
	struct event *event = &e->events[++e->last_event % ENGINE_EVENTS];

	event->number = e->last_event;
	event->real_ns = real_now_ns();
	copy(event->type, sizeof(event->type), type);
	copy(event->id, sizeof(event->id), r ? r->vm.id : "");
	copy(event->name, sizeof(event->name), r && r->vm.name ? r->vm.name : "");
	copy(event->detail, sizeof(event->detail), detail);
	/* A long one is cut, and not in the middle of a character. */
	event->detail[text_clean(event->detail, strlen(event->detail))] = 0;
	if (!list_empty(&e->listening))
		tell_all(e);
}

uint64_t engine_listen(struct engine *e, uint64_t from, engine_listener *listener, void *arg)
{
	struct listener *l = malloc(sizeof(*l));
	uint64_t token;

	if (!l)
		return 0;
	*l = (struct listener){.call = listener, .arg = arg};
	l->next = from && from <= e->last_event ? from : e->last_event + 1;
	l->token = slots_put(&e->listeners, l);
	if (!l->token) {
		free(l);
		return 0;
	}
	list_add(&e->listening, &l->link);
	token = l->token;
	catch_up(e, token);
	return token;
}

void engine_unlisten(struct engine *e, uint64_t token)
{
	struct listener *l = slots_take(&e->listeners, token);

	if (!l)
		return;
	list_remove(&l->link);
	free(l);
}
