/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c: dispositions, masks, what is pending, and how handlers nest and are called. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile int count[65], depth, deepest, order[8], norder;
static volatile int last_signo, last_code;
static volatile long last_pid, last_uid;
static sigset_t mask_inside;

static void on_signal(int sig)
{
	count[sig]++;
	if (norder < 8)
		order[norder++] = sig;
	if (++depth > deepest)
		deepest = depth;
	if (sig == SIGUSR1 && count[sig] == 1)
		raise(SIGUSR1); /* blocked now, unless SA_NODEFER */
	depth--;
}

static void on_info(int sig, siginfo_t *info, void *context)
{
	CHECK(context != NULL);
	count[sig]++;
	last_signo = info->si_signo;
	last_code = info->si_code;
	last_pid = info->si_pid;
	last_uid = info->si_uid;
	CHECK(sigprocmask(SIG_BLOCK, NULL, &mask_inside) == 0);
}

static void action(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};

	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void block(int how, int sig)
{
	sigset_t set;

	CHECK(sigemptyset(&set) == 0 && sigaddset(&set, sig) == 0);
	CHECK(sigprocmask(how, &set, NULL) == 0);
}

static int pending(int sig)
{
	sigset_t set;

	CHECK(sigpending(&set) == 0);
	return sigismember(&set, sig);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO}, old;
	struct timespec soon = {0, 10000000}, none = {0, 0};
	sigset_t set, empty;
	siginfo_t info;

	CHECK(sigemptyset(&empty) == 0);
	/* raised within its handler: after it, or inside with SA_NODEFER */
	action(SIGUSR1, on_signal, 0);
	CHECK(raise(SIGUSR1) == 0 && count[SIGUSR1] == 2 && deepest == 1);
	action(SIGUSR1, on_signal, SA_NODEFER);
	count[SIGUSR1] = 0;
	CHECK(raise(SIGUSR1) == 0 && count[SIGUSR1] == 2 && deepest == 2);
	/* SA_RESETHAND */
	action(SIGUSR2, on_signal, (int)SA_RESETHAND);
	CHECK(raise(SIGUSR2) == 0 && count[SIGUSR2] == 1);
	CHECK(sigaction(SIGUSR2, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	/* SA_SIGINFO, and sa_mask */
	CHECK(sigaddset(&sa.sa_mask, SIGTERM) == 0 && sigaction(SIGUSR2, &sa, &old) == 0);
	CHECK(kill(getpid(), SIGUSR2) == 0 && last_signo == SIGUSR2 && last_code == SI_USER);
	CHECK(last_pid == getpid() && last_uid == getuid());
	CHECK(sigismember(&mask_inside, SIGTERM) == 1 && sigismember(&mask_inside, SIGUSR2) == 1);
	CHECK(sigismember(&mask_inside, SIGUSR1) == 0);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGTERM) == 0);
	CHECK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2) == 0 && last_code == SI_TKILL);
	CHECK(sigaction(SIGUSR2, NULL, &old) == 0 && old.sa_sigaction == on_info);
	CHECK((old.sa_flags & SA_SIGINFO) && sigismember(&old.sa_mask, SIGTERM) == 1);

	/* blocked: pending once, delivered when let in */
	action(SIGUSR1, on_signal, 0);
	count[SIGUSR1] = 5;
	block(SIG_BLOCK, SIGUSR1);
	CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0);
	CHECK(count[SIGUSR1] == 5 && pending(SIGUSR1) == 1 && pending(SIGUSR2) == 0);
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count[SIGUSR1] == 6 && pending(SIGUSR1) == 0);
	/* two at once: the handler of the lower one is interrupted by the other's at once */
	action(SIGTERM, on_signal, 0);
	block(SIG_BLOCK, SIGUSR1);
	block(SIG_BLOCK, SIGTERM);
	norder = 0;
	CHECK(raise(SIGTERM) == 0 && raise(SIGUSR1) == 0);
	CHECK(sigprocmask(SIG_SETMASK, &empty, NULL) == 0);
	CHECK(norder == 2 && order[0] == SIGTERM && order[1] == SIGUSR1);

	/* ignored: gone, also what is pending; by default some are */
	block(SIG_BLOCK, SIGUSR1);
	CHECK(raise(SIGUSR1) == 0 && pending(SIGUSR1) == 1);
	action(SIGUSR1, SIG_IGN, 0);
	CHECK(pending(SIGUSR1) == 0);
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(raise(SIGUSR1) == 0 && raise(SIGCHLD) == 0 && raise(SIGWINCH) == 0);
	CHECK(raise(SIGCONT) == 0);

	/* sigsuspend: lets in, runs the handler, and the mask is as it was */
	action(SIGUSR1, on_signal, 0);
	count[SIGUSR1] = 5;
	block(SIG_BLOCK, SIGUSR1);
	CHECK(raise(SIGUSR1) == 0);
	CHECK_ERR(sigsuspend(&empty), EINTR);
	CHECK(count[SIGUSR1] == 6 && sigprocmask(SIG_BLOCK, NULL, &set) == 0);
	CHECK(sigismember(&set, SIGUSR1) == 1);

	/* sigtimedwait takes it without a handler; what is ignored too */
	CHECK(sigaddset(&set, SIGCHLD) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	CHECK_ERR(sigtimedwait(&set, NULL, &none), EAGAIN);
	CHECK_ERR(sigtimedwait(&set, NULL, &soon), EAGAIN);
	CHECK(raise(SIGUSR1) == 0 && sigtimedwait(&set, &info, &soon) == SIGUSR1);
	CHECK(info.si_signo == SIGUSR1 && count[SIGUSR1] == 6 && pending(SIGUSR1) == 0);
	CHECK(raise(SIGCHLD) == 0 && pending(SIGCHLD) == 1);
	CHECK(sigtimedwait(&set, NULL, &soon) == SIGCHLD);
	CHECK(sigprocmask(SIG_SETMASK, &empty, NULL) == 0);

	/* what cannot be */
	CHECK_ERR(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_ERR(sigaction(65, &sa, NULL), EINVAL);
	CHECK(sigaction(SIGKILL, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	CHECK(sigfillset(&set) == 0 && sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	CHECK(sigprocmask(SIG_SETMASK, &empty, &set) == 0);
	CHECK(sigismember(&set, SIGKILL) == 0 && sigismember(&set, SIGSTOP) == 0);
	CHECK(sigismember(&set, SIGSEGV) == 1);
	CHECK_ERR(sigprocmask(77, &set, NULL), EINVAL);
	CHECK_ERR(kill(getpid(), 65), EINVAL);
	CHECK(kill(getpid(), 0) == 0);
	CHECK_ERR(syscall(SYS_tgkill, 0, 1, 0), EINVAL);
	return success();
}
