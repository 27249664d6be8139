/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu.h: the virtual CPU: its start, running it until it rings, moving it elsewhere. */
#ifndef MAYFLY_VCPU_H
#define MAYFLY_VCPU_H

#include <stdbool.h>

#include "guest.h"
#include "vm.h"

/* To the library kernel's first instruction; takes effect with the next vcpu_run. */
void vcpu_start(struct vm *vm, const struct guest *guest);

/* Runs the guest until it rings a doorbell: 0, which and with what. -EINTR: a signal came.
 * Anything else that it does, or KVM, is an error, and err says what. */
int vcpu_run(struct vm *vm, uint64_t *slot, uint64_t *value, struct err *err);

/* Makes a computing program enter its kernel. False: it is not in the program's own code. */
bool vcpu_preempt(struct vm *vm, const struct guest *guest);

#endif
