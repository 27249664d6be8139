/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brk.c: the heap that grows with brk.
 *
 * The monitor maps its first pages ahead, and a large page may reach beyond its end: what
 * is mapped from the end of the heap to uk_brk_ahead reads as zero and may be written, so
 * growing over it costs nothing. Everything else that is to be mapped there has to have
 * it unmapped first.
 */
#include <asm/errno.h>

#include "frames.h"
#include "mm.h"

uint64_t uk_brk_ahead;
static uint64_t brk_now; /* 0: as at the start */

static uint64_t current(void)
{
	return brk_now ? brk_now : UK_NOXS->brk;
}

uint64_t uk_brk_end(void)
{
	return UK_ALIGN_UP(current());
}

long uk_brk_settle(uint64_t start, uint64_t end)
{
	uint64_t heap_end = uk_brk_end(), ahead = uk_brk_ahead;

	if (ahead <= heap_end || end <= heap_end || start >= ahead)
		return 0;
	uk_brk_ahead = 0;
	return uk_pt_unmap(heap_end, (ahead - heap_end) / NOXS_PAGE);
}

static long grow(uint64_t have, uint64_t want)
{
	size_t i = uk_area_find(have - 1);

	if (uk_area_any(have, want) || want - UK_NOXS->brk > UK_PROMISE_MAX)
		return -ENOMEM;
	if (have > UK_NOXS->brk && i < uk_nareas && uk_areas[i].end == have &&
	    uk_areas[i].kind == NOXS_REGION_HEAP && uk_areas[i].prot == (NOXS_R | NOXS_W)) {
		uk_areas[i].end = want;
		return 0;
	}
	return uk_area_insert((struct uk_area){
		.start = have, .end = want, .prot = NOXS_R | NOXS_W, .kind = NOXS_REGION_HEAP});
}

/*
 * Up to the next large page's border what is mapped stays so, zeroed; the rest is
 * unmapped. Pages that the program has done something else with are not kept.
 */
static long shrink(uint64_t want, uint64_t have)
{
	const struct uk_area *a = uk_area_of(want);
	uint64_t keep = want, ahead = uk_max(have, uk_brk_ahead), gpa;
	long err;

	if (a && a->kind == NOXS_REGION_HEAP && a->prot == (NOXS_R | NOXS_W))
		keep = uk_min(a->end, (want + UK_BLOCK - 1) & ~(UK_BLOCK - 1));
	for (uint64_t p = want; p < keep;) {
		size_t n = uk_pt_run(p, (keep - p) / NOXS_PAGE, &gpa);

		if (gpa && uk_zero_out(p, n * NOXS_PAGE))
			return -ENOMEM;
		p += n * NOXS_PAGE;
	}
	err = uk_mm_unmap(keep, have);
	if (!err && keep < have)
		err = uk_pt_unmap(have, (ahead - have) / NOXS_PAGE);
	if (!err)
		err = uk_mm_forget(want, keep);
	if (!err)
		uk_brk_ahead = keep < have ? keep : ahead;
	return err;
}

UK_SYSCALL(brk)
{
	uint64_t want = UK_ALIGN_UP(a), have;
	long err = 0;

	uk_mm_ready();
	have = uk_brk_end();
	if (a < UK_NOXS->brk || !uk_mm_in_user(a, 0) || want < a)
		return (long)current();
	if (want > have)
		err = grow(have, want);
	else if (want < have)
		err = shrink(want, have);
	if (err)
		return (long)current();
	brk_now = a;
	uk_frames_give_back();
	return (long)a;
}
