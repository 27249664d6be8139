/* SPDX-License-Identifier: Apache-2.0 */
/* verb.c: see verb.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verb.h"

#define SEVERAL_FAILED 1

/* ---- options ---- */

int verb_usage(const struct verb *v, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "mayfly %s: ", v->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "; try 'mayfly %s --help'\n", v->name);
	return ERR_EXIT_SELF;
}

int verb_option(struct verb *v, int argc, char **argv, const char *letters,
		const struct option *options)
{
	int opt;

	opterr = 0; /* one line for one error: ours */
	while ((opt = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		switch (opt) {
		case VERB_SOCKET:
			v->socket = optarg;
			continue;
		case VERB_JSON:
			v->json = true;
			continue;
		case 'h':
		case VERB_HELP:
			fputs(v->help, stdout);
			v->status = verb_end(0);
			return -1;
		case ':':
			v->status = verb_usage(v, "%s needs a value", argv[optind - 1]);
			return -1;
		case '?':
			v->status = verb_usage(v, "there is no option %s", argv[optind - 1]);
			return -1;
		default:
			return opt;
		}
	}
	return 0;
}

/* ---- output ---- */

int verb_fail(const struct err *err)
{
	/* In order, where both go to one place. */
	fflush(stdout);
	fprintf(stderr, "mayfly: %s\n", err->message);
	return err->exit ? err->exit : ERR_EXIT_SELF;
}

int verb_end(int status)
{
	/* What has failed already has been said. */
	if ((!fflush(stdout) && !ferror(stdout)) || status)
		return status;
	fprintf(stderr, "mayfly: cannot write to the standard output: %s\n", strerror(errno));
	return ERR_EXIT_SELF;
}

void verb_print_json(json_t *json, int indent)
{
	json_dumpf(json, stdout, indent ? JSON_INDENT((size_t)indent) : 0);
	putchar('\n');
	json_decref(json);
}

/* ---- VMs ---- */

int verb_ask(struct daemon *d, const char *method, const char *vm, const char *rest, json_t **reply,
	     struct err *err)
{
	char *path = daemon_vm_path(vm, "%s", rest);
	int ret = path ? daemon_call(d, method, path, NULL, reply, err)
		       : err_set(err, ENOMEM, "cannot ask for %s", vm);

	free(path);
	return ret;
}

int verb_each(const struct verb *v, int argc, char **argv, verb_act *act, void *arg)
{
	struct err err = {0};
	struct daemon d;
	int status = 0;

	if (optind == argc)
		return verb_usage(v, "which VM?");
	if (daemon_init(&d, v->socket, &err))
		return verb_fail(&err);
	for (int i = optind; i < argc; i++) {
		int failed;

		d.status = 0;
		if (!act(&d, argv[i], arg, &err))
			continue;
		failed = verb_fail(&err);
		if (!d.status) {
			status = failed; /* no answer: neither will the next one get any */
			break;
		}
		status = !status || status == failed ? failed : SEVERAL_FAILED;
	}
	daemon_free(&d);
	return verb_end(status);
}
