/* SPDX-License-Identifier: Apache-2.0 */
/* abort_on_altstack.c: aborts in a SIGSEGV handler on another stack: the backtrace crosses the
 * signal frame. */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

static char stack[65536];

static void handler(int sig)
{
	(void)sig;
	abort();
}

static void abort_on_altstack(volatile int *at)
{
	*at = 1;
}

int main(void)
{
	stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction act = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

	if (sigaltstack(&alt, NULL) || sigaction(SIGSEGV, &act, NULL))
		return 1;
	abort_on_altstack(NULL);
	return 0;
}
