/* SPDX-License-Identifier: Apache-2.0 */
/*
 * big.c: a mapping far larger than what is touched of it. Maps 1 GiB (or argv[1] MiB),
 * touches ten pages spread over it, and finds zeroes and its own values there.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 1024) << 20;
	size_t step = bytes / 10 & ~(size_t)4095;
	volatile uint64_t *word;
	unsigned char *p;
	int i;

	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (i = 0; i < 10; i++) {
		word = (volatile uint64_t *)(p + i * step + 8 * i);
		if (*word != 0) {
			printf("page %d is not zero\n", i);
			return 1;
		}
		*word = 0x0123456789abcdefu * (i + 1);
	}
	p[bytes - 1] = 42;
	for (i = 0; i < 10; i++) {
		word = (volatile uint64_t *)(p + i * step + 8 * i);
		if (*word != 0x0123456789abcdefu * (i + 1) || word[1] != 0) {
			printf("page %d does not hold what was written\n", i);
			return 1;
		}
	}
	if (p[bytes - 1] != 42 || munmap(p, bytes) != 0) {
		puts("the last byte or munmap failed");
		return 1;
	}
	puts("SUCCESS");
	return 0;
}
