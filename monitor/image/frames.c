/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.c: reads .eh_frame with libdw; see frames.h.
 *
 * The format is that of the Linux Standard Base, "Exception Frames". libdw takes the table
 * apart into entries but leaves the encoded addresses to its caller. Compilers for x86-64
 * encode them in one way, 4 bytes relative to the field; others are skipped.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"

/* More functions than any real program has. */
#define MAX_FRAMES (1u << 20)

static Elf_Scn *find_section(Elf *elf, GElf_Shdr *sh)
{
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		const char *name;

		if (!gelf_getshdr(scn, sh) || sh->sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(elf, names, sh->sh_name);
		if (name && !strcmp(name, ".eh_frame"))
			return scn;
	}
	return NULL;
}

/* Does the CIE say that addresses are pc-relative and 4 bytes, and is no signal frame? */
static bool usual_cie(const Dwarf_CIE *cie)
{
	const uint8_t *data = cie->augmentation_data;
	size_t left = cie->augmentation_data_size;

	if (cie->augmentation[0] != 'z')
		return false;
	for (const char *c = cie->augmentation + 1; *c; c++) {
		if (!left)
			return false;
		if (*c == 'R')
			return *data == (DW_EH_PE_pcrel | DW_EH_PE_sdata4);
		if (*c == 'L') {
			data++;
			left--;
		} else if (*c == 'P') {
			size_t n = (*data & 7) == DW_EH_PE_udata4 ? 5 : 9;

			if (left < n)
				return false;
			data += n;
			left -= n;
		} else {
			return false;
		}
	}
	return false;
}

/* Is the CIE at offset off a usual one? The same few are asked for again and again. */
static bool cie_at(const unsigned char *ident, Elf_Data *data, Dwarf_Off off)
{
	Dwarf_CFI_Entry entry;
	Dwarf_Off next;

	return off < data->d_size && !dwarf_next_cfi(ident, data, true, off, &next, &entry) &&
	       dwarf_cfi_cie_p(&entry) && usual_cie(&entry.cie);
}

static int add(const struct elf_plan *plan, uint64_t addr, uint64_t bytes, size_t *room,
	       struct symbols *out)
{
	bool text = false;

	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];

		text |= load->prot & PREPARED_X && addr >= load->vaddr &&
			addr - load->vaddr < load->file_bytes;
	}
	if (!text || !bytes || !elf_at(plan, addr, bytes))
		return 0;
	if (out->n >= *room) {
		*room = out->n ? out->n * 2 : 1024;
		struct symbol *grown = reallocarray(out->symbol, *room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		out->symbol = grown;
	}
	out->symbol[out->n++] = (struct symbol){
		.addr = addr,
		.bytes = bytes,
		.name = "",
		.function = true,
	};
	return 0;
}

int frames_read(const struct elf_plan *plan, Elf *elf, struct symbols *out)
{
	GElf_Shdr sh;
	Elf_Scn *scn = find_section(elf, &sh);
	Elf_Data *data = scn ? elf_rawdata(scn, NULL) : NULL;
	Dwarf_Off off = 0, next, cie = UINT64_MAX;
	bool usual = false;
	size_t room = out->n;
	Dwarf_CFI_Entry entry;

	if (!data || !data->d_buf)
		return 0;
	for (uint32_t i = 0; i < MAX_FRAMES && off < data->d_size; i++, off = next) {
		uint32_t bytes;
		int32_t rel;

		if (dwarf_next_cfi(plan->elf, data, true, off, &next, &entry) || next <= off)
			break;
		if (dwarf_cfi_cie_p(&entry) || entry.fde.end - entry.fde.start < 8)
			continue;
		if (entry.fde.CIE_pointer != cie) {
			cie = entry.fde.CIE_pointer;
			usual = cie_at(plan->elf, data, cie);
		}
		if (!usual)
			continue;
		memcpy(&rel, entry.fde.start, sizeof(rel));
		memcpy(&bytes, entry.fde.start + 4, sizeof(bytes));
		uint64_t at = sh.sh_addr + (uint64_t)(entry.fde.start - (uint8_t *)data->d_buf);

		if (add(plan, at + (uint64_t)(int64_t)rel, bytes, &room, out))
			return -ENOMEM;
	}
	return 0;
}
