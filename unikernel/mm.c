/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mm.c: the program's address space: a sorted array of areas, filled on demand.
 *
 * An area says what may be done where; frames come when a page is touched. A fault costs
 * about 40 us under PVM, so it brings neighbours along: a whole large page where the
 * area covers one and memory is plenty, otherwise up to 32 pages. The calls that change
 * areas are in mmap.c, brk.c and madvise.c.
 */
#include "frames.h"
#include "mm.h"
#include "vfs.h"

#define AROUND   32u /* pages */
#define PF_WRITE 2u
#define PF_FETCH 16u
#define LOW_MIN  0x40000000ull /* MAP_32BIT's range, as Linux has it */
#define LOW_MAX  0x80000000ull

static struct uk_area first_areas[NOXS_MAX_REGIONS + 8];
struct uk_area *uk_areas = first_areas;
size_t uk_nareas;
static size_t max_areas = uk_countof(first_areas);
static uint64_t mmap_top;

static void init(void)
{
	uint64_t entropy;

	for (uint32_t i = 0; i < UK_NOXS->nregions; i++) {
		const struct noxs_region *r = &UK_NOXS->region[i];

		if (r->kind == NOXS_REGION_HEAP) /* an area when brk asks for it */
			uk_brk_ahead = r->end;
		else
			uk_area_insert((struct uk_area){.start = r->start,
							.end = r->end,
							.prot = r->prot,
							.kind = (uint8_t)r->kind});
	}
	uk_random(&entropy, sizeof(entropy));
	mmap_top = NOXS_GVA_MMAP_MAX - (entropy & 0x1ffffff) * NOXS_PAGE;
}

void uk_mm_ready(void)
{
	if (__builtin_expect(!mmap_top, 0))
		init();
}

/* ---- areas ---- */

size_t uk_area_find(uint64_t address)
{
	size_t lo = 0, hi = uk_nareas;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (uk_areas[mid].end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct uk_area *uk_area_of(uint64_t address)
{
	size_t i;

	uk_mm_ready();
	i = uk_area_find(address);
	return i < uk_nareas && uk_areas[i].start <= address ? &uk_areas[i] : NULL;
}

bool uk_area_any(uint64_t start, uint64_t end)
{
	size_t i = uk_area_find(start);

	return i < uk_nareas && uk_areas[i].start < end;
}

void uk_area_ref(const struct uk_area *a)
{
	if (!a->node)
		return;
	uk_node_ref(a->node);
	if (a->shared)
		uk_ramfs_mapped(a->node, true);
}

void uk_area_unref(const struct uk_area *a)
{
	if (!a->node)
		return;
	if (a->shared)
		uk_ramfs_mapped(a->node, false);
	uk_node_unref(a->node);
}

long uk_area_insert(struct uk_area a)
{
	size_t at = uk_area_find(a.start);

	if (uk_nareas == max_areas) {
		struct uk_area *more = uk_alloc(2 * max_areas * sizeof(*more));

		if (!more)
			return -ENOMEM;
		memcpy(more, uk_areas, uk_nareas * sizeof(*more));
		if (uk_areas != first_areas)
			uk_free(uk_areas);
		uk_areas = more;
		max_areas *= 2;
	}
	memmove(uk_areas + at + 1, uk_areas + at, (uk_nareas - at) * sizeof(a));
	uk_areas[at] = a;
	uk_nareas++;
	return 0;
}

static void remove_area(size_t at)
{
	struct uk_area gone = uk_areas[at];

	memmove(uk_areas + at, uk_areas + at + 1, (--uk_nareas - at) * sizeof(gone));
	uk_area_unref(&gone);
}

long uk_area_split(uint64_t address)
{
	struct uk_area *a = uk_area_of(address), tail;
	long err;

	if (!a || a->start == address)
		return 0;
	tail = *a;
	tail.start = address;
	tail.off += address - a->start;
	a->end = address; /* so that the tail finds its place */
	err = uk_area_insert(tail);
	if (err)
		a->end = tail.end;
	else
		uk_area_ref(&tail);
	return err;
}

static bool alike(const struct uk_area *a, const struct uk_area *b)
{
	return a->end == b->start && a->prot == b->prot && a->kind == b->kind &&
	       a->node == b->node && a->shared == b->shared && a->never == b->never &&
	       (!a->node || a->off + (a->end - a->start) == b->off);
}

void uk_area_merge(uint64_t start, uint64_t end)
{
	size_t i = uk_area_find(start ? start - 1 : 0);

	while (i + 1 < uk_nareas && uk_areas[i].start <= end) {
		if (alike(&uk_areas[i], &uk_areas[i + 1])) {
			uk_areas[i].end = uk_areas[i + 1].end;
			remove_area(i + 1);
		} else {
			i++;
		}
	}
}

static long remove_areas(uint64_t start, uint64_t end, bool pages)
{
	long err = uk_area_split(start);

	if (!err)
		err = uk_area_split(end);
	if (err)
		return err;
	/* Only areas hold frames: skip the gaps between them. */
	for (size_t i = uk_area_find(start); i < uk_nareas && uk_areas[i].start < end;) {
		const struct uk_area *a = &uk_areas[i];

		if (pages)
			err = uk_pt_unmap(a->start, (a->end - a->start) / NOXS_PAGE);
		if (err)
			return err;
		remove_area(i);
	}
	return 0;
}

long uk_mm_unmap(uint64_t start, uint64_t end)
{
	return start < end ? remove_areas(start, end, true) : 0;
}

long uk_mm_forget(uint64_t start, uint64_t end)
{
	return start < end ? remove_areas(start, end, false) : 0;
}

bool uk_mm_in_user(uint64_t start, uint64_t bytes)
{
	if (start >= NOXS_GVA_STACK_MIN)
		return start <= NOXS_GVA_STACK_TOP && bytes <= NOXS_GVA_STACK_TOP - start;
	return start >= NOXS_GVA_MIN && start <= NOXS_GVA_USER_END &&
	       bytes <= NOXS_GVA_USER_END - start;
}

/* Large-page aligned where that may help. */
uint64_t uk_mm_gap(uint64_t bytes, bool low)
{
	uint64_t align = bytes >= UK_BLOCK ? UK_BLOCK : NOXS_PAGE;
	uint64_t bottom = low ? LOW_MIN : NOXS_GVA_MMAP_MIN, top = low ? LOW_MAX : mmap_top;
	size_t i = uk_area_find(top);

	if (i < uk_nareas) /* one that grew may reach beyond mmap_top */
		top = uk_min(top, uk_areas[i].start);
	for (;;) {
		uint64_t floor = uk_max(i ? uk_areas[i - 1].end : 0, bottom);

		if (low) /* only there can the heap be */
			floor = uk_max(floor, uk_min(uk_brk_ahead, LOW_MAX));
		if (top > floor && top - floor >= bytes) {
			uint64_t at = (top - bytes) & ~(align - 1);

			if (at >= floor)
				return at;
		}
		if (!i || uk_areas[i - 1].start <= bottom)
			return 0;
		top = uk_min(top, uk_areas[--i].start);
	}
}

/* ---- faults ---- */

bool uk_mm_mapped(uint64_t address)
{
	return uk_area_of(address);
}

bool uk_mm_allowed(uint64_t address, uint64_t error)
{
	struct uk_area *a = uk_area_of(address);

	if (!a || !a->prot)
		return false;
	if (error & PF_WRITE)
		return a->prot & NOXS_W;
	return !(error & PF_FETCH) || (a->prot & NOXS_X);
}

/* Where the pages of the area's file end, in the area. */
static uint64_t file_end(const struct uk_area *a)
{
	uint64_t bytes = UK_ALIGN_UP(a->node->size);

	return bytes <= a->off ? a->start : a->start + uk_min(bytes - a->off, a->end - a->start);
}

bool uk_mm_beyond(uint64_t address)
{
	struct uk_area *a = uk_area_of(address);

	return a && a->node && address >= file_end(a);
}

/* The file's own frames, from page on as many as there are in a row. */
static long fault_shared(const struct uk_area *a, uint64_t page)
{
	static uint64_t gpa[AROUND];
	uint64_t first = (a->off + (page - a->start)) / NOXS_PAGE, seen;
	size_t n, max = uk_min((file_end(a) - page) / NOXS_PAGE, 512 - (page / NOXS_PAGE) % 512);

	max = uk_min(max, AROUND);
	for (n = 0; n < max; n++) {
		void *frame = uk_ramfs_page(a->node, first + n, n == 0);

		if (n)
			uk_pt_run(page + n * NOXS_PAGE, 1, &seen);
		if (!frame || (n && seen))
			break;
		gpa[n] = (uint64_t)frame - NOXS_GVA_LINEAR;
	}
	return n ? uk_pt_map_list(page, gpa, n, a->prot | UK_PT_FILE) : -ENOMEM;
}

/* A private mapping is a copy of its file, page by page as they are touched. */
static void fill_from_file(const struct uk_area *a, uint64_t start, uint64_t gpa, size_t n)
{
	uint64_t first = (a->off + (start - a->start)) / NOXS_PAGE;

	for (size_t i = 0; i < n; i++) {
		void *page = uk_ramfs_page(a->node, first + i, false);

		if (page)
			memcpy((void *)(NOXS_GVA_LINEAR + gpa + i * NOXS_PAGE), page, NOXS_PAGE);
	}
}

/* May the large page at block be mapped for this area? The heap's may reach beyond it. */
static bool block_fits(const struct uk_area *a, uint64_t block)
{
	size_t next = (size_t)(a - uk_areas) + 1;

	if (a->node || block < a->start || !uk_pt_no_table(block))
		return false;
	if (block + UK_BLOCK <= a->end)
		return true;
	return a->kind == NOXS_REGION_HEAP && a->prot == (NOXS_R | NOXS_W) &&
	       a->end == uk_brk_end() && block + UK_BLOCK <= NOXS_GVA_USER_END &&
	       (next == uk_nareas || uk_areas[next].start >= block + UK_BLOCK);
}

static bool fault_block(const struct uk_area *a, uint64_t block)
{
	uint64_t gpa = uk_frames_take(512);

	if (!gpa)
		return false;
	if (uk_pt_map_block(block, gpa, a->prot)) {
		uk_frames_free(gpa, 512);
		uk_frames_discarded(gpa, 512); /* untouched */
		return false;
	}
	if (block + UK_BLOCK > a->end)
		uk_brk_ahead = uk_max(uk_brk_ahead, block + UK_BLOCK);
	return true;
}

long uk_mm_fault(uint64_t address, uint64_t error)
{
	struct uk_area *a = uk_area_of(address);
	uint64_t page = UK_ALIGN_DOWN(address), block = address & ~(UK_BLOCK - 1);
	uint64_t start, end, gpa;
	size_t total, blocks, around = AROUND, n;

	if (!uk_mm_allowed(address, error) || uk_mm_beyond(address))
		return -EFAULT;
	n = uk_pt_run(page, 1, &gpa);
	if (gpa) /* another look is all it takes: the translation was cached */
		return uk_pt_protect(page, 1, a->prot);
	UK_CONTROL->stats.faults++;
	if (a->shared)
		return fault_shared(a, page);
	blocks = uk_frames_free_blocks(&total);
	if (blocks > total / 4 && block_fits(a, block) && fault_block(a, block))
		return 0;
	if (uk_pages_left() < total * 512 / 16)
		around = 1;
	start = uk_max(page & ~(around * NOXS_PAGE - 1), a->start);
	end = uk_min((page & ~(around * NOXS_PAGE - 1)) + around * NOXS_PAGE,
		     a->node ? file_end(a) : a->end);
	/* From the last mapped page before to the first mapped one after. */
	for (uint64_t p = start; p < page; p += n * NOXS_PAGE) {
		n = uk_pt_run(p, (page - p) / NOXS_PAGE, &gpa);
		if (gpa)
			start = p + n * NOXS_PAGE;
	}
	n = uk_pt_run(start, (end - start) / NOXS_PAGE, &gpa);
	gpa = uk_frames_take(n);
	if (!gpa) {
		start = page;
		n = 1;
		gpa = uk_frames_take(1);
	}
	if (!gpa)
		return -ENOMEM;
	if (a->node)
		fill_from_file(a, start, gpa, n);
	if (uk_pt_map(start, gpa, n, a->prot)) {
		uk_frames_free(gpa, n);
		return -ENOMEM;
	}
	return 0;
}
