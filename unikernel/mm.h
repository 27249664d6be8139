/* SPDX-License-Identifier: Apache-2.0 */
/* mm.h: the program's address space: areas, and the page tables below them. */
#ifndef UK_MM_H
#define UK_MM_H

#include "arch.h"

#define UK_ALIGN_UP(x)   (((x) + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1))
#define UK_ALIGN_DOWN(x) ((x) & ~(NOXS_PAGE - 1))

/*
 * The largest piece that one call may ask for. Memory is promised freely, as to a container
 * with a limit, and used as it is touched; only what no machine of ours has is refused.
 */
#define UK_PROMISE_MAX uk_max(UK_NOXS->ram_bytes, 16ull << 30)

struct uk_node;

/* What may be done in [start, end). The pages come when they are touched. */
struct uk_area {
	uint64_t start, end;
	uint32_t prot;        /* enum noxs_prot */
	uint8_t kind;         /* enum noxs_region_kind; 0: the program mapped it */
	uint8_t never;        /* enum noxs_prot that mprotect must not give */
	bool shared;          /* its frames are the file's own */
	struct uk_node *node; /* the file that it shows, referenced; NULL: zeroes */
	uint64_t off;         /* of start in the file */
};

/* ---- mm.c: areas and faults ---- */
/* Sorted by address. Inserting may move them: keep indices, not pointers. */
extern struct uk_area *uk_areas;
extern size_t uk_nareas;

void uk_mm_ready(void); /* before all else, in every call */
/* Index of the first area that ends above address. */
size_t uk_area_find(uint64_t address);
struct uk_area *uk_area_of(uint64_t address); /* or NULL */
bool uk_area_any(uint64_t start, uint64_t end);
/* Adds an area where none is; takes a.node's reference over if it succeeds. 0 or -ENOMEM. */
long uk_area_insert(struct uk_area a);
/* Makes address a border between areas. 0 or -ENOMEM. */
long uk_area_split(uint64_t address);
/* Joins areas around [start, end] that say the same. */
void uk_area_merge(uint64_t start, uint64_t end);
/* Another reference to the area's file, or one less. */
void uk_area_ref(const struct uk_area *a);
void uk_area_unref(const struct uk_area *a);
/* Removes areas and pages in [start, end). 0 or -ENOMEM. */
long uk_mm_unmap(uint64_t start, uint64_t end);
/* Removes areas, but not what is mapped there. */
long uk_mm_forget(uint64_t start, uint64_t end);
/* Is [start, start + bytes) the program's to map? */
bool uk_mm_in_user(uint64_t start, uint64_t bytes);
/* Highest gap of that size, for MAP_32BIT in the low 2 GiB; 0: none. */
uint64_t uk_mm_gap(uint64_t bytes, bool low);

/* A page fault at address with the CPU's error code. 0: mapped now, go on; otherwise -errno. */
long uk_mm_fault(uint64_t address, uint64_t error);
bool uk_mm_mapped(uint64_t address);
/* Does the address space allow that access? (Then a failed fault was for want of memory.) */
bool uk_mm_allowed(uint64_t address, uint64_t error);
/* Is it in a mapping of a file, behind the file's end? */
bool uk_mm_beyond(uint64_t address);

/* ---- brk.c ---- */
/* Pages from the end of the heap to here may be mapped, and read as zero: the monitor does
 * so at the start, to save faults, and a large page may reach beyond the end. */
extern uint64_t uk_brk_ahead;
uint64_t uk_brk_end(void); /* page-aligned */
/* Unmaps what is mapped ahead in [start, end), for something else to be mapped there. */
long uk_brk_settle(uint64_t start, uint64_t end);

/* ---- paging.c: the page tables, written through the gate ---- */
#define UK_PT_FILE 8u /* with a prot: the frame belongs to a file, unmapping frees it not */
/* Maps n pages at gva to consecutive frames from gpa. 0 or -ENOMEM (no memory for tables). */
long uk_pt_map(uint64_t gva, uint64_t gpa, size_t n, uint32_t prot);
/* Maps n pages at gva, at most to the end of their table, to these frames. */
long uk_pt_map_list(uint64_t gva, const uint64_t *gpa, size_t n, uint32_t prot);
/* Maps one large page, where uk_pt_no_table says that one may be. 0 or -ENOMEM. */
long uk_pt_map_block(uint64_t gva, uint64_t gpa, uint32_t prot);
bool uk_pt_no_table(uint64_t gva);
/* Removes the mappings of n pages and frees their frames. 0 or -ENOMEM (a large page could
 * not be split; nothing was changed there). */
long uk_pt_unmap(uint64_t gva, size_t n);
/* Changes what is mapped there to prot (0: frames stay, access faults). */
long uk_pt_protect(uint64_t gva, size_t n, uint32_t prot);
/* Moves the mappings of n pages from one place to an empty other. */
long uk_pt_move(uint64_t from, uint64_t to, size_t n);
/* Length of the run of pages at gva, at most max, that are all mapped or all unmapped;
 * *gpa gets the first one's frame, or 0. A large page counts as 512. */
size_t uk_pt_run(uint64_t gva, size_t max, uint64_t *gpa);

#endif
