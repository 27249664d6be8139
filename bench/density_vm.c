/* SPDX-License-Identifier: Apache-2.0 */
/* density_vm.c: VMs for density.c, by the daemon's HTTP. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "density.h"
#include "machine.h"
#include "stats.h"
#include "tool.h"

#define CONNECTIONS     8
#define ID_BYTES        16
#define STEP            32 /* between two looks at the progress */
#define ANSWER_LIMIT_NS 30000000000ull
#define END_LIMIT_NS    60000000000ull
#define BOOT_LIMIT_NS   5000000000ull

static struct {
	const char *run_dir;
	pid_t daemon, zygote;
	struct http conn[CONNECTIONS];
	char body[4096 + 64], hello_body[4096 + 64];
	char (*id)[ID_BYTES];
	bool *done; /* of a pass over all */
	char why[256];
} vm;

/*
 * Does something with each of [from, to), CONNECTIONS at a time: ask sends the request for i,
 * took looks at the reply; false ends it after what is under way.
 */
static bool each(unsigned from, unsigned to, void (*ask)(struct http *, unsigned),
		 bool (*took)(struct http *, unsigned), bool (*progress)(unsigned))
{
	struct pollfd p[CONNECTIONS];
	unsigned of[CONNECTIONS], next = from, under_way = 0, finished = 0;
	bool go = true;

	for (unsigned c = 0; c < CONNECTIONS; c++)
		p[c] = (struct pollfd){.fd = -1, .events = POLLIN};
	while (under_way || (go && next < to)) {
		for (unsigned c = 0; c < CONNECTIONS && go && next < to; c++) {
			if (p[c].fd >= 0)
				continue;
			of[c] = next++;
			p[c].fd = vm.conn[c].fd;
			ask(&vm.conn[c], of[c]);
			under_way++;
		}
		if (poll(p, CONNECTIONS, -1) < 0 && errno != EINTR)
			die_errno("poll");
		for (unsigned c = 0; c < CONNECTIONS; c++) {
			if (p[c].fd < 0 || !p[c].revents || !http_feed(&vm.conn[c]))
				continue;
			p[c].fd = -1;
			under_way--;
			go = took(&vm.conn[c], of[c]) && go;
			if (progress && ++finished % STEP == 0)
				go = progress(from + finished) && go;
		}
	}
	return go;
}

static _Noreturn void refused(const struct http *h, const char *what)
{
	fprintf(stderr, "density: %s: status %d: %s\n", what, h->status, h->body);
	exit(1);
}

/* ---- starting ---- */

static void ask_create(struct http *h, unsigned i)
{
	(void)i;
	http_send(h, "POST", "/v1/vms", vm.body);
}

static bool took_create(struct http *h, unsigned i)
{
	if (h->status == 503) {
		if (!http_string(h->body, "message", vm.why, sizeof(vm.why)))
			strcpy(vm.why, "the daemon is busy");
		return false;
	}
	if (h->status != 201 || !http_string(h->body, "id", vm.id[i], sizeof(vm.id[i])))
		refused(h, "cannot start a VM");
	return true;
}

static unsigned grow(unsigned from, unsigned to, bool (*progress)(unsigned), const char **why)
{
	unsigned n = from;

	vm.why[0] = 0;
	each(from, to, ask_create, took_create, progress);
	/* Who was refused leaves a hole, which the last one fills. */
	for (unsigned i = from; i < to; i++)
		if (vm.id[i][0]) {
			memmove(vm.id[n], vm.id[i], sizeof(vm.id[n]));
			if (n++ != i)
				vm.id[i][0] = 0;
		}
	if (vm.why[0])
		*why = vm.why;
	return n;
}

static bool rest(void)
{
	return daemon_rest(&vm.conn[0]);
}

/* The VM tells its first instruction's time when it first sleeps. */
static uint64_t boot_ns(unsigned i)
{
	uint64_t limit = stats_now_ns() + BOOT_LIMIT_NS;
	char target[64];
	double boot_us;

	snprintf(target, sizeof(target), "/v1/vms/%s", vm.id[i]);
	do {
		http_expect(&vm.conn[0], 200, "GET", target, NULL);
		if (http_number(vm.conn[0].body, "boot_us", &boot_us) && boot_us > 0)
			return (uint64_t)(boot_us * 1e3);
		tool_sleep_ns(1000000);
	} while (stats_now_ns() < limit);
	die("a VM does not tell of its first instruction", vm.conn[0].body);
}

static void start(unsigned i, struct start_sample *sample)
{
	uint64_t from = stats_now_ns();

	http_call(&vm.conn[0], "POST", "/v1/vms", vm.body);
	sample->call_ns = stats_now_ns() - from;
	if (!took_create(&vm.conn[0], i))
		die("cannot start a VM", vm.why);
	sample->boot_ns = boot_ns(i);
}

static uint64_t hello(void)
{
	uint64_t from = stats_now_ns(), ns;
	double code = -1;

	http_expect(&vm.conn[0], 200, "POST", "/v1/vms", vm.hello_body);
	ns = stats_now_ns() - from;
	if (!http_number(vm.conn[0].body, "exit_code", &code) || code)
		die("a VM failed", vm.conn[0].body);
	return ns;
}

/* ---- answering ---- */

static void ask_line(struct http *h, unsigned i)
{
	char target[64], line[32];

	snprintf(target, sizeof(target), "/v1/vms/%s/stdin", vm.id[i]);
	snprintf(line, sizeof(line), "line %u\n", i);
	http_send(h, "POST", target, line);
}

static bool took_line(struct http *h, unsigned i)
{
	char line[32];
	double accepted;

	if (h->status != 200 || !http_number(h->body, "accepted", &accepted) ||
	    accepted != snprintf(line, sizeof(line), "line %u\n", i))
		refused(h, "a VM does not take a line");
	return true;
}

static void ask_log(struct http *h, unsigned i)
{
	char target[64];

	snprintf(target, sizeof(target), "/v1/vms/%s/logs", vm.id[i]);
	http_send(h, "GET", target, NULL);
}

static bool took_log(struct http *h, unsigned i)
{
	char line[32];
	size_t n = (size_t)snprintf(line, sizeof(line), "answer line %u\n", i);

	if (h->status != 200)
		refused(h, "a VM's log cannot be read");
	/* That, and nothing else. */
	vm.done[i] = h->body_bytes == n && !memcmp(h->body, line, n);
	return true;
}

static unsigned answers(unsigned n, bool (*progress)(unsigned))
{
	uint64_t limit = stats_now_ns() + ANSWER_LIMIT_NS;
	unsigned right = 0, before;

	memset(vm.done, 0, n * sizeof(*vm.done));
	each(0, n, ask_line, took_line, progress);
	each(0, n, ask_log, took_log, progress);
	/* Who was not through yet is asked for again. */
	do {
		before = right;
		right = 0;
		for (unsigned i = 0; i < n; i++) {
			if (!vm.done[i])
				each(i, i + 1, ask_log, took_log, NULL);
			right += vm.done[i];
		}
		if (right < n && right == before)
			tool_sleep_ns(100000000);
	} while (right < n && stats_now_ns() < limit);
	return right;
}

/* ---- ending ---- */

static void ask_end(struct http *h, unsigned i)
{
	char target[64];

	snprintf(target, sizeof(target), "/v1/vms/%s?force=true", vm.id[i]);
	http_send(h, "DELETE", target, NULL);
}

static bool took_end(struct http *h, unsigned i)
{
	if (h->status != 204)
		refused(h, "a VM cannot be removed");
	vm.id[i][0] = 0;
	return true;
}

static void end(unsigned from, unsigned to)
{
	each(from, to, ask_end, took_end, NULL);
}

static unsigned sockets(void)
{
	char path[4096];
	const struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/shell", vm.run_dir);
	d = opendir(path);
	if (!d)
		die_errno(path);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Processes and sockets beyond those of the shells that the pool has ready. */
static unsigned left(void)
{
	uint64_t limit = stats_now_ns() + END_LIMIT_NS;

	for (;;) {
		struct daemon_pool p = daemon_pool(&vm.conn[0]);
		unsigned ready = (unsigned)p.ready, processes = machine_children(vm.zygote, NULL),
			 paths = sockets();

		if (!p.preparing && processes == ready && paths == ready)
			return 0;
		if (stats_now_ns() > limit)
			return processes + paths - 2 * ready;
		tool_sleep_ns(200000000);
	}
}

static uint64_t cpu_ns(void)
{
	uint64_t shells;

	/* Shells that end meanwhile, because the pool wants fewer, are the zygote's then. */
	machine_children(vm.zygote, &shells);
	return shells + machine_reaped_ns(vm.zygote) + machine_process_ns(vm.zygote) +
	       machine_process_ns(vm.daemon);
}

const struct kind *density_vm(const char *socket, pid_t daemon, const char *program,
			      const char *hello_program, const char *run_dir, unsigned most)
{
	static const struct kind kind = {
		.grow = grow,
		.rest = rest,
		.start = start,
		.end = end,
		.hello = hello,
		.answers = answers,
		.cpu_ns = cpu_ns,
		.left = left,
	};

	vm.run_dir = run_dir;
	vm.daemon = daemon;
	vm.zygote = machine_child(daemon);
	vm.id = tool_alloc(most, sizeof(*vm.id));
	vm.done = tool_alloc(most, sizeof(*vm.done));
	for (unsigned c = 0; c < CONNECTIONS; c++)
		http_open(&vm.conn[c], socket);
	daemon_body(vm.body, sizeof(vm.body), program, ", \"stdin_open\": true");
	daemon_body(vm.hello_body, sizeof(vm.hello_body), hello_program, ", \"wait\": true");
	return &kind;
}
