/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_notes.c: the notes of a core file: registers, signal, arguments, auxiliary vector,
 * and which memory is which file's. Layouts are those of <sys/procfs.h>; NT_FILE's is in
 * Linux' fs/binfmt_elf.c (fill_files_note).
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "core.h"
#include "x86_paging.h"

/* What gdb expects of a Linux process; the guest's own selectors are others. */
#define LINUX_USER_CS 0x33
#define LINUX_USER_DS 0x2b

#define MAX_AUX   64u
#define MAX_WORDS (1u << 19) /* of arguments and environment: more do not fit the stack */
#define MAX_PHDRS 64u

_Static_assert(sizeof(struct elf_prstatus) == 336, "ABI");
_Static_assert(sizeof(struct elf_prpsinfo) == 136, "ABI");
_Static_assert(sizeof(siginfo_t) == 128, "ABI");
_Static_assert(sizeof(struct user_regs_struct) == sizeof(elf_gregset_t), "ABI");

struct notes {
	uint8_t *buf;
	size_t n, room;
	bool failed;
};

static void put(struct notes *notes, const void *data, size_t bytes)
{
	size_t padded = (bytes + 3) & ~(size_t)3;

	if (notes->room - notes->n < padded) {
		size_t room = 2 * (notes->room + padded);
		uint8_t *more = realloc(notes->buf, room);

		if (!more) {
			notes->failed = true;
			return;
		}
		notes->buf = more;
		notes->room = room;
	}
	memset(notes->buf + notes->n, 0, padded);
	if (bytes)
		memcpy(notes->buf + notes->n, data, bytes);
	notes->n += padded;
}

static void put_note(struct notes *notes, uint32_t type, const void *desc, size_t bytes)
{
	const Elf64_Nhdr head = {.n_namesz = 5, .n_descsz = (Elf64_Word)bytes, .n_type = type};

	put(notes, &head, sizeof(head));
	put(notes, "CORE", 5);
	put(notes, desc, bytes);
}

static void put_prstatus(struct notes *notes, const struct core_source *src)
{
	const struct noxs_regs *r = &src->crash->regs;
	const struct user_regs_struct regs = {
		.r15 = r->r15,
		.r14 = r->r14,
		.r13 = r->r13,
		.r12 = r->r12,
		.rbp = r->rbp,
		.rbx = r->rbx,
		.r11 = r->r11,
		.r10 = r->r10,
		.r9 = r->r9,
		.r8 = r->r8,
		.rax = r->rax,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.orig_rax = UINT64_MAX, /* in no system call that could be restarted */
		.rip = r->rip,
		.cs = LINUX_USER_CS,
		.eflags = r->rflags,
		.rsp = r->rsp,
		.ss = LINUX_USER_DS,
		.fs_base = r->fs_base,
		.gs_base = r->gs_base,
	};
	struct elf_prstatus status = {
		.pr_info.si_signo = (int)src->crash->signal,
		.pr_cursig = (short)src->crash->signal,
		.pr_pid = (pid_t)src->page->pid,
		.pr_pgrp = (pid_t)src->page->pid,
		.pr_sid = (pid_t)src->page->pid,
		.pr_fpvalid = src->fpregs != NULL,
	};

	memcpy(&status.pr_reg, &regs, sizeof(regs));
	put_note(notes, NT_PRSTATUS, &status, sizeof(status));
}

/* The arguments, with a blank between them, as far as there is room. */
static void read_args(const struct core_source *src, char *args, size_t size)
{
	uint64_t argc, pointer, at = src->page->rsp;
	size_t n = 0;

	if (pt_read(src->ram, src->root, at, &argc, sizeof(argc)) != sizeof(argc))
		return;
	for (uint64_t i = 0; i < argc && n + 1 < size; i++) {
		at += sizeof(pointer);
		if (pt_read(src->ram, src->root, at, &pointer, sizeof(pointer)) != sizeof(pointer))
			break;
		if (i)
			args[n++] = ' ';
		size_t got = pt_read(src->ram, src->root, pointer, args + n, size - 1 - n);

		n += strnlen(args + n, got);
		memset(args + n, 0, size - n);
	}
}

static void put_prpsinfo(struct notes *notes, const struct core_source *src)
{
	const char *slash = strrchr(src->program, '/'), *name = slash ? slash + 1 : src->program;
	struct elf_prpsinfo info = {
		.pr_sname = 'R',
		.pr_uid = src->page->uid,
		.pr_gid = src->page->gid,
		.pr_pid = (int)src->page->pid,
		.pr_pgrp = (int)src->page->pid,
		.pr_sid = (int)src->page->pid,
	};

	memcpy(info.pr_fname, name, strnlen(name, sizeof(info.pr_fname) - 1));
	read_args(src, info.pr_psargs, sizeof(info.pr_psargs));
	put_note(notes, NT_PRPSINFO, &info, sizeof(info));
}

static void put_siginfo(struct notes *notes, const struct core_source *src)
{
	siginfo_t info = {0};

	info.si_signo = (int)src->crash->signal;
	info.si_code = (int)src->crash->si_code;
	if (src->crash->kind == NOXS_CRASH_FAULT)
		info.si_addr = (void *)src->crash->address;
	put_note(notes, NT_SIGINFO, &info, sizeof(info));
}

/* The auxiliary vector stands above argc, argv, NULL, envp, NULL (System V ABI, 3.4.1). */
static void put_auxv(struct notes *notes, const struct core_source *src)
{
	Elf64_auxv_t aux[MAX_AUX];
	uint64_t argc, word, at = src->page->rsp;
	size_t n, left = MAX_WORDS;

	if (pt_read(src->ram, src->root, at, &argc, sizeof(argc)) != sizeof(argc) ||
	    argc > MAX_WORDS)
		return;
	at += (argc + 2) * sizeof(word);
	do {
		if (pt_read(src->ram, src->root, at, &word, sizeof(word)) != sizeof(word) ||
		    !left--)
			return;
		at += sizeof(word);
	} while (word);
	n = pt_read(src->ram, src->root, at, aux, sizeof(aux)) / sizeof(aux[0]);
	for (size_t i = 0; i < n; i++)
		if (aux[i].a_type == AT_NULL) {
			put_note(notes, NT_AUXV, aux, (i + 1) * sizeof(aux[0]));
			return;
		}
}

/* The program's headers, from its memory: they are only asked for offsets. */
struct headers {
	uint64_t bias;
	size_t n;
	Elf64_Phdr ph[MAX_PHDRS];
};

static void read_headers(const struct core_source *src, uint64_t start, struct headers *h)
{
	bool biased = false;
	Elf64_Ehdr eh;

	h->n = 0;
	if (pt_read(src->ram, src->root, start, &eh, sizeof(eh)) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_phentsize != sizeof(Elf64_Phdr) ||
	    eh.e_phoff > NOXS_PAGE || eh.e_phnum > MAX_PHDRS)
		return;
	h->n = pt_read(src->ram, src->root, start + eh.e_phoff, h->ph,
		       eh.e_phnum * sizeof(Elf64_Phdr)) /
	       sizeof(Elf64_Phdr);
	for (size_t i = 0; i < h->n && !biased; i++)
		if (h->ph[i].p_type == PT_LOAD) {
			h->bias = start - (h->ph[i].p_vaddr & ~(NOXS_PAGE - 1));
			biased = true;
		}
}

/* The file's offset at gva, and the end of the file's bytes there, instead of *end. */
static uint64_t offset_of(const struct headers *h, uint64_t gva, uint64_t *end)
{
	for (size_t i = 0; i < h->n; i++) {
		const Elf64_Phdr *ph = &h->ph[i];
		uint64_t start = (ph->p_vaddr + h->bias) & ~(NOXS_PAGE - 1);
		uint64_t file_end = ph->p_vaddr + h->bias + ph->p_filesz;

		if (ph->p_type != PT_LOAD || gva < start || gva >= file_end)
			continue;
		file_end = (file_end + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1);
		if (*end > file_end)
			*end = file_end;
		return (ph->p_offset & ~(NOXS_PAGE - 1)) + (gva - start);
	}
	return 0;
}

static void put_files(struct notes *notes, const struct core_source *src)
{
	uint64_t words[2 + 3 * NOXS_MAX_REGIONS] = {0, NOXS_PAGE}, *next = words + 2;
	const struct noxs_page *page = src->page;
	size_t name = strlen(src->program) + 1;
	struct headers headers = {0};
	uint8_t *desc;

	for (uint32_t i = 0; i < page->nregions && i < NOXS_MAX_REGIONS; i++) {
		const struct noxs_region *r = &page->region[i];
		uint64_t end = r->end;

		if (r->kind != NOXS_REGION_IMAGE)
			continue;
		if (!words[0]++)
			read_headers(src, r->start, &headers);
		next[2] = offset_of(&headers, r->start, &end) / NOXS_PAGE;
		next[0] = r->start;
		next[1] = end;
		next += 3;
	}
	size_t bytes = (size_t)(next - words) * sizeof(words[0]);

	desc = malloc(bytes + words[0] * name);
	if (!desc) {
		notes->failed = true;
		return;
	}
	memcpy(desc, words, bytes);
	for (uint64_t i = 0; i < words[0]; i++)
		memcpy(desc + bytes + i * name, src->program, name);
	put_note(notes, NT_FILE, desc, bytes + words[0] * name);
	free(desc);
}

int core_notes(const struct core_source *src, uint8_t **notes, size_t *bytes)
{
	struct notes all = {0};

	put_prstatus(&all, src);
	put_prpsinfo(&all, src);
	put_siginfo(&all, src);
	put_auxv(&all, src);
	put_files(&all, src);
	if (src->fpregs)
		put_note(&all, NT_FPREGSET, src->fpregs, sizeof(struct user_fpregs_struct));
	if (all.failed) {
		free(all.buf);
		return -ENOMEM;
	}
	*notes = all.buf;
	*bytes = all.n;
	return 0;
}
