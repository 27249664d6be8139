/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sites.h: finds a program's `syscall` instructions and rewrites those that it can prove.
 */
#ifndef MAYFLY_SITES_H
#define MAYFLY_SITES_H

#include "elf_check.h"
#include "patch.h"
#include "symbols.h"

enum site_state {
	SITE_REWRITTEN,
	SITE_NO_FUNCTION, /* no symbol says where a function around it starts and ends */
	SITE_UNCLEAN,     /* its function does not decode from start to end */
	SITE_NO_WINDOW,   /* too few bytes around it may be replaced */
	SITE_SIGRETURN,   /* unwinders know this sequence by its bytes */
	SITE_FLAGS,       /* the program uses the flags afterwards */
	SITE_REFERENCED,  /* something may point into what would be replaced */
	SITE_FAR,         /* the stubs would lie out of a jump's reach */
	SITE_NSTATES,
};
extern const char *const site_state_text[SITE_NSTATES];

struct site {
	uint64_t addr;
	const char *name; /* of the function, or ""; points into the ELF file */
	enum site_state state;
};

struct sites {
	struct site *site; /* in order of address */
	size_t n;
	uint32_t count[SITE_NSTATES];
	struct patch *patch; /* in order of address; the dropped ones are left in */
	size_t npatches;
	bool stripped;
};

/*
 * sites_find: list plan's system-call sites and choose patches. Never fails for what is
 * in the file; returns 0 or -ENOMEM. The caller frees with sites_free.
 */
int sites_find(const struct elf_plan *plan, struct sites *out);

/* sites_stub_bytes: room that the patches' stubs need at most; 0 if there is no patch. */
uint64_t sites_stub_bytes(const struct sites *sites);

/*
 * sites_rewrite: write all stubs to stubs[0..sites_stub_bytes), which will be mapped at
 * stubs_addr, and the jumps to them into the program's pages. text(arg, addr) returns
 * where the byte of program address addr stands now. Completes site states and counts.
 * Returns the bytes of stubs that are used; 0 if nothing was rewritten.
 */
uint64_t sites_rewrite(struct sites *sites, uint8_t *stubs, uint64_t stubs_addr,
		       uint8_t *(*text)(void *arg, uint64_t addr), void *arg);

/* sites_skip: there is no room for stubs; all patches become SITE_FAR. */
void sites_skip(struct sites *sites);

void sites_free(struct sites *sites);

#endif
