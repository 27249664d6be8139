/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c: what bench/memory starts: prints one line, then waits for the end of its input. */
#include <stdio.h>

int main(void)
{
	puts("Hello, world");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
