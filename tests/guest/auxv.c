/* SPDX-License-Identifier: Apache-2.0 */
/* auxv.c: what the kernel tells a program at its start. */
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

extern const ElfW(Ehdr) __ehdr_start;
static unsigned char at_start[16];
extern char **environ;

/* The function that the vDSO has under this name, or NULL. */
static void *vdso_symbol(const char *name)
{
	const ElfW(Ehdr) *ehdr = (void *)getauxval(AT_SYSINFO_EHDR);
	const ElfW(Phdr) *ph = (void *)((const char *)ehdr + ehdr->e_phoff);
	const ElfW(Dyn) *dyn = NULL;
	const ElfW(Sym) *sym = NULL;
	const char *str = NULL;
	const ElfW(Word) *hash = NULL;
	ElfW(Addr) bias = 0;

	for (int i = 0; i < ehdr->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			bias = (ElfW(Addr))ehdr + ph[i].p_offset - ph[i].p_vaddr;
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (void *)((const char *)ehdr + ph[i].p_offset);
	}
	CHECK(dyn);
	for (; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_SYMTAB)
			sym = (void *)(dyn->d_un.d_ptr + bias);
		if (dyn->d_tag == DT_STRTAB)
			str = (void *)(dyn->d_un.d_ptr + bias);
		if (dyn->d_tag == DT_HASH)
			hash = (void *)(dyn->d_un.d_ptr + bias);
	}
	CHECK(sym && str);
	/* The number of symbols is DT_HASH's, which not every vDSO has: then a few. */
	for (ElfW(Word) i = 0; i < (hash ? hash[1] : 12); i++)
		if (sym[i].st_value && !strcmp(str + sym[i].st_name, name))
			return (void *)(sym[i].st_value + bias);
	return NULL;
}

int main(int argc, char **argv)
{
	const unsigned char *random = (void *)getauxval(AT_RANDOM);
	const ElfW(Phdr) *ph = (void *)getauxval(AT_PHDR);
	const char *name = (void *)getauxval(AT_EXECFN);
	const ElfW(Ehdr) *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
	int (*gettime)(clockid_t, struct timespec *);
	struct timespec a, b;
	int zeroes = 0;

	CHECK(argc == 1 && argv[0] && argv[1] == NULL && environ != NULL);
	CHECK(random && name && vdso);
	for (int i = 0; i < 16; i++)
		zeroes += !random[i];
	CHECK(zeroes < 4 && memcmp(random, at_start, 16));
	CHECK(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_CLKTCK) == 100);
	CHECK(getauxval(AT_PHDR) == (unsigned long)&__ehdr_start + __ehdr_start.e_phoff);
	CHECK(getauxval(AT_PHNUM) == __ehdr_start.e_phnum);
	CHECK(getauxval(AT_PHENT) == sizeof(ElfW(Phdr)) && ph[0].p_type != 0);
	CHECK(getauxval(AT_ENTRY) && getauxval(AT_BASE) == 0 && getauxval(AT_SECURE) == 0);
	CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid());
	CHECK(strstr(name, "auxv"));
	CHECK(!strcmp((char *)getauxval(AT_PLATFORM), "x86_64"));
	CHECK(getauxval(AT_HWCAP) != 0);
	/* bit 1: FSGSBASE instructions, which then work */
	if (getauxval(AT_HWCAP2) & 2) {
		unsigned long fs;

		__asm__ volatile("rdfsbase %0" : "=r"(fs));
		CHECK(fs != 0);
	}
	CHECK(!memcmp(vdso->e_ident, ELFMAG, SELFMAG) && vdso->e_type == ET_DYN);
	gettime = vdso_symbol("__vdso_clock_gettime");
	if (!gettime)
		gettime = vdso_symbol("clock_gettime");
	CHECK(gettime && gettime(CLOCK_MONOTONIC, &a) == 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &b) == 0 && b.tv_sec - a.tv_sec <= 1);
	return success();
}
