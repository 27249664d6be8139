/* SPDX-License-Identifier: Apache-2.0 */
/* x86_paging.h: building and walking 4-level x86-64 page tables in guest RAM. */
#ifndef MAYFLY_X86_PAGING_H
#define MAYFLY_X86_PAGING_H

#include <stdbool.h>

#include "gmem.h"

enum pt_flags {
	PT_WRITE = 2,
	PT_USER = 4, /* ring 3 may use it */
	PT_EXEC = 8, /* otherwise NX is set */
};

struct pt_builder {
	const struct gmem *mem;
	uint64_t root; /* gpa of the PML4 */
	uint64_t next; /* gpa of the next free table page: zero, as all fresh RAM */
	uint64_t end;  /* end of the range that tables may be taken from */
	/* The last table used, so that neighbours cost no walk. */
	uint64_t last_region;
	uint64_t *last_table;
};

/* Takes the first page of [tables, tables + bytes) as PML4. 0 or -ENOMEM. */
int pt_init(struct pt_builder *pt, const struct gmem *mem, uint64_t tables, uint64_t bytes);

/* Maps [gva, gva + bytes) to gpa onward with flags. All page-aligned; entries that are
 * there already are replaced. 0, -ENOMEM when the tables' range is used up. */
int pt_map(struct pt_builder *pt, uint64_t gva, uint64_t gpa, uint64_t bytes, unsigned flags);

/* The same with 2 MiB pages; all 2 MiB-aligned. */
int pt_map_large(struct pt_builder *pt, uint64_t gva, uint64_t gpa, uint64_t bytes, unsigned flags);

/* Makes table_gpa, a page table that stands anywhere, the one that maps the 2 MiB of gva, which
 * had none. 0 or -ENOMEM. Its entries: pt_entry. */
int pt_hook(struct pt_builder *pt, uint64_t gva, uint64_t table_gpa);
uint64_t pt_entry(uint64_t gpa, unsigned flags);

/* Walks the guest's tables, which the guest may have damaged: gpa of gva, or false. */
bool pt_walk(const struct gmem *mem, uint64_t root, uint64_t gva, uint64_t *gpa);

/* Copies up to bytes from guest-virtual gva; returns how many could be read. */
size_t pt_read(const struct gmem *mem, uint64_t root, uint64_t gva, void *buf, size_t bytes);

/* Pages that follow one another in both address spaces, with the same rights. */
struct pt_run {
	uint64_t gva, gpa, bytes;
	unsigned flags; /* enum pt_flags */
};

/*
 * pt_next: the first run of ring 3's pages at or above gva and below limit. Large pages
 * count as what they cover. Entries that name what is no RAM are passed over. False where
 * there is none. However the tables look, one call takes at most a walk per page of
 * [gva, limit), and a whole table's range at once where that is missing.
 */
bool pt_next(const struct gmem *mem, uint64_t root, uint64_t gva, uint64_t limit,
	     struct pt_run *run);

#endif
