/* SPDX-License-Identifier: Apache-2.0 */
/* list.h: a doubly linked list of links that lie inside the things they stand for. */
#ifndef MAYFLY_LIST_H
#define MAYFLY_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A list is the link before its first and behind its last; one that is in none is alone. */
struct link {
	struct link *prev, *next;
};

/* The thing of which link is the member. */
#define LIST_OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct link *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct link *l)
{
	return l->next == l;
}

static inline void list_add(struct link *list, struct link *last)
{
	last->prev = list->prev;
	last->next = list;
	list->prev->next = last;
	list->prev = last;
}

static inline void list_add_first(struct link *list, struct link *first)
{
	list_add(list->next, first);
}

/* Also of one that is in no list. */
static inline void list_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

/* NULL: it is empty. */
static inline struct link *list_first(const struct link *list)
{
	return list_empty(list) ? NULL : list->next;
}

#endif
