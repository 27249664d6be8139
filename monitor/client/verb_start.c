/* SPDX-License-Identifier: Apache-2.0 */
/* verb_start.c: mayfly start: what `mayfly create` made. */
#include <stdio.h>

#include "attach.h"
#include "verb.h"

static const char help[] =
	"Usage: mayfly start [OPTION]... VM...\n"
	"Starts VMs that `mayfly create` has made. Prints their names.\n"
	"\n"
	"  -a, --attach         of one VM: show its output, pass signals on, and end with the\n"
	"                       program's exit code\n"
	"  -i, --interactive    -a, and pass our standard input on; for a VM created with "
	"-i\n" VERB_SOCKET_HELP VERB_HELP_HELP;

static int start(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	int ret = verb_ask(d, "POST", vm, "/start", NULL, err);

	(void)arg;
	if (!ret)
		puts(vm);
	return ret;
}

struct attached {
	bool input;
	int exit_code;
};

static int start_attached(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	struct attached *a = arg;

	return attach_start(d, vm, a->input, &a->exit_code, err);
}

int verb_start(int argc, char **argv)
{
	static const struct option options[] = {{"attach", no_argument, NULL, 'a'},
						{"interactive", no_argument, NULL, 'i'},
						VERB_OPTIONS};
	struct verb v = {.name = "start", .help = help};
	struct attached a = {0};
	bool attach = false;
	int opt, status;

	while ((opt = verb_option(&v, argc, argv, ":aih", options)) > 0) {
		attach = true;
		a.input |= opt == 'i';
	}
	if (opt < 0)
		return v.status;
	if (!attach)
		return verb_each(&v, argc, argv, start, NULL);
	if (argc - optind > 1)
		return verb_usage(&v, "one VM at a time can be attached to");
	status = verb_each(&v, argc, argv, start_attached, &a);
	return status ? status : a.exit_code;
}
