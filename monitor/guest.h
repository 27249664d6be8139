/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h: everything that stands in a VM's memory before its first instruction. */
#ifndef MAYFLY_GUEST_H
#define MAYFLY_GUEST_H

#include <stdbool.h>

#include "host.h"
#include "image.h"
#include "vm.h"
#include "x86_paging.h"

/* What the caller wants of a run. */
struct guest_options {
	const char *path;  /* of the program, for messages and AT_EXECFN */
	char *const *argv; /* [0] is the program's name */
	char *const *envp;
	const char *cwd;           /* NULL: / */
	const char *hostname;      /* NULL: mayfly */
	int stream[NOXS_NSTREAMS]; /* descriptors, to tell the guest what they are; -1: none */
	uint64_t memory_bytes;
	bool strace;
};

#define GUEST_STACK_BYTES  (40 * NOXS_PAGE) /* of stack, mapped before there is a program */
#define GUEST_IMAGE_TABLES 3                /* page tables left for it */

/* Where in RAM everything is that every VM has: guest-physical, ascending. */
struct guest_layout {
	uint64_t stack, noxs, control, kstack_top, machine, tables, kdata, stdout_ring, spare;
	uint64_t kstack, ist1, ist2, ist3, stderr_ring, stdin_ring, ktext;
	uint64_t image; /* from here on it depends on the program */
	uint64_t kdata_bytes, ktext_bytes;
	uint64_t stack_top; /* gva, random */
	uint64_t stack_end; /* gva: end of its page */
};

/* Where in RAM things are that the monitor uses while the guest runs. */
struct guest {
	/* Read-only to ring 3, but a hostile guest has a ring 0 to itself: after the guest has
	 * run, what stands there is not to be trusted either. */
	struct noxs_page *page;
	struct noxs_page boot;        /* as the page was before the guest's first instruction */
	struct noxs_control *control; /* the guest's: copy once, then check */
	uint8_t *ring[NOXS_NSTREAMS];
	struct guest_layout layout;
	struct pt_builder tables;
	uint64_t cr3;
	uint64_t free_gpa; /* free RAM starts here */
	const struct noxs_kernel *kernel;
	uint64_t image_base; /* load bias of the program */
};

/* The library kernel that is part of this executable. */
const struct noxs_kernel *guest_kernel(void);

/* Fills vm->ram (reserved, fresh) with all that does not depend on the program: the vCPU can
 * run up to where the library kernel wants to know more (NOXS_FLAG_PARK). */
int guest_prepare(struct guest *guest, struct vm *vm, const struct host *host, struct err *err);

/* Adds the program, its arguments and the time. Fails with ERR_EXIT_IMAGE where memory is too
 * small, and says how much it takes. */
int guest_load(struct guest *guest, struct vm *vm, const struct host *host,
	       const struct image *image, const struct guest_options *options, struct err *err);

/*
 * guest_grow: lets the guest use at least bytes of its free RAM, and tells it how much there
 * is now. After guest_load and vm_create with 0: what a program begins with.
 * 0 or -errno; the guest sees what it got.
 */
int guest_grow(struct guest *guest, struct vm *vm, uint64_t bytes);

/* ---- between guest.c and guest_load.c ---- */

/* A file's bytes in place of anonymous RAM. 0 or -errno. */
int guest_map_file(const struct gmem *ram, uint64_t gpa, uint64_t bytes, int fd, uint64_t off);

/* How many PDs and PTs a range of small pages takes. */
uint64_t guest_tables_for(uint64_t start, uint64_t end);

/* Writes the clock into the noxs page (seqlock), from the host's clocks now. */
void guest_set_clock(struct noxs_clock *clock, uint32_t tsc_khz);

#endif
