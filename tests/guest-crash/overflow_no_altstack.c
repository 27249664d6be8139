/* SPDX-License-Identifier: Apache-2.0 */
/* overflow_no_altstack.c: overflows its stack with a handler that has no other stack; dies of
 * SIGSEGV. */
#include <signal.h>
#include <unistd.h>

static void never(int sig)
{
	_exit(sig);
}

static int overflow_no_altstack(volatile int depth)
{
	if (depth < 0) /* never: so that compilers do not object */
		return 0;
	return overflow_no_altstack(depth + 1) + depth;
}

int main(void)
{
	signal(SIGSEGV, never);
	return overflow_no_altstack(0);
}
