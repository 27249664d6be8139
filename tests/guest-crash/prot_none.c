/* SPDX-License-Identifier: Apache-2.0 */
/* prot_none.c: reads memory that it has made unreadable; dies of SIGSEGV. */
#include <sys/mman.h>

static int prot_none(volatile const char *at)
{
	return *at;
}

int main(void)
{
	char *at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return 1;
	*(volatile char *)at = 1;
	if (mprotect(at, 4096, PROT_NONE))
		return 1;
	return prot_none(at);
}
