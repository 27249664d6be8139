/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h: running a VM that is ready to its end.
 *
 * One thread does it, the caller's. `mayfly run` needs run_guest alone. A shell calls
 * run_prepare_signals and run_to_park ahead of time, and then run_guest with parked set,
 * which makes no system call that is not needed for the guest itself.
 */
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
	uint64_t end_tsc; /* when the guest's end was seen: its output may still be on its way */
};

/* A run under way: what a port's or a hook's code gets to ask things of it. */
struct run;

/*
 * A descriptor that is looked after while the guest runs: a shell's socket.
 *
 * ready is called in the thread that called run_guest, when there may be something to read:
 * it reads until there is nothing more, and must not block; where there will never be more, it
 * fails. It is not called before the
 * guest has run for a tick (4 ms) or sleeps, so a short program pays nothing for it; what
 * came before is found then. Negative: the run ends with it, err says why.
 */
struct run_port {
	int fd; /* to read from only; O_ASYNC is set when the first tick comes */
	int (*ready)(void *arg, struct run *run, struct err *err);
	void *arg;
};

struct run_options {
	uint64_t timeout_ns; /* 0: none. Counts from the call, also while the guest is suspended */
	uint32_t tsc_khz;
	bool parked;                 /* run_to_park was here: the vCPU goes on where it stands */
	const struct run_port *port; /* NULL: none */
	/* The guest is not one of those that are over at once: it sleeps or has run for a tick.
	 * Called once, or never. NULL: nobody wants to know. */
	void (*long_running)(void *arg);
	/* The guest stands still, or runs again: what run_suspend asked for has been done. */
	void (*suspended)(void *arg, bool suspended);
	void *arg; /* of both */
};

/*
 * run_guest: run until the guest ends.
 * 0 and a result, or -errno with a message: the guest broke the contract, KVM failed.
 * All output has been passed on, or its stream's error is in console->error.
 */
int run_guest(struct vm *vm, struct guest *guest, struct console *console,
	      const struct run_options *options, struct run_result *result, struct err *err);

/*
 * run_to_park: run a guest whose noxs page says NOXS_FLAG_PARK from its first instruction
 * until it waits for a program. Anything else that it does is an error.
 */
int run_to_park(struct vm *vm, struct guest *guest, struct err *err);

/*
 * run_prepare_signals: what run_guest does first: handlers for the signals that end KVM_RUN.
 * Called ahead, run_guest does not do it again, and leaves them there.
 */
void run_prepare_signals(struct vm *vm);

/* ---- for a port's ready, in the run's thread ---- */

/* As if the monitor had been sent the signal: it is the program's if it has a handler or
 * ignores it, and the VM's end where the default action is one. SIGKILL always is. */
void run_signal(struct run *run, int sig);

/* Asks the guest to end in an orderly way (the power device's SHUTDOWN): SIGTERM to a program
 * that handles it, otherwise the end. */
void run_shutdown(struct run *run);

/* Suspends the guest, or lets it go on. Does not wait: the hook `suspended` tells, from within
 * or later. A guest that has not acknowledged after 50 ms is held all the same. */
void run_suspend(struct run *run, bool suspend);

struct run_counters {
	uint64_t exits, waits, kicks, ioctls;
	uint64_t doorbells;      /* rung by the guest, for its output */
	uint64_t unacknowledged; /* suspend requests that the guest did not answer */
	uint64_t run_ns;         /* since run_guest was called */
};
struct run_counters run_counters(const struct run *run);

#endif
