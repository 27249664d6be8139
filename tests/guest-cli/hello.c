/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c: prints one line. */
#include <stdio.h>

int main(void)
{
	puts("Hello, world");
	return 0;
}
