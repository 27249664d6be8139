/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* sources: tests/unit/core_world.c monitor/core.c monitor/core_notes.c monitor/core_file.c monitor/x86_paging.c monitor/err.c */
/* clang-format on */
/* test_core.c: monitor/core.c: what a core file says, and what is said where it fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <unistd.h>

#include "core_world.h"

static uint8_t byte_at(const struct world *w, const GElf_Phdr *ph, uint64_t off)
{
	uint8_t b;

	assert_true(off < ph->p_filesz);
	assert_int_equal(pread(w->fd, &b, 1, (off_t)(ph->p_offset + off)), 1);
	return b;
}

/* A note's contents, copied to buf; its size. */
static size_t note(const struct world *w, uint32_t type, void *buf, size_t size)
{
	size_t off = 0, name, desc;
	GElf_Phdr ph;
	GElf_Nhdr nh;

	assert_non_null(gelf_getphdr(w->elf, 0, &ph));
	assert_int_equal(ph.p_type, PT_NOTE);
	Elf_Data *data =
		elf_getdata_rawchunk(w->elf, (int64_t)ph.p_offset, ph.p_filesz, ELF_T_NHDR);

	assert_non_null(data);
	while ((off = gelf_getnote(data, off, &nh, &name, &desc)) > 0) {
		assert_string_equal((char *)data->d_buf + name, "CORE");
		if (nh.n_type != type)
			continue;
		memcpy(buf, (char *)data->d_buf + desc, nh.n_descsz < size ? nh.n_descsz : size);
		return nh.n_descsz;
	}
	return 0;
}

static void full_core_has_all_segments(void **state)
{
	struct world *w = *state;
	GElf_Phdr ph;

	world_dump(w, CORE_FULL, true);
	ph = world_segment(w, TEXT_GVA);
	assert_int_equal(ph.p_flags, PF_R | PF_X);
	assert_int_equal(ph.p_filesz, 2 * NOXS_PAGE);
	assert_int_equal(byte_at(w, &ph, NOXS_PAGE + 5), 0xcc);
	ph = world_segment(w, DATA_GVA);
	assert_int_equal(ph.p_flags, PF_R | PF_W);
	assert_int_equal(ph.p_filesz, NOXS_PAGE);
	assert_int_equal(ph.p_memsz, 2 * NOXS_PAGE);
	assert_int_equal(byte_at(w, &ph, 7), 42);
	assert_int_equal(world_segment(w, STACK_GVA).p_memsz, 2 * NOXS_PAGE);
	/* of the large page, the one page that is not zero, and those after it unwritten */
	assert_int_equal(world_segment(w, BIG_GVA).p_filesz, 0);
	ph = world_segment(w, BIG_GVA + 300 * NOXS_PAGE);
	assert_int_equal(ph.p_filesz, NOXS_PAGE);
	assert_int_equal(ph.p_memsz, 212 * NOXS_PAGE);
	assert_false(world_has_segment(w, NOXS_GVA_MACHINE));
}

static void small_core_has_stack_and_code(void **state)
{
	struct world *w = *state;

	w->src.vdso = DATA_GVA;
	w->src.vdso_end = DATA_GVA + NOXS_PAGE;
	assert_int_equal(world_dump(w, CORE_SMALL, true), 1 + 3);
	world_segment(w, TEXT_GVA);
	world_segment(w, STACK_GVA + NOXS_PAGE);
	assert_int_equal(world_segment(w, DATA_GVA).p_memsz, NOXS_PAGE);
}

static void notes_say_what_happened(void **state)
{
	struct world *w = *state;
	struct elf_prstatus status;
	struct elf_prpsinfo info;
	struct user_regs_struct regs;
	siginfo_t sig;
	Elf64_auxv_t aux[8];
	uint64_t files[8];
	uint8_t fpu[512];

	memset(fpu, 0xab, sizeof(fpu));
	w->src.fpregs = fpu;
	world_dump(w, CORE_FULL, true);
	assert_int_equal(note(w, NT_PRSTATUS, &status, sizeof(status)), sizeof(status));
	memcpy(&regs, &status.pr_reg, sizeof(regs));
	assert_int_equal(status.pr_cursig, SIGSEGV);
	assert_int_equal(regs.rip, TEXT_GVA + 0x1005);
	assert_int_equal(regs.rsp, RSP - 64);
	assert_int_equal(regs.rax, 7);
	assert_int_equal(regs.fs_base, 99);
	assert_int_equal(regs.cs, 0x33);
	assert_int_equal(note(w, NT_PRPSINFO, &info, sizeof(info)), sizeof(info));
	assert_string_equal(info.pr_fname, "some-program-or");
	assert_string_equal(info.pr_psargs, "prog two words");
	assert_int_equal(note(w, NT_SIGINFO, &sig, sizeof(sig)), sizeof(sig));
	assert_int_equal(sig.si_code, SEGV_MAPERR);
	assert_ptr_equal(sig.si_addr, (void *)0x1234);
	assert_int_equal(note(w, NT_AUXV, aux, sizeof(aux)), 3 * sizeof(aux[0]));
	assert_int_equal(aux[1].a_type, AT_ENTRY);
	assert_int_equal(aux[1].a_un.a_val, TEXT_GVA);
	assert_int_equal(note(w, NT_FILE, files, sizeof(files)), 64 + 2 * 31);
	assert_int_equal(files[0], 2);
	assert_int_equal(files[2], TEXT_GVA);
	assert_int_equal(files[6], DATA_GVA + 0x2000);
	assert_int_equal(note(w, NT_FPREGSET, fpu, sizeof(fpu)), sizeof(fpu));
	assert_int_equal(fpu[511], 0xab);
}

static void errors_are_told(void **state)
{
	struct world *w = *state;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), pipe[2];
	struct err err = {0};
	bool whole;

	assert_int_equal(core_write(&w->src, CORE_FULL, full, "/dev/full", &whole, &err), -ENOSPC);
	assert_string_equal(err.message,
			    "cannot write the core file /dev/full: No space left on device");
	close(full);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	close(pipe[0]);
	assert_int_equal(core_write(&w->src, CORE_FULL, pipe[1], "pipe", &whole, &err), -EPIPE);
	close(pipe[1]);
	core_stop = 1;
	assert_int_equal(core_write(&w->src, CORE_FULL, w->fd, "x", &whole, &err), -EINTR);
	core_stop = 0;
	assert_int_equal(core_save(&w->src, "", &whole, &err), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(full_core_has_all_segments),
		TEST(small_core_has_stack_and_code),
		TEST(notes_say_what_happened),
		TEST(errors_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
