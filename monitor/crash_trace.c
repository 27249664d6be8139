/* SPDX-License-Identifier: Apache-2.0 */
/* crash_trace.c: where a crashed program was: see crash.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crash.h"
#include "image.h"
#include "x86_paging.h"

#define HELPER     "mayfly-backtrace"
#define HELPER_IN  "3"
#define HELPER_OUT "4"
#define MAX_FRAMES 64u

/*
 * A stub of technique B is: the instructions before the call (as many bytes as in the
 * program), lea 8(%rip),%rcx, jmp *entry(%rip), syscall. It is reached by a jmp that
 * stands in place of the first of them; what the jmp left over is nops.
 */
#define STUB_LEA  15u /* bytes from the lea to the return address */
#define SYSCALL   2u
#define MAX_MOVED 64u
#define JMP_BYTES 5u
static const uint8_t lea[] = {0x48, 0x8d, 0x0d, 8, 0, 0, 0}, jmp_entry[] = {0xff, 0x25};

static bool returns_to_stub(const struct core_source *src, uint64_t rip)
{
	uint8_t code[STUB_LEA];

	for (uint32_t i = 0; i < src->page->nregions && i < NOXS_MAX_REGIONS; i++) {
		const struct noxs_region *r = &src->page->region[i];

		if (r->kind == NOXS_REGION_STUBS && rip >= r->start + STUB_LEA && rip < r->end)
			return pt_read(src->ram, src->root, rip - STUB_LEA, code, STUB_LEA) ==
				       STUB_LEA &&
			       !memcmp(code, lea, sizeof(lea)) &&
			       !memcmp(code + sizeof(lea), jmp_entry, sizeof(jmp_entry));
	}
	return false;
}

/* The jmp in code, which stands at gva, that leads closest before `to`; 0 if there is none. */
static uint64_t find_jmp(const uint8_t *code, uint64_t bytes, uint64_t gva, uint64_t to,
			 uint64_t *moved)
{
	uint64_t found = 0;

	for (uint64_t i = 0; i + JMP_BYTES <= bytes; i++) {
		uint64_t before, end;
		int32_t rel;

		if (code[i] != 0xe9)
			continue;
		memcpy(&rel, code + i + 1, sizeof(rel));
		before = to - (gva + i + JMP_BYTES + (uint64_t)(int64_t)rel);
		if (before > *moved || i + before + SYSCALL > bytes)
			continue;
		for (end = JMP_BYTES; end < before + SYSCALL && code[i + end] == 0x90;)
			end++;
		if (end < before + SYSCALL)
			continue;
		*moved = before;
		found = gva + i;
	}
	return found;
}

uint64_t crash_own_rip(const struct core_source *src)
{
	uint64_t rip = src->crash->regs.rip, moved = MAX_MOVED, jmp = 0;

	if (!returns_to_stub(src, rip))
		return rip;
	for (uint32_t i = 0; i < src->page->nregions && i < NOXS_MAX_REGIONS; i++) {
		const struct noxs_region *r = &src->page->region[i];
		uint64_t at = r->start;
		struct pt_run run;

		if (r->kind != NOXS_REGION_IMAGE || !(r->prot & NOXS_X))
			continue;
		for (; pt_next(src->ram, src->root, at, r->end, &run); at = run.gva + run.bytes) {
			const uint8_t *code = gmem_at(src->ram, run.gpa, run.bytes);
			uint64_t found =
				code ? find_jmp(code, run.bytes, run.gva, rip - STUB_LEA, &moved)
				     : 0;

			if (found)
				jmp = found;
		}
	}
	return jmp ? jmp + moved + SYSCALL : rip;
}

int crash_backtrace(const struct core_source *src, const char *elf, uint64_t base, char *text,
		    size_t size, struct err *err)
{
	char base_hex[20];
	char *argv[] = {NULL,     "--core-fd", HELPER_IN, "--out-fd",  HELPER_OUT,
			"--base", base_hex,    "--",      (char *)elf, NULL};
	int fds[] = {memfd_create("mayfly-core", MFD_CLOEXEC),
		     memfd_create("mayfly-backtrace", MFD_CLOEXEC)};
	bool whole;
	ssize_t n;
	int ret;

	text[0] = 0;
	snprintf(base_hex, sizeof(base_hex), "%llx", (unsigned long long)base);
	if (fds[0] < 0 || fds[1] < 0)
		ret = err_set(err, errno, "cannot make a file for the backtrace");
	else
		ret = core_write(src, CORE_SMALL, fds[0], "for the backtrace", &whole, err);
	if (!ret)
		ret = helper_run(HELPER, argv, fds, 2, err);
	if (ret > 0) {
		err->message[0] = 0;
		ret = -EINVAL;
	}
	if (!ret) {
		n = pread(fds[1], text, size - 1, 0);
		text[n > 0 ? n : 0] = 0;
	}
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return ret;
}

void crash_frames(FILE *out, const struct core_source *src)
{
	uint64_t rip = src->crash->regs.rip, rbp = src->crash->regs.rbp, frame[2];

	for (unsigned i = 0; i < MAX_FRAMES; i++) {
		fprintf(out, "#%-2u 0x%016llx\n", i, (unsigned long long)rip);
		if (pt_read(src->ram, src->root, rbp, frame, sizeof(frame)) != sizeof(frame) ||
		    !frame[1] || frame[0] <= rbp)
			return;
		rbp = frame[0];
		rip = frame[1];
	}
}
