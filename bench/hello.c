/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c: what bench/boot starts: prints one line and ends. */
#include <stdio.h>

int main(void)
{
	puts("Hello, world");
	return 0;
}
