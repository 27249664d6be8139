/* SPDX-License-Identifier: Apache-2.0 */
/* out_of_memory.c: touches more memory than there is; SIGKILL, as the OOM killer does it. */
#include <stddef.h>
#include <sys/mman.h>

static void out_of_memory(volatile char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = 1;
}

int main(int argc, char **argv)
{
	size_t bytes = 256ull << 20;
	char *at = mmap(0, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)argv;
	if (at == MAP_FAILED)
		return 1;
	if (argc == 1) /* natively this would only take memory */
		out_of_memory(at, bytes);
	return 0;
}
