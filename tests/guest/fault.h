/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h: for guest tests: touch an address and see what signal that makes. */
#ifndef FAULT_H
#define FAULT_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>

#include "check.h"

static sigjmp_buf fault_out;
static void *volatile fault_address;
static volatile int fault_signal, fault_si_code;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	fault_signal = sig;
	fault_si_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(fault_out, 1);
}

static inline void fault_catch(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	CHECK(sigaction(SIGSEGV, &sa, NULL) == 0 && sigaction(SIGBUS, &sa, NULL) == 0);
}

/* si_code of the fault that a read or write of the byte makes; 0: none. */
static inline int fault_code(const void *at, bool write)
{
	volatile char *p = (volatile char *)at;

	if (sigsetjmp(fault_out, 1))
		return fault_si_code;
	if (write)
		*p = *p;
	else
		(void)*p;
	return 0;
}

#endif
