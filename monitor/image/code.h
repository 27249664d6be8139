/* SPDX-License-Identifier: Apache-2.0 */
/*
 * code.h: what mayfly knows of a function's machine code: where its instructions start,
 * where it branches to, and which instructions may be executed elsewhere.
 *
 * The decoder is Zydis; only code.c sees it.
 */
#ifndef MAYFLY_CODE_H
#define MAYFLY_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum code_kind {
	CODE_PLAIN,   /* falls through */
	CODE_SYSCALL, /* 0F 05 exactly, without a prefix */
	CODE_COND,    /* conditional direct branch */
	CODE_JUMP,    /* direct jmp */
	CODE_CALL,    /* direct or indirect call */
	CODE_RET,
	CODE_INDIRECT, /* jmp through a register or memory */
	CODE_STOP,     /* any other transfer: int, ud2, hlt, iret, xbegin ... */
};

struct code_insn {
	uint32_t off;    /* from the function's start */
	uint32_t target; /* offset, of COND, JUMP or CALL that stays inside; or CODE_OUTSIDE */
	uint8_t len;
	uint8_t kind;  /* enum code_kind */
	bool targeted; /* a direct branch of this function comes here */
};
#define CODE_OUTSIDE UINT32_MAX

/* One decoded function. Zero-initialise; reusable; code_free at the end. */
struct code {
	const uint8_t *bytes;
	uint64_t addr;
	uint32_t nbytes;
	bool indirect; /* has an indirect jump: its targets are unknown */
	struct code_insn *insn;
	uint32_t n, room;
};

/* Longer functions are left alone: offsets and time are bounded. */
#define CODE_MAX_BYTES (1u << 20)

/*
 * code_decode: decode bytes[0..n) linearly as one function at address addr. Returns 0, or
 * -EILSEQ if it does not decode exactly up to its end, or a direct branch inside it goes
 * to where no instruction starts (an operand of a "jump over the lock prefix" apart), or
 * -E2BIG, or -ENOMEM. bytes must stay valid as long as *code is used.
 */
int code_decode(struct code *code, const uint8_t *bytes, uint32_t n, uint64_t addr);
void code_free(struct code *code);

/* code_find: index of the instruction that starts at off, or -1. */
int64_t code_find(const struct code *code, uint32_t off);

/*
 * code_movable: true if the instruction does the same at any address, cannot fault, and
 * only falls through. Then *disp_at is the offset in the instruction of a 32-bit
 * RIP-relative displacement to adapt, or 0. frame: slots of the stack frame are allowed.
 *
 * It is a list of what is allowed: integer moves and arithmetic and a few SSE moves, on
 * registers, immediates, addresses (lea) and slots of the stack frame. Any other memory
 * operand might fault, and the crash would then show an address that the program
 * does not have.
 */
bool code_movable(const uint8_t *bytes, uint32_t n, bool frame, uint8_t *disp_at);

/*
 * code_flags_dead: true if what the arithmetic flags hold before instruction i is not
 * used: SYSCALL keeps them, the fast entry does not.
 */
bool code_flags_dead(const struct code *code, uint32_t i);

#endif
