/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: what a running program costs the host in memory, all in.
 *
 *	memory [--count N] [--rounds N] [--settle MS] [--json] [--kvm TEXT]
 *	       NAME COMMAND [ARG]... [';' NAME COMMAND [ARG]...]...
 *
 * Each subject is started N times at once. A subject prints one line and then waits for the
 * end of its input (idle.c), so when N lines have come, N of them are alive and have done
 * something. What /proc/meminfo has as available is then less by N times their cost: the
 * processes' pages, the kernel's page tables, KVM's and the processes' structures. The median
 * of some rounds, subjects in turn, for others use memory at the same time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../monitor/json.h"
#include "machine.h"
#include "stats.h"
#include "tool.h"

#define MAX_SUBJECTS 8
#define MAX_ROUNDS   100
#define START_LIMIT  60000 /* ms without a line: something is wrong */

struct subject {
	const char *name;
	char **argv;
	uint64_t each_bytes[MAX_ROUNDS];
};

struct bench {
	struct subject subject[MAX_SUBJECTS];
	size_t nsubjects;
	unsigned count, rounds, settle_ms;
	bool json;
	const char *kvm;
};

/* Waits for count lines on fd. */
static void await_lines(const struct subject *s, int fd, unsigned count)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[4096];
	ssize_t n;

	for (unsigned lines = 0; lines < count;) {
		if (poll(&p, 1, START_LIMIT) <= 0)
			die("they do not all print their line", s->name);
		n = read(fd, text, sizeof(text));
		if (n <= 0)
			die("one ended early", s->name);
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	}
}

/* count of them alive: bytes for each. */
static uint64_t measure(const struct bench *b, const struct subject *s)
{
	int in[2], out[2], status;
	int64_t before, after;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		die_errno("cannot make pipes");
	before = machine_available_settled(b->settle_ms);
	for (unsigned i = 0; i < b->count; i++) {
		pid_t pid = vfork();

		if (pid < 0)
			die_errno("cannot start a process");
		if (pid == 0) {
			dup2(in[0], 0);
			dup2(out[1], 1);
			execv(s->argv[0], s->argv);
			_exit(127);
		}
	}
	close(out[1]);
	await_lines(s, out[0], b->count);
	after = machine_available_settled(b->settle_ms);
	close(in[1]); /* the end of everybody's input */
	for (unsigned i = 0; i < b->count; i++)
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			die("one failed", s->name);
	close(in[0]);
	close(out[0]);
	return before > after ? (uint64_t)(before - after) / b->count : 0;
}

static double kib(const struct bench *b, size_t subject, double q)
{
	return (double)stats_quantile(b->subject[subject].each_bytes, b->rounds, q) / 1024;
}

static void print_table(const struct bench *b)
{
	stats_machine_text(stdout, b->kvm);
	printf("%u of each at once, %u rounds\n\n%-16s %10s %10s %10s\n", b->count, b->rounds,
	       "KiB for each", "min", "p50", "max");
	for (size_t i = 0; i < b->nsubjects; i++)
		printf("%-16s %10.0f %10.0f %10.0f\n", b->subject[i].name, kib(b, i, 0),
		       kib(b, i, 0.5), kib(b, i, 1));
}

static void print_json(const struct bench *b)
{
	printf("{");
	stats_machine_json(stdout, b->kvm);
	printf(", \"count\": %u, \"rounds\": %u,\n \"subjects\": [", b->count, b->rounds);
	for (size_t i = 0; i < b->nsubjects; i++) {
		fputs(i ? ",\n  {\"name\": " : "\n  {\"name\": ", stdout);
		json_string(stdout, b->subject[i].name);
		printf(", \"min_kib\": %.1f, \"p50_kib\": %.1f, \"max_kib\": %.1f}", kib(b, i, 0),
		       kib(b, i, 0.5), kib(b, i, 1));
	}
	printf("]}\n");
}

static void parse_subjects(struct bench *b, char **argv)
{
	while (*argv) {
		struct subject *s = &b->subject[b->nsubjects];

		if (b->nsubjects++ == MAX_SUBJECTS)
			die("too many subjects", NULL);
		s->name = *argv++;
		s->argv = argv;
		while (*argv && strcmp(*argv, ";"))
			argv++;
		if (s->argv == argv)
			die("a subject has no command", s->name);
		if (*argv)
			*argv++ = NULL;
	}
	if (!b->nsubjects)
		die("no subject", NULL);
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{"count", required_argument, NULL, 'c'},  {"rounds", required_argument, NULL, 'r'},
		{"settle", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
		{"kvm", required_argument, NULL, 'k'},    {NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			b->count = (unsigned)tool_number("--count", optarg, 1, 100000);
			break;
		case 'r':
			b->rounds = (unsigned)tool_number("--rounds", optarg, 1, MAX_ROUNDS);
			break;
		case 's':
			b->settle_ms = (unsigned)tool_number("--settle", optarg, 0, 60000);
			break;
		case 'j':
			b->json = true;
			break;
		case 'k':
			b->kvm = optarg;
			break;
		default:
			exit(2);
		}
	}
	parse_subjects(b, argv + optind);
}

int main(int argc, char **argv)
{
	static struct bench b = {.count = 200, .rounds = 5, .settle_ms = 500, .kvm = "unknown"};

	parse(&b, argc, argv);
	/* Once for nothing: caches, and slabs that stay. */
	for (size_t i = 0; i < b.nsubjects; i++)
		measure(&b, &b.subject[i]);
	for (unsigned round = 0; round < b.rounds; round++)
		for (size_t i = 0; i < b.nsubjects; i++)
			b.subject[i].each_bytes[round] = measure(&b, &b.subject[i]);
	for (size_t i = 0; i < b.nsubjects; i++)
		stats_sort(b.subject[i].each_bytes, b.rounds);
	if (b.json)
		print_json(&b);
	else
		print_table(&b);
	return fflush(stdout) ? 1 : 0;
}
