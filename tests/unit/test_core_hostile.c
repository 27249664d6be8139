/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* sources: tests/unit/core_world.c monitor/core.c monitor/core_notes.c monitor/core_file.c monitor/x86_paging.c monitor/err.c */
/* clang-format on */
/*
 * test_core_hostile.c: monitor/core.c and pt_next in monitor/x86_paging.c: page tables,
 * registers and stacks that a guest has damaged cost neither time nor space.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/stat.h>

#include "core_world.h"

static void tables_that_are_loops(void **state)
{
	struct world *w = *state;
	uint64_t *pml4 = world_table(w, 0, 4);

	/* Every entry is the table itself: 2^36 pages, all the same. */
	for (int i = 0; i < 512; i++)
		pml4[i] = TABLES | 7;
	world_dump(w, CORE_FULL, false);
	struct stat st;

	assert_int_equal(fstat(w->fd, &st), 0);
	assert_true((uint64_t)st.st_size < 2 * RAM_BYTES);
}

static void one_page_a_million_times(void **state)
{
	struct world *w = *state;
	uint64_t *pdpt = world_table(w, 0, 3), *pd = world_table(w, TEXT_GVA, 2),
		 *pt = world_table(w, TEXT_GVA, 1);
	uint64_t shared_pd = pdpt[0], shared_pt = pd[TEXT_GVA >> 21 & 511];
	struct stat st;

	/* Rights alternate, so that each page would be a segment. */
	for (unsigned i = 0; i < 512; i++) {
		pt[i] = (DATA + NOXS_PAGE) | 5 | (i & 1 ? 2 : 0);
		pd[i] = shared_pt;
		pdpt[i] = shared_pd;
	}
	world_dump(w, CORE_FULL, false);
	assert_int_equal(fstat(w->fd, &st), 0);
	assert_true((uint64_t)st.st_size < 2 * RAM_BYTES);
}

static void entries_outside_of_ram(void **state)
{
	struct world *w = *state;
	uint64_t *pt = world_table(w, TEXT_GVA, 1), *pdpt = world_table(w, 0, 3);
	struct pt_run run;

	pt[0] = NOXS_GPA_DOORBELL | 7;            /* text's first page */
	pt[1] = 0x000ffffffffff000ull | 7;        /* its second */
	pt[2] = (NOXS_GPA_RAM + RAM_BYTES) | 7;   /* data: just behind RAM */
	pdpt[1] = 0x87;                           /* a page of 1 GiB: not RAM as a whole */
	pdpt[2] = (NOXS_GPA_RAM + RAM_BYTES) | 7; /* a table behind RAM */
	pdpt[3] = 0x000fffffc0000000ull | 7;
	world_dump(w, CORE_FULL, true);
	assert_false(world_has_segment(w, TEXT_GVA));
	assert_false(world_has_segment(w, 1ull << 30));
	assert_true(world_has_segment(w, DATA_GVA + NOXS_PAGE));
	/* a large page whose end is not RAM */
	world_table(w, BIG_GVA, 2)[1] = (LARGE_GPA + (4ull << 20)) | 0x87;
	assert_false(
		pt_next(&w->ram, TABLES, BIG_GVA + (2ull << 20), BIG_GVA + (4ull << 20), &run));
	/* no PML4 */
	assert_false(pt_next(&w->ram, 0x1000, 0, NOXS_GVA_END, &run));
	assert_false(pt_next(&w->ram, UINT64_MAX, 0, UINT64_MAX, &run));
}

static void registers_and_stacks_that_lie(void **state)
{
	static const uint64_t bad[] = {0,          1,          NOXS_GVA_END - 1, NOXS_GVA_END,
				       1ull << 47, 1ull << 63, UINT64_MAX - 8,   UINT64_MAX};
	struct world *w = *state;
	struct err err;
	bool whole;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		w->crash.regs.rip = w->crash.regs.rsp = w->page.rsp = bad[i];
		w->page.nregions = (uint32_t)bad[i];
		w->page.region[0].start = bad[i];
		w->src.vdso = bad[i];
		w->src.vdso_end = UINT64_MAX;
		assert_int_equal(core_write(&w->src, CORE_SMALL, w->fd, "test", &whole, &err), 0);
		assert_int_equal(core_write(&w->src, CORE_FULL, w->fd, "test", &whole, &err), 0);
	}
	/* argc, and arguments that point nowhere */
	w->page.rsp = RSP;
	memset(world_at(w, DATA + 5 * NOXS_PAGE), 0xff, NOXS_PAGE);
	assert_int_equal(core_write(&w->src, CORE_FULL, w->fd, "test", &whole, &err), 0);
}

static void runs_follow_both_address_spaces(void **state)
{
	struct world *w = *state;
	struct pt_run run;

	assert_true(pt_next(&w->ram, TABLES, 0, NOXS_GVA_END, &run));
	assert_int_equal(run.gva, TEXT_GVA);
	assert_int_equal(run.gpa, DATA);
	assert_int_equal(run.bytes, 2 * NOXS_PAGE);
	assert_int_equal(run.flags, PT_USER | PT_EXEC);
	assert_true(pt_next(&w->ram, TABLES, TEXT_GVA + 0x1000, TEXT_GVA + 0x1800, &run));
	assert_int_equal(run.gva, TEXT_GVA + 0x1000);
	assert_int_equal(run.bytes, 0x800);
	/* from the middle of a large page */
	assert_true(pt_next(&w->ram, TABLES, BIG_GVA + 0x5000, NOXS_GVA_END, &run));
	assert_int_equal(run.gpa, LARGE_GPA + 0x5000);
	assert_int_equal(run.bytes, (2ull << 20) - 0x5000);
	/* rights are those of all levels */
	world_table(w, TEXT_GVA, 2)[TEXT_GVA >> 21 & 511] &= ~2ull;
	assert_true(pt_next(&w->ram, TABLES, DATA_GVA, NOXS_GVA_END, &run));
	assert_int_equal(run.flags, PT_USER);
	world_table(w, 0, 3)[0] &= ~4ull;
	assert_false(pt_next(&w->ram, TABLES, 0, 1ull << 30, &run));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(tables_that_are_loops),           TEST(one_page_a_million_times),
		TEST(entries_outside_of_ram),          TEST(registers_and_stacks_that_lie),
		TEST(runs_follow_both_address_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
