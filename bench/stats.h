/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h: order statistics of samples, and what machine they were taken on. */
#ifndef MAYFLY_BENCH_STATS_H
#define MAYFLY_BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Monotonic time in nanoseconds. */
uint64_t stats_now_ns(void);

/* Sorts n samples; the quantiles below want them so. */
void stats_sort(uint64_t *sample, size_t n);

/* The smallest sample that at least the fraction q of all n > 0 do not exceed (nearest
 * rank): always a value that was measured. */
uint64_t stats_quantile(const uint64_t *sorted, size_t n, double q);

/* "cpu", "cpus", "kernel", "kvm", "date" as members of a JSON object, without braces, or as
 * lines of text. kvm is what the caller knows of the kind of KVM. */
void stats_machine_json(FILE *f, const char *kvm);
void stats_machine_text(FILE *f, const char *kvm);

#endif
