/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_layout.c: gives every page of a program one protection; see elf_layout.h.
 *
 * Loads need not start or end on a page. Where two of them meet inside one page (linkers
 * with small page sizes do this), the page goes to the one that allows more, and the other
 * keeps the rest of its own pages: R + RX gives an RX page, R + RW an RW page. RX + RW has
 * no answer under W^X and is refused.
 */
#include <inttypes.h>

#include "../../noxs/noxs.h"
#include "elf_layout.h"

static uint64_t page_down(uint64_t v)
{
	return v & ~(NOXS_PAGE - 1);
}

static uint64_t page_up(uint64_t v)
{
	return (v + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1);
}

static int refuse_order(const struct elf_load *a, const struct elf_load *b, const char *name,
			struct err *err)
{
	const char *why = b->vaddr < a->vaddr ? "do not ascend" : "overlap";

	return err_set_exit(err, ERR_EXIT_IMAGE, 0,
			    "%s: cannot run: its segments at 0x%" PRIx64 " and 0x%" PRIx64
			    " %s; damaged?",
			    name, a->vaddr, b->vaddr, why);
}

/* Settle the page in which segment *last ends and *next starts. Returns -1 for W + X. */
static int share_page(struct elf_segment *last, struct elf_segment *next)
{
	if ((next->prot & last->prot) == last->prot) {
		last->mem_bytes -= NOXS_PAGE;
		return 0;
	}
	if ((next->prot & last->prot) == next->prot) {
		next->vaddr += NOXS_PAGE;
		next->mem_bytes -= NOXS_PAGE;
		return 0;
	}
	return -1;
}

/* How many bytes of the segment come from the file: up to the last load that has some. */
static uint64_t file_bytes(const struct elf_plan *plan, const struct elf_segment *segment)
{
	const uint64_t seg_end = segment->vaddr + segment->mem_bytes;
	uint64_t end = segment->vaddr;

	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];
		uint64_t load_end = page_up(load->vaddr + load->file_bytes);

		if (!load->file_bytes || load->vaddr >= seg_end || load_end <= end)
			continue;
		end = load_end < seg_end ? load_end : seg_end;
	}
	return end - segment->vaddr;
}

int elf_layout(struct elf_plan *plan, const char *name, struct err *err)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];
		struct elf_segment next = {
			.vaddr = page_down(load->vaddr),
			.mem_bytes =
				page_up(load->vaddr + load->mem_bytes) - page_down(load->vaddr),
			.prot = load->prot,
		};

		if (i && load->vaddr < load[-1].vaddr + load[-1].mem_bytes)
			return refuse_order(&load[-1], load, name, err);
		/* A page may be shared by more than two: go back as long as it is. */
		while (n && next.mem_bytes &&
		       next.vaddr < plan->segment[n - 1].vaddr + plan->segment[n - 1].mem_bytes) {
			struct elf_segment *last = &plan->segment[n - 1];

			if (share_page(last, &next))
				return err_set_exit(
					err, ERR_EXIT_IMAGE, 0,
					"%s: cannot run: the page at 0x%" PRIx64
					" would have to be "
					"writable and executable, for two segments share it; link "
					"it "
					"with -z separate-code or -z max-page-size=4096",
					name, page_down(load->vaddr));
			if (!last->mem_bytes)
				n--;
		}
		if (next.mem_bytes)
			plan->segment[n++] = next;
	}
	for (uint32_t i = 0; i < n; i++)
		plan->segment[i].file_bytes = file_bytes(plan, &plan->segment[i]);
	plan->nsegments = n;
	plan->start = plan->segment[0].vaddr;
	plan->end = plan->segment[n - 1].vaddr + plan->segment[n - 1].mem_bytes;
	return 0;
}
