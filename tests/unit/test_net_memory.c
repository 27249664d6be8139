/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_memory.c: lwIP's memory: nothing is given twice; the limit holds; and what is free in
 * pieces of one size can be had in those of another.
 */
/* sources: unikernel/net/early.c unikernel/net/checksum.c */
/* sources: tests/unit/lwip_host.c tests/unit/uk_mock.c */
/* lwip_host.c has some of its own for lwIP; and pages go back here one by one. */
#define net_malloc    tested_malloc
#define net_calloc    tested_calloc
#define net_free      tested_free
#define uk_pages      tested_pages
#define uk_pages_free tested_pages_free
#include "../../unikernel/net/memory.c"

#include "uk_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define PAGES    4096u
#define POINTERS 20000u

static char pool[PAGES][NOXS_PAGE] __attribute__((aligned(NOXS_PAGE)));
static bool taken[PAGES];
static uint8_t *own[POINTERS];
static size_t bytes_of[POINTERS];

void uk_panic(const char *fmt, ...)
{
	fail_msg("%s", fmt);
	abort();
}

void *tested_pages(size_t n)
{
	static size_t hint;

	for (size_t tries = 0; tries < PAGES; tries++, hint = (hint + 1) % (PAGES - SPAN)) {
		size_t have = 0;

		while (have < n && !taken[hint + have])
			have++;
		if (have < n)
			continue;
		memset(&taken[hint], true, n);
		memset(pool[hint], 0xa5, n * NOXS_PAGE);
		return pool[hint];
	}
	return NULL;
}

void tested_pages_free(void *pages, size_t n)
{
	size_t at = (size_t)((char *)pages - pool[0]) / NOXS_PAGE;

	for (size_t i = at; i < at + n; i++) {
		assert_true(i < PAGES && taken[i]);
		taken[i] = false;
	}
	memset(pages, 0xdd, n * NOXS_PAGE);
}

static int start(void **state)
{
	(void)state;
	uk_mock_noxs()->ram_bytes = 24u << 20; /* a third of it: 8 MiB */
	return 0;
}

/* Until there is no more: how many. */
static unsigned take_all(size_t bytes)
{
	unsigned n = 0;

	while (n < POINTERS && (own[n] = net_malloc(bytes)))
		n++;
	return n;
}

static void free_all(unsigned n)
{
	while (n)
		net_free(own[--n]);
	assert_int_equal(used_bytes, 0);
}

static void free_pieces_of_one_size_are_of_use_for_another(void **state)
{
	static const size_t sizes[] = {2000, 4000, 450, 16000, 2000, 30000, 500, 4000};

	(void)state;
	for (unsigned i = 0; i < uk_countof(sizes); i++) {
		size_t piece = sizes[i] + sizeof(struct piece);
		unsigned n = take_all(sizes[i]);

		/* Powers of two; and spans that are begun, one of each size. */
		while (piece & (piece - 1))
			piece += piece & -piece;
		assert_true((uint64_t)n * piece > limit() - (6 * SPAN + 16) * NOXS_PAGE);
		free_all(n);
	}
}

/* What the lists have, counted by hand. */
static void look(void)
{
	uint64_t small = 0, large = 0, idle = 0, early = 0, begun = 0;

	for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MAX; shift++)
		for (struct piece *p = free_pieces[shift]; p; p = p->next) {
			assert_int_equal(p->bytes, 1u << shift);
			if (shift > SHIFT_MID)
				large += p->bytes;
			else
				small += p->bytes;
			if (is_early(p))
				early += p->bytes;
			else if (shift <= SHIFT_MID && p == first_of_page(p) &&
				 p->listed == per_page(shift))
				idle += NOXS_PAGE;
		}
	for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MID; shift++)
		begun += (uint64_t)(span[shift].end - span[shift].at);
	assert_int_equal(large, kept_bytes);
	assert_int_equal(idle, idle_bytes);
	/* What is early.c's is used, but not counted as the network's. */
	assert_true(used_bytes + small + large + begun >= network_bytes);
	assert_true(used_bytes + small + large + begun <= network_bytes + 29 * NOXS_PAGE);
}

static void whatever_is_taken_and_freed_it_stays_whole(void **state)
{
	static const size_t sizes[] = {40, 100, 400, 1600, 3700, 12000, 30000, 60000};

	(void)state;
	srand(1);
	memset(own, 0, sizeof(own));
	for (unsigned round = 0; round < 24; round++) {
		size_t size = sizes[(unsigned)rand() % uk_countof(sizes)];
		int chance = round % 3 == 2 ? 80 : 35;

		for (unsigned k = 0; k < 20000; k++) {
			unsigned i = (unsigned)rand() % POINTERS;
			bool give = rand() % 100 < chance;

			if (own[i] && give) {
				for (size_t j = 0; j < bytes_of[i]; j += 13)
					assert_int_equal(own[i][j], (uint8_t)(i + j));
				net_free(own[i]);
				own[i] = NULL;
			} else if (!own[i] && !give) {
				bytes_of[i] = size / 2 + (unsigned)rand() % size;
				own[i] = net_malloc(bytes_of[i]);
				for (size_t j = 0; own[i] && j < bytes_of[i]; j++)
					own[i][j] = (uint8_t)(i + j);
			}
			assert_true(network_bytes <= limit());
		}
		look();
	}
	for (unsigned i = 0; i < POINTERS; i++)
		net_free(own[i]);
	look();
	assert_int_equal(used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_pieces_of_one_size_are_of_use_for_another),
		cmocka_unit_test(whatever_is_taken_and_freed_it_stays_whole),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
