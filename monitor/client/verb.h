/* SPDX-License-Identifier: Apache-2.0 */
/* verb.h: what all verbs have in common: options, messages, one VM after the other. */
#ifndef MAYFLY_CLIENT_VERB_H
#define MAYFLY_CLIENT_VERB_H

#include <getopt.h>
#include <stdbool.h>

#include "daemon.h"

/* Each gets its own argc and argv (argv[0] is the verb) and returns the exit status. */
int verb_create(int argc, char **argv);
int verb_run_detached(int argc, char **argv);
int verb_start(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_logs(int argc, char **argv);
int verb_wait(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_kill(int argc, char **argv);
int verb_pause(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_rm(int argc, char **argv);
int verb_stats(int argc, char **argv);
int verb_events(int argc, char **argv);
int verb_pool(int argc, char **argv);

/* ---- options ---- */

struct verb {
	const char *name, *help;
	const char *socket; /* --socket */
	bool json;          /* --json */
	int status;         /* to exit with, where verb_option returned less than 0 */
};

/* Codes of options that have no letter; a verb's own begin at VERB_OWN. */
enum { VERB_SOCKET = 256, VERB_JSON, VERB_HELP, VERB_OWN };

/* What every verb's table of long options ends with; VERB_JSON_OPTION where it can be had. */
#define VERB_JSON_OPTION                             \
	{                                            \
		"json", no_argument, NULL, VERB_JSON \
	}
#define VERB_OPTIONS                                                                              \
	{"socket", required_argument, NULL, VERB_SOCKET}, {"help", no_argument, NULL, VERB_HELP}, \
	{                                                                                         \
		NULL, 0, NULL, 0                                                                  \
	}

/* And the lines of its help. */
#define VERB_SOCKET_HELP \
	"      --socket PATH    the daemon's socket, instead of $MAYFLY_SOCKET or the usual one\n"
#define VERB_HELP_HELP "      --help           this text\n"

/*
 * verb_option: the verb's next own option (optarg is its value), as getopt_long has it. 0:
 * there are no more, arguments begin at optind. Less than 0: help was asked for, or it is
 * wrong, which was said: exit with v->status. letters: begin with ':', or "+:" where options
 * end at the first argument; 'h' is always there.
 */
int verb_option(struct verb *v, int argc, char **argv, const char *letters,
		const struct option *options);

/* Wrong use: the message, where help is; 125. */
int verb_usage(const struct verb *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints "mayfly: message" and returns the error's exit status. */
int verb_fail(const struct err *err);

/* Flushes stdout: status, or 125 and a message where what was printed did not get there. */
int verb_end(int status);

/* Prints JSON and a newline; frees it. indent: 0 for one line. */
void verb_print_json(json_t *json, int indent);

/* ---- VMs ---- */

/*
 * verb_each: calls act for each VM named in argv from optind on. A failure is said and the
 * next one follows, unless there is no daemon. Returns the exit status: 0, the failures' own
 * if it is one and the same, else 1. Without a VM: wrong use.
 */
typedef int verb_act(struct daemon *d, const char *vm, void *arg, struct err *err);
int verb_each(const struct verb *v, int argc, char **argv, verb_act *act, void *arg);

/* A request about a VM, without a body: daemon_call with "/v1/vms/VM" rest. */
int verb_ask(struct daemon *d, const char *method, const char *vm, const char *rest, json_t **reply,
	     struct err *err);

#endif
