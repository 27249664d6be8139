/* SPDX-License-Identifier: Apache-2.0 */
/* breakpoint.c: executes int3; dies of SIGTRAP. */
static void breakpoint(void)
{
	__asm__ volatile("int3");
}

int main(void)
{
	breakpoint();
	return 0;
}
