/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h: what a filter is made of: see rules.c for what is allowed, filter.c for the rest. */
#ifndef MAYFLY_JAIL_RULES_H
#define MAYFLY_JAIL_RULES_H

#include <seccomp.h>
#include <stddef.h>

/* Whom a rule is for. */
enum jail_set {
	JAIL_SHELL = 1, /* jail_enter */
	JAIL_RUN = 2,   /* jail_self(false) */
	JAIL_CORE = 4,  /* jail_self(true) */
};

#define JAIL_MAX_ARGS 3

struct rule {
	unsigned sets;                           /* enum jail_set */
	int nr;                                  /* system call */
	struct scmp_arg_cmp args[JAIL_MAX_ARGS]; /* all must hold */
	unsigned nargs;
	int refuse; /* 0: allowed; an errno: the call fails with it, and nothing else happens */
	const char *what; /* the condition in words; NULL: whatever the arguments */
	const char *why;  /* NULL: as the rule before */
};

extern const struct rule jail_rules[];
extern const size_t jail_nrules;

#endif
