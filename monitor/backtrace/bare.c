/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare.c: finding a caller without unwind information; see unwind.h.
 *
 * Best known is a function that sets up a frame pointer. Of others the instructions tell how
 * far up the stack the return address is (sweep.c), which must point behind a call. If it
 * does not, the stack is searched for one that does, best for a call of this very function.
 */
#include <string.h>

#include "sweep.h"
#include "unwind.h"

#define SCAN_WORDS   512u /* for a call of this function */
#define GUESS_WORDS  64u  /* for any call */
#define SIGFRAME_REG 40u  /* struct ucontext: uc_flags, uc_link, uc_stack, then registers */

/* If the bytes before addr are a call: true, and *target is what it calls (0: unknown). */
static bool after_call(const struct target *t, uint64_t addr, uint64_t *target)
{
	uint8_t b[8];
	int32_t rel;

	*target = 0;
	if (addr < sizeof(b) || !target_is_code(t, addr - 1) ||
	    !target_read(t, addr - sizeof(b), b, sizeof(b)))
		return false;
	if (b[3] == 0xe8) {
		memcpy(&rel, b + 4, sizeof(rel));
		*target = addr + (uint64_t)(int64_t)rel;
		return target_is_code(t, *target);
	}
	/* ff /2: the ModRM byte is followed by no, 1 or 4 bytes, and maybe by a SIB byte. */
	for (unsigned len = 2; len <= 7; len++) {
		const uint8_t *insn = b + sizeof(b) - len;
		unsigned mod = insn[1] >> 6, rm = insn[1] & 7, bytes = 2;

		if (insn[0] != 0xff || (insn[1] & 0x38) != 0x10)
			continue;
		bytes += mod != 3 && rm == 4;
		bytes += mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 5) ? 4 : 0;
		if (bytes == len)
			return true;
	}
	return false;
}

static bool by_frame_pointer(const struct target *t, uint64_t regs[TARGET_REGS])
{
	uint64_t frame[2], at = regs[REG_RBP], target;

	if (at < regs[REG_RSP] || (at & 7) || !target_read(t, at, frame, sizeof(frame)) ||
	    !after_call(t, frame[1], &target))
		return false;
	regs[REG_RBP] = frame[0];
	regs[REG_RIP] = frame[1];
	regs[REG_RSP] = at + sizeof(frame);
	return true;
}

/* The return address is at `at`. What the function pushed are the caller's registers. */
static bool take(const struct target *t, uint64_t regs[TARGET_REGS], uint64_t at,
		 const struct sweep *s)
{
	uint64_t word, target;

	if (!target_read(t, at, &word, sizeof(word)) || !after_call(t, word, &target))
		return false;
	for (unsigned i = 0; s && i < REG_RIP; i++)
		if (s->saved[i] && s->saved[i] <= s->depth)
			target_read(t, at - s->saved[i], &regs[i], sizeof(regs[i]));
	regs[REG_RIP] = word;
	regs[REG_RSP] = at + sizeof(word);
	return true;
}

static bool by_scan(const struct target *t, uint64_t regs[TARGET_REGS], uint64_t start)
{
	uint64_t rsp = regs[REG_RSP], guess = 0, word, target;

	for (unsigned i = 0; i < SCAN_WORDS; i++) {
		uint64_t at = rsp + 8ull * i;

		if (!target_read(t, at, &word, sizeof(word)))
			break;
		if (!after_call(t, word, &target))
			continue;
		if (start && target == start)
			return take(t, regs, at, NULL);
		if (!guess && i < GUESS_WORDS)
			guess = at;
	}
	return guess && take(t, regs, guess, NULL);
}

bool bare_step(const struct target *t, uint64_t regs[TARGET_REGS], uint64_t start, bool first)
{
	uint64_t rip = regs[REG_RIP], rsp = regs[REG_RSP];
	struct sweep s = {0};
	bool swept;

	/* A call of nowhere has just pushed its return address. */
	if (!target_is_code(t, rip))
		return first && take(t, regs, rsp, NULL);
	swept = start && sweep(t, start, rip, &s);
	if ((!start || s.frame) && by_frame_pointer(t, regs))
		return true;
	return (swept && take(t, regs, rsp + s.depth, &s)) || by_scan(t, regs, start) ||
	       by_frame_pointer(t, regs);
}

bool bare_sigreturn(const struct target *t, uint64_t regs[TARGET_REGS])
{
	/* mov $15, %rax; syscall: what all C libraries have, for unwinders look for it. */
	static const uint8_t trampoline[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
	/* struct sigcontext's order */
	static const uint8_t order[] = {8,       9,       10,      11,      12,      13,
					14,      15,      REG_RDI, REG_RSI, REG_RBP, REG_RBX,
					REG_RDX, REG_RAX, REG_RCX, REG_RSP, REG_RIP};
	uint64_t saved[sizeof(order)];
	uint8_t code[sizeof(trampoline)];

	if (!target_read(t, regs[REG_RIP], code, sizeof(code)) ||
	    memcmp(code, trampoline, sizeof(code)) ||
	    !target_read(t, regs[REG_RSP] + SIGFRAME_REG, saved, sizeof(saved)))
		return false;
	for (unsigned i = 0; i < sizeof(order); i++)
		regs[order[i]] = saved[i];
	return true;
}
