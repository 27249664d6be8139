/* SPDX-License-Identifier: Apache-2.0 */
/* write_text.c: writes to its own code, which is read-only; dies of SIGSEGV. */
#include <stdint.h>

int main(void);

static void write_text(uintptr_t at)
{
	*(volatile char *)at = 0;
}

int main(void)
{
	write_text((uintptr_t)main);
	return 0;
}
