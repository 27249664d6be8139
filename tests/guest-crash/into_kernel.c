/* SPDX-License-Identifier: Apache-2.0 */
/*
 * into_kernel.c: jumps into the library kernel, where nobody may: onto the int3 between its
 * head and the fast entry (noxs/noxs.h). Natively nothing is there: SIGSEGV.
 */
#include <stdint.h>

static void into_kernel(uintptr_t at)
{
	((void (*)(void))at)();
}

int main(void)
{
	into_kernel(0x7ffff0017full);
	return 0;
}
