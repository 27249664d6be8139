/* SPDX-License-Identifier: Apache-2.0 */
/* symbols.h: the functions and labels of a program's executable segments. */
#ifndef MAYFLY_SYMBOLS_H
#define MAYFLY_SYMBOLS_H

#include "elf_check.h"

struct symbol {
	uint64_t addr;
	uint64_t bytes;   /* 0: a label */
	const char *name; /* in the ELF file, or "" */
	bool function;    /* a function, and all its bytes are file content */
	bool guessed;     /* a function without a size (hand-written): up to the next symbol */
};

struct symbols {
	struct symbol *symbol; /* by address, then the longest first */
	size_t n;
	bool stripped; /* there is no .symtab */
};

/*
 * symbols_read: all defined symbols of plan->elf whose address lies in an executable load;
 * of a stripped program, the functions of which .eh_frame knows the extent, without names.
 * A table that cannot be read counts as none. Returns 0 or -ENOMEM. The caller
 * frees with symbols_free.
 */
int symbols_read(const struct elf_plan *plan, struct symbols *out);
void symbols_free(struct symbols *symbols);

#endif
