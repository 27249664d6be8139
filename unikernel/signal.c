/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.c: the program's signals: dispositions, mask, pending set, and delivery.
 *
 * Where they come from: a fault, kill(2) to itself, SIGPIPE, a timer, and the monitor's
 * power device (SIGTERM, SIGINT, ...). They are delivered when the kernel returns to the
 * program. The frame on the program's stack is Linux's own (asm/ucontext.h), so
 * handlers, unwinders and libc's restorer see what they expect.
 */
#include <asm/errno.h>
#include <asm/sigcontext.h>
#include <linux/signal.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>

#include "signal.h"

#define BIT(sig)    (1ull << ((sig)-1))
#define NSIG_       64
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))
#define IGNORED_BY_DEFAULT                                                                         \
	(BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGCONT) | BIT(SIGSTOP) | BIT(SIGTSTP) | \
	 BIT(SIGTTIN) | BIT(SIGTTOU))
#define RED_ZONE 128

struct action { /* rt_sigaction's, as the kernel sees it */
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct sigframe { /* at the handler's rsp */
	uint64_t restorer;
	struct ucontext uc;
	struct siginfo info;
};

static uint64_t pending, blocked;
static uint64_t waited;       /* by sigtimedwait, which takes also what is ignored */
static uint64_t restore_mask; /* while uk_mask_pending: what was blocked before the wait */
static struct action actions[NSIG_ + 1];
static struct siginfo infos[NSIG_ + 1];
static stack_t altstack = {.ss_flags = SS_DISABLE};
bool uk_frame_full, uk_mask_pending;

static bool ignored(int sig)
{
	uint64_t h = actions[sig].handler;

	return h == (uint64_t)SIG_IGN ||
	       (h == (uint64_t)SIG_DFL && (IGNORED_BY_DEFAULT & BIT(sig)));
}

/* One that is blocked waits even if it is ignored: sigtimedwait may ask for it. One that
 * waits already is not counted twice. */
static void raise_info(int sig, int code, uint32_t pid)
{
	if (sig < 1 || sig > NSIG_ || (pending & BIT(sig)) ||
	    (ignored(sig) && !((blocked | waited) & BIT(sig))))
		return;
	pending |= BIT(sig);
	memset(&infos[sig], 0, sizeof(infos[sig]));
	infos[sig].si_signo = sig;
	infos[sig].si_code = code;
	infos[sig].si_pid = (int)pid;
	infos[sig].si_uid = pid ? UK_NOXS->uid : 0;
}

void uk_signal_raise(int sig)
{
	raise_info(sig, SI_KERNEL, 0);
}

bool uk_signal_poll(void)
{
	struct noxs_power *power = &UK_CONTROL->power;
	uint32_t request = __atomic_load_n(&power->request, __ATOMIC_ACQUIRE);

	if (__builtin_expect(request != power->ack, 0)) {
		power->ack = request;
		raise_info((int)(request & 0xff), SI_USER, 0);
	}
	if (__builtin_expect(power->timer_ns != 0, 0) && uk_timer_expired())
		raise_info(SIGALRM, SI_KERNEL, 0);
	if (pending & waited)
		return true;
	for (uint64_t now = pending & ~blocked; now; now &= now - 1) {
		int sig = __builtin_ctzll(now) + 1;

		if (!ignored(sig))
			return true;
		pending &= ~BIT(sig); /* it was blocked when it came */
	}
	return false;
}

_Noreturn void uk_die(const struct uk_frame *f, int sig, int code, uint64_t address,
		      enum noxs_crash_kind kind)
{
	struct noxs_crash *c = &UK_CONTROL->crash;

	c->kind = kind;
	c->signal = (uint32_t)sig;
	c->si_code = (uint32_t)code;
	c->address = address;
	c->vector = kind == NOXS_CRASH_SIGNAL ? 0 : (uint32_t)f->how;
	c->error = kind == NOXS_CRASH_SIGNAL ? 0 : f->error;
	c->regs = (struct noxs_regs){
		.rax = f->rax,
		.rbx = f->rbx,
		.rcx = f->rcx,
		.rdx = f->rdx,
		.rsi = f->rsi,
		.rdi = f->rdi,
		.rbp = f->rbp,
		.rsp = f->rsp,
		.r8 = f->r8,
		.r9 = f->r9,
		.r10 = f->r10,
		.r11 = f->r11,
		.r12 = f->r12,
		.r13 = f->r13,
		.r14 = f->r14,
		.r15 = f->r15,
		.rip = f->rip,
		.rflags = f->rflags,
		.fs_base = uk_fs(),
		.gs_base = uk_gs(),
	};
	for (;;)
		uk_doorbell(NOXS_DB_CRASH, (uint64_t)sig);
}

/* An XSAVE area that says of every component that it is in its initial state. */
static const struct {
	uint32_t fxsave[6], mxcsr, rest[121];
	uint64_t header[8];
} fresh __attribute__((aligned(64))) = {.mxcsr = 0x1f80};
_Static_assert(sizeof(fresh) == 576, "legacy area and header");

/* Writes the signal's frame to the program's stack and points f at the handler. */
static long push_frame(struct uk_frame *f, int sig, const struct siginfo *info, uint64_t mask,
		       uint64_t cr2)
{
	const struct action *act = &actions[sig];
	uint64_t sp = f->rsp - RED_ZONE, fp;
	struct sigframe frame;
	static const uint8_t zero[64];
	bool on_alt = f->rsp - (uint64_t)altstack.ss_sp < altstack.ss_size;

	if ((act->flags & SA_ONSTACK) && !(altstack.ss_flags & SS_DISABLE) && !on_alt)
		sp = (uint64_t)altstack.ss_sp + altstack.ss_size;
	fp = (sp - UK_NOXS->xsave_bytes) & ~63ull;
	sp = ((fp - sizeof(frame)) & ~15ull) - 8;
	if (on_alt && sp - (uint64_t)altstack.ss_sp >= altstack.ss_size)
		return -EFAULT; /* it is full */

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

static void handle(struct uk_frame *f, int sig, const struct siginfo *info, uint64_t cr2)
{
	struct action *act = &actions[sig];
	uint64_t mask = uk_mask_pending ? restore_mask : blocked;

	uk_mask_pending = false;
	if (push_frame(f, sig, info, mask, cr2)) {
		/* No stack to run it on: the end, as on Linux, by SIGSEGV. */
		uk_die(f, SIGSEGV, SI_KERNEL, f->rsp, NOXS_CRASH_FAULT);
	}
	blocked |= act->mask | (act->flags & SA_NODEFER ? 0 : BIT(sig));
	blocked &= ~UNBLOCKABLE;
	if (act->flags & SA_RESETHAND)
		act->handler = (uint64_t)SIG_DFL;
}

/*
 * A call that a signal interrupted starts again when the handler asks for that: rcx and
 * rip are set as a rewritten call site would have them.
 */
static void restart_call(struct uk_frame *f, int sig)
{
	uint64_t nr = f->error;

	if (f->how > 1 || (long)f->rax != -EINTR || !(actions[sig].flags & SA_RESTART))
		return;
	switch (nr) {
	case __NR_futex: /* with a time-out it would wait for all of it again */
		if (f->r10)
			return;
		break;
	case __NR_read:
	case __NR_write:
	case __NR_readv:
	case __NR_writev:
	case __NR_preadv2:
	case __NR_pwritev2:
	case __NR_sendfile:
	case __NR_ioctl:
		break;
	default:
		return;
	}
	f->rax = nr;
	f->rcx = f->rip;
	f->rip = NOXS_GVA_FAST_ENTRY;
}

int uk_signal_deliver(struct uk_frame *f)
{
	bool full = uk_frame_full;

	uk_frame_full = false;
	for (;;) {
		int sig;

		if (!(pending & ~blocked)) {
			if (!uk_mask_pending)
				break;
			/* No handler ran that would bring it back. */
			uk_mask_pending = false;
			blocked = restore_mask;
			continue;
		}
		sig = __builtin_ctzll(pending & ~blocked) + 1;

		pending &= ~BIT(sig);
		if (ignored(sig))
			continue;
		if (actions[sig].handler == (uint64_t)SIG_DFL)
			uk_die(f, sig, infos[sig].si_code, f->rip, NOXS_CRASH_SIGNAL);
		if (!full)
			restart_call(f, sig);
		handle(f, sig, &infos[sig], 0);
		full = true;
	}
	return full;
}

void uk_signal_fault(struct uk_frame *f, int sig, int code, uint64_t address, uint64_t cr2)
{
	struct siginfo info;

	if ((blocked & BIT(sig)) || actions[sig].handler == (uint64_t)SIG_DFL ||
	    actions[sig].handler == (uint64_t)SIG_IGN)
		uk_die(f, sig, code, address, NOXS_CRASH_FAULT);
	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_addr = (void *)address;
	handle(f, sig, &info, cr2);
}

void uk_preempted(struct uk_frame *f)
{
	uk_frame = f;
	if (uk_signal_poll())
		uk_signal_deliver(f);
}

long uk_sigmask_swap(uint64_t set_user, size_t size, uint64_t *old)
{
	uint64_t set;

	if (size != sizeof(set))
		return -EINVAL;
	if (uk_copy_in(&set, set_user, sizeof(set)))
		return -EFAULT;
	*old = blocked;
	blocked = set & ~UNBLOCKABLE;
	return 0;
}

void uk_sigmask_restore(uint64_t old, bool interrupted)
{
	if (interrupted) {
		restore_mask = old;
		uk_mask_pending = true;
	} else {
		blocked = old;
	}
}

UK_SYSCALL(rt_sigaction)
{
	struct action new;

	if (d != sizeof(uint64_t) || a < 1 || a > NSIG_ || (b && (UNBLOCKABLE & BIT(a))))
		return -EINVAL;
	if (b && uk_copy_in(&new, b, sizeof(new)))
		return -EFAULT;
	if (c && uk_copy_out(c, &actions[a], sizeof(new)))
		return -EFAULT;
	if (b) {
		actions[a] = new;
		if (ignored((int)a))
			pending &= ~BIT(a);
		if (new.handler > (uint64_t)SIG_IGN)
			UK_CONTROL->power.handled |= BIT(a);
		else
			UK_CONTROL->power.handled &= ~BIT(a);
	}
	return 0;
}

UK_SYSCALL(rt_sigprocmask)
{
	uint64_t set, old = blocked;

	if (d != sizeof(set))
		return -EINVAL;
	if (b) {
		if (uk_copy_in(&set, b, sizeof(set)))
			return -EFAULT;
		if (a == SIG_BLOCK)
			blocked |= set;
		else if (a == SIG_UNBLOCK)
			blocked &= ~set;
		else if (a == SIG_SETMASK)
			blocked = set;
		else
			return -EINVAL;
		blocked &= ~UNBLOCKABLE;
	}
	return c ? uk_copy_out(c, &old, sizeof(old)) : 0;
}

UK_SYSCALL(rt_sigreturn)
{
	struct uk_frame *fr = uk_frame;
	struct sigframe frame;
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
	memcpy(&blocked, &frame.uc.uc_sigmask, sizeof(blocked));
	blocked &= ~UNBLOCKABLE;
	uk_frame_full = true;
	return (long)fr->rax;
}

UK_SYSCALL(rt_sigpending)
{
	uint64_t set = pending & blocked;

	return b > sizeof(set) ? -EINVAL : uk_copy_out(a, &set, b);
}

UK_SYSCALL(rt_sigsuspend)
{
	uint64_t old;
	long err = uk_sigmask_swap(a, b, &old);

	if (err)
		return err;
	while (uk_wait(0, NOXS_FOREVER) != -EINTR)
		;
	uk_sigmask_restore(old, true);
	return -EINTR;
}

UK_SYSCALL(pause)
{
	while (uk_wait(0, NOXS_FOREVER) != -EINTR)
		;
	return -EINTR;
}

UK_SYSCALL(rt_sigtimedwait)
{
	uint64_t set, deadline = NOXS_FOREVER;
	struct __kernel_timespec {
		int64_t sec, nsec;
	} ts;
	long ret;

	if (d != sizeof(set))
		return -EINVAL;
	if (uk_copy_in(&set, a, sizeof(set)) || (c && uk_copy_in(&ts, c, sizeof(ts))))
		return -EFAULT;
	if (c && (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= 1000000000))
		return -EINVAL;
	if (c)
		deadline = uk_monotonic_ns() + (uint64_t)ts.sec * 1000000000ull + (uint64_t)ts.nsec;
	waited = set;
	for (;;) {
		uk_signal_poll();
		if (pending & set) {
			ret = __builtin_ctzll(pending & set) + 1;
			pending &= ~BIT(ret);
			if (b && uk_copy_out(b, &infos[ret], sizeof(infos[ret])))
				ret = -EFAULT;
			break;
		}
		ret = pending & ~blocked ? -EINTR : -EAGAIN;
		if (ret == -EINTR || uk_monotonic_ns() >= deadline)
			break;
		uk_wait(0, deadline);
	}
	waited = 0;
	return ret;
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

/* pid and tid of the one process there is; -1 and 0 name it too. */
static long send_signal(int64_t pid, uint64_t sig, int code)
{
	if ((uint32_t)sig > NSIG_)
		return -EINVAL;
	if (pid > 0 && pid != UK_NOXS->pid)
		return -ESRCH;
	if ((uint32_t)sig)
		raise_info((int)sig, code, UK_NOXS->pid);
	return 0;
}

UK_SYSCALL(kill)
{
	int pid = (int)a;

	if (pid < -1) /* a process group: there is its own */
		pid = pid == INT32_MIN ? INT32_MAX : -pid;
	return send_signal(pid, b, SI_USER);
}

UK_SYSCALL(tkill)
{
	return (int)a <= 0 ? -EINVAL : send_signal((int)a, b, SI_TKILL);
}

UK_SYSCALL(tgkill)
{
	if ((int)a <= 0 || (int)b <= 0)
		return -EINVAL;
	return (int)a != (int)UK_NOXS->pid ? -ESRCH : send_signal((int)b, c, SI_TKILL);
}
