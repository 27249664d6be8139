/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c: exceptions: demand paging, bad pointers of system calls, signals, panics. */
#include <asm/errno.h>
#include <asm/siginfo.h>
#include <asm/signal.h>

#include "mm.h"
#include "signal.h"

enum {
	DE = 0,
	DB = 1,
	BP = 3,
	OF = 4,
	BR = 5,
	UD = 6,
	DF = 8,
	GP = 13,
	PF = 14,
	MF = 16,
	AC = 17,
	XM = 19
};

static bool in_kernel(const struct uk_frame *f)
{
	return f->rip >= NOXS_GVA_KERNEL && f->rip < NOXS_GVA_END;
}

static uint64_t fault_cr2;

/*
 * On an exception stack, at ring 3. 0: go on where it happened (or at the fix-up);
 * 1: the program gets a signal (uk_fault_signal, on the kernel stack).
 */
int uk_exception(struct uk_frame *f, uint64_t cr2)
{
	if (f->how == PF && !uk_mm_fault(cr2, f->error))
		return 0;
	if (!in_kernel(f)) {
		fault_cr2 = cr2;
		return 1;
	}
	if (f->rip >= (uint64_t)uk_user_begin && f->rip < (uint64_t)uk_user_end) {
		f->rip = (uint64_t)uk_user_fault;
		return 0;
	}
	UK_CONTROL->crash.vector = (uint32_t)f->how;
	UK_CONTROL->crash.error = f->error;
	UK_CONTROL->crash.address = cr2;
	UK_CONTROL->crash.regs.rip = f->rip;
	UK_CONTROL->crash.regs.rsp = f->rsp;
	UK_CONTROL->crash.regs.rbp = f->rbp;
	uk_panic("exception %lu at 0x%lx, error 0x%lx, address 0x%lx", f->how, f->rip, f->error,
		 cr2);
}

void uk_fault_signal(struct uk_frame *f)
{
	uint64_t address = f->rip;
	int sig, code;

	uk_frame = f;
	switch (f->how) {
	case DE:
		sig = SIGFPE, code = FPE_INTDIV;
		break;
	case DB:
		sig = SIGTRAP, code = TRAP_TRACE;
		break;
	case BP:
		sig = SIGTRAP, code = SI_KERNEL;
		address = 0; /* rip is behind the instruction; Linux names none */
		break;
	case UD:
		sig = SIGILL, code = ILL_ILLOPN;
		break;
	case MF:
	case XM:
		sig = SIGFPE, code = FPE_FLTINV;
		break;
	case AC:
		sig = SIGBUS, code = BUS_ADRALN;
		break;
	case PF:
		sig = SIGSEGV, code = uk_mm_mapped(fault_cr2) ? SEGV_ACCERR : SEGV_MAPERR;
		address = fault_cr2;
		if (uk_mm_beyond(fault_cr2)) {
			sig = SIGBUS, code = BUS_ADRERR;
			break;
		}
		/* The machine ran out of memory: what Linux' OOM killer sends is not catchable. */
		if (uk_mm_allowed(fault_cr2, f->error))
			uk_die(f, SIGKILL, SI_KERNEL, address, NOXS_CRASH_SIGNAL);
		break;
	default: /* #GP: non-canonical address, privileged instruction; the rest cannot come */
		sig = SIGSEGV, code = SI_KERNEL;
		address = 0;
	}
	uk_signal_fault(f, sig, code, address, fault_cr2);
	uk_signal_deliver(f);
}
