/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c: fills all memory there is, past the kernel's bookkeeping too. */
#include <sys/mman.h>

#include "hostile.h"

int main(int argc, char **argv)
{
	if (is(argv, "linear")) { /* free RAM by its other name: the kernel's data and all */
		ring(NOXS_DB_GROW, page->free_bytes);
		memset((void *)(NOXS_GVA_LINEAR + page->free_gpa), 0xff, page->free_bytes);
		say("filled\n");
		ring(NOXS_DB_EXIT, 0);
	}
	if (!is(argv, "mmap"))
		return unknown_attack(argv);
	for (;;) {
		char *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (more == MAP_FAILED)
			return argc > 99;
		memset(more, 1, 1 << 20);
	}
}
