/* SPDX-License-Identifier: Apache-2.0 */
/* kick.c: see kick.h. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "kick.h"

#define GUARD_NS     20000000ull
#define GUARD_MAX_NS 64000000ull /* a timer that runs anyway and comes by then will do */

const int kick_signals[KICK_NSIGNALS] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

static volatile sig_atomic_t came[NSIG];
static struct kvm_run *volatile kick_run;
static struct sigaction before[KICK_NSIGNALS];
static bool prepared;

/* The timer runs. Only kick_timer sets it and only its signal clears it. */
static volatile sig_atomic_t running;
static uint64_t running_ns; /* how long it was set to */
static uint64_t running_at; /* kick_timer_by: when it comes; 0: not known */
static volatile sig_atomic_t guarded;

static void set_timer(uint64_t ns)
{
	setitimer(ITIMER_REAL,
		  &(struct itimerval){.it_value = {(time_t)(ns / 1000000000ull),
						   (suseconds_t)(ns % 1000000000ull / 1000)}},
		  NULL);
}

void kick_timer(uint64_t ns)
{
	running = 1;
	running_ns = ns;
	running_at = 0;
	set_timer(ns + 999); /* never 0: that would disarm it */
}

void kick_timer_by(uint64_t now_ns, uint64_t ns)
{
	if (running && running_at > now_ns && running_at <= now_ns + ns)
		return;
	kick_timer(ns);
	running_at = now_ns + ns;
}

void kick_timer_off(void)
{
	if (!running)
		return;
	running = 0;
	set_timer(0);
}

static void on_signal(int sig)
{
	came[sig] = 1;
	/* If it comes between the loop's last look and KVM_RUN, that returns at once. */
	kick_run->immediate_exit = 1;
	if (sig != SIGALRM)
		return;
	running = 0;
	/* It may have come just before the call that it should have interrupted: once more. */
	if (guarded)
		kick_timer(GUARD_NS);
}

void kick_guard(void)
{
	guarded = 1;
	if (!running || running_ns > GUARD_MAX_NS)
		kick_timer(GUARD_NS);
}

void kick_unguard(void)
{
	guarded = 0;
}

/* Handle it, whatever the caller blocked. */
static void catch (int sig)
{
	struct sigaction act = {.sa_handler = on_signal}; /* no SA_RESTART */
	sigset_t open;

	sigaction(sig, &act, NULL);
	sigemptyset(&open);
	sigaddset(&open, sig);
	sigprocmask(SIG_UNBLOCK, &open, NULL);
}

bool kick_prepare(struct kvm_run *run)
{
	struct sigaction act = {.sa_handler = on_signal};

	kick_run = run;
	if (prepared)
		return false;
	prepared = true;
	for (size_t i = 0; i < KICK_NSIGNALS; i++) {
		sigaction(kick_signals[i], &act, &before[i]);
		/* What the caller ignores (nohup) stays ignored. */
		if (before[i].sa_handler == SIG_IGN)
			sigaction(kick_signals[i], &before[i], NULL);
	}
	catch (SIGALRM); /* ticks and the time limit */
	/* Output that cannot be written is an error for the guest, not the end of us. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return true;
}

void kick_release(void)
{
	for (size_t i = 0; i < KICK_NSIGNALS; i++)
		if (before[i].sa_handler != SIG_IGN)
			sigaction(kick_signals[i], &before[i], NULL);
	prepared = false;
}

void kick_watch(int fd)
{
	struct f_owner_ex owner = {F_OWNER_TID, (pid_t)syscall(SYS_gettid)};

	catch (SIGIO);
	fcntl(fd, F_SETOWN_EX, &owner);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
}

void kick_clear(void)
{
	kick_run->immediate_exit = 0;
}

bool kick_taken(int sig)
{
	bool is = came[sig];

	if (is)
		came[sig] = 0;
	return is;
}

void kick_hold(sigset_t *open)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < KICK_NSIGNALS; i++)
		sigaddset(&set, kick_signals[i]);
	sigprocmask(SIG_BLOCK, &set, open);
}

void kick_let(const sigset_t *open)
{
	sigprocmask(SIG_SETMASK, open, NULL);
}
