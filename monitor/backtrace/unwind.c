/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind.c: see unwind.h.
 *
 * libdwfl follows DWARF's call frame information. Where a frame has none (musl's own
 * functions, jumps to nowhere) or is a signal's, the walk leaves libdwfl, finds the
 * caller's registers by other means (bare.c), and has libdwfl start again from those.
 */
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "unwind.h"

#define MAX_FRAMES 1024u
#define TID        1

enum why {
	WHY_END,    /* libdwfl has no more */
	WHY_BARE,   /* a frame without unwind information */
	WHY_SIGNAL, /* a signal's trampoline */
	WHY_ENOUGH, /* the report is long enough */
};

struct walk {
	struct target *target; /* its registers are where libdwfl starts */
	Dwfl *dwfl;
	struct report *report;
	unsigned frames;
	bool starting;  /* the next frame is the one that libdwfl was given */
	bool returning; /* and its rip is where a call returns to */
	enum why why;
};

/* ---- what libdwfl asks of its target ---- */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = arg;
	return TID;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl;
	*thread_arg = arg;
	return tid == TID;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *word, void *arg)
{
	const struct walk *w = arg;

	(void)dwfl;
	return target_read(w->target, addr, word, sizeof(*word));
}

static bool initial_registers(Dwfl_Thread *thread, void *arg)
{
	const struct walk *w = arg;
	Dwarf_Word regs[TARGET_REGS];

	for (int i = 0; i < TARGET_REGS; i++)
		regs[i] = w->target->regs[i];
	/* As libdwfl does with its own: a call that never returns may be a function's end. */
	regs[REG_RIP] -= w->returning;
	return dwfl_thread_state_registers(thread, 0, TARGET_REGS, regs);
}

static const Dwfl_Thread_Callbacks callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = memory_read,
	.set_initial_registers = initial_registers,
};

/* ---- frames ---- */

static bool has_cfi(Dwfl *dwfl, uint64_t at)
{
	Dwfl_Module *mod = dwfl_addrmodule(dwfl, at);
	Dwarf_Addr bias;
	Dwarf_Frame *frame;

	if (!mod)
		return false;
	for (int eh = 1; eh >= 0; eh--) {
		Dwarf_CFI *cfi =
			eh ? dwfl_module_eh_cfi(mod, &bias) : dwfl_module_dwarf_cfi(mod, &bias);

		if (cfi && !dwarf_cfi_addrframe(cfi, at - bias, &frame)) {
			free(frame);
			return true;
		}
	}
	return false;
}

static int on_frame(Dwfl_Frame *frame, void *arg)
{
	struct walk *w = arg;
	uint64_t regs[TARGET_REGS];
	bool exact;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(frame, &pc, &exact))
		return DWARF_CB_ABORT;
	if (w->starting && w->returning) {
		exact = false;
		pc++;
	}
	w->starting = false;
	for (unsigned i = 0; i < REG_RIP; i++) {
		Dwarf_Word value;

		regs[i] = dwfl_frame_reg(frame, i, &value) ? 0 : value;
	}
	regs[REG_RIP] = pc;
	if (bare_sigreturn(w->target, regs)) {
		report_signal(w->report, pc);
		w->why = WHY_SIGNAL;
	} else if (++w->frames > MAX_FRAMES || !report_frame(w->report, pc, exact)) {
		w->why = WHY_ENOUGH;
	} else if (!has_cfi(w->dwfl, exact ? pc : pc - 1)) {
		w->why = WHY_BARE;
	} else {
		return DWARF_CB_OK;
	}
	memcpy(w->target->regs, regs, sizeof(regs));
	return DWARF_CB_ABORT;
}

/* Start of the function at pc, or 0. */
static uint64_t function_at(Dwfl *dwfl, uint64_t pc)
{
	Dwfl_Module *mod = dwfl_addrmodule(dwfl, pc);
	GElf_Off offset;
	GElf_Sym sym;

	if (!mod || !dwfl_module_addrinfo(mod, pc, &offset, &sym, NULL, NULL, NULL))
		return 0;
	return pc - offset;
}

int unwind(struct target *t, Dwfl *dwfl, struct report *report, struct err *err)
{
	struct walk w = {.target = t, .dwfl = dwfl, .report = report};
	const char *end = NULL;

	if (!dwfl_attach_state(dwfl, NULL, TID, &callbacks, &w))
		return err_set(err, 0, "cannot start unwinding: %s", dwfl_errmsg(-1));
	do {
		uint64_t rip, rsp = t->regs[REG_RSP];
		int ret;

		w.why = WHY_END;
		w.starting = true;
		dwfl_errno();
		ret = dwfl_getthread_frames(dwfl, TID, on_frame, &w);
		if (w.starting)
			return err_set(err, 0, "cannot unwind: %s", dwfl_errmsg(-1));
		rip = t->regs[REG_RIP];
		if (w.why == WHY_ENOUGH) {
			end = "and more frames";
		} else if (w.why == WHY_SIGNAL) {
			w.returning = false;
		} else if (w.why == WHY_BARE) {
			uint64_t start = function_at(dwfl, rip - w.returning);

			w.returning = true;
			if (start == t->entry)
				break; /* nobody called it */
			if (!bare_step(t, t->regs, start, w.frames == 1)) {
				end = "no unwind information beyond here";
				break;
			}
			if (t->regs[REG_RSP] <= rsp && w.frames > 1)
				w.why = WHY_END; /* the stack goes in circles */
		} else if (ret < 0) {
			end = "the stack cannot be read beyond here";
		}
	} while (w.why == WHY_SIGNAL || w.why == WHY_BARE);
	report_end(report, end);
	return 0;
}
