/* SPDX-License-Identifier: Apache-2.0 */
/* sweep.h: what a function has put on the stack, read from its instructions. */
#ifndef MAYFLY_SWEEP_H
#define MAYFLY_SWEEP_H

#include "target.h"

struct sweep {
	uint64_t depth; /* bytes between rsp and the return address */
	bool frame;     /* rbp points at the caller's rbp, below the return address */
	/* By DWARF number: how far below the return address the caller's register was pushed;
	 * 0: it was not. */
	uint32_t saved[TARGET_REGS];
};

/*
 * Follows the instructions of the function at start, one after the other, up to pc. Jumps
 * are not followed: behind a way out of the function its stack is taken to be as deep as it
 * was at most. So the result is a guess to be checked. False if there is an instruction
 * that is not known, or one that moves rsp by what is not known.
 */
bool sweep(const struct target *t, uint64_t start, uint64_t pc, struct sweep *out);

#endif
