/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.c: the kernel's heap: powers of two up to 2 KiB from pages, whole pages above.
 * Each piece is preceded by its size.
 */
#include "uk.h"

#define HEAD      16u
#define MIN_SHIFT 5
#define MAX_SHIFT 11

struct piece {
	uint64_t bytes; /* whole piece, with this head */
	struct piece *next;
};

static struct piece *free_list[MAX_SHIFT + 1];

static size_t whole(size_t bytes)
{
	size_t need = bytes + HEAD, size = 1u << MIN_SHIFT;

	if (need > 1u << MAX_SHIFT)
		return (need + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1);
	while (size < need)
		size *= 2;
	return size;
}

void *uk_alloc(size_t bytes)
{
	size_t size = whole(bytes);
	struct piece *p;

	if (bytes > SIZE_MAX / 2)
		return NULL;
	if (size > 1u << MAX_SHIFT) {
		p = uk_pages(size / NOXS_PAGE);
		if (!p)
			return NULL;
		p->bytes = size;
		return (char *)p + HEAD;
	}
	int shift = __builtin_ctzll(size);

	if (!free_list[shift]) {
		char *page = uk_pages(1);

		if (!page)
			return NULL;
		for (size_t off = 0; off < NOXS_PAGE; off += size) {
			struct piece *new = (struct piece *)(page + off);

			new->next = free_list[shift];
			free_list[shift] = new;
		}
	}
	p = free_list[shift];
	free_list[shift] = p->next;
	p->bytes = size;
	memset((char *)p + HEAD, 0, size - HEAD);
	return (char *)p + HEAD;
}

void uk_free(void *ptr)
{
	struct piece *p = (struct piece *)((char *)ptr - HEAD);

	if (!ptr)
		return;
	if (p->bytes > 1u << MAX_SHIFT) {
		uk_pages_free(p, p->bytes / NOXS_PAGE);
		return;
	}
	int shift = __builtin_ctzll(p->bytes);

	p->next = free_list[shift];
	free_list[shift] = p;
}

void *uk_realloc(void *ptr, size_t bytes)
{
	struct piece *p = (struct piece *)((char *)ptr - HEAD);
	void *new;

	if (ptr && whole(bytes) == p->bytes)
		return ptr;
	new = uk_alloc(bytes);
	if (new &&ptr) {
		memcpy(new, ptr, uk_min(bytes, p->bytes - HEAD));
		uk_free(ptr);
	}
	return new;
}
