/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.c: what a prepared VM makes of a start, beside a process of the same program, in one
 * run, in turn: by the shell's own messages, through the daemon, by `mayfly run`.
 *
 * A round runs every subject once, in a new random order. Before each sample everything is
 * made ready again and the machine has come to rest: shells that were used have ended and been
 * replaced. That work is outside the span and inside the CPU time, which is the whole
 * machine's from one rest to the next. bench/shell.sh brings up the daemon.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "daemon.h"
#include "machine.h"
#include "shell_report.h"
#include "stats.h"
#include "tool.h"
#include "zygote.h"

#define WARM_RUNS 5
#define MAX_ROWS  24
#define QUIET_MS  50

static const char help[] =
	"Usage: shell [OPTION]... --mayfly FILE --program FILE\n"
	"  --zygote DIR     also by messages to shells of our own; DIR: a run directory in which\n"
	"                   the program is prepared\n"
	"  --daemon SOCKET  also through the daemon, and by `mayfly run`\n"
	"  --runs N         rounds (200)\n"
	"  --pause US       rest this much longer before each sample (0)\n"
	"  --memory MIB     of our own shells (64)\n"
	"  --no-jail        our own shells go without\n"
	"  --json           one JSON document\n"
	"  --kvm TEXT       kind of KVM, for the report\n";

enum kind { NOTHING, PROCESS, SHELL, DAEMON };

/* Points between start and end that the VM's side tells of. */
enum stage { READ, BOOT, END, NSTAGES };

static const char *const stage_name[NSTAGES] = {
	"  until the shell has read it",
	"  until the first instruction",
	"  until its end is seen",
};

struct sample {
	uint64_t wall_ns, stage_ns[NSTAGES];
};

struct subject {
	const char *name;
	enum kind kind;
	char *argv[5];        /* PROCESS */
	char body[4096 + 64]; /* DAEMON */
	size_t n;
	uint64_t *wall_ns, *cpu_ns, *stage_ns[NSTAGES];
};

struct bench {
	struct subject subject[8];
	size_t nsubjects;
	struct shell_facts facts;
	unsigned runs;
	bool json, no_jail;
	const char *mayfly, *program, *zygote_dir, *daemon;
	struct zygote zygote;
	struct http http;
	uint64_t ready; /* a shell of our own that waits; 0: none */
	int image, null;
	uint64_t *prepare_ns; /* SPAWN until READY */
	size_t nprepare;
	double tsc_ns; /* of a tick */
	unsigned memory_mib;
};

/* ---- getting ready ---- */

static uint64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void await_news(struct bench *b, uint64_t shell, uint32_t type, struct zygote_news *n)
{
	do
		zygote_news(&b->zygote, n);
	while (n->head.shell != shell || n->head.type != type);
}

/* A shell of our own that waits. */
static void refill(struct bench *b)
{
	struct zygote_news n;
	uint64_t start = stats_now_ns(), shell;

	zygote_reap(&b->zygote);
	if (b->ready)
		return;
	shell = zygote_spawn(&b->zygote, true);
	await_news(b, shell, NEWS_READY, &n);
	b->ready = shell;
	if (b->nprepare < b->runs)
		b->prepare_ns[b->nprepare++] = stats_now_ns() - start;
}

static void rest(struct bench *b)
{
	if (b->zygote_dir)
		refill(b);
	if (!(b->daemon ? daemon_rest(&b->http) : machine_quiet(QUIET_MS)))
		b->facts.restless++;
	if (b->facts.pause_us)
		tool_sleep_ns(b->facts.pause_us * 1000ull);
}

/* ---- samples ---- */

static bool has_stage(const struct subject *s, enum stage stage)
{
	return s->kind == SHELL || (s->kind == DAEMON && stage == BOOT);
}

static uint64_t run_process(const struct subject *s, int out)
{
	uint64_t start = stats_now_ns(), end;
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		dup2(out, 1);
		execv(s->argv[0], s->argv);
		_exit(127);
	}
	if (pid < 0)
		die_errno("cannot start a process");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die_errno("cannot wait");
	end = stats_now_ns();
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die(s->name, "it failed");
	return end - start;
}

static uint64_t since(const struct bench *b, uint64_t from_tsc, uint64_t to_tsc)
{
	return to_tsc > from_tsc ? (uint64_t)((double)(to_tsc - from_tsc) * b->tsc_ns) : 0;
}

static void run_shell(struct bench *b, struct zygote_news *n, struct sample *x)
{
	uint64_t shell = b->ready, start = stats_now_ns(), tsc = __rdtsc();

	zygote_start_program(&b->zygote, shell, b->image, b->program, tsc);
	await_news(b, shell, NEWS_EXIT, n);
	x->wall_ns = stats_now_ns() - start;
	if (n->exit.end != END_EXITED || n->exit.exit_code)
		die("the VM failed", n->text_bytes ? n->text : NULL);
	x->stage_ns[READ] = since(b, tsc, n->exit.received_tsc);
	x->stage_ns[BOOT] = since(b, tsc, n->exit.boot_tsc);
	x->stage_ns[END] = since(b, tsc, n->exit.end_tsc);
	b->ready = 0;
	zygote_forget(&b->zygote, shell);
}

static void run_daemon(struct bench *b, const struct subject *s, struct sample *x)
{
	uint64_t start = stats_now_ns();
	double boot_us, code;

	http_expect(&b->http, 200, "POST", "/v1/vms", s->body);
	x->wall_ns = stats_now_ns() - start;
	if (!http_number(b->http.body, "boot_us", &boot_us) ||
	    !http_number(b->http.body, "exit_code", &code) || code)
		die("the VM failed", b->http.body);
	x->stage_ns[BOOT] = (uint64_t)(boot_us * 1e3);
}

static void sample(struct bench *b, const struct subject *s, struct sample *x)
{
	static struct zygote_news news;

	switch (s->kind) {
	case NOTHING:
		x->wall_ns = 0;
		break;
	case PROCESS:
		x->wall_ns = run_process(s, b->null);
		break;
	case SHELL:
		run_shell(b, &news, x);
		break;
	case DAEMON:
		run_daemon(b, s, x);
		break;
	}
}

/* ---- first of all: they all do the same ---- */

static size_t process_output(struct bench *b, const struct subject *s, char *text, size_t size)
{
	FILE *f = tmpfile();
	size_t n;

	(void)b;
	if (!f)
		die_errno("cannot make a temporary file");
	run_process(s, fileno(f));
	rewind(f);
	n = fread(text, 1, size - 1, f);
	fclose(f);
	text[n] = 0;
	return n;
}

/* What it prints is, or has in it, the text; quoted is the same as a JSON string. */
static void check_one(struct bench *b, const struct subject *s, const char *text,
		      const char *quoted)
{
	static struct zygote_news news;
	static char other[4096];
	struct sample x;
	bool same = true;
	size_t n = strlen(text);

	if (s->kind == PROCESS) {
		same = process_output(b, s, other, sizeof(other)) == n && !memcmp(other, text, n);
	} else if (s->kind == SHELL) {
		run_shell(b, &news, &x);
		same = news.exit.stdout_bytes == n &&
		       news.text_bytes >= news.exit.reason_bytes + n &&
		       !memcmp(news.text + news.exit.reason_bytes, text, n);
	} else if (s->kind == DAEMON) {
		run_daemon(b, s, &x);
		same = strstr(b->http.body, quoted);
	}
	if (!same)
		die(s->name, "prints something else than the process");
}

/* As the daemon's reply has it; a plain program prints nothing else that JSON escapes. */
static void quote(char *quoted, const char *text)
{
	quoted += sprintf(quoted, "\"stdout\":\"");
	for (; *text; text++)
		quoted += sprintf(quoted, *text == '\n' ? "\\n" : "%c", *text);
	strcpy(quoted, "\"");
}

static void check(struct bench *b)
{
	static char text[4096], quoted[2 * sizeof(text)];
	struct sample ignored;

	process_output(b, &b->subject[1], text, sizeof(text) - 16);
	quote(quoted, text);
	for (size_t i = 0; i < b->nsubjects; i++) {
		rest(b);
		check_one(b, &b->subject[i], text, quoted);
		for (int w = 0; w < WARM_RUNS; w++) {
			rest(b);
			sample(b, &b->subject[i], &ignored);
		}
	}
	b->facts.restless = 0;
	b->nprepare = 0;
}

/* ---- measuring ---- */

static void measure_one(struct bench *b, struct subject *s)
{
	struct sample x = {0};
	uint64_t cpu, own;

	cpu = machine_cpu_ns();
	sample(b, s, &x);
	own = own_cpu_ns();
	rest(b);
	/* Our own part in the rest is looking whether it is one. */
	own = own_cpu_ns() - own;
	cpu = machine_cpu_ns() - cpu;
	s->cpu_ns[s->n] = cpu > own ? cpu - own : 0;
	s->wall_ns[s->n] = x.wall_ns;
	for (int i = 0; i < NSTAGES; i++)
		s->stage_ns[i][s->n] = x.stage_ns[i];
	s->n++;
}

static void measure(struct bench *b)
{
	struct daemon_pool before = {0};
	size_t order[8];

	rest(b);
	if (b->daemon)
		before = daemon_pool(&b->http);
	for (unsigned round = 0; round < b->runs; round++) {
		tool_shuffle(order, b->nsubjects);
		for (size_t i = 0; i < b->nsubjects; i++)
			measure_one(b, &b->subject[order[i]]);
	}
	if (b->daemon) {
		struct daemon_pool after = daemon_pool(&b->http);

		b->facts.warm = after.warm - before.warm;
		b->facts.cold = after.cold - before.cold;
	}
	for (size_t i = 0; i < b->nsubjects; i++) {
		struct subject *s = &b->subject[i];

		stats_sort(s->wall_ns, s->n);
		stats_sort(s->cpu_ns, s->n);
		for (int j = 0; j < NSTAGES; j++)
			stats_sort(s->stage_ns[j], s->n);
	}
	stats_sort(b->prepare_ns, b->nprepare);
}

/* ---- the report ---- */

static size_t make_rows(const struct bench *b, struct shell_row *row)
{
	const struct subject *none = &b->subject[0];
	double nothing = (double)stats_quantile(none->cpu_ns, none->n, 0.5) / 1e3;
	size_t n = 0;

	for (size_t i = 1; i < b->nsubjects; i++) {
		const struct subject *s = &b->subject[i];
		double cpu = (double)stats_quantile(s->cpu_ns, s->n, 0.5) / 1e3 - nothing;

		row[n++] = (struct shell_row){s->name, s->wall_ns, s->n, cpu > 0 ? cpu : 0};
		for (int j = 0; j < NSTAGES; j++)
			if (has_stage(s, j))
				row[n++] =
					(struct shell_row){stage_name[j], s->stage_ns[j], s->n, -1};
	}
	if (b->nprepare)
		row[n++] = (struct shell_row){"preparing a shell (outside)", b->prepare_ns,
					      b->nprepare, -1};
	return n;
}

/* ---- setting up ---- */

static struct subject *add(struct bench *b, const char *name, enum kind kind)
{
	struct subject *s = &b->subject[b->nsubjects++];

	s->name = name;
	s->kind = kind;
	s->wall_ns = tool_alloc(b->runs, sizeof(*s->wall_ns));
	s->cpu_ns = tool_alloc(b->runs, sizeof(*s->cpu_ns));
	for (int i = 0; i < NSTAGES; i++)
		s->stage_ns[i] = tool_alloc(b->runs, sizeof(*s->stage_ns[i]));
	return s;
}

static void add_subjects(struct bench *b)
{
	struct subject *s;
	char more[80];

	add(b, "nothing", NOTHING); /* what looking for rest costs */
	s = add(b, "process", PROCESS);
	s->argv[0] = (char *)b->program;
	if (b->zygote_dir)
		add(b, "shell, message to message", SHELL);
	if (!b->daemon)
		return;
	s = add(b, "daemon, warm, HTTP round trip", DAEMON);
	daemon_body(s->body, sizeof(s->body), b->program, ", \"wait\": true");
	s = add(b, "daemon, cold, HTTP round trip", DAEMON);
	/* A size that no flavour has. */
	snprintf(more, sizeof(more), ", \"wait\": true, \"memory_mib\": %.0f",
		 daemon_pool(&b->http).memory_mib + 1);
	daemon_body(s->body, sizeof(s->body), b->program, more);
	s = add(b, "mayfly run", PROCESS);
	s->argv[0] = (char *)b->mayfly;
	s->argv[1] = "run";
	s->argv[2] = (char *)b->program;
	s = add(b, "mayfly run --pool", PROCESS);
	s->argv[0] = (char *)b->mayfly;
	s->argv[1] = "run";
	s->argv[2] = "--pool";
	s->argv[3] = (char *)b->program;
}

/* How long a tick of the TSC is, by 50 ms of it. */
static double tsc_ns(void)
{
	uint64_t ns = stats_now_ns(), tsc = __rdtsc();

	tool_sleep_ns(50000000);
	tsc = __rdtsc() - tsc;
	return (double)(stats_now_ns() - ns) / (double)tsc;
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{"runs", required_argument, NULL, 'r'},   {"pause", required_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},         {"kvm", required_argument, NULL, 'k'},
		{"mayfly", required_argument, NULL, 'm'}, {"program", required_argument, NULL, 'P'},
		{"zygote", required_argument, NULL, 'z'}, {"daemon", required_argument, NULL, 'd'},
		{"no-jail", no_argument, NULL, 'n'},      {"memory", required_argument, NULL, 'M'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'r':
			b->runs = (unsigned)tool_number("--runs", optarg, 1, 10000000);
			break;
		case 'p':
			b->facts.pause_us = (unsigned)tool_number("--pause", optarg, 0, 10000000);
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
			b->facts.kvm = optarg;
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
			b->facts.daemon = true;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	if (!b->mayfly || !b->program || *b->mayfly != '/' || *b->program != '/' || optind < argc)
		die("--mayfly and --program want absolute paths; see --help", NULL);
}

int main(int argc, char **argv)
{
	static struct bench b = {.runs = 200, .facts.kvm = "unknown", .memory_mib = 64};

	parse(&b, argc, argv);
	b.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	b.prepare_ns = tool_alloc(b.runs, sizeof(*b.prepare_ns));
	b.tsc_ns = tsc_ns();
	if (b.daemon)
		http_open(&b.http, b.daemon);
	if (b.zygote_dir) {
		b.zygote.memory_bytes = (uint64_t)b.memory_mib << 20;
		zygote_start(&b.zygote, b.mayfly, b.zygote_dir, !b.no_jail);
		b.image = zygote_image(&b.zygote, b.program);
	}
	add_subjects(&b);
	check(&b);
	measure(&b);
	if (b.zygote_dir)
		zygote_stop(&b.zygote);
	struct shell_row row[MAX_ROWS];
	size_t n = make_rows(&b, row);

	if (b.json)
		shell_json(&b.facts, row, n);
	else
		shell_table(&b.facts, row, n);
	return fflush(stdout) ? 1 : 0;
}
