/* SPDX-License-Identifier: Apache-2.0 */
/* sparse.c: maps 1 GiB, touches a few pages of it, and crashes: its core file must be small. */
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

static void sparse(volatile char *at)
{
	at[5ull << 20] = 'x';
	at[900ull << 20] = 'y';
	abort();
}

int main(void)
{
	char *at = mmap(0, 1ull << 30, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return 1;
	sparse(at);
	return 0;
}
