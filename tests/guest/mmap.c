/* SPDX-License-Identifier: Apache-2.0 */
/* mmap.c: what is mapped, where, what may be done there, and what faults say. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "check.h"
#include "fault.h"

#define PAGE 4096l
#define BIG  (3l << 20)

static char *map(void *hint, long bytes, int prot, int flags)
{
	return mmap(hint, (size_t)bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void all_zero(const char *p, long bytes)
{
	for (long i = 0; i < bytes; i += 512)
		CHECK(p[i] == 0);
}

static void fixed(void)
{
	char *p = map(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, 0), *q;

	CHECK(p != MAP_FAILED && (long)p % PAGE == 0);
	memset(p, 7, 16 * PAGE);
	q = map(p + 4 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED);
	CHECK(q == p + 4 * PAGE && p[4 * PAGE - 1] == 7 && p[6 * PAGE] == 7);
	all_zero(q, 2 * PAGE);
	CHECK(map(q, PAGE, PROT_READ, MAP_FIXED_NOREPLACE) == MAP_FAILED && errno == EEXIST);
	CHECK(map(p + 1, PAGE, PROT_READ, MAP_FIXED) == MAP_FAILED && errno == EINVAL);
	CHECK(munmap(q, PAGE) == 0);
	CHECK(map(q, PAGE, PROT_READ, MAP_FIXED_NOREPLACE) == q);
	/* a hint that is free is taken, one that is not is not */
	CHECK(munmap(q, PAGE) == 0 && map(q, PAGE, PROT_READ, 0) == q);
	CHECK(map(p, PAGE, PROT_READ, 0) != p && p[0] == 7);
	CHECK(munmap(p, 16 * PAGE) == 0);
}

static void faults(void)
{
	char *p = map(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, 0), *none, *ro;

	none = map(NULL, PAGE, PROT_NONE, 0);
	ro = map(NULL, PAGE, PROT_READ, 0);
	CHECK(fault_code(p, false) == 0 && fault_code(p + 5, true) == 0);
	CHECK(fault_code(none + 3, false) == SEGV_ACCERR && fault_address == none + 3);
	CHECK(fault_code(ro, false) == 0);
	CHECK(fault_code(ro + 9, true) == SEGV_ACCERR && fault_address == ro + 9);
	CHECK(munmap(p + PAGE, 2 * PAGE) == 0);
	CHECK(fault_code(p + PAGE, false) == SEGV_MAPERR && fault_address == p + PAGE);
	CHECK(fault_code(p + 3 * PAGE - 1, true) == SEGV_MAPERR);
	CHECK(fault_code(p, true) == 0 && fault_code(p + 3 * PAGE, true) == 0);
	CHECK(fault_code(BAD_POINTER, false) == SEGV_MAPERR && fault_address == BAD_POINTER);
	CHECK(munmap(p, 4 * PAGE) == 0 && munmap(none, PAGE) == 0 && munmap(ro, PAGE) == 0);
}

/* Large enough for large pages. */
static void middle(void)
{
	char *p = map(NULL, 2 * BIG, PROT_READ | PROT_WRITE, 0);

	CHECK(p != MAP_FAILED);
	for (long i = 0; i < 2 * BIG; i += PAGE)
		p[i] = (char)(i / PAGE | 1);
	CHECK(munmap(p + BIG - 3 * PAGE, 6 * PAGE) == 0);
	CHECK(fault_code(p + BIG, false) == SEGV_MAPERR);
	CHECK(fault_code(p + BIG - 3 * PAGE, true) == SEGV_MAPERR);
	CHECK(fault_code(p + BIG + 3 * PAGE - 1, true) == SEGV_MAPERR);
	for (long i = 0; i < 2 * BIG; i += PAGE)
		if (i < BIG - 3 * PAGE || i >= BIG + 3 * PAGE)
			CHECK(p[i] == (char)(i / PAGE | 1));
	CHECK(map(p + BIG - 3 * PAGE, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED) ==
	      p + BIG - 3 * PAGE);
	all_zero(p + BIG - 3 * PAGE, 6 * PAGE);
	CHECK(munmap(p, 2 * BIG) == 0 && munmap(p, 2 * BIG) == 0);
	/* used again, it is zero */
	for (int i = 0; i < 4; i++) {
		p = map(NULL, BIG, PROT_READ | PROT_WRITE, 0);
		CHECK(p != MAP_FAILED);
		all_zero(p, BIG);
		memset(p, 0x55, BIG);
		CHECK(munmap(p, BIG) == 0);
	}
}

static void errors(void)
{
	char *p;

	CHECK(map(NULL, 0, PROT_READ, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0) == MAP_FAILED && errno == EBADF);
	CHECK(map(NULL, check_minus_one, PROT_READ, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK(map(NULL, 1l << 50, PROT_READ, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK_ERR(munmap((void *)1, PAGE), EINVAL);
	p = map(NULL, PAGE, PROT_READ | PROT_WRITE, 0);
	CHECK_ERR(munmap(p, 0), EINVAL);
	CHECK(munmap(p, 1) == 0 && fault_code(p, false) == SEGV_MAPERR);
	/* no memory is taken before it is touched */
	p = mmap(NULL, 8ul << 30, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	p[5l << 30] = 1;
	CHECK(munmap(p, 8ul << 30) == 0);
	p = map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_32BIT);
	CHECK(p != MAP_FAILED && (unsigned long)p < 1ul << 31);
	p[0] = 1;
	CHECK(munmap(p, PAGE) == 0);
}

int main(void)
{
	fault_catch();
	fixed();
	faults();
	middle();
	errors();
	return success();
}
