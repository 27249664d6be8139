/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_zygote.c: the zygote: started, asked for shells, listened to, started again.
 *
 * A process' last news can be unread when the zygote tells of its end, for those are two
 * sockets. All news that was sent before the end is in its socket by then: so after a batch
 * from the zygote the news is read until there is none, and only then do ends count.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine_own.h"

#define BATCH         64
#define ALL_NEWS      16384 /* more than its buffer holds */
#define UP_MS         20000 /* at the daemon's start: KVM may have to be asked for a lot */
#define RESTART_NS    100000000ull
#define RESTART_MAX   7              /* doublings: 12.8 s */
#define LONG_ENOUGH   10000000000ull /* it ran so long that its end begins a new count */
#define CLOSE_SECONDS 120

static void link_ready(void *arg, uint32_t events);
static void process_ended(void *arg, uint32_t events);
static void inbox_ready(void *arg, uint32_t events);
static void start(void *arg);

/* ---- what it tells ---- */

static void is_up(struct engine *e, const struct zygote_reply *reply)
{
	struct zygote *z = &e->zygote;

	if (reply->shell != WIRE_VERSION) {
		snprintf(z->why, sizeof(z->why),
			 "mayfly is of version %llu of the protocol, the daemon of %u: install "
			 "both again",
			 (unsigned long long)reply->shell, WIRE_VERSION);
		syscall(SYS_pidfd_send_signal, z->process.pidfd, SIGKILL, NULL, 0);
		return;
	}
	z->is_up = true;
	*z->why = 0;
	memcpy(z->text, reply->text, sizeof(z->text));
	pool_watch(e);
}

static void has_failed(struct engine *e, const struct zygote_reply *reply)
{
	struct shell *shell = shells_find(&e->shells, reply->shell);
	struct err err;

	if (!reply->shell) {
		memcpy(e->zygote.why, reply->text, sizeof(e->zygote.why));
		return;
	}
	if (!shell)
		return;
	err_set(&err, reply->status > 0 ? reply->status : 0, "%s", reply->text);
	if (shell->state == SHELL_PREPARING)
		pool_shell_failed(e, shell, &err, reply->status);
	shell_gone(e, shell, NULL);
}

/* Reads a batch; ends are only marked. Their number, or -1: the link is at its end. */
static int read_batch(struct engine *e, struct zygote_reply reply[BATCH])
{
	int n = 0;

	while (n < BATCH) {
		ssize_t bytes =
			recv(e->zygote.process.link, &reply[n], sizeof(reply[n]), MSG_DONTWAIT);
		struct shell *shell;

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes == 0)
			return n ? n : -1;
		if (bytes < 0)
			break;
		/* It is ours and trusted, but may be of another version. */
		if (bytes != sizeof(reply[n]))
			continue;
		reply[n].text[sizeof(reply[n].text) - 1] = 0;
		shell = shells_find(&e->shells, reply[n].shell);
		if (shell && reply[n].event == ZYGOTE_ENDED) {
			shell->ended = true;
			shell->status = reply[n].status;
		}
		n++;
	}
	return n;
}

static void act_on(struct engine *e, const struct zygote_reply *reply)
{
	struct shell *shell;

	switch (reply->event) {
	case ZYGOTE_UP:
		is_up(e, reply);
		break;
	case ZYGOTE_FAILED:
		has_failed(e, reply);
		break;
	case ZYGOTE_ENDED:
		shell = shells_find(&e->shells, reply->shell);
		if (shell)
			shell_gone(e, shell, NULL);
		break;
	}
}

/* A batch of replies, the news that belongs before it, and then what it says. -1: no more
 * will come. */
static int intake(struct engine *e, unsigned news)
{
	struct zygote_reply reply[BATCH];
	int n = e->zygote.process.pid ? read_batch(e, reply) : -1;

	news_read(e, n > 0 ? ALL_NEWS : news);
	for (int i = 0; i < n; i++)
		act_on(e, &reply[i]);
	return n;
}

static void inbox_ready(void *arg, uint32_t events)
{
	struct engine *e = arg;

	(void)events;
	/* Its replies first: one may say whose pid a sender has now. */
	intake(e, BATCH);
}

/* ---- what it is asked ---- */

static int ask(struct engine *e, const struct zygote_request *request, const struct wire_net *net,
	       const int *fd, int nfds)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(ZYGOTE_MAX_FDS * sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {{(void *)request, sizeof(*request)},
			       {(void *)net, request->nnet * sizeof(*net)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (nfds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		control.head = (struct cmsghdr){CMSG_LEN((size_t)nfds * sizeof(int)), SOL_SOCKET,
						SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), fd, (size_t)nfds * sizeof(int));
	}
	while (sendmsg(e->zygote.process.link, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return errno == ENOBUFS ? -EAGAIN : -errno;
	return 0;
}

/* Watches for room in the link as long as something waits for it. */
static void watch_link(struct engine *e)
{
	bool out = !list_empty(&e->zygote.kills);

	if (out == e->zygote.wants_out || !e->zygote.process.pid)
		return;
	e->zygote.wants_out = out;
	loop_change(e->loop, e->zygote.process.link, EPOLLIN | (out ? EPOLLOUT : 0));
}

int zygote_spawn(struct engine *e, const struct shell *shell, const int *cgroup, int ncgroups,
		 struct err *err)
{
	const struct net_handed *handed;
	struct zygote_request request = {
		.op = ZYGOTE_SPAWN,
		.nnet = shell_net_handed(shell, &handed),
		.shell = shell->number,
		.memory_bytes = shell->memory_bytes,
		.uid = shell->uid,
		.gid = shell->uid,
		/* Root of a user namespace may not take back a low priority. */
		.urgent = shell->urgent || e->zygote.process.own_users,
		.log = shell->has_log,
	};
	struct wire_net net[NOXS_NET_MAX];
	int fd[ZYGOTE_MAX_FDS], nfds = ncgroups, ret;

	if (!e->zygote.is_up)
		return err_set(err, 0, "there is no zygote: %s",
			       *e->zygote.why ? e->zygote.why : "it is being started");
	if (ncgroups)
		memcpy(fd, cgroup, (size_t)ncgroups * sizeof(*fd));
	for (unsigned i = 0; i < request.nnet; i++) {
		net[i] = handed[i].wire;
		memcpy(fd + nfds, handed[i].fd, net_handed_fds(&handed[i]) * sizeof(*fd));
		nfds += (int)net_handed_fds(&handed[i]);
	}
	ret = ask(e, &request, net, fd, nfds);
	if (ret && ret != -EAGAIN)
		err_set(err, -ret, "cannot ask the zygote for a shell");
	return ret;
}

static bool send_kill(struct engine *e, const struct shell *shell)
{
	const struct zygote_request request = {
		.op = ZYGOTE_KILL, .shell = shell->number, .signal = shell->kill_signal};

	/* Other errors: it is gone, and with it the shell. */
	return ask(e, &request, NULL, NULL, 0) != -EAGAIN;
}

void zygote_kill(struct engine *e, struct shell *shell, int signal)
{
	shell->kill_signal = signal;
	if (!list_empty(&shell->kill_link) || shell->ended)
		return;
	if (!list_empty(&e->zygote.kills) || !send_kill(e, shell))
		list_add(&e->zygote.kills, &shell->kill_link);
	watch_link(e);
}

static void send_kills(struct engine *e)
{
	struct link *l;

	while ((l = list_first(&e->zygote.kills))) {
		if (!send_kill(e, LIST_OF(l, struct shell, kill_link)))
			break;
		list_remove(l);
	}
	watch_link(e);
}

static void link_ready(void *arg, uint32_t events)
{
	struct engine *e = arg;

	if (events & EPOLLOUT)
		send_kills(e);
	/* At its end: its process' end is what counts, for only then are its shells gone. */
	if ((events & ~(uint32_t)EPOLLOUT) && intake(e, BATCH) < 0 && e->zygote.process.pid)
		loop_change(e->loop, e->zygote.process.link, 0);
}

/* ---- its life ---- */

static void forget(struct engine *e)
{
	struct zygote *z = &e->zygote;

	if (!z->process.pid)
		return;
	loop_change(e->loop, z->process.link, 0);
	loop_change(e->loop, z->process.news, 0);
	loop_change(e->loop, z->process.pidfd, 0);
	close(z->process.link);
	close(z->process.news);
	close(z->process.pidfd);
	z->process = (struct launched){.pidfd = -1, .link = -1, .news = -1};
	z->is_up = z->wants_out = false;
}

static int launch(struct engine *e, struct err *err)
{
	struct zygote *z = &e->zygote;
	int ret = launch_zygote(&z->process, e->run_dir, e->options.jail, err);

	if (ret) {
		z->process.pid = 0;
		return ret;
	}
	z->since_ns = loop_now_ns();
	/* Where it has one user only, there are none to give out. */
	if (z->process.own_users || z->process.bare)
		e->shells.uid_count = 0;
	if ((ret = loop_watch(e->loop, z->process.link, EPOLLIN, link_ready, e)) ||
	    (ret = loop_watch(e->loop, z->process.news, EPOLLIN, inbox_ready, e)) ||
	    (ret = loop_watch(e->loop, z->process.pidfd, EPOLLIN, process_ended, e))) {
		err_set(err, -ret, "cannot watch the zygote");
		kill(z->process.pid, SIGKILL);
		waitpid(z->process.pid, NULL, 0);
		forget(e);
	}
	return ret;
}

static void start_later(struct engine *e)
{
	struct zygote *z = &e->zygote;
	unsigned doublings = z->failures < RESTART_MAX ? z->failures : RESTART_MAX;

	z->failures++;
	z->restart = loop_after(e->loop, RESTART_NS << doublings, start, e);
}

/* It did not come up: that may last. Whoever comes later waits for the next try. */
static void fail_waiting(struct engine *e)
{
	struct err err;

	err_set(&err, 0, "no shells can be made: %s", e->zygote.why);
	pool_fail_waiting(e, &err);
}

static void start(void *arg)
{
	struct engine *e = arg;
	struct err err = {0};

	e->zygote.restart = 0;
	if (!launch(e, &err))
		return;
	fprintf(stderr, "mayfly daemon: %s\n", err.message);
	snprintf(e->zygote.why, sizeof(e->zygote.why), "%.200s", err.message);
	start_later(e);
	fail_waiting(e);
}

static void describe_end(struct engine *e, int status, char *text, size_t bytes)
{
	if (e->ending)
		snprintf(text, bytes, "the daemon was ended");
	else if (WIFSIGNALED(status))
		snprintf(text, bytes, "the zygote was ended by signal %d, and its VMs with it",
			 WTERMSIG(status));
	else
		snprintf(text, bytes, "the zygote exited with %d%s%s, and its VMs with it",
			 WEXITSTATUS(status), *e->zygote.why ? ": " : "", e->zygote.why);
}

/* With its PID namespace all its shells have gone, and have said what they had to say. */
static void all_gone(struct engine *e, const char *why)
{
	struct shell *shell;

	while (intake(e, ALL_NEWS) > 0)
		;
	forget(e);
	while ((shell = shells_any(&e->shells)))
		shell_gone(e, shell, why);
}

static void process_ended(void *arg, uint32_t events)
{
	struct engine *e = arg;
	struct zygote *z = &e->zygote;
	char why[320];
	bool was_up;
	int status;

	(void)events;
	if (waitpid(z->process.pid, &status, WNOHANG) != z->process.pid)
		return;
	/* Why, it may have said last. */
	while (intake(e, ALL_NEWS) > 0)
		;
	describe_end(e, status, why, sizeof(why));
	was_up = z->is_up;
	if (was_up && loop_now_ns() - z->since_ns > LONG_ENOUGH)
		z->failures = 0;
	all_gone(e, why);
	if (e->ending) {
		if (e->ended)
			e->ended(e->ended_arg);
		return;
	}
	fprintf(stderr, "mayfly daemon: %s; starting another\n", why);
	if (!*z->why)
		snprintf(z->why, sizeof(z->why), "%.200s", why);
	start_later(e);
	if (!was_up)
		fail_waiting(e);
	pool_watch(e);
}

/* Before there is a loop: what keeps it from starting is the daemon's own failure. */
static int wait_until_up(struct engine *e, struct err *err)
{
	struct zygote *z = &e->zygote;
	struct pollfd p = {.fd = z->process.link, .events = POLLIN};
	uint64_t until = loop_now_ns() + UP_MS * 1000000ull;

	while (!z->is_up) {
		uint64_t now = loop_now_ns();

		if (now >= until)
			return err_set(err, ETIMEDOUT, "the zygote does not come up");
		if (poll(&p, 1, (int)((until - now) / 1000000) + 1) < 0 && errno != EINTR)
			return err_set(err, errno, "cannot wait for the zygote");
		if (p.revents && intake(e, 0) < 0)
			return err_set(err, 0, "%s",
				       *z->why ? z->why : "the zygote ended at its start");
	}
	*z->why = 0;
	return 0;
}

int zygote_open(struct engine *e, struct err *err)
{
	int ret;

	e->zygote.process = (struct launched){.pidfd = -1, .link = -1, .news = -1};
	list_init(&e->zygote.kills);
	ret = launch(e, err);
	return ret ? ret : wait_until_up(e, err);
}

void zygote_end(struct engine *e)
{
	/* Its shells go with it: by its PID namespace, or each by its parent-death signal. */
	if (e->zygote.process.pid)
		syscall(SYS_pidfd_send_signal, e->zygote.process.pidfd, SIGKILL, NULL, 0);
}

void zygote_close(struct engine *e)
{
	struct zygote *z = &e->zygote;
	struct pollfd p = {.fd = z->process.pidfd, .events = POLLIN};

	loop_cancel(e->loop, z->restart);
	if (!z->process.pid)
		return;
	zygote_end(e);
	/* The kernel ends thousands of VMs meanwhile, if there are. */
	while (poll(&p, 1, CLOSE_SECONDS * 1000) < 0 && errno == EINTR)
		;
	waitpid(z->process.pid, NULL, WNOHANG);
	all_gone(e, "the daemon was ended");
}
