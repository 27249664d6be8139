/* SPDX-License-Identifier: Apache-2.0 */
/* crash.h: telling what a program died of. */
#ifndef MAYFLY_CRASH_H
#define MAYFLY_CRASH_H

#include <stdbool.h>
#include <stdio.h>

#include "core.h"
#include "run.h"

/*
 * Reports the crash on stderr (for signals whose default is a core dump) and writes the
 * core file if core is not NULL; a core file that cannot be written is reported, too.
 * path: the program's. Returns the exit status: 128 + signal, or ERR_EXIT_SELF where it
 * was the library kernel that failed.
 */
int crash_report(const struct vm *vm, const struct guest *guest, const struct run_result *result,
		 const char *path, const char *core);

/*
 * The same as text: *text is the caller's to free, or NULL where there is nothing to say.
 * names: have the helper name functions and lines; false in a jail, where nothing can be
 * opened or executed: then there are addresses.
 */
int crash_text(const struct vm *vm, const struct guest *guest, const struct run_result *result,
	       const char *path, bool names, const char *core, char **text);

/* ---- crash_text.c: words ---- */

/* SIGSEGV for 11, and so on; NULL for what does not end in a core dump. */
const char *crash_signal_name(uint32_t signal);

/* One line on what was wrong about the instruction, or nothing. */
void crash_reason(FILE *out, const struct core_source *src);

/* The registers, four on a line; only rip, rsp and rbp of the library kernel's. */
void crash_registers(FILE *out, const struct noxs_crash *crash);

/* A guest's text: bytes up to size or a NUL; what does not print becomes '?'. */
void crash_print(FILE *out, const char *text, size_t size);

/* ---- crash_trace.c: where it was ---- */

/*
 * A system call that was rewritten may return into a stub (technique B in
 * image/README.md). What the program was at is the call in its own text: returns rip as
 * it would be there, or rip as it is.
 */
uint64_t crash_own_rip(const struct core_source *src);

/*
 * Has the helper mayfly-backtrace name the frames of src, whose program is the file elf,
 * moved by base: lines "#N 0xADDRESS in NAME (FILE:LINE)" in text. 0 or -errno; where err
 * has no message the helper has said why.
 */
int crash_backtrace(const struct core_source *src, const char *elf, uint64_t base, char *text,
		    size_t size, struct err *err);

/* What can be said without the helper: addresses, by frame pointers. */
void crash_frames(FILE *out, const struct core_source *src);

#endif
