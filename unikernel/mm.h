/* SPDX-License-Identifier: Apache-2.0 */
/* mm.h: the program's address space, for those who fault in it. */
#ifndef UK_MM_H
#define UK_MM_H

#include "arch.h"

/* A page fault at address with the CPU's error code. 0: mapped now, go on; otherwise -errno. */
long uk_mm_fault(uint64_t address, uint64_t error);
bool uk_mm_mapped(uint64_t address);
/* Does the address space allow that access? (Then a failed fault was for want of memory.) */
bool uk_mm_allowed(uint64_t address, uint64_t error);

/* ---- paging.c: the page tables, written through the gate ---- */
/* Maps n pages at gva to consecutive frames from gpa. 0 or -ENOMEM (no memory for tables). */
long uk_pt_map(uint64_t gva, uint64_t gpa, size_t n, uint32_t prot);
/* Maps one large page; fails with -EEXIST where there is a table already. */
long uk_pt_map_block(uint64_t gva, uint64_t gpa, uint32_t prot);
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
