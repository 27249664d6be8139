/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.c: see crash.h. What stands in the report comes from the guest and from the
 * program's file; both may lie, and neither may do more to a terminal than print.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "crash.h"
#include "x86_paging.h"

#define KERNEL_ELF "unikernel.elf"

struct crash {
	const struct vm *vm;
	struct noxs_crash crash;
	struct kvm_xsave fpu; /* begins with what FXSAVE writes */
	char program[PATH_MAX];
	uint64_t base;
	struct core_source src;
	char trace[32768];
};

/* ---- the backtrace's lines ---- */

/* What stands behind "in " in line number n, up to the line's end. NULL if it is unnamed. */
static const char *name_in(const char *trace, unsigned n, size_t *length)
{
	const char *end, *name;

	for (; n && trace; n--) {
		trace = strchr(trace, '\n');
		trace = trace ? trace + 1 : NULL;
	}
	if (!trace || *trace != '#')
		return NULL;
	end = strchrnul(trace, '\n');
	name = memmem(trace, (size_t)(end - trace), " in ", 4);
	if (!name || !strncmp(name + 4, "??", 2))
		return NULL;
	*length = (size_t)(end - name - 4);
	return name + 4;
}

/* The functions that only carry out what their caller wants: raise a signal. */
static bool is_raising(const char *name, size_t length)
{
	static const char *const names[] = {
		"raise",
		"gsignal",
		"kill",
		"__kill",
		"tkill",
		"pthread_kill",
		"__pthread_kill",
		"__pthread_kill_internal",
		"__pthread_kill_implementation",
		"__restore_sigs",
	};
	size_t n = 0;

	while (n < length && name[n] != ' ' && name[n] != '.') /* raise (FILE), raise.cold */
		n++;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && !memcmp(names[i], name, n))
			return true;
	return false;
}

static void print_where(FILE *out, const char *trace, bool raised)
{
	unsigned line = 0;
	size_t length;
	const char *name = name_in(trace, 0, &length), *caller;

	if (!name) {
		name = name_in(trace, 1, &length);
		if (name)
			fprintf(out, ", called from %.*s", (int)length, name);
		return;
	}
	while (raised && is_raising(name, length) && (caller = name_in(trace, ++line, &length)))
		name = caller;
	fprintf(out, " in %.*s", (int)strcspn(name, "\n"), name);
}

/* ---- what is reported ---- */

static void report_trace(FILE *out, struct crash *c, bool traced, const struct err *err)
{
	if (traced) {
		fputs(c->trace, out);
		return;
	}
	crash_frames(out, &c->src);
	if (err->message[0])
		fprintf(out, "  (addresses only: %s)\n", err->message);
}

static void report_program(FILE *out, struct crash *c, bool names)
{
	const bool raised = c->crash.kind == NOXS_CRASH_SIGNAL;
	struct err err = {0};
	bool traced =
		names &&
		!crash_backtrace(&c->src, c->program, c->base, c->trace, sizeof(c->trace), &err) &&
		c->trace[0];

	fprintf(out, "mayfly: guest crashed: %s %s 0x%llx", crash_signal_name(c->crash.signal),
		raised ? "raised at" : "at", (unsigned long long)c->crash.regs.rip);
	if (traced)
		print_where(out, c->trace, raised);
	fputc('\n', out);
	crash_reason(out, &c->src);
	crash_registers(out, &c->crash);
	report_trace(out, c, traced, &err);
}

/* A failed check left no registers: the vCPU stands in uk_panic, whose caller it was. */
static void kernel_registers(struct crash *c)
{
	struct noxs_regs *r = &c->crash.regs;
	struct kvm_regs regs;
	uint64_t frame[2];

	if (r->rsp || ioctl(c->vm->vcpu, KVM_GET_REGS, &regs) ||
	    pt_read(c->src.ram, c->src.root, regs.rbp, frame, sizeof(frame)) != sizeof(frame))
		return;
	r->rsp = regs.rbp + sizeof(frame);
	r->rbp = frame[0];
	r->rip = frame[1];
}

static void report_kernel(FILE *out, struct crash *c, bool names)
{
	char elf[PATH_MAX + sizeof(KERNEL_ELF)];
	ssize_t n = names ? readlink("/proc/self/exe", elf, PATH_MAX) : 0;
	struct err err = {0};
	bool traced = false;

	kernel_registers(c);
	fputs("mayfly: the library kernel failed: ", out);
	crash_print(out, c->crash.message, sizeof(c->crash.message));
	fputc('\n', out);
	crash_registers(out, &c->crash);
	/* Names only where mayfly was built: nobody else has the file. */
	while (n > 0 && elf[n - 1] != '/')
		n--;
	if (n > 0) {
		strcpy(elf + n, KERNEL_ELF);
		traced = !access(elf, R_OK) &&
			 !crash_backtrace(&c->src, elf, 0, c->trace, sizeof(c->trace), &err) &&
			 c->trace[0];
	}
	report_trace(out, c, traced, &err);
}

static void save_core(FILE *out, struct crash *c, const char *path)
{
	struct err err = {0};
	bool whole;

	if (!ioctl(c->vm->vcpu, KVM_GET_XSAVE, &c->fpu))
		c->src.fpregs = c->fpu.region;
	if (core_save(&c->src, path, &whole, &err)) {
		fprintf(out, "mayfly: %s\n", err.message);
		return;
	}
	fprintf(out, "mayfly: core file%s: gdb %s %s\n",
		whole ? "" : " (not all of it: the page tables are damaged)", c->program, path);
}

static void collect(struct crash *c, const struct vm *vm, const struct guest *guest,
		    const struct run_result *result, const char *path, bool names)
{
	const struct noxs_kernel *kernel = guest->kernel;

	c->vm = vm;
	c->crash = result->crash;
	c->crash.signal = (uint32_t)result->signal;
	c->base = guest->image_base;
	if (!names || !realpath(path, c->program))
		snprintf(c->program, sizeof(c->program), "%s", path);
	c->src = (struct core_source){
		.ram = &vm->ram,
		.root = guest->cr3,
		.page = &guest->boot, /* what stands in the guest may say anything by now */
		.crash = &c->crash,
		.program = c->program,
		.vdso = kernel->vdso,
		.vdso_end = NOXS_GVA_KERNEL + kernel->rodata_off, /* the text's last part */
	};
	c->crash.regs.rip = crash_own_rip(&c->src);
}

int crash_text(const struct vm *vm, const struct guest *guest, const struct run_result *result,
	       const char *path, bool names, const char *core, char **text)
{
	static struct crash c;
	const bool kernel = result->crash.kind == NOXS_CRASH_KERNEL;
	const int status = kernel ? ERR_EXIT_SELF : 128 + result->signal;
	bool memory = result->signal == SIGKILL && result->crash.kind == NOXS_CRASH_SIGNAL &&
		      result->crash.si_code == SI_KERNEL;
	size_t bytes = 0;
	FILE *out;

	*text = NULL;
	if (!kernel && !memory && !crash_signal_name((uint32_t)result->signal))
		return status;
	out = open_memstream(text, &bytes);
	if (!out)
		return status;
	if (memory) {
		fprintf(out,
			"mayfly: guest ran out of memory (%llu MiB): give it more with --memory\n",
			(unsigned long long)(vm->ram.bytes >> 20));
	} else {
		signal(SIGXFSZ, SIG_IGN); /* RLIMIT_FSIZE holds for memory files, too */
		collect(&c, vm, guest, result, path, names);
		if (kernel)
			report_kernel(out, &c, names);
		else
			report_program(out, &c, names);
		if (core)
			save_core(out, &c, core);
	}
	if (fclose(out)) {
		free(*text);
		*text = NULL;
	}
	return status;
}

int crash_report(const struct vm *vm, const struct guest *guest, const struct run_result *result,
		 const char *path, const char *core)
{
	char *text;
	int status = crash_text(vm, guest, result, path, true, core, &text);

	/* In one piece: others write to stderr, too. */
	if (text)
		fputs(text, stderr);
	free(text);
	return status;
}
