/* SPDX-License-Identifier: Apache-2.0 */
/* refs.h: drops patches into whose inside something in the program may point. */
#ifndef MAYFLY_REFS_H
#define MAYFLY_REFS_H

#include "elf_check.h"
#include "patch.h"

/*
 * refs_drop: drop each patch of several instructions where any byte sequence of the program
 * could be a reference to an address strictly inside its window. It reads every offset of
 * every load and does not ask whether code is there, so it misses no direct branch and no
 * absolute or RIP-relative code pointer; it may drop a patch needlessly. (A window of one
 * instruction has no inside that code could enter.) Patches must be in order of address and
 * not overlap, dropped ones apart. Returns the number dropped, or -ENOMEM.
 */
int refs_drop(const struct elf_plan *plan, struct patch *patch, size_t n);

/* refs_drop_at: drop the patch, if any, that has addr strictly inside. Returns 1 or 0. */
int refs_drop_at(struct patch *patch, size_t n, uint64_t addr);

#endif
