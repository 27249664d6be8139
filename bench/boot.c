/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c: how long commands take from vfork to wait4, in one run, in turn.
 *
 *	boot [OPTION]... NAME[,every=N][,forget=DIR] COMMAND [ARG]... [';' NAME ...]...
 *
 * Each subject is a name and a command. A round runs every subject once, in a new random
 * order, so that drift of the machine meets all alike and nobody always has the same
 * predecessor. bench/boot.sh and bench/cpu.sh say which commands.
 *
 * Inside the measured span: vfork, execve, all that the command does until its process
 * can be waited for, wait4. Outside: the pause between two samples.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#include "../monitor/json.h"
#include "stats.h"
#include "tool.h"

#define MAX_SUBJECTS 16
#define DEFAULT_RUNS 200
#define WARM_RUNS    3
/* A VM's teardown goes on for about 0.4 ms after its exit code is known (monitor/end.h). */
#define DEFAULT_PAUSE_US 0

static const char help[] =
	"Usage: boot [OPTION]... NAME[,every=N][,forget=DIR] COMMAND [ARG]... [';' NAME ...]...\n"
	"  --runs N         rounds (200); a subject with every=N takes part in each Nth\n"
	"  --pause US       sleep before each sample (0)\n"
	"  --back-to-back   the same as --pause 0\n"
	"  --json           one JSON document\n"
	"  --kvm TEXT       kind of KVM, for the report\n"
	"forget=DIR removes the prepared images (id-*, sha256-*) from DIR before each sample.\n";

struct subject {
	const char *name, *forget;
	char **argv;
	unsigned every;
	size_t n;
	uint64_t *wall_ns, *cpu_ns;
};

struct bench {
	struct subject subject[MAX_SUBJECTS];
	size_t nsubjects;
	unsigned runs, pause_us;
	bool json;
	const char *kvm;
};

/* The child of vfork: only what is safe with the parent's memory. */
static _Noreturn void child(char **argv, int out)
{
	if (out >= 0)
		dup2(out, 1);
	execv(argv[0], argv);
	_exit(127);
}

static uint64_t ns_of(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_usec * 1000u;
}

/* One sample; its output goes to the descriptor out. */
static void run(const struct subject *s, int out, uint64_t *wall_ns, uint64_t *cpu_ns)
{
	struct rusage usage;
	uint64_t start;
	int status;
	pid_t pid;

	if (s->forget)
		setenv("MAYFLY_RUN_DIR", s->forget, 1);
	start = stats_now_ns();
	pid = vfork();
	if (pid == 0)
		child(s->argv, out);
	if (pid < 0)
		die_errno("cannot start a process");
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			die_errno("cannot wait");
	*wall_ns = stats_now_ns() - start;
	if (s->forget)
		unsetenv("MAYFLY_RUN_DIR");
	*cpu_ns = ns_of(&usage.ru_utime) + ns_of(&usage.ru_stime);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "boot: %s failed (wait status %#x)\n", s->name, (unsigned)status);
		exit(1);
	}
}

static void forget(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	if (!d)
		die_errno(dir);
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "id-", 3) || !strncmp(e->d_name, "sha256-", 7))
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

/* What the subject prints, so that all can be shown to do the same. */
static size_t output_of(const struct subject *s, char *text, size_t size)
{
	FILE *f = tmpfile();
	uint64_t ignored;
	size_t n;

	if (!f)
		die_errno("cannot make a temporary file");
	run(s, fileno(f), &ignored, &ignored);
	rewind(f);
	n = fread(text, 1, size, f);
	fclose(f);
	return n;
}

static void check(const struct bench *b)
{
	char first[4096] = "", text[4096] = "";
	size_t nfirst = 0, n;
	uint64_t ignored;

	for (size_t i = 0; i < b->nsubjects; i++) {
		const struct subject *s = &b->subject[i];

		n = output_of(s, i ? text : first, sizeof(text));
		if (!i)
			nfirst = n;
		else if (n != nfirst || memcmp(text, first, n))
			die("prints something else than the first subject", s->name);
		for (int w = 0; w < WARM_RUNS && s->every == 1; w++)
			run(s, -1, &ignored, &ignored);
	}
}

static void measure(struct bench *b)
{
	size_t order[MAX_SUBJECTS];

	for (unsigned round = 0; round < b->runs; round++) {
		tool_shuffle(order, b->nsubjects);
		for (size_t i = 0; i < b->nsubjects; i++) {
			struct subject *s = &b->subject[order[i]];

			if (round % s->every)
				continue;
			if (s->forget)
				forget(s->forget);
			tool_sleep_ns(b->pause_us * 1000ull);
			run(s, -1, &s->wall_ns[s->n], &s->cpu_ns[s->n]);
			s->n++;
		}
	}
	for (size_t i = 0; i < b->nsubjects; i++) {
		stats_sort(b->subject[i].wall_ns, b->subject[i].n);
		stats_sort(b->subject[i].cpu_ns, b->subject[i].n);
	}
}

static double ms(const uint64_t *sorted, size_t n, double q)
{
	return (double)stats_quantile(sorted, n, q) / 1e6;
}

static double ratio(const struct bench *b, const struct subject *s)
{
	return ms(s->wall_ns, s->n, 0.5) / ms(b->subject[0].wall_ns, b->subject[0].n, 0.5);
}

static void print_table(const struct bench *b)
{
	stats_machine_text(stdout, b->kvm);
	printf("pause before a sample: %u us\n\n", b->pause_us);
	printf("%-22s %7s %9s %9s %9s %9s %9s %7s\n", "subject (ms)", "samples", "min", "p50",
	       "p90", "p99", "cpu p50", "ratio");
	for (size_t i = 0; i < b->nsubjects; i++) {
		const struct subject *s = &b->subject[i];

		printf("%-22s %7zu %9.3f %9.3f %9.3f %9.3f %9.3f %7.2f\n", s->name, s->n,
		       ms(s->wall_ns, s->n, 0), ms(s->wall_ns, s->n, 0.5),
		       ms(s->wall_ns, s->n, 0.9), ms(s->wall_ns, s->n, 0.99),
		       ms(s->cpu_ns, s->n, 0.5), ratio(b, s));
	}
	printf("ratio: of p50, to %s\n", b->subject[0].name);
}

static void print_json(const struct bench *b)
{
	printf("{");
	stats_machine_json(stdout, b->kvm);
	printf(", \"pause_us\": %u,\n \"subjects\": [", b->pause_us);
	for (size_t i = 0; i < b->nsubjects; i++) {
		const struct subject *s = &b->subject[i];

		fputs(i ? ",\n  {\"name\": " : "\n  {\"name\": ", stdout);
		json_string(stdout, s->name);
		printf(", \"samples\": %zu, \"min_ms\": %.4f, \"p50_ms\": %.4f, \"p90_ms\": %.4f, "
		       "\"p99_ms\": %.4f, \"cpu_p50_ms\": %.4f, \"ratio\": %.3f}",
		       s->n, ms(s->wall_ns, s->n, 0), ms(s->wall_ns, s->n, 0.5),
		       ms(s->wall_ns, s->n, 0.9), ms(s->wall_ns, s->n, 0.99),
		       ms(s->cpu_ns, s->n, 0.5), ratio(b, s));
	}
	printf("]}\n");
}

static void parse_name(struct subject *s, char *text)
{
	char *save, *part = strtok_r(text, ",", &save);

	s->name = part;
	s->every = 1;
	while ((part = strtok_r(NULL, ",", &save))) {
		if (!strncmp(part, "every=", 6))
			s->every = (unsigned)tool_number("every=", part + 6, 1, 1000000000);
		else if (!strncmp(part, "forget=", 7))
			s->forget = part + 7;
		else
			die("unknown part of a subject's name", part);
	}
	if (!s->name)
		die("a subject needs a name", NULL);
}

static void parse_subjects(struct bench *b, char **argv)
{
	while (*argv) {
		struct subject *s = &b->subject[b->nsubjects];

		if (b->nsubjects++ == MAX_SUBJECTS)
			die("too many subjects", NULL);
		parse_name(s, *argv++);
		s->argv = argv;
		while (*argv && strcmp(*argv, ";"))
			argv++;
		if (s->argv == argv)
			die("a subject has no command", s->name);
		if (*argv)
			*argv++ = NULL;
		s->wall_ns = tool_alloc(b->runs, sizeof(*s->wall_ns));
		s->cpu_ns = tool_alloc(b->runs, sizeof(*s->cpu_ns));
	}
	if (!b->nsubjects)
		die("no subject; see --help", NULL);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"runs", required_argument, NULL, 'r'},
		{"pause", required_argument, NULL, 'p'},
		{"back-to-back", no_argument, NULL, 'b'},
		{"json", no_argument, NULL, 'j'},
		{"kvm", required_argument, NULL, 'k'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct bench b = {.runs = DEFAULT_RUNS, .pause_us = DEFAULT_PAUSE_US, .kvm = "unknown"};
	int opt;

	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (opt) {
		case 'r':
			b.runs = (unsigned)tool_number("--runs", optarg, 1, 100000000);
			break;
		case 'p':
			b.pause_us = (unsigned)tool_number("--pause", optarg, 0, 100000000);
			break;
		case 'b':
			b.pause_us = 0;
			break;
		case 'j':
			b.json = true;
			break;
		case 'k':
			b.kvm = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	parse_subjects(&b, argv + optind);

	/* What the subjects print goes nowhere; our own report goes to the real stdout. */
	int report = dup(STDOUT_FILENO), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (report < 0 || null < 0 || fcntl(report, F_SETFD, FD_CLOEXEC) || dup2(null, 0) < 0 ||
	    dup2(null, 1) < 0)
		die_errno("/dev/null");
	check(&b);
	measure(&b);
	if (dup2(report, STDOUT_FILENO) < 0)
		die_errno("stdout");
	if (b.json)
		print_json(&b);
	else
		print_table(&b);
	return fflush(stdout) ? 1 : 0;
}
