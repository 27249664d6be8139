/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.c: see launch.h.
 *
 * As root the zygote gets PID, mount, network, IPC and UTS namespaces. Without privilege it
 * needs a user namespace for those, which gives it privilege over nothing else. Where even
 * that is refused it runs without, and says so: a container may forbid it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../wire.h"
#include "launch.h"
#include "limits.h"
#include "program.h"

#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* What can be on its way: news of many shells whose daemon is busy. Else they wait. */
#define NEWS_BUFFER (4 << 20)

struct child {
	char path[PATH_MAX + 64];
	int link, news, run_dir, go, their_go;
	bool jail;
};

/* In the new process. Only system calls: the C library does not know that it was made. */
static _Noreturn void child(const struct child *c)
{
	char *argv[] = {(char *)"mayfly", (char *)"zygote", c->jail ? NULL : (char *)"--no-jail",
			NULL};
	char *envp[] = {NULL};
	int fd[] = {c->link, c->news, c->run_dir}, null;
	sigset_t none;
	char go;

	/* Until our ids are mapped, if they are; or the daemon has gone meanwhile. */
	close(c->their_go);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || read(c->go, &go, 1) != 1)
		_exit(ERR_EXIT_SELF);
	null = open("/dev/null", O_RDONLY);
	dup2(null, STDIN_FILENO);
	/* Out of the way first: one may have the number that another is to get. */
	for (int i = 0; i < 3; i++)
		fd[i] = fcntl(fd[i], F_DUPFD, ZYGOTE_FD_RUN_DIR + 1);
	for (int i = 0; i < 3; i++)
		if (dup2(fd[i], ZYGOTE_FD_LINK + i) < 0)
			_exit(ERR_EXIT_SELF);
	close_range(ZYGOTE_FD_RUN_DIR + 1, ~0u, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(c->path, argv, envp);
	_exit(ERR_EXIT_SELF);
}

static pid_t clone_child(const struct child *c, unsigned long flags, int *pidfd)
{
	pid_t pid =
		(pid_t)syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, NULL);

	if (pid == 0)
		child(c);
	return pid;
}

/* One file of /proc/PID. */
static int tell_kernel(pid_t pid, const char *file, const char *text)
{
	char path[64];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Root inside is who we are outside (user_namespaces(7)). */
static int map_ids(pid_t pid)
{
	char text[64];
	int ret;

	/* Kernels before 3.19 have no setgroups file, and need none. */
	tell_kernel(pid, "setgroups", "deny");
	snprintf(text, sizeof(text), "0 %u 1", (unsigned)geteuid());
	ret = tell_kernel(pid, "uid_map", text);
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "0 %u 1", (unsigned)getegid());
	return tell_kernel(pid, "gid_map", text);
}

static pid_t clone_with_users(const struct child *c, int *pidfd)
{
	pid_t pid = clone_child(c, NAMESPACES | CLONE_NEWUSER, pidfd);
	int ret;

	if (pid <= 0)
		return pid;
	ret = map_ids(pid);
	if (!ret)
		return pid;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(*pidfd);
	errno = -ret;
	return -1;
}

/* The most that can be had. The pid, or -1 and errno. */
static pid_t clone_best(const struct child *c, struct launched *l)
{
	pid_t pid = clone_child(c, NAMESPACES, &l->pidfd);

	if (pid >= 0 || (errno != EPERM && errno != ENOSPC && errno != EINVAL))
		return pid;
	l->own_users = true;
	pid = clone_with_users(c, &l->pidfd);
	if (pid >= 0 || errno == EAGAIN || errno == ENOMEM)
		return pid;
	fprintf(stderr,
		"mayfly daemon: WARNING: no namespaces can be had (%s): VMs' processes stay in "
		"those of the daemon, and share its network. Run it as root, or allow user "
		"namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)\n",
		strerror(errno));
	l->own_users = false;
	l->bare = true;
	return clone_child(c, 0, &l->pidfd);
}

/* Ours is [0]. */
static int make_sockets(int link[2], int news[2], int go[2])
{
	const int kind = SOCK_CLOEXEC;
	int on = 1, bytes = NEWS_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | kind, 0, link) ||
	    socketpair(AF_UNIX, SOCK_DGRAM | kind, 0, news) || pipe2(go, O_CLOEXEC))
		return -errno;
	/* Only ours: whoever is at the other end may wait. */
	if (fcntl(link[0], F_SETFL, O_NONBLOCK) || fcntl(news[0], F_SETFL, O_NONBLOCK) ||
	    setsockopt(news[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		return -errno;
	/* What is unread counts against the sender's. As much as the system lets us have. */
	setsockopt(news[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

static void close_all(const int *fd, int n)
{
	for (int i = 0; i < n; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static int lacking(int errnum, const char *what, struct err *err)
{
	size_t n;

	err_set(err, errnum, "cannot %s", what);
	n = strlen(err->message);
	limits_explain(errnum, err->message + n, sizeof(err->message) - n);
	return -errnum;
}

int launch_zygote(struct launched *l, int run_dir, bool jail, struct err *err)
{
	struct child c = {.run_dir = run_dir, .jail = jail};
	int fd[6] = {-1, -1, -1, -1, -1, -1};
	int *link = fd, *news = fd + 2, *go = fd + 4;
	int ret = program_path("mayfly", c.path, sizeof(c.path), err);

	*l = (struct launched){.pidfd = -1, .link = -1, .news = -1};
	if (ret)
		return ret;
	ret = make_sockets(link, news, go);
	if (ret) {
		close_all(fd, 6);
		return lacking(-ret, "make the zygote's sockets", err);
	}
	c.link = link[1];
	c.news = news[1];
	c.go = go[0];
	c.their_go = go[1];
	l->pid = clone_best(&c, l);
	if (l->pid < 0) {
		ret = lacking(errno, "start the zygote", err);
		close_all(fd, 6);
		return ret;
	}
	if (write(go[1], "", 1) != 1)
		kill(l->pid, SIGKILL);
	l->link = link[0];
	l->news = news[0];
	close_all((int[]){link[1], news[1], go[0], go[1]}, 4);
	return 0;
}
