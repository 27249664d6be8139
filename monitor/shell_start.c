/* SPDX-License-Identifier: Apache-2.0 */
/* shell_start.c: see shell.h: from START to EXIT. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <x86intrin.h>

#include "crash.h"
#include "jail.h"
#include "net.h"
#include "shell.h"
#include "stats.h"

#define TIMEOUT_EXIT 124
#define MAX_MESSAGES 16 /* handled before the guest runs on */
#define MAX_STRINGS  (1u << 20)

/* START, taken apart. */
struct start {
	struct shell_start head;
	const char *path, *workdir, *name;
	char **argv, **envp;
	const uint8_t *input;
	int image, stream[NOXS_NSTREAMS];
	struct wire_net net[NOXS_NET_MAX];
	const int *net_fd;
	unsigned nnet_fds;
};

static void bad_start(struct err *err, const char *what)
{
	err_set(err, EPROTO, "cannot start a program: the daemon's message %s", what);
}

/* The next string of [*at, end), or NULL. */
static const char *next_string(const char **at, const char *end)
{
	const char *s = *at, *nul = memchr(s, 0, (size_t)(end - s));

	if (!nul)
		return NULL;
	*at = nul + 1;
	return s;
}

static int take_strings(struct start *st, const char *text, char **v, struct err *err)
{
	const char *at = text, *end = text + st->head.text_bytes;
	uint32_t argc = st->head.argc, envc = st->head.envc;
	bool ok;

	if (!argc || argc > MAX_STRINGS || envc > MAX_STRINGS ||
	    (uint64_t)argc + envc > st->head.text_bytes)
		return bad_start(err, "counts its strings wrongly"), -EPROTO;
	if (argc + envc + 2 > SHELL_STRINGS)
		v = malloc((argc + envc + 2ul) * sizeof(*v));
	if (!v)
		return err_set(err, ENOMEM, "cannot take %u arguments", argc + envc);
	st->path = next_string(&at, end);
	st->workdir = st->path ? next_string(&at, end) : NULL;
	st->name = st->workdir ? next_string(&at, end) : NULL;
	ok = st->name;
	st->argv = v;
	for (uint32_t i = 0; i < argc && ok; i++)
		ok = (*v++ = (char *)next_string(&at, end)) != NULL;
	*v++ = NULL;
	st->envp = v;
	for (uint32_t i = 0; i < envc && ok; i++)
		ok = (*v++ = (char *)next_string(&at, end)) != NULL;
	*v = NULL;
	return ok ? 0 : (bad_start(err, "lacks strings"), -EPROTO);
}

static int take_start(struct start *st, struct shell *s, size_t bytes, const int *fd, unsigned nfds,
		      struct err *err)
{
	const unsigned streams = 1;
	const char *message = s->message, *text = message + sizeof(st->head);
	unsigned want;
	uint64_t rest;

	if (bytes < sizeof(st->head))
		return bad_start(err, "is too short"), -EPROTO;
	memcpy(&st->head, message, sizeof(st->head));
	if (st->head.version != WIRE_VERSION)
		return bad_start(err, "is of another version of mayfly: restart it"), -EPROTO;
	bytes -= sizeof(st->head);
	if (st->head.nnet > NOXS_NET_MAX || bytes < st->head.nnet * sizeof(st->net[0]))
		return bad_start(err, "has too many net devices"), -EPROTO;
	want = 1 + (st->head.flags & START_FDS ? 3 : 0);
	st->net_fd = fd + want;
	for (uint32_t i = 0; i < st->head.nnet; i++) {
		memcpy(&st->net[i], text, sizeof(st->net[i]));
		text += sizeof(st->net[i]);
		bytes -= sizeof(st->net[i]);
	}
	st->nnet_fds = shell_net_fds(st->net, st->head.nnet);
	want += st->nnet_fds + (st->head.flags & START_TEXT_FD ? 1 : 0);
	if (nfds != want)
		return bad_start(err, "has not the descriptors that it should have"), -EPROTO;
	st->image = fd[0];
	for (int i = 0; i < NOXS_NSTREAMS; i++)
		st->stream[i] = st->head.flags & START_FDS ? fd[streams + (unsigned)i] : -1;
	rest = (uint64_t)st->head.text_bytes + st->head.stdin_bytes;
	if (st->head.flags & START_TEXT_FD) {
		struct stat file;

		if (fstat(fd[nfds - 1], &file) || (uint64_t)file.st_size != rest || !rest)
			return bad_start(err, "has not the strings that it should have"), -EPROTO;
		text = mmap(NULL, rest, PROT_READ, MAP_PRIVATE, fd[nfds - 1], 0);
		if (text == MAP_FAILED)
			return err_set(err, errno, "cannot map the arguments");
	} else if (rest != bytes) {
		return bad_start(err, "is not as long as it says"), -EPROTO;
	}
	st->input = (const uint8_t *)text + st->head.text_bytes;
	return take_strings(st, text, s->strings, err);
}

/* Those that it has had since it was prepared learn who they are; others are made now. */
static int open_net(struct shell *s, struct start *st, struct err *err)
{
	unsigned had = s->nnet;
	int ret = 0;

	if (st->head.nnet < had)
		return bad_start(err, "is for other net devices"), -EPROTO;
	for (uint32_t i = 0; i < st->head.nnet && !ret; i++) {
		if (st->net[i].prepared != (i < had))
			return bad_start(err, "is for other net devices"), -EPROTO;
		if (i < had)
			net_configure(i, &st->net[i].config);
		else
			ret = shell_net_add(s, &st->net[i], &st->net_fd, &st->nnet_fds, err);
	}
	return ret;
}

/* What the guest gets at once of its input; the rest, if any, must come by SHELL_INPUT. */
static int open_console(struct shell *s, const struct start *st, struct err *err)
{
	struct console *c = &s->console;
	uint32_t flags = st->head.flags;

	for (int i = 0; i < NOXS_NSTREAMS; i++)
		c->fd[i] = st->stream[i];
	if (flags & (START_CAPTURE | START_LOG)) {
		bool capture = flags & START_CAPTURE;

		if (!capture && s->log < 0)
			return bad_start(err, "wants a log that this shell has not"), -EPROTO;
		c->put = capture ? shell_capture : shell_log;
		c->put_arg = s;
		s->output.limit = capture ? st->head.capture_bytes : st->head.log_bytes;
		if (!capture && s->jailed && jail_limit_files(st->head.log_bytes, err))
			return -EPERM;
	}
	if (flags & START_FDS)
		return 0;
	c->input_open = flags & START_STDIN;
	if (console_give(c, st->input, st->head.stdin_bytes) != st->head.stdin_bytes)
		return err_set(
			err, E2BIG,
			"cannot give the program %u bytes of input at once: %u are the limit",
			st->head.stdin_bytes, NOXS_STDIN_BYTES);
	if (!c->input_open)
		console_end_input(c);
	return 0;
}

static struct news_counters counters(const struct shell *s)
{
	const struct noxs_stats stats = s->guest.control->stats; /* one copy: it is the guest's */
	uint64_t now = __rdtsc(), khz = s->host->facts.tsc_khz;

	return (struct news_counters){
		.exits = s->vm.counters.exits,
		.waits = s->vm.counters.waits,
		.kicks = s->vm.counters.kicks,
		.ioctls = s->vm.counters.ioctls,
		.syscalls = stats.syscalls,
		.faults = stats.faults,
		.stdout_bytes = s->console.bytes[NOXS_STDOUT],
		.stderr_bytes = s->console.bytes[NOXS_STDERR],
		.stdin_bytes = s->console.bytes[NOXS_STDIN],
		.lost_bytes = s->output.lost + s->console.bytes_lost,
		.run_ns = stats.boot_tsc && now > stats.boot_tsc
				  ? (now - stats.boot_tsc) / khz * 1000000
				  : 0,
	};
}

/* ---- while it runs ---- */

static void input(struct shell *s, const struct shell_message *m, const char *data)
{
	size_t taken = 0;

	if (s->console.input_open) {
		taken = console_give(&s->console, data, m->bytes);
		if (m->arg && taken == m->bytes)
			console_end_input(&s->console);
	}
	shell_tell(s, NEWS_INPUT, taken, NULL, 0);
}

static void message(struct shell *s, struct run *run, const struct shell_message *m,
		    const char *data)
{
	struct news_net net[NOXS_NET_MAX];
	struct news_counters c;
	struct iovec part[2] = {{&c, sizeof(c)}, {net, 0}};

	switch (m->op) {
	case SHELL_SIGNAL:
		if (m->arg >= 1 && m->arg <= 64)
			run_signal(run, (int)m->arg);
		break;
	case SHELL_PAUSE:
	case SHELL_RESUME:
		run_suspend(run, m->op == SHELL_PAUSE);
		break;
	case SHELL_STATS:
		c = counters(s);
		c.resident_bytes = stats_resident_bytes(&s->vm.ram);
		part[1].iov_len = shell_net_counters(s, net) * sizeof(net[0]);
		shell_tell_parts(s, NEWS_STATS, 0, part, 2);
		break;
	case SHELL_INPUT:
		input(s, m, data);
		break;
	}
}

static int messages(void *arg, struct run *run, struct err *err)
{
	static char buffer[WIRE_MAX_BYTES];
	struct shell *s = arg;
	struct shell_message m;

	for (int i = 0; i < MAX_MESSAGES; i++) {
		ssize_t n = recv(s->control, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR
				       ? 0
				       : err_set(err, errno, "cannot read the daemon's messages");
		if ((size_t)n < sizeof(m))
			continue;
		memcpy(&m, buffer, sizeof(m));
		if (m.bytes == (size_t)n - sizeof(m))
			message(s, run, &m, buffer + sizeof(m));
	}
	return 0;
}

static void suspended(void *arg, bool now)
{
	shell_tell(arg, NEWS_STATE, now ? NEWS_PAUSED : NEWS_RUNNING, NULL, 0);
}

static void long_running(void *arg)
{
	const struct shell *s = arg;

	shell_tell(s, NEWS_STARTED, s->guest.control->stats.boot_tsc, NULL, 0);
}

/* ---- its end ---- */

static void tell_exit(struct shell *s, struct news_exit *e, const char *reason)
{
	struct shell_output *o = &s->output;
	struct news_net net[NOXS_NET_MAX];
	struct iovec part[5] = {
		{e, sizeof(*e)},
		{net, 0},
		{(void *)reason, reason ? strcspn(reason, "\n") : 0},
		{o->kept[NOXS_STDOUT], o->held[NOXS_STDOUT]},
		{o->kept[NOXS_STDERR], o->held[NOXS_STDERR]},
	};

	e->nnet = shell_net_counters(s, net);
	part[1].iov_len = e->nnet * sizeof(net[0]);
	e->reason_bytes = (uint32_t)part[2].iov_len;
	e->stdout_bytes = o->held[NOXS_STDOUT];
	e->stderr_bytes = o->held[NOXS_STDERR];
	e->truncated = o->truncated;
	e->received_tsc = s->received_tsc;
	e->boot_tsc = s->guest.control ? s->guest.control->stats.boot_tsc : 0;
	e->end_tsc = __rdtsc();
	if (s->guest.control)
		e->counters = counters(s);
	/* Who reads the caller's descriptors sees their end before the daemon hears of ours. */
	for (int i = 0; i < NOXS_NSTREAMS; i++)
		if (s->console.fd[i] >= 0)
			close(s->console.fd[i]);
	shell_tell_parts(s, NEWS_EXIT, 0, part, 5);
	_exit(e->exit_code);
}

static _Noreturn void fail(struct shell *s, const struct err *err)
{
	struct news_exit e = {
		.end = END_FAILED,
		.exit_code = err->exit ? err->exit : ERR_EXIT_SELF,
	};

	tell_exit(s, &e, err->message);
	_exit(ERR_EXIT_SELF);
}

/* The monitor's own words, on the program's stderr. */
static void say(struct shell *s, const char *text)
{
	size_t n = strlen(text);

	if (s->console.put)
		s->console.put(s->console.put_arg, NOXS_STDERR, text, n);
	else if (s->console.fd[NOXS_STDERR] >= 0 && write(s->console.fd[NOXS_STDERR], text, n) < 0)
		return;
}

static void conclude(struct shell *s, const struct start *st, const struct run_result *r)
{
	static const char prefix[] = "mayfly: ";
	struct news_exit e = {.signal = r->signal};
	struct err err = {0};
	char *text = NULL;
	const char *reason = NULL;

	switch (r->end) {
	case RUN_EXITED:
		e.end = END_EXITED;
		e.exit_code = console_verdict(&s->console, r->status, st->path, &err);
		if (err.message[0])
			reason = err.message;
		break;
	case RUN_TIMEOUT:
		e.end = END_TIMEOUT;
		e.exit_code = TIMEOUT_EXIT;
		reason = "it was ended at its time limit";
		break;
	case RUN_SIGNAL:
		e.end = END_SIGNAL;
		e.exit_code = 128 + r->signal;
		break;
	case RUN_CRASHED:
		e.end = END_CRASHED;
		e.exit_code = crash_text(&s->vm, &s->guest, r, st->path, false, NULL, &text);
		if (text) {
			say(s, text);
			reason = text + (strncmp(text, prefix, sizeof(prefix) - 1)
						 ? 0
						 : sizeof(prefix) - 1);
		}
	}
	tell_exit(s, &e, reason);
}

static int grow(struct shell *s, struct err *err)
{
	int ret = guest_grow(&s->guest, &s->vm, 0);

	return ret ? err_set(err, -ret, "cannot give the VM the memory for its image") : 0;
}

void shell_start(struct shell *s, size_t bytes, const int *fd, unsigned nfds)
{
	struct start st = {0};
	struct err err = {0};
	struct run_result result;

	s->received_tsc = __rdtsc();
	for (int i = 0; i < NOXS_NSTREAMS; i++)
		s->console.fd[i] = -1;
	if (take_start(&st, s, bytes, fd, nfds, &err))
		fail(s, &err);
	s->image.fd = st.image;
	if (image_head(&s->image, st.path, &err))
		fail(s, &err);

	struct guest_options options = {
		.path = st.path,
		.argv = st.argv,
		.envp = st.envp,
		.cwd = *st.workdir ? st.workdir : NULL,
		.hostname = *st.name ? st.name : NULL,
		.stream = {st.stream[0], st.stream[1], st.stream[2]},
		.strace = st.head.flags & START_STRACE,
	};
	struct run_port port = {.fd = s->control, .ready = messages, .arg = s};
	struct run_options run = {
		.timeout_ns = st.head.timeout_ns,
		.tsc_khz = s->host->facts.tsc_khz,
		.parked = true,
		.port = &port,
		.long_running = long_running,
		.suspended = suspended,
		.arg = s,
	};

	snprintf(s->image.path, sizeof(s->image.path), "%s", st.path);
	if (open_console(s, &st, &err) || ((st.head.nnet | s->nnet) && open_net(s, &st, &err)) ||
	    guest_load(&s->guest, &s->vm, s->host, &s->image, &options, &err) || grow(s, &err) ||
	    run_guest(&s->vm, &s->guest, &s->console, &run, &result, &err))
		fail(s, &err);
	conclude(s, &st, &result);
}
