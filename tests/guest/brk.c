/* SPDX-License-Identifier: Apache-2.0 */
/* brk.c: the heap grows and shrinks, what comes back is zero, and mappings stand in its way. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

#define PAGE 4096ul

static char *brk_to(char *to)
{
	return (char *)syscall(SYS_brk, to);
}

static void all(const char *from, const char *to, char value)
{
	for (; from < to; from += 128)
		CHECK(*from == value);
}

int main(void)
{
	char *start, *top, *end, *guard;
	static const size_t sizes[] = {1, 2, 60, 127, 128, 129, 300, 600, 2000};

	fault_catch();
	start = brk_to(NULL);
	start = brk_to((char *)(((uintptr_t)start + PAGE - 1) & ~(PAGE - 1)));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t bytes = sizes[i] * PAGE;

		CHECK(brk_to(start + bytes) == start + bytes);
		all(start, start + bytes, 0);
		memset(start, 1, bytes);
		CHECK(brk_to(start + bytes / 2) == start + bytes / 2);
		all(start, start + bytes / 2, 1);
		CHECK(brk_to(start + bytes) == start + bytes);
		end = (char *)(((uintptr_t)start + bytes / 2 + PAGE - 1) & ~(PAGE - 1));
		all(start, end, 1);
		all(end, start + bytes, 0);
		memset(start, 2, bytes);
		CHECK(brk_to(start) == start);
	}
	/* bytes, not pages */
	CHECK(brk_to(start + 100) == start + 100 && brk_to(NULL) == start + 100);
	all(start, start + PAGE, 0);
	start[PAGE - 1] = 1;
	/* refused, and nothing changed */
	CHECK(brk_to(start + (1ul << 50)) == start + 100);
	CHECK(brk_to((char *)PAGE) == start + 100);

	/* mapped over in the middle: as musl's malloc does */
	CHECK(brk_to(start + 8 * PAGE) == start + 8 * PAGE);
	memset(start, 3, 8 * PAGE);
	guard = mmap(start + 2 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		     0);
	CHECK(guard == start + 2 * PAGE && fault_code(guard, false) == SEGV_ACCERR);
	CHECK(guard[-1] == 3 && guard[PAGE] == 3);
	CHECK(brk_to(start + 20 * PAGE) == start + 20 * PAGE);
	all(start + 8 * PAGE, start + 20 * PAGE, 0);
	CHECK(fault_code(guard, false) == SEGV_ACCERR);
	CHECK(munmap(start + 5 * PAGE, PAGE) == 0);
	CHECK(fault_code(start + 5 * PAGE, false) == SEGV_MAPERR && start[6 * PAGE] == 3);
	CHECK(mprotect(start + 10 * PAGE, PAGE, PROT_READ) == 0);
	CHECK(fault_code(start + 10 * PAGE, true) == SEGV_ACCERR);
	CHECK(brk_to(start + PAGE) == start + PAGE && start[PAGE - 1] == 3);
	CHECK(brk_to(start + 20 * PAGE) == start + 20 * PAGE);
	all(start + PAGE, start + 20 * PAGE, 0);
	memset(start, 4, 20 * PAGE);

	/* mapped behind the end: own pages, which stop the heap */
	top = start + 30 * PAGE;
	CHECK(mmap(top, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == top);
	all(top, top + 4 * PAGE, 0);
	memset(top, 5, 4 * PAGE);
	CHECK(brk_to(start + 40 * PAGE) == start + 20 * PAGE);
	CHECK(brk_to(top - PAGE) == top - PAGE); /* Linux keeps a page between */
	all(start, start + 20 * PAGE, 4);
	all(start + 20 * PAGE, top - PAGE, 0);
	all(top, top + 4 * PAGE, 5);
	CHECK(munmap(top, 4 * PAGE) == 0);
	CHECK(fault_code(top, false) == SEGV_MAPERR);
	CHECK(brk_to(start + 40 * PAGE) == start + 40 * PAGE);
	all(top, start + 40 * PAGE, 0);

	/* the same where a large page reaches behind the end */
	end = start + (5ul << 20);
	CHECK(brk_to(end) == end);
	memset(start, 6, 5ul << 20);
	top = end + 3 * PAGE;
	CHECK(mmap(top, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) == top);
	all(top, top + PAGE, 0);
	top[0] = 7;
	CHECK(brk_to(end + 2 * PAGE) == end + 2 * PAGE);
	all(end, end + 2 * PAGE, 0);
	CHECK(top[0] == 7 && end[-1] == 6 && munmap(top, PAGE) == 0);
	CHECK(brk_to(start) == start);
	CHECK(brk_to(end) == end);
	all(start, end, 0);
	CHECK(madvise(start, 8 * PAGE, MADV_DONTNEED) == 0);
	memset(start, 8, 8 * PAGE);
	CHECK(madvise(start, 4 * PAGE, MADV_DONTNEED) == 0);
	all(start, start + 4 * PAGE, 0);
	all(start + 4 * PAGE, start + 8 * PAGE, 8);
	CHECK(brk_to(start) == start);
	return success();
}
