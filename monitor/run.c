/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: the run loop.
 *
 * One thread does all of it. While the guest computes, nothing here runs but a tick: a
 * timer signal makes KVM_RUN return, output is passed on, time limits and signals are
 * looked at. The first tick comes after 4 ms, so a short program never sees one; ticks
 * get rarer while there is nothing to do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <x86intrin.h>

#include <linux/kvm.h>

#include "run.h"
#include "x86_machine.h"

#define MS            1000000ull
#define FIRST_TICK_NS (4 * MS)
#define LAST_TICK_NS  (64 * MS)
#define RETRY_TICK_NS (1 * MS) /* the guest was in its kernel: preempt it a bit later */

/* What signals do to us is only this: leave a mark and end KVM_RUN. */
static volatile sig_atomic_t got_signal[NSIG];
static volatile sig_atomic_t got_any;
static struct kvm_run *volatile kick_run;

static void on_signal(int sig)
{
	got_signal[sig] = 1;
	got_any = 1;
	/* If it comes between the loop's last look and KVM_RUN, that returns at once. */
	kick_run->immediate_exit = 1;
}

static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

struct loop {
	struct vm *vm;
	struct guest *guest;
	struct console *console;
	struct run_result *result;
	struct err *err;
	uint64_t deadline_ns; /* monotonic; 0: none */
	uint64_t tick_ns;
	uint32_t requests; /* made to the power device */
	uint32_t tsc_khz;
	sigset_t open_mask;
	bool done;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void catch_signals(struct kvm_run *run)
{
	struct sigaction act = {.sa_handler = on_signal};
	sigset_t alarm_set;

	kick_run = run;
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
		struct sigaction old;

		/* What the caller ignores (nohup) stays ignored. */
		sigaction(forwarded[i], &act, &old);
		if (old.sa_handler == SIG_IGN)
			sigaction(forwarded[i], &old, NULL);
	}
	sigaction(SIGALRM, &act, NULL);
	/* Ticks and the time limit come by it, whatever the caller blocked. */
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarm_set, NULL);
	/* Output that cannot be written is an error for the guest, not the end of us. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* The guest has ended. What is left (reports, helpers) may take time: a signal ends it. */
static void release_signals(void)
{
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
		struct sigaction now;

		sigaction(forwarded[i], NULL, &now);
		if (now.sa_handler == on_signal)
			signal(forwarded[i], SIG_DFL);
	}
}

static void arm_tick(struct loop *l)
{
	uint64_t ns = l->tick_ns, timer = l->guest->control->power.timer_ns, now = 0;

	if (l->deadline_ns || timer)
		now = now_ns();
	if (l->deadline_ns && l->deadline_ns < now + ns)
		ns = l->deadline_ns > now ? l->deadline_ns - now : 1;
	/* The guest's own timer, but not more often than we would retry. */
	if (timer && timer < now + ns)
		ns = timer > now + RETRY_TICK_NS ? timer - now : RETRY_TICK_NS;
	ns += 999; /* never 0: that would disarm it */
	setitimer(ITIMER_REAL,
		  &(struct itimerval){.it_value = {(time_t)(ns / 1000000000ull),
						   (suseconds_t)(ns % 1000000000ull / 1000)}},
		  NULL);
}

static void end(struct loop *l, enum run_end how)
{
	l->result->end = how;
	l->done = true;
}

/* Asks the guest to take a signal, if its program has a handler; otherwise it is the end. */
static void pass_signal(struct loop *l, int sig)
{
	struct noxs_power *power = &l->guest->control->power;

	if (sig == SIGINT || sig == SIGQUIT || sig == SIGTERM || sig == SIGHUP || sig == SIGUSR1 ||
	    sig == SIGUSR2) {
		if (power->handled >> (sig - 1) & 1) {
			uint32_t request = ++l->requests << 8 | (uint32_t)sig;

			__atomic_store_n(&power->request, request, __ATOMIC_RELEASE);
			return;
		}
		l->result->signal = sig;
		end(l, RUN_SIGNAL);
	}
}

/* Signals and the time limit. Returns true if the guest is to be told something. */
static bool look_around(struct loop *l)
{
	struct noxs_power *power = &l->guest->control->power;
	uint64_t timer;

	got_any = 0;
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		if (got_signal[forwarded[i]]) {
			got_signal[forwarded[i]] = 0;
			pass_signal(l, forwarded[i]);
		}
	if (l->deadline_ns && !l->done && now_ns() >= l->deadline_ns)
		end(l, RUN_TIMEOUT);
	timer = power->timer_ns;
	return power->request != power->ack || (timer && now_ns() >= timer);
}

/* Makes a computing program enter its kernel: rip moves to the preempt entry. */
static bool preempt(struct loop *l)
{
	struct kvm_regs regs;

	if (vm_ioctl(l->vm, l->vm->vcpu, KVM_GET_REGS, (unsigned long)&regs) < 0)
		return false;
	if (regs.rip >= NOXS_GVA_KERNEL)
		return false;
	l->guest->control->power.resume_rip = regs.rip;
	regs.rip = l->guest->kernel->preempt;
	return vm_ioctl(l->vm, l->vm->vcpu, KVM_SET_REGS, (unsigned long)&regs) >= 0;
}

/* KVM_RUN came back for a signal of ours. */
static int kicked(struct loop *l)
{
	bool tick = got_signal[SIGALRM], tell;
	int moved;

	l->vm->counters.kicks++;
	l->vm->run->immediate_exit = 0;
	got_signal[SIGALRM] = 0;
	tell = look_around(l);
	if (l->done)
		return 0;
	moved = console_drain(l->console, l->err);
	if (moved < 0)
		return moved;
	if (moved)
		l->tick_ns = FIRST_TICK_NS;
	else if (tick && l->tick_ns < LAST_TICK_NS)
		l->tick_ns *= 2;
	if (tell && !preempt(l)) {
		uint64_t usual = l->tick_ns;

		l->tick_ns = RETRY_TICK_NS;
		arm_tick(l);
		l->tick_ns = usual;
	} else {
		arm_tick(l);
	}
	return 0;
}

/* Blocks our signals (the mask as it was is for ppoll), or lets them in again. */
static void hold_signals(struct loop *l, bool hold)
{
	sigset_t set;

	if (!hold) {
		sigprocmask(SIG_SETMASK, &l->open_mask, NULL);
		return;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, &l->open_mask);
}

static int wait_for_guest(struct loop *l)
{
	/* Copied once: the guest could change it while we look. */
	struct noxs_wait wait = l->guest->control->wait;
	int ret;

	wait.events &= NOXS_EV_STDIN | NOXS_EV_STDOUT | NOXS_EV_STDERR; /* no others are its */
	l->vm->counters.waits++;
	/* From the look at the signals to ppoll none may slip through. */
	hold_signals(l, true);
	for (;;) {
		uint64_t now = now_ns(), until = wait.deadline_ns;

		if (l->deadline_ns && l->deadline_ns < until)
			until = l->deadline_ns;
		if (look_around(l) || l->done) {
			ret = NOXS_EV_POWER;
			break;
		}
		ret = console_wait(l->console, wait.events,
				   until == NOXS_FOREVER ? -1
				   : until > now         ? (int64_t)(until - now)
							 : 0,
				   &l->open_mask, l->err);
		if (ret == -EINTR)
			continue;
		if (ret < 0)
			break;
		if (ret || until == wait.deadline_ns)
			break;
	}
	/* Before signals come in again: one that does now is to end the next KVM_RUN. */
	l->vm->run->immediate_exit = 0;
	hold_signals(l, false);
	if (ret < 0)
		return ret;
	__atomic_store_n(&l->guest->control->wait.ready, (uint32_t)ret, __ATOMIC_RELEASE);
	/* The host may have slept or been adjusted meanwhile. */
	guest_set_clock(&l->guest->page->clock, l->tsc_khz);
	l->tick_ns = FIRST_TICK_NS;
	arm_tick(l);
	return 0;
}

/* The guest freed memory: the host gets it back. What it names is checked, and no more. */
static void discard(struct loop *l)
{
	struct noxs_control *control = l->guest->control;
	struct noxs_discard range = control->discard;
	void *at = gmem_at(&l->vm->ram, range.gpa, range.bytes);

	if (!at || range.gpa < l->guest->free_gpa || ((range.gpa | range.bytes) & (NOXS_PAGE - 1)))
		return;
	if (!madvise(at, range.bytes, MADV_DONTNEED))
		control->discard.bytes = 0; /* done */
}

/* The guest says what it died of: a signal, or a failure of its kernel. */
static int crash(struct loop *l)
{
	struct noxs_crash *c = &l->result->crash;

	*c = l->guest->control->crash;
	if (c->kind < NOXS_CRASH_FAULT || c->kind > NOXS_CRASH_KERNEL ||
	    (c->kind != NOXS_CRASH_KERNEL && (c->signal < 1 || c->signal > 64)))
		return err_set(l->err, EPROTO,
			       "the guest reported a crash of kind %u by signal %u, which do not "
			       "exist",
			       c->kind, c->signal);
	l->result->signal = (int)(c->signal & 0x7f);
	end(l, RUN_CRASHED);
	return 0;
}

static int doorbell(struct loop *l, uint64_t slot, uint64_t value)
{
	l->vm->counters.exits++;
	switch (slot) {
	case NOXS_DB_EXIT:
		l->result->status = (int)(value & 0xff);
		end(l, RUN_EXITED);
		return 0;
	case NOXS_DB_WAIT:
		return wait_for_guest(l);
	case NOXS_DB_CRASH:
		return crash(l);
	case NOXS_DB_DISCARD:
		discard(l);
		return 0;
	}
	return err_set(l->err, EPROTO, "the guest rang doorbell %llu, which does not exist",
		       (unsigned long long)slot);
}

/* The vCPU stopped for something a guest of ours does not do. */
static int unexpected(struct loop *l, const char *what, uint64_t detail)
{
	struct kvm_regs regs = {0};

	vm_ioctl(l->vm, l->vm->vcpu, KVM_GET_REGS, (unsigned long)&regs);
	return err_set(l->err, EPROTO, "the virtual CPU stopped at 0x%llx: %s (0x%llx)",
		       (unsigned long long)regs.rip, what, (unsigned long long)detail);
}

static int handle_exit(struct loop *l)
{
	struct kvm_run *run = l->vm->run;
	uint64_t value, at;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		at = run->mmio.phys_addr - NOXS_GPA_DOORBELL;
		if (!run->mmio.is_write || run->mmio.len != 8 || at >= NOXS_PAGE || (at & 7))
			return unexpected(l, "access outside of memory", run->mmio.phys_addr);
		memcpy(&value, run->mmio.data, sizeof(value));
		return doorbell(l, at / 8, value);
	case KVM_EXIT_INTR:
		return kicked(l);
	case KVM_EXIT_SHUTDOWN:
		return unexpected(l, "triple fault", 0);
	case KVM_EXIT_INTERNAL_ERROR:
		return unexpected(l, "KVM could not emulate an instruction",
				  run->internal.suberror);
	case KVM_EXIT_FAIL_ENTRY:
		return unexpected(l, "KVM could not enter the guest",
				  run->fail_entry.hardware_entry_failure_reason);
	}
	return unexpected(l, "exit reason", run->exit_reason);
}

/* Output that is left when the guest has ended: all of it, unless time or patience ends. */
static int flush(struct loop *l)
{
	int ret = 0;

	/* Nobody is left to handle a signal: it ends the wait. */
	l->guest->control->power.handled = 0;
	hold_signals(l, true);
	while (console_pending(l->console) && ret >= 0) {
		uint64_t now = now_ns();
		int64_t left = l->deadline_ns == 0    ? -1
			       : l->deadline_ns > now ? (int64_t)(l->deadline_ns - now)
						      : 0;

		if (look_around(l), l->result->end == RUN_TIMEOUT || l->result->end == RUN_SIGNAL)
			left = 0;
		ret = console_wait(l->console, CONSOLE_EV_FLUSHED, left, &l->open_mask, l->err);
		if (ret == -EINTR)
			ret = 0;
		else if (!left)
			break;
	}
	hold_signals(l, false);
	return ret < 0 ? ret : 0;
}

int run_guest(struct vm *vm, struct guest *guest, struct console *console, uint64_t timeout_ns,
	      uint32_t tsc_khz, struct run_result *result, struct err *err)
{
	struct loop l = {
		.vm = vm,
		.guest = guest,
		.console = console,
		.result = result,
		.err = err,
		.tick_ns = FIRST_TICK_NS,
		.tsc_khz = tsc_khz,
		.deadline_ns = timeout_ns ? now_ns() + timeout_ns : 0,
	};
	struct kvm_run *run = vm->run;
	int ret;

	memset(result, 0, sizeof(*result));
	catch_signals(run);
	machine_sregs(&run->s.regs.sregs, guest->cr3);
	machine_regs(&run->s.regs.regs, guest->kernel);
	run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	result->start_tsc = __rdtsc();
	arm_tick(&l);
	while (!l.done) {
		ret = vm_ioctl(vm, vm->vcpu, KVM_RUN, 0);
		if (ret == -EINTR || ret == -EAGAIN)
			ret = kicked(&l);
		else if (ret < 0)
			ret = err_set(err, -ret, "cannot run the virtual CPU");
		else
			ret = handle_exit(&l);
		if (ret < 0)
			return ret;
	}
	ret = flush(&l);
	release_signals();
	return ret;
}
