/* SPDX-License-Identifier: Apache-2.0 */
/* double_fault.c: faults in its SIGSEGV handler, while SIGSEGV is blocked; dies of SIGSEGV. */
#include <signal.h>
#include <stddef.h>

static void double_fault(int sig)
{
	*(volatile int *)NULL = sig;
}

static void first_fault(volatile int *at)
{
	*at = 1;
}

int main(void)
{
	signal(SIGSEGV, double_fault);
	first_fault(NULL);
	return 0;
}
