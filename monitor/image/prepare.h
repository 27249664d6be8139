/* SPDX-License-Identifier: Apache-2.0 */
/* prepare.h: from an ELF file in memory to a prepared image in memory. */
#ifndef MAYFLY_PREPARE_H
#define MAYFLY_PREPARE_H

#include "../prepared.h"
#include "elf_check.h"
#include "sites.h"

struct image_out {
	struct prepared_header *header; /* the start of file */
	uint8_t *file;                  /* the whole prepared image */
	size_t bytes;                   /* == header->file_bytes */
	size_t room;                    /* of the mapping behind file */
	struct elf_plan plan;           /* plan.elf is the caller's */
	struct sites sites;
};

/*
 * image_prepare: check the ELF file elf[0..bytes), rewrite its system-call sites, and make
 * a prepared image of it. name is for messages. Any bytes may come in.
 * Returns 0, and the caller frees *out with image_free; or a negative errno with *err set,
 * nothing to free, and err->exit ERR_EXIT_IMAGE if it is the file's fault.
 */
int image_prepare(const void *elf, size_t bytes, const char *name, struct image_out *out,
		  struct err *err);
void image_free(struct image_out *out);

#endif
