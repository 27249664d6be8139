/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: lwIP's memory: pieces of a few sizes, kept in lists when they are freed. Other
 * than uk_alloc's they are not zeroed: a segment's buffer is written anyway, and at once.
 *
 * What lies in the lists counts against the limit. Where it is of one size and another is wanted,
 * pages that nothing of is in use go back: else a burst of frames, which are all of one size, would
 * leave nothing for the segments of those who send, for good.
 */
#include "lwip/opt.h"
#include "net.h"

#define SHIFT_MIN  6          /* with its head */
#define SHIFT_MID  11         /* a full Ethernet frame: up to here pieces are cut from spans */
#define SHIFT_MAX  15         /* a large segment: pages of its own; what is larger is uk_alloc's */
#define SPAN       16         /* pages */
#define KEEP_BYTES (2u << 20) /* of large pieces, when they are freed; more goes back */

struct piece {
	uint32_t bytes; /* whole piece */
	/* Where it is a page's first of several: how many of the page's are in the list, and have
	 * been taken off it because the page goes back. */
	uint16_t listed, leaving;
	struct piece *next;
};
_Static_assert(sizeof(struct piece) == 16, "pieces stay aligned");

static struct piece *free_pieces[SHIFT_MAX + 1];
static struct {
	char *at, *end;
} span[SHIFT_MID + 1];         /* not cut yet: a page's first use costs microseconds */
static uint64_t network_bytes; /* in use, and in the lists */
static uint64_t kept_bytes;    /* of large pieces, in the lists */
static uint64_t idle_bytes;    /* of pages of which all pieces are in the lists */
static uint64_t used_bytes;    /* in use */

/* What connections hold is what their peers choose to send: a third of memory, at most. */
static uint64_t limit(void)
{
	return UK_NOXS->ram_bytes / 3;
}

bool net_memory_scarce(void)
{
	return used_bytes > limit() / 2;
}

/* What is early.c's is in no page of its own, and never goes back. */
static bool is_early(const struct piece *p)
{
	return (const char *)p >= net_early_area && (const char *)p < net_early_end;
}

static struct piece *first_of_page(struct piece *p)
{
	return (struct piece *)((uintptr_t)p & ~(uintptr_t)(NOXS_PAGE - 1));
}

static unsigned per_page(unsigned shift)
{
	return NOXS_PAGE >> shift;
}

/* All pages that only lists refer to. */
static void give_back(void)
{
	for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MID; shift++) {
		struct piece **at = &free_pieces[shift], *p;

		while ((p = *at)) {
			struct piece *first = first_of_page(p);

			if (is_early(p) || first->listed < per_page(shift)) {
				at = &p->next;
				continue;
			}
			*at = p->next;
			if (++first->leaving < per_page(shift))
				continue;
			uk_pages_free(first, 1);
			network_bytes -= NOXS_PAGE;
		}
	}
	for (unsigned shift = SHIFT_MID + 1; shift <= SHIFT_MAX; shift++) {
		while (free_pieces[shift]) {
			struct piece *p = free_pieces[shift];

			free_pieces[shift] = p->next;
			network_bytes -= p->bytes;
			uk_pages_free(p, p->bytes / NOXS_PAGE);
		}
	}
	kept_bytes = idle_bytes = 0;
}

static bool may_take(size_t bytes)
{
	/* Never for nothing: the lists may be long. */
	if (network_bytes + bytes > limit() && kept_bytes + idle_bytes >= bytes)
		give_back();
	if (network_bytes + bytes > limit())
		return false;
	network_bytes += bytes;
	return true;
}

static struct piece *pages(size_t bytes)
{
	struct piece *p;

	if (!may_take(bytes))
		return NULL;
	p = uk_pages(bytes / NOXS_PAGE);
	if (!p)
		network_bytes -= bytes;
	return p;
}

static bool new_span(unsigned shift)
{
	size_t bytes = NOXS_PAGE;
	char *at = net_early_take(bytes);

	if (!at) {
		bytes = SPAN * NOXS_PAGE;
		at = (char *)pages(bytes);
	}
	if (!at)
		return false;
	span[shift].at = at;
	span[shift].end = at + bytes;
	return true;
}

static struct piece *cut(unsigned shift)
{
	struct piece *p;

	if (shift > SHIFT_MID)
		return pages(1ull << shift);
	if (span[shift].at == span[shift].end && !new_span(shift))
		return NULL;
	p = (struct piece *)span[shift].at;
	span[shift].at += 1u << shift;
	if (!is_early(p) && p == first_of_page(p))
		p->listed = p->leaving = 0;
	return p;
}

/* A small piece joins its list, or leaves it. */
static void count_listed(struct piece *p, unsigned shift, int change)
{
	struct piece *first = first_of_page(p);
	unsigned all = per_page(shift);

	if (is_early(p))
		return;
	idle_bytes -= first->listed == all ? NOXS_PAGE : 0;
	first->listed = (uint16_t)(first->listed + change);
	idle_bytes += first->listed == all ? NOXS_PAGE : 0;
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
		p->bytes = (uint32_t)need;
		used_bytes += need;
		return p + 1;
	}
	if (need > 1u << SHIFT_MIN)
		shift = 32 - (unsigned)__builtin_clz((unsigned)need - 1);
	p = free_pieces[shift];
	if (p) {
		free_pieces[shift] = p->next;
		if (shift > SHIFT_MID)
			kept_bytes -= p->bytes;
		else
			count_listed(p, shift, -1);
		used_bytes += p->bytes;
		return p + 1;
	}
	p = cut(shift);
	if (!p)
		return NULL;
	p->bytes = 1u << shift;
	used_bytes += p->bytes;
	return p + 1;
}

void net_memory_prepare(void)
{
	for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MID; shift++)
		net_free(net_malloc((1u << shift) - sizeof(struct piece)));
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
	struct piece *p = ptr;
	unsigned shift;

	if (!ptr)
		return;
	p--;
	used_bytes -= p->bytes;
	if (p->bytes > 1u << SHIFT_MAX) {
		network_bytes -= p->bytes;
		uk_free(p);
		return;
	}
	if (p->bytes > 1u << SHIFT_MID) {
		if (kept_bytes + p->bytes > KEEP_BYTES) {
			network_bytes -= p->bytes;
			uk_pages_free(p, p->bytes / NOXS_PAGE);
			return;
		}
		kept_bytes += p->bytes;
	}
	shift = (unsigned)__builtin_ctz(p->bytes);
	if (shift <= SHIFT_MID)
		count_listed(p, shift, 1);
	p->next = free_pieces[shift];
	free_pieces[shift] = p;
}
