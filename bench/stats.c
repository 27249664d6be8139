/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c: see stats.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../monitor/json.h"
#include "stats.h"

uint64_t stats_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void stats_sort(uint64_t *sample, size_t n)
{
	qsort(sample, n, sizeof(*sample), ascending);
}

uint64_t stats_quantile(const uint64_t *sorted, size_t n, double q)
{
	double rank = q * (double)n;
	size_t at = (size_t)rank;

	/* Rounded up, counted from 1. */
	if ((double)at < rank)
		at++;
	at = at < 1 ? 1 : at > n ? n : at;
	return sorted[at - 1];
}

struct machine {
	char cpu[128], date[32];
	long cpus;
	struct utsname kernel;
};

static void describe(struct machine *m)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	time_t now = time(NULL);
	char line[256];

	strcpy(m->cpu, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10))
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(m->cpu, sizeof(m->cpu), "%.100s",
			 strchr(line, ':') ? strchr(line, ':') + 2 : line);
		break;
	}
	if (f)
		fclose(f);
	m->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uname(&m->kernel);
	strftime(m->date, sizeof(m->date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
}

void stats_machine_json(FILE *f, const char *kvm)
{
	struct machine m;

	describe(&m);
	fputs("\"cpu\": ", f);
	json_string(f, m.cpu);
	fprintf(f, ", \"cpus\": %ld, \"kernel\": ", m.cpus);
	json_string(f, m.kernel.release);
	fputs(", \"kvm\": ", f);
	json_string(f, kvm);
	fputs(", \"date\": ", f);
	json_string(f, m.date);
}

void stats_machine_text(FILE *f, const char *kvm)
{
	struct machine m;

	describe(&m);
	fprintf(f, "machine: %s, %ld CPUs, Linux %s, KVM: %s\ndate: %s\n", m.cpu, m.cpus,
		m.kernel.release, kvm, m.date);
}
