/* SPDX-License-Identifier: Apache-2.0 */
/* verb_stats.c: mayfly stats: what VMs take and do, again and again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "columns.h"
#include "human.h"
#include "verb.h"

static const char help[] =
	"Usage: mayfly stats [OPTION]... [VM]...\n"
	"Shows VMs' counters every second: of all that run, or of those named until they have\n"
	"ended.\n"
	"\n"
	"      --no-stream      once, not every second\n"
	"      --json           an object for each VM, one a line, with more "
	"counters\n" VERB_SOCKET_HELP VERB_HELP_HELP;

enum { NO_STREAM = VERB_OWN };

/* One round. */
struct round {
	struct daemon *daemon;
	struct columns table;
	bool json;
	bool named;     /* the VMs were named: one that is not there is a failure */
	bool first;     /* later a VM that was there may be gone */
	unsigned alive; /* that have not ended */
	int status;     /* of failures */
};

static uint64_t number(const json_t *stats, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(stats, name));

	return n < 0 ? 0 : (uint64_t)n;
}

static void add_row(struct round *r, const char *name, const json_t *stats)
{
	static const char *const counters[] = {"syscalls", "faults", "exits"};
	static const char *const streams[] = {"stdin_bytes", "stdout_bytes", "stderr_bytes",
					      "lost_bytes"};
	const char *id = json_string_value(json_object_get(stats, "id"));
	const char *state = json_string_value(json_object_get(stats, "state"));
	char buffer[9][2 * HUMAN_BYTES], *b;
	const char *cells[12] = {id ? id : "-", name, state ? state : "-"};
	size_t n = 0;

	b = human_bytes(number(stats, "resident_bytes"), buffer[n]);
	strcat(b, "/");
	human_bytes((uint64_t)(json_number_value(json_object_get(stats, "memory_mib")) * 1048576),
		    b + strlen(b));
	cells[3 + n++] = b;
	for (size_t i = 0; i < 3; i++, n++) {
		snprintf(buffer[n], sizeof(buffer[n]), "%llu",
			 (unsigned long long)number(stats, counters[i]));
		cells[3 + n] = buffer[n];
	}
	for (size_t i = 0; i < 4; i++, n++)
		cells[3 + n] = human_bytes(number(stats, streams[i]), buffer[n]);
	cells[3 + n] = human_us(number(stats, "run_ns") / 1000, buffer[n]);
	columns_add(&r->table, cells);
}

/* What the first column that people read is to say: not a beginning of the id again. */
static const char *name_of(const char *vm, const json_t *stats)
{
	const char *id = json_string_value(json_object_get(stats, "id"));

	return !*vm || (id && !strncmp(id, vm, strlen(vm))) ? "-" : vm;
}

static int add_vm(struct round *r, const char *vm, const char *name, struct err *err)
{
	const char *state;
	json_t *stats = NULL;
	int ret;

	r->daemon->status = 0;
	ret = verb_ask(r->daemon, "GET", vm, "/stats", &stats, err);
	if (ret && !r->daemon->status)
		return ret;
	/* VMs come and go. */
	if (ret && r->named && r->first)
		r->status = verb_fail(err);
	if (ret)
		return 0;
	state = json_string_value(json_object_get(stats, "state"));
	r->alive += state && strcmp(state, "exited");
	if (!r->json)
		add_row(r, name_of(name, stats), stats);
	else
		verb_print_json(json_incref(stats), 0);
	json_decref(stats);
	return 0;
}

static int add_running(struct round *r, struct err *err)
{
	json_t *reply = NULL, *vm;
	int ret = daemon_call(r->daemon, "GET", "/v1/vms", NULL, &reply, err);
	size_t i;

	json_array_foreach(json_object_get(reply, "vms"), i, vm)
	{
		const char *id = "", *name = "";

		json_unpack(vm, "{s:s, s?s}", "id", &id, "name", &name);
		ret = ret ? ret : add_vm(r, id, name, err);
	}
	json_decref(reply);
	return ret;
}

static int play_round(struct round *r, char **vms, struct err *err)
{
	static const char *const headings[] = {"ID",       "NAME",   "STATE", "MEMORY",
					       "SYSCALLS", "FAULTS", "EXITS", "STDIN",
					       "STDOUT",   "STDERR", "LOST",  "RAN"};
	int ret = 0;

	r->alive = 0;
	columns_init(&r->table, headings, 12);
	if (!r->named)
		ret = add_running(r, err);
	for (; !ret && *vms; vms++)
		ret = add_vm(r, *vms, *vms, err);
	if (!ret && !r->json && !r->first && isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout); /* over the last round */
	if (r->json || ret)
		columns_free(&r->table);
	else if (columns_print(&r->table, stdout))
		ret = err_set(err, ENOMEM, "cannot print the table");
	fflush(stdout);
	r->first = false;
	return ret;
}

int verb_stats(int argc, char **argv)
{
	static const struct option options[] = {
		{"no-stream", no_argument, NULL, NO_STREAM}, VERB_JSON_OPTION, VERB_OPTIONS};
	struct verb v = {.name = "stats", .help = help};
	struct round r = {.first = true};
	struct err err = {0};
	struct daemon d;
	bool once = false;
	int opt, ret;

	while ((opt = verb_option(&v, argc, argv, ":h", options)) > 0)
		once = true;
	if (opt < 0)
		return v.status;
	r.daemon = &d;
	r.json = v.json;
	r.named = optind < argc;
	ret = daemon_init(&d, v.socket, &err);
	if (!ret && !once && !v.json && isatty(STDOUT_FILENO))
		fputs("\033[2J\033[H", stdout);
	while (!ret && !(ret = play_round(&r, argv + optind, &err))) {
		if (once || (r.named && !r.alive) || ferror(stdout))
			break;
		sleep(1);
	}
	return ret ? verb_fail(&err) : verb_end(r.status);
}
