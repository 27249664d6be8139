/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_check.h: from an ELF file in memory to a load plan, or the reason why it cannot run.
 *
 * Rules: System V ABI, AMD64 supplement (program loading), elf(5); where Linux's own
 * loader is laxer than mayfly, the message says what to do about it.
 */
#ifndef MAYFLY_ELF_CHECK_H
#define MAYFLY_ELF_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../err.h"
#include "../prepared.h"

/* One PT_LOAD as the file has it; every field has been checked against the file. */
struct elf_load {
	uint64_t vaddr, mem_bytes;
	uint64_t off, file_bytes; /* in the ELF file; file_bytes <= mem_bytes */
	uint32_t prot;            /* enum prepared_prot; never W and X */
};

/* Pages with one protection; loads that share a page have been settled. */
struct elf_segment {
	uint64_t vaddr, mem_bytes; /* page-aligned */
	uint64_t file_bytes;       /* page-aligned: up to the last page with file content */
	uint32_t prot;
};

struct elf_plan {
	const uint8_t *elf; /* the file: the caller's, must outlive the plan */
	size_t elf_bytes;
	bool pie;
	bool exec_stack; /* PT_GNU_STACK asks for an executable stack; it gets none */
	bool textrel;    /* relocations in text: its bytes are not final */
	uint64_t align;  /* of the base, for a PIE */
	uint64_t entry;
	uint64_t phdr; /* AT_PHDR or 0 */
	uint32_t phnum, phent;
	uint64_t start, end; /* page-aligned span of all segments */
	uint64_t stack_bytes;
	uint32_t nloads, nsegments; /* at most PREPARED_MAX_SEGMENTS */
	struct elf_load load[PREPARED_MAX_SEGMENTS];
	struct elf_segment segment[PREPARED_MAX_SEGMENTS];
};

/*
 * elf_check: fill *plan from the ELF file elf[0..bytes). name is for messages only.
 * Nothing in the file is trusted; any bytes may come in. Returns 0, or a negative errno
 * with *err set and err->exit == ERR_EXIT_IMAGE.
 */
int elf_check(const void *elf, size_t bytes, const char *name, struct elf_plan *plan,
	      struct err *err);

/*
 * elf_at: the file bytes behind [vaddr, vaddr + bytes), or NULL if one load does not hold
 * all of them as file content.
 */
const uint8_t *elf_at(const struct elf_plan *plan, uint64_t vaddr, uint64_t bytes);

#endif
