/* SPDX-License-Identifier: Apache-2.0 */
/* verb_vm.c: wait, kill, pause, resume, rm: one request for each VM. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verb.h"

/* ---- those that only say which VM it was ---- */

struct request {
	const char *method, *rest;
};

static int ask(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	const struct request *r = arg;
	int ret = verb_ask(d, r->method, vm, r->rest, NULL, err);

	if (!ret)
		puts(vm);
	return ret;
}

static int plain_verb(struct verb *v, int argc, char **argv, struct request r)
{
	static const struct option options[] = {VERB_OPTIONS};
	int opt = verb_option(v, argc, argv, ":h", options);

	return opt < 0 ? v->status : verb_each(v, argc, argv, ask, &r);
}

int verb_pause(int argc, char **argv)
{
	struct verb v = {
		.name = "pause",
		.help = "Usage: mayfly pause [OPTION]... VM...\n"
			"Makes VMs stand still until `mayfly resume`. Prints their names.\n"
			"\n" VERB_SOCKET_HELP VERB_HELP_HELP,
	};

	return plain_verb(&v, argc, argv, (struct request){"POST", "/pause"});
}

int verb_resume(int argc, char **argv)
{
	struct verb v = {
		.name = "resume",
		.help = "Usage: mayfly resume [OPTION]... VM...\n"
			"Lets paused VMs run on. Prints their names. `mayfly unpause` is the "
			"same.\n"
			"\n" VERB_SOCKET_HELP VERB_HELP_HELP,
	};

	return plain_verb(&v, argc, argv, (struct request){"POST", "/resume"});
}

static int remove_by_force(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	int ret = ask(d, vm, arg, err);

	return ret == -ENOENT ? 0 : ret;
}

int verb_rm(int argc, char **argv)
{
	static const struct option options[] = {{"force", no_argument, NULL, 'f'}, VERB_OPTIONS};
	struct request r = {"DELETE", ""};
	verb_act *act = ask;
	struct verb v = {
		.name = "rm",
		.help = "Usage: mayfly rm [OPTION]... VM...\n"
			"Removes VMs that do not run, and their logs. Prints their names.\n"
			"\n"
			"  -f, --force          also VMs that run: they are killed; a VM that is\n"
			"                       not there is no failure\n" VERB_SOCKET_HELP
				VERB_HELP_HELP,
	};
	int opt;

	while ((opt = verb_option(&v, argc, argv, ":fh", options)) > 0) {
		r.rest = "?force=true";
		act = remove_by_force;
	}
	return opt < 0 ? v.status : verb_each(&v, argc, argv, act, &r);
}

/* ---- kill ---- */

int verb_kill(int argc, char **argv)
{
	static const struct option options[] = {{"signal", required_argument, NULL, 's'},
						VERB_OPTIONS};
	char *signal = NULL, *rest = NULL;
	struct verb v = {
		.name = "kill",
		.help = "Usage: mayfly kill [OPTION]... VM...\n"
			"Sends a signal to VMs' programs. Prints the VMs' names.\n"
			"\n"
			"  -s, --signal SIGNAL  a name, with or without SIG, or a number; KILL if\n"
			"                       not given, which no program can "
			"handle\n" VERB_SOCKET_HELP VERB_HELP_HELP,
	};
	int opt, status;

	while ((opt = verb_option(&v, argc, argv, ":s:h", options)) > 0)
		signal = optarg;
	if (opt < 0)
		return v.status;
	signal = daemon_escape(signal ? signal : "KILL");
	if (!signal || asprintf(&rest, "/kill?signal=%s", signal) < 0) {
		free(signal);
		return verb_usage(&v, "no memory");
	}
	status = verb_each(&v, argc, argv, ask, &(struct request){"POST", rest});
	free(signal);
	free(rest);
	return status;
}

/* ---- wait ---- */

static int wait_for(struct daemon *d, const char *vm, void *arg, struct err *err)
{
	const struct verb *v = arg;
	json_t *end = NULL;
	int ret = verb_ask(d, "POST", vm, "/wait", &end, err), code;

	if (ret)
		return ret;
	if (v->json) {
		verb_print_json(end, 0);
	} else if (json_unpack(end, "{s:i}", "exit_code", &code)) {
		ret = err_set(err, 0, "the daemon did not say how %s ended", vm);
		json_decref(end);
	} else {
		printf("%d\n", code);
		json_decref(end);
	}
	fflush(stdout); /* the next may take long */
	return ret;
}

int verb_wait(int argc, char **argv)
{
	static const struct option options[] = {VERB_JSON_OPTION, VERB_OPTIONS};
	struct verb v = {
		.name = "wait",
		.help = "Usage: mayfly wait [OPTION]... VM...\n"
			"Waits until VMs have ended, one after the other, and prints each one's "
			"exit\n"
			"code on a line.\n"
			"\n"
			"      --json           print an object for each: exit_code, end, reason,\n"
			"                       timing and others\n" VERB_SOCKET_HELP
				VERB_HELP_HELP,
	};
	int opt = verb_option(&v, argc, argv, ":h", options);

	return opt < 0 ? v.status : verb_each(&v, argc, argv, wait_for, &v);
}
