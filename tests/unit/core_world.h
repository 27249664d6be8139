/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_world.h: what the tests of monitor/core.c share: a guest memory with hand-made page
 * tables, a program that has crashed in it, and its core file read again with libelf.
 */
#ifndef CORE_WORLD_H
#define CORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gelf.h>
#include <stdbool.h>

#include "../../monitor/core.h"
#include "../../monitor/x86_paging.h"

#define RAM_BYTES (8ull << 20)
#define TABLES    NOXS_GPA_RAM
#define TABLE_MAX (64 * NOXS_PAGE)
#define DATA      (NOXS_GPA_RAM + (1ull << 20)) /* what the program has */
#define LARGE_GPA (NOXS_GPA_RAM + (4ull << 20))
#define TEXT_GVA  0x400000ull
#define DATA_GVA  0x402000ull
#define BIG_GVA   0x2000000000ull
#define STACK_GVA (NOXS_GVA_STACK_TOP - 2 * NOXS_PAGE)
#define RSP       (NOXS_GVA_STACK_TOP - 512)

struct world {
	struct gmem ram;
	struct pt_builder pt;
	struct noxs_page page;
	struct noxs_crash crash;
	struct core_source src;
	int fd;
	Elf *elf;
};

/* The page at gpa, which is RAM. */
uint8_t *world_at(const struct world *w, uint64_t gpa);

/* The page table of that level (4: PML4, ..., 1) that has the entry for gva. */
uint64_t *world_table(struct world *w, uint64_t gva, int level);

/* cmocka's fixture: *state is a struct world. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* Writes a core and opens it. Returns the number of its segments. */
size_t world_dump(struct world *w, enum core_kind kind, bool whole_expected);

/* The segment that begins at gva. Fails if there is none, or what is there cannot be. */
GElf_Phdr world_segment(const struct world *w, uint64_t gva);
bool world_has_segment(const struct world *w, uint64_t gva);

#endif
