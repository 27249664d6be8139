/* SPDX-License-Identifier: Apache-2.0 */
/* mremap.c: areas that grow, shrink and move keep their data; random ones against a model. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "check.h"
#include "fault.h"

#define PAGE  4096ul
#define AREAS 16
#define MOST  1200 /* pages */

static char *map(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	CHECK(p != MAP_FAILED);
	return p;
}

static struct {
	char *at;
	size_t pages;
	unsigned char first[MOST]; /* what the pages begin with */
} model[AREAS];

static unsigned next(void)
{
	static unsigned long state = 12345;

	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(state >> 33);
}

static void look(int i)
{
	for (size_t k = 0; k < model[i].pages; k++)
		CHECK((unsigned char)model[i].at[k * PAGE] == model[i].first[k]);
}

static void resize(int i, size_t pages)
{
	char *p = mremap(model[i].at, model[i].pages * PAGE, pages * PAGE, MREMAP_MAYMOVE);

	CHECK(p != MAP_FAILED);
	for (size_t k = model[i].pages; k < pages; k++)
		model[i].first[k] = 0;
	model[i].at = p;
	model[i].pages = pages;
}

static void random_ops(void)
{
	for (int round = 0; round < 600; round++) {
		int i = (int)(next() % AREAS);
		size_t pages = 1 + next() % (next() % 8 ? 40 : MOST);

		if (!model[i].at) {
			model[i].at = map(pages);
			model[i].pages = pages;
			memset(model[i].first, 0, MOST);
		}
		look(i);
		resize(i, pages);
		for (int n = 0; n < 20; n++) {
			size_t k = next() % pages;

			model[i].at[k * PAGE] = (char)(model[i].first[k] = (unsigned char)next());
		}
		look(i);
		if (next() % 5 == 0) {
			CHECK(munmap(model[i].at, model[i].pages * PAGE) == 0);
			model[i].at = NULL;
		}
	}
	for (int i = 0; i < AREAS; i++)
		if (model[i].at)
			look(i);
}

int main(void)
{
	char *p = map(8), *q, *target;

	fault_catch();
	/* grow in place, where there is room */
	memset(p, 5, 8 * PAGE);
	CHECK(munmap(p + 4 * PAGE, 4 * PAGE) == 0);
	CHECK(mremap(p, 4 * PAGE, 8 * PAGE, 0) == p && p[4 * PAGE - 1] == 5 && p[4 * PAGE] == 0);
	/* and not, where there is none */
	q = mmap(p + 6 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(q == p + 6 * PAGE);
	CHECK(mremap(p, 6 * PAGE, 8 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
	q = mremap(p, 6 * PAGE, 700 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p && q[0] == 5 && q[4 * PAGE - 1] == 5);
	CHECK(q[4 * PAGE] == 0 && q[700 * PAGE - 1] == 0);
	CHECK(fault_code(p, false) == SEGV_MAPERR && fault_code(p + 6 * PAGE, false) == 0);
	/* shrink */
	CHECK(mremap(q, 700 * PAGE, 2 * PAGE, 0) == q && q[PAGE] == 5);
	CHECK(fault_code(q + 2 * PAGE, false) == SEGV_MAPERR);
	/* to a given place, over what is there */
	target = map(600);
	memset(target, 9, 600 * PAGE);
	CHECK(mremap(q, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE) ==
	      target + PAGE);
	CHECK(target[0] == 9 && target[PAGE] == 5 && target[3 * PAGE - 1] == 5);
	CHECK(target[3 * PAGE] == 0 && target[4 * PAGE] == 9);
	CHECK(fault_code(q, false) == SEGV_MAPERR);
	/* a piece out of a large one */
	p = map(2000);
	for (size_t i = 0; i < 2000; i++)
		p[i * PAGE] = (char)(i % 127);
	q = mremap(p + 500 * PAGE, 1000 * PAGE, 1500 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	for (size_t i = 0; i < 1000; i++)
		CHECK(q[i * PAGE] == (char)((i + 500) % 127));
	for (size_t i = 0; i < 500; i++)
		CHECK(p[i * PAGE] == (char)(i % 127) &&
		      p[(1500 + i) * PAGE] == (char)((1500 + i) % 127));
	CHECK(q[1000 * PAGE] == 0 && fault_code(p + 500 * PAGE, false) == SEGV_MAPERR);
	CHECK(munmap(q, 1500 * PAGE) == 0 && munmap(p, 2000 * PAGE) == 0);

	CHECK(mremap(target + 1, PAGE, PAGE, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(target, PAGE, 0, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
	random_ops();
	return success();
}
