/* SPDX-License-Identifier: Apache-2.0 */
/* verb_events.c: mayfly events: what happens in the daemon. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "human.h"
#include "verb.h"

static const char help[] =
	"Usage: mayfly events [OPTION]...\n"
	"Prints what happens as it happens: number, time, what, the VM's id and name, details.\n"
	"\n"
	"      --since N        begin after event number N, as far as the daemon has kept it\n"
	"                       (the last 1024); 0 for all\n"
	"      --no-stream      print what there is, and end\n"
	"      --json           an object for each event, one a line\n" VERB_SOCKET_HELP
		VERB_HELP_HELP;

enum { SINCE = VERB_OWN, NO_STREAM };

/* A member as text that is safe for a terminal. */
static char *text(json_t *event, const char *name)
{
	const char *s = json_string_value(json_object_get(event, name));

	return human_clean(strdup(s && *s ? s : "-"));
}

static int print(void *arg, json_t *event, struct err *err)
{
	const struct verb *v = arg;
	static const char *const names[] = {"time", "type", "id", "name", "detail"};
	char *member[5];

	if (v->json) {
		verb_print_json(json_incref(event), 0);
	} else {
		for (size_t i = 0; i < 5; i++)
			member[i] = text(event, names[i]);
		printf("%lld %s %s %s %s %s\n",
		       (long long)json_integer_value(json_object_get(event, "number")),
		       member[0] ? member[0] : "", member[1] ? member[1] : "",
		       member[2] ? member[2] : "", member[3] ? member[3] : "",
		       member[4] ? member[4] : "");
		for (size_t i = 0; i < 5; i++)
			free(member[i]);
	}
	if (fflush(stdout))
		return err_set(err, errno, "cannot write to the standard output");
	return 0;
}

int verb_events(int argc, char **argv)
{
	static const struct option options[] = {{"since", required_argument, NULL, SINCE},
						{"no-stream", no_argument, NULL, NO_STREAM},
						VERB_JSON_OPTION,
						VERB_OPTIONS};
	struct verb v = {.name = "events", .help = help};
	const char *since = NULL;
	struct err err = {0};
	struct daemon d;
	bool follow = true;
	char path[80];
	int opt, ret;

	while ((opt = verb_option(&v, argc, argv, ":h", options)) > 0) {
		if (opt == NO_STREAM)
			follow = false;
		else if (!*optarg || strlen(optarg) > 18 ||
			 strspn(optarg, "0123456789") != strlen(optarg))
			return verb_usage(&v, "--since %s: write the number of an event", optarg);
		else
			since = optarg;
	}
	if (opt < 0)
		return v.status;
	if (optind < argc)
		return verb_usage(&v, "it takes no argument: %s", argv[optind]);
	snprintf(path, sizeof(path), "/v1/events?follow=%s%s%s", follow ? "true" : "false",
		 since ? "&since=" : "", since ? since : "");
	ret = daemon_init(&d, v.socket, &err);
	if (!ret)
		ret = daemon_stream(&d, path, print, &v, &err);
	return ret ? verb_fail(&err) : verb_end(0);
}
