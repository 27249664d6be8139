/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_parse.h: the texts of cgroups: where they are mounted, where a process is in them,
 * how limits are written. No system calls: what it reads are lines that others have read.
 */
#ifndef MAYFLY_CGROUP_PARSE_H
#define MAYFLY_CGROUP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What of a shell can be limited or counted, as bits. */
enum cgroup_controller {
	CGROUP_MEMORY = 1,
	CGROUP_CPU = 2,
	CGROUP_PIDS = 4,
	CGROUP_CPUACCT = 8, /* v1's: CPU time used. v2 counts without it */
	CGROUP_CPUSET = 16, /* never used; on v1 it may be in one hierarchy with others */
};
/* Those that limits need. */
#define CGROUP_WANTED (CGROUP_MEMORY | CGROUP_CPU | CGROUP_PIDS)

/* The controllers in a list ("cpu,cpuacct", "rw,memory"); other words are passed over. Words
 * end at a comma, a space or a newline. */
unsigned cgroup_controllers(const char *list);

/* The words for bits, in text, separated by ", ". */
const char *cgroup_controller_names(unsigned bits, char text[64]);

/* One line of /proc/self/mountinfo, if it is of a cgroup file system. */
struct cgroup_mount {
	bool v2, read_only;
	unsigned controllers; /* v1 */
	const char *root;     /* which directory of the hierarchy is mounted: "/", "/a", "/.." */
	const char *point;    /* where */
};

/* Cuts line (without its newline) up and unescapes it (\040): m points into it. False: it is of
 * another file system, or no such line. */
bool cgroup_parse_mount(char *line, struct cgroup_mount *m);

/* One line of /proc/self/cgroup: "4:memory:/a". v2's has no controllers. */
struct cgroup_self {
	bool v2;
	unsigned controllers;
	const char *path;
};
bool cgroup_parse_self(char *line, struct cgroup_self *s);

/*
 * The directory path of a hierarchy, as seen from a mount of its directory root: a pointer into
 * path, without a leading slash, "" for the mount point itself. NULL: the mount does not show
 * it (it is outside of root, or of the cgroup namespace that both are told in).
 */
const char *cgroup_below(const char *root, const char *path);

/* A path that somebody wrote: true if it names a cgroup beneath the root: no "..", not empty,
 * at most 1,000 bytes. */
bool cgroup_path_is_good(const char *path);

/* v1's cpu.shares for v2's cpu.weight: the scheduler's own mapping (100 and 1024 are the
 * defaults, sched_weight_from_cgroup in kernel/sched), so that both mean the same. */
uint64_t cgroup_shares(uint32_t weight);

/* Quota and period in us for thousandths of a CPU (1 or more). */
void cgroup_quota(uint32_t milli, uint64_t *quota_us, uint64_t *period_us);

/* The number behind "key " at a line's begin (memory.events, cpu.stat), or -1. */
int64_t cgroup_field(const char *text, const char *key);

#endif
