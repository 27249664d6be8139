/* SPDX-License-Identifier: Apache-2.0 */
/* end.c: see end.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "end.h"

#define MARK  "orphans-are-reaped"
#define TRIES 300 /* of 10 ms */

bool end_orphans_are_reaped(int run_dir)
{
	return run_dir >= 0 && !faccessat(run_dir, MARK, F_OK, 0);
}

/* In a process of its own: leaves an orphan that ends at once, looks whether it vanishes. */
static void probe(int run_dir)
{
	int pipefd[2];
	pid_t child, orphan = 0;

	if (pipe2(pipefd, O_CLOEXEC))
		return;
	child = fork();
	if (child == 0) {
		pid_t pid = fork();

		if (pid > 0 && write(pipefd[1], &pid, sizeof(pid)) < 0)
			_exit(1);
		_exit(0);
	}
	if (child < 0 || read(pipefd[0], &orphan, sizeof(orphan)) != sizeof(orphan))
		return;
	waitpid(child, NULL, 0);
	for (int i = 0; i < TRIES; i++) {
		nanosleep(&(struct timespec){0, 10000000}, NULL);
		if (kill(orphan, 0) && errno == ESRCH) {
			int fd = openat(run_dir, MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

			if (fd >= 0)
				close(fd);
			return;
		}
	}
}

void end_probe_reaper(int run_dir)
{
	pid_t pid;

	unlinkat(run_dir, MARK, 0);
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			setsid();
			/* Nobody is to wait for this one's ends of their pipes. */
			if (run_dir > 2)
				dup2(run_dir, 0);
			syscall(SYS_close_range, 1u, ~0u, 0u);
			probe(0);
		}
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static pid_t parent;

/* The twin: waits until the one with the exit code is gone, then lets go of everything. */
static int outlive(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

/* clone() with a stack of its own; the memory is shared, so nothing is copied. */
static void leave_twin(void)
{
	static char stack[4096] __attribute__((aligned(16)));
	sigset_t all;

	/* Signals are the parent's business: the twin must not run its handlers. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	parent = getpid();
	clone(outlive, stack + sizeof(stack), CLONE_VM | CLONE_FILES, NULL);
}

_Noreturn void end_process(int status, bool twin)
{
	if (twin) {
		/* Readers of our output see its end now, not when the twin goes. */
		close(0);
		close(1);
		close(2);
		leave_twin();
	}
	_exit(status);
}
