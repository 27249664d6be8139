/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigframe.c: what a signal puts on the program's stack, its return, and the stack it may
 * have to itself. The frame is Linux's own (asm/ucontext.h), so handlers, unwinders and
 * libc's restorer see what they expect.
 */
#include <asm/errno.h>
#include <asm/sigcontext.h>
#include <linux/signal.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>

#include "signal.h"

#define RED_ZONE 128

struct sigframe { /* at the handler's rsp */
	uint64_t restorer;
	struct ucontext uc;
	struct siginfo info;
};

static stack_t altstack = {.ss_flags = SS_DISABLE};

/* An XSAVE area that says of every component that it is in its initial state. */
static const struct {
	uint32_t fxsave[6], mxcsr, rest[121];
	uint64_t header[8];
} fresh __attribute__((aligned(64))) = {.mxcsr = 0x1f80};
_Static_assert(sizeof(fresh) == 576, "legacy area and header");

/* Writes the signal's frame to the program's stack and points f at the handler. */
long uk_sigframe_push(struct uk_frame *f, int sig, const struct uk_sigaction *act,
		      const struct siginfo *info, uint64_t mask, uint64_t cr2)
{
	uint64_t sp = f->rsp - RED_ZONE, fp;
	struct sigframe frame;
	static const uint8_t zero[64];
	bool on_alt = f->rsp - (uint64_t)altstack.ss_sp < altstack.ss_size;

	if ((act->flags & SA_ONSTACK) && !(altstack.ss_flags & SS_DISABLE) && !on_alt) {
		sp = (uint64_t)altstack.ss_sp + altstack.ss_size;
		on_alt = true;
	}
	fp = (sp - UK_NOXS->xsave_bytes) & ~63ull;
	sp = ((fp - sizeof(frame)) & ~15ull) - 8;
	if (on_alt && sp - (uint64_t)altstack.ss_sp >= altstack.ss_size)
		return -EFAULT; /* it is full, or too small */

	memset(&frame, 0, sizeof(frame));
	frame.restorer = act->restorer;
	frame.info = *info;
	frame.uc.uc_stack = altstack;
	frame.uc.uc_flags = UC_FP_XSTATE;
	memcpy(&frame.uc.uc_sigmask, &mask, sizeof(mask));
	frame.uc.uc_mcontext = (struct sigcontext){
		.r8 = f->r8,
		.r9 = f->r9,
		.r10 = f->r10,
		.r11 = f->r11,
		.r12 = f->r12,
		.r13 = f->r13,
		.r14 = f->r14,
		.r15 = f->r15,
		.rdi = f->rdi,
		.rsi = f->rsi,
		.rbp = f->rbp,
		.rbx = f->rbx,
		.rdx = f->rdx,
		.rax = f->rax,
		.rcx = f->rcx,
		.rsp = f->rsp,
		.rip = f->rip,
		.eflags = f->rflags,
		.cs = NOXS_SEL_UCODE,
		.ss = NOXS_SEL_UDATA,
		.err = f->error,
		.trapno = f->how,
		.oldmask = mask,
		.cr2 = cr2,
		.fpstate = (void *)fp,
	};
	/* XSAVE writes its header only in part: what it leaves must be zero for XRSTOR. */
	if (uk_copy_out(fp + 512, zero, sizeof(zero)) || uk_user_xsave((void *)fp, UK_NOXS->xcr0) ||
	    uk_copy_out(sp, &frame, sizeof(frame)))
		return -EFAULT;
	/* The handler starts with registers as after exec. */
	uk_user_xrstor(&fresh, UK_NOXS->xcr0);
	f->rsp = sp;
	f->rip = act->handler;
	f->rdi = (uint64_t)sig;
	f->rsi = sp + offsetof(struct sigframe, info);
	f->rdx = sp + offsetof(struct sigframe, uc);
	f->rax = 0;
	f->rflags &= ~(UK_FLAG_TF | UK_FLAG_DF);
	return 0;
}

UK_SYSCALL(rt_sigreturn)
{
	struct uk_frame *fr = uk_frame;
	struct sigframe frame;
	uint64_t mask;
	const struct sigcontext *sc = &frame.uc.uc_mcontext;

	/* The handler's ret took the restorer's address off the stack. */
	if (uk_copy_in(&frame, fr->rsp - 8, sizeof(frame)) ||
	    (sc->fpstate && uk_user_xrstor(sc->fpstate, UK_NOXS->xcr0)))
		uk_die(fr, SIGSEGV, SI_KERNEL, fr->rsp, NOXS_CRASH_FAULT);
	*fr = (struct uk_frame){
		.r15 = sc->r15,
		.r14 = sc->r14,
		.r13 = sc->r13,
		.r12 = sc->r12,
		.rbp = sc->rbp,
		.rbx = sc->rbx,
		.r11 = sc->r11,
		.r10 = sc->r10,
		.r9 = sc->r9,
		.r8 = sc->r8,
		.rax = sc->rax,
		.rcx = sc->rcx,
		.rdx = sc->rdx,
		.rsi = sc->rsi,
		.rdi = sc->rdi,
		.how = 2,
		.error = __NR_rt_sigreturn,
		.rip = sc->rip,
		.cs = NOXS_SEL_UCODE,
		.rflags = (sc->eflags & UK_FLAGS_USER) | 2,
		.rsp = sc->rsp,
		.ss = NOXS_SEL_UDATA,
	};
	memcpy(&mask, &frame.uc.uc_sigmask, sizeof(mask));
	uk_sigmask_set(mask);
	uk_frame_full = true;
	return (long)fr->rax;
}

UK_SYSCALL(sigaltstack)
{
	uint64_t sp = uk_frame->rsp;
	bool on = sp - (uint64_t)altstack.ss_sp < altstack.ss_size;
	stack_t new, old = altstack;

	if (!(old.ss_flags & SS_DISABLE) && on)
		old.ss_flags |= SS_ONSTACK;
	if (a && uk_copy_in(&new, a, sizeof(new)))
		return -EFAULT;
	if (b && uk_copy_out(b, &old, sizeof(old)))
		return -EFAULT;
	if (!a)
		return 0;
	if (old.ss_flags & SS_ONSTACK)
		return -EPERM;
	if (new.ss_flags & ~(SS_DISABLE | SS_ONSTACK))
		return -EINVAL;
	if (new.ss_flags & SS_DISABLE) {
		altstack = (stack_t){.ss_flags = SS_DISABLE};
		return 0;
	}
	if (new.ss_size < MINSIGSTKSZ)
		return -ENOMEM;
	new.ss_flags = 0;
	altstack = new;
	return 0;
}
