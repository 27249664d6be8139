/* SPDX-License-Identifier: Apache-2.0 */
/*
 * density.c: what one more costs when many are alive: VMs, processes or containers that wait
 * for input (answer.c). At each mark: memory for each, the CPU time that they take while
 * nobody asks anything of them, and how long the next 50 starts take. At the last mark
 * every one is made to answer a line; then all end, and the memory must be back.
 *
 * bench/density.sh says what, and brings up and takes down what it needs.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "density.h"
#include "density_report.h"
#include "machine.h"
#include "stats.h"
#include "tool.h"

#define SETTLE_MS 500
#define MIB       (1 << 20)

static const char help[] =
	"Usage: density [OPTION]... --daemon SOCKET --daemon-pid PID --run-dir DIR\n"
	"               --program FILE --hello FILE\n"
	"       density [OPTION]... --start COMMAND [--ask COMMAND] [--end COMMAND]\n"
	"               [--detached] [--hello COMMAND] --dir DIR\n"
	"  --name NAME     of what is started (VM)\n"
	"  --vms N         so many at last (1000)\n"
	"  --marks N,...   where to measure (1,10,100,1000,2000,5000,10000,20000)\n"
	"  --probes N      starts measured at a mark (50)\n"
	"  --idle S        seconds over which idle CPU is measured (5)\n"
	"  --floor MIB     stop when less memory is available (total - 20 GiB, at least 1 GiB)\n"
	"  --no-shrink     do not ask the kernel to give back empty slabs at the end\n"
	"  --json          one JSON document\n"
	"  --kvm TEXT      kind of KVM, for the report\n";

static struct bench {
	struct density_result result;
	const char *daemon, *program, *hello, *run_dir;
	struct density_commands commands;
	pid_t daemon_pid;
	unsigned most, idle_s;
	uint64_t floor_bytes;
	bool json;
	const struct kind *kind;
} bench = {
	.result = {.name = "VM", .kvm = "unknown", .probes = 50, .shrink = true},
	.most = 1000,
	.idle_s = 5,
};

/* ---- progress, for people ---- */

static void say(const char *what, unsigned n, unsigned of)
{
	static uint64_t last_ns;
	uint64_t now = stats_now_ns();

	if (!isatty(STDERR_FILENO) || (now - last_ns < 100000000 && n < of))
		return;
	last_ns = now;
	fprintf(stderr, "\r\033[K%s: %s %u of %u, %lld MiB available", bench.result.name, what, n,
		of, (long long)(machine_meminfo("MemAvailable") / MIB));
}

static void hush(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static bool growing(unsigned n)
{
	say("started", n, bench.most);
	if (machine_meminfo("MemAvailable") < (int64_t)bench.floor_bytes) {
		bench.result.stopped = "the floor of available memory is reached";
		return false;
	}
	return true;
}

static bool answering(unsigned n)
{
	/* VMs are gone through twice: lines, then logs. */
	say("answering", n < bench.result.alive ? n : bench.result.alive, bench.result.alive);
	return true;
}

/* ---- memory ---- */

static struct density_memory memory_now(void)
{
	struct density_memory m = {.available = machine_available_settled(SETTLE_MS)};

	for (int i = 0; i < DENSITY_NMEMORY; i++)
		m.part[i] = machine_meminfo(density_memory_name[i]);
	return m;
}

static void write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return; /* not root */
	fputs(text, f);
	fclose(f);
}

/* Has the kernel forget names and inodes that nobody uses, and give back slabs that hold
 * nothing: kept for the next one, they are no leak. */
static void shrink(void)
{
	write_to("/proc/sys/vm/drop_caches", "2\n");
	if (system("for s in /sys/kernel/slab/*/shrink; do echo 1 >\"$s\"; done 2>/dev/null"))
		return;
}

/* ---- at a mark ---- */

static double percent(uint64_t cpu_ns, uint64_t wall_ns)
{
	return wall_ns ? 100.0 * (double)cpu_ns / (double)wall_ns : 0;
}

static uint64_t own_ns(void)
{
	return machine_process_ns(getpid());
}

/* CPU time over some seconds in which nobody does anything. */
static double idle_machine(void)
{
	uint64_t own = own_ns(), cpu = machine_cpu_ns(), wall = stats_now_ns();

	tool_sleep_ns(bench.idle_s * 1000000000ull);
	cpu = machine_cpu_ns() - cpu;
	own = own_ns() - own;
	return percent(cpu > own ? cpu - own : 0, stats_now_ns() - wall);
}

static void measure_idle(struct density_mark *m)
{
	uint64_t ours, wall;

	bench.kind->rest();
	ours = bench.kind->cpu_ns();
	wall = stats_now_ns();
	m->idle_machine = idle_machine();
	m->idle_ours = ours ? percent(bench.kind->cpu_ns() - ours, stats_now_ns() - wall) : -1;
}

static void measure_starts(struct density_mark *m)
{
	unsigned from = m->alive;

	m->nprobes = bench.result.probes;
	m->boots = true;
	for (unsigned i = 0; i < m->nprobes; i++) {
		struct start_sample s;

		say("starts at this number", i, m->nprobes);
		m->restless += !bench.kind->rest();
		bench.kind->start(from + i, &s);
		m->call_ns[i] = s.call_ns;
		m->boot_ns[i] = s.boot_ns;
		m->boots = m->boots && s.boot_ns;
	}
	bench.kind->end(from, from + m->nprobes);
	stats_sort(m->call_ns, m->nprobes);
	stats_sort(m->boot_ns, m->nprobes);
}

static void measure_hellos(struct density_mark *m)
{
	m->hellos = bench.kind->hello;
	for (unsigned i = 0; m->hellos && i < m->nprobes; i++) {
		say("programs from start to end at this number", i, m->nprobes);
		m->restless += !bench.kind->rest();
		m->hello_ns[i] = bench.kind->hello();
	}
	stats_sort(m->hello_ns, m->nprobes);
}

static void measure(struct density_mark *m)
{
	bench.kind->rest();
	m->alive = bench.result.alive;
	m->memory = memory_now();
	m->each_kib =
		(double)(bench.result.before.available - m->memory.available) / 1024 / m->alive;
	measure_idle(m);
	measure_starts(m);
	measure_hellos(m);
	m->daemon_rss = bench.daemon_pid ? machine_rss(bench.daemon_pid) : -1;
	m->daemon_descriptors = bench.daemon_pid ? machine_descriptors(bench.daemon_pid) : -1;
}

/* ---- the whole course ---- */

static void climb(const unsigned *marks, unsigned nmarks)
{
	for (unsigned i = 0; i < nmarks && !bench.result.stopped; i++) {
		uint64_t start = stats_now_ns();

		bench.result.alive = bench.kind->grow(bench.result.alive, marks[i], growing,
						      &bench.result.stopped);
		bench.result.grow_ns += stats_now_ns() - start;
		if (!bench.result.alive)
			die("not one could be started", bench.result.stopped);
		measure(&bench.result.mark[bench.result.nmarks++]);
	}
}

static void run(const unsigned *marks, unsigned nmarks)
{
	uint64_t start;

	/* Once for nothing: caches, and what stays. */
	bench.kind->grow(0, 1, growing, &bench.result.stopped);
	if (bench.kind->hello)
		bench.kind->hello();
	bench.kind->answers(1, answering);
	bench.kind->end(0, 1);
	bench.kind->left();
	bench.kind->rest();
	bench.result.before = memory_now();
	bench.result.idle_before = idle_machine();
	climb(marks, nmarks);
	start = stats_now_ns();
	bench.result.answered = bench.kind->answers(bench.result.alive, answering);
	bench.result.answer_ns = stats_now_ns() - start;
	hush();
	start = stats_now_ns();
	bench.kind->end(0, bench.result.alive);
	bench.result.left = bench.kind->left();
	bench.result.end_ns = stats_now_ns() - start;
	bench.kind->rest();
	bench.result.after = bench.result.shrunk = memory_now();
	if (bench.result.shrink) {
		shrink();
		bench.result.shrunk = memory_now();
	}
}

/* ---- setting up ---- */

/* The marks up to the last number, and that one. */
static unsigned parse_marks(const char *text, unsigned most, unsigned *mark)
{
	unsigned n = 0;

	for (char *end; *text && n < DENSITY_MAX_MARKS - 1; text = *end ? end + 1 : end) {
		unsigned long value = strtoul(text, &end, 10);

		if (end == text || (*end && *end != ',') || !value || (n && value <= mark[n - 1]))
			die("--marks", "give numbers that rise, with a comma between them");
		if (value < most)
			mark[n++] = (unsigned)value;
	}
	mark[n++] = most;
	return n;
}

static uint64_t default_floor(void)
{
	int64_t total = machine_meminfo("MemTotal"), used = (int64_t)20 << 30;

	return (uint64_t)(total - used > 1 << 30 ? total - used : 1 << 30);
}

static const char *parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"name", required_argument, NULL, 'n'},
		{"vms", required_argument, NULL, 'v'},
		{"marks", required_argument, NULL, 'm'},
		{"probes", required_argument, NULL, 'p'},
		{"idle", required_argument, NULL, 'i'},
		{"floor", required_argument, NULL, 'f'},
		{"no-shrink", no_argument, NULL, 'S'},
		{"json", no_argument, NULL, 'j'},
		{"kvm", required_argument, NULL, 'k'},
		{"daemon", required_argument, NULL, 'd'},
		{"daemon-pid", required_argument, NULL, 'P'},
		{"run-dir", required_argument, NULL, 'r'},
		{"program", required_argument, NULL, 'g'},
		{"hello", required_argument, NULL, 'H'},
		{"start", required_argument, NULL, 's'},
		{"ask", required_argument, NULL, 'a'},
		{"end", required_argument, NULL, 'e'},
		{"detached", no_argument, NULL, 'D'},
		{"dir", required_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *marks = "1,10,100,1000,2000,5000,10000,20000";
	struct bench *b = &bench;
	int opt;

	b->floor_bytes = default_floor();
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'n':
			b->result.name = optarg;
			break;
		case 'v':
			b->most = (unsigned)tool_number("--vms", optarg, 1, 1000000);
			break;
		case 'm':
			marks = optarg;
			break;
		case 'p':
			b->result.probes =
				(unsigned)tool_number("--probes", optarg, 1, DENSITY_MAX_PROBES);
			break;
		case 'i':
			b->idle_s = (unsigned)tool_number("--idle", optarg, 1, 600);
			break;
		case 'f':
			b->floor_bytes = tool_number("--floor", optarg, 0, 1ul << 40) * MIB;
			break;
		case 'S':
			b->result.shrink = false;
			break;
		case 'j':
			b->json = true;
			break;
		case 'k':
			b->result.kvm = optarg;
			break;
		case 'd':
			b->daemon = optarg;
			b->result.daemon = true;
			break;
		case 'P':
			b->daemon_pid = (pid_t)tool_number("--daemon-pid", optarg, 1, 1 << 22);
			break;
		case 'r':
			b->run_dir = optarg;
			break;
		case 'g':
			b->program = optarg;
			break;
		case 'H':
			b->hello = optarg;
			break;
		case 's':
			b->commands.start = optarg;
			break;
		case 'a':
			b->commands.ask = optarg;
			break;
		case 'e':
			b->commands.end = optarg;
			break;
		case 'D':
			b->commands.detached = true;
			break;
		case 'w':
			b->commands.dir = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind < argc || !!b->daemon == !!b->commands.start ||
	    (b->daemon && (!b->daemon_pid || !b->run_dir || !b->program || !b->hello)) ||
	    (b->commands.start && !b->commands.dir))
		die("options are missing, or contradict each other; see --help", NULL);
	return marks;
}

int main(int argc, char **argv)
{
	unsigned mark[DENSITY_MAX_MARKS], n;
	const char *marks = parse(argc, argv);
	struct bench *b = &bench;

	n = parse_marks(marks, b->most, mark);
	b->commands.hello = b->hello;
	b->kind = b->daemon ? density_vm(b->daemon, b->daemon_pid, b->program, b->hello, b->run_dir,
					 b->most + b->result.probes)
			    : density_commands(&b->commands, b->most + b->result.probes);
	run(mark, n);
	if (b->json)
		density_json(&b->result);
	else
		density_table(&b->result);
	if (fflush(stdout))
		return 1;
	return b->result.answered == b->result.alive && !b->result.left ? 0 : 1;
}
