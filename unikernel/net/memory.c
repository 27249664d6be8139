/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: lwIP's memory: pieces of a few sizes, kept in lists when they are freed. Other
 * than uk_alloc's they are not zeroed: a segment's buffer is written anyway, and at once.
 */
#include "lwip/opt.h"
#include "net.h"

#define SHIFT_MIN  6          /* with its head */
#define SHIFT_MID  11         /* a full Ethernet frame: up to here pieces are cut from spans */
#define SHIFT_MAX  15         /* a large segment: pages of its own; what is larger is uk_alloc's */
#define SPAN       16         /* pages */
#define KEEP_BYTES (2u << 20) /* of large pieces, when they are freed; more goes back */

struct piece {
	uint64_t bytes; /* whole piece */
	struct piece *next;
};
_Static_assert(sizeof(struct piece) == 16, "pieces stay aligned");

static struct piece *free_pieces[SHIFT_MAX + 1];
static struct {
	char *at, *end;
} span[SHIFT_MID + 1];         /* not cut yet: a page's first use costs microseconds */
static uint64_t network_bytes; /* in use, and in the lists */
static uint64_t kept_bytes;    /* of large pieces, in the lists */
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

static bool may_take(size_t bytes)
{
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
		used_bytes += need;
		return p + 1;
	}
	if (need > 1u << SHIFT_MIN)
		shift = 32 - (unsigned)__builtin_clz((unsigned)need - 1);
	p = free_pieces[shift];
	if (p) {
		free_pieces[shift] = p->next;
		kept_bytes -= shift > SHIFT_MID ? p->bytes : 0;
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
	struct piece *p = (struct piece *)ptr - 1;
	unsigned shift;

	if (!ptr)
		return;
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
	shift = (unsigned)__builtin_ctzll(p->bytes);
	p->next = free_pieces[shift];
	free_pieces[shift] = p;
}
