/* SPDX-License-Identifier: Apache-2.0 */
/* exec_stack.c: jumps into its stack, which may not be executed; dies of SIGSEGV. */
#include <stdint.h>

static void exec_stack(void)
{
	volatile uint8_t code[] = {0xc3}; /* ret */

	((void (*)(void))(uintptr_t)code)();
}

int main(void)
{
	exec_stack();
	return 0;
}
