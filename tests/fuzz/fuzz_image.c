/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_image.c: any bytes as a program. image_prepare must refuse them with a message or make
 * a prepared image that keeps every rule of prepared.h; what it changed in the program must
 * be jumps into the stubs, and nothing else.
 */
/* clang-format off */
/* sources: monitor/image/code.c monitor/image/elf_check.c monitor/image/elf_layout.c monitor/image/frames.c monitor/image/inspect.c monitor/image/patch.c monitor/image/prepare.c monitor/image/refs.c monitor/image/sites.c monitor/image/store.c monitor/image/symbols.c monitor/image/trim.c monitor/err.c */
/* clang-format on */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/image/prepare.h"
#include "../../noxs/noxs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST(condition)                                                         \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort();                                                \
		}                                                               \
	} while (0)

static void check_segments(const struct prepared_header *h)
{
	uint64_t end = 0, off = PREPARED_HEADER_BYTES, limit;
	bool entry = false;

	limit = h->pie ? (NOXS_GVA_PIE_END - NOXS_GVA_PIE) / 2 : NOXS_GVA_USER_END;
	MUST(h->nsegments >= 1 && h->nsegments <= PREPARED_MAX_SEGMENTS);
	for (uint32_t i = 0; i < h->nsegments; i++) {
		const struct prepared_segment *s = &h->segment[i];

		MUST(!((s->vaddr | s->mem_bytes | s->file_bytes | s->file_off) % NOXS_PAGE));
		MUST(s->mem_bytes && s->file_bytes <= s->mem_bytes);
		MUST(s->vaddr >= end && (h->pie || s->vaddr >= NOXS_GVA_MIN));
		MUST(s->vaddr <= limit && s->mem_bytes <= limit - s->vaddr);
		MUST(s->file_off == off);
		MUST(s->prot & PREPARED_R && !(s->prot & ~7u));
		MUST((s->prot & (PREPARED_W | PREPARED_X)) != (PREPARED_W | PREPARED_X));
		MUST(!s->stubs || (i == h->nsegments - 1 && s->vaddr >= end + NOXS_PAGE &&
				   s->prot == (PREPARED_R | PREPARED_X)));
		entry |= !s->stubs && s->prot & PREPARED_X && h->entry >= s->vaddr &&
			 h->entry - s->vaddr < s->mem_bytes;
		end = s->vaddr + s->mem_bytes;
		off += s->file_bytes;
	}
	MUST(entry);
	MUST(off == h->file_bytes);
	MUST(h->brk == end);
}

/* Which patch has addr in its window? */
static const struct patch *patch_at(const struct sites *sites, uint64_t addr)
{
	for (size_t i = 0; i < sites->npatches; i++) {
		const struct patch *patch = &sites->patch[i];

		if (!patch->dropped && addr >= patch->start && addr - patch->start < patch->window)
			return patch;
	}
	return NULL;
}

static const uint8_t *prepared_at(const struct image_out *out, uint64_t addr)
{
	for (uint32_t i = 0; i < out->header->nsegments; i++) {
		const struct prepared_segment *s = &out->header->segment[i];

		if (addr >= s->vaddr && addr - s->vaddr < s->file_bytes)
			return out->file + s->file_off + (addr - s->vaddr);
	}
	return NULL;
}

static void check_content(const struct image_out *out)
{
	const struct elf_plan *plan = &out->plan;

	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];

		for (uint64_t k = 0; k < load->file_bytes; k++) {
			const uint8_t *byte = prepared_at(out, load->vaddr + k);

			MUST(byte);
			if (*byte == plan->elf[load->off + k])
				continue;
			MUST(load->prot & PREPARED_X);
			MUST(patch_at(&out->sites, load->vaddr + k));
		}
	}
}

static void check_patches(const struct image_out *out)
{
	const struct prepared_header *h = out->header;
	const struct prepared_segment *stubs = &h->segment[h->nsegments - 1];
	uint32_t live = 0;

	if (!h->rewritten)
		return; /* the patches have been given up together */
	MUST(stubs->stubs);
	for (size_t i = 0; i < out->sites.npatches; i++) {
		const struct patch *patch = &out->sites.patch[i];
		const uint8_t *at = prepared_at(out, patch->start);
		int32_t rel;

		if (patch->dropped)
			continue;
		live++;
		MUST(at && at[0] == 0xe9 && patch->window >= 5);
		memcpy(&rel, at + 1, sizeof(rel));
		uint64_t to = patch->start + 5 + (uint64_t)(int64_t)rel;

		MUST(to > stubs->vaddr && to - stubs->vaddr < stubs->file_bytes && !(to % 16));
		for (int k = 5; k < patch->window; k++)
			MUST(at[k] == 0x90);
	}
	MUST(live == h->rewritten);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct image_out out;
	struct err err = {0};
	int ret = image_prepare(data, n, "fuzz", &out, &err);

	if (ret) {
		MUST(ret < 0 && err.message[0] && !strchr(err.message, '\n'));
		MUST(err.exit == ERR_EXIT_IMAGE);
		return 0;
	}
	const struct prepared_header *h = out.header;

	MUST(h->magic == PREPARED_MAGIC && h->version == PREPARED_VERSION);
	MUST(h->noxs_fast_entry == NOXS_GVA_FAST_ENTRY);
	MUST(h->align >= NOXS_PAGE && h->align <= 0x200000 && !(h->align & (h->align - 1)));
	MUST(h->file_bytes == out.bytes && h->rewritten <= h->sites);
	MUST(out.sites.count[SITE_REWRITTEN] == h->rewritten);
	check_segments(h);
	check_content(&out);
	check_patches(&out);
	image_free(&out);
	return 0;
}
