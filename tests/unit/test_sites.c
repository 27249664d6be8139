/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sites.c: monitor/image's rewriting of system-call sites. Functions of a few bytes are
 * put into an ELF file with symbols; then the rewritten bytes and the stubs are compared with
 * what they must be. Addresses are small enough that expectations can be written out.
 */
/* clang-format off */
/* sources: monitor/image/code.c monitor/image/elf_check.c monitor/image/elf_layout.c monitor/image/frames.c monitor/image/inspect.c monitor/image/patch.c monitor/image/prepare.c monitor/image/refs.c monitor/image/sites.c monitor/image/store.c monitor/image/symbols.c monitor/image/trim.c monitor/err.c */
/* clang-format on */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/image/prepare.h"
#include "../../noxs/noxs.h"

/* One page of headers and symbols, one of text, one of data. */
#define BASE   0x400000ull
#define TEXT   (BASE + 0x1000) /* where functions are put */
#define STUBS  (BASE + 0x3000) /* data's page ends there */
#define STUB0  (STUBS + 16)    /* the first stub, behind the kernel's address */
#define FILE_N 0x3000

struct image {
	uint8_t b[FILE_N];
	unsigned int nsyms;
	size_t nstr;
};
enum { SYMTAB = 0x200, STRTAB = 0x800, SECTIONS = 0xe00, MAX_SYMS = 32 };

static void symbol(struct image *im, const char *name, int type, uint64_t addr, uint64_t bytes)
{
	Elf64_Sym sym = {
		.st_name = (Elf64_Word)im->nstr,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, type),
		.st_shndx = SHN_ABS,
		.st_value = addr,
		.st_size = bytes,
	};

	assert_true(im->nsyms < MAX_SYMS);
	memcpy(im->b + STRTAB + im->nstr, name, strlen(name) + 1);
	im->nstr += strlen(name) + 1;
	memcpy(im->b + SYMTAB + im->nsyms++ * sizeof(sym), &sym, sizeof(sym));
}

static void build(struct image *im)
{
	Elf64_Ehdr eh = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = TEXT,
		.e_phoff = sizeof(eh),
		.e_shoff = SECTIONS,
		.e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
	};
	Elf64_Phdr ph[2] = {
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_offset = 0x1000,
		 .p_vaddr = TEXT,
		 .p_filesz = 0x1000,
		 .p_memsz = 0x1000,
		 .p_align = 0x1000},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_W,
		 .p_offset = 0x2000,
		 .p_vaddr = TEXT + 0x1000,
		 .p_filesz = 0x1000,
		 .p_memsz = 0x1000,
		 .p_align = 0x1000},
	};

	memset(im, 0, sizeof(*im));
	memcpy(im->b, &eh, sizeof(eh));
	memcpy(im->b + sizeof(eh), ph, sizeof(ph));
	im->nstr = 1;
	im->nsyms = 1;
	memset(im->b + 0x1000, 0xcc, 0x1000);
}

static void put(struct image *im, uint64_t addr, const void *bytes, size_t n)
{
	memcpy(im->b + (addr - BASE), bytes, n);
}

/* Finish the section headers and prepare; the caller frees. */
static void prepare(struct image *im, struct image_out *out)
{
	struct err err = {0};
	Elf64_Shdr sh[3] = {
		{0},
		{.sh_type = SHT_SYMTAB,
		 .sh_offset = SYMTAB,
		 .sh_link = 2,
		 .sh_info = 1,
		 .sh_size = im->nsyms * sizeof(Elf64_Sym),
		 .sh_entsize = sizeof(Elf64_Sym),
		 .sh_addralign = 8},
		{.sh_type = SHT_STRTAB,
		 .sh_offset = STRTAB,
		 .sh_size = im->nstr,
		 .sh_addralign = 1},
	};

	put(im, BASE + SECTIONS, sh, sizeof(sh));
	if (image_prepare(im->b, sizeof(im->b), "prog", out, &err))
		fail_msg("%s", err.message);
}

static const uint8_t *text(const struct image_out *out, uint64_t addr)
{
	const struct prepared_segment *s = &out->header->segment[0];

	return out->file + s->file_off + (addr - s->vaddr);
}

static const uint8_t *stub(const struct image_out *out, uint64_t addr)
{
	const struct prepared_segment *s = &out->header->segment[2];

	assert_int_equal(out->header->nsegments, 3);
	assert_int_equal(s->stubs, 1);
	assert_int_equal(s->vaddr, STUBS);
	assert_int_equal(s->prot, PREPARED_R | PREPARED_X);
	return out->file + s->file_off + (addr - s->vaddr);
}

/* Read the rel32 at *p of an instruction at address addr whose field is its end. */
static uint64_t target(const uint8_t *p, uint64_t end)
{
	int32_t rel;

	memcpy(&rel, p, sizeof(rel));
	return end + (uint64_t)(int64_t)rel;
}

/* The stub's end: lea after(%rip), %rcx; jmp *STUBS(%rip). Returns the bytes it takes. */
static unsigned int check_leave(const uint8_t *p, uint64_t addr, uint64_t after)
{
	assert_memory_equal(p, "\x48\x8d\x0d", 3);
	assert_int_equal(target(p + 3, addr + 7), after);
	assert_memory_equal(p + 7, "\xff\x25", 2);
	assert_int_equal(target(p + 9, addr + 13), STUBS);
	return 13;
}

static void check_jump(const uint8_t *p, uint64_t addr, uint64_t to)
{
	assert_int_equal(p[0], 0xe9);
	assert_int_equal(target(p + 1, addr + 5), to);
}

/* Nothing is rewritten in this one function, and its site's state is as expected. */
static void untouched(const void *code, size_t n, enum site_state state)
{
	struct image im;
	struct image_out out;

	build(&im);
	put(&im, TEXT, code, n);
	symbol(&im, "f", STT_FUNC, TEXT, n);
	prepare(&im, &out);
	assert_int_equal(out.header->rewritten, 0);
	assert_int_equal(out.header->nsegments, 2);
	assert_int_equal(out.header->brk, TEXT + 0x2000);
	assert_memory_equal(text(&out, TEXT), code, n);
	assert_int_equal(out.header->sites, 1);
	assert_int_equal(out.sites.count[state], 1);
	image_free(&out);
}
#define UNTOUCHED(code, state) untouched(code, sizeof(code) - 1, state)

/* mov $39, %eax; xor %edi, %edi; syscall; ret: technique A. */
static void test_one_instruction(void **state)
{
	static const char code[] = "\xf3\x0f\x1e\xfa\xb8\x27\0\0\0\x31\xff\x0f\x05\xc3";
	const uint64_t entry = NOXS_GVA_FAST_ENTRY;
	struct image im;
	struct image_out out;

	(void)state;
	build(&im);
	put(&im, TEXT, code, 14);
	symbol(&im, "f", STT_FUNC, TEXT, 14);
	prepare(&im, &out);
	assert_int_equal(out.header->sites, 1);
	assert_int_equal(out.header->rewritten, 1);
	assert_int_equal(out.header->brk, STUBS + 0x1000);
	assert_memory_equal(text(&out, TEXT), code, 4); /* endbr64 stays */
	check_jump(text(&out, TEXT + 4), TEXT + 4, STUB0);
	assert_memory_equal(text(&out, TEXT + 9), code + 9, 5); /* and so does the rest */
	assert_memory_equal(stub(&out, STUBS), &entry, 8);
	assert_memory_equal(stub(&out, STUB0), code + 4, 7);
	check_leave(stub(&out, STUB0 + 7), STUB0 + 7, TEXT + 13);
	image_free(&out);
}

/* The nearest of two; a longer one is filled with nops; a lea is adapted to its new place. */
static void test_nearest_and_lea(void **state)
{
	/* mov $1, %eax; lea 0x1000(%rip), %rsi; xor %edx, %edx; syscall; ret */
	static const char code[] = "\xb8\x01\0\0\0\x48\x8d\x35\0\x10\0\0\x31\xd2\x0f\x05\xc3";
	struct image im;
	struct image_out out;

	(void)state;
	build(&im);
	put(&im, TEXT, code, 17);
	symbol(&im, "f", STT_FUNC, TEXT, 17);
	prepare(&im, &out);
	assert_int_equal(out.header->rewritten, 1);
	assert_memory_equal(text(&out, TEXT), code, 5);
	check_jump(text(&out, TEXT + 5), TEXT + 5, STUB0);
	assert_memory_equal(text(&out, TEXT + 10), "\x90\x90", 2);
	assert_memory_equal(text(&out, TEXT + 12), code + 12, 5);
	assert_memory_equal(stub(&out, STUB0), "\x48\x8d\x35", 3);
	assert_int_equal(target(stub(&out, STUB0 + 3), STUB0 + 7), TEXT + 12 + 0x1000);
	assert_memory_equal(stub(&out, STUB0 + 7), "\x31\xd2", 2);
	check_leave(stub(&out, STUB0 + 9), STUB0 + 9, TEXT + 16);
	image_free(&out);
}

/* Several short instructions before the syscall: technique A'. */
static void test_several(void **state)
{
	/* mov %rsi, %rdi; xor %eax, %eax; syscall; ret */
	static const char code[] = "\x48\x89\xf7\x31\xc0\x0f\x05\xc3";
	struct image im;
	struct image_out out;

	(void)state;
	build(&im);
	put(&im, TEXT, code, 8);
	symbol(&im, "f", STT_FUNC, TEXT, 8);
	prepare(&im, &out);
	assert_int_equal(out.header->rewritten, 1);
	check_jump(text(&out, TEXT), TEXT, STUB0);
	assert_memory_equal(text(&out, TEXT + 5), "\x0f\x05\xc3", 3);
	assert_memory_equal(stub(&out, STUB0), code, 5);
	check_leave(stub(&out, STUB0 + 5), STUB0 + 5, TEXT + 7);
	image_free(&out);
}

/* push; xor; syscall; cmp; ret: too little before it that can be moved: technique B. */
static const char around[] = "\x53\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\x5b\xc3";

static void test_around(void **state)
{
	struct image im;
	struct image_out out;

	(void)state;
	build(&im);
	put(&im, TEXT, around, 13);
	symbol(&im, "f", STT_FUNC, TEXT, 13);
	prepare(&im, &out);
	assert_int_equal(out.header->rewritten, 1);
	/* The window is syscall and cmp: 8 bytes. */
	assert_memory_equal(text(&out, TEXT), around, 3);
	check_jump(text(&out, TEXT + 3), TEXT + 3, STUB0);
	assert_memory_equal(text(&out, TEXT + 8), "\x90\x90\x90", 3);
	assert_memory_equal(text(&out, TEXT + 11), around + 11, 2);
	/* Back into the stub, behind a syscall that a restarted call finds. */
	check_leave(stub(&out, STUB0), STUB0, STUB0 + 15);
	assert_memory_equal(stub(&out, STUB0 + 13), "\x0f\x05", 2);
	assert_memory_equal(stub(&out, STUB0 + 15), around + 5, 6);
	check_jump(stub(&out, STUB0 + 21), STUB0 + 21, TEXT + 11);
	image_free(&out);
}

/* What follows may be a jump: mov %rdx, %rax; syscall; jmp back to the mov. */
static void test_around_loop(void **state)
{
	static const char code[] = "\x53\x31\xc0\x0f\x05\xeb\xfa\xc3";
	struct image im;
	struct image_out out;

	(void)state;
	build(&im);
	put(&im, TEXT, code, 8);
	symbol(&im, "f", STT_FUNC, TEXT, 8);
	prepare(&im, &out);
	assert_int_equal(out.header->rewritten, 1);
	check_jump(text(&out, TEXT + 1), TEXT + 1, STUB0);
	assert_memory_equal(stub(&out, STUB0), "\x31\xc0", 2);
	check_leave(stub(&out, STUB0 + 2), STUB0 + 2, STUB0 + 17);
	check_jump(stub(&out, STUB0 + 17), STUB0 + 17, TEXT + 1);
	image_free(&out);
}

/* Whatever may enter the window keeps it as it is. */
static void test_entered(void **state)
{
	struct image im;
	struct image_out out;
	uint64_t inside = TEXT + 5;
	int32_t rel;

	(void)state;
	/* A branch of the function itself: jne to the cmp. */
	UNTOUCHED("\x53\x75\x04\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\x5b\xc3", SITE_NO_WINDOW);
	/* An indirect jump in it: push; xor; syscall; cmp; jmp *%rax. */
	UNTOUCHED("\x53\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\xff\xe0", SITE_NO_WINDOW);

	for (int how = 0; how < 6; how++) {
		build(&im);
		put(&im, TEXT, around, 13);
		symbol(&im, "f", STT_FUNC, TEXT, 13);
		switch (how) {
		case 0: /* a symbol */
			symbol(&im, "g", STT_NOTYPE, inside, 0);
			break;
		case 1: /* a pointer in data */
			put(&im, TEXT + 0x1003, &inside, 8);
			break;
		case 2: /* a jump of anybody */
			rel = (int32_t)(inside - (TEXT + 0x805));
			put(&im, TEXT + 0x800, "\xe9", 1);
			put(&im, TEXT + 0x801, &rel, 4);
			break;
		case 3: /* a conditional one */
			rel = (int32_t)(inside - (TEXT + 0x806));
			put(&im, TEXT + 0x800, "\x0f\x84", 2);
			put(&im, TEXT + 0x802, &rel, 4);
			break;
		case 4: /* a short jump of the next function */
			put(&im, TEXT + 0x20, "\xeb\xe3", 2);
			break;
		case 5: /* its address is taken: lea */
			rel = (int32_t)(inside - (TEXT + 0x807));
			put(&im, TEXT + 0x800, "\x48\x8d\x05", 3);
			put(&im, TEXT + 0x803, &rel, 4);
			break;
		}
		prepare(&im, &out);
		assert_int_equal(out.sites.count[SITE_REFERENCED], 1);
		assert_memory_equal(text(&out, TEXT), around, 13);
		image_free(&out);
	}
	/* gcc's second part of a function may have a jump table into the first. */
	build(&im);
	put(&im, TEXT, around, 13);
	symbol(&im, "f", STT_FUNC, TEXT, 13);
	symbol(&im, "f.cold", STT_FUNC, TEXT + 0x100, 1);
	prepare(&im, &out);
	assert_int_equal(out.sites.count[SITE_NO_WINDOW], 1);
	image_free(&out);
}

/* musl's cancellation points compare program counters with labels around the syscall. */
static void test_labels(void **state)
{
	static const char code[] = "\xb8\x27\0\0\0\x31\xff\x0f\x05\xc3";
	struct image im;
	struct image_out out;

	(void)state;
	for (uint64_t at = 5; at <= 9; at += 4) {
		build(&im);
		put(&im, TEXT, code, 10);
		symbol(&im, "f", STT_FUNC, TEXT, 10);
		symbol(&im, "__cp_end", STT_NOTYPE, TEXT + at, 0);
		prepare(&im, &out);
		assert_int_equal(out.sites.count[SITE_REFERENCED], 1);
		image_free(&out);
	}
}

static void test_left_alone(void **state)
{
	(void)state;
	/* Does not decode to the end: the last instruction is cut off. */
	UNTOUCHED("\xb8\x27\0\0\0\x0f\x05\xc3\xb8\x01", SITE_UNCLEAN);
	/* A byte that is no instruction. */
	UNTOUCHED("\xb8\x27\0\0\0\x0f\x05\xc3\x06", SITE_UNCLEAN);
	/* A branch into an instruction: the boundaries are wrong. */
	UNTOUCHED("\x74\x01\xb8\x27\0\0\0\x0f\x05\xc3", SITE_UNCLEAN);
	/* rt_sigreturn: mov $15, %rax. */
	UNTOUCHED("\x48\xc7\xc0\x0f\0\0\0\x0f\x05\xc3", SITE_SIGRETURN);
	/* The flags are used: syscall; jne. */
	UNTOUCHED("\xb8\x27\0\0\0\x0f\x05\x75\x00\xc3", SITE_FLAGS);
	/* They may be used on one of two ways: syscall; inc; jrcxz (inc leaves the carry). */
	UNTOUCHED("\xb8\x27\0\0\0\x0f\x05\xff\xc0\xe3\x00\xc3", SITE_FLAGS);
	/* A load that may fault right before it, and a call. */
	UNTOUCHED("\x48\x8b\x07\x0f\x05\x5b\xc3", SITE_NO_WINDOW);
	UNTOUCHED("\xe8\0\0\0\0\x31\xc0\x0f\x05\x48\x3d\0\xf0\xff\xff\xc3", SITE_NO_WINDOW);
}

/* 0F 05 inside another instruction is no site: mov $0x50f, %eax. */
static void test_not_a_site(void **state)
{
	static const char code[] = "\xb8\x0f\x05\0\0\xc3";
	struct image im;
	struct image_out out;

	(void)state;
	build(&im);
	put(&im, TEXT, code, 6);
	symbol(&im, "f", STT_FUNC, TEXT, 6);
	prepare(&im, &out);
	assert_int_equal(out.header->sites, 0);
	assert_memory_equal(text(&out, TEXT), code, 6);
	image_free(&out);
}

/* Lies in the symbol table: beyond the text, in data, wrapping; nothing may be touched. */
static void test_bad_symbols(void **state)
{
	static const char code[] = "\xb8\x27\0\0\0\x31\xff\x0f\x05\xc3";
	static const uint64_t lies[][2] = {
		{TEXT, 0x1001}, {TEXT, UINT64_MAX}, {TEXT + 0x1000, 10}, {UINT64_MAX, 10}, {0, 0},
	};
	struct image im;
	struct image_out out;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		build(&im);
		put(&im, TEXT, code, 10);
		put(&im, TEXT + 0x1000, code, 10);
		symbol(&im, "f", STT_FUNC, lies[i][0], lies[i][1]);
		prepare(&im, &out);
		assert_int_equal(out.sites.count[SITE_NO_FUNCTION], 1);
		assert_int_equal(out.header->rewritten, 0);
		image_free(&out);
	}
}

/* Two sites: each its own stub, in order; a window never reaches into another. */
static void test_two_sites(void **state)
{
	/* mov; syscall; mov %rax, %rdi; xor %eax, %eax; syscall; ret */
	static const char code[] = "\xb8\x27\0\0\0\x0f\x05\x48\x89\xc7\x31\xc0\x0f\x05\xc3";
	struct image im;
	struct image_out out;

	(void)state;
	build(&im);
	put(&im, TEXT, code, 15);
	symbol(&im, "f", STT_FUNC, TEXT, 15);
	prepare(&im, &out);
	assert_int_equal(out.header->rewritten, 2);
	check_jump(text(&out, TEXT), TEXT, STUB0);
	check_leave(stub(&out, STUB0 + 5), STUB0 + 5, TEXT + 7);
	check_jump(text(&out, TEXT + 7), TEXT + 7, STUB0 + 32);
	assert_memory_equal(stub(&out, STUB0 + 32), code + 7, 5);
	check_leave(stub(&out, STUB0 + 37), STUB0 + 37, TEXT + 14);
	image_free(&out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_instruction), cmocka_unit_test(test_nearest_and_lea),
		cmocka_unit_test(test_several),         cmocka_unit_test(test_around),
		cmocka_unit_test(test_around_loop),     cmocka_unit_test(test_entered),
		cmocka_unit_test(test_labels),          cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_not_a_site),      cmocka_unit_test(test_bad_symbols),
		cmocka_unit_test(test_two_sites),
	};

	return cmocka_run_group_tests_name("sites", tests, NULL, NULL);
}
