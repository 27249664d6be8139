/* SPDX-License-Identifier: Apache-2.0 */
/* null_read.c: reads address 0; dies of SIGSEGV. */
#include <stddef.h>

static int null_read(volatile const int *at)
{
	return *at;
}

int main(void)
{
	return null_read(NULL);
}
