/* SPDX-License-Identifier: Apache-2.0 */
/* slots.c: see slots.h. */
#include <stdlib.h>

#include "slots.h"

#define FIRST_SIZE 64u

static int grow(struct slots *s)
{
	uint32_t size = s->size ? s->size * 2 : FIRST_SIZE;
	struct slot *slot = realloc(s->slot, size * sizeof(*slot));

	if (!slot)
		return -1;
	for (uint32_t i = s->size; i < size; i++)
		slot[i] = (struct slot){.next_free = i + 1 < size ? i + 2 : 0};
	s->free = s->size + 1;
	s->slot = slot;
	s->size = size;
	return 0;
}

uint64_t slots_put(struct slots *s, void *thing)
{
	uint32_t number;

	if (!s->free && grow(s))
		return 0;
	number = s->free - 1;
	s->free = s->slot[number].next_free;
	s->slot[number].thing = thing;
	return (uint64_t)s->slot[number].used << 32 | (number + 1);
}

void *slots_get(const struct slots *s, uint64_t token)
{
	uint32_t number = (uint32_t)token - 1;

	if (!(uint32_t)token || number >= s->size || s->slot[number].used != token >> 32)
		return NULL;
	return s->slot[number].thing;
}

void *slots_take(struct slots *s, uint64_t token)
{
	void *thing = slots_get(s, token);
	uint32_t number = (uint32_t)token - 1;

	if (!thing)
		return NULL;
	s->slot[number].thing = NULL;
	s->slot[number].used++;
	s->slot[number].next_free = s->free;
	s->free = number + 1;
	return thing;
}

void slots_free(struct slots *s)
{
	free(s->slot);
	*s = (struct slots){0};
}
