/* SPDX-License-Identifier: Apache-2.0 */
/* run.h: running a VM that is ready to its end. */
#ifndef MAYFLY_RUN_H
#define MAYFLY_RUN_H

#include "console.h"
#include "guest.h"
#include "vm.h"

enum run_end {
	RUN_EXITED,  /* status: the program's */
	RUN_CRASHED, /* crash: a signal's default action, or the library kernel's failure */
	RUN_TIMEOUT,
	RUN_SIGNAL, /* signal: sent to the monitor, and the program does not handle it */
};

struct run_result {
	enum run_end end;
	int status, signal;
	struct noxs_crash crash; /* our copy */
	uint64_t start_tsc;      /* when KVM_RUN was first called */
};

/*
 * run_guest: run until the guest ends. timeout_ns: 0 for none.
 * 0 and a result, or -errno with a message: the guest broke the contract, KVM failed.
 * All output has been passed on, or its stream's error is in console->error.
 */
int run_guest(struct vm *vm, struct guest *guest, struct console *console, uint64_t timeout_ns,
	      uint32_t tsc_khz, struct run_result *result, struct err *err);

#endif
