/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect_write.c: writes to memory that it has made read-only; dies of SIGSEGV. */
#include <sys/mman.h>

static void mprotect_write(volatile char *at)
{
	*at = 2;
}

int main(void)
{
	char *at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return 1;
	*(volatile char *)at = 1;
	if (mprotect(at, 4096, PROT_READ))
		return 1;
	mprotect_write(at);
	return 0;
}
