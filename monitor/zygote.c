/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zygote.c: the process that forks shells (the hidden verb `zygote`; the daemon starts it).
 *
 * It is PID 1 of a PID namespace, in empty mount, network, IPC and UTS namespaces, which
 * all shells share: one of each per VM would take more memory and time than the VM. It
 * has learned of the host once, so a shell costs a fork. It ends when the daemon does, by
 * its parent-death signal or the end of the link, and the kernel then ends every shell.
 * As the shells' parent it can signal one without hitting another that got its number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "jail.h"
#include "shell.h"

#define SCAN_NS 100000000ull

/* A map of positive numbers: open addressing, at most three quarters full. */
struct map {
	struct {
		uint64_t key, value; /* key 0: free */
	} * slot;
	size_t size, n; /* size is a power of two */
};

struct zygote {
	struct host host;
	struct shell_world world;
	struct map shell_of, pid_of; /* PID <-> shell's number */
	uint64_t scan_ns; /* when to look for children whose end no signal named; 0: never */
};

static void tell(enum zygote_event event, uint64_t shell, int status, const char *text)
{
	struct zygote_reply r = {.event = event, .shell = shell, .status = status};

	snprintf(r.text, sizeof(r.text), "%s", text);
	while (send(ZYGOTE_FD_LINK, &r, sizeof(r), MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(ERR_EXIT_SELF); /* no daemon, no shells */
}

/* ---- children ---- */

static size_t map_place(const struct map *m, uint64_t key)
{
	size_t i = key * 0x9e3779b97f4a7c15ull >> 20 & (m->size - 1);

	while (m->slot[i].key && m->slot[i].key != key)
		i = (i + 1) & (m->size - 1);
	return i;
}

static bool map_reserve(struct map *m)
{
	struct map old = *m;

	if (m->size && m->n < m->size / 4 * 3)
		return true;
	m->size = old.size ? old.size * 2 : 1024;
	m->slot = calloc(m->size, sizeof(*m->slot));
	if (!m->slot) {
		*m = old;
		return false;
	}
	for (size_t i = 0; i < old.size; i++)
		if (old.slot[i].key)
			m->slot[map_place(m, old.slot[i].key)] = old.slot[i];
	free(old.slot);
	return true;
}

static void map_put(struct map *m, uint64_t key, uint64_t value)
{
	size_t i = map_place(m, key);

	m->slot[i].key = key;
	m->slot[i].value = value;
	m->n++;
}

static uint64_t map_get(const struct map *m, uint64_t key)
{
	return m->size ? m->slot[map_place(m, key)].value : 0;
}

/* Takes an entry out and moves up what it stood in the way of. Its value, or 0. */
static uint64_t map_take(struct map *m, uint64_t key)
{
	size_t mask = m->size - 1, i;
	uint64_t value;

	if (!m->size || !m->slot[i = map_place(m, key)].key)
		return 0;
	value = m->slot[i].value;
	m->slot[i].key = m->slot[i].value = 0;
	m->n--;
	for (i = (i + 1) & mask; m->slot[i].key; i = (i + 1) & mask) {
		uint64_t k = m->slot[i].key, v = m->slot[i].value;

		m->slot[i].key = m->slot[i].value = 0;
		m->n--;
		map_put(m, k, v);
	}
	return value;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static bool reap_one(struct zygote *z, pid_t which)
{
	int status;
	pid_t pid = waitpid(which, &status, WNOHANG);
	uint64_t shell;

	if (pid <= 0)
		return false;
	shell = map_take(&z->shell_of, (uint64_t)pid);
	if (shell) {
		map_take(&z->pid_of, shell);
		tell(ZYGOTE_ENDED, shell, status, "");
	}
	return true;
}

/*
 * wait(2) for any child looks at one after the other, and there may be 20,000. So the PID
 * that the signal names is waited for; who ended while a signal was pending already is
 * found by a look at all of them, which happens at most ten times a second.
 */
static void children(struct zygote *z, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		reap_one(z, (pid_t)info.ssi_pid);
		if (!z->scan_ns)
			z->scan_ns = now_ns() + SCAN_NS;
	}
}

static void scan(struct zygote *z)
{
	z->scan_ns = 0;
	while (reap_one(z, -1))
		;
}

/* ---- requests ---- */

static void spawn(struct zygote *z, const struct zygote_request *r, const struct wire_net *net,
		  const int *fd, unsigned nfds)
{
	pid_t pid;

	if (!map_reserve(&z->shell_of) || !map_reserve(&z->pid_of)) {
		tell(ZYGOTE_FAILED, r->shell, ENOMEM, "cannot keep account of one more shell");
		return;
	}
	pid = fork();
	if (pid == 0)
		shell_main(&z->world, r, net, fd, nfds);
	if (pid < 0) {
		int why = errno;

		tell(ZYGOTE_FAILED, r->shell, why,
		     why == EAGAIN
			     ? "cannot fork a shell: no more processes; see kernel.pid_max (a "
			       "VM takes two PIDs), RLIMIT_NPROC and the pids cgroup"
			     : "cannot fork a shell");
		return;
	}
	map_put(&z->shell_of, (uint64_t)pid, r->shell);
	map_put(&z->pid_of, r->shell, (uint64_t)pid);
}

static void request(struct zygote *z)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(ZYGOTE_MAX_FDS * sizeof(int))];
	} control;
	int fd[ZYGOTE_MAX_FDS];
	struct zygote_request r;
	struct wire_net net[NOXS_NET_MAX];
	struct iovec iov[2] = {{&r, sizeof(r)}, {net, sizeof(net)}};
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(fd)),
	};
	ssize_t n = recvmsg(ZYGOTE_FD_LINK, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	unsigned nfds = 0;
	bool whole;
	pid_t pid;

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0)
		_exit(0); /* the daemon is gone */
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		nfds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fd, CMSG_DATA(c), nfds * sizeof(int));
	}
	whole = n >= (ssize_t)sizeof(r) && r.nnet <= NOXS_NET_MAX &&
		(size_t)n == sizeof(r) + r.nnet * sizeof(net[0]) &&
		nfds >= shell_net_fds(net, r.nnet);
	if (whole && r.shell && r.op == ZYGOTE_SPAWN)
		spawn(z, &r, net, fd, nfds);
	else if (whole && r.op == ZYGOTE_KILL && (pid = (pid_t)map_get(&z->pid_of, r.shell)))
		kill(pid, r.signal);
	for (unsigned i = 0; i < nfds; i++)
		close(fd[i]);
}

/* All that takes a path, before there are none. */
static int open_world(struct zygote *z, struct err *err)
{
	int ret = z->world.kvm = vm_open_kvm(err);

	if (ret < 0 || (ret = host_load(&z->host, z->world.kvm, ZYGOTE_FD_RUN_DIR, err)))
		return ret;
	z->host.exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (z->host.exe < 0)
		return err_set(err, errno, "cannot open our own executable");
	z->world.host = &z->host;
	z->world.news = ZYGOTE_FD_NEWS;
	z->world.run_dir = ZYGOTE_FD_RUN_DIR;
	return 0;
}

int cmd_zygote(int argc, char **argv)
{
	static struct zygote zygote;
	struct zygote *z = &zygote;
	struct pollfd p[2] = {{.fd = ZYGOTE_FD_LINK, .events = POLLIN}, {.events = POLLIN}};
	char text[sizeof(((struct zygote_reply *)0)->text)] = "";
	struct err err = {0};
	sigset_t chld;
	int ret;

	if (fcntl(ZYGOTE_FD_LINK, F_GETFD) < 0 || fcntl(ZYGOTE_FD_NEWS, F_GETFD) < 0 ||
	    fcntl(ZYGOTE_FD_RUN_DIR, F_GETFD) < 0)
		return cmd_usage("zygote",
				 "the daemon starts it; there is nothing here to start by hand");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	z->world.jail = !(argc > 1 && !strcmp(argv[1], "--no-jail"));
	ret = open_world(z, &err);
	if (!ret && z->world.jail)
		ret = jail_world(&err, text, sizeof(text));
	/* Shells bind their sockets relative to this; they leave it when they are jailed. */
	if (!ret && fchdir(ZYGOTE_FD_RUN_DIR))
		ret = err_set(&err, errno, "cannot enter the run directory");
	if (ret) {
		tell(ZYGOTE_FAILED, 0, -ret, err.message);
		return ERR_EXIT_SELF;
	}
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	p[1].fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p[1].fd < 0)
		return ERR_EXIT_SELF;
	tell(ZYGOTE_UP, WIRE_VERSION, 0, text);
	for (;;) {
		int n = poll(p, 2, z->scan_ns ? (int)(SCAN_NS / 1000000) : -1);

		if (z->scan_ns && now_ns() >= z->scan_ns)
			scan(z);
		if (n > 0 && p[1].revents)
			children(z, p[1].fd);
		if (n > 0 && p[0].revents)
			request(z);
	}
}
