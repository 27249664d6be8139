/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_job.c: see net_job.h. At most MAX_RUNNING at a time: each is two processes, and the kernel
 * changes one interface at a time anyway. The others wait in the order in which they came.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limits.h"
#include "list.h"
#include "loop.h"
#include "net_job.h"
#include "program.h"
#include "text.h"

#define PROGRAM "mayfly"
#define WALL_NS 20000000000ull /* passt takes 20 ms, AF_XDP some; a driver may think */

#define MAX_RUNNING 8

struct net_job {
	struct loop *loop;
	net_job_done *done; /* NULL: it was cancelled, and only has to end */
	void *arg;
	const struct vm_net_device *device;
	struct link waiting;
	pid_t pid;
	int pidfd, answer, errors;
	uint64_t deadline;
	bool late;
};

static struct link waiting = {&waiting, &waiting};
static unsigned running;

static void run_waiting(void);

static void job_free(struct net_job *job)
{
	loop_cancel(job->loop, job->deadline);
	if (job->pidfd >= 0) {
		loop_change(job->loop, job->pidfd, 0);
		close(job->pidfd);
	}
	if (job->answer >= 0)
		close(job->answer);
	if (job->errors >= 0)
		close(job->errors);
	free(job);
}

/* What it, or its helper, wrote on stderr: without the name before it. */
static void read_errors(const struct net_job *job, struct err *err)
{
	static const char *const names[] = {"mayfly: ", "mayfly-net: "};
	char text[sizeof(err->message)], *begin = text;
	ssize_t n = pread(job->errors, text, sizeof(text) - 1, 0);

	n = n > 0 ? (ssize_t)text_clean(text, (size_t)n) : 0;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(begin, names[i], strlen(names[i])))
			begin += strlen(names[i]);
	err_set(err, 0, "%s", *begin ? begin : "a net device cannot be opened");
}

static int take_answer(const struct net_job *job, struct net_handed *h, struct err *err)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(h->fd))];
	} control;
	struct iovec iov = {&h->wire, sizeof(h->wire)};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(h->fd)),
	};
	ssize_t n = recvmsg(job->answer, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	unsigned nfds = 0;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		nfds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(h->fd, CMSG_DATA(c), nfds * sizeof(int));
	}
	if (n == sizeof(h->wire) && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && h->wire.nfds &&
	    nfds == 1 + h->wire.nfds)
		return 0;
	while (nfds)
		close(h->fd[--nfds]);
	return err_set(err, 0, PROGRAM " is not of this daemon's version; install mayfly again");
}

static void ended(void *arg, uint32_t events)
{
	struct net_job *job = arg;
	net_job_done *done = job->done;
	void *done_arg = job->arg;
	struct net_handed handed;
	struct err err = {0};
	int status, failure = 0;

	(void)events;
	if (waitpid(job->pid, &status, WNOHANG) != job->pid)
		return;
	running--;
	if (!done) {
		job_free(job);
		run_waiting();
		return;
	}
	if (job->late) {
		failure = ENGINE_BUSY;
		err_set(&err, 0, "a net device was not opened within 20 s");
	} else if (!WIFEXITED(status)) {
		failure = ENGINE_FAILED;
		err_set(&err, 0, PROGRAM " net-open was ended by signal %d", WTERMSIG(status));
	} else if (WEXITSTATUS(status)) {
		/* The machine is not such that it can be had: the interface, the right to it. */
		failure = ENGINE_CONFLICT;
		read_errors(job, &err);
	} else if (take_answer(job, &handed, &err)) {
		failure = ENGINE_FAILED;
	}
	job_free(job);
	done(done_arg, failure ? NULL : &handed, failure, &err);
	run_waiting();
}

static void is_late(void *arg)
{
	struct net_job *job = arg;

	job->late = true;
	syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
}

/* 0 or an errno. */
static int spawn(struct net_job *job, const char *path, char **argv, int answer)
{
	extern char **environ;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, standard;
	int ret;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, 0, 1);
	posix_spawn_file_actions_adddup2(&files, job->errors, 2);
	posix_spawn_file_actions_adddup2(&files, answer, NET_WIRE_RESULT);
	sigemptyset(&none);
	sigemptyset(&standard);
	sigaddset(&standard, SIGPIPE);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &standard);
	ret = posix_spawn(&job->pid, path, &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (ret)
		return ret;
	/* It is not waited for before that, so the number is its own. */
	job->pidfd = (int)syscall(SYS_pidfd_open, job->pid, 0);
	if (job->pidfd >= 0)
		return 0;
	ret = errno;
	kill(job->pid, SIGKILL);
	waitpid(job->pid, NULL, 0);
	return ret;
}

/* 0, or -errno and a message; then it is the caller's to free. */
static int run(struct net_job *job, struct err *err)
{
	char path[PATH_MAX + 64],
		*argv[3 + NET_MAX_PORTS + 1] = {(char *)PROGRAM, (char *)"net-open"};
	const struct vm_net_device *d = job->device;
	const char *port = d->ports;
	int pair[2] = {-1, -1}, ret;
	size_t n;

	argv[2] = (char *)d->spec;
	for (unsigned i = 0; i < d->nports; i++, port += strlen(port) + 1)
		argv[3 + i] = (char *)port;
	ret = program_path(PROGRAM, path, sizeof(path), err);
	if (ret)
		return ret;
	job->errors = memfd_create("mayfly-net", MFD_CLOEXEC);
	if (job->errors < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		ret = errno;
	job->answer = pair[0];
	/* Its number must not be one that it takes the place of. */
	if (!ret)
		ret = spawn(job, path, argv, pair[1]);
	if (pair[1] >= 0)
		close(pair[1]);
	if (!ret) {
		job->deadline = loop_after(job->loop, WALL_NS, is_late, job);
		ret = -loop_watch(job->loop, job->pidfd, EPOLLIN, ended, job);
		if (!ret) {
			running++;
			return 0;
		}
		syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
		waitpid(job->pid, NULL, 0);
		close(job->pidfd);
		job->pidfd = -1;
	}
	err_set(err, ret, "cannot run %s to open a net device", path);
	n = strlen(err->message);
	limits_explain(-ret, err->message + n, sizeof(err->message) - n);
	return -ret;
}

static void run_waiting(void)
{
	struct link *l;

	while (running < MAX_RUNNING && (l = list_first(&waiting))) {
		struct net_job *job = LIST_OF(l, struct net_job, waiting);
		struct err err = {0};

		list_remove(l);
		if (!run(job, &err))
			continue;
		job->done(job->arg, NULL, ENGINE_BUSY, &err);
		job_free(job);
	}
}

struct net_job *net_job_start(struct loop *loop, const struct vm_net_device *d, net_job_done *done,
			      void *arg, struct err *err)
{
	struct net_job *job = malloc(sizeof(*job));

	if (!job) {
		err_set(err, ENOMEM, "cannot open a net device");
		return NULL;
	}
	*job = (struct net_job){
		.loop = loop,
		.done = done,
		.arg = arg,
		.device = d,
		.pidfd = -1,
		.answer = -1,
		.errors = -1,
	};
	list_init(&job->waiting);
	if (running >= MAX_RUNNING)
		list_add(&waiting, &job->waiting);
	else if (run(job, err)) {
		job_free(job);
		return NULL;
	}
	return job;
}

void net_job_cancel(struct net_job *job)
{
	if (job->pidfd < 0) {
		list_remove(&job->waiting);
		job_free(job);
		return;
	}
	/* It may be in the kernel for a while yet: ended() waits for it. */
	job->done = NULL;
	syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
}
