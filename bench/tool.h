/* SPDX-License-Identifier: Apache-2.0 */
/* tool.h: what the benchmarks' programs share: options, failure, time. */
#ifndef MAYFLY_BENCH_TOOL_H
#define MAYFLY_BENCH_TOOL_H

#include <stddef.h>
#include <stdint.h>

/* Says on stderr what failed, with the detail if there is one, and exits with 1. */
_Noreturn void die(const char *what, const char *detail);

/* The same with errno's text as the detail. */
_Noreturn void die_errno(const char *what);

/* An option's number in [least, most], or die. */
unsigned long tool_number(const char *option, const char *text, unsigned long least,
			  unsigned long most);

void tool_sleep_ns(uint64_t ns);

/* Puts 0..n-1 into order[] in a new random order (Fisher and Yates). */
void tool_shuffle(size_t *order, size_t n);

/* calloc, or die. */
void *tool_alloc(size_t n, size_t bytes);

#endif
