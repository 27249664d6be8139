/* SPDX-License-Identifier: Apache-2.0 */
/* test_paging.c: x86 page tables: building them, and walking such as a guest has damaged. */
/* sources: monitor/x86_paging.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/x86_paging.h"

#define TABLES 64
#define RAM    (NOXS_PAGE * 1024)

static struct gmem mem;
static struct pt_builder pt;

static int setup(void **state)
{
	(void)state;
	mem = (struct gmem){.host = aligned_alloc(NOXS_PAGE, RAM), .bytes = RAM};
	memset(mem.host, 0, RAM);
	return pt_init(&pt, &mem, NOXS_GPA_RAM, TABLES * NOXS_PAGE);
}

static int teardown(void **state)
{
	(void)state;
	free(mem.host);
	return 0;
}

static uint64_t entry_of(uint64_t gva)
{
	uint64_t table = pt.root;

	for (int level = 4; level > 1; level--) {
		uint64_t e = ((uint64_t *)gmem_at(&mem, table,
						  NOXS_PAGE))[gva >> (12 + 9 * (level - 1)) & 511];

		if (!(e & 1) || (e & 0x80))
			return e;
		table = e & 0x000ffffffffff000ull;
	}
	return ((uint64_t *)gmem_at(&mem, table, NOXS_PAGE))[gva >> 12 & 511];
}

static void maps_pages_with_their_rights(void **state)
{
	uint64_t gpa;

	(void)state;
	assert_int_equal(
		pt_map(&pt, 0x400000, NOXS_GPA_RAM + 0x100000, 2 * NOXS_PAGE, PT_USER | PT_EXEC),
		0);
	assert_int_equal(
		pt_map(&pt, 0x402000, NOXS_GPA_RAM + 0x200000, NOXS_PAGE, PT_USER | PT_WRITE), 0);
	assert_int_equal(pt_map(&pt, 0x403000, NOXS_GPA_RAM + 0x300000, NOXS_PAGE, 0), 0);
	assert_true(pt_walk(&mem, pt.root, 0x401234, &gpa));
	assert_int_equal(gpa, NOXS_GPA_RAM + 0x101234);
	/* present, user, not writable, executable */
	assert_int_equal(entry_of(0x401000) & 0x8000000000000007ull, 0x5);
	/* present, user, writable, not executable */
	assert_int_equal(entry_of(0x402000) & 0x8000000000000007ull, 0x8000000000000007ull);
	/* present, supervisor only */
	assert_int_equal(entry_of(0x403000) & 0x8000000000000007ull, 0x8000000000000001ull);
	assert_false(pt_walk(&mem, pt.root, 0x3ff000, &gpa));
	assert_false(pt_walk(&mem, pt.root, 0x404000, &gpa));
	assert_false(pt_walk(&mem, pt.root, 0, &gpa));
}

static void crosses_tables(void **state)
{
	uint64_t start = 0x7ffff00000ull, gpa;

	(void)state;
	/* the last MiB below 512 GiB, then two MiB over a PT's border */
	assert_int_equal(pt_map(&pt, start, NOXS_GPA_RAM, 0x100000, PT_USER), 0);
	assert_int_equal(pt_map(&pt, 0x3ff00000, NOXS_GPA_RAM, 0x200000, PT_USER), 0);
	assert_true(pt_walk(&mem, pt.root, 0x3fffffff, &gpa));
	assert_int_equal(gpa, NOXS_GPA_RAM + 0xfffff);
	assert_true(pt_walk(&mem, pt.root, 0x40000000, &gpa));
	assert_int_equal(gpa, NOXS_GPA_RAM + 0x100000);
	assert_true(pt_walk(&mem, pt.root, start + 0xfffff, &gpa));
	assert_int_equal(gpa, NOXS_GPA_RAM + 0xfffff);
}

static void maps_large_pages(void **state)
{
	uint64_t gpa;

	(void)state;
	assert_int_equal(
		pt_map_large(&pt, NOXS_GVA_LINEAR, NOXS_GPA_RAM, 4 << 20, PT_USER | PT_WRITE), 0);
	assert_true(pt_walk(&mem, pt.root, NOXS_GVA_LINEAR + 0x212345, &gpa));
	assert_int_equal(gpa, NOXS_GPA_RAM + 0x212345);
	assert_int_equal(entry_of(NOXS_GVA_LINEAR) & 0x80, 0x80);
}

static void ends_with_its_range(void **state)
{
	(void)state;
	assert_int_equal(pt_init(&pt, &mem, NOXS_GPA_RAM, 3 * NOXS_PAGE), 0);
	assert_int_equal(pt_map(&pt, 0x400000, NOXS_GPA_RAM, NOXS_PAGE, 0), -ENOMEM);
	assert_int_equal(pt_init(&pt, &mem, NOXS_GPA_RAM, 4 * NOXS_PAGE), 0);
	memset(mem.host, 0, 4 * NOXS_PAGE);
	assert_int_equal(pt_map(&pt, 0x400000, NOXS_GPA_RAM, NOXS_PAGE, 0), 0);
	assert_int_equal(pt_map(&pt, 0x600000, NOXS_GPA_RAM, NOXS_PAGE, 0), -ENOMEM);
	/* a range that is not RAM */
	assert_int_equal(pt_init(&pt, &mem, NOXS_GPA_RAM + RAM, NOXS_PAGE), -ENOMEM);
	assert_int_equal(pt_init(&pt, &mem, 0, NOXS_PAGE), -ENOMEM);
}

static void survives_hostile_tables(void **state)
{
	uint64_t *pml4 = gmem_at(&mem, pt.root, NOXS_PAGE), gpa;
	char buf[64];

	(void)state;
	/* a table that is its own child; tables outside of RAM; large bits where none may be */
	pml4[0] = pt.root | 7;
	pt_walk(&mem, pt.root, 0x1000, &gpa);
	pml4[0] = 0x000ffffffffff007ull;
	assert_false(pt_walk(&mem, pt.root, 0x1000, &gpa));
	pml4[0] = 0x1007;
	assert_false(pt_walk(&mem, pt.root, 0x1000, &gpa));
	pml4[0] = pt.root | 0x87;
	assert_false(pt_walk(&mem, pt.root, 0x1000, &gpa));
	assert_false(pt_walk(&mem, pt.root, 1ull << 47, &gpa));
	assert_false(pt_walk(&mem, UINT64_MAX, 0x1000, &gpa));
	for (int i = 0; i < 512; i++)
		pml4[i] = (uint64_t)random() << 33 ^ (uint64_t)random() << 12 ^
			  (uint64_t)random() % 256;
	for (int i = 0; i < 10000; i++)
		pt_read(&mem, pt.root, (uint64_t)random() << 16 ^ (uint64_t)random(), buf,
			sizeof(buf));
}

static void reads_across_pages_as_far_as_they_go(void **state)
{
	char buf[3 * NOXS_PAGE];

	(void)state;
	/* two neighbouring pages whose frames are apart; the third is not there */
	assert_int_equal(pt_map(&pt, 0x500000, NOXS_GPA_RAM + 0x105000, NOXS_PAGE, PT_USER), 0);
	assert_int_equal(pt_map(&pt, 0x501000, NOXS_GPA_RAM + 0x103000, NOXS_PAGE, PT_USER), 0);
	memset(mem.host + 0x105000, 'a', NOXS_PAGE);
	memset(mem.host + 0x103000, 'b', NOXS_PAGE);
	assert_int_equal(pt_read(&mem, pt.root, 0x500ff0, buf, 32), 32);
	assert_memory_equal(buf, "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb", 32);
	assert_int_equal(pt_read(&mem, pt.root, 0x500000, buf, sizeof(buf)), 2 * NOXS_PAGE);
	assert_int_equal(pt_read(&mem, pt.root, 0x502000, buf, 1), 0);
}

static void gmem_checks_every_range(void **state)
{
	(void)state;
	assert_ptr_equal(gmem_at(&mem, NOXS_GPA_RAM, RAM), mem.host);
	assert_ptr_equal(gmem_at(&mem, NOXS_GPA_RAM + RAM, 0), mem.host + RAM);
	assert_null(gmem_at(&mem, NOXS_GPA_RAM - 1, 1));
	assert_null(gmem_at(&mem, NOXS_GPA_RAM, RAM + 1));
	assert_null(gmem_at(&mem, NOXS_GPA_RAM + RAM - 1, 2));
	assert_null(gmem_at(&mem, NOXS_GPA_RAM + 1, UINT64_MAX));
	assert_null(gmem_at(&mem, UINT64_MAX, 2));
	assert_null(gmem_at(&mem, 0, 0));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(maps_pages_with_their_rights),
		CASE(crosses_tables),
		CASE(maps_large_pages),
		CASE(ends_with_its_range),
		CASE(survives_hostile_tables),
		CASE(reads_across_pages_as_far_as_they_go),
		CASE(gmem_checks_every_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
