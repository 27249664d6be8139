/* SPDX-License-Identifier: Apache-2.0 */
/* engine_world.c: see engine_world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "../../monitor/daemon/cgroup.h"
#include "../../monitor/daemon/image_job.h"
#include "../../monitor/daemon/launch.h"
#include "../../monitor/daemon/net_job.h"
#include "engine_world.h"

struct world world;

static pid_t zygote_pid;

/* ---- a shell ---- */

#define MAX_FDS (5 + NOXS_NET_MAX * (1 + NET_WIRE_FDS))

struct fake {
	uint64_t number;
	int news, control, fd[MAX_FDS], nfds;
	struct wire_net net[NOXS_NET_MAX];
	struct shell_start start;
	char message[WIRE_MAX_BYTES], *text, *input;
	char *path, *workdir, *name, *argv[64];
	char out[60000];
	size_t out_bytes;
	const char *reason;
};

static void tell_parts(const struct fake *f, uint64_t as, uint32_t type, uint64_t arg,
		       struct iovec *part, int n)
{
	struct news head = {.type = type, .shell = as, .arg = arg};
	struct iovec iov[6] = {{&head, sizeof(head)}};

	for (int i = 0; i < n; i++) {
		iov[i + 1] = part[i];
		head.bytes += (uint32_t)part[i].iov_len;
	}
	if (writev(f->news, iov, n + 1) < 0)
		_exit(1);
}

static void tell(const struct fake *f, uint32_t type, uint64_t arg, const void *data, size_t bytes)
{
	struct iovec part = {(void *)data, bytes};

	tell_parts(f, f->number, type, arg, &part, 1);
}

static void tell_exit(const struct fake *f, uint32_t end, int code, int sig)
{
	struct news_exit x = {
		.end = end,
		.exit_code = code,
		.signal = sig,
		.received_tsc = __rdtsc(),
		.boot_tsc = __rdtsc(),
		.reason_bytes = f->reason ? (uint32_t)strlen(f->reason) : 0,
		.stdout_bytes = (uint32_t)f->out_bytes,
		.counters = {.exits = 1, .stdout_bytes = f->out_bytes},
	};
	struct news_net net[NOXS_NET_MAX] = {{.rx_frames = 10}, {.rx_frames = 11}};
	struct iovec part[4] = {{&x, sizeof(x)},
				{net, f->start.nnet * sizeof(net[0])},
				{(void *)f->reason, x.reason_bytes},
				{(void *)f->out, f->out_bytes}};

	x.nnet = f->start.nnet;
	x.end_tsc = __rdtsc();
	tell_parts(f, f->number, NEWS_EXIT, 0, part, 4);
}

static _Noreturn void leave(const struct fake *f, uint32_t end, int code, int sig)
{
	tell_exit(f, end, code, sig);
	_exit(0);
}

static void put(struct fake *f, const void *data, size_t bytes)
{
	if (bytes > sizeof(f->out) - f->out_bytes)
		bytes = sizeof(f->out) - f->out_bytes;
	memcpy(f->out + f->out_bytes, data, bytes);
	f->out_bytes += bytes;
}

/* One message of the daemon. True: its input has ended. */
static bool answer(struct fake *f, bool stubborn, size_t most)
{
	struct shell_message m;
	struct news_counters c = {.waits = 42, .resident_bytes = 1 << 20};
	ssize_t n = recv(f->control, f->message, sizeof(f->message), 0);

	if (n < (ssize_t)sizeof(m))
		_exit(1);
	memcpy(&m, f->message, sizeof(m));
	switch (m.op) {
	case SHELL_SIGNAL:
		if (!stubborn)
			leave(f, END_SIGNAL, 128 + (int)m.arg, (int)m.arg);
		break;
	case SHELL_PAUSE:
	case SHELL_RESUME:
		tell(f, NEWS_STATE, m.op == SHELL_PAUSE ? NEWS_PAUSED : NEWS_RUNNING, NULL, 0);
		break;
	case SHELL_STATS:
		tell(f, NEWS_STATS, 0, &c, sizeof(c));
		break;
	case SHELL_INPUT:
		if (most > m.bytes)
			most = m.bytes;
		put(f, f->message + sizeof(m), most);
		tell(f, NEWS_INPUT, most, NULL, 0);
		return m.arg && most == m.bytes;
	}
	return false;
}

static void copy_input(struct fake *f)
{
	bool end = !(f->start.flags & START_STDIN);
	size_t all = f->start.stdin_bytes;
	char total[32];

	if (all < 1000)
		put(f, f->input, all);
	/* A ring that has room for little at a time. */
	while (!end) {
		size_t before = f->out_bytes;

		end = answer(f, true, 20000);
		all += f->out_bytes - before;
		if (all >= 1000)
			f->out_bytes = 0;
	}
	if (all >= 1000)
		put(f, total, (size_t)snprintf(total, sizeof(total), "%zu bytes", all));
}

static void describe_start(struct fake *f)
{
	char text[400];
	int n = snprintf(text, sizeof(text), "%s|%s|%s|argc %u envc %u|flags %u|%s", f->path,
			 f->workdir, f->name, f->start.argc, f->start.envc, f->start.flags,
			 f->start.timeout_ns ? "timeout" : "no timeout");

	put(f, text, (size_t)n);
}

/* The net devices of the SPAWN that is being done, and their descriptors. */
static struct wire_net spawn_net[NOXS_NET_MAX];
static int spawn_fd[ZYGOTE_MAX_FDS];
static unsigned spawn_fds;

/* Of each net device: its name, address, and how many descriptors came; what can be read from
 * the last of them is what the stand-in for mayfly net-open wrote there. */
static void describe_net(struct fake *f)
{
	int fd = f->start.flags & START_FDS ? 4 : 1;

	for (uint32_t i = 0; i < f->start.nnet; i++) {
		const struct wire_net *net = &f->net[i];
		unsigned nfds = net->prepared ? 0 : 1 + net->nfds;
		char text[64], word[16] = "";
		int n, from;

		fd += (int)nfds;
		/* Of a device that it has had from the beginning: memory and one more each. */
		from = net->prepared ? spawn_fd[spawn_fds - 2 * (f->start.nnet - i) + 1]
				     : f->fd[fd - 1];
		if (read(from, word, sizeof(word) - 1) < 0)
			_exit(1);
		n = snprintf(text, sizeof(text), "%s %u %u %s|", net->config.name,
			     net->config.address[0].address[3], nfds, word);
		put(f, text, (size_t)n);
	}
}

static void write_log(const struct fake *f, const char *text)
{
	struct log_frame frame = {.magic = LOG_MAGIC, .stream = 1, .bytes = (uint32_t)strlen(text)};
	struct iovec iov[2] = {{&frame, sizeof(frame)}, {(void *)text, frame.bytes}};
	char name[40];
	int fd;

	snprintf(name, sizeof(name), "log/%llu", (unsigned long long)f->number);
	fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || writev(fd, iov, 2) < 0)
		_exit(1);
}

static void evil(struct fake *f, const char *what)
{
	struct iovec none = {NULL, 0};
	char big[60000] = "";

	if (!strcmp(what, "spoof")) /* an exit in another's name: its number is behind the colon */
		for (uint64_t n = 1; n < 20; n++) {
			uint64_t own = f->number;

			if (n == own)
				continue;
			f->number = n;
			tell_exit(f, END_EXITED, 66, 0);
			tell_parts(f, n, NEWS_READY, 0, &none, 0);
			f->number = own;
		}
	else if (!strcmp(what, "noise"))
		for (int i = 0; i < 100; i++)
			tell(f, 99, 0, "x", 1);
	else if (!strcmp(what, "noise-a-bit"))
		for (int i = 0; i < 5; i++)
			tell(f, NEWS_STATS, 0, "x", 1);
	else if (!strcmp(what, "too-much"))
		for (int i = 0; i < 3; i++)
			tell(f, NEWS_OUTPUT, 1, big, sizeof(big));
	else if (!strcmp(what, "twice")) {
		tell_exit(f, END_EXITED, 1, 0);
		tell_exit(f, END_EXITED, 2, 0);
	} else if (!strcmp(what, "unasked")) {
		struct news_counters c = {0};

		tell(f, NEWS_STATE, NEWS_PAUSED, NULL, 0);
		tell(f, NEWS_STATS, 0, &c, sizeof(c));
		tell(f, NEWS_INPUT, 5, NULL, 0);
		tell(f, NEWS_READY, 0, NULL, 0);
	} else if (!strcmp(what, "escapes")) {
		f->reason = "\033[2Jgone \xff";
	} else if (!strcmp(what, "stays")) { /* says that it exits, and does not */
		tell_exit(f, END_EXITED, 0, 0);
		pause();
	}
}

static bool is(const char *arg, size_t n, const char *word)
{
	return strlen(word) == n && !strncmp(arg, word, n);
}

static void run_program(struct fake *f)
{
	for (char **arg = f->argv + 1; *arg; arg++) {
		char *colon = strchr(*arg, ':'), *rest = colon ? colon + 1 : *arg + strlen(*arg);
		size_t n = (size_t)(colon ? colon - *arg : rest - *arg);

		if (is(*arg, n, "out"))
			put(f, rest, strlen(rest));
		else if (is(*arg, n, "send"))
			tell(f, NEWS_OUTPUT, 1, rest, strlen(rest));
		else if (is(*arg, n, "started"))
			tell(f, NEWS_STARTED, __rdtsc(), NULL, 0);
		else if (is(*arg, n, "net"))
			describe_net(f);
		else if (is(*arg, n, "start"))
			describe_start(f);
		else if (is(*arg, n, "log"))
			write_log(f, rest);
		else if (is(*arg, n, "fds") && write(f->fd[2], rest, strlen(rest)) < 0)
			_exit(1);
		else if (is(*arg, n, "stdin"))
			copy_input(f);
		else if (is(*arg, n, "reason"))
			f->reason = rest;
		else if (is(*arg, n, "exit"))
			leave(f, END_EXITED, atoi(rest), 0);
		else if (is(*arg, n, "die"))
			signal(atoi(rest), SIG_DFL), kill(getpid(), atoi(rest));
		else if (is(*arg, n, "evil"))
			evil(f, rest);
		else if (is(*arg, n, "deaf"))
			pause();
		else if (is(*arg, n, "serve") || is(*arg, n, "stubborn"))
			for (;;)
				answer(f, **arg == 's' && (*arg)[1] == 't', 20000);
	}
	leave(f, END_EXITED, 0, 0);
}

static char *next(char **at)
{
	char *s = *at;

	*at += strlen(s) + 1;
	return s;
}

static void take_start(struct fake *f, const char *message, size_t bytes)
{
	char *at;

	memcpy(&f->start, message, sizeof(f->start));
	if (f->start.nnet > NOXS_NET_MAX)
		_exit(1);
	message += sizeof(f->start);
	bytes -= sizeof(f->start);
	memcpy(f->net, message, f->start.nnet * sizeof(f->net[0]));
	message += f->start.nnet * sizeof(f->net[0]);
	bytes -= f->start.nnet * sizeof(f->net[0]);
	if (f->start.flags & START_TEXT_FD) {
		struct stat st;

		if (fstat(f->fd[f->nfds - 1], &st) ||
		    st.st_size != (off_t)f->start.text_bytes + f->start.stdin_bytes)
			_exit(1);
		at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			  f->fd[f->nfds - 1], 0);
	} else {
		at = malloc(bytes);
		memcpy(at, message, bytes);
		if (bytes != (size_t)f->start.text_bytes + f->start.stdin_bytes)
			_exit(1);
	}
	if (f->start.version != WIRE_VERSION || f->start.head.op != SHELL_START)
		_exit(1);
	f->input = at + f->start.text_bytes;
	f->path = next(&at);
	f->workdir = next(&at);
	f->name = next(&at);
	for (uint32_t i = 0; i < f->start.argc && i < 63; i++)
		f->argv[i] = next(&at);
}

static _Noreturn void shell(const struct zygote_request *r, int news, bool never)
{
	static struct fake f;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char control[CMSG_SPACE(MAX_FDS * sizeof(int))], log[40];
	struct iovec iov = {f.message, sizeof(f.message)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != zygote_pid)
		_exit(1);
	f.number = r->shell;
	f.news = news;
	snprintf(at.sun_path, sizeof(at.sun_path), "shell/%llu", (unsigned long long)r->shell);
	f.control = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (bind(f.control, (struct sockaddr *)&at, sizeof(at)))
		_exit(1);
	snprintf(log, sizeof(log), "log/%llu", (unsigned long long)r->shell);
	if (r->log && open(log, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) < 0)
		_exit(1);
	if (never)
		pause();
	tell(&f, NEWS_READY, 0, NULL, 0);
	n = recvmsg(f.control, &m, 0);
	c = CMSG_FIRSTHDR(&m);
	if (n < (ssize_t)sizeof(f.start) || !c)
		_exit(1);
	f.nfds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(f.fd, CMSG_DATA(c), (size_t)f.nfds * sizeof(int));
	take_start(&f, f.message, (size_t)n);
	run_program(&f);
	_exit(0);
}

/* ---- the zygote ---- */

static pid_t pid_of[4096];

static void reply(int link, uint32_t event, uint64_t shell_number, int status, const char *text)
{
	struct zygote_reply r = {.event = event, .status = status, .shell = shell_number};

	snprintf(r.text, sizeof(r.text), "%s", text);
	if (send(link, &r, sizeof(r), MSG_NOSIGNAL) < 0)
		_exit(0);
}

static bool take_one(int *knob)
{
	return __atomic_load_n(knob, __ATOMIC_SEQ_CST) > 0 &&
	       __atomic_fetch_sub(knob, 1, __ATOMIC_SEQ_CST) > 0;
}

static void spawn(const struct zygote_request *r, int link, int news, struct world_knobs *k)
{
	bool never = take_one(&k->never_ready), die = take_one(&k->die_early);
	bool fail = take_one(&k->fail_early);
	pid_t pid;

	k->last_urgent = (int)r->urgent;
	k->last_uid = r->uid;
	__atomic_add_fetch(&k->spawns, 1, __ATOMIC_SEQ_CST);
	if (take_one(&k->fail_spawns)) {
		reply(link, ZYGOTE_FAILED, r->shell, k->errnum, "cannot fork a shell");
		return;
	}
	pid = fork();
	if (pid == 0 && die)
		_exit(7);
	if (pid == 0 && fail) {
		struct fake f = {.number = r->shell, .news = news};

		tell(&f, NEWS_FAILED, ENOMEM, "no memory for a VM", 18);
		_exit(1);
	}
	if (pid == 0)
		shell(r, news, never);
	pid_of[r->shell % 4096] = pid;
}

static void reap(int link)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (uint64_t i = 0; i < 4096; i++)
			if (pid_of[i] == pid) {
				pid_of[i] = 0;
				reply(link, ZYGOTE_ENDED, i, status, "");
			}
}

static void on_child(int sig)
{
	(void)sig;
}

/* 0: the link has ended; -1: nothing came, or nothing that makes sense. */
static ssize_t take_request(int link, struct zygote_request *r)
{
	char control[CMSG_SPACE(ZYGOTE_MAX_FDS * sizeof(int))];
	struct iovec iov[2] = {{r, sizeof(*r)}, {spawn_net, sizeof(spawn_net)}};
	struct msghdr m = {.msg_iov = iov,
			   .msg_iovlen = 2,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(link, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (c) {
		spawn_fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(spawn_fd, CMSG_DATA(c), spawn_fds * sizeof(int));
	}
	if (n <= 0)
		return n;
	return (size_t)n == sizeof(*r) + r->nnet * sizeof(spawn_net[0]) ? n : -1;
}

static _Noreturn void zygote(int link, int news, struct world_knobs *k)
{
	struct sigaction act = {.sa_handler = on_child}; /* recv is to be interrupted */
	struct timeval often = {.tv_usec = 20000};
	struct zygote_request r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	zygote_pid = getpid();
	sigaction(SIGCHLD, &act, NULL);
	setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &often, sizeof(often));
	reply(link, ZYGOTE_UP, WIRE_VERSION, 0, "stand-ins");
	for (;;) {
		ssize_t n = take_request(link, &r);

		if (n == 0)
			_exit(0);
		if (n > 0 && r.op == ZYGOTE_SPAWN)
			spawn(&r, link, news, k);
		while (spawn_fds)
			close(spawn_fd[--spawn_fds]);
		if (n > 0 && r.op == ZYGOTE_KILL && pid_of[r.shell % 4096])
			kill(pid_of[r.shell % 4096], r.signal);
		reap(link);
	}
}

int launch_zygote(struct launched *l, int run_dir, bool jail, struct err *err)
{
	int link[2], news[2], on = 1;

	(void)run_dir, (void)jail, (void)err;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, news), 0);
	assert_int_equal(setsockopt(news[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	world.knobs->zygotes++;
	l->pid = fork();
	if (l->pid == 0) {
		close(link[0]);
		close(news[0]);
		zygote(link[1], news[1], world.knobs);
	}
	close(link[1]);
	close(news[1]);
	l->link = link[0];
	l->news = news[0];
	l->pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
	l->own_users = l->bare = false;
	zygote_pid = l->pid;
	return 0;
}

pid_t world_zygote(void)
{
	return zygote_pid;
}

/* ---- net devices ---- */

struct net_job {
	net_job_done *done;
	void *arg;
	uint64_t timer;
	char ifname[16];
	struct noxs_net_config config;
};

static void net_is_open(void *arg)
{
	struct net_job *job = arg;
	net_job_done *done = job->done;
	void *done_arg = job->arg;
	struct net_handed h = {.wire = {.nfds = 1, .config = job->config}};
	struct err err = {0};
	int pair[2];

	world.nets_open++;
	memcpy(h.wire.opened.ifname, job->ifname, sizeof(job->ifname));
	free(job);
	if (world.nets_fail) {
		err_set(&err, 0, "no such interface");
		done(done_arg, NULL, ENGINE_CONFLICT, &err);
		return;
	}
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(write(pair[1], "wire", 4), 4);
	close(pair[1]);
	h.fd[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	h.fd[1] = pair[0];
	done(done_arg, &h, 0, NULL);
}

struct net_job *net_job_start(struct loop *loop, const struct vm_net_device *d, net_job_done *done,
			      void *arg, struct err *err)
{
	struct net_job *job = calloc(1, sizeof(*job));

	(void)err;
	world.nets_begun++;
	*job = (struct net_job){.done = done, .arg = arg, .config = d->config};
	memcpy(job->ifname, d->opened.ifname, sizeof(job->ifname));
	job->timer =
		loop_after(loop, world.nets_slow ? 3600000000000ull : 1000000, net_is_open, job);
	return job;
}

void net_job_cancel(struct net_job *job)
{
	world.nets_cancelled++;
	loop_cancel(world.loop, job->timer);
	free(job);
}

/* ---- images ---- */

struct image_job {
	image_job_done *done;
	void *arg;
	uint64_t timer;
	bool is_bad;
};

static void job_is_done(void *arg)
{
	struct image_job *job = arg;
	struct err err = {0};
	int fd = -1;

	if (job->is_bad)
		err_set_exit(&err, ERR_EXIT_IMAGE, 0, "cannot run it: it is bad");
	else
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	job->done(job->arg, fd, &err);
	free(job);
}

struct image_job *image_job_start(struct loop *loop, const char *run_dir, int run_dir_fd,
				  int elf_fd, const char *path, image_job_done *done, void *arg,
				  struct err *err)
{
	struct image_job *job = malloc(sizeof(*job));

	(void)run_dir, (void)run_dir_fd, (void)elf_fd, (void)err;
	*job = (struct image_job){.done = done, .arg = arg, .is_bad = strstr(path, "bad")};
	world.images_prepared++;
	job->timer = loop_after(loop, 1000000, job_is_done, job);
	return job;
}

void image_job_cancel(struct image_job *job)
{
	loop_cancel(world.loop, job->timer);
	free(job);
}

/* ---- cgroups: counted ---- */

struct cgroups *cgroups_open(const char *parent, struct err *err)
{
	(void)parent, (void)err;
	return (void *)&world;
}

const char *cgroups_missing(const struct cgroups *cs)
{
	(void)cs;
	return NULL;
}

int cgroups_check(const struct cgroups *cs, const struct cgroup_limits *limits, struct err *err)
{
	(void)cs;
	return limits->pids_max == 1 ? err_set(err, 0, "a VM needs 2 pids") : 0;
}

int cgroups_create(struct cgroups *cs, uint64_t number, const struct cgroup_limits *limits,
		   int fds[ZYGOTE_MAX_CGROUPS], struct err *err)
{
	(void)cs, (void)number;
	if (world.cgroups_fail)
		return err_set(err, ENOSPC, "cannot make a cgroup");
	world.cgroups_made++;
	if (limits)
		world.last_memory_max = limits->memory_max_bytes;
	fds[0] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return 1;
}

int cgroups_set(struct cgroups *cs, uint64_t number, const struct cgroup_limits *limits,
		struct err *err)
{
	(void)cs, (void)number;
	if (world.cgroups_fail)
		return err_set(err, EIO, "cannot set the limit");
	world.cgroups_set++;
	world.last_memory_max = limits->memory_max_bytes;
	return 0;
}

bool cgroups_out_of_memory(struct cgroups *cs, uint64_t number)
{
	(void)cs, (void)number;
	return world.last_memory_max == 12345678;
}

void cgroups_remove(struct cgroups *cs, uint64_t number)
{
	(void)cs, (void)number;
	world.cgroups_removed++;
}

size_t cgroups_collect(struct cgroups *cs)
{
	(void)cs;
	return 0;
}

void cgroups_close(struct cgroups *cs)
{
	(void)cs;
}

/* ---- the world ---- */

struct engine_options world_options(void)
{
	return (struct engine_options){
		.run_dir = world.dir,
		.shells = 2,
		.max_shells = 2, /* so that there are always two when all is quiet */
		.memory_bytes = 64 << 20,
		.keep = 100,
		.log_bytes = 1 << 20,
		.capture_bytes = 65536,
		.jail = true,
	};
}

static void make_file(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	close(fd);
}

void world_open(const struct engine_options *options)
{
	struct engine_options mine;
	struct err err = {0};

	memset(&world, 0, sizeof(world));
	snprintf(world.dir, sizeof(world.dir), "/tmp/mayfly-engine-XXXXXX");
	assert_non_null(mkdtemp(world.dir));
	assert_int_equal(chdir(world.dir), 0);
	assert_int_equal(mkdir("shell", 0700) | mkdir("log", 0700), 0);
	snprintf(world.program, sizeof(world.program), "%s/program", world.dir);
	make_file("program");
	make_file("bad");
	world.knobs = mmap(NULL, sizeof(*world.knobs), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	world.loop = loop_new();
	mine = options ? *options : world_options();
	mine.run_dir = world.dir;
	world.engine = engine_open(world.loop, &mine, &err);
	if (!world.engine)
		fail_msg("%s", err.message);
}

static void remove_all(const char *dir)
{
	struct dirent *entry;
	DIR *list = opendir(dir);
	char path[400];

	while (list && (entry = readdir(list))) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (*entry->d_name != '.' && unlink(path))
			remove_all(path);
	}
	if (list)
		closedir(list);
	rmdir(dir);
}

void world_close(void)
{
	if (world.engine)
		engine_close(world.engine);
	loop_free(world.loop);
	/* Whatever it was, it has left nothing. */
	assert_int_equal(world.cgroups_made, world.cgroups_removed);
	assert_int_equal(kill(zygote_pid, 0), -1);
	assert_int_equal(chdir("/"), 0);
	remove_all(world.dir);
	munmap(world.knobs, sizeof(*world.knobs));
}

struct vm_spec world_spec(const char *arguments, ...)
{
	static char *argv[64];
	int n = 1;
	va_list list;

	argv[0] = (char *)"program";
	va_start(list, arguments);
	for (const char *a = arguments; a; a = va_arg(list, const char *))
		argv[n++] = (char *)a;
	va_end(list);
	argv[n] = NULL;
	return (struct vm_spec){.image = world.program,
				.image_fd = -1,
				.argv = argv,
				.fds = {-1, -1, -1},
				.capture = true};
}

static void stop(void *arg)
{
	*(bool *)arg = true;
	loop_stop(world.loop);
}

void world_until(bool (*is_true)(void *arg), void *arg, const char *what)
{
	uint64_t until = loop_now_ns() + 10000000000ull;

	while (!is_true(arg)) {
		bool stopped = false;
		uint64_t timer = loop_after(world.loop, 2000000, stop, &stopped);

		assert_int_equal(loop_run(world.loop), 0);
		if (!stopped)
			loop_cancel(world.loop, timer);
		if (loop_now_ns() > until)
			fail_msg("after 10 s still not: %s", what);
	}
}

static bool has_begun(void *arg)
{
	const struct vm *vm = arg;

	return vm->state != VM_STARTING;
}

static void ignore(void *arg, struct vm *vm, int failure, const struct err *err)
{
	(void)arg, (void)vm, (void)failure, (void)err;
}

struct vm *world_start(const struct vm_spec *spec)
{
	struct vm *vm = NULL;
	struct err err = {0};
	int ret = engine_create(world.engine, spec, &vm, &err);

	if (ret)
		fail_msg("%d: %s", ret, err.message);
	assert_int_equal(engine_start(world.engine, vm, ignore, NULL, &err), 0);
	world_until(has_begun, vm, "it has begun");
	return vm;
}

static bool has_ended(void *arg)
{
	const struct vm *vm = arg;

	return vm->state == VM_EXITED;
}

void world_wait(struct vm *vm)
{
	world_until(has_ended, vm, "it has ended");
}

static bool are_ready(void *arg)
{
	struct flavour_level level[ENGINE_MAX_FLAVOURS];
	size_t n = engine_pool(world.engine, level);
	unsigned ready = 0;

	for (size_t i = 0; i < n; i++)
		ready += level[i].ready;
	return ready == *(unsigned *)arg;
}

void world_ready(unsigned shells)
{
	world_until(are_ready, &shells, "as many shells are ready");
}

int world_count(const char *dir)
{
	struct dirent *entry;
	DIR *list = opendir(dir);
	int n = 0;

	assert_non_null(list);
	while ((entry = readdir(list)))
		n += *entry->d_name != '.';
	closedir(list);
	return n;
}
