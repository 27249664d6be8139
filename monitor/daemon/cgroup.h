/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h: a cgroup for each shell: limits, usage, removal; cgroup v2, v1 and both at once.
 *
 *      PARENT ("auto": OWN CGROUP/mayfly)      stays as long as a daemon has a directory in it
 *        daemon-PID                            one for each daemon, locked (flock) while it lives
 *          shell-NUMBER                        one for each shell
 *
 * in the v2 hierarchy, or on v1 in each hierarchy that carries memory, cpu or pids. Nothing
 * is mounted. A lock, and not the PID, says whether a daemon lives: the kernel lets go of it
 * at any kind of end, and it means the same in every PID namespace.
 *
 * Sources: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of Linux, proc_pid_mountinfo(5),
 * cgroups(7), cgroup_namespaces(7), systemd's CGROUP_DELEGATION.
 */
#ifndef MAYFLY_CGROUP_H
#define MAYFLY_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../err.h"
#include "../wire.h" /* ZYGOTE_MAX_CGROUPS */

struct cgroups;

/* 0: none. */
struct cgroup_limits {
	uint64_t memory_max_bytes; /* swap counts, where the kernel can count it */
	uint64_t pids_max;         /* a VM needs 2: its process, and the thread that KVM adds */
	uint32_t cpu_weight;       /* 1..10000, as in v2: 100 is what others have */
	uint32_t cpu_max_milli;    /* thousandths of a CPU: 1500 is one and a half */
};

#define CGROUP_UNKNOWN UINT64_MAX /* no controller tells */

struct cgroup_usage {
	uint64_t memory_bytes, cpu_ns, pids;
	uint64_t oom_kills; /* processes ended because memory_max_bytes was reached */
};

/*
 * cgroups_open: finds the hierarchies, makes PARENT and a directory of this daemon in it, and
 * removes what daemons that are gone left behind. Call it before any child is started: on v2
 * it may have to move the calling process into a leaf beside PARENT ("mayfly-daemon"), for a
 * cgroup that has processes cannot have children with limits.
 *
 * parent: "auto", or a path from the hierarchies' roots ("/vms" or "machine.slice/vms").
 * NULL and a message if no controller can be used, or nothing may be made. If only some can be
 * used it succeeds: see cgroups_missing.
 */
struct cgroups *cgroups_open(const char *parent, struct err *err);

/* What cannot be limited and why, as text for the daemon's start; NULL: nothing is missing. */
const char *cgroups_missing(const struct cgroups *cs);

/* The directory of this daemon, as text for messages and inspect. */
const char *cgroups_path(const struct cgroups *cs);

/*
 * cgroups_check: whether limits can be kept here. 0; -EINVAL (out of range); -ENOTSUP (their
 * controller is missing). Makes no system call. cgroups_create and cgroups_set check, too: a
 * limit is kept or refused, never ignored.
 */
int cgroups_check(const struct cgroups *cs, const struct cgroup_limits *limits, struct err *err);

/*
 * cgroups_create: makes shell's cgroups, with limits (NULL: none yet). Returns how many
 * descriptors are in fds, which the caller closes: whoever is to join writes "0" to each of
 * them. Write "0" and not a PID, and before there is a second thread: see the README on what
 * the other ways cost. Negative errno: nothing was made.
 */
int cgroups_create(struct cgroups *cs, uint64_t shell, const struct cgroup_limits *limits,
		   int fds[ZYGOTE_MAX_CGROUPS], struct err *err);

/* Sets the limits that are not 0, and leaves the others as they are. */
int cgroups_set(struct cgroups *cs, uint64_t shell, const struct cgroup_limits *limits,
		struct err *err);

/* 0, or -ENOENT: there is no such cgroup. */
int cgroups_usage(struct cgroups *cs, uint64_t shell, struct cgroup_usage *usage);

/* Whether a process of it was ended because memory_max_bytes was reached: one small file. To be
 * asked before cgroups_remove. */
bool cgroups_out_of_memory(struct cgroups *cs, uint64_t shell);

/* Removes shell's cgroups; those that still have a process are left to cgroups_collect. */
void cgroups_remove(struct cgroups *cs, uint64_t shell);

/* Tries again what could not be removed, a bounded part of it. Returns how much is left: call
 * it from a timer (100 ms) until that is 0. */
size_t cgroups_collect(struct cgroups *cs);

/* Removes what was made, as far as it has no processes and no other daemon uses it. */
void cgroups_close(struct cgroups *cs);

#endif
