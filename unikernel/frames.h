/* SPDX-License-Identifier: Apache-2.0 */
/* frames.h: physical memory by address, for mm.c and paging.c. */
#ifndef UK_FRAMES_H
#define UK_FRAMES_H

#include "uk.h"

#define UK_BLOCK 0x200000ull /* a large page */

/* n contiguous zeroed frames: their gpa, or 0. From 512 frames on 2 MiB-aligned. */
uint64_t uk_frames_take(size_t n);
void uk_frames_free(uint64_t gpa, size_t n);
/* The monitor has dropped these free frames: they are zero again. */
void uk_frames_discarded(uint64_t gpa, size_t n);
/* Offers large free pieces to the host, if much was freed since the last time. */
void uk_frames_give_back(void);
/* Is gpa free RAM's (and not the monitor's tables or image)? */
bool uk_frames_owned(uint64_t gpa);
/* Blocks without a frame in use; *total gets the number of blocks. */
size_t uk_frames_free_blocks(size_t *total);

#endif
