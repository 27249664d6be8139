/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c: mayfly run: one program in a VM of its own. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "crash.h"
#include "end.h"
#include "jail.h"
#include "options.h"
#include "run.h"
#include "run_net.h"
#include "run_pool.h"
#include "stats.h"

#define DEFAULT_MEMORY (64ull << 20)
#define EXIT_TIMEOUT   124 /* as timeout(1) */

static const char help[] =
	"Usage: mayfly run [OPTION]... [--] IMAGE [ARG]...\n"
	"Runs the static Linux x86-64 program IMAGE in a virtual machine of its own.\n"
	"\n"
	"  -m, --memory SIZE    the VM's memory, 64M if not given; used only as touched\n"
	"  -e, --env NAME=VALUE set a variable; NAME alone takes it from the environment\n"
	"      --env-file FILE  set the variables that FILE has, one NAME=VALUE a line\n"
	"  -w, --workdir DIR    start in DIR (in the VM; made if it is not there)\n"
	"      --name NAME      the VM's host name\n"
	"      --net KIND[=NAME][,KEY=VALUE...]\n"
	"                       a net device, up to four: user, IFACE, xdp=IFACE, tap, tap=IFACE;\n"
	"                       keys: ip, gw, dns, mac, ...: see mayfly-run(1)\n"
	"  -p, --publish [ADDRESS:]PORT:PORT[/udp]\n"
	"                       pass a port of the host on to the program's (with --net user)\n"
	"      --timeout TIME   end the VM after 500ms, 5s, 2m, ...; exit status 124\n"
	"      --core FILE      if the program crashes, write a core file for gdb\n"
	"      --strace         print every system call to stderr\n"
	"      --pool           take a prepared VM of the daemon's, if one is running\n"
	"      --socket PATH    of the daemon (for --pool and -d)\n"
	"  -d, --detach         leave it to the daemon, print the VM's id ('mayfly start --help')\n"
	"      --no-jail        leave the monitor unconfined, for debugging it\n"
	"      --stats          print what the run took to stderr\n"
	"      --help           this text\n";

struct settings {
	struct guest_options guest;
	uint64_t timeout_ns;
	const char *core, *socket;
	bool stats, pool, no_jail;
	char **env; /* what envp points to */
	size_t nenv;
};

static int add_env(struct settings *s, char *entry)
{
	size_t name = strcspn(entry, "=");

	/* A later one replaces an earlier. */
	for (size_t i = 0; i < s->nenv; i++)
		if (!strncmp(s->env[i], entry, name) && s->env[i][name] == '=') {
			s->env[i] = entry;
			return 0;
		}
	char **more = realloc(s->env, (s->nenv + 2) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	s->env = more;
	s->env[s->nenv++] = entry;
	s->env[s->nenv] = NULL;
	return 0;
}

static int env_option(struct settings *s, const char *text, struct err *err)
{
	const char *value;
	char *entry;

	if (!*text || *text == '=')
		return err_set(err, 0, "--env %s: write NAME=VALUE", text);
	if (strchr(text, '='))
		entry = strdup(text);
	else if ((value = getenv(text)))
		entry = asprintf(&entry, "%s=%s", text, value) < 0 ? NULL : entry;
	else
		return 0; /* not set here: not set there, as docker does */
	return entry && !add_env(s, entry) ? 0 : err_set(err, ENOMEM, "cannot set %s", text);
}

static int env_file(struct settings *s, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int ret = 0;
	ssize_t n;

	if (!f)
		return err_set(err, errno, "cannot read the environment file %s", path);
	while (!ret && (n = getline(&line, &size, f)) >= 0) {
		char *text = line + strspn(line, " \t");

		text[strcspn(text, "\r\n")] = 0;
		if (*text && *text != '#')
			ret = env_option(s, text, err);
	}
	if (ferror(f))
		ret = err_set(err, errno, "cannot read the environment file %s", path);
	free(line);
	fclose(f);
	return ret;
}

/* Memory must be pages, more than nothing, and no more than this machine has. */
static int check_memory(uint64_t *bytes, struct err *err)
{
	uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	if (!*bytes)
		return err_set(err, 0, "--memory 0: a VM needs memory");
	if (*bytes > host)
		return err_set(err, 0, "--memory %lluM is more than this machine's %lluM",
			       (unsigned long long)(*bytes >> 20),
			       (unsigned long long)(host >> 20));
	*bytes = (*bytes + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1);
	return 0;
}

/* Options. 1: help was printed; 0: go on; negative: message is in err or was printed. */
static int parse(struct settings *s, int argc, char **argv, struct err *err)
{
	enum {
		ENV_FILE = 256,
		NAME,
		TIMEOUT,
		CORE,
		STRACE,
		STATS,
		POOL,
		SOCKET,
		NO_JAIL,
		NET,
		HELP
	};
	static const struct option options[] = {
		{"memory", required_argument, NULL, 'm'},
		{"env", required_argument, NULL, 'e'},
		{"env-file", required_argument, NULL, ENV_FILE},
		{"workdir", required_argument, NULL, 'w'},
		{"name", required_argument, NULL, NAME},
		{"timeout", required_argument, NULL, TIMEOUT},
		{"core", required_argument, NULL, CORE},
		{"strace", no_argument, NULL, STRACE},
		{"stats", no_argument, NULL, STATS},
		{"pool", no_argument, NULL, POOL},
		{"socket", required_argument, NULL, SOCKET},
		{"no-jail", no_argument, NULL, NO_JAIL},
		{"net", required_argument, NULL, NET},
		{"publish", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	int opt, ret = 0;

	/* '+': what follows the image is the program's. */
	while (!ret && (opt = getopt_long(argc, argv, "+:m:e:w:p:h", options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			ret = option_size(optarg, &s->guest.memory_bytes, err);
			if (!ret)
				ret = check_memory(&s->guest.memory_bytes, err);
			break;
		case 'e':
			ret = env_option(s, optarg, err);
			break;
		case ENV_FILE:
			ret = env_file(s, optarg, err);
			break;
		case 'w':
			s->guest.cwd = optarg;
			if (*optarg != '/' ||
			    strlen(optarg) >= sizeof(((struct noxs_page *)0)->cwd))
				ret = err_set(err, 0,
					      "--workdir %s: give an absolute path of less than "
					      "256 bytes",
					      optarg);
			break;
		case NAME:
			s->guest.hostname = optarg;
			if (!*optarg || strlen(optarg) > 64)
				ret = err_set(err, 0, "--name: a name has 1 to 64 bytes");
			break;
		case TIMEOUT:
			ret = option_duration(optarg, &s->timeout_ns, err);
			break;
		case CORE:
			s->core = optarg;
			break;
		case STRACE:
			s->guest.strace = true;
			break;
		case STATS:
			s->stats = true;
			break;
		case POOL:
			s->pool = true;
			break;
		case SOCKET:
			s->socket = optarg;
			break;
		case NO_JAIL:
			s->no_jail = true;
			break;
		case NET:
			ret = run_net_add(optarg, err);
			break;
		case 'p':
			ret = run_net_publish(optarg, err);
			break;
		case HELP:
		case 'h':
			fputs(help, stdout);
			return 1;
		case ':':
			ret = err_set(err, 0, "%s needs a value; try 'mayfly run --help'",
				      argv[optind - 1]);
			break;
		default:
			ret = err_set(err, 0, "there is no option %s; try 'mayfly run --help'",
				      argv[optind - 1]);
		}
	}
	if (!ret && optind == argc)
		ret = err_set(err, 0, "run needs an image; try 'mayfly run --help'");
	if (!ret)
		ret = run_net_finish(err);
	if (!ret && s->pool && (s->core || s->stats || s->no_jail))
		ret = err_set(err, 0,
			      "--core, --stats and --no-jail are for a VM of one's own: leave out "
			      "--pool");
	s->guest.path = argv[optind];
	s->guest.argv = argv + optind;
	return ret;
}

/* The program's end as an exit status; says what has to be said. */
static int conclude(const struct settings *s, const struct vm *vm, const struct guest *guest,
		    const struct console *console, const struct run_result *r)
{
	struct err err = {0};
	int status;

	switch (r->end) {
	case RUN_TIMEOUT:
		fprintf(stderr, "mayfly: %s was ended at its time limit (--timeout)\n",
			s->guest.path);
		return EXIT_TIMEOUT;
	case RUN_SIGNAL:
		return 128 + r->signal;
	case RUN_CRASHED:
		return crash_report(vm, guest, r, s->guest.path, s->core);
	case RUN_EXITED:
		break;
	}
	status = console_verdict(console, r->status, s->guest.path, &err);
	if (err.message[0])
		cmd_fail(&err);
	return status;
}

/* In a VM of the daemon's. False: there is no daemon, so one of our own will do. */
static bool in_pool(const struct settings *s, int *status)
{
	const struct run_pool_options options = {
		.socket = s->socket,
		.path = s->guest.path,
		.argv = s->guest.argv,
		.envp = s->guest.envp,
		.cwd = s->guest.cwd,
		.hostname = s->guest.hostname,
		.net = run_net_texts(),
		.ports = run_net_ports(),
		.memory_bytes = s->guest.memory_bytes,
		.timeout_ns = s->timeout_ns,
		.strace = s->guest.strace,
	};
	bool no_daemon = false;
	struct err err = {0};

	*status = run_pool(&options, &no_daemon, &err);
	if (*status < 0 && !no_daemon)
		*status = cmd_fail(&err);
	return !no_daemon;
}

static int enter_jail(const struct settings *s, struct err *err)
{
	if (!s->no_jail)
		return jail_self(s->core != NULL, err);
	fputs("mayfly: warning: --no-jail: the monitor is not confined; a guest that breaks out of "
	      "its VM has all your rights\n",
	      stderr);
	return 0;
}

int cmd_run(int argc, char **argv)
{
	static struct host host;
	static struct image image;
	static char *no_env[] = {NULL};
	struct settings s = {.guest = {.stream = {0, 1, 2}}};
	struct run_result result;
	struct console console;
	struct guest guest;
	struct vm vm = {0};
	struct err err = {0};
	int ret, status;

	if (run_is_detached(argc, argv)) {
		argv[0] = "run-detached";
		return cmd_client(argc, argv);
	}
	ret = parse(&s, argc, argv, &err);
	if (ret > 0)
		return 0;
	s.guest.envp = s.env ? s.env : no_env;
	if (ret)
		return cmd_fail(&err);
	if (s.pool && in_pool(&s, &status))
		return status;
	if (!s.guest.memory_bytes)
		s.guest.memory_bytes = DEFAULT_MEMORY;
	if ((ret = vm.kvm = vm_open_kvm(&err)) < 0 ||
	    (ret = host_load(&host, vm.kvm, host_open_run_dir(), &err)) ||
	    (ret = image_open(&image, s.guest.path, host.run_dir, &err)) ||
	    (ret = run_net_open(&err)) || (ret = vm_reserve_ram(&vm, s.guest.memory_bytes, &err)) ||
	    (ret = guest_prepare(&guest, &vm, &host, &err)) ||
	    (ret = run_net_attach(&vm, &guest, &err)) ||
	    (ret = guest_load(&guest, &vm, &host, &image, &s.guest, &err)) ||
	    (ret = vm_create(&vm, &host, guest.kernel->lstar, &err)) ||
	    (ret = enter_jail(&s, &err)))
		return cmd_fail(&err);
	ret = guest_grow(&guest, &vm, 0);
	if (ret) {
		err_set(&err, -ret, "cannot give the VM the memory for %s", s.guest.path);
		return cmd_fail(&err);
	}
	console_init(&console, &guest);
	ret = run_guest(&vm, &guest, &console,
			&(struct run_options){
				.timeout_ns = s.timeout_ns,
				.tsc_khz = host.facts.tsc_khz,
			},
			&result, &err);
	status = ret ? cmd_fail(&err) : conclude(&s, &vm, &guest, &console, &result);
	if (s.stats) {
		stats_print(&vm, &guest, &console, &image, &host, &result);
		run_net_stats(stderr);
	}
	fflush(stderr);
	end_process(status, host.reaps);
}
