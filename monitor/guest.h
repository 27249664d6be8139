/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h: everything that stands in a VM's memory before its first instruction. */
#ifndef MAYFLY_GUEST_H
#define MAYFLY_GUEST_H

#include <stdbool.h>

#include "host.h"
#include "image.h"
#include "vm.h"

/* What the caller wants of a run. */
struct guest_options {
	const char *path;  /* of the program, for messages and AT_EXECFN */
	char *const *argv; /* [0] is the program's name */
	char *const *envp;
	const char *cwd;      /* NULL: / */
	const char *hostname; /* NULL: mayfly */
	uint64_t memory_bytes;
	bool strace;
};

/* Where in RAM things are that the monitor uses while the guest runs. */
struct guest {
	/* Read-only to ring 3, but a hostile guest has a ring 0 to itself: after the guest has
	 * run, what stands there is not to be trusted either. */
	struct noxs_page *page;
	struct noxs_page boot;        /* as the page was before the guest's first instruction */
	struct noxs_control *control; /* the guest's: copy once, then check */
	uint8_t *ring[NOXS_NSTREAMS];
	uint64_t cr3;
	uint64_t free_gpa; /* free RAM starts here */
	const struct noxs_kernel *kernel;
	uint64_t image_base; /* load bias of the program */
};

/* The library kernel that is part of this executable. */
const struct noxs_kernel *guest_kernel(void);

/* Fills vm->ram (reserved, fresh) for the image. Fails with ERR_EXIT_IMAGE where memory is
 * too small, and says how much it takes. */
int guest_build(struct guest *guest, struct vm *vm, const struct host *host,
		const struct image *image, const struct guest_options *options, struct err *err);

/* Writes the clock into the noxs page (seqlock), from the host's clocks now. */
void guest_set_clock(struct noxs_clock *clock, uint32_t tsc_khz);

#endif
