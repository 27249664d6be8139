/* SPDX-License-Identifier: Apache-2.0 */
/* bigmap.c: thousands of small mappings against a model; nearly all memory, again and again. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "check.h"

#define PAGE 4096ul
#define MAPS 2000

static struct {
	unsigned char *at;
	size_t pages;
	unsigned char value;
} maps[MAPS];

static unsigned next(void)
{
	static unsigned long state = 99;

	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(state >> 33);
}

static void look(int i)
{
	for (size_t k = 0; k < maps[i].pages; k++) {
		CHECK(maps[i].at[k * PAGE] == maps[i].value);
		CHECK(maps[i].at[k * PAGE + PAGE - 1] == maps[i].value);
	}
}

static void make(int i)
{
	/* of different protection, so that neighbours do not become one */
	int prot = PROT_READ | PROT_WRITE;

	maps[i].pages = 1 + next() % 4;
	maps[i].value = (unsigned char)next();
	maps[i].at = mmap(NULL, maps[i].pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(maps[i].at != MAP_FAILED);
	for (size_t k = 0; k < maps[i].pages * PAGE; k += 64)
		CHECK(maps[i].at[k] == 0);
	memset(maps[i].at, maps[i].value, maps[i].pages * PAGE);
	if (i % 2)
		CHECK(mprotect(maps[i].at, maps[i].pages * PAGE, PROT_READ) == 0);
}

static void many(void)
{
	for (int i = 0; i < MAPS; i++)
		make(i);
	for (int n = 0; n < 2 * MAPS; n++) {
		int i = (int)(next() % MAPS);

		look(i);
		CHECK(munmap(maps[i].at, maps[i].pages * PAGE) == 0);
		make(i);
	}
	for (int i = 0; i < MAPS; i++) {
		int k = (i * 7919) % MAPS; /* a prime: every one once */

		look(k);
		CHECK(munmap(maps[k].at, maps[k].pages * PAGE) == 0);
	}
}

int main(void)
{
	struct sysinfo si;
	size_t bytes;

	many();
	for (int round = 0; round < 3; round++) {
		unsigned char *p;

		CHECK(sysinfo(&si) == 0);
		bytes = (size_t)si.freeram * si.mem_unit / 10 * 8;
		if (bytes > 200ul << 20) /* natively this machine has more to do */
			bytes = 200ul << 20;
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
		for (size_t i = 0; i < bytes; i += PAGE) {
			CHECK(p[i] == 0);
			p[i] = (unsigned char)(i >> 12);
		}
		for (size_t i = 0; i < bytes; i += PAGE)
			CHECK(p[i] == (unsigned char)(i >> 12));
		CHECK(munmap(p, bytes) == 0);
	}
	/* more than there is: refused, and the rest works on */
	CHECK(mmap(NULL, 1ul << 46, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      MAP_FAILED);
	CHECK(errno == ENOMEM);
	many();
	return success();
}
