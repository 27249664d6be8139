/* SPDX-License-Identifier: Apache-2.0 */
/* exec_data.c: jumps into its data, which may not be executed; dies of SIGSEGV. */
#include <stdint.h>

static uint8_t code[] = {0xc3}; /* ret */

static void exec_data(uint8_t *at)
{
	((void (*)(void))(uintptr_t)at)();
}

int main(void)
{
	exec_data(code);
	return 0;
}
