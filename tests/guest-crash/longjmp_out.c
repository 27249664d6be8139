/* SPDX-License-Identifier: Apache-2.0 */
/* longjmp_out.c: leaves SIGSEGV handlers by siglongjmp, again and again; exits with 0. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

static sigjmp_buf out;

static void handler(int sig)
{
	siglongjmp(out, sig);
}

int main(void)
{
	volatile int caught = 0;

	signal(SIGSEGV, handler);
	for (volatile int i = 0; i < 100; i++) {
		if (sigsetjmp(out, 1))
			caught++;
		else
			*(volatile int *)(long)(i * 8) = 1;
	}
	printf("caught %d\n", caught);
	return 0;
}
