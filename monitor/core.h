/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h: a crashed program's memory and registers as an ELF core file, as Linux writes
 * them (core(5), elf(5); the notes: Linux' fs/binfmt_elf.c, include/uapi/linux/elf.h), so
 * that `gdb PROGRAM FILE` opens it.
 *
 * All of the guest's memory is read through its own page tables, which it may have
 * damaged: what they name is checked, and no more is written than there is RAM.
 */
#ifndef MAYFLY_CORE_H
#define MAYFLY_CORE_H

#include <signal.h>
#include <stdbool.h>

#include "err.h"
#include "gmem.h"

struct core_source {
	const struct gmem *ram;
	uint64_t root;                  /* gpa of the PML4 */
	const struct noxs_page *page;   /* a copy: regions, rsp, pid, uid, gid are used */
	const struct noxs_crash *crash; /* a copy */
	const char *program;            /* absolute path of the program's file on the host */
	const void *fpregs;             /* 512 bytes as FXSAVE writes them, or NULL */
	uint64_t vdso, vdso_end;        /* gva; equal: none */
};

enum core_kind {
	CORE_SMALL, /* what a backtrace takes: the stack at rsp, the code at rip */
	CORE_FULL,  /* all that the program had mapped; the kernel too if that failed */
};

/* Set by a signal handler, it ends core_write with -EINTR. */
extern volatile sig_atomic_t core_stop;

/*
 * core_write: write it to fd from its present position on; fd need not be seekable.
 * *whole is false if the page tables named more than a sane guest has, and the rest was
 * left out. 0 or -errno with a message that names `name`, what fd is.
 */
int core_write(const struct core_source *src, enum core_kind kind, int fd, const char *name,
	       bool *whole, struct err *err);

/*
 * core_save: a full core to the file at path, mode 0600. A file that is there is replaced
 * in one step once the new one is complete and on disk; on failure nothing is left
 * behind. A FIFO or a device is written as a stream. Symbolic links are not followed.
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT, if not ignored, end it with -EINTR.
 */
int core_save(const struct core_source *src, const char *path, bool *whole, struct err *err);

/* ---- core_notes.c ---- */

/* The contents of the PT_NOTE segment, in *notes (the caller frees it): 0 or -ENOMEM. */
int core_notes(const struct core_source *src, uint8_t **notes, size_t *bytes);

#endif
