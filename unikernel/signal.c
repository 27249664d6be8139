/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.c: the program's signals: dispositions, mask, pending set, and delivery.
 *
 * Where they come from: a fault, kill(2) to itself, SIGPIPE, a timer, and the monitor's
 * power device (SIGTERM, SIGINT, ...). They are delivered when the kernel returns to the
 * program. sigframe.c has what is on the program's stack meanwhile.
 */
#include <asm/errno.h>
#include <linux/signal.h>
#include <asm/unistd.h>

#include "device.h"
#include "net/net.h"
#include "signal.h"
#include "vfs.h"

#define BIT(sig)    (1ull << ((sig)-1))
#define NSIG_       64
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))
#define IGNORED_BY_DEFAULT                                                                         \
	(BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGCONT) | BIT(SIGSTOP) | BIT(SIGTSTP) | \
	 BIT(SIGTTIN) | BIT(SIGTTOU))

static uint64_t pending, blocked;
static uint64_t waited;       /* by sigtimedwait, which takes also what is ignored */
static uint64_t restore_mask; /* while uk_mask_pending: what was blocked before the wait */
static struct uk_sigaction actions[NSIG_ + 1];
static struct siginfo infos[NSIG_ + 1];
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
	if (__builtin_expect(uk_signalfd_mask & BIT(sig), 0))
		uk_signalfd_raised();
}

int uk_signal_take(uint64_t set, struct siginfo *info)
{
	int sig;

	uk_signal_poll();
	if (!(pending & set))
		return 0;
	sig = __builtin_ctzll(pending & set) + 1;
	if (info) {
		*info = infos[sig];
		pending &= ~BIT(sig);
	}
	return sig;
}

long uk_signalfd_wait(uint32_t events, uint64_t deadline_ns)
{
	long r;

	/* What is there already was seen, and is not wanted. */
	waited = uk_signalfd_mask & ~pending;
	r = uk_wait(events, deadline_ns);
	waited = 0;
	return r == -EINTR && !uk_signal_poll() ? 0 : r;
}

void uk_signal_raise(int sig)
{
	raise_info(sig, SI_KERNEL, 0);
}

void uk_signal_sent(int sig)
{
	raise_info(sig, SI_USER, 0);
}

bool uk_signal_poll(void)
{
	const struct noxs_power *power = &UK_CONTROL->power;

	if (__builtin_expect(__atomic_load_n(&power->request, __ATOMIC_RELAXED) != power->ack, 0))
		uk_power_take();
	if (__builtin_expect(uk_timer_at != 0, 0) && uk_timer_expired())
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

	/* As Linux does for who is killed: else the peers would wait. */
	if (uk_net_live)
		net_goodbye(0);
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

static void handle(struct uk_frame *f, int sig, const struct siginfo *info, uint64_t cr2)
{
	struct uk_sigaction *act = &actions[sig];
	uint64_t mask = uk_mask_pending ? restore_mask : blocked;

	uk_mask_pending = false;
	if (uk_sigframe_push(f, sig, act, info, mask, cr2)) {
		/* No stack to run it on: the end, as on Linux, by SIGSEGV. */
		uk_die(f, SIGSEGV, SI_KERNEL, f->rsp, NOXS_CRASH_FAULT);
	}
	blocked |= act->mask | (act->flags & SA_NODEFER ? 0 : BIT(sig));
	blocked &= ~UNBLOCKABLE;
	if (act->flags & SA_RESETHAND)
		act->handler = (uint64_t)SIG_DFL;
}

static bool no_restart;

void uk_signal_no_restart(void)
{
	no_restart = true;
}

/*
 * A call that a signal interrupted starts again when the handler asks for that: rcx and
 * rip are set as a rewritten call site would have them.
 */
static void restart_call(struct uk_frame *f, int sig)
{
	uint64_t nr = f->error;
	bool final = no_restart;

	no_restart = false;
	if (final || f->how > 1 || (long)f->rax != -EINTR || !(actions[sig].flags & SA_RESTART))
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
	case __NR_accept:
	case __NR_accept4:
	case __NR_connect:
	case __NR_sendto:
	case __NR_sendmsg:
	case __NR_sendmmsg:
	case __NR_recvfrom:
	case __NR_recvmsg:
	case __NR_recvmmsg:
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
	if (uk_net_live)
		uk_net_tick();
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

void uk_sigmask_set(uint64_t mask)
{
	blocked = mask & ~UNBLOCKABLE;
}

UK_SYSCALL(rt_sigaction)
{
	struct uk_sigaction new;

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
		if (new.handler != (uint64_t)SIG_DFL)
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
