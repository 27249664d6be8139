/* SPDX-License-Identifier: Apache-2.0 */
/* args.h: the program's first stack: arguments, environment, auxiliary vector. */
#ifndef MAYFLY_ARGS_H
#define MAYFLY_ARGS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Linux lets arguments take a quarter of the stack (execve(2)). */
#define ARGS_MAX_BYTES (2u << 20)

struct args_aux {
	uint64_t type, value;
};

/* Bytes of stack that args_build needs; 0 if it is more than ARGS_MAX_BYTES. */
size_t args_bytes(char *const argv[], char *const envp[]);

/*
 * args_build: lay out the stack as the System V ABI (x86-64 supplement, 3.4.1) has it.
 * stack: host memory of the bytes just below guest address top; bytes: its size.
 * exe: for AT_EXECFN; random: 16 bytes for AT_RANDOM; aux: naux further entries, to which
 * AT_RANDOM, AT_EXECFN, AT_PLATFORM and AT_NULL are added.
 * Returns rsp (guest address of argc, 16-aligned), or 0 if it does not fit.
 */
uint64_t args_build(void *stack, size_t bytes, uint64_t top, char *const argv[], char *const envp[],
		    const char *exe, const uint8_t random[16], const struct args_aux *aux,
		    size_t naux);

#endif
