/* SPDX-License-Identifier: Apache-2.0 */
/* signal.h: signals, timers that send them, and what they cost the other files. */
#ifndef UK_SIGNAL_H
#define UK_SIGNAL_H

#include "arch.h"

/* Is there a signal to deliver? Takes the monitor's requests and expired timers in. */
bool uk_signal_poll(void);

/* Delivers what is pending into f: a handler's frame, or the end. Returns 1 if f has to be
 * restored in full. */
int uk_signal_deliver(struct uk_frame *f);

/* A synchronous fault of the program: cannot be blocked or ignored. */
void uk_signal_fault(struct uk_frame *f, int sig, int code, uint64_t address, uint64_t cr2);

/* Set by rt_sigreturn (the frame was replaced as a whole) and by a mask that is to come back:
 * uk_signal_deliver has work even if no signal is there. */
extern bool uk_frame_full, uk_mask_pending;

/* ---- sigframe.c ---- */
struct uk_sigaction { /* rt_sigaction's, as the kernel sees it */
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};
struct siginfo;
/* Writes the signal's frame to the program's stack and points f at the handler; mask is what
 * its return brings back. 0 or -EFAULT: no stack to run it on. */
long uk_sigframe_push(struct uk_frame *f, int sig, const struct uk_sigaction *act,
		      const struct siginfo *info, uint64_t mask, uint64_t cr2);

/* ---- signal.c ---- */
/* A signal from outside: kill(2) by somebody whose number means nothing in here. */
void uk_signal_sent(int sig);
void uk_sigmask_set(uint64_t mask);
/* For ppoll, pselect6, sigsuspend: 0, -EFAULT or -EINVAL. The mask as it was goes to old. */
long uk_sigmask_swap(uint64_t set_user, size_t size, uint64_t *old);
/* Brings it back: at once, or, where a signal interrupted the wait, after its handler, which
 * the mask of the wait let in. */
void uk_sigmask_restore(uint64_t old, bool interrupted);

/* The lowest pending signal of a set, which is taken if info wants to know of it; 0: none. */
int uk_signal_take(uint64_t set, struct siginfo *info);

/* Earliest expiry of a timer (monotonic ns), or NOXS_FOREVER. */
uint64_t uk_timer_next(void);
extern uint64_t uk_timer_at; /* ITIMER_REAL's next expiry (monotonic ns); 0: not armed */
/* wait.c wants the program preempted then, for the network; 0: not. */
void uk_timer_tick_at(uint64_t ns);
/* Is it SIGALRM's time? Rearms a periodic timer. */
bool uk_timer_expired(void);

/* time.c: CPU time used, and the time that was slept instead. */
uint64_t uk_cpu_ns(void);
void uk_slept(uint64_t ns);

/* The VM's end by a signal: crash report where the signal's default is a core dump. */
_Noreturn void uk_die(const struct uk_frame *f, int sig, int code, uint64_t address,
		      enum noxs_crash_kind kind);

#endif
