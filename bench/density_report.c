/* SPDX-License-Identifier: Apache-2.0 */
/* density_report.c: see density_report.h. */
#include <stdio.h>

#include "../monitor/json.h"
#include "density_report.h"
#include "stats.h"

#define MIB (1 << 20)

const char *const density_memory_name[DENSITY_NMEMORY] = {
	"AnonPages",    "Shmem",         "KernelStack", "PageTables",  "SUnreclaim",
	"SReclaimable", "SecPageTables", "Percpu",      "VmallocUsed",
};

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

static double kib_each(int64_t bytes, unsigned alive)
{
	return (double)bytes / 1024 / alive;
}

static void print_rest(const struct density_result *r)
{
	const struct density_mark *last = &r->mark[r->nmarks - 1];

	printf("of the memory of each at the last mark, KiB:");
	for (int i = 0; i < DENSITY_NMEMORY; i++)
		printf(" %s %.0f", density_memory_name[i],
		       kib_each(last->memory.part[i] - r->before.part[i], last->alive));
	printf("\n");
	printf("%u of %u answered a line (%.1f s)", r->answered, r->alive,
	       (double)r->answer_ns / 1e9);
	printf("; started in %.1f s, ended in %.1f s; of what was alive %u left\n",
	       (double)r->grow_ns / 1e9, (double)r->end_ns / 1e9, r->left);
	if (r->stopped)
		printf("no more were started: %s\n", r->stopped);
	printf("available memory, MiB: %.0f before, %.0f at %u, %.0f after",
	       mib(r->before.available), mib(last->memory.available), r->alive,
	       mib(r->after.available));
	if (r->shrink)
		printf(", %.0f when the kernel has shrunk its slabs", mib(r->shrunk.available));
	printf("\nmissing %.1f MiB; more than before, MiB:",
	       mib(r->before.available - r->shrunk.available));
	for (int i = 0; i < DENSITY_NMEMORY; i++)
		printf(" %s %+.1f", density_memory_name[i],
		       mib(r->shrunk.part[i] - r->before.part[i]));
	printf("\n");
}

void density_table(const struct density_result *r)
{
	unsigned restless = 0;

	stats_machine_text(stdout, r->kvm);
	printf("%s: idle %.2f %% of a CPU before the first; %u starts measured at each mark\n\n",
	       r->name, r->idle_before, r->probes);
	printf("%7s %9s %19s %19s %19s %15s %17s\n", "", "memory", "start, answered us",
	       "first instruction", "hello, start to end", "idle CPU, %", "daemon");
	printf("%7s %9s %9s %9s %9s %9s %9s %9s %7s %7s %9s %7s\n", "alive", "KiB each", "p50",
	       "p99", "p50", "p99", "p50", "p99", "machine", "ours", "RSS, MiB", "fds");
	for (unsigned i = 0; i < r->nmarks; i++) {
		const struct density_mark *m = &r->mark[i];

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
		if (r->daemon)
			printf(" %9.1f %7d\n", mib(m->daemon_rss), m->daemon_descriptors);
		else
			printf(" %9s %7s\n", "-", "-");
		restless += m->restless;
	}
	print_rest(r);
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

static void json_memory(const char *name, const struct density_memory *m)
{
	printf(", \"%s\": {\"MemAvailable\": %lld", name, (long long)m->available);
	for (int i = 0; i < DENSITY_NMEMORY; i++)
		printf(", \"%s\": %lld", density_memory_name[i], (long long)m->part[i]);
	printf("}");
}

void density_json(const struct density_result *r)
{
	printf("{");
	stats_machine_json(stdout, r->kvm);
	printf(", \"name\": ");
	json_string(stdout, r->name);
	printf(", \"alive\": %u, \"answered\": %u, \"left\": %u, \"grow_s\": %.3f, "
	       "\"answer_s\": %.3f, \"end_s\": %.3f, \"idle_before_percent\": %.3f",
	       r->alive, r->answered, r->left, (double)r->grow_ns / 1e9, (double)r->answer_ns / 1e9,
	       (double)r->end_ns / 1e9, r->idle_before);
	if (r->stopped) {
		printf(", \"stopped\": ");
		json_string(stdout, r->stopped);
	}
	printf(",\n \"marks\": [");
	for (unsigned i = 0; i < r->nmarks; i++) {
		const struct density_mark *m = &r->mark[i];

		printf("%s\n  {\"alive\": %u, \"each_kib\": %.1f, "
		       "\"restless\": %u, \"idle_machine_percent\": %.3f",
		       i ? "," : "", m->alive, m->each_kib, m->restless, m->idle_machine);
		if (m->idle_ours >= 0)
			printf(", \"idle_ours_percent\": %.3f", m->idle_ours);
		json_pair("start", true, m->call_ns, m->nprobes);
		json_pair("boot", m->boots, m->boot_ns, m->nprobes);
		json_pair("hello", m->hellos, m->hello_ns, m->nprobes);
		if (r->daemon)
			printf(", \"daemon_rss_bytes\": %lld, \"daemon_descriptors\": %d",
			       (long long)m->daemon_rss, m->daemon_descriptors);
		json_memory("memory", &m->memory);
		printf("}");
	}
	printf("]\n ");
	json_memory("before", &r->before);
	json_memory("after", &r->after);
	if (r->shrink)
		json_memory("shrunk", &r->shrunk);
	printf("}\n");
}
