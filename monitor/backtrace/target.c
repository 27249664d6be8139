/* SPDX-License-Identifier: Apache-2.0 */
/* target.c: see target.h. */
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "target.h"

static int add_loads(struct target *t, Elf *elf, uint64_t bias, const char *what, struct err *err)
{
	size_t n, size;
	const char *file = elf_rawfile(elf, &size);

	if (!file || elf_getphdrnum(elf, &n) || n > TARGET_MAX_LOADS)
		return err_set(err, 0, "cannot read the segments of the %s", what);
	t->load = reallocarray(t->load, t->nloads + n + 1, sizeof(*t->load));
	if (!t->load)
		return err_set(err, ENOMEM, "cannot read the segments of the %s", what);
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_LOAD || !ph.p_filesz)
			continue;
		if (ph.p_offset > size || ph.p_filesz > size - ph.p_offset)
			continue;
		t->load[t->nloads++] = (struct target_load){
			.addr = ph.p_vaddr + bias,
			.bytes = ph.p_filesz,
			.data = (const uint8_t *)file + ph.p_offset,
			.exec = ph.p_flags & PF_X,
		};
	}
	return 0;
}

static void take_registers(struct target *t, const struct user_regs_struct *r)
{
	const uint64_t regs[TARGET_REGS] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi,
					    r->rbp, r->rsp, r->r8,  r->r9,  r->r10, r->r11,
					    r->r12, r->r13, r->r14, r->r15, r->rip};

	memcpy(t->regs, regs, sizeof(regs));
}

/* The first NT_PRSTATUS: a mayfly VM has one thread. */
static bool read_registers(struct target *t, Elf *core, const GElf_Phdr *ph)
{
	Elf_Data *data = elf_getdata_rawchunk(core, (int64_t)ph->p_offset, ph->p_filesz,
					      ph->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	size_t off = 0, name, desc;
	GElf_Nhdr note;

	while (data && (off = gelf_getnote(data, off, &note, &name, &desc)) > 0) {
		struct elf_prstatus status;
		struct user_regs_struct regs;

		if (note.n_type != NT_PRSTATUS || note.n_descsz < sizeof(status))
			continue;
		memcpy(&status, (char *)data->d_buf + desc, sizeof(status));
		memcpy(&regs, &status.pr_reg, sizeof(regs));
		take_registers(t, &regs);
		return true;
	}
	return false;
}

int target_core(struct target *t, Elf *core, struct err *err)
{
	GElf_Ehdr eh;
	size_t n;

	if (!gelf_getehdr(core, &eh) || eh.e_type != ET_CORE || eh.e_machine != EM_X86_64 ||
	    elf_getphdrnum(core, &n))
		return err_set(err, 0, "this is no x86-64 core file");
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (gelf_getphdr(core, (int)i, &ph) && ph.p_type == PT_NOTE &&
		    read_registers(t, core, &ph))
			return add_loads(t, core, 0, "core file", err);
	}
	return err_set(err, 0, "the core file has no registers");
}

int target_program(struct target *t, Elf *program, uint64_t bias, struct err *err)
{
	GElf_Ehdr eh;

	if (!gelf_getehdr(program, &eh))
		return err_set(err, 0, "cannot read the header of the program");
	t->entry = eh.e_entry + bias;
	t->first_program_load = t->nloads;
	return add_loads(t, program, bias, "program", err);
}

bool target_read(const struct target *t, uint64_t addr, void *buf, size_t bytes)
{
	uint8_t *to = buf;

	while (bytes) {
		size_t n = 0;

		for (size_t i = 0; i < t->nloads && !n; i++) {
			const struct target_load *l = &t->load[i];

			if (addr < l->addr || addr - l->addr >= l->bytes)
				continue;
			n = l->bytes - (addr - l->addr);
			if (n > bytes)
				n = bytes;
			memcpy(to, l->data + (addr - l->addr), n);
		}
		if (!n)
			return false;
		to += n;
		addr += n;
		bytes -= n;
	}
	return true;
}

bool target_is_code(const struct target *t, uint64_t addr)
{
	for (size_t i = t->first_program_load; i < t->nloads; i++) {
		const struct target_load *l = &t->load[i];

		if (l->exec && addr >= l->addr && addr - l->addr < l->bytes)
			return true;
	}
	return false;
}
