/* SPDX-License-Identifier: Apache-2.0 */
/* symbols.c: reads the symbol table with libelf; see symbols.h. */
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "symbols.h"

static bool in_text(const struct elf_plan *plan, uint64_t addr)
{
	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];

		if (load->prot & PREPARED_X && addr >= load->vaddr &&
		    addr - load->vaddr < load->mem_bytes)
			return true;
	}
	return false;
}

/* The name at offset st_name of the string table, if it ends inside the file. */
static const char *name_at(const struct elf_plan *plan, const GElf_Shdr *strtab, uint64_t st_name)
{
	if (strtab->sh_type != SHT_STRTAB || strtab->sh_offset > plan->elf_bytes ||
	    strtab->sh_size > plan->elf_bytes - strtab->sh_offset || st_name >= strtab->sh_size)
		return "";
	const char *name = (const char *)plan->elf + strtab->sh_offset + st_name;

	return memchr(name, 0, strtab->sh_size - st_name) ? name : "";
}

static int add_table(const struct elf_plan *plan, Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh,
		     struct symbols *out)
{
	GElf_Shdr strtab = {0};
	Elf_Data *data = elf_getdata(scn, NULL);

	if (!data || !data->d_buf || data->d_type != ELF_T_SYM)
		return 0;
	gelf_getshdr(elf_getscn(elf, sh->sh_link), &strtab);

	const size_t n = data->d_size / sizeof(Elf64_Sym);
	struct symbol *grown = reallocarray(out->symbol, out->n + n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	out->symbol = grown;
	for (size_t i = 0; i < n && i < INT32_MAX; i++) {
		GElf_Sym sym;

		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF)
			continue;
		int type = GELF_ST_TYPE(sym.st_info);

		if (type == STT_SECTION || type == STT_FILE || type == STT_TLS ||
		    !in_text(plan, sym.st_value))
			continue;
		bool function = type == STT_FUNC || type == STT_GNU_IFUNC;

		out->symbol[out->n++] = (struct symbol){
			.addr = sym.st_value,
			.bytes = sym.st_size,
			.name = name_at(plan, &strtab, sym.st_name),
			.function =
				function && sym.st_size && elf_at(plan, sym.st_value, sym.st_size),
			.guessed = function && !sym.st_size,
		};
	}
	return 0;
}

static int by_addr(const void *pa, const void *pb)
{
	const struct symbol *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	if (a->function != b->function)
		return a->function ? -1 : 1;
	return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

/* musl's assembly functions have no size: they end where the next symbol starts at last. */
static void guess_sizes(const struct elf_plan *plan, struct symbols *out)
{
	for (size_t i = 0; i < out->n; i++) {
		struct symbol *symbol = &out->symbol[i];
		size_t next = i + 1;

		if (!symbol->guessed)
			continue;
		while (next < out->n && out->symbol[next].addr == symbol->addr)
			next++;
		if (next == out->n || out->symbol[i].addr == out->symbol[next].addr)
			continue;
		symbol->bytes = out->symbol[next].addr - symbol->addr;
		symbol->function = elf_at(plan, symbol->addr, symbol->bytes);
	}
}

int symbols_read(const struct elf_plan *plan, struct symbols *out)
{
	int ret = 0;

	*out = (struct symbols){.stripped = true};
	elf_version(EV_CURRENT);
	Elf *elf = elf_memory((char *)(uintptr_t)plan->elf, plan->elf_bytes);

	for (Elf_Scn *scn = NULL; !ret && elf && (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh))
			continue;
		if (sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM)
			continue;
		if (sh.sh_type == SHT_SYMTAB)
			out->stripped = false;
		ret = add_table(plan, elf, scn, &sh, out);
	}
	if (!ret && elf && out->stripped)
		ret = frames_read(plan, elf, out);
	elf_end(elf);
	if (ret) {
		symbols_free(out);
		return ret;
	}
	if (out->n)
		qsort(out->symbol, out->n, sizeof(*out->symbol), by_addr);
	guess_sizes(plan, out);
	return 0;
}

void symbols_free(struct symbols *symbols)
{
	free(symbols->symbol);
	*symbols = (struct symbols){0};
}
