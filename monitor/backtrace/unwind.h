/* SPDX-License-Identifier: Apache-2.0 */
/* unwind.h: from a frame to its caller's, as long as there is one. */
#ifndef MAYFLY_UNWIND_H
#define MAYFLY_UNWIND_H

#include "report.h"
#include "target.h"

/* Reports the frames of t, innermost first. dwfl has the program as its module. */
int unwind(struct target *t, Dwfl *dwfl, struct report *report, struct err *err);

/* ---- bare.c: code without unwind information ---- */

/*
 * Changes regs (as enum target_reg) of a frame in code that has no unwind information to
 * those of its caller, as well as the code and the stack tell. first: the innermost
 * frame. start: of the function, 0 if not known. False if there is no telling.
 */
bool bare_step(const struct target *t, uint64_t regs[TARGET_REGS], uint64_t start, bool first);

/* Is regs' rip the trampoline that a signal handler returns to? Then regs become those of
 * the code that the signal interrupted. */
bool bare_sigreturn(const struct target *t, uint64_t regs[TARGET_REGS]);

#endif
