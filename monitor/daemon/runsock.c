/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsock.c: see runsock.h.
 *
 *   accepted --request--> the engine has the VM --its end--> answered, closed
 *      '--- nonsense, or nothing for 10 s: answered, closed
 *
 * The caller sends its request right behind connect(), so it is read without asking epoll
 * first. After that only signals and the connection's end can come.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <x86intrin.h>

#include "engine.h"
#include "loop.h"
#include "run_receive.h"
#include "run_request.h"
#include "runsock.h"

#define REQUEST_NS   (10 * 1000000000ull) /* a caller that says nothing */
#define BREATHING_NS (100 * 1000000ull)   /* until the next accept, when descriptors ran out */
#define EXIT_TIMEOUT 124

/* Callers take half of the descriptors that the daemon does not need for itself. */
#define OWN_FILES 32
#define MIN_RUNS  4u

struct run {
	struct runsock *sock;
	struct run *prev, *next;
	int fd;
	struct vm *vm;  /* NULL: not yet */
	uint64_t wait;  /* engine_wait's token */
	uint64_t timer; /* until the request has come */
	bool is_watched;
	bool is_busy; /* take_request stands on it: it is freed later */
	bool is_over;
};

struct runsock {
	struct loop *loop;
	struct engine *engine;
	int listen_fd;
	unsigned count, limit;
	uint64_t breather;
	struct run *runs;
	char message[WIRE_MAX_BYTES]; /* of one request at a time */
};

/* ---- the end of a connection ---- */

static void run_free(struct run *run)
{
	struct runsock *s = run->sock;

	*(run->prev ? &run->prev->next : &s->runs) = run->next;
	if (run->next)
		run->next->prev = run->prev;
	s->count--;
	free(run);
}

static void run_close(struct run *run)
{
	struct runsock *s = run->sock;

	if (run->timer)
		loop_cancel(s->loop, run->timer);
	if (run->is_watched)
		loop_change(s->loop, run->fd, 0);
	close(run->fd);
	if (run->is_busy)
		run->is_over = true;
	else
		run_free(run);
}

static void drop_vm(struct run *run)
{
	struct engine *e = run->sock->engine;
	struct vm *vm = run->vm;
	struct err ignored;

	if (!vm)
		return;
	run->vm = NULL;
	engine_cancel(e, run->wait);
	engine_remove(e, vm, true, &ignored);
}

/* The caller is gone, or is to go: the VM with it. */
static void run_abandon(struct run *run)
{
	drop_vm(run);
	run_close(run);
}

static void answer(struct run *run, int exit_code, const char *text)
{
	size_t bytes = text ? strlen(text) : 0;
	struct run_reply reply = {.exit_code = exit_code};
	struct iovec iov[] = {{&reply, sizeof(reply)}, {(void *)text, bytes}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = bytes ? 2 : 1};

	if (bytes > WIRE_MAX_BYTES - sizeof(reply))
		bytes = WIRE_MAX_BYTES - sizeof(reply);
	iov[1].iov_len = reply.text_bytes = (uint32_t)bytes;
	/* One message into an empty queue: it fits, or the caller is gone. */
	sendmsg(run->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	run_close(run);
}

static void refuse(struct run *run, const struct err *err)
{
	drop_vm(run);
	answer(run, err->exit ? err->exit : ERR_EXIT_SELF, err->message);
}

static void vm_ended(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct run *run = arg;
	char text[512];

	run->vm = NULL; /* it is marked remove: its record goes by itself */
	if (failure && err) {
		refuse(run, err);
		return;
	}
	switch (vm->end) {
	case END_TIMEOUT:
		snprintf(text, sizeof(text), "%s was ended at its time limit (--timeout)",
			 vm->image);
		answer(run, EXIT_TIMEOUT, text);
		return;
	case END_CRASHED: /* the report stands on the program's stderr already */
		answer(run, vm->exit_code & 0xff, NULL);
		return;
	}
	answer(run, vm->exit_code & 0xff, vm->reason);
}

/* What goes wrong with a start ends the VM, of which vm_ended hears. */
static void vm_started(void *arg, struct vm *vm, int failure, const struct err *err)
{
	(void)arg, (void)vm, (void)failure, (void)err;
}

/* ---- the request ---- */

/* The VM that the request describes. Its descriptors go to the engine. */
static int create(struct run *run, const struct run_message *m, struct err *err)
{
	struct vm_spec spec = {
		.image = m->strings.path,
		.image_fd = m->fds[0],
		.argv = m->strings.argv,
		.envp = m->strings.envp,
		.workdir = *m->strings.workdir ? m->strings.workdir : NULL,
		.name = *m->strings.name ? m->strings.name : NULL,
		.memory_bytes = m->head.memory_bytes,
		.timeout_ns = m->head.timeout_ns,
		.strace = m->head.flags & START_STRACE,
		.remove = true,
		.net = (const char *const *)m->strings.net,
		.nnet = m->head.netc,
		.publish = (const char *const *)m->strings.ports,
		.npublish = m->head.portc,
		.fds = {m->fds[1], m->fds[2], m->fds[3]},
		.parsed_tsc = __rdtsc(),
	};
	int ret = engine_create(run->sock->engine, &spec, &run->vm, err);

	if (ret)
		run->vm = NULL;
	return ret;
}

static void start(struct run *run)
{
	struct engine *e = run->sock->engine;
	struct err err = {0};
	int ret;

	/* Before the start: a failure may end the VM within it, and its record with it. */
	run->wait = engine_wait(e, run->vm, vm_ended, run);
	ret = run->wait ? engine_start(e, run->vm, vm_started, NULL, &err)
			: err_set(&err, ENOMEM, "cannot wait for the VM");
	if (ret && !run->is_over)
		refuse(run, &err);
}

static void take_request(struct run *run)
{
	struct runsock *s = run->sock;
	struct run_message m;
	struct err err = {0};
	int ret = run_receive(run->fd, s->message, &m, &err);

	if (ret == -EAGAIN)
		return;
	if (ret == -EPIPE) {
		run_close(run);
		return;
	}
	if (!ret) {
		ret = create(run, &m, &err);
		run_message_free(&m);
	}
	if (ret)
		refuse(run, &err);
	else
		start(run);
}

/* ---- the loop's calls ---- */

static void run_ready(void *arg, uint32_t events);

static void request_is_late(void *arg)
{
	struct run *run = arg;
	struct err err;

	run->timer = 0;
	err_set(&err, ETIMEDOUT, "no request came");
	refuse(run, &err);
}

/* Reads the request if it is there, and has the connection watched: after the start, so that
 * the program does not wait for that. */
static void serve(struct run *run)
{
	struct runsock *s = run->sock;
	struct err err;

	run->is_busy = true;
	take_request(run);
	run->is_busy = false;
	if (run->is_over) {
		run_free(run);
		return;
	}
	if (run->timer && run->vm) {
		loop_cancel(s->loop, run->timer);
		run->timer = 0;
	}
	if (run->is_watched)
		return;
	if (loop_watch(s->loop, run->fd, EPOLLIN | EPOLLRDHUP, run_ready, run)) {
		/* Without it nobody would see the caller go. */
		err_set(&err, ENOMEM, "cannot watch the connection");
		refuse(run, &err);
		return;
	}
	run->is_watched = true;
	if (!run->vm)
		run->timer = loop_after(s->loop, REQUEST_NS, request_is_late, run);
}

static void take_signal(struct run *run)
{
	struct run_signal message;
	struct err err = {0};
	/* Without a control buffer: descriptors that come along are dropped by the kernel. */
	ssize_t n = recv(run->fd, &message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);
	int sig;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		run_abandon(run);
		return;
	}
	sig = run_request_signal(&message, (size_t)n);
	if (sig < 0) {
		/* It cannot be told what the caller wants: nothing is better than a guess. */
		run_abandon(run);
		return;
	}
	/* A VM that is just ending has no use for it. */
	engine_kill(run->sock->engine, run->vm, sig, &err);
}

static void run_ready(void *arg, uint32_t events)
{
	struct run *run = arg;

	if (!run->vm)
		serve(run);
	else if (events & EPOLLIN)
		take_signal(run);
	else
		run_abandon(run);
}

/* 0, or a message of who may not be served. */
static int check_caller(const struct runsock *s, int fd, struct err *err)
{
	struct ucred caller;
	socklen_t bytes = sizeof(caller);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &caller, &bytes))
		return err_set(err, errno, "cannot tell whose request it is");
	if (caller.uid != 0 && caller.uid != geteuid())
		return err_set(err, EPERM, "the daemon serves its own user and root, not user %u",
			       (unsigned)caller.uid);
	if (s->count > s->limit)
		return err_set(err, 0,
			       "the daemon serves %u programs already, half of its limit of open "
			       "files; raise it (ulimit -n, LimitNOFILE=), or use the HTTP API, "
			       "whose VMs need none",
			       s->limit);
	return 0;
}

static void accept_again(void *arg);

static void accept_ready(void *arg, uint32_t events)
{
	struct runsock *s = arg;
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct run *run = fd < 0 ? NULL : calloc(1, sizeof(*run));
	struct err err = {0};

	(void)events;
	if (!run) {
		/* Out of descriptors or memory: callers wait a bit, instead of us spinning. */
		if (fd >= 0)
			close(fd);
		else if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		loop_change(s->loop, s->listen_fd, 0);
		s->breather = loop_after(s->loop, BREATHING_NS, accept_again, s);
		return;
	}
	*run = (struct run){.sock = s, .fd = fd, .next = s->runs};
	if (s->runs)
		s->runs->prev = run;
	s->runs = run;
	s->count++;
	if (check_caller(s, fd, &err)) {
		refuse(run, &err);
		return;
	}
	serve(run);
}

static void accept_again(void *arg)
{
	struct runsock *s = arg;

	s->breather = 0;
	if (loop_watch(s->loop, s->listen_fd, EPOLLIN, accept_ready, s))
		s->breather = loop_after(s->loop, BREATHING_NS, accept_again, s);
}

struct runsock *runsock_open(struct loop *loop, struct engine *engine, int listen_fd,
			     struct err *err)
{
	struct runsock *s = calloc(1, sizeof(*s));
	struct rlimit files;
	int ret;

	if (!s) {
		close(listen_fd);
		err_set(err, ENOMEM, "no memory for the socket of mayfly run --pool");
		return NULL;
	}
	*s = (struct runsock){.loop = loop, .engine = engine, .listen_fd = listen_fd};
	s->limit = MIN_RUNS;
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur > OWN_FILES + 2 * MIN_RUNS)
		s->limit = (unsigned)((files.rlim_cur - OWN_FILES) / 2);
	/* accept() must not block when the caller has gone meanwhile. */
	fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) | O_NONBLOCK);
	ret = loop_watch(loop, listen_fd, EPOLLIN, accept_ready, s);
	if (ret) {
		err_set(err, -ret, "cannot watch the socket of mayfly run --pool");
		close(listen_fd);
		free(s);
		return NULL;
	}
	return s;
}

void runsock_close(struct runsock *s)
{
	if (s->breather)
		loop_cancel(s->loop, s->breather);
	else
		loop_change(s->loop, s->listen_fd, 0);
	close(s->listen_fd);
	while (s->runs)
		run_abandon(s->runs);
	free(s);
}
