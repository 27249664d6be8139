/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paging.c: the program's page tables.
 *
 * Tables are visible, read-only, in the linear map, and written at ring 0 by the gate
 * (entry.S), which also drops cached translations: that is what makes a tightened mapping
 * take effect on every kind of KVM. A gate call costs about 15 us under PVM and 1 us an
 * entry, so entries are gathered, a table at a time, and whole large pages are used
 * where they can be.
 *
 * 48-bit address: 9 bits each of PML4 (always 0 here), PDPT, PD, PT, then 12 of offset.
 *
 * Tables are never freed: a region that was mapped once is likely to be again.
 */
#include <asm/errno.h>

#include "frames.h"
#include "mm.h"

#define PER_TABLE 512u
#define LARGE     UK_BLOCK
/* Not present, but the frame is still there: PROT_NONE. */
#define PTE_KEPT 0x200ull
/* The frame belongs to a file. */
#define PTE_FILE 0x400ull

#define PD_INDEX(gva)   ((gva) >> 21 & 511)
#define PT_INDEX(gva)   ((gva) >> 12 & 511)
#define PDPT_INDEX(gva) ((gva) >> 30 & 511)

static uint64_t stage[PER_TABLE];

/* Tables come from ranges that the linear map shows read-only: first the monitor's. */
static uint64_t pool_next, pool_end;

static uint64_t *table_at(uint64_t entry)
{
	return (uint64_t *)(NOXS_GVA_LINEAR + (entry & PTE_ADDR));
}

static void write_entries(uint64_t *slot, const uint64_t *values, size_t n)
{
	UK_CONTROL->stats.gates++;
	uk_gate(slot, values, n);
}

static uint64_t flags_of(uint32_t prot)
{
	uint64_t file = prot & UK_PT_FILE ? PTE_FILE : 0;

	if (!(prot & ~UK_PT_FILE))
		return PTE_KEPT | file;
	return PTE_P | PTE_U | file | (prot & NOXS_W ? PTE_W : 0) | (prot & NOXS_X ? 0 : PTE_NX);
}

/* A zeroed page for a table: its gpa, or 0. */
static uint64_t new_table(void)
{
	if (!pool_end) {
		pool_next = UK_NOXS->tables_gpa;
		pool_end = pool_next + UK_NOXS->tables_bytes;
	}
	if (pool_next == pool_end) {
		uint64_t block = uk_frames_take(PER_TABLE), gva = NOXS_GVA_LINEAR + block;
		uint64_t *pd;

		if (!block)
			return 0;
		pd = table_at(table_at(table_at(UK_NOXS->cr3)[0])[PDPT_INDEX(gva)]);
		stage[0] = block | PTE_P | PTE_U | PTE_PS | PTE_NX;
		write_entries(&pd[PD_INDEX(gva)], stage, 1);
		pool_next = block;
		pool_end = block + LARGE;
	}
	pool_next += NOXS_PAGE;
	return pool_next - NOXS_PAGE;
}

/* The table that slot points to, made if create; NULL where there is none. */
static uint64_t *next_table(uint64_t *slot, bool create)
{
	if (!(*slot & PTE_P)) {
		uint64_t gpa, entry;

		if (!create || !(gpa = new_table()))
			return NULL;
		entry = gpa | PTE_P | PTE_W | PTE_U;
		write_entries(slot, &entry, 1);
	}
	return table_at(*slot);
}

/* PD entry of gva, or NULL. */
static uint64_t *pd_slot(uint64_t gva, bool create)
{
	uint64_t *pdpt = table_at(table_at(UK_NOXS->cr3)[0]);
	uint64_t *pd = next_table(&pdpt[PDPT_INDEX(gva)], create);

	return pd ? &pd[PD_INDEX(gva)] : NULL;
}

/* PT entry of gva, or NULL. A large page there is split first. */
static uint64_t *pt_slot(uint64_t gva, bool create)
{
	uint64_t *pd = pd_slot(gva, create), *pt;

	if (!pd)
		return NULL;
	if (*pd & PTE_PS) {
		uint64_t gpa = new_table(), old = *pd, entry;

		if (!gpa)
			return NULL;
		for (size_t i = 0; i < PER_TABLE; i++)
			stage[i] = (old & ~PTE_PS) + i * NOXS_PAGE;
		write_entries(table_at(gpa), stage, PER_TABLE);
		entry = gpa | PTE_P | PTE_W | PTE_U;
		write_entries(pd, &entry, 1);
	}
	pt = next_table(pd, create);
	return pt ? &pt[PT_INDEX(gva)] : NULL;
}

static inline size_t left_in_table(uint64_t gva)
{
	return PER_TABLE - PT_INDEX(gva);
}

long uk_pt_map(uint64_t gva, uint64_t gpa, size_t n, uint32_t prot)
{
	while (n) {
		size_t part = uk_min(n, left_in_table(gva));
		uint64_t *slot = pt_slot(gva, true);

		if (!slot)
			return -ENOMEM;
		for (size_t i = 0; i < part; i++)
			stage[i] = (gpa + i * NOXS_PAGE) | flags_of(prot);
		write_entries(slot, stage, part);
		gva += part * NOXS_PAGE;
		gpa += part * NOXS_PAGE;
		n -= part;
	}
	return 0;
}

long uk_pt_map_list(uint64_t gva, const uint64_t *gpa, size_t n, uint32_t prot)
{
	uint64_t *slot = pt_slot(gva, true);

	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		stage[i] = gpa[i] | flags_of(prot);
	write_entries(slot, stage, n);
	return 0;
}

bool uk_pt_no_table(uint64_t gva)
{
	uint64_t *pd = pd_slot(gva, false);

	return !pd || !*pd;
}

long uk_pt_map_block(uint64_t gva, uint64_t gpa, uint32_t prot)
{
	uint64_t *pd = pd_slot(gva, true);
	uint64_t entry = gpa | flags_of(prot) | PTE_PS;

	if (!pd)
		return -ENOMEM;
	UK_BUG_ON(*pd);
	write_entries(pd, &entry, 1);
	return 0;
}

static void free_frames(uint64_t entry, size_t n)
{
	/* The monitor's frames (the image, the first stack) are not ours to hand out again. */
	if ((entry & PTE_ADDR) && !(entry & PTE_FILE) && uk_frames_owned(entry & PTE_ADDR))
		uk_frames_free(entry & PTE_ADDR, n);
}

long uk_pt_unmap(uint64_t gva, size_t n)
{
	for (size_t part; n; gva += part * NOXS_PAGE, n -= part) {
		uint64_t *pd = pd_slot(gva, false), *slot;
		size_t first, last;

		part = uk_min(n, left_in_table(gva));
		if (!pd || !*pd)
			continue;
		if ((*pd & PTE_PS) && part == PER_TABLE) {
			uint64_t old = *pd, zero = 0;

			write_entries(pd, &zero, 1);
			free_frames(old & ~(LARGE - 1), PER_TABLE);
			continue;
		}
		slot = pt_slot(gva, false);
		if (!slot)
			return -ENOMEM;
		/* Only what lies between the first and the last entry in use is written. */
		for (first = 0; first < part && !slot[first]; first++)
			;
		for (last = part; last > first && !slot[last - 1]; last--)
			;
		if (first == last)
			continue;
		static uint64_t old[PER_TABLE];
		memcpy(old, slot + first, (last - first) * sizeof(*old));
		memset(stage, 0, (last - first) * sizeof(*stage));
		write_entries(slot + first, stage, last - first);
		for (size_t i = 0; i < last - first; i++)
			free_frames(old[i], 1);
	}
	return 0;
}

long uk_pt_protect(uint64_t gva, size_t n, uint32_t prot)
{
	for (size_t part; n; gva += part * NOXS_PAGE, n -= part) {
		uint64_t *pd = pd_slot(gva, false), *slot;
		size_t first, last;

		part = uk_min(n, left_in_table(gva));
		if (!pd || !*pd)
			continue;
		if ((*pd & PTE_PS) && part == PER_TABLE && prot) {
			uint64_t entry = (*pd & PTE_ADDR & ~(LARGE - 1)) | flags_of(prot) | PTE_PS;

			if (entry != (*pd & ~0x60ull)) /* accessed, dirty */
				write_entries(pd, &entry, 1);
			continue;
		}
		slot = pt_slot(gva, false);
		if (!slot)
			return -ENOMEM;
		for (size_t i = 0; i < part; i++)
			stage[i] = slot[i] ? (slot[i] & (PTE_ADDR | PTE_FILE)) | flags_of(prot) : 0;
		for (first = 0; first < part && stage[first] == (slot[first] & ~0x60ull); first++)
			;
		for (last = part; last > first && stage[last - 1] == (slot[last - 1] & ~0x60ull);
		     last--)
			;
		if (first < last)
			write_entries(slot + first, stage + first, last - first);
	}
	return 0;
}

long uk_pt_move(uint64_t from, uint64_t to, size_t n)
{
	static uint64_t zero[PER_TABLE];

	for (size_t part; n; from += part * NOXS_PAGE, to += part * NOXS_PAGE, n -= part) {
		uint64_t *pd = pd_slot(from, false), *src, *dst;

		part = uk_min(n, uk_min(left_in_table(from), left_in_table(to)));
		if (!pd || !*pd)
			continue;
		if ((*pd & PTE_PS) && part == PER_TABLE && uk_pt_no_table(to)) {
			dst = pd_slot(to, true);
			if (!dst)
				return -ENOMEM;
			stage[0] = *pd;
			write_entries(dst, stage, 1);
			write_entries(pd, zero, 1);
			continue;
		}
		src = pt_slot(from, false);
		dst = src ? pt_slot(to, true) : NULL;
		if (!dst)
			return -ENOMEM;
		memcpy(stage, src, part * sizeof(*stage));
		write_entries(dst, stage, part);
		write_entries(src, zero, part);
	}
	return 0;
}

size_t uk_pt_run(uint64_t gva, size_t max, uint64_t *gpa)
{
	uint64_t *pd = pd_slot(gva, false);
	size_t n = uk_min(max, left_in_table(gva)), i;
	uint64_t *slot;

	*gpa = 0;
	if (!pd || !*pd)
		return n;
	if (*pd & PTE_PS) {
		*gpa = (*pd & PTE_ADDR & ~(LARGE - 1)) + PT_INDEX(gva) * NOXS_PAGE;
		return n;
	}
	slot = &table_at(*pd)[PT_INDEX(gva)];
	*gpa = slot[0] & PTE_ADDR;
	for (i = 1; i < n && !slot[i] == !slot[0]; i++)
		;
	return i;
}
