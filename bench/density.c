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
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../monitor/json.h"
#include "density.h"
#include "machine.h"
#include "stats.h"
#include "tool.h"

#define MAX_MARKS  16
#define MAX_PROBES 1000
#define SETTLE_MS  500
#define MIB        (1 << 20)
#define NMEMORY    9

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

static const char *const memory_name[NMEMORY] = {"AnonPages",     "Shmem",      "KernelStack",
						 "PageTables",    "SUnreclaim", "SReclaimable",
						 "SecPageTables", "Percpu",     "VmallocUsed"};

/* Memory at one time. */
struct memory {
	int64_t available, part[NMEMORY];
};

struct mark {
	unsigned alive, nprobes;
	double each_kib;
	struct memory memory;
	uint64_t call_ns[MAX_PROBES], boot_ns[MAX_PROBES], hello_ns[MAX_PROBES];
	bool boots, hellos;
	unsigned restless;
	double idle_machine, idle_ours; /* percent of one CPU; ours negative: not known */
	int64_t daemon_rss;
	int daemon_descriptors;
};

static struct bench {
	const char *name, *kvm, *daemon, *program, *hello, *run_dir;
	struct density_commands commands;
	pid_t daemon_pid;
	unsigned most, probes, idle_s;
	uint64_t floor_bytes;
	bool json, shrink;
	const struct kind *kind;
	struct mark mark[MAX_MARKS];
	unsigned nmarks;
	struct memory before, after, shrunk;
	double idle_before; /* of the machine, percent of one CPU, with nothing alive */
	unsigned alive, answered, left;
	const char *stopped; /* why there are fewer than wanted */
	uint64_t grow_ns, answer_ns, end_ns;
} bench = {
	.name = "VM",
	.kvm = "unknown",
	.most = 1000,
	.probes = 50,
	.idle_s = 5,
	.shrink = true,
};

/* ---- progress, for people ---- */

static void say(const char *what, unsigned n, unsigned of)
{
	static uint64_t last_ns;
	uint64_t now = stats_now_ns();

	if (!isatty(STDERR_FILENO) || (now - last_ns < 100000000 && n < of))
		return;
	last_ns = now;
	fprintf(stderr, "\r\033[K%s: %s %u of %u, %lld MiB available", bench.name, what, n, of,
		(long long)(machine_meminfo("MemAvailable") / MIB));
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
		bench.stopped = "the floor of available memory is reached";
		return false;
	}
	return true;
}

static bool answering(unsigned n)
{
	/* VMs are gone through twice: lines, then logs. */
	say("answering", n < bench.alive ? n : bench.alive, bench.alive);
	return true;
}

/* ---- memory ---- */

static struct memory memory_now(void)
{
	struct memory m = {.available = machine_available_settled(SETTLE_MS)};

	for (int i = 0; i < NMEMORY; i++)
		m.part[i] = machine_meminfo(memory_name[i]);
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

static void measure_idle(struct mark *m)
{
	uint64_t ours, wall;

	bench.kind->rest();
	ours = bench.kind->cpu_ns();
	wall = stats_now_ns();
	m->idle_machine = idle_machine();
	m->idle_ours = ours ? percent(bench.kind->cpu_ns() - ours, stats_now_ns() - wall) : -1;
}

static void measure_starts(struct mark *m)
{
	unsigned from = m->alive;

	m->nprobes = bench.probes;
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

static void measure_hellos(struct mark *m)
{
	m->hellos = bench.kind->hello;
	for (unsigned i = 0; m->hellos && i < m->nprobes; i++) {
		say("programs from start to end at this number", i, m->nprobes);
		m->restless += !bench.kind->rest();
		m->hello_ns[i] = bench.kind->hello();
	}
	stats_sort(m->hello_ns, m->nprobes);
}

static double kib_each(int64_t bytes, unsigned alive)
{
	return (double)bytes / 1024 / alive;
}

static void measure(struct mark *m)
{
	bench.kind->rest();
	m->alive = bench.alive;
	m->memory = memory_now();
	m->each_kib = kib_each(bench.before.available - m->memory.available, m->alive);
	measure_idle(m);
	measure_starts(m);
	measure_hellos(m);
	m->daemon_rss = bench.daemon_pid ? machine_rss(bench.daemon_pid) : -1;
	m->daemon_descriptors = bench.daemon_pid ? machine_descriptors(bench.daemon_pid) : -1;
}

/* ---- the whole course ---- */

static void climb(const unsigned *marks, unsigned nmarks)
{
	for (unsigned i = 0; i < nmarks && !bench.stopped; i++) {
		uint64_t start = stats_now_ns();

		bench.alive = bench.kind->grow(bench.alive, marks[i], growing, &bench.stopped);
		bench.grow_ns += stats_now_ns() - start;
		if (!bench.alive)
			die("not one could be started", bench.stopped);
		measure(&bench.mark[bench.nmarks++]);
	}
}

static void run(const unsigned *marks, unsigned nmarks)
{
	uint64_t start;

	/* Once for nothing: caches, and what stays. */
	bench.kind->grow(0, 1, growing, &bench.stopped);
	if (bench.kind->hello)
		bench.kind->hello();
	bench.kind->answers(1, answering);
	bench.kind->end(0, 1);
	bench.kind->left();
	bench.kind->rest();
	bench.before = memory_now();
	bench.idle_before = idle_machine();
	climb(marks, nmarks);
	start = stats_now_ns();
	bench.answered = bench.kind->answers(bench.alive, answering);
	bench.answer_ns = stats_now_ns() - start;
	hush();
	start = stats_now_ns();
	bench.kind->end(0, bench.alive);
	bench.left = bench.kind->left();
	bench.end_ns = stats_now_ns() - start;
	bench.kind->rest();
	bench.after = bench.shrunk = memory_now();
	if (bench.shrink) {
		shrink();
		bench.shrunk = memory_now();
	}
}

/* ---- the report ---- */

static double us(const uint64_t *sorted, unsigned n, double q)
{
	return (double)stats_quantile(sorted, n, q) / 1e3;
}

static void print_pair(bool known, const uint64_t *ns, unsigned n)
{
	if (known)
		printf(" %9.0f %9.0f", us(ns, n, 0.5), us(ns, n, 0.99));
	else
		printf(" %9s %9s", "-", "-");
}

static double mib(int64_t bytes)
{
	return (double)bytes / MIB;
}

static void print_rest(void)
{
	const struct mark *last = &bench.mark[bench.nmarks - 1];

	printf("of the memory of each at the last mark, KiB:");
	for (int i = 0; i < NMEMORY; i++)
		printf(" %s %.0f", memory_name[i],
		       kib_each(last->memory.part[i] - bench.before.part[i], last->alive));
	printf("\n");
	printf("%u of %u answered a line (%.1f s)", bench.answered, bench.alive,
	       (double)bench.answer_ns / 1e9);
	printf("; started in %.1f s, ended in %.1f s; of what was alive %u left\n",
	       (double)bench.grow_ns / 1e9, (double)bench.end_ns / 1e9, bench.left);
	if (bench.stopped)
		printf("no more were started: %s\n", bench.stopped);
	printf("available memory, MiB: %.0f before, %.0f at %u, %.0f after",
	       mib(bench.before.available), mib(last->memory.available), bench.alive,
	       mib(bench.after.available));
	if (bench.shrink)
		printf(", %.0f when the kernel has shrunk its slabs", mib(bench.shrunk.available));
	printf("\nmissing %.1f MiB; more than before, MiB:",
	       mib(bench.before.available - bench.shrunk.available));
	for (int i = 0; i < NMEMORY; i++)
		printf(" %s %+.1f", memory_name[i],
		       mib(bench.shrunk.part[i] - bench.before.part[i]));
	printf("\n");
}

static void print_table(void)
{
	unsigned restless = 0;

	stats_machine_text(stdout, bench.kvm);
	printf("%s: idle %.2f %% of a CPU before the first; %u starts measured at each mark\n\n",
	       bench.name, bench.idle_before, bench.probes);
	printf("%7s %9s %19s %19s %19s %15s %17s\n", "", "memory", "start, answered us",
	       "first instruction", "hello, start to end", "idle CPU, %", "daemon");
	printf("%7s %9s %9s %9s %9s %9s %9s %9s %7s %7s %9s %7s\n", "alive", "KiB each", "p50",
	       "p99", "p50", "p99", "p50", "p99", "machine", "ours", "RSS, MiB", "fds");
	for (unsigned i = 0; i < bench.nmarks; i++) {
		const struct mark *m = &bench.mark[i];

		printf("%7u", m->alive);
		/* What others do at the same time is more than what a few need. */
		if (m->alive >= 10)
			printf(" %9.0f", m->each_kib);
		else
			printf(" %9s", "-");
		print_pair(true, m->call_ns, m->nprobes);
		print_pair(m->boots, m->boot_ns, m->nprobes);
		print_pair(m->hellos, m->hello_ns, m->nprobes);
		printf(" %7.2f", m->idle_machine);
		if (m->idle_ours >= 0)
			printf(" %7.2f", m->idle_ours);
		else
			printf(" %7s", "-");
		if (bench.daemon)
			printf(" %9.1f %7d\n", mib(m->daemon_rss), m->daemon_descriptors);
		else
			printf(" %9s %7s\n", "-", "-");
		restless += m->restless;
	}
	print_rest();
	if (restless)
		printf("%u times the machine did not come to rest: others were at work\n",
		       restless);
}

static void json_pair(const char *name, bool known, const uint64_t *ns, unsigned n)
{
	if (known)
		printf(", \"%s\": {\"p50_us\": %.1f, \"p99_us\": %.1f}", name, us(ns, n, 0.5),
		       us(ns, n, 0.99));
}

static void json_memory(const char *name, const struct memory *m)
{
	printf(", \"%s\": {\"MemAvailable\": %lld", name, (long long)m->available);
	for (int i = 0; i < NMEMORY; i++)
		printf(", \"%s\": %lld", memory_name[i], (long long)m->part[i]);
	printf("}");
}

static void print_json(void)
{
	printf("{");
	stats_machine_json(stdout, bench.kvm);
	printf(", \"name\": ");
	json_string(stdout, bench.name);
	printf(", \"alive\": %u, \"answered\": %u, \"left\": %u, \"grow_s\": %.3f, "
	       "\"answer_s\": %.3f, \"end_s\": %.3f, \"idle_before_percent\": %.3f",
	       bench.alive, bench.answered, bench.left, (double)bench.grow_ns / 1e9,
	       (double)bench.answer_ns / 1e9, (double)bench.end_ns / 1e9, bench.idle_before);
	if (bench.stopped) {
		printf(", \"stopped\": ");
		json_string(stdout, bench.stopped);
	}
	printf(",\n \"marks\": [");
	for (unsigned i = 0; i < bench.nmarks; i++) {
		const struct mark *m = &bench.mark[i];

		printf("%s\n  {\"alive\": %u, \"each_kib\": %.1f, "
		       "\"restless\": %u, \"idle_machine_percent\": %.3f",
		       i ? "," : "", m->alive, m->each_kib, m->restless, m->idle_machine);
		if (m->idle_ours >= 0)
			printf(", \"idle_ours_percent\": %.3f", m->idle_ours);
		json_pair("start", true, m->call_ns, m->nprobes);
		json_pair("boot", m->boots, m->boot_ns, m->nprobes);
		json_pair("hello", m->hellos, m->hello_ns, m->nprobes);
		if (bench.daemon)
			printf(", \"daemon_rss_bytes\": %lld, \"daemon_descriptors\": %d",
			       (long long)m->daemon_rss, m->daemon_descriptors);
		json_memory("memory", &m->memory);
		printf("}");
	}
	printf("]\n ");
	json_memory("before", &bench.before);
	json_memory("after", &bench.after);
	if (bench.shrink)
		json_memory("shrunk", &bench.shrunk);
	printf("}\n");
}

/* ---- setting up ---- */

/* The marks up to the last number, and that one. */
static unsigned parse_marks(const char *text, unsigned most, unsigned *mark)
{
	unsigned n = 0;

	for (char *end; *text && n < MAX_MARKS - 1; text = *end ? end + 1 : end) {
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
			b->name = optarg;
			break;
		case 'v':
			b->most = (unsigned)tool_number("--vms", optarg, 1, 1000000);
			break;
		case 'm':
			marks = optarg;
			break;
		case 'p':
			b->probes = (unsigned)tool_number("--probes", optarg, 1, MAX_PROBES);
			break;
		case 'i':
			b->idle_s = (unsigned)tool_number("--idle", optarg, 1, 600);
			break;
		case 'f':
			b->floor_bytes = tool_number("--floor", optarg, 0, 1ul << 40) * MIB;
			break;
		case 'S':
			b->shrink = false;
			break;
		case 'j':
			b->json = true;
			break;
		case 'k':
			b->kvm = optarg;
			break;
		case 'd':
			b->daemon = optarg;
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
	unsigned mark[MAX_MARKS], n;
	const char *marks = parse(argc, argv);
	struct bench *b = &bench;

	n = parse_marks(marks, b->most, mark);
	b->commands.hello = b->hello;
	b->kind = b->daemon ? density_vm(b->daemon, b->daemon_pid, b->program, b->hello, b->run_dir,
					 b->most + b->probes)
			    : density_commands(&b->commands, b->most + b->probes);
	run(mark, n);
	if (b->json)
		print_json();
	else
		print_table();
	if (fflush(stdout))
		return 1;
	return b->answered == b->alive && !b->left ? 0 : 1;
}
