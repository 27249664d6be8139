/* SPDX-License-Identifier: Apache-2.0 */
/* core_world.c: see core_world.h. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core_world.h"

uint8_t *world_at(const struct world *w, uint64_t gpa)
{
	uint8_t *p = gmem_at(&w->ram, gpa, NOXS_PAGE);

	assert_non_null(p);
	return p;
}

static void map(struct world *w, uint64_t gva, uint64_t gpa, uint64_t pages, unsigned flags)
{
	assert_int_equal(pt_map(&w->pt, gva, gpa, pages * NOXS_PAGE, flags), 0);
}

/* argc, argv, envp, auxv as the ABI has them, and two arguments' text. */
static void fill_stack(struct world *w)
{
	const uint64_t gva = STACK_GVA + NOXS_PAGE;
	const uint64_t words[] = {2,         RSP + 256, RSP + 264, 0,        RSP + 272, 0,
				  AT_PAGESZ, 4096,      AT_ENTRY,  TEXT_GVA, AT_NULL,   0};
	uint8_t *page = world_at(w, DATA + 5 * NOXS_PAGE);

	memcpy(page + (RSP - gva), words, sizeof(words));
	memcpy(page + (RSP - gva) + 256, "prog\0\0\0\0two words\0", 18);
}

int world_set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	static const uint8_t elf[] = {0x7f, 'E', 'L', 'F'};

	*state = w;
	w->ram = (struct gmem){
		mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		RAM_BYTES};
	assert_int_equal(pt_init(&w->pt, &w->ram, TABLES, TABLE_MAX), 0);
	memcpy(world_at(w, DATA), elf, sizeof(elf));
	world_at(w, DATA + NOXS_PAGE)[5] = 0xcc;
	world_at(w, DATA + 2 * NOXS_PAGE)[7] = 42;
	fill_stack(w);
	map(w, TEXT_GVA, DATA, 2, PT_USER | PT_EXEC);
	map(w, DATA_GVA, DATA + 2 * NOXS_PAGE, 2, PT_USER | PT_WRITE); /* the second is zero */
	map(w, STACK_GVA, DATA + 4 * NOXS_PAGE, 2, PT_USER | PT_WRITE);
	map(w, NOXS_GVA_MACHINE, DATA, 1, PT_WRITE);
	assert_int_equal(pt_map_large(&w->pt, BIG_GVA, LARGE_GPA, 2ull << 20, PT_USER | PT_WRITE),
			 0);
	world_at(w, LARGE_GPA + 300 * NOXS_PAGE)[0] = 1;
	w->page.rsp = RSP;
	w->page.pid = 1;
	w->page.nregions = 2;
	w->page.region[0] = (struct noxs_region){TEXT_GVA, TEXT_GVA + 0x2000, DATA, NOXS_R | NOXS_X,
						 NOXS_REGION_IMAGE};
	w->page.region[1] = (struct noxs_region){DATA_GVA, DATA_GVA + 0x2000, DATA + 0x2000,
						 NOXS_R | NOXS_W, NOXS_REGION_IMAGE};
	w->crash = (struct noxs_crash){.kind = NOXS_CRASH_FAULT,
				       .signal = SIGSEGV,
				       .si_code = SEGV_MAPERR,
				       .address = 0x1234,
				       .regs = {.rip = TEXT_GVA + 0x1005,
						.rsp = RSP - 64,
						.rax = 7,
						.fs_base = 99,
						.rflags = 0x202}};
	w->src = (struct core_source){.ram = &w->ram,
				      .root = TABLES,
				      .page = &w->page,
				      .crash = &w->crash,
				      .program = "/usr/bin/some-program-or-other"};
	w->fd = memfd_create("core", 0);
	assert_true(w->fd >= 0);
	elf_version(EV_CURRENT);
	return 0;
}

int world_tear_down(void **state)
{
	struct world *w = *state;

	elf_end(w->elf);
	close(w->fd);
	munmap(w->ram.host, RAM_BYTES);
	free(w);
	return 0;
}

size_t world_dump(struct world *w, enum core_kind kind, bool whole_expected)
{
	struct err err = {0};
	bool whole = !whole_expected;
	size_t n;

	assert_int_equal(core_write(&w->src, kind, w->fd, "test", &whole, &err), 0);
	assert_int_equal(whole, whole_expected);
	w->elf = elf_begin(w->fd, ELF_C_READ, NULL);
	assert_non_null(w->elf);
	assert_int_equal(elf_getphdrnum(w->elf, &n), 0);
	return n;
}

GElf_Phdr world_segment(const struct world *w, uint64_t gva)
{
	struct stat st;
	GElf_Phdr ph;
	size_t n;

	assert_int_equal(fstat(w->fd, &st), 0);
	elf_getphdrnum(w->elf, &n);
	for (size_t i = 0; i < n; i++) {
		assert_non_null(gelf_getphdr(w->elf, (int)i, &ph));
		assert_true(ph.p_offset + ph.p_filesz <= (uint64_t)st.st_size);
		if (ph.p_type == PT_LOAD && ph.p_vaddr == gva)
			return ph;
	}
	fail_msg("there is no segment at 0x%llx", (unsigned long long)gva);
	return ph;
}

bool world_has_segment(const struct world *w, uint64_t gva)
{
	GElf_Phdr ph;
	size_t n;

	elf_getphdrnum(w->elf, &n);
	for (size_t i = 0; i < n; i++)
		if (gelf_getphdr(w->elf, (int)i, &ph) && ph.p_type == PT_LOAD && ph.p_vaddr == gva)
			return true;
	return false;
}

uint64_t *world_table(struct world *w, uint64_t gva, int level)
{
	uint64_t gpa = TABLES;

	for (int l = 4; l > level; l--)
		gpa = ((uint64_t *)world_at(w, gpa))[gva >> (12 + 9 * (l - 1)) & 511] & ~0xfffull;
	return (uint64_t *)world_at(w, gpa);
}
