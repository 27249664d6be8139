/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kick.h: signals and the one timer: what ends KVM_RUN, ppoll and a write that hangs.
 *
 * A handler does no more than to leave a mark. One VM a process, one thread that has the
 * signals: its state is static.
 */
#ifndef MAYFLY_KICK_H
#define MAYFLY_KICK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct kvm_run;

/* The signals that are passed on to the guest. What the caller ignores stays ignored. */
extern const int kick_signals[];
#define KICK_NSIGNALS 6

/* Handlers for kick_signals and SIGALRM: they end KVM_RUN of that vCPU. False: they were
 * there already. */
bool kick_prepare(struct kvm_run *run);
/* kick_signals do what they did before. */
void kick_release(void);

/* From now on a message to that socket ends KVM_RUN, too, by SIGIO. */
void kick_watch(int fd);

/* What has come has been looked at: KVM_RUN may run again. */
void kick_clear(void);

/* Has the signal come since it was last asked for? */
bool kick_taken(int sig);

/* Holds kick_signals back; open is the mask for ppoll to let them in. From a look at what has
 * come to the ppoll none may slip through. */
void kick_hold(sigset_t *open);
void kick_let(const sigset_t *open);

/* SIGALRM, ns from now; and no more. */
void kick_timer(uint64_t ns);
void kick_timer_off(void);
/* SIGALRM at the latest ns from now (on the monotonic clock): a timer that is running and comes
 * by then will do, which saves setting it for each of many short waits. */
void kick_timer_by(uint64_t now_ns, uint64_t ns);

/* Between these two a call that blocks is interrupted (EINTR) within some 10 ms, again and
 * again: a write to a pipe that polled writable may block if the pipe has other writers. */
void kick_guard(void);
void kick_unguard(void);

#endif
