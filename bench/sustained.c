/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sustained.c: how many programs a second start and end, each in a VM of its own that nobody
 * has used before, for some seconds, and who needs the CPU time for it.
 *
 * Either on the zygote's wire, this program in the daemon's place: some shells are always under
 * way, each gets its program as soon as it is ready, and for each that ends one is
 * ordered. Or through the daemon: some clients, each with one connection and always one
 * request (wait) under way. bench/sustained.sh runs both.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "daemon.h"
#include "machine.h"
#include "stats.h"
#include "tool.h"
#include "zygote.h"

#define MAX_UNDER_WAY 1024
#define MAX_STARTS    4000000u
#define WARM_UP_NS    1000000000ull
#define LOOK_AT_EACH  16 /* of so many shells one's own CPU time is looked at */

static const char help[] =
	"Usage: sustained [OPTION]... --program FILE --zygote DIR --mayfly FILE\n"
	"       sustained [OPTION]... --program FILE --daemon SOCKET --daemon-pid PID\n"
	"  --seconds N    (10), after one second that does not count\n"
	"  --under-way N  shells, or clients (8)\n"
	"  --memory MIB   of each VM (64); through the daemon: its default flavour's\n"
	"  --no-jail      on the wire: shells go without\n"
	"  --json         one JSON document\n"
	"  --kvm TEXT     kind of KVM, for the report\n";

/* CPU time in ns since some point in the past, or between two. */
struct cpu {
	uint64_t machine, zygote, shells, daemon, client, wall;
};

struct client {
	struct http http;
	uint64_t start_ns;
};

struct bench {
	unsigned seconds, under_way, memory_mib;
	bool json, no_jail;
	const char *kvm, *mayfly, *program, *zygote_dir, *daemon;
	pid_t daemon_pid, zygote_pid;
	bool counts; /* the warm-up is over */
	uint64_t *wall_ns;
	size_t starts;
	struct cpu cpu;
	/* of the shells that were looked at */
	uint64_t prepare_ns, run_ns, looked;
	double warm, cold; /* the pool's counts */
};

static struct cpu cpu_now(const struct bench *b)
{
	struct timespec own;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	return (struct cpu){
		.machine = machine_cpu_ns(),
		.zygote = machine_process_ns(b->zygote_pid),
		.shells = machine_reaped_ns(b->zygote_pid),
		.daemon = b->daemon_pid ? machine_process_ns(b->daemon_pid) : 0,
		.client = (uint64_t)own.tv_sec * 1000000000u + (uint64_t)own.tv_nsec,
		.wall = stats_now_ns(),
	};
}

static struct cpu cpu_between(const struct cpu *from, const struct cpu *to)
{
	return (struct cpu){
		.machine = to->machine - from->machine,
		.zygote = to->zygote - from->zygote,
		.shells = to->shells - from->shells,
		.daemon = to->daemon - from->daemon,
		.client = to->client - from->client,
		.wall = to->wall - from->wall,
	};
}

/* Called between two starts: the warm-up's end, or ours. */
static bool goes_on(struct bench *b, struct cpu *from)
{
	uint64_t now = stats_now_ns();

	if (!from->wall)
		from->wall = now;
	if (!b->counts && now - from->wall >= WARM_UP_NS) {
		b->counts = true;
		*from = cpu_now(b);
	} else if (b->counts && now - from->wall >= b->seconds * 1000000000ull) {
		struct cpu to = cpu_now(b);

		b->cpu = cpu_between(from, &to);
		return false;
	}
	return true;
}

static void count(struct bench *b, uint64_t wall_ns)
{
	if (!b->counts)
		return;
	if (b->starts == MAX_STARTS)
		die("too many starts for this program: give fewer --seconds", NULL);
	b->wall_ns[b->starts++] = wall_ns;
}

/* ---- on the wire ---- */

struct slot {
	uint64_t start_ns, prepare_ns;
};

static void on_ready(struct bench *b, struct zygote *z, int image, const struct zygote_news *n,
		     struct slot *slot)
{
	slot->prepare_ns = n->head.shell % LOOK_AT_EACH ? 0 : machine_process_ns(n->pid);
	slot->start_ns = stats_now_ns();
	zygote_start_program(z, n->head.shell, image, b->program, __rdtsc());
}

static void on_exit_news(struct bench *b, struct zygote *z, const struct zygote_news *n,
			 const struct slot *slot)
{
	uint64_t now;

	count(b, stats_now_ns() - slot->start_ns);
	if (n->exit.end != END_EXITED || n->exit.exit_code)
		die("a VM failed", n->text_bytes ? n->text : NULL);
	if (slot->prepare_ns && b->counts && (now = machine_process_ns(n->pid)) > 0) {
		b->prepare_ns += slot->prepare_ns;
		b->run_ns += now - slot->prepare_ns;
		b->looked++;
	}
	zygote_forget(z, n->head.shell);
	zygote_spawn(z, true);
}

static void run_wire(struct bench *b)
{
	/* A shell's slot is its number modulo a number that is more than are under way. */
	static struct slot slot[4 * MAX_UNDER_WAY];
	static struct zygote_news news;
	struct zygote z = {.memory_bytes = (uint64_t)b->memory_mib << 20};
	struct cpu from = {0};
	int image;

	zygote_start(&z, b->mayfly, b->zygote_dir, !b->no_jail);
	image = zygote_image(&z, b->program);
	b->zygote_pid = z.pid;
	for (unsigned i = 0; i < b->under_way; i++)
		zygote_spawn(&z, true);
	while (goes_on(b, &from)) {
		struct slot *s;

		zygote_news(&z, &news);
		s = &slot[news.head.shell % (4 * MAX_UNDER_WAY)];
		if (news.head.type == NEWS_READY)
			on_ready(b, &z, image, &news, s);
		else if (news.head.type == NEWS_EXIT)
			on_exit_news(b, &z, &news, s);
		zygote_reap(&z);
	}
	close(image);
	zygote_stop(&z);
}

/* ---- through the daemon ---- */

static void request(struct client *c, const char *body)
{
	c->start_ns = stats_now_ns();
	http_send(&c->http, "POST", "/v1/vms", body);
}

static void on_reply(struct bench *b, struct client *c, const char *body)
{
	double code = -1;

	count(b, stats_now_ns() - c->start_ns);
	if (c->http.status != 200 || !http_number(c->http.body, "exit_code", &code) || code)
		die("a VM failed", c->http.body);
	request(c, body);
}

static void pool_counts(struct bench *b, double sign)
{
	struct daemon_pool p;
	struct http h;

	http_open(&h, b->daemon);
	p = daemon_pool(&h);
	http_close(&h);
	b->warm += sign * p.warm;
	b->cold += sign * p.cold;
}

static void run_daemon(struct bench *b)
{
	static struct client client[MAX_UNDER_WAY];
	static struct pollfd p[MAX_UNDER_WAY];
	struct cpu from = {0};
	char body[4096 + 64];
	bool counted = false;

	daemon_body(body, sizeof(body), b->program, ", \"wait\": true");
	b->zygote_pid = machine_child(b->daemon_pid);
	for (unsigned i = 0; i < b->under_way; i++) {
		http_open(&client[i].http, b->daemon);
		p[i] = (struct pollfd){.fd = client[i].http.fd, .events = POLLIN};
		request(&client[i], body);
	}
	while (goes_on(b, &from)) {
		if (b->counts && !counted) {
			counted = true;
			pool_counts(b, -1);
		}
		if (poll(p, b->under_way, 1000) < 0 && errno != EINTR)
			die_errno("poll");
		for (unsigned i = 0; i < b->under_way; i++)
			if (p[i].revents && http_feed(&client[i].http))
				on_reply(b, &client[i], body);
	}
	pool_counts(b, 1);
	/* What is under way ends before the connections do. */
	for (unsigned i = 0; i < b->under_way; i++) {
		while (!http_feed(&client[i].http))
			;
		http_close(&client[i].http);
	}
}

/* ---- the report ---- */

struct part {
	const char *name, *key;
	double ns;
};

#define MAX_PARTS 9

static size_t make_parts(const struct bench *b, struct part *part)
{
	const struct cpu *c = &b->cpu;
	double n = (double)b->starts, looked = b->looked ? (double)b->looked : 1;
	double prepare = (double)b->prepare_ns / looked * n, run = (double)b->run_ns / looked * n;
	double shells = (double)c->shells, known, all;
	size_t i = 0;

	part[i++] = (struct part){"fork (the zygote)", "fork", (double)c->zygote};
	if (b->looked) {
		part[i++] = (struct part){"preparing the VM", "prepare", prepare};
		part[i++] = (struct part){"START to EXIT", "run", run};
		part[i++] = (struct part){"the VM's end", "end", shells - prepare - run};
	} else {
		part[i++] = (struct part){"shells: prepare, run, end", "shells", shells};
	}
	if (b->daemon)
		part[i++] = (struct part){"daemon", "daemon", (double)c->daemon};
	part[i++] = (struct part){"client", "client", (double)c->client};
	known = (double)(c->zygote + c->shells + c->daemon + c->client);
	part[i++] = (struct part){"kernel threads, others", "others", (double)c->machine - known};
	all = (double)c->wall * (double)sysconf(_SC_NPROCESSORS_ONLN);
	part[i++] = (struct part){"idle, interrupts, host", "idle", all - (double)c->machine};
	return i;
}

static double rate(const struct bench *b)
{
	return (double)b->starts / ((double)b->cpu.wall / 1e9);
}

static double us(const struct bench *b, double q)
{
	return (double)stats_quantile(b->wall_ns, b->starts, q) / 1e3;
}

static void print_table(const struct bench *b)
{
	double all = (double)b->cpu.wall * (double)sysconf(_SC_NPROCESSORS_ONLN);
	struct part part[MAX_PARTS];
	size_t n = make_parts(b, part);

	stats_machine_text(stdout, b->kvm);
	printf("%s, %u %s\n\n", b->daemon ? "through the daemon" : "on the zygote's wire",
	       b->under_way, b->daemon ? "clients" : "shells under way");
	printf("%.0f starts and ends a second: %zu in %.1f s, each in a new VM\n", rate(b),
	       b->starts, (double)b->cpu.wall / 1e9);
	printf("start to end under this load: p50 %.0f us, p90 %.0f, p99 %.0f\n", us(b, 0.5),
	       us(b, 0.9), us(b, 0.99));
	if (b->daemon)
		printf("the pool counted %.0f warm and %.0f cold starts of its flavours\n", b->warm,
		       b->cold);
	printf("\n%-28s %14s %8s\n", "CPU time", "us for a start", "%");
	for (size_t i = 0; i < n; i++)
		printf("%-28s %14.1f %8.1f\n", part[i].name, part[i].ns / 1e3 / (double)b->starts,
		       part[i].ns / all * 100);
}

static void print_json(const struct bench *b)
{
	struct part part[MAX_PARTS];
	size_t n = make_parts(b, part);

	printf("{");
	stats_machine_json(stdout, b->kvm);
	printf(", \"way\": \"%s\", \"under_way\": %u, \"seconds\": %.3f, \"starts\": %zu, "
	       "\"per_second\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f",
	       b->daemon ? "daemon" : "wire", b->under_way, (double)b->cpu.wall / 1e9, b->starts,
	       rate(b), us(b, 0.5), us(b, 0.9), us(b, 0.99));
	if (b->daemon)
		printf(", \"warm\": %.0f, \"cold\": %.0f", b->warm, b->cold);
	printf(",\n \"cpu_us_per_start\": {");
	for (size_t i = 0; i < n; i++)
		printf("%s\"%s\": %.1f", i ? ", " : "", part[i].key,
		       part[i].ns / 1e3 / (double)b->starts);
	printf("}}\n");
}

/* ---- setting up ---- */

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 's'},
		{"under-way", required_argument, NULL, 'u'},
		{"memory", required_argument, NULL, 'M'},
		{"json", no_argument, NULL, 'j'},
		{"no-jail", no_argument, NULL, 'n'},
		{"kvm", required_argument, NULL, 'k'},
		{"mayfly", required_argument, NULL, 'm'},
		{"program", required_argument, NULL, 'P'},
		{"zygote", required_argument, NULL, 'z'},
		{"daemon", required_argument, NULL, 'd'},
		{"daemon-pid", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			b->seconds = (unsigned)tool_number("--seconds", optarg, 1, 3600);
			break;
		case 'u':
			b->under_way =
				(unsigned)tool_number("--under-way", optarg, 1, MAX_UNDER_WAY);
			break;
		case 'M':
			b->memory_mib = (unsigned)tool_number("--memory", optarg, 1, 1 << 20);
			break;
		case 'j':
			b->json = true;
			break;
		case 'n':
			b->no_jail = true;
			break;
		case 'k':
			b->kvm = optarg;
			break;
		case 'm':
			b->mayfly = optarg;
			break;
		case 'P':
			b->program = optarg;
			break;
		case 'z':
			b->zygote_dir = optarg;
			break;
		case 'd':
			b->daemon = optarg;
			break;
		case 'p':
			b->daemon_pid = (pid_t)tool_number("--daemon-pid", optarg, 1, 1 << 22);
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	if (!b->program || optind < argc || !!b->zygote_dir == !!b->daemon ||
	    (b->zygote_dir && !b->mayfly) || (b->daemon && !b->daemon_pid))
		die("options are missing, or contradict each other; see --help", NULL);
}

int main(int argc, char **argv)
{
	static struct bench b = {
		.seconds = 10,
		.under_way = 8,
		.memory_mib = 64,
		.kvm = "unknown",
	};

	parse(&b, argc, argv);
	b.wall_ns = tool_alloc(MAX_STARTS, sizeof(*b.wall_ns));
	if (b.daemon)
		run_daemon(&b);
	else
		run_wire(&b);
	if (!b.starts)
		die("not one start in all that time", NULL);
	stats_sort(b.wall_ns, b.starts);
	if (b.json)
		print_json(&b);
	else
		print_table(&b);
	return fflush(stdout) ? 1 : 0;
}
