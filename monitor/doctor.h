/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h: the checks behind mayfly doctor.
 *
 * A check has a name, what was found, and where that is not well the command or change
 * that mends it. FAIL is only for what `mayfly run` needs; all else is at most a WARN.
 */
#ifndef MAYFLY_DOCTOR_H
#define MAYFLY_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#define DOCTOR_MAX_CHECKS 40

enum check_status { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct check {
	const char *name; /* static */
	enum check_status status;
	char found[256];
	char fix[384]; /* empty: nothing to do */
};

struct doctor {
	struct check check[DOCTOR_MAX_CHECKS];
	size_t n;
};

/* Adds a check: its name and what was found, printf-like. */
void doctor_add(struct doctor *d, const char *name, enum check_status status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Gives the check that was added last its fix. */
void doctor_fix(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* First line of a file, without its newline. False, and text empty, if it cannot be read. */
bool doctor_read(const char *path, char *text, size_t size);

/* KVM, the CPU, a VM that really runs. */
void doctor_kvm_checks(struct doctor *d);

/* The helpers and the run directory. */
void doctor_file_checks(struct doctor *d);

/* What bears on how many VMs fit and how fast they are: memory, limits, cgroups, clock. */
void doctor_host_checks(struct doctor *d);

/* What network devices and the jail are made of. */
void doctor_net_checks(struct doctor *d);

#endif
