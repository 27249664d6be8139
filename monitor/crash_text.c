/* SPDX-License-Identifier: Apache-2.0 */
/* crash_text.c: a crash in words: see crash.h. */
#include <signal.h>
#include <string.h>

#include "crash.h"
#include "x86_paging.h"

/* Exceptions and the bits of a page fault's error code: Intel SDM vol. 3A, 6.15. */
enum { DE = 0, DB = 1, BP = 3, UD = 6, GP = 13, PF = 14, MF = 16, AC = 17, XM = 19 };
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_FETCH = 16 };

/* How far below its end a stack is still taken for overrun, by a large frame. */
#define BELOW_STACK (1ull << 20)
#define NEAR_STACK  (64ull << 10)

#define CODE_BYTES 8u

const char *crash_signal_name(uint32_t signal)
{
	static const char *const names[] = {
		[SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",   [SIGTRAP] = "SIGTRAP",
		[SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",
		[SIGSEGV] = "SIGSEGV", [SIGXCPU] = "SIGXCPU", [SIGXFSZ] = "SIGXFSZ",
		[SIGSYS] = "SIGSYS",
	};

	return signal < sizeof(names) / sizeof(names[0]) ? names[signal] : NULL;
}

/* Is the stack used up? Its end is the region's start. */
static bool overflown(const struct core_source *src)
{
	uint64_t rsp = src->crash->regs.rsp, address = src->crash->address;

	for (uint32_t i = 0; i < src->page->nregions && i < NOXS_MAX_REGIONS; i++) {
		uint64_t end = src->page->region[i].start;

		if (src->page->region[i].kind != NOXS_REGION_STACK)
			continue;
		if (rsp < end - BELOW_STACK || rsp >= end + NEAR_STACK)
			return false;
		/* The handler's frame did not fit (address is rsp), or an access went below. */
		return src->crash->si_code == SI_KERNEL ||
		       (address < end && address >= end - BELOW_STACK);
	}
	return false;
}

static void page_fault(FILE *out, const struct core_source *src)
{
	const struct noxs_crash *c = src->crash;
	const bool fetch = c->error & PF_FETCH || c->address == c->regs.rip;
	const bool write = !fetch && c->error & PF_WRITE;
	const char *why = "not mapped";

	if (c->si_code == SEGV_ACCERR) {
		if (fetch)
			why = "not executable";
		else if (write)
			why = c->error & PF_PRESENT ? "read-only" : "may not be written";
		else
			why = "may not be read";
	}
	fprintf(out, "  %s address 0x%llx (%s)\n",
		fetch   ? "executing"
		: write ? "writing"
			: "reading",
		(unsigned long long)c->address, why);
}

static void illegal(FILE *out, const struct core_source *src)
{
	uint8_t code[CODE_BYTES];
	size_t n = pt_read(src->ram, src->root, src->crash->regs.rip, code, sizeof(code));

	fputs("  illegal instruction:", out);
	for (size_t i = 0; i < n; i++)
		fprintf(out, " %02x", code[i]);
	fputc('\n', out);
}

void crash_reason(FILE *out, const struct core_source *src)
{
	const struct noxs_crash *c = src->crash;

	if (c->kind != NOXS_CRASH_FAULT)
		return;
	if (c->signal == SIGSEGV && overflown(src)) {
		fprintf(out, "  stack overflow: all %llu KiB of the stack are in use\n",
			NOXS_STACK_BYTES >> 10);
		return;
	}
	if (c->signal == SIGSEGV && c->si_code == SI_KERNEL && c->vector != GP) {
		fprintf(out, "  no stack for a signal's handler at 0x%llx\n",
			(unsigned long long)c->regs.rsp);
		return;
	}
	switch (c->vector) {
	case PF:
		page_fault(out, src);
		break;
	case GP:
		fputs("  non-canonical address or privileged instruction\n", out);
		break;
	case UD:
		illegal(out, src);
		break;
	case DE:
		fputs("  integer division by zero, or its result is too large\n", out);
		break;
	case MF:
	case XM:
		fputs("  floating-point exception\n", out);
		break;
	case BP:
	case DB:
		fputs("  breakpoint or single step\n", out);
		break;
	case AC:
		fputs("  misaligned access\n", out);
		break;
	}
}

void crash_registers(FILE *out, const struct noxs_crash *crash)
{
	const struct noxs_regs *r = &crash->regs;
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {{"rax", r->rax},         {"rbx", r->rbx},        {"rcx", r->rcx},
		   {"rdx", r->rdx},         {"rsi", r->rsi},        {"rdi", r->rdi},
		   {"rbp", r->rbp},         {"rsp", r->rsp},        {"r8", r->r8},
		   {"r9", r->r9},           {"r10", r->r10},        {"r11", r->r11},
		   {"r12", r->r12},         {"r13", r->r13},        {"r14", r->r14},
		   {"r15", r->r15},         {"rip", r->rip},        {"eflags", r->rflags},
		   {"fs_base", r->fs_base}, {"gs_base", r->gs_base}},
	  kernel[] = {{"rip", r->rip}, {"rsp", r->rsp}, {"rbp", r->rbp}}, *reg = all;
	size_t n = sizeof(all) / sizeof(all[0]);

	if (crash->kind == NOXS_CRASH_KERNEL) {
		reg = kernel;
		n = sizeof(kernel) / sizeof(kernel[0]);
	}
	for (size_t i = 0; i < n; i++)
		fprintf(out, "  %-3s %016llx%s", reg[i].name, (unsigned long long)reg[i].value,
			i % 4 == 3 || i + 1 == n ? "\n" : "");
}

void crash_print(FILE *out, const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	for (size_t i = 0; i < n; i++)
		fputc(text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?', out);
}
