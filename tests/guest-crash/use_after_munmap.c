/* SPDX-License-Identifier: Apache-2.0 */
/* use_after_munmap.c: uses a mapping that it has given back; dies of SIGSEGV. */
#include <sys/mman.h>

static void use_after_munmap(volatile char *at)
{
	*at = 1;
}

int main(void)
{
	char *at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return 1;
	*(volatile char *)at = 1;
	if (munmap(at, 4096))
		return 1;
	use_after_munmap(at);
	return 0;
}
