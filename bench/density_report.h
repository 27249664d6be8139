/* SPDX-License-Identifier: Apache-2.0 */
/* density_report.h: what density.c has measured, as a table or JSON. */
#ifndef MAYFLY_BENCH_DENSITY_REPORT_H
#define MAYFLY_BENCH_DENSITY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#define DENSITY_MAX_MARKS  16
#define DENSITY_MAX_PROBES 1000
#define DENSITY_NMEMORY    9

/* Lines of /proc/meminfo that say where memory is. */
extern const char *const density_memory_name[DENSITY_NMEMORY];

/* Memory at one time, in bytes. */
struct density_memory {
	int64_t available, part[DENSITY_NMEMORY];
};

struct density_mark {
	unsigned alive, nprobes;
	double each_kib;
	struct density_memory memory;
	/* sorted */
	uint64_t call_ns[DENSITY_MAX_PROBES], boot_ns[DENSITY_MAX_PROBES],
		hello_ns[DENSITY_MAX_PROBES];
	bool boots, hellos; /* the last two are known */
	unsigned restless;
	double idle_machine, idle_ours; /* percent of one CPU; ours negative: not known */
	int64_t daemon_rss;
	int daemon_descriptors;
};

struct density_result {
	const char *name, *kvm;
	bool daemon; /* it is VMs of a daemon's */
	bool shrink; /* the kernel was asked to shrink its slabs at the end */
	unsigned probes;
	struct density_mark mark[DENSITY_MAX_MARKS];
	unsigned nmarks;
	struct density_memory before, after, shrunk;
	double idle_before; /* of the machine, percent of one CPU, with nothing alive */
	unsigned alive, answered, left;
	const char *stopped; /* why there are fewer than wanted, or NULL */
	uint64_t grow_ns, answer_ns, end_ns;
};

void density_table(const struct density_result *r);
void density_json(const struct density_result *r);

#endif
