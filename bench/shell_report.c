/* SPDX-License-Identifier: Apache-2.0 */
/* shell_report.c: see shell_report.h. */
#include <stdio.h>
#include <string.h>

#include "../monitor/json.h"
#include "shell_report.h"
#include "stats.h"

static double us(const uint64_t *sorted, size_t n, double q)
{
	return (double)stats_quantile(sorted, n, q) / 1e3;
}

void shell_table(const struct shell_facts *f, const struct shell_row *row, size_t n)
{
	double process = us(row[0].ns, row[0].n, 0.5);

	stats_machine_text(stdout, f->kvm);
	printf("Before each sample used shells have been replaced and the machine was at rest;\n"
	       "cpu is the whole machine's from rest to rest: client, daemon, VM, its end and the\n"
	       "shell that replaces it.\n\n");
	printf("%-32s %7s %9s %9s %9s %9s %9s %7s\n", "subject (us)", "samples", "min", "p50",
	       "p90", "p99", "cpu p50", "ratio");
	for (size_t i = 0; i < n; i++) {
		const struct shell_row *r = &row[i];
		double p50 = us(r->ns, r->n, 0.5);

		printf("%-32s %7zu %9.1f %9.1f %9.1f %9.1f ", r->name, r->n, us(r->ns, r->n, 0),
		       p50, us(r->ns, r->n, 0.9), us(r->ns, r->n, 0.99));
		if (r->cpu_us >= 0)
			printf("%9.1f ", r->cpu_us);
		else
			printf("%9s ", "");
		printf("%7.2f\n", p50 / process);
	}
	printf("ratio: of p50, to the process\n");
	if (f->daemon)
		printf("the pool counted %.0f warm and %.0f cold starts of its flavours\n", f->warm,
		       f->cold);
	if (f->restless)
		printf("%u times the machine did not come to rest: others were at work\n",
		       f->restless);
}

void shell_json(const struct shell_facts *f, const struct shell_row *row, size_t n)
{
	double process = us(row[0].ns, row[0].n, 0.5);
	const char *of = "";

	printf("{");
	stats_machine_json(stdout, f->kvm);
	printf(", \"pause_us\": %u, \"restless\": %u", f->pause_us, f->restless);
	if (f->daemon)
		printf(", \"warm\": %.0f, \"cold\": %.0f", f->warm, f->cold);
	printf(",\n \"subjects\": [");
	for (size_t i = 0; i < n; i++) {
		const struct shell_row *r = &row[i];
		double p50 = us(r->ns, r->n, 0.5);

		fputs(i ? ",\n  {\"name\": " : "\n  {\"name\": ", stdout);
		json_string(stdout, r->name + strspn(r->name, " "));
		/* A part of the subject above it. */
		if (*r->name == ' ')
			printf(", \"of\": \"%s\"", of);
		else
			of = r->name;
		printf(", \"samples\": %zu, \"min_us\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, "
		       "\"p99_us\": %.1f",
		       r->n, us(r->ns, r->n, 0), p50, us(r->ns, r->n, 0.9), us(r->ns, r->n, 0.99));
		if (r->cpu_us >= 0)
			printf(", \"cpu_p50_us\": %.1f", r->cpu_us);
		printf(", \"ratio\": %.3f}", p50 / process);
	}
	printf("]}\n");
}
