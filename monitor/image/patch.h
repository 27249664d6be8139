/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patch.h: how one `syscall` is replaced by a jump to a stub. The safety argument is in
 * README.md, "Rewriting".
 */
#ifndef MAYFLY_PATCH_H
#define MAYFLY_PATCH_H

#include "code.h"

/*
 * The bytes [start, start + window) become a 5-byte jmp to a stub and nops. Offsets are
 * addresses of the program.
 *
 * window ends at or before the syscall (techniques A and A'): the original syscall stays,
 * and the kernel returns to the instruction after it.
 *
 *	stub:	copies of [start, site)
 *		lea after(%rip), %rcx
 *		jmp *entry(%rip)
 *
 * window covers the syscall (technique B): the kernel returns into the stub.
 *
 *	stub:	copies of [start, site)
 *		lea 1f(%rip), %rcx
 *		jmp *entry(%rip)
 *		syscall			never reached, see below
 *	1:	copies of [site + 2, start + window)
 *		jmp start + window
 *
 * In both the two bytes before the address in RCX are a syscall instruction, so that the
 * kernel may restart a call as Linux does, by stepping RIP back.
 */
struct patch {
	uint64_t start;
	uint64_t site;                   /* address of the syscall */
	uint64_t function, function_end; /* the decoded function it lies in */
	uint8_t window;
	bool single;  /* the window is one instruction: nobody enters it */
	bool dropped; /* found unsafe or unreachable after it was chosen */
};

/* Bytes of the longest stub: the copies are bounded by PATCH_MAX_COPY. */
#define PATCH_MAX_COPY 96u
#define PATCH_MAX_STUB (PATCH_MAX_COPY + 32u)

/* What is known of the function around a site; it decides which windows are safe. */
enum patch_trust {
	PATCH_WHOLE, /* nothing enters it by an indirect jump, if it has none itself */
	PATCH_SPLIT, /* it may have parts elsewhere that do: one-instruction windows only */
	/*
	 * Likewise, and its labels are unknown (stripped). C libraries compare program
	 * counters with labels around the one syscall of all their cancellation points. What
	 * tells that function is that it loads arguments from its caller's frame, so here
	 * instructions with frame slots stay where they are.
	 */
	PATCH_UNNAMED,
};

/*
 * patch_choose: find the safest window for the syscall that is instruction i of *code.
 * Returns 0 with *out set, or -ENOENT.
 */
int patch_choose(const struct code *code, uint32_t i, enum patch_trust trust, struct patch *out);

/*
 * patch_emit: write the stub of *patch to stub[0..PATCH_MAX_STUB), to run at stub_addr,
 * with the kernel's entry pointer at entry_addr; write the window's new bytes, of which
 * code holds the old ones. code[0] is what lies at patch->start. Returns the stub's
 * length, or -ERANGE if a displacement does not fit, and then has written no code.
 */
int patch_emit(const struct patch *patch, uint8_t *code, uint64_t stub_addr, uint64_t entry_addr,
	       uint8_t *stub);

#endif
