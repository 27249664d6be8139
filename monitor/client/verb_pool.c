/* SPDX-License-Identifier: Apache-2.0 */
/* verb_pool.c: mayfly pool: the shells that stand ready, and how many there should be. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "columns.h"
#include "human.h"
#include "verb.h"

#define MIB        (1ull << 20)
#define MAX_MEMORY (MIB << 24)
#define MAX_SHELLS 1000000ul
#define POOL_PATH  "/v1/pool"

static const char help[] =
	"Usage: mayfly pool [OPTION]...\n"
	"       mayfly pool set -m SIZE:MIN[:MAX]... [OPTION]...\n"
	"Shows the pool's flavours and how many shells of each are ready; or replaces all\n"
	"flavours.\n"
	"\n"
	"  -m, --memory SIZE:MIN[:MAX]\n"
	"                       a flavour: VMs with SIZE (in whole MiB) of memory, of which MIN\n"
	"                       are kept ready, and up to MAX (MIN if not given) when many are\n"
	"                       started; may be repeated\n"
	"      --net KIND[=NAME][,KEY=VALUE...]\n"
	"                       they have this net device already; belongs to the -m before it\n"
	"      --json           what the daemon says, for programs\n" VERB_SOCKET_HELP
		VERB_HELP_HELP;

enum { NET = VERB_OWN };

/* ---- set ---- */

/* ":N" at *at. */
static int count(const char **at, unsigned long *n)
{
	char *end;

	if (**at != ':' || !isdigit((unsigned char)(*at)[1]))
		return -EINVAL;
	errno = 0;
	*n = strtoul(*at + 1, &end, 10);
	*at = end;
	return errno || *n > MAX_SHELLS ? -EINVAL : 0;
}

/* SIZE:MIN[:MAX], added to the flavours. */
static int add_flavour(json_t *flavours, const char *text, struct err *err)
{
	const char *at = text + strcspn(text, ":");
	char *size = strndup(text, (size_t)(at - text));
	unsigned long minimum = 0, maximum = 0;
	uint64_t bytes = 0;
	int ret = size ? option_size(size, &bytes, err) : err_set(err, ENOMEM, "no memory");

	free(size);
	if (ret)
		return ret;
	if (bytes < MIB || bytes % MIB || bytes > MAX_MEMORY)
		return err_set(err, 0, "--memory %s: a flavour has whole MiB, up to 16T", text);
	ret = count(&at, &minimum);
	maximum = minimum;
	if (!ret && *at)
		ret = count(&at, &maximum);
	if (ret || *at || maximum < minimum)
		return err_set(err, 0,
			       "--memory %s: write SIZE:MIN:MAX, such as 64M:10:100; MAX is not "
			       "less than MIN",
			       text);
	json_array_append_new(flavours,
			      json_pack("{s:I, s:I, s:I}", "memory_mib", (json_int_t)(bytes / MIB),
					"minimum", (json_int_t)minimum, "maximum",
					(json_int_t)maximum));
	return 0;
}

/* A net device of the last flavour. */
static int add_net(json_t *flavours, const char *text, struct err *err)
{
	json_t *last = json_array_get(flavours, json_array_size(flavours) - 1);
	json_t *net = json_object_get(last, "net"), *string = json_string(text);

	if (!last || !string) {
		json_decref(string);
		return err_set(err, 0, "--net %s: %s", text,
			       last ? "it is not UTF-8" : "write the flavour, -m, before it");
	}
	if (!net) {
		json_object_set_new(last, "net", json_array());
		net = json_object_get(last, "net");
	}
	json_array_append_new(net, string);
	return 0;
}

/* ---- show ---- */

static void add_row(struct columns *t, const json_t *level)
{
	static const char *const names[] = {"minimum",   "maximum", "target", "ready",
					    "preparing", "warm",    "cold",   "failed"};
	char memory[HUMAN_BYTES], number[8][24], net[512] = "-";
	const char *cells[10] = {memory, [9] = net};
	const json_t *list = json_object_get(level, "net"), *one;
	size_t at = 0, k;

	human_bytes((uint64_t)(json_number_value(json_object_get(level, "memory_mib")) * MIB),
		    memory);
	for (size_t i = 0; i < 8; i++) {
		snprintf(number[i], sizeof(number[i]), "%lld",
			 (long long)json_integer_value(json_object_get(level, names[i])));
		cells[1 + i] = number[i];
	}
	json_array_foreach(list, k, one)
	{
		at += (size_t)snprintf(net + at, sizeof(net) - at, "%s%s", k ? " " : "",
				       json_string_value(one));
		if (at >= sizeof(net))
			break;
	}
	columns_add(t, cells);
}

static int show(const struct verb *v, json_t *pool, struct err *err)
{
	static const char *const headings[] = {"MEMORY",    "MIN",  "MAX",  "TARGET", "READY",
					       "PREPARING", "WARM", "COLD", "FAILED", "NET"};
	const json_t *flavours = json_object_get(pool, "flavours"), *level;
	struct columns t;
	bool any = false;
	size_t i;

	if (v->json) {
		verb_print_json(json_incref(pool), 2);
		return 0;
	}
	if (!json_is_array(flavours))
		return err_set(err, 0, "the daemon's pool is not understood");
	json_array_foreach(flavours, i, level) any |= json_object_get(level, "net") != NULL;
	columns_init(&t, headings, any ? 10 : 9);
	json_array_foreach(flavours, i, level) add_row(&t, level);
	return columns_print(&t, stdout) ? err_set(err, ENOMEM, "cannot print the table") : 0;
}

/* flavours: what is to be set; none: it is only shown. */
static int ask(const struct verb *v, json_t *flavours, struct err *err)
{
	json_t *body = NULL, *pool = NULL;
	struct daemon d;
	int ret = daemon_init(&d, v->socket, err);

	if (ret)
		return ret;
	if (json_array_size(flavours))
		body = json_pack("{s:O}", "flavours", flavours);
	ret = daemon_call(&d, body ? "PUT" : "GET", POOL_PATH, body, &pool, err);
	if (!ret)
		ret = show(v, pool, err);
	json_decref(body);
	json_decref(pool);
	daemon_free(&d);
	return ret;
}

int verb_pool(int argc, char **argv)
{
	static const struct option options[] = {{"memory", required_argument, NULL, 'm'},
						{"net", required_argument, NULL, NET},
						VERB_JSON_OPTION,
						VERB_OPTIONS};
	struct verb v = {.name = "pool", .help = help};
	json_t *flavours = json_array();
	struct err err = {0};
	int opt, ret = 0, status;
	bool set;

	while (!ret && (opt = verb_option(&v, argc, argv, ":m:h", options)) > 0)
		ret = opt == NET ? add_net(flavours, optarg, &err)
				 : add_flavour(flavours, optarg, &err);
	set = optind < argc && !strcmp(argv[optind], "set");
	if (ret)
		status = verb_fail(&err);
	else if (opt < 0)
		status = v.status;
	else if (argc - optind > set)
		status = verb_usage(&v, "what is %s?", argv[optind + set]);
	else if (set != (json_array_size(flavours) > 0))
		status = verb_usage(&v, set ? "set needs a flavour, -m SIZE:MIN:MAX"
					    : "-m is for mayfly pool set");
	else
		status = ask(&v, flavours, &err) ? verb_fail(&err) : verb_end(0);
	json_decref(flavours);
	return status;
}
