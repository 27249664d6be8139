/* SPDX-License-Identifier: Apache-2.0 */
/* verb_ps.c: mayfly ps: which VMs there are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "columns.h"
#include "human.h"
#include "verb.h"

static const char help[] =
	"Usage: mayfly ps [OPTION]...\n"
	"Lists the VMs that run, the oldest first.\n"
	"\n"
	"  -a, --all            also those that do not run: created, exited\n"
	"  -q, --quiet          print ids only\n"
	"  -f, --filter F       only those with label=KEY, label=KEY=VALUE, state=STATE or\n"
	"                       name=NAME; may be repeated: all labels must fit, one state\n"
	"      --format json    an object for each VM, one a line\n"
	"      --json           one array of them\n" VERB_SOCKET_HELP VERB_HELP_HELP;

enum { FORMAT = VERB_OWN };

struct list {
	char *query; /* "?all&label=..." */
	bool quiet, lines;
};

/* Takes what is in value. The query so far is freed. 0 or -ENOMEM. */
static int add_query(struct list *l, const char *name, const char *value)
{
	char *escaped = daemon_escape(value), *more = NULL;

	if (!escaped || asprintf(&more, "%s%c%s=%s", l->query ? l->query : "", l->query ? '&' : '?',
				 name, escaped) < 0)
		more = NULL;
	free(escaped);
	free(l->query);
	l->query = more;
	return more ? 0 : -ENOMEM;
}

/* docker's "status" is our state. */
static int add_filter(struct list *l, const char *text)
{
	static const char *const names[][2] = {
		{"label=", "label"}, {"state=", "state"}, {"status=", "state"}, {"name=", "name"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i][0]);

		if (!strncmp(text, names[i][0], n) && text[n])
			return add_query(l, names[i][1], text + n);
	}
	return -EINVAL;
}

static const char *member(const json_t *vm, const char *name)
{
	const char *text = json_string_value(json_object_get(vm, name));

	return text && *text ? text : "-";
}

static void add_row(struct columns *t, const json_t *vm, int64_t now_ns)
{
	const json_t *code = json_object_get(vm, "exit_code");
	char age[HUMAN_BYTES] = "-", exit_code[16] = "-";
	int64_t created;

	if (!human_parse_time(member(vm, "created_at"), &created))
		human_age(now_ns - created, age);
	if (code)
		snprintf(exit_code, sizeof(exit_code), "%lld", (long long)json_integer_value(code));
	columns_add(t, (const char *[]){member(vm, "id"), member(vm, "name"), member(vm, "image"),
					member(vm, "state"), age, exit_code});
}

static int print_table(const json_t *vms)
{
	static const char *const headings[] = {"ID", "NAME", "IMAGE", "STATE", "AGE", "EXIT"};
	struct columns t;
	struct timespec now;
	const json_t *vm;
	size_t i;

	clock_gettime(CLOCK_REALTIME, &now);
	columns_init(&t, headings, 6);
	json_array_foreach(vms, i, vm) add_row(&t, vm, now.tv_sec * 1000000000ll + now.tv_nsec);
	return columns_print(&t, stdout);
}

static int print(const struct verb *v, const struct list *l, json_t *vms)
{
	const json_t *vm;
	size_t i;

	if (l->quiet) {
		json_array_foreach(vms, i, vm) puts(member(vm, "id"));
		return 0;
	}
	if (l->lines) {
		json_array_foreach(vms, i, vm) verb_print_json(json_incref((json_t *)vm), 0);
		return 0;
	}
	if (!v->json)
		return print_table(vms);
	verb_print_json(json_incref(vms), 2);
	return 0;
}

static int list(const struct verb *v, const struct list *l, struct err *err)
{
	json_t *reply = NULL, *vms;
	struct daemon d;
	char *path;
	int ret = daemon_init(&d, v->socket, err);

	if (ret)
		return ret;
	if (asprintf(&path, "/v1/vms%s", l->query ? l->query : "") < 0)
		return err_set(err, ENOMEM, "cannot ask the daemon");
	ret = daemon_call(&d, "GET", path, NULL, &reply, err);
	free(path);
	daemon_free(&d);
	vms = json_object_get(reply, "vms");
	if (!ret && !json_is_array(vms))
		ret = err_set(err, 0, "the daemon's list of VMs is not understood");
	if (!ret && print(v, l, vms))
		ret = err_set(err, ENOMEM, "cannot print the list");
	json_decref(reply);
	return ret;
}

/* -1: go on; or the status to exit with. */
static int parse(struct verb *v, struct list *l, int argc, char **argv)
{
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},
		{"quiet", no_argument, NULL, 'q'},
		{"filter", required_argument, NULL, 'f'},
		{"format", required_argument, NULL, FORMAT},
		VERB_JSON_OPTION,
		VERB_OPTIONS,
	};
	int opt;

	while ((opt = verb_option(v, argc, argv, ":aqf:h", options)) > 0) {
		switch (opt) {
		case 'a':
			if (add_query(l, "all", "true"))
				return verb_usage(v, "no memory");
			break;
		case 'q':
			l->quiet = true;
			break;
		case 'f':
			if (add_filter(l, optarg))
				return verb_usage(v,
						  "--filter %s: write label=KEY=VALUE, "
						  "state=STATE or name=NAME",
						  optarg);
			break;
		case FORMAT:
			l->lines = true;
			if (strcmp(optarg, "json"))
				return verb_usage(v, "--format %s: json is the one there is",
						  optarg);
			break;
		}
	}
	if (opt < 0)
		return v->status;
	if (optind < argc)
		return verb_usage(v, "it takes no argument: %s", argv[optind]);
	return -1;
}

int verb_ps(int argc, char **argv)
{
	struct verb v = {.name = "ps", .help = help};
	struct list l = {0};
	struct err err = {0};
	int status = parse(&v, &l, argc, argv);

	if (status < 0)
		status = list(&v, &l, &err) ? verb_fail(&err) : verb_end(0);
	free(l.query);
	return status;
}
