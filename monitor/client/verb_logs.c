/* SPDX-License-Identifier: Apache-2.0 */
/* verb_logs.c: mayfly logs: what a program has written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "verb.h"

static const char help[] =
	"Usage: mayfly logs [OPTION]... VM\n"
	"Prints what a VM's program has written: its standard output and error, to ours.\n"
	"\n"
	"  -f, --follow         go on until the VM ends\n"
	"  -n, --tail N         of what is there already, only the last N lines\n"
	"  -t, --timestamps     the time before each line\n"
	"      --stdout         only standard output\n"
	"      --stderr         only standard error\n"
	"      --json           an object for each write of the program: time, stream, and\n"
	"                       text or, where that is not UTF-8, base64\n" VERB_SOCKET_HELP
		VERB_HELP_HELP;

enum { STDOUT = VERB_OWN, STDERR };

static int print_json(void *arg, json_t *line, struct err *err)
{
	(void)arg, (void)err;
	verb_print_json(json_incref(line), 0);
	fflush(stdout);
	return 0;
}

struct wanted {
	const struct verb *verb;
	struct output output;
	bool out, err; /* only that; both: both */
	const char *tail;
};

static int show(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	struct wanted *w = arg;
	char *path =
		daemon_vm_path(vm, "/logs?format=json%s%s%s%s%s", w->output.flush ? "&follow" : "",
			       w->out ? "&stdout" : "", w->err ? "&stderr" : "",
			       w->tail ? "&tail=" : "", w->tail ? w->tail : "");
	int ret;

	if (!path)
		return err_set(err, ENOMEM, "cannot ask for the log of %s", vm);
	ret = daemon_stream(d, path, w->verb->json ? print_json : output_line, &w->output, err);
	free(path);
	return ret;
}

int verb_logs(int argc, char **argv)
{
	static const struct option options[] = {
		{"follow", no_argument, NULL, 'f'},
		{"tail", required_argument, NULL, 'n'},
		{"timestamps", no_argument, NULL, 't'},
		{"stdout", no_argument, NULL, STDOUT},
		{"stderr", no_argument, NULL, STDERR},
		VERB_JSON_OPTION,
		VERB_OPTIONS,
	};
	struct verb v = {.name = "logs", .help = help};
	struct wanted w = {.verb = &v};
	int opt;

	while ((opt = verb_option(&v, argc, argv, ":fn:th", options)) > 0) {
		switch (opt) {
		case 'f':
			w.output.flush = true;
			break;
		case 'n':
			/* docker's "all" is what comes without it. */
			w.tail = strcmp(optarg, "all") ? optarg : NULL;
			if (w.tail && (!*w.tail || strlen(w.tail) > 9 ||
				       strspn(w.tail, "0123456789") != strlen(w.tail)))
				return verb_usage(&v, "--tail %s: write a number of lines", optarg);
			break;
		case 't':
			w.output.timestamps = true;
			break;
		case STDOUT:
			w.out = true;
			break;
		case STDERR:
			w.err = true;
			break;
		}
	}
	if (opt < 0)
		return v.status;
	if (argc - optind > 1)
		return verb_usage(&v, "one VM at a time");
	return verb_each(&v, argc, argv, show, &w);
}
