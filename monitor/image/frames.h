/* SPDX-License-Identifier: Apache-2.0 */
/* frames.h: where the functions of a stripped program start and end. */
#ifndef MAYFLY_FRAMES_H
#define MAYFLY_FRAMES_H

#include <libelf.h>

#include "symbols.h"

/*
 * frames_read: append to *out one nameless function for each FDE of elf's .eh_frame (the
 * unwinder's table, which stripping keeps) whose bytes are file content of an executable
 * load. What cannot be read is skipped. Returns 0 or -ENOMEM.
 */
int frames_read(const struct elf_plan *plan, Elf *elf, struct symbols *out);

#endif
