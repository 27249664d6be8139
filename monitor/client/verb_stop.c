/* SPDX-License-Identifier: Apache-2.0 */
/* verb_stop.c: mayfly stop: all are asked to end before the first is waited for. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "verb.h"

static const char help[] =
	"Usage: mayfly stop [OPTION]... VM...\n"
	"Asks programs to end (SIGTERM), kills their VMs after a while, and waits for their\n"
	"end. Prints the VMs' names.\n"
	"\n"
	"  -t, --time SECONDS   how long they may take, 10 if not given\n" VERB_SOCKET_HELP
		VERB_HELP_HELP;

struct stop {
	unsigned long grace_ms;
	int at;      /* which of the VMs it is */
	bool *asked; /* of each VM */
	bool any;
};

static int ask_to_stop(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	struct stop *s = arg;
	char rest[64];
	int ret;

	snprintf(rest, sizeof(rest), "/stop?wait=false&grace_ms=%lu", s->grace_ms);
	ret = verb_ask(d, "POST", vm, rest, NULL, err);
	s->asked[s->at++] = !ret;
	s->any |= !ret;
	return ret;
}

static int wait_for_end(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	struct stop *s = arg;
	int ret = 0;

	if (!s->asked[s->at++])
		return 0;
	ret = verb_ask(d, "POST", vm, "/wait", NULL, err);
	if (ret && ret != -ENOENT) /* one with --rm may have gone already */
		return ret;
	puts(vm);
	fflush(stdout);
	return 0;
}

static int parse_seconds(const char *text, unsigned long *ms)
{
	char *end;

	errno = 0;
	*ms = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || *ms > 3600)
		return -EINVAL;
	*ms *= 1000;
	return 0;
}

int verb_stop(int argc, char **argv)
{
	static const struct option options[] = {
		{"time", required_argument, NULL, 't'},
		{"timeout", required_argument, NULL, 't'}, /* docker's newer word */
		VERB_OPTIONS,
	};
	struct verb v = {.name = "stop", .help = help};
	struct stop s = {.grace_ms = 10000};
	int opt, status;

	while ((opt = verb_option(&v, argc, argv, ":t:h", options)) > 0)
		if (parse_seconds(optarg, &s.grace_ms))
			return verb_usage(&v, "--time %s: write seconds, 0 to 3600", optarg);
	if (opt < 0)
		return v.status;
	s.asked = calloc((size_t)(argc - optind) + 1, sizeof(*s.asked));
	if (!s.asked)
		return verb_usage(&v, "no memory");
	status = verb_each(&v, argc, argv, ask_to_stop, &s);
	s.at = 0;
	if (s.any) {
		int waited = verb_each(&v, argc, argv, wait_for_end, &s);

		status = waited ? waited : status;
	}
	free(s.asked);
	return status;
}
