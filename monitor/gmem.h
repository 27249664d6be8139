/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem.h: guest RAM, and the only way to a byte of it.
 *
 * A guest address is an integer. gmem_at turns one into a pointer after checking that
 * the whole range is RAM; nothing else in the monitor adds to gmem.host.
 */
#ifndef MAYFLY_GMEM_H
#define MAYFLY_GMEM_H

#include <stddef.h>
#include <stdint.h>

#include "../noxs/noxs.h"

struct gmem {
	uint8_t *host;  /* mapping of [NOXS_GPA_RAM, NOXS_GPA_RAM + bytes) */
	uint64_t bytes; /* page-aligned */
};

/* Pointer to bytes of guest RAM at gpa, or NULL where that is not all RAM. */
static inline void *gmem_at(const struct gmem *m, uint64_t gpa, uint64_t bytes)
{
	if (gpa < NOXS_GPA_RAM || gpa - NOXS_GPA_RAM > m->bytes ||
	    bytes > m->bytes - (gpa - NOXS_GPA_RAM))
		return NULL;
	return m->host + (gpa - NOXS_GPA_RAM);
}

#endif
