/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h: what the machine as a whole is doing: its memory, its CPU time, its processes. */
#ifndef MAYFLY_BENCH_MACHINE_H
#define MAYFLY_BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- memory ---- */

/* A line of /proc/meminfo in bytes ("MemAvailable"), or -1. */
int64_t machine_meminfo(const char *name);

/* MemAvailable in bytes once it stays the same, within 256 KiB, for ms (4 s at most): what
 * has ended is still being taken apart. */
int64_t machine_available_settled(unsigned ms);

/* ---- CPU time ---- */

/* Of all tasks of the machine since some point in the past, in ns: exact where the root of a
 * CPU cgroup tells it, otherwise in the kernel's ticks. */
uint64_t machine_cpu_ns(void);

/* Of a process with all its threads, children not included, in ns; 0 if there is none. */
uint64_t machine_process_ns(pid_t pid);

/* Of the children that it has waited for, with theirs, in ns, in ticks of 10 ms. */
uint64_t machine_reaped_ns(pid_t pid);

/* ---- quiet ---- */

/* Waits until nobody but the caller can run, three times in a row, 200 us apart; false if
 * that did not happen within ms. */
bool machine_quiet(unsigned ms);

/* ---- processes ---- */

/* The first process whose parent is the given one; 0: none. */
pid_t machine_child(pid_t parent);

/* The processes whose parent is the given one: their number, and the CPU time that they have
 * used, in ns (NULL: nobody wants it). */
unsigned machine_children(pid_t parent, uint64_t *cpu_ns);

/* VmRSS in bytes and the number of open descriptors; -1 each if that cannot be known. */
int64_t machine_rss(pid_t pid);
int machine_descriptors(pid_t pid);

#endif
