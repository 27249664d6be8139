/* SPDX-License-Identifier: Apache-2.0 */
/* list.h: doubly linked lists: a head, and a link in each of what stands on it. */
#ifndef UK_LIST_H
#define UK_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A head or a link; one that stands nowhere is linked to itself. */
struct uk_list {
	struct uk_list *next, *prev;
};

/* What the link stands in. */
#define uk_list_of(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void uk_list_init(struct uk_list *l)
{
	l->next = l->prev = l;
}

static inline bool uk_list_empty(const struct uk_list *l)
{
	return l->next == l;
}

static inline void uk_list_insert(struct uk_list *l, struct uk_list *after)
{
	l->prev = after;
	l->next = after->next;
	after->next->prev = l;
	after->next = l;
}

/* At the end. */
static inline void uk_list_add(struct uk_list *head, struct uk_list *l)
{
	uk_list_insert(l, head->prev);
}

static inline void uk_list_remove(struct uk_list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	uk_list_init(l);
}

/* All of from to the front of to; from is empty then. */
static inline void uk_list_splice(struct uk_list *from, struct uk_list *to)
{
	if (uk_list_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	from->next->prev = to;
	uk_list_init(from);
}

#endif
