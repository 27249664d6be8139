/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_elf.c: monitor/image's checks. A small ELF file is built in memory; each test damages
 * one thing and expects the message that names it, or expects a plan.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/image/prepare.h"
#include "../../noxs/noxs.h"

#define BASE 0x400000ull

/* Headers and text in the first page, data in the second. */
struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[20]; /* 0: text, 1: data, 2: PT_GNU_STACK, 3: spare (PT_NULL) */
	uint8_t text[0x1000 - sizeof(Elf64_Ehdr) - 20 * sizeof(Elf64_Phdr)];
	uint8_t data[0x1000];
};
_Static_assert(sizeof(struct image) == 0x2000, "two pages");

#define TEXT offsetof(struct image, text)

static const uint8_t exit_code[] = {0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05};

static void build(struct image *im)
{
	memset(im, 0, sizeof(*im));
	memcpy(im->eh.e_ident, ELFMAG, SELFMAG);
	im->eh.e_ident[EI_CLASS] = ELFCLASS64;
	im->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	im->eh.e_ident[EI_VERSION] = EV_CURRENT;
	im->eh.e_type = ET_EXEC;
	im->eh.e_machine = EM_X86_64;
	im->eh.e_version = EV_CURRENT;
	im->eh.e_entry = BASE + TEXT;
	im->eh.e_phoff = offsetof(struct image, ph);
	im->eh.e_ehsize = sizeof(Elf64_Ehdr);
	im->eh.e_phentsize = sizeof(Elf64_Phdr);
	im->eh.e_phnum = 4;
	im->ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				 .p_flags = PF_R | PF_X,
				 .p_vaddr = BASE,
				 .p_filesz = 0x1000,
				 .p_memsz = 0x1000,
				 .p_align = 0x1000};
	im->ph[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				 .p_flags = PF_R | PF_W,
				 .p_offset = 0x1000,
				 .p_vaddr = BASE + 0x2000,
				 .p_filesz = 0x123,
				 .p_memsz = 0x2800,
				 .p_align = 0x1000};
	im->ph[2] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
	memcpy(im->text, exit_code, sizeof(exit_code));
	memset(im->data, 0xaa, sizeof(im->data));
}

/* A copy of exactly n bytes, so that a sanitizer sees every read beyond. */
static int prepare(const void *elf, size_t n, struct image_out *out, struct err *err)
{
	void *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, elf, n);
	*err = (struct err){0};
	int ret = image_prepare(copy, n, "prog", out, err);

	free(copy);
	return ret;
}

static void refused(const void *elf, size_t n, const char *why)
{
	struct image_out out;
	struct err err;
	int ret = prepare(elf, n, &out, &err);

	if (ret >= 0 || !strstr(err.message, why))
		fail_msg("expected \"%s\", got %d \"%s\"", why, ret, err.message);
	assert_int_equal(err.exit, ERR_EXIT_IMAGE);
	assert_int_equal(strncmp(err.message, "prog: cannot run: ", 18), 0);
	assert_null(strchr(err.message, '\n'));
}

/* One damaged field each: what to write where, and the message. */
struct damage {
	size_t off, bytes;
	uint64_t value;
	const char *why;
};
#define EH(field, value, why)                                                                   \
	{                                                                                       \
		offsetof(struct image, eh.field), sizeof(((struct image *)0)->eh.field), value, \
			why                                                                     \
	}
#define PH(i, field, value, why)                                                               \
	{                                                                                      \
		offsetof(struct image, ph[i].field), sizeof(((struct image *)0)->ph[i].field), \
			value, why                                                             \
	}

static const struct damage damages[] = {
	EH(e_ident[0], 'X', "not an ELF file"),
	EH(e_ident[EI_CLASS], ELFCLASS32, "32-bit program"),
	EH(e_ident[EI_CLASS], 9, "ELF class is 9"),
	EH(e_ident[EI_DATA], ELFDATA2MSB, "big-endian"),
	EH(e_ident[EI_DATA], 7, "data encoding is 7"),
	EH(e_ident[EI_VERSION], 0, "ELF version is 0"),
	EH(e_ident[EI_OSABI], ELFOSABI_FREEBSD, "another operating system"),
	EH(e_machine, EM_AARCH64, "ARM64"),
	EH(e_machine, EM_386, "32-bit x86"),
	EH(e_machine, EM_RISCV, "RISC-V"),
	EH(e_machine, 4242, "machine 4242"),
	EH(e_type, ET_REL, "object file"),
	EH(e_type, ET_CORE, "core dump"),
	EH(e_type, 0x77, "ELF type is 119"),
	EH(e_version, 3, "ELF version is 3"),
	EH(e_phnum, 0, "no program headers"),
	EH(e_phnum, PN_XNUM, "65535 or more"),
	EH(e_phnum, 1000, "truncated"),
	EH(e_phentsize, 32, "32 bytes each"),
	EH(e_phoff, 0x2000, "truncated"),
	EH(e_phoff, UINT64_MAX - 8, "truncated"),
	EH(e_entry, BASE + 0x2000, "entry point"),
	EH(e_entry, BASE - 1, "entry point"),
	EH(e_entry, BASE + 0x1000, "entry point"),
	EH(e_entry, 0, "entry point"),
	PH(0, p_flags, PF_R, "entry point"),
	PH(0, p_flags, PF_R | PF_W | PF_X, "writable and executable"),
	PH(0, p_align, 0x1800, "not a power of two"),
	PH(0, p_align, 3, "not a power of two"),
	PH(0, p_offset, 0x10, "modulo the page size"),
	PH(0, p_vaddr, 0x1000, "below 0x10000"),
	PH(0, p_vaddr, BASE + 0x10000, "do not ascend"),
	PH(0, p_memsz, 0x2001, "overlap"),
	PH(0, p_memsz, 0xfff, "more bytes in the file"),
	PH(0, p_filesz, 0x2001, "more bytes in the file"),
	PH(1, p_offset, 0x2000, "truncated"),
	PH(1, p_offset, UINT64_MAX - 0xfff, "truncated"),
	PH(1, p_memsz, UINT64_MAX, "too large or lies above"),
	PH(1, p_memsz, NOXS_GVA_USER_END, "too large or lies above"),
	PH(1, p_vaddr, NOXS_GVA_USER_END, "too large or lies above"),
	PH(1, p_vaddr, UINT64_MAX - 0xfff, "too large or lies above"),
	PH(1, p_vaddr, NOXS_GVA_USER_END - 0x2000, "too large or lies above"),
	PH(1, p_vaddr, BASE, "overlap"),
	PH(1, p_vaddr, BASE - 0x1000, "do not ascend"),
	PH(3, p_type, PT_INTERP, "dynamically linked"),
};

static void test_damages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct image im;

		build(&im);
		memcpy((uint8_t *)&im + damages[i].off, &damages[i].value, damages[i].bytes);
		refused(&im, sizeof(im), damages[i].why);
	}
}

static void test_no_elf(void **state)
{
	(void)state;
	refused("", 0, "empty");
	refused("#!/bin/sh\n", 10, "script");
	refused("hello", 5, "not an ELF file");
	refused("\x7f", 1, "truncated");
	refused("\x7f"
		"EL!",
		4, "not an ELF file");
}

static void test_interp(void **state)
{
	static const char loader[] = "/lib64/ld-linux-x86-64.so.2";
	struct image im;

	(void)state;
	build(&im);
	memcpy(im.data, loader, sizeof(loader));
	im.ph[3] =
		(Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 0x1000, .p_filesz = sizeof(loader)};
	refused(&im, sizeof(im), "needs /lib64/ld-linux-x86-64.so.2; link with -static");
	im.data[3] = '\n'; /* one line, whatever the file says */
	refused(&im, sizeof(im), "needs /li?64/");
	im.ph[3].p_offset = UINT64_MAX;
	refused(&im, sizeof(im), "needs a dynamic loader");
}

static void test_dynamic(void **state)
{
	struct image im;
	Elf64_Dyn dyn[2] = {{.d_tag = DT_NEEDED}};

	(void)state;
	build(&im);
	memcpy(im.data, dyn, sizeof(dyn));
	im.ph[3] = (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_offset = 0x1000, .p_filesz = sizeof(dyn)};
	refused(&im, sizeof(im), "needs shared libraries");
	im.ph[3].p_offset = 0x1fff;
	refused(&im, sizeof(im), "dynamic section lies beyond");
}

static void test_too_many(void **state)
{
	struct image im;

	(void)state;
	build(&im);
	im.eh.e_phnum = 20;
	for (unsigned int i = 2; i < 20; i++) {
		im.ph[i] = im.ph[1];
		im.ph[i].p_vaddr = BASE + 0x10000 * i;
	}
	refused(&im, sizeof(im), "more than 16 segments");

	im.eh.e_phnum = 1;
	im.ph[0].p_type = PT_NOTE;
	refused(&im, sizeof(im), "nothing to load");
}

static void test_truncation(void **state)
{
	struct image im;

	(void)state;
	build(&im);
	for (size_t n = 0; n < sizeof(im); n += n < 0x500 ? 1 : 37) {
		struct image_out out;
		struct err err;

		if (!prepare(&im, n, &out, &err)) {
			assert_true(n >= 0x1123);
			image_free(&out);
			continue;
		}
		assert_int_equal(err.exit, ERR_EXIT_IMAGE);
		if (n >= SELFMAG)
			assert_non_null(strstr(err.message, "truncated"));
	}
}

static void test_plan(void **state)
{
	struct image im;
	struct image_out out;
	struct err err;

	(void)state;
	build(&im);
	im.ph[2].p_memsz = 0x30000;
	assert_int_equal(prepare(&im, sizeof(im), &out, &err), 0);
	const struct prepared_header *h = out.header;

	assert_int_equal(h->magic, PREPARED_MAGIC);
	assert_int_equal(h->version, PREPARED_VERSION);
	assert_int_equal(h->pie, 0);
	assert_int_equal(h->nsegments, 2);
	assert_int_equal(h->entry, BASE + TEXT);
	assert_int_equal(h->phdr, BASE + offsetof(struct image, ph));
	assert_int_equal(h->phnum, 4);
	assert_int_equal(h->phent, sizeof(Elf64_Phdr));
	assert_int_equal(h->stack_bytes, 0x30000);
	assert_int_equal(h->segment[0].prot, PREPARED_R | PREPARED_X);
	assert_int_equal(h->segment[1].prot, PREPARED_R | PREPARED_W);
	assert_int_equal(h->segment[1].vaddr, BASE + 0x2000);
	assert_int_equal(h->segment[1].mem_bytes, 0x3000); /* 0x2800 rounded up */
	assert_int_equal(h->segment[1].file_bytes, 0x1000);
	assert_int_equal(h->brk, BASE + 0x5000);
	assert_int_equal(h->file_bytes, out.bytes);
	/* No symbols: the site is found and left alone. */
	assert_int_equal(h->sites, 1);
	assert_int_equal(h->rewritten, 0);

	/* What follows the file's bytes in a segment's last page is bss: zero. */
	const uint8_t *data = out.file + h->segment[1].file_off;

	assert_int_equal(data[0x122], 0xaa);
	for (int i = 0x123; i < 0x1000; i++)
		assert_int_equal(data[i], 0);
	assert_memory_equal(out.file + h->segment[0].file_off, &im, 0x1000);
	image_free(&out);
}

static void test_pie(void **state)
{
	struct image im;
	struct image_out out;
	struct err err;

	(void)state;
	build(&im);
	im.eh.e_type = ET_DYN;
	im.eh.e_entry = TEXT;
	im.ph[0].p_vaddr = 0;
	im.ph[0].p_align = 0x200000;
	im.ph[1].p_vaddr = 0x2000;
	assert_int_equal(prepare(&im, sizeof(im), &out, &err), 0);
	assert_int_equal(out.header->pie, 1);
	assert_int_equal(out.header->align, 0x200000);
	assert_int_equal(out.header->segment[0].vaddr, 0);
	assert_int_equal(out.header->entry, TEXT);
	image_free(&out);
	im.ph[1].p_memsz = (NOXS_GVA_PIE_END - NOXS_GVA_PIE) / 2;
	refused(&im, sizeof(im), "where a position-independent program must end");
}

/* bss alone, and loads of no size. */
static void test_bss(void **state)
{
	struct image im;
	struct image_out out;
	struct err err;

	(void)state;
	build(&im);
	im.ph[1].p_filesz = 0;
	im.ph[3] = im.ph[1];
	im.ph[3].p_memsz = 0;
	assert_int_equal(prepare(&im, sizeof(im), &out, &err), 0);
	assert_int_equal(out.header->nsegments, 2);
	assert_int_equal(out.header->segment[1].file_bytes, 0);
	assert_int_equal(out.header->segment[1].mem_bytes, 0x3000);
	image_free(&out);
}

/* Two segments that meet in one page: by protection, what becomes of the page. */
static void test_shared_page(void **state)
{
	static const struct {
		uint32_t first, second;        /* p_flags */
		int first_pages, second_pages; /* of 2 + 1 with one shared; 0: refused */
	} cases[] = {
		{PF_R, PF_R | PF_X, 1, 2},        {PF_R | PF_X, PF_R, 2, 1},
		{PF_R, PF_R | PF_W, 1, 2},        {PF_R | PF_W, PF_R, 2, 1},
		{PF_R | PF_X, PF_R | PF_W, 0, 0}, {PF_R | PF_W, PF_R | PF_X, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image im;
		struct image_out out;
		struct err err;

		build(&im);
		im.ph[1].p_vaddr = BASE + 0x10000; /* [10000, 11800) and [11800, 12800) */
		im.ph[1].p_flags = cases[i].first;
		im.ph[1].p_filesz = 0;
		im.ph[1].p_memsz = 0x1800;
		im.ph[3] = im.ph[1];
		im.ph[3].p_vaddr = BASE + 0x11800;
		im.ph[3].p_offset = 0x1800;
		im.ph[3].p_memsz = 0x1000;
		im.ph[3].p_filesz = 0x100;
		im.ph[3].p_flags = cases[i].second;
		if (!cases[i].first_pages) {
			refused(&im, sizeof(im), "two segments share it");
			continue;
		}
		assert_int_equal(prepare(&im, sizeof(im), &out, &err), 0);
		const struct prepared_segment *s = &out.header->segment[1];

		assert_int_equal(out.header->nsegments, 3);
		assert_int_equal(s[0].mem_bytes, 0x1000 * cases[i].first_pages);
		assert_int_equal(s[1].mem_bytes, 0x1000 * cases[i].second_pages);
		assert_int_equal(s[1].vaddr, s[0].vaddr + s[0].mem_bytes);
		/* The bytes are there, whoever has the page. */
		uint64_t page = BASE + 0x11000;
		const struct prepared_segment *owner = page < s[1].vaddr ? &s[0] : &s[1];
		const uint8_t *bytes = out.file + owner->file_off + (page - owner->vaddr);

		assert_int_equal(bytes[0x7ff], 0);
		assert_int_equal(bytes[0x800], 0xaa);
		assert_int_equal(bytes[0x8ff], 0xaa);
		assert_int_equal(bytes[0x900], 0);
		image_free(&out);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_elf),   cmocka_unit_test(test_damages),
		cmocka_unit_test(test_interp),   cmocka_unit_test(test_dynamic),
		cmocka_unit_test(test_too_many), cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_plan),     cmocka_unit_test(test_pie),
		cmocka_unit_test(test_bss),      cmocka_unit_test(test_shared_page),
	};

	return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
