/* SPDX-License-Identifier: Apache-2.0 */
/* flood.c N: writes N million bytes to stdout, as fast as they are taken. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char block[100000];
	long left = (argc > 1 ? atol(argv[1]) : 1) * 1000000;

	memset(block, 'f', sizeof(block));
	while (left > 0) {
		size_t want = left < (long)sizeof(block) ? (size_t)left : sizeof(block);
		ssize_t n = write(1, block, want);

		if (n < 0)
			return 1;
		left -= n;
	}
	return 0;
}
