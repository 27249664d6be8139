/* SPDX-License-Identifier: Apache-2.0 */
/* overflow_handled.c: overflows its stack; a handler on another stack ends it with 42. */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

static char stack[65536];

static void handler(int sig)
{
	uintptr_t here = (uintptr_t)&sig;

	_exit(here - (uintptr_t)stack < sizeof(stack) ? 42 : 43);
}

static int overflow(volatile int depth)
{
	if (depth < 0) /* never: so that compilers do not object */
		return 0;
	return overflow(depth + 1) + depth;
}

int main(void)
{
	stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction act = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

	if (sigaltstack(&alt, NULL) || sigaction(SIGSEGV, &act, NULL))
		return 1;
	return overflow(0);
}
