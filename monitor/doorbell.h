/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorbell.h: the console's doorbells: a computing guest's output is passed on as soon as it
 * rings.
 *
 * A guest rings only when it was asked to, and once for each time it was asked. A short
 * program never is. One that still computes at its first tick is; its first ring is a plain
 * exit. If it prints so often that exits would cost more, a thread is made, and the slots are
 * bound to an eventfd on which the thread sleeps: then the guest's CPU does nothing but ring.
 */
#ifndef MAYFLY_DOORBELL_H
#define MAYFLY_DOORBELL_H

#include "console.h"
#include "vm.h"

/* One VM a process, so there is one of all this, in doorbell.c. */

/* At a tick of a computing guest; moved: there was output that it had not rung for. True: it
 * rings when it writes, so there is no need to look often. */
bool doorbell_tick(struct vm *vm, struct console *console, bool moved);

/* A ring that was an exit: passes output on. 1: it rings often, and will not before the next
 * tick, which is to come soon; 0; or -EPROTO. */
int doorbell_rang(struct console *console, struct err *err);

/* How often it has rung. */
uint64_t doorbell_rung(void);

/* The run is over: the thread, if there is one, leaves the console alone from now on. One that
 * hangs in a write is left there. */
void doorbell_stop(void);

/*
 * doorbell_start: bind the output queues' slots, start the thread; doorbell_tick does it when
 * it is time. False: it cannot be (no thread or descriptor to be had); then all stays as it
 * was, and it is not tried again. console must live until doorbell_stop.
 */
bool doorbell_start(struct vm *vm, struct console *console);
bool doorbell_is_on(void);

#endif
