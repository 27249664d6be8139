/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_check.c: checks an ELF file and makes a load plan of it; see elf_check.h.
 *
 * libelf reads the headers; every number that it returns is checked here again, for
 * libelf only promises not to read outside the file.
 */
#include <elf.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>

#include "../../noxs/noxs.h"
#include "elf_check.h"
#include "elf_layout.h"

/* refuse: the program cannot run; every message starts alike. */
#define refuse(err, name, fmt, ...) \
	err_set_exit(err, ERR_EXIT_IMAGE, 0, "%s: cannot run: " fmt, name, ##__VA_ARGS__)

/* The machines a user is likely to have built for by mistake. */
static const char *machine_name(unsigned int machine, char buf[32])
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_AARCH64:
		return "ARM64 (AArch64)";
	case EM_ARM:
		return "32-bit ARM";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "PowerPC64";
	case EM_S390:
		return "IBM S/390";
	case EM_MIPS:
		return "MIPS";
	case EM_LOONGARCH:
		return "LoongArch";
	case EM_BPF:
		return "BPF";
	}
	snprintf(buf, 32, "ELF machine %u", machine);
	return buf;
}

/* The first 64 bytes, before libelf is asked: its own refusals carry no reason. */
static int check_ident(const uint8_t *elf, size_t bytes, const char *name, struct err *err)
{
	if (!bytes)
		return refuse(err, name, "the file is empty");
	if (bytes >= 2 && !memcmp(elf, "#!", 2))
		return refuse(err, name,
			      "it is a script; run its interpreter (a static ELF "
			      "program) with the script as argument");
	if (memcmp(elf, ELFMAG, bytes < SELFMAG ? bytes : SELFMAG))
		return refuse(err, name,
			      "it is not an ELF file; mayfly runs static x86-64 Linux programs");
	if (bytes > EI_CLASS && elf[EI_CLASS] == ELFCLASS32)
		return refuse(err, name, "it is a 32-bit program; build it for x86-64");
	if (bytes < sizeof(Elf64_Ehdr))
		return refuse(err, name,
			      "the file is truncated: %zu bytes, the ELF header needs %zu; copy or "
			      "build it again",
			      bytes, sizeof(Elf64_Ehdr));
	if (elf[EI_CLASS] != ELFCLASS64)
		return refuse(err, name, "its ELF class is %u, neither 32 nor 64 bits; damaged?",
			      elf[EI_CLASS]);
	if (elf[EI_DATA] == ELFDATA2MSB)
		return refuse(err, name, "it is big-endian; build it for x86-64");
	if (elf[EI_DATA] != ELFDATA2LSB)
		return refuse(err, name, "its ELF data encoding is %u; damaged?", elf[EI_DATA]);
	if (elf[EI_VERSION] != EV_CURRENT)
		return refuse(err, name, "its ELF version is %u, not 1; damaged?", elf[EI_VERSION]);
	if (elf[EI_OSABI] != ELFOSABI_SYSV && elf[EI_OSABI] != ELFOSABI_GNU)
		return refuse(err, name,
			      "it is for another operating system (ELF OS ABI %u); "
			      "build it for Linux",
			      elf[EI_OSABI]);
	return 0;
}

static int check_header(const GElf_Ehdr *eh, size_t bytes, const char *name, struct err *err)
{
	char buf[32];

	if (eh->e_machine != EM_X86_64)
		return refuse(err, name, "it is for %s; build it for x86-64",
			      machine_name(eh->e_machine, buf));
	switch (eh->e_type) {
	case ET_EXEC:
	case ET_DYN:
		break;
	case ET_REL:
		return refuse(err, name,
			      "it is an object file (.o), not a program; link it with -static");
	case ET_CORE:
		return refuse(err, name, "it is a core dump, not a program");
	default:
		return refuse(err, name, "its ELF type is %u, not a program", eh->e_type);
	}
	if (eh->e_version != EV_CURRENT)
		return refuse(err, name, "its ELF version is %u, not 1; damaged?", eh->e_version);
	if (!eh->e_phnum)
		return refuse(err, name, "it has no program headers; link it with -static");
	if (eh->e_phnum == PN_XNUM)
		return refuse(err, name,
			      "it has 65535 or more program headers; mayfly takes %u "
			      "segments",
			      PREPARED_MAX_SEGMENTS);
	if (eh->e_phentsize != sizeof(Elf64_Phdr))
		return refuse(err, name, "its program headers are %u bytes each, not %zu; damaged?",
			      eh->e_phentsize, sizeof(Elf64_Phdr));
	if (eh->e_phoff > bytes || eh->e_phnum * sizeof(Elf64_Phdr) > bytes - eh->e_phoff)
		return refuse(err, name,
			      "the file is truncated: %u program headers at offset 0x%" PRIx64
			      " do not fit into %zu bytes; copy or build it again",
			      eh->e_phnum, eh->e_phoff, bytes);
	return 0;
}

/* A PT_INTERP means that somebody else is to load the program: say who. */
static int refuse_dynamic(const struct elf_plan *plan, const GElf_Phdr *ph, const char *name,
			  struct err *err)
{
	char interp[128] = "a dynamic loader";

	if (ph->p_offset < plan->elf_bytes) {
		size_t n = plan->elf_bytes - ph->p_offset;

		if (n > ph->p_filesz)
			n = ph->p_filesz;
		if (n > sizeof(interp) - 1)
			n = sizeof(interp) - 1;
		if (n && plan->elf[ph->p_offset]) {
			memcpy(interp, plan->elf + ph->p_offset, n);
			interp[n] = 0;
		}
		for (char *c = interp; *c; c++) {
			if (*c < ' ' || *c > '~')
				*c = '?'; /* a terminal will print this */
		}
	}
	return refuse(err, name, "it is dynamically linked: needs %s; link with -static", interp);
}

/* DT_NEEDED without PT_INTERP (a shared library, say), and text relocations. */
static int check_dynamic(struct elf_plan *plan, const GElf_Phdr *ph, const char *name,
			 struct err *err)
{
	if (ph->p_offset > plan->elf_bytes || ph->p_filesz > plan->elf_bytes - ph->p_offset)
		return refuse(err, name,
			      "the file is truncated: its dynamic section lies beyond "
			      "its end; copy or build it again");
	for (uint64_t off = 0; off + sizeof(Elf64_Dyn) <= ph->p_filesz; off += sizeof(Elf64_Dyn)) {
		Elf64_Dyn dyn;

		memcpy(&dyn, plan->elf + ph->p_offset + off, sizeof(dyn));
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_NEEDED)
			return refuse(err, name,
				      "it needs shared libraries but names no dynamic "
				      "loader (a shared library?); link with -static");
		if (dyn.d_tag == DT_TEXTREL ||
		    (dyn.d_tag == DT_FLAGS && dyn.d_un.d_val & DF_TEXTREL))
			plan->textrel = true;
	}
	return 0;
}

static uint32_t prot_of(uint32_t flags)
{
	/* As the page tables have it: what is mapped can be read. */
	uint32_t prot = PREPARED_R;

	if (flags & PF_W)
		prot |= PREPARED_W;
	if (flags & PF_X)
		prot |= PREPARED_X;
	return prot;
}

static int check_load(struct elf_plan *plan, const GElf_Phdr *ph, const char *name, struct err *err)
{
	const uint64_t limit =
		plan->pie ? (NOXS_GVA_PIE_END - NOXS_GVA_PIE) / 2 : NOXS_GVA_USER_END;
	const uint64_t align = ph->p_align ? ph->p_align : 1;

	if (ph->p_filesz > ph->p_memsz)
		return refuse(err, name,
			      "segment at 0x%" PRIx64 " has more bytes in the file than "
			      "in memory; damaged?",
			      ph->p_vaddr);
	if (ph->p_offset > plan->elf_bytes || ph->p_filesz > plan->elf_bytes - ph->p_offset)
		return refuse(err, name,
			      "the file is truncated: segment at 0x%" PRIx64
			      " ends at offset 0x%" PRIx64 "+0x%" PRIx64
			      ", the file at 0x%zx; copy or build it again",
			      ph->p_vaddr, ph->p_offset, ph->p_filesz, plan->elf_bytes);
	if (!ph->p_memsz)
		return 0; /* maps nothing, on Linux neither */
	if (align & (align - 1))
		return refuse(err, name,
			      "segment at 0x%" PRIx64 " has alignment 0x%" PRIx64
			      ", not a power of two; damaged?",
			      ph->p_vaddr, align);
	if ((ph->p_vaddr ^ ph->p_offset) & (NOXS_PAGE - 1))
		return refuse(err, name,
			      "segment at 0x%" PRIx64 " does not agree with its file "
			      "offset 0x%" PRIx64 " modulo the page size; link it without "
			      "-N/-n/--omagic/--nmagic",
			      ph->p_vaddr, ph->p_offset);
	/* One page is kept free so that rounding up cannot leave the window. */
	if (ph->p_vaddr > limit || ph->p_memsz > limit - NOXS_PAGE ||
	    ph->p_vaddr > limit - NOXS_PAGE - ph->p_memsz)
		return refuse(err, name,
			      "segment at 0x%" PRIx64 " of 0x%" PRIx64 " bytes is too "
			      "large or lies above 0x%" PRIx64 ", where %s must end",
			      ph->p_vaddr, ph->p_memsz, limit,
			      plan->pie ? "a position-independent program" : "programs");
	if (!plan->pie && ph->p_vaddr < NOXS_GVA_MIN)
		return refuse(err, name,
			      "segment at 0x%" PRIx64 " lies below 0x%llx, which is never "
			      "mapped; link it at a higher address",
			      ph->p_vaddr, NOXS_GVA_MIN);
	if ((ph->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
		return refuse(err, name,
			      "segment at 0x%" PRIx64 " is writable and executable; link "
			      "it without -N/--omagic and without RWX sections",
			      ph->p_vaddr);
	if (plan->nloads == PREPARED_MAX_SEGMENTS)
		return refuse(err, name, "it has more than %u segments; link it with fewer",
			      PREPARED_MAX_SEGMENTS);
	plan->load[plan->nloads++] = (struct elf_load){
		.vaddr = ph->p_vaddr,
		.mem_bytes = ph->p_memsz,
		.off = ph->p_offset,
		.file_bytes = ph->p_filesz,
		.prot = prot_of(ph->p_flags),
	};
	if (align > plan->align)
		plan->align = align > 0x200000 ? 0x200000 : align; /* prepared.h's most */
	return 0;
}

/* AT_PHDR: where a load has the program headers in memory, and all of them. */
static uint64_t find_phdr(const struct elf_plan *plan, uint64_t phoff)
{
	const uint64_t bytes = (uint64_t)plan->phnum * plan->phent;

	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];

		if (phoff >= load->off && bytes <= load->file_bytes &&
		    phoff - load->off <= load->file_bytes - bytes)
			return load->vaddr + (phoff - load->off);
	}
	return 0;
}

static int check_program_headers(Elf *elf, const GElf_Ehdr *eh, struct elf_plan *plan,
				 const char *name, struct err *err)
{
	GElf_Phdr ph;
	int ret;

	/* First what makes the rest pointless: who asks for a loader gets that message. */
	for (int i = 0; i < eh->e_phnum; i++) {
		if (!gelf_getphdr(elf, i, &ph))
			return refuse(err, name, "program header %d cannot be read (libelf: %s)", i,
				      elf_errmsg(-1));
		if (ph.p_type == PT_INTERP)
			return refuse_dynamic(plan, &ph, name, err);
	}
	for (int i = 0; i < eh->e_phnum; i++) {
		if (!gelf_getphdr(elf, i, &ph))
			return refuse(err, name, "program header %d cannot be read", i);
		ret = 0;
		if (ph.p_type == PT_LOAD)
			ret = check_load(plan, &ph, name, err);
		else if (ph.p_type == PT_DYNAMIC)
			ret = check_dynamic(plan, &ph, name, err);
		if (ret)
			return ret;
		if (ph.p_type == PT_GNU_STACK) {
			plan->exec_stack = ph.p_flags & PF_X;
			plan->stack_bytes = ph.p_memsz;
		}
	}
	if (!plan->nloads)
		return refuse(err, name,
			      "it has nothing to load (no PT_LOAD); link it with -static");
	return 0;
}

static int check_entry(const struct elf_plan *plan, const char *name, struct err *err)
{
	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];

		if (load->prot & PREPARED_X && plan->entry >= load->vaddr &&
		    plan->entry - load->vaddr < load->mem_bytes)
			return 0;
	}
	return refuse(err, name,
		      "its entry point 0x%" PRIx64 " is not in an executable segment "
		      "(a shared library?)",
		      plan->entry);
}

static int check(Elf *elf, const char *name, struct elf_plan *plan, struct err *err)
{
	GElf_Ehdr eh;
	int ret;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh))
		return refuse(err, name, "libelf cannot read it: %s", elf_errmsg(-1));
	ret = check_header(&eh, plan->elf_bytes, name, err);
	if (ret)
		return ret;
	plan->pie = eh.e_type == ET_DYN;
	plan->entry = eh.e_entry;
	plan->phnum = eh.e_phnum;
	plan->phent = sizeof(Elf64_Phdr);
	plan->align = NOXS_PAGE;
	ret = check_program_headers(elf, &eh, plan, name, err);
	if (ret)
		return ret;
	ret = elf_layout(plan, name, err);
	if (ret)
		return ret;
	plan->phdr = find_phdr(plan, eh.e_phoff);
	return check_entry(plan, name, err);
}

int elf_check(const void *image, size_t bytes, const char *name, struct elf_plan *plan,
	      struct err *err)
{
	*plan = (struct elf_plan){.elf = image, .elf_bytes = bytes};
	int ret = check_ident(image, bytes, name, err);

	if (ret)
		return ret;
	elf_version(EV_CURRENT);
	/* libelf only reads from an image that was not opened for writing. */
	Elf *elf = elf_memory((char *)(uintptr_t)image, bytes);

	ret = check(elf, name, plan, err);
	elf_end(elf);
	return ret;
}

const uint8_t *elf_at(const struct elf_plan *plan, uint64_t vaddr, uint64_t bytes)
{
	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];

		if (vaddr >= load->vaddr && bytes <= load->file_bytes &&
		    vaddr - load->vaddr <= load->file_bytes - bytes)
			return plan->elf + load->off + (vaddr - load->vaddr);
	}
	return NULL;
}
