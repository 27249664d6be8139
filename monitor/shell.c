/* SPDX-License-Identifier: Apache-2.0 */
/* shell.c: see shell.h: what a shell does before it has a program. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "jail.h"
#include "shell.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; musl 1.2.3 does not know it */
#endif

#define TOUCH_STACK 12288

void shell_tell_parts(const struct shell *s, uint32_t type, uint64_t arg, struct iovec *part,
		      int nparts)
{
	struct news head = {.type = type, .shell = s->number, .arg = arg};
	struct iovec iov[6] = {{&head, sizeof(head)}};

	for (int i = 0; i < nparts; i++) {
		iov[i + 1] = part[i];
		head.bytes += (uint32_t)part[i].iov_len;
	}
	/* Blocks while the daemon is behind; if it is gone, so are we. */
	while (writev(s->news, iov, nparts + 1) < 0 && errno == EINTR)
		;
}

void shell_tell(const struct shell *s, uint32_t type, uint64_t arg, const void *data, size_t bytes)
{
	struct iovec part = {(void *)data, bytes};

	shell_tell_parts(s, type, arg, &part, 1);
}

/* ret: -errno, from which the daemon tells which limit it was. */
static _Noreturn void fail(const struct shell *s, int ret, const struct err *err)
{
	shell_tell(s, NEWS_FAILED, (uint64_t)-ret, err->message, strlen(err->message));
	_exit(ERR_EXIT_SELF);
}

static int join_cgroups(const int *cgroup, unsigned n, struct err *err)
{
	for (unsigned i = 0; i < n; i++)
		if (write(cgroup[i], "0", 1) != 1)
			return err_set(err, errno, "cannot put a shell into its cgroup");
	return 0;
}

/* musl's sched_setscheduler only says ENOSYS. */
static void set_policy(int policy)
{
	struct sched_param none = {0};

	syscall(SYS_sched_setscheduler, 0, policy, &none);
}

/* The socket for START and what comes after it, at the path where the daemon sends to. */
static int open_control(struct shell *s, struct err *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "shell/%llu", (unsigned long long)s->number);
	s->control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->control < 0 || bind(s->control, (struct sockaddr *)&at, sizeof(at)))
		return err_set(err, errno, "cannot make a shell's socket %s", at.sun_path);
	return 0;
}

static int open_log(struct shell *s, struct err *err)
{
	char path[40];

	snprintf(path, sizeof(path), "log/%llu", (unsigned long long)s->number);
	s->log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return s->log < 0 ? err_set(err, errno, "cannot make the log %s", path) : 0;
}

static int make_vm(struct shell *s, const struct zygote_request *r, const struct wire_net *net,
		   const int *fd, unsigned nfds, struct err *err)
{
	int ret;

	if ((ret = vm_reserve_ram(&s->vm, r->memory_bytes, err)) ||
	    (ret = guest_prepare(&s->guest, &s->vm, s->host, err)))
		return ret;
	s->guest.page->flags = NOXS_FLAG_PARK;
	if ((ret = vm_create(&s->vm, s->host, s->guest.kernel->lstar, err)))
		return ret;
	for (uint32_t i = 0; i < r->nnet; i++)
		if ((ret = shell_net_add(s, &net[i], &fd, &nfds, err)))
			return ret;
	console_init(&s->console, &s->guest);
	run_prepare_signals(&s->vm);
	return run_to_park(&s->vm, &s->guest, err);
}

static int enter_jail(struct shell *s, const struct zygote_request *r, const int *fd, unsigned nfds,
		      struct err *err)
{
	int keep[JAIL_MAX_KEEP] = {s->control, s->news, s->vm.fd, s->vm.vcpu, s->log};
	const unsigned own = s->log >= 0 ? 5 : 4;
	const struct jail jail = {
		.uid = r->uid,
		.gid = r->gid,
		.keep = keep,
		.nkeep = own + nfds,
		.memory_bytes = r->memory_bytes,
		.file_bytes = UINT64_MAX, /* a caller's file may be of any length */
	};

	_Static_assert(JAIL_MAX_KEEP >= 5 + NOXS_NET_MAX * (1 + NET_WIRE_FDS), "all are kept");
	if (nfds)
		memcpy(keep + own, fd, nfds * sizeof(*fd));
	return jail_enter(&jail, err);
}

/*
 * A fork's first write to a page copies it, and KVM is asked about each; its first fetch of
 * code takes a fault. All that a start will use is used now.
 */
static void touch(struct shell *s)
{
	extern const char __executable_start[] __attribute__((visibility("hidden")));
	extern const char __init_array_start[] __attribute__((visibility("hidden")));
	uintptr_t text = (uintptr_t)__executable_start & ~(NOXS_PAGE - 1);
	volatile char stack[TOUCH_STACK];
	struct timespec now;

	for (size_t i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 0;
	memset(s->message, 0, 1);
	memset(s->output.kept[NOXS_STDOUT], 0, 1);
	memset(s->strings, 0, sizeof(s->strings));
	madvise((void *)text, (uintptr_t)__init_array_start - text, MADV_POPULATE_READ);
	clock_gettime(CLOCK_MONOTONIC, &now); /* the vDSO's */
}

/* Sleeps until there is a program, runs it. */
static _Noreturn void serve(struct shell *s)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(SHELL_MAX_FDS * sizeof(int))];
	} control;
	int fd[SHELL_MAX_FDS];

	for (;;) {
		struct iovec iov = {s->message, sizeof(s->message)};
		struct msghdr m = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			/* Not all of control: its padding would take one more. */
			.msg_controllen = CMSG_LEN(sizeof(fd)),
		};
		ssize_t n = recvmsg(s->control, &m, MSG_CMSG_CLOEXEC);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		unsigned nfds = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(ERR_EXIT_SELF);
		if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			nfds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fd, CMSG_DATA(c), nfds * sizeof(int));
		}
		if ((size_t)n >= sizeof(struct shell_message) &&
		    ((struct shell_message *)s->message)->op == SHELL_START &&
		    !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
			shell_start(s, (size_t)n, fd, nfds);
		/* Anything else is too early. */
		for (unsigned i = 0; i < nfds; i++)
			close(fd[i]);
	}
}

_Noreturn void shell_main(const struct shell_world *world, const struct zygote_request *request,
			  const struct wire_net *net, const int *fd, unsigned nfds)
{
	static struct shell shell;
	struct shell *s = &shell;
	const bool low = !request->urgent && geteuid() == 0;
	const unsigned nnet_fds = shell_net_fds(net, request->nnet);
	const unsigned ncgroups = nfds - nnet_fds;
	const int *net_fd = fd + ncgroups;
	struct err err = {0};
	sigset_t none;
	int ret;

	s->number = request->shell;
	s->news = world->news;
	s->log = -1;
	s->host = world->host;
	s->vm.kvm = world->kvm;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL); /* the zygote's is not ours */
	/* Nobody waits for it: whoever has work goes first. Back to normal takes privilege. */
	if (low)
		set_policy(SCHED_IDLE);
	if ((ret = join_cgroups(fd, ncgroups, &err)) || (ret = open_control(s, &err)) ||
	    (request->log && (ret = open_log(s, &err))) ||
	    (ret = make_vm(s, request, net, net_fd, nnet_fds, &err)))
		fail(s, ret, &err);
	if (low)
		set_policy(SCHED_OTHER);
	touch(s);
	s->jailed = world->jail;
	if (world->jail && (ret = enter_jail(s, request, net_fd, nnet_fds, &err)))
		fail(s, ret, &err);
	shell_tell(s, NEWS_READY, 0, NULL, 0);
	serve(s);
}
