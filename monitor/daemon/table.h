/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h: a hash table of nodes that lie inside the things they stand for.
 *
 * The buckets are fixed: no start ever waits for a table to grow. 32,768 of them keep a look-up
 * at one or two steps for as many VMs as a machine's memory holds. A bucket is chosen by the
 * key's upper bits, so keys with equal beginnings are neighbours (vms.c looks up prefixes so);
 * callers whose keys are no random numbers mix them (table_mix).
 */
#ifndef MAYFLY_TABLE_H
#define MAYFLY_TABLE_H

#include <stdint.h>
#include <stdlib.h>

#define TABLE_BITS 15

struct table_node {
	struct table_node *next;
	uint64_t key;
};

struct table {
	struct table_node **bucket;
	uint64_t count;
};

/* One to one: the multiplier is odd. */
static inline uint64_t table_mix(uint64_t number)
{
	return number * 0x9e3779b97f4a7c15u;
}

static inline int table_init(struct table *t)
{
	t->bucket = calloc(1u << TABLE_BITS, sizeof(struct table_node *));
	t->count = 0;
	return t->bucket ? 0 : -1;
}

static inline void table_free(struct table *t)
{
	free(t->bucket);
	t->bucket = NULL;
}

static inline struct table_node **table_bucket(const struct table *t, uint64_t key)
{
	return &t->bucket[key >> (64 - TABLE_BITS)];
}

static inline void table_add(struct table *t, struct table_node *node, uint64_t key)
{
	struct table_node **bucket = table_bucket(t, key);

	node->key = key;
	node->next = *bucket;
	*bucket = node;
	t->count++;
}

static inline void table_remove(struct table *t, struct table_node *node)
{
	struct table_node **at = table_bucket(t, node->key);

	while (*at && *at != node)
		at = &(*at)->next;
	if (*at) {
		*at = node->next;
		t->count--;
	}
}

/* The first node of that key, or the next after `after`; NULL: there is none. */
static inline struct table_node *table_find(const struct table *t, uint64_t key,
					    const struct table_node *after)
{
	struct table_node *node = after ? after->next : *table_bucket(t, key);

	while (node && node->key != key)
		node = node->next;
	return node;
}

#endif
