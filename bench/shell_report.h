/* SPDX-License-Identifier: Apache-2.0 */
/* shell_report.h: what shell.c has measured, as a table or JSON. */
#ifndef MAYFLY_BENCH_SHELL_REPORT_H
#define MAYFLY_BENCH_SHELL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the whole run. */
struct shell_facts {
	const char *kvm;
	unsigned pause_us;
	unsigned restless; /* samples before which the machine did not come to rest */
	bool daemon;
	double warm, cold; /* starts as the daemon's pool counted them */
};

/* A subject, or, where the name begins with a space, a part of the one above it. */
struct shell_row {
	const char *name;
	const uint64_t *ns; /* sorted */
	size_t n;
	double cpu_us; /* p50; negative: it has none of its own */
};

/* Ratios are to the first row. */
void shell_table(const struct shell_facts *f, const struct shell_row *row, size_t n);
void shell_json(const struct shell_facts *f, const struct shell_row *row, size_t n);

#endif
