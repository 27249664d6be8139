/* SPDX-License-Identifier: Apache-2.0 */
/* test_prepared.c: the monitor's check of a prepared image, which may be damaged. */
/* sources: monitor/image.c monitor/err.c tests/unit/host_mock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/image.h"
#include "../../noxs/noxs.h"

#define FILE_BYTES (4 * NOXS_PAGE)

static struct prepared_header good(void)
{
	return (struct prepared_header){
		.magic = PREPARED_MAGIC,
		.version = PREPARED_VERSION,
		.noxs_fast_entry = NOXS_GVA_FAST_ENTRY,
		.nsegments = 2,
		.align = NOXS_PAGE,
		.entry = 0x401000,
		.phdr = 0x400040,
		.phnum = 4,
		.phent = 56,
		.brk = 0x404000,
		.file_bytes = FILE_BYTES,
		.segment =
			{
				{0x400000, 2 * NOXS_PAGE, NOXS_PAGE, 2 * NOXS_PAGE,
				 PREPARED_R | PREPARED_X, 0},
				{0x402000, 2 * NOXS_PAGE, 3 * NOXS_PAGE, NOXS_PAGE,
				 PREPARED_R | PREPARED_W, 0},
			},
	};
}

static void takes_a_good_one(void **state)
{
	struct prepared_header h = good();

	(void)state;
	assert_int_equal(prepared_check(&h, FILE_BYTES), 0);
	h.pie = 1;
	h.segment[0].vaddr = 0;
	assert_int_equal(prepared_check(&h, FILE_BYTES), 0);
}

static void refuses_each_damage(void **state)
{
#define BAD(change)                                              \
	do {                                                     \
		struct prepared_header h = good();               \
		change;                                          \
		assert_true(prepared_check(&h, FILE_BYTES) < 0); \
	} while (0)
	(void)state;
	BAD(h.magic++);
	BAD(h.version++);
	BAD(h.noxs_fast_entry++);
	BAD(h.file_bytes++);
	BAD(h.nsegments = 0);
	BAD(h.nsegments = PREPARED_MAX_SEGMENTS + 1);
	BAD(h.nsegments = UINT32_MAX);
	BAD(h.pie = 2);
	BAD(h.align = 0);
	BAD(h.align = 2048);
	BAD(h.align = 4096 * 3);
	BAD(h.align = 1ull << 30);
	BAD(h.segment[0].vaddr = 0);
	BAD(h.segment[0].vaddr++);
	BAD(h.segment[1].vaddr = 0x401000);
	BAD(h.segment[1].vaddr = UINT64_MAX - 4095);
	BAD(h.segment[1].vaddr = NOXS_GVA_USER_END);
	BAD(h.segment[1].mem_bytes = UINT64_MAX - 4095);
	BAD(h.segment[1].mem_bytes = 0);
	BAD(h.segment[1].file_bytes = 3 * NOXS_PAGE);
	BAD(h.segment[1].file_off = 0);
	BAD(h.segment[1].file_off = 4 * NOXS_PAGE);
	BAD(h.segment[1].file_off = UINT64_MAX - 4095);
	BAD(h.segment[0].prot = 7);
	BAD(h.segment[0].prot = 8);
	BAD(h.entry = 0x404000);
	BAD(h.brk = NOXS_GVA_USER_END + NOXS_PAGE);
	BAD(h.brk++);
	BAD(h.brk = 0x403000);
	BAD(h.phdr = 0x500000);
}

/* Whatever gets through keeps the rules that guest.c relies on. */
static void random_damage_never_gets_through_whole(void **state)
{
	(void)state;
	for (int i = 0; i < 300000; i++) {
		struct prepared_header h = good();
		uint8_t *bytes = (uint8_t *)&h;

		for (int k = random() % 4; k >= 0; k--)
			bytes[(size_t)random() % sizeof(h)] =
				(uint8_t)(random() % 3 ? random() : 0xff);
		if (prepared_check(&h, FILE_BYTES))
			continue;
		for (uint32_t s = 0; s < h.nsegments; s++) {
			const struct prepared_segment *p = &h.segment[s];

			assert_true(p->file_off + p->file_bytes <= FILE_BYTES);
			assert_true(p->file_bytes <= p->mem_bytes);
			assert_true(p->vaddr + p->mem_bytes <= NOXS_GVA_USER_END);
			assert_true(h.brk >= p->vaddr + p->mem_bytes);
			assert_false((p->prot & PREPARED_W) && (p->prot & PREPARED_X));
			if (s)
				assert_true(p->vaddr >= p[-1].vaddr + p[-1].mem_bytes);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_good_one),
		cmocka_unit_test(refuses_each_damage),
		cmocka_unit_test(random_damage_never_gets_through_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
