/* SPDX-License-Identifier: Apache-2.0 */
/* prepare.c: lays out and fills a prepared image; see prepare.h. */
#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../noxs/noxs.h"
#include "prepare.h"

static uint64_t page_up(uint64_t v)
{
	return (v + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1);
}

static void digest(const void *elf, size_t bytes, uint8_t out[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, bytes, elf);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, out);
}

/* The program's segments, one after the other in the file. Returns the file's length. */
static uint64_t set_segments(const struct elf_plan *plan, struct prepared_header *header)
{
	uint64_t off = PREPARED_HEADER_BYTES;

	for (uint32_t i = 0; i < plan->nsegments; i++) {
		const struct elf_segment *segment = &plan->segment[i];

		header->segment[i] = (struct prepared_segment){
			.vaddr = segment->vaddr,
			.mem_bytes = segment->mem_bytes,
			.file_off = off,
			.file_bytes = segment->file_bytes,
			.prot = segment->prot,
		};
		off += segment->file_bytes;
	}
	header->nsegments = plan->nsegments;
	return off;
}

/* Where the byte of a program address stands in the prepared file, or NULL. */
static uint8_t *byte_at(void *arg, uint64_t addr)
{
	struct image_out *out = arg;

	for (uint32_t i = 0; i < out->header->nsegments; i++) {
		const struct prepared_segment *segment = &out->header->segment[i];

		if (addr >= segment->vaddr && addr - segment->vaddr < segment->file_bytes)
			return out->file + segment->file_off + (addr - segment->vaddr);
	}
	return NULL;
}

/*
 * Copy the loads' bytes to where they belong. A load may begin or end in a page that
 * another segment owns (elf_layout), so it goes page by page.
 */
static void copy_loads(struct image_out *out)
{
	const struct elf_plan *plan = &out->plan;

	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];
		uint64_t done = 0;

		while (done < load->file_bytes) {
			uint64_t addr = load->vaddr + done;
			uint64_t n = NOXS_PAGE - addr % NOXS_PAGE;

			if (n > load->file_bytes - done)
				n = load->file_bytes - done;
			memcpy(byte_at(out, addr), plan->elf + load->off + done, n);
			done += n;
		}
	}
}

/* Add the stubs' segment, directly behind the program's end: what a small program uses then
 * lies within few pages, which KVM can map at one exit (guest_load.c, place_image). */
static void rewrite(struct image_out *out, uint64_t stubs_off)
{
	struct prepared_header *header = out->header;
	const uint64_t addr = out->plan.end;
	uint64_t used = sites_rewrite(&out->sites, out->file + stubs_off, addr, byte_at, out);

	if (used) {
		header->segment[header->nsegments++] = (struct prepared_segment){
			.vaddr = addr,
			.mem_bytes = page_up(used),
			.file_off = stubs_off,
			.file_bytes = page_up(used),
			.prot = PREPARED_R | PREPARED_X,
			.stubs = 1,
		};
		header->brk = addr + page_up(used); /* the heap must not grow into the stubs */
	}
	out->bytes = stubs_off + page_up(used);
}

/* Stubs need a segment and addresses. The page table of a window's end is the limit. */
static bool room_for_stubs(const struct elf_plan *plan, uint64_t stub_bytes)
{
	const uint64_t limit =
		plan->pie ? (NOXS_GVA_PIE_END - NOXS_GVA_PIE) / 2 : NOXS_GVA_USER_END;

	return stub_bytes && plan->nsegments < PREPARED_MAX_SEGMENTS &&
	       page_up(stub_bytes) + NOXS_PAGE <= limit - plan->end;
}

static void set_header(const struct elf_plan *plan, struct prepared_header *header)
{
	*header = (struct prepared_header){
		.magic = PREPARED_MAGIC,
		.version = PREPARED_VERSION,
		.noxs_fast_entry = NOXS_GVA_FAST_ENTRY,
		.pie = plan->pie,
		.align = plan->align,
		.entry = plan->entry,
		.phdr = plan->phdr,
		.phnum = plan->phnum,
		.phent = plan->phent,
		.brk = plan->end,
		.stack_bytes = plan->stack_bytes,
	};
}

int image_prepare(const void *elf, size_t bytes, const char *name, struct image_out *out,
		  struct err *err)
{
	struct prepared_header header;
	uint64_t stubs_off, room;
	int ret;

	*out = (struct image_out){0};
	ret = elf_check(elf, bytes, name, &out->plan, err);
	if (ret)
		return ret;
	if (sites_find(&out->plan, &out->sites))
		return err_set(err, ENOMEM, "prepare %s", name);

	set_header(&out->plan, &header);
	stubs_off = set_segments(&out->plan, &header);
	room = stubs_off;
	if (room_for_stubs(&out->plan, sites_stub_bytes(&out->sites)))
		room += page_up(sites_stub_bytes(&out->sites));
	digest(elf, bytes, header.digest);

	/* mmap: zeroed and page-aligned, and untouched pages cost nothing. */
	out->file = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (out->file == MAP_FAILED) {
		out->file = NULL;
		sites_free(&out->sites);
		return err_set(err, ENOMEM, "prepare %s: %llu bytes", name,
			       (unsigned long long)room);
	}
	out->room = room;
	out->header = (struct prepared_header *)(void *)out->file;
	out->bytes = stubs_off;
	*out->header = header;
	copy_loads(out);
	if (room > stubs_off)
		rewrite(out, stubs_off);
	else
		sites_skip(&out->sites);
	for (int i = 0; i < SITE_NSTATES; i++)
		out->header->sites += out->sites.count[i];
	out->header->rewritten = out->sites.count[SITE_REWRITTEN];
	out->header->file_bytes = out->bytes;
	return 0;
}

void image_free(struct image_out *out)
{
	if (out->file)
		munmap(out->file, out->room);
	sites_free(&out->sites);
	*out = (struct image_out){0};
}
