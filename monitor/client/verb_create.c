/* SPDX-License-Identifier: Apache-2.0 */
/* verb_create.c: mayfly create, and mayfly run -d, which also starts what it creates. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"
#include "verb.h"

#define CREATE_HELP                                                                         \
	"  -m, --memory SIZE    the VM's memory, in whole MiB; the pool's if not given\n"   \
	"  -e, --env NAME=VALUE set a variable; NAME alone takes it from the environment\n" \
	"      --env-file FILE  set the variables that FILE has, one NAME=VALUE a line\n"   \
	"  -w, --workdir DIR    start in DIR (in the VM; made if it is not there)\n"        \
	"      --name NAME      a name for the VM, also its host name\n"                    \
	"  -l, --label KEY=VAL  a label; `mayfly ps --filter label=KEY=VAL` finds it\n"     \
	"      --net KIND[=NAME][,KEY=VALUE...]\n"                                          \
	"                       a net device, up to four: user, IFACE, xdp=IFACE, tap, "    \
	"tap=IFACE;\n"                                                                      \
	"                       keys: ip, gw, dns, mac, ...: see mayfly-run(1)\n"           \
	"  -p, --publish [ADDRESS:]PORT:PORT[/udp]\n"                                       \
	"                       pass a port of the host on (with --net user)\n"             \
	"      --timeout TIME   end the VM after 500ms, 5s, 2m, ...; exit code 124\n"       \
	"  -i, --stdin-open     keep standard input open: `mayfly start -i` writes to it\n" \
	"      --rm             forget the VM when it has ended\n"                          \
	"      --strace         print every system call to stderr\n"                        \
	"      --cpus N         CPU time: 0.5 is half a CPU\n"                              \
	"      --cpu-weight N   share when CPUs are short, 1 to 10000; 100 is usual\n"      \
	"      --memory-max SIZE  host memory of the VM's process\n"                        \
	"      --pids-max N     tasks of the VM's process\n" VERB_SOCKET_HELP VERB_HELP_HELP

static const char create_help[] =
	"Usage: mayfly create [OPTION]... [--] IMAGE [ARG]...\n"
	"Makes a VM of the daemon's for the program IMAGE, does not start it, prints its id.\n"
	"\n" CREATE_HELP "      --json           print all that is known of the VM\n";

static const char detached_help[] =
	"Usage: mayfly run -d [OPTION]... [--] IMAGE [ARG]...\n"
	"Starts the program IMAGE in a VM of the daemon's and prints its id. Its output goes\n"
	"to a log, which `mayfly logs` shows.\n"
	"\n"
	"  -d, --detach         do not wait for its end\n" CREATE_HELP
	"      --json           print all that is known of the VM\n";

enum {
	ENV_FILE = VERB_OWN,
	NAME,
	TIMEOUT,
	RM,
	STRACE,
	CPUS,
	CPU_WEIGHT,
	MEMORY_MAX,
	PIDS_MAX,
	POOL,
	ATTACHED_ONLY,
	NET,
};

static const struct option options[] = {
	{"memory", required_argument, NULL, 'm'},
	{"env", required_argument, NULL, 'e'},
	{"env-file", required_argument, NULL, ENV_FILE},
	{"workdir", required_argument, NULL, 'w'},
	{"name", required_argument, NULL, NAME},
	{"label", required_argument, NULL, 'l'},
	{"timeout", required_argument, NULL, TIMEOUT},
	{"stdin-open", no_argument, NULL, 'i'},
	{"interactive", no_argument, NULL, 'i'}, /* docker's word */
	{"rm", no_argument, NULL, RM},
	{"strace", no_argument, NULL, STRACE},
	{"cpus", required_argument, NULL, CPUS},
	{"cpu-weight", required_argument, NULL, CPU_WEIGHT},
	{"memory-max", required_argument, NULL, MEMORY_MAX},
	{"pids-max", required_argument, NULL, PIDS_MAX},
	{"net", required_argument, NULL, NET},
	{"publish", required_argument, NULL, 'p'},
	/* of `mayfly run`, which hands all it was given on */
	{"detach", no_argument, NULL, 'd'},
	{"pool", optional_argument, NULL, POOL},
	{"core", required_argument, NULL, ATTACHED_ONLY},
	{"stats", no_argument, NULL, ATTACHED_ONLY},
	{"no-jail", no_argument, NULL, ATTACHED_ONLY},
	VERB_JSON_OPTION,
	VERB_OPTIONS,
};

static int option(struct spec *s, int opt, struct err *err)
{
	switch (opt) {
	case 'm':
		return spec_memory(s, optarg, err);
	case 'e':
		return env_add(&s->env, optarg, err);
	case ENV_FILE:
		return env_add_file(&s->env, optarg, err);
	case 'w':
		return spec_string(s, "workdir", optarg, err);
	case NAME:
		return spec_string(s, "name", optarg, err);
	case 'l':
		return spec_label(s, optarg, err);
	case TIMEOUT:
		return spec_timeout(s, optarg, err);
	case 'i':
		spec_flag(s, "stdin_open");
		return 0;
	case RM:
		spec_flag(s, "rm");
		return 0;
	case STRACE:
		spec_flag(s, "strace");
		return 0;
	case CPUS:
		return spec_cpus(s, optarg, err);
	case CPU_WEIGHT:
		return spec_limit(s, "cpu_weight", 10000, optarg, err);
	case MEMORY_MAX:
		return spec_memory_max(s, optarg, err);
	case PIDS_MAX:
		return spec_limit(s, "pids_max", 4194304, optarg, err);
	case NET:
		return spec_append(s, "net", optarg, err);
	case 'p':
		return spec_append(s, "publish", optarg, err);
	case ATTACHED_ONLY:
		return err_set(err, 0,
			       "--core, --stats and --no-jail are for a VM of run's own, without "
			       "-d");
	}
	return 0; /* -d, --pool: as it is anyway */
}

/* Sends the request and prints what was made of it. */
static int create(const struct verb *v, const struct spec *s, struct err *err)
{
	const char *id = NULL;
	struct daemon d;
	json_t *vm = NULL;
	int ret = daemon_init(&d, v->socket, err);

	if (ret)
		return ret;
	ret = daemon_call(&d, "POST", "/v1/vms", s->request, &vm, err);
	daemon_free(&d);
	/* A name in use is no missing VM: as with docker, it is a failure of create's. */
	if (ret && err->exit == EXIT_NO_SUCH_VM)
		err->exit = ERR_EXIT_SELF;
	if (ret)
		return ret;
	if (v->json) {
		verb_print_json(vm, 2);
		return 0;
	}
	if (json_unpack(vm, "{s:s}", "id", &id))
		ret = err_set(err, 0, "the daemon did not say the VM's id");
	else
		puts(id);
	json_decref(vm);
	return ret;
}

static int create_verb(struct verb *v, int argc, char **argv, bool start)
{
	struct err err = {0};
	struct spec s;
	int opt, ret = 0;

	spec_init(&s);
	if (!start)
		s.failed |= json_object_set_new(s.request, "start", json_false()) != 0;
	while (!ret && (opt = verb_option(v, argc, argv, "+:m:e:w:l:p:idh", options)) != 0) {
		if (opt < 0) {
			spec_free(&s);
			return v->status;
		}
		ret = option(&s, opt, &err);
	}
	if (!ret && optind == argc) {
		spec_free(&s);
		return verb_usage(v, "it needs an image");
	}
	if (!ret)
		ret = spec_finish(&s, argv[optind], argv + optind + 1, &err);
	if (!ret)
		ret = create(v, &s, &err);
	spec_free(&s);
	return ret ? verb_fail(&err) : verb_end(0);
}

int verb_create(int argc, char **argv)
{
	struct verb v = {.name = "create", .help = create_help};

	return create_verb(&v, argc, argv, false);
}

int verb_run_detached(int argc, char **argv)
{
	struct verb v = {.name = "run -d", .help = detached_help};

	return create_verb(&v, argc, argv, true);
}
