/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_runsock.c: mayfly run --pool from end to end over a socket: monitor/run_pool.c in a
 * child, daemon/runsock.c here, and an engine of our own that does what a test tells it to.
 */
/* clang-format off */
/* sources: monitor/run_pool.c monitor/daemon/runsock.c monitor/daemon/run_receive.c monitor/daemon/run_request.c monitor/daemon/loop.c monitor/daemon/timers.c monitor/daemon/slots.c monitor/err.c tests/unit/host_mock.c */
/* clang-format on */
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
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../monitor/daemon/engine.h"
#include "../../monitor/daemon/loop.h"
#include "../../monitor/daemon/runsock.h"
#include "../../monitor/net_spec.h"
#include "../../monitor/run_pool.h"

#define LIMIT_NS (20 * 1000000000ull) /* no test takes longer */

/* ---- the engine ---- */

enum how {
	ENDS,         /* writes "out" and "err", ends with exit code 7 */
	ENDS_WITHIN,  /* the same inside of engine_start */
	RUNS,         /* until a signal comes */
	FAILS_CREATE, /* a name in use */
	FAILS_START,  /* engine_start says so, nobody is called */
	FAILS_WITHIN, /* an image that cannot run, said to the waiter inside of engine_start */
	FAILS_WAIT,   /* no memory */
	TIMES_OUT,
};

struct engine {
	struct loop *loop;
	enum how how;
	struct vm vm;
	int fds[4];       /* image and streams, while the VM is there */
	char spec[65536]; /* what was asked for, as text */
	engine_done *done;
	void *arg;
	uint64_t timer;
	int signal, removed, cancelled;
};

static struct engine engine;
static struct loop *loop;

static void close_fds(void)
{
	for (int i = 0; i < 4; i++)
		if (engine.fds[i] >= 0)
			close(engine.fds[i]);
	memset(engine.fds, 0xff, sizeof(engine.fds));
}

static void end(void)
{
	engine_done *done = engine.done;

	close_fds();
	engine.done = NULL;
	if (done)
		done(engine.arg, &engine.vm, 0, NULL);
}

static void end_well(void *arg)
{
	(void)arg;
	engine.timer = 0;
	assert_int_equal(write(engine.fds[2], "out", 3), 3);
	assert_int_equal(write(engine.fds[3], "err\n", 4), 4);
	engine.vm.end = END_EXITED;
	engine.vm.exit_code = 7;
	end();
}

static void join(char *const *list)
{
	for (; *list; list++) {
		size_t n = strlen(engine.spec);

		snprintf(engine.spec + n, sizeof(engine.spec) - n, "[%.100s]", *list);
	}
}

int engine_create(struct engine *e, const struct vm_spec *spec, struct vm **vm, struct err *err)
{
	e->fds[0] = spec->image_fd;
	memcpy(e->fds + 1, spec->fds, sizeof(spec->fds));
	snprintf(e->spec, sizeof(e->spec), "%s %s %s %llu %llu %d ", strrchr(spec->image, '/'),
		 spec->workdir ? spec->workdir : "-", spec->name ? spec->name : "-",
		 (unsigned long long)spec->memory_bytes, (unsigned long long)spec->timeout_ns,
		 spec->strace);
	join(spec->argv);
	join(spec->envp);
	assert_true(spec->remove);
	assert_true(spec->parsed_tsc != 0);
	if (e->how == FAILS_CREATE) {
		close_fds();
		err_set(err, 0, "the name is in use");
		return ENGINE_CONFLICT;
	}
	e->vm = (struct vm){.image = "/image", .remove = true};
	*vm = &e->vm;
	return 0;
}

uint64_t engine_wait(struct engine *e, struct vm *vm, engine_done *done, void *arg)
{
	assert_ptr_equal(vm, &e->vm);
	assert_null(e->done);
	if (e->how == FAILS_WAIT)
		return 0;
	e->done = done;
	e->arg = arg;
	return 1;
}

void engine_cancel(struct engine *e, uint64_t token)
{
	if (token)
		e->cancelled++;
	e->done = NULL;
}

int engine_start(struct engine *e, struct vm *vm, engine_done *done, void *arg, struct err *err)
{
	switch (e->how) {
	case FAILS_START:
		err_set(err, 0, "no shell can be had");
		return ENGINE_BUSY;
	case FAILS_WITHIN:
		vm->end = END_FAILED;
		vm->exit_code = 126;
		vm->reason = "it is no program";
		err_set_exit(err, 126, 0, "it is no program");
		end();
		done(arg, vm, ENGINE_IMAGE, err);
		return ENGINE_IMAGE;
	case TIMES_OUT:
		vm->end = END_TIMEOUT;
		vm->exit_code = 124;
		end();
		return 0;
	case ENDS_WITHIN:
		end_well(NULL);
		return 0;
	case ENDS:
		e->timer = loop_after(e->loop, 1000000, end_well, NULL);
		break;
	default:
		break;
	}
	done(arg, vm, 0, NULL);
	return 0;
}

int engine_kill(struct engine *e, struct vm *vm, int signal, struct err *err)
{
	(void)err;
	e->signal = signal;
	vm->end = END_SIGNAL;
	vm->exit_code = 128 + signal;
	end();
	return 0;
}

int engine_remove(struct engine *e, struct vm *vm, bool force, struct err *err)
{
	(void)err;
	assert_true(force);
	assert_ptr_equal(vm, &e->vm);
	close_fds();
	e->removed++;
	loop_stop(e->loop);
	return 0;
}

/* ---- the world ---- */

static char directory[] = "/tmp/mayfly-test-XXXXXX", path[64], run_path[64];
static struct runsock *sock;

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int fds_before;

static int set_up(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct err err = {0};
	int fd;

	(void)state;
	fds_before = count_fds();
	engine = (struct engine){.fds = {-1, -1, -1, -1}};
	engine.loop = loop = loop_new();
	assert_non_null(loop);
	strcpy(addr.sun_path, run_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	sock = runsock_open(loop, &engine, fd, &err);
	assert_non_null(sock);
	return 0;
}

/* Whatever a test did, no descriptor is left. */
static int tear_down(void **state)
{
	(void)state;
	runsock_close(sock);
	if (engine.timer)
		loop_cancel(loop, engine.timer);
	close_fds();
	loop_free(loop);
	unlink(run_path);
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

static void too_late(void *arg)
{
	(void)arg;
	fail_msg("the test took too long");
}

static void stop(void *arg, uint32_t events)
{
	(void)events;
	loop_change(loop, *(int *)arg, 0);
	loop_stop(loop);
}

/* Runs the loop until fd can be read from, or something stops it. */
static void run_until(int fd)
{
	uint64_t timer = loop_after(loop, LIMIT_NS, too_late, NULL);

	if (fd >= 0)
		assert_int_equal(loop_watch(loop, fd, EPOLLIN, stop, &fd), 0);
	assert_int_equal(loop_run(loop), 0);
	if (fd >= 0)
		loop_change(loop, fd, 0);
	loop_cancel(loop, timer);
}

/* ---- a caller ---- */

static char *args[] = {"prog", "a", "", NULL}, *env[] = {"X=1", NULL}, *none[] = {NULL};

struct caller {
	pid_t pid;
	int pidfd, out; /* a pipe: stdout and stderr */
	char text[4096];
};

static struct run_pool_options usual(void)
{
	return (struct run_pool_options){
		.socket = path,
		.path = "/bin/sh",
		.argv = args,
		.envp = env,
		.cwd = "/w",
		.hostname = "host",
		.memory_bytes = 4096,
		.timeout_ns = 5,
		.strace = true,
	};
}

/* What `mayfly run --pool` does, in a child; 200: there is no daemon. */
static void child(const struct run_pool_options *o, int out)
{
	struct err err = {0};
	bool no_daemon;
	int ret;

	dup2(out, 1);
	dup2(out, 2);
	ret = run_pool(o, &no_daemon, &err);
	if (ret < 0 && no_daemon && !err.message[0])
		_exit(200);
	if (ret < 0)
		dprintf(2, "failed: %s\n", err.message);
	_exit(ret < 0 ? (err.exit ? err.exit : 125) : ret);
}

static struct caller call(const struct run_pool_options *o)
{
	struct caller c = {0};
	int out[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	c.pid = fork();
	if (!c.pid) {
		for (int sig = 1; sig < NSIG; sig++)
			signal(sig, SIG_DFL);
		child(o, out[1]);
	}
	assert_true(c.pid > 0);
	close(out[1]);
	c.out = out[0];
	c.pidfd = (int)syscall(SYS_pidfd_open, c.pid, 0);
	assert_true(c.pidfd >= 0);
	return c;
}

/* Its exit status (or 1000 and the signal), when it has ended; what it wrote in text. */
static int ended(struct caller *c)
{
	size_t n = 0;
	ssize_t got;
	int status;

	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close_fds(); /* its pipe's other end, if the test kept it */
	while ((got = read(c->out, c->text + n, sizeof(c->text) - 1 - n)) > 0)
		n += (size_t)got;
	c->text[n] = 0;
	close(c->out);
	close(c->pidfd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run_with(enum how how, struct caller *c, const struct run_pool_options *o)
{
	engine.how = how;
	*c = call(o);
	run_until(c->pidfd);
	return ended(c);
}

/* ---- tests: a program's life ---- */

static void a_run(void **state)
{
	struct run_pool_options o = usual();
	struct caller c;

	(void)state;
	assert_int_equal(run_with(ENDS, &c, &o), 7);
	assert_string_equal(c.text, "outerr\n");
	/* /bin/sh is a link: what it leads to is the image. */
	assert_non_null(strstr(engine.spec, " /w host 4096 5 1 [prog][a][][X=1]"));
	assert_null(strstr(engine.spec, "/sh "));
	assert_int_equal(engine.removed, 0);
}

static void a_run_that_asks_for_nothing(void **state)
{
	struct run_pool_options o = {.socket = path, .path = "/bin/sh", .argv = args, .envp = none};
	struct caller c;

	(void)state;
	assert_int_equal(run_with(ENDS_WITHIN, &c, &o), 7);
	assert_string_equal(c.text, "outerr\n");
	assert_non_null(strstr(engine.spec, " - - 0 0 0 [prog][a][]"));
}

/* Strings that no message holds go by a memfd. */
static void large_arguments(void **state)
{
	struct run_pool_options o = usual();
	static char big[100000];
	char *many[] = {"prog", big, big, "last", NULL}, *too_many[24];
	struct caller c;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	o.argv = many;
	assert_int_equal(run_with(ENDS, &c, &o), 7);
	assert_non_null(strstr(engine.spec, "xxx][last][X=1]"));
	for (int i = 0; i < 23; i++)
		too_many[i] = big;
	too_many[23] = NULL;
	o.argv = too_many;
	assert_int_equal(run_with(ENDS, &c, &o), 126);
	assert_non_null(strstr(c.text, "larger than"));
}

/* All sizes around that of one message. */
static void arguments_near_the_limit(void **state)
{
	struct run_pool_options o = usual();
	static char big[65536];
	char *one[] = {"p", big, NULL};
	struct caller c;

	(void)state;
	o.argv = one;
	for (size_t n = 65400; n < 65536; n += 8) {
		memset(big, 'x', n);
		big[n] = 0;
		assert_int_equal(run_with(ENDS_WITHIN, &c, &o), 7);
	}
}

static void a_signal(void **state)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	struct run_pool_options o = usual();

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct caller c;
		char stat[64];
		unsigned long long caught;

		engine.how = RUNS;
		engine.signal = 0;
		c = call(&o);
		/* From when it has handlers no signal is lost, whether the request is out or not.
		 */
		snprintf(stat, sizeof(stat), "/proc/%d/status", (int)c.pid);
		do {
			char text[4096] = "";
			FILE *f = fopen(stat, "r");

			assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
			fclose(f);
			assert_int_equal(sscanf(strstr(text, "SigCgt:"), "SigCgt: %llx", &caught),
					 1);
		} while (!(caught >> (SIGUSR2 - 1) & 1));
		kill(c.pid, signals[i]);
		run_until(c.pidfd);
		assert_int_equal(ended(&c), 128 + signals[i]);
		assert_int_equal(engine.signal, signals[i]);
	}
}

static void the_caller_is_killed(void **state)
{
	struct run_pool_options o = usual();
	struct caller c;
	uint64_t timer;

	(void)state;
	engine.how = RUNS;
	c = call(&o);
	timer = loop_after(loop, LIMIT_NS, too_late, NULL);
	while (!engine.done) {
		uint64_t soon = loop_after(loop, 1000000, (loop_expired *)(void *)loop_stop, loop);

		loop_run(loop);
		loop_cancel(loop, soon);
	}
	loop_cancel(loop, timer);
	kill(c.pid, SIGKILL);
	run_until(-1); /* engine_remove stops it */
	assert_int_equal(engine.removed, 1);
	assert_int_equal(engine.cancelled, 1);
	assert_int_equal(ended(&c), 1000 + SIGKILL);
}

static void failures(void **state)
{
	static const struct {
		enum how how;
		int status, removed;
		const char *text;
	} cases[] = {
		{FAILS_CREATE, 125, 0, "mayfly: the name is in use\n"},
		{FAILS_START, 125, 1, "mayfly: no shell can be had\n"},
		{FAILS_WITHIN, 126, 0, "mayfly: it is no program\n"},
		{FAILS_WAIT, 125, 1, "mayfly: cannot wait for the VM: Cannot allocate memory\n"},
		{TIMES_OUT, 124, 0, "mayfly: /image was ended at its time limit (--timeout)\n"},
	};
	struct run_pool_options o = usual();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct caller c;

		engine.removed = 0;
		engine.how = cases[i].how;
		c = call(&o);
		run_until(c.pidfd);
		if (cases[i].removed) /* which has stopped the loop */
			run_until(c.pidfd);
		assert_int_equal(ended(&c), cases[i].status);
		assert_string_equal(c.text, cases[i].text);
		assert_int_equal(engine.removed, cases[i].removed);
	}
}

static void no_image(void **state)
{
	struct run_pool_options o = usual();
	struct caller c;

	(void)state;
	o.path = "/nonexistent";
	assert_int_equal(run_with(ENDS, &c, &o), 127);
	assert_string_equal(c.text, "failed: cannot open the image /nonexistent: No such file or "
				    "directory\n");
}

static void no_daemon(void **state)
{
	struct run_pool_options o = usual();
	struct caller c;

	(void)state;
	o.socket = "/nonexistent/socket";
	assert_int_equal(run_with(ENDS, &c, &o), 200);
	assert_string_equal(c.text, "");
	o.socket = "/bin/sh/socket";
	assert_int_equal(run_with(ENDS, &c, &o), 200);
	o.socket = "/nonexistent/0123456789012345678901234567890123456789012345678901234567890123"
		   "456789012345678901234567890123456789";
	assert_int_equal(run_with(ENDS, &c, &o), 125);
	assert_non_null(strstr(c.text, "too long"));
}

static void the_daemon_goes(void **state)
{
	struct run_pool_options o = usual();
	struct err err = {0};
	struct caller c;
	uint64_t timer;
	int fd;

	(void)state;
	engine.how = RUNS;
	c = call(&o);
	timer = loop_after(loop, LIMIT_NS, too_late, NULL);
	while (!engine.done) {
		uint64_t soon = loop_after(loop, 1000000, (loop_expired *)(void *)loop_stop, loop);

		loop_run(loop);
		loop_cancel(loop, soon);
	}
	loop_cancel(loop, timer);
	runsock_close(sock);
	assert_int_equal(ended(&c), 125);
	assert_non_null(strstr(c.text, "failed: the daemon went"));
	assert_int_equal(engine.removed, 1);
	/* For tear_down. */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	sock = runsock_open(loop, &engine, fd, &err);
	assert_non_null(sock);
}

/* ---- tests: callers that break the rules ---- */

/* Connects and sends bytes with n descriptors; the reply's text, or "" if it was closed. */
static const char *provoke(const void *bytes, size_t n, const int *fds, size_t nfds, int *exit_code)
{
	static struct {
		struct run_reply reply;
		char text[4096];
	} answer;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)bytes, n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ssize_t got;

	strcpy(addr.sun_path, run_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &msg, 0), n);
	run_until(fd);
	memset(&answer, 0, sizeof(answer));
	got = recv(fd, &answer, sizeof(answer) - 1, 0);
	close(fd);
	*exit_code = -1;
	if (got <= 0)
		return "";
	assert_true((size_t)got >= sizeof(answer.reply));
	assert_int_equal(answer.reply.text_bytes, (size_t)got - sizeof(answer.reply));
	*exit_code = answer.reply.exit_code;
	return answer.text;
}

struct message {
	struct run_request head;
	char text[64];
};

/* A good one, of 4 descriptors. */
static size_t good(struct message *m)
{
	static const char text[] = "/bin/sh\0/\0name\0prog\0X=1";

	*m = (struct message){
		.head = {
			.version = WIRE_VERSION, .argc = 1, .envc = 1, .text_bytes = sizeof(text)}};
	memcpy(m->text, text, sizeof(text));
	return sizeof(m->head) + sizeof(text);
}

static void malformed(void **state)
{
	static char large[WIRE_MAX_BYTES + 100];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), code, fds[16];
	struct message m;
	size_t n;

	(void)state;
	for (int i = 0; i < 16; i++)
		fds[i] = null;
	engine.how = ENDS_WITHIN;

#define REFUSED(part, bytes, nfds)                                             \
	do {                                                                   \
		const char *text = provoke(&m, bytes, fds, nfds, &code);       \
		assert_int_equal(code, 125);                                   \
		if (!strstr(text, part))                                       \
			fail_msg("line %d: the reply is: %s", __LINE__, text); \
	} while (0)

	n = good(&m);
	REFUSED("bytes", 1, 0);
	REFUSED("bytes", 1, 4);
	REFUSED("bytes", sizeof(m.head) - 1, 4);
	REFUSED("bytes", n - 1, 4);
	REFUSED("bytes", n + 1, 4);
	REFUSED("descriptors", n, 0);
	REFUSED("descriptors", n, 3);
	REFUSED("descriptors", n, 5);
	REFUSED("descriptors", n, 6);
	REFUSED("descriptors", n, 7);
	REFUSED("descriptors", n, 16);
	m.head.version++;
	REFUSED("version", n, 4);
	REFUSED("version", 4, 0);
	good(&m);
	m.head.flags = START_CAPTURE;
	REFUSED("flags", n, 4);
	good(&m);
	m.head.netc = 1;
	REFUSED("strings", n, 4);
	m.head.netc = NOXS_NET_MAX + 1;
	REFUSED("net devices", n, 4);
	good(&m);
	m.head.portc = NET_MAX_PORTS + 1;
	REFUSED("ports", n, 4);
	good(&m);
	m.head.argc = 0;
	REFUSED("no arguments", n, 4);
	good(&m);
	m.head.argc = UINT32_MAX;
	REFUSED("arguments", n, 4);
	m.head.envc = 1u + UINT32_MAX / 2;
	m.head.argc = m.head.envc;
	REFUSED("arguments", n, 4);
	good(&m);
	m.head.envc = 2;
	REFUSED("strings", n, 4);
	m.head.envc = 0;
	REFUSED("strings", n, 4);
	good(&m);
	((char *)&m)[n - 1] = 'x'; /* no NUL at the end */
	REFUSED("strings", n, 4);
	/* Strings in a descriptor that is no memfd, has too few, or says too many. */
	good(&m);
	m.head.flags = START_TEXT_FD;
	REFUSED("memfd", sizeof(m.head), 5);
	REFUSED("descriptors", sizeof(m.head), 4);
	REFUSED("descriptors", sizeof(m.head), 6);
	fds[4] = memfd_create("test", MFD_CLOEXEC);
	REFUSED("cannot read", sizeof(m.head), 5);
	m.head.text_bytes = 1u << 30;
	REFUSED("bytes of strings", sizeof(m.head), 5);
	close(fds[4]);
	memcpy(large, &m, sizeof(m.head));
	assert_non_null(strstr(provoke(large, sizeof(large), fds, 4, &code), "bytes"));
	assert_int_equal(code, 125);
	assert_int_equal(engine.spec[0], 0); /* nothing of this reached the engine */
	n = good(&m);
	provoke(&m, n, fds, 4, &code);
	assert_int_equal(code, 7);
	close(null);
#undef REFUSED
}

/* A connection that is closed before anything was said, and one that talks nonsense later. */
static void bad_ends(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct run_pool_options o = usual();
	struct caller c;
	int fd;

	(void)state;
	strcpy(addr.sun_path, run_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(run_with(ENDS, &c, &o), 7); /* the loop has seen both */
}

static void other_messages_than_signals(void **state)
{
	static const struct run_signal bad[] = {
		{WIRE_VERSION, 0}, {WIRE_VERSION, 65}, {WIRE_VERSION, UINT32_MAX}, {0, SIGTERM}};

	(void)state;
	for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
		struct sockaddr_un addr = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0),
		    streams[4] = {0, 0, 1, 2};
		union {
			char bytes[CMSG_SPACE(sizeof(streams))];
			struct cmsghdr align;
		} control = {0};
		struct message m;
		struct iovec iov = {&m, good(&m)};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = sizeof(control)};
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		size_t last = i < sizeof(bad) / sizeof(bad[0]) ? sizeof(bad[0]) : 5;

		engine.how = RUNS;
		engine.removed = engine.signal = 0;
		strcpy(addr.sun_path, run_path);
		assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(streams));
		memcpy(CMSG_DATA(cmsg), streams, sizeof(streams));
		assert_true(sendmsg(fd, &msg, 0) > 0);
		assert_int_equal(send(fd, &bad[i % (sizeof(bad) / sizeof(bad[0]))], last, 0), last);
		run_until(-1); /* engine_remove stops it */
		assert_int_equal(engine.removed, 1);
		assert_int_equal(engine.signal, 0);
		close(fd);
	}
}

/* Beyond its limit the daemon says so; below it, it serves again. */
static void too_many(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct run_pool_options o = usual();
	struct rlimit files, few;
	struct err err = {0};
	struct caller c;
	int fd[8], listener;

	(void)state;
	runsock_close(sock);
	unlink(run_path);
	getrlimit(RLIMIT_NOFILE, &files);
	few = (struct rlimit){.rlim_cur = 16, .rlim_max = files.rlim_max};
	setrlimit(RLIMIT_NOFILE, &few); /* what runsock_open looks at */
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	strcpy(addr.sun_path, run_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 64), 0);
	sock = runsock_open(loop, &engine, listener, &err);
	setrlimit(RLIMIT_NOFILE, &files);
	assert_non_null(sock);
	for (int i = 0; i < 8; i++) {
		fd[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
	}
	assert_int_equal(run_with(ENDS, &c, &o), 125);
	if (!strstr(c.text, "half of its limit of open files"))
		fail_msg("it said: %s", c.text);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	assert_int_equal(run_with(ENDS, &c, &o), 7);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_run_that_asks_for_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(large_arguments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(arguments_near_the_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_signal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_caller_is_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_image, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_daemon, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_daemon_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(malformed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_messages_than_signals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many, set_up, tear_down),
	};
	int ret;

	if (!mkdtemp(directory))
		return 1;
	snprintf(path, sizeof(path), "%s/s", directory);
	snprintf(run_path, sizeof(run_path), "%s/s.run", directory);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return ret;
}
