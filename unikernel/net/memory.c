/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: lwIP's memory: pieces of a few sizes, kept in lists when they are freed. Other
 * than uk_alloc's they are not zeroed: a segment's buffer is written anyway, and at once.
 */
#include "lwip/opt.h"

#define SHIFT_MIN 6  /* with its head */
#define SHIFT_MAX 11 /* a full Ethernet frame; what is larger is uk_alloc's */
#define SPAN      16 /* pages that pieces are cut from */

struct piece {
	uint64_t bytes; /* whole piece */
	struct piece *next;
};
_Static_assert(sizeof(struct piece) == 16, "pieces stay aligned");

static struct piece *free_pieces[SHIFT_MAX + 1];
static struct {
	char *at, *end;
} span[SHIFT_MAX + 1];         /* not cut yet: a page's first use costs microseconds */
static uint64_t network_bytes; /* in use, and in the lists */

/* What connections hold is what their peers choose to send: a third of memory, at most. */
static bool may_take(size_t bytes)
{
	if (network_bytes + bytes > UK_NOXS->ram_bytes / 3)
		return false;
	network_bytes += bytes;
	return true;
}

static struct piece *cut(unsigned shift)
{
	struct piece *p;

	if (span[shift].at == span[shift].end) {
		size_t bytes = SPAN * NOXS_PAGE;

		if (!may_take(bytes))
			return NULL;
		span[shift].at = uk_pages(SPAN);
		if (!span[shift].at) {
			network_bytes -= bytes;
			span[shift].end = NULL;
			return NULL;
		}
		span[shift].end = span[shift].at + bytes;
	}
	p = (struct piece *)span[shift].at;
	span[shift].at += 1u << shift;
	p->bytes = 1u << shift;
	return p;
}

void *net_malloc(size_t bytes)
{
	size_t need = bytes + sizeof(struct piece);
	struct piece *p;
	unsigned shift = SHIFT_MIN;

	if (need > 1u << SHIFT_MAX) {
		if (need > UINT32_MAX || !may_take(need))
			return NULL;
		p = uk_alloc(need);
		if (!p) {
			network_bytes -= need;
			return NULL;
		}
		p->bytes = need;
		return p + 1;
	}
	if (need > 1u << SHIFT_MIN)
		shift = 32 - (unsigned)__builtin_clz((unsigned)need - 1);
	p = free_pieces[shift];
	if (!p) {
		p = cut(shift);
		return p ? p + 1 : NULL;
	}
	free_pieces[shift] = p->next;
	return p + 1;
}

void *net_calloc(size_t n, size_t bytes)
{
	void *p;

	if (bytes && n > UINT32_MAX / bytes)
		return NULL;
	p = net_malloc(n * bytes);
	if (p)
		memset(p, 0, n * bytes);
	return p;
}

void net_free(void *ptr)
{
	struct piece *p = (struct piece *)ptr - 1;
	unsigned shift;

	if (!ptr)
		return;
	if (p->bytes > 1u << SHIFT_MAX) {
		network_bytes -= p->bytes;
		uk_free(p);
		return;
	}
	shift = (unsigned)__builtin_ctzll(p->bytes);
	p->next = free_pieces[shift];
	free_pieces[shift] = p;
}
