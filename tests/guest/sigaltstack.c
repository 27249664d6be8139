/* SPDX-License-Identifier: Apache-2.0 */
/* sigaltstack.c: handlers on a stack of their own, also when the usual one is exhausted. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#include "check.h"

#define BYTES (64 * 1024)

static char alt[BYTES] __attribute__((aligned(16)));
static volatile uintptr_t where;
static volatile int seen_flags, nested, deep;
static sigjmp_buf out;

static int on_alt(uintptr_t p)
{
	return p >= (uintptr_t)alt && p < (uintptr_t)alt + BYTES;
}

static void on_signal(int sig)
{
	stack_t now;

	where = (uintptr_t)__builtin_frame_address(0);
	CHECK(sigaltstack(NULL, &now) == 0);
	seen_flags = now.ss_flags;
	if (sig == SIGUSR1 && !nested) {
		uintptr_t outer = where;

		now.ss_flags = 0;
		CHECK_ERR(sigaltstack(&now, NULL), EPERM);
		nested = 1;
		CHECK(raise(SIGUSR2) == 0); /* on the same stack, below */
		CHECK(on_alt(where) && where < outer);
	}
}

static void on_overflow(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
	where = (uintptr_t)__builtin_frame_address(0);
	siglongjmp(out, 1);
}

static __attribute__((noinline)) int recurse(volatile char *above)
{
	volatile char frame[1024];

	frame[0] = above[0];
	if (++deep == 1 << 20) /* never: so that compilers see an end */
		return 0;
	return recurse(frame) + frame[0];
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	stack_t new = {.ss_sp = alt, .ss_size = BYTES}, old;
	char top = 0;

	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0 && sigaction(SIGUSR2, &sa, NULL) == 0);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
	CHECK(raise(SIGUSR2) == 0 && !on_alt(where)); /* none is set: the usual one */
	CHECK(sigaltstack(&new, &old) == 0 && old.ss_flags == SS_DISABLE);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == alt && old.ss_size == BYTES);
	CHECK(old.ss_flags == 0);
	CHECK(raise(SIGUSR1) == 0 && nested && seen_flags == SS_ONSTACK);
	CHECK(raise(SIGUSR1) == 0 && on_alt(where));
	sa.sa_flags = 0;
	CHECK(sigaction(SIGUSR2, &sa, NULL) == 0 && raise(SIGUSR2) == 0 && !on_alt(where));

	/* no room left on the usual one */
	sa = (struct sigaction){.sa_sigaction = on_overflow, .sa_flags = SA_ONSTACK | SA_SIGINFO};
	CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		deep = 0;
		if (!sigsetjmp(out, 1))
			recurse(&top);
		CHECK(deep > 7000 && on_alt(where));
	}

	new.ss_size = 100;
	CHECK_ERR(sigaltstack(&new, NULL), ENOMEM);
	new = (stack_t){.ss_sp = alt, .ss_size = BYTES, .ss_flags = 0x77};
	CHECK_ERR(sigaltstack(&new, NULL), EINVAL);
	new.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&new, NULL) == 0 && raise(SIGUSR1) == 0 && !on_alt(where));
	return success();
}
