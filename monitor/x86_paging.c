/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_paging.c: see x86_paging.h. Entry format: AMD64 APM vol. 2, 5.3; Intel SDM vol. 3A,
 * 4.5. A 48-bit address is 9 bits each of PML4, PDPT, PD, PT index and 12 of offset.
 */
#include <errno.h>
#include <string.h>

#include "x86_paging.h"

#define P     0x1ull
#define W     0x2ull
#define U     0x4ull
#define A     0x20ull /* accessed and dirty are set ahead: no write to the table later */
#define D     0x40ull
#define PS    0x80ull
#define NX    (1ull << 63)
#define ADDR  0x000ffffffffff000ull
#define LARGE 0x200000ull

static uint64_t *table_at(const struct gmem *mem, uint64_t gpa)
{
	return gmem_at(mem, gpa, NOXS_PAGE);
}

int pt_init(struct pt_builder *pt, const struct gmem *mem, uint64_t tables, uint64_t bytes)
{
	*pt = (struct pt_builder){
		.mem = mem,
		.root = tables,
		.next = tables + NOXS_PAGE,
		.end = tables + bytes,
		.last_region = UINT64_MAX,
	};
	return bytes >= NOXS_PAGE && table_at(mem, tables) ? 0 : -ENOMEM;
}

/* The table at the given level (3: PDPT, 2: PD, 1: PT) that holds gva's entry. */
static uint64_t *table_for(struct pt_builder *pt, uint64_t gva, int level)
{
	uint64_t *table = table_at(pt->mem, pt->root);

	for (int l = 4; l > level; l--) {
		uint64_t *entry = &table[gva >> (12 + 9 * (l - 1)) & 511];

		if (!(*entry & P)) {
			if (pt->next >= pt->end || !table_at(pt->mem, pt->next))
				return NULL;
			/* Tables allow everything: rights are the last level's matter. */
			*entry = pt->next | P | W | U | A;
			pt->next += NOXS_PAGE;
		}
		table = table_at(pt->mem, *entry & ADDR);
	}
	return table;
}

static uint64_t bits(unsigned flags)
{
	return P | A | (flags & PT_WRITE ? W | D : 0) | (flags & PT_USER ? U : 0) |
	       (flags & PT_EXEC ? 0 : NX);
}

int pt_map(struct pt_builder *pt, uint64_t gva, uint64_t gpa, uint64_t bytes, unsigned flags)
{
	uint64_t end = gva + bytes, entry = gpa | bits(flags);

	for (; gva < end; gva += NOXS_PAGE, entry += NOXS_PAGE) {
		if (gva / LARGE != pt->last_region) {
			pt->last_table = table_for(pt, gva, 1);
			if (!pt->last_table)
				return -ENOMEM;
			pt->last_region = gva / LARGE;
		}
		pt->last_table[gva >> 12 & 511] = entry;
	}
	return 0;
}

int pt_map_large(struct pt_builder *pt, uint64_t gva, uint64_t gpa, uint64_t bytes, unsigned flags)
{
	for (uint64_t off = 0; off < bytes; off += LARGE) {
		uint64_t *pd = table_for(pt, gva + off, 2);

		if (!pd)
			return -ENOMEM;
		pd[(gva + off) >> 21 & 511] = (gpa + off) | bits(flags) | PS;
	}
	return 0;
}

int pt_hook(struct pt_builder *pt, uint64_t gva, uint64_t table_gpa)
{
	uint64_t *pd = table_for(pt, gva, 2);

	if (!pd)
		return -ENOMEM;
	pd[gva >> 21 & 511] = table_gpa | P | W | U | A;
	return 0;
}

uint64_t pt_entry(uint64_t gpa, unsigned flags)
{
	return gpa | bits(flags);
}

bool pt_walk(const struct gmem *mem, uint64_t root, uint64_t gva, uint64_t *gpa)
{
	uint64_t table = root & ADDR;

	if (gva >> 47)
		return false;
	for (int level = 4; level >= 1; level--) {
		const uint64_t *entries = table_at(mem, table);
		int shift = 12 + 9 * (level - 1);
		uint64_t entry;

		if (!entries)
			return false;
		/* Once: the guest may be changing it. */
		entry = __atomic_load_n(&entries[gva >> shift & 511], __ATOMIC_RELAXED);
		if (!(entry & P))
			return false;
		if (level == 1 || (entry & PS)) {
			uint64_t offset = (1ull << shift) - 1;

			if (level > 3)
				return false;
			*gpa = (entry & ADDR & ~offset) | (gva & offset);
			return true;
		}
		table = entry & ADDR;
	}
	return false;
}

/*
 * What one entry says of gva, at whatever level the walk ends: *bytes is what the entry
 * covers. True if ring 3 has RAM there; then *page is it (gva rounded down to *bytes).
 * Rights are those of all levels taken together (SDM vol. 3A, 4.6).
 */
static bool look_up(const struct gmem *mem, uint64_t root, uint64_t gva, struct pt_run *page)
{
	uint64_t table = root & ADDR, allow = W | U, deny = 0;

	for (int level = 4; level >= 1; level--) {
		const uint64_t *entries = table_at(mem, table);
		int shift = 12 + 9 * (level - 1);
		uint64_t entry;

		page->bytes = 1ull << shift;
		page->gva = gva & ~(page->bytes - 1);
		if (!entries)
			return false;
		entry = __atomic_load_n(&entries[gva >> shift & 511], __ATOMIC_RELAXED);
		allow &= entry;
		deny |= entry & NX;
		if (!(entry & P) || !(allow & U))
			return false;
		if (level == 1 || (entry & PS)) {
			page->gpa = entry & ADDR & ~(page->bytes - 1);
			page->flags = PT_USER | (allow & W ? PT_WRITE : 0) | (deny ? 0 : PT_EXEC);
			return level <= 3 && gmem_at(mem, page->gpa, page->bytes);
		}
		table = entry & ADDR;
	}
	return false;
}

bool pt_next(const struct gmem *mem, uint64_t root, uint64_t gva, uint64_t limit,
	     struct pt_run *run)
{
	struct pt_run page;

	run->bytes = 0;
	while (gva < limit && !(gva >> 47)) {
		bool there = look_up(mem, root, gva, &page);
		uint64_t offset = gva - page.gva, bytes = page.bytes - offset;

		if (bytes > limit - gva)
			bytes = limit - gva;
		if (run->bytes && (!there || page.gpa + offset != run->gpa + run->bytes ||
				   page.flags != run->flags))
			break;
		if (there && !run->bytes)
			*run = (struct pt_run){gva, page.gpa + offset, 0, page.flags};
		if (there)
			run->bytes += bytes;
		gva += bytes;
	}
	return run->bytes;
}

size_t pt_read(const struct gmem *mem, uint64_t root, uint64_t gva, void *buf, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		uint64_t at = gva + done, gpa;
		size_t n = NOXS_PAGE - (at & (NOXS_PAGE - 1));
		const void *from;

		if (n > bytes - done)
			n = bytes - done;
		if (!pt_walk(mem, root, at, &gpa) || !(from = gmem_at(mem, gpa, n)))
			break;
		memcpy((char *)buf + done, from, n);
		done += n;
	}
	return done;
}
