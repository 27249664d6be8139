/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h: what a backtrace reads: registers and memory of a core file, and the program's
 * own bytes where the core has none. Both are untrusted: every address is checked.
 */
#ifndef MAYFLY_TARGET_H
#define MAYFLY_TARGET_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../err.h"

/* Registers by their DWARF numbers (System V ABI, x86-64 supplement, figure 3.36). */
enum target_reg {
	REG_RAX,
	REG_RDX,
	REG_RCX,
	REG_RBX,
	REG_RSI,
	REG_RDI,
	REG_RBP,
	REG_RSP,
	REG_R8,
	REG_R15 = 15,
	REG_RIP = 16,
	TARGET_REGS,
};

/* Some bytes of a file that stand at an address. */
struct target_load {
	uint64_t addr, bytes;
	const uint8_t *data;
	bool exec;
};

#define TARGET_MAX_LOADS 4096u

struct target {
	uint64_t regs[TARGET_REGS];
	struct target_load *load; /* the core's first: they are newer */
	size_t nloads;
	size_t first_program_load;
	uint64_t entry; /* the program's first instruction */
};

/* Reads registers and segments of a core file, which must stay open. */
int target_core(struct target *t, Elf *core, struct err *err);

/* Adds the program's segments at their addresses plus bias. */
int target_program(struct target *t, Elf *program, uint64_t bias, struct err *err);

/* Copies bytes at addr: true if all are there (they may cross segments). */
bool target_read(const struct target *t, uint64_t addr, void *buf, size_t bytes);

/* Does the program have code at addr? */
bool target_is_code(const struct target *t, uint64_t addr);

#endif
