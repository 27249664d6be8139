/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c: see settings.h. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../options.h"
#include "settings.h"

#define DEFAULT_SHELLS  8u
#define DEFAULT_MOST    256u
#define DEFAULT_KEEP    1000u
#define DEFAULT_MEMORY  (64ull << 20)
#define DEFAULT_LOG     (1ull << 20)
#define DEFAULT_CAPTURE (64ull << 10)
/* Above all that Debian and systemd give out (systemd's UIDS-GIDS.md: 0x70000000 to 0x7fffffff
 * is nobody's), as many as there can be VMs with the greatest usual pid_max. */
#define DEFAULT_UID  1879048192u
#define DEFAULT_UIDS 65536u

const char settings_help[] =
	"Usage: mayfly daemon [OPTION]...\n"
	"Keeps prepared VMs (shells) and starts programs in them: an HTTP API on a unix socket,\n"
	"for the verbs of mayfly that manage VMs, and for mayfly run --pool. It runs in the\n"
	"foreground until SIGTERM or SIGINT, which end all VMs.\n"
	"\n"
	"      --socket PATH       the API's socket (mode 0600); RUN_DIR/mayfly.sock if not given\n"
	"      --shells N          shells kept ready at least (8)\n"
	"      --max-shells N      shells kept ready at most, when many starts come (256)\n"
	"  -m, --memory SIZE       a VM's memory, where the request does not say (64M)\n"
	"      --root DIR          images are looked up beneath DIR\n"
	"      --keep N            ended VMs whose records and logs are kept (1000)\n"
	"      --log-limit SIZE    of a VM's log; the rest is counted, not kept (1M)\n"
	"      --cgroup PATH       parent of the VMs' cgroups; auto: in the daemon's own; none:\n"
	"                          VMs have no limits (none)\n"
	"      --uids FIRST:COUNT  as root: users that VMs' processes run as, one each\n"
	"                          (1879048192:65536)\n"
	"      --no-jail           VMs' processes are not locked in: for debugging, never with\n"
	"                          programs that are not trusted\n"
	"      --help              this text\n"
	"\n"
	"RUN_DIR is $MAYFLY_RUN_DIR; /run/mayfly for root; $XDG_RUNTIME_DIR/mayfly; or\n"
	"/tmp/mayfly-UID. One daemon at a time uses it.\n";

/* From the current directory, which will be another. NULL: no memory. */
static const char *absolute(const char *path)
{
	char *cwd, *all = NULL;

	if (*path == '/')
		return path;
	cwd = getcwd(NULL, 0);
	if (cwd && asprintf(&all, "%s/%s", cwd, path) < 0)
		all = NULL;
	free(cwd);
	return all;
}

/* As ../host.c has it for mayfly run: both find the same images there. */
static const char *run_dir(void)
{
	const char *dir = getenv("MAYFLY_RUN_DIR");
	char *path = NULL;

	if (dir && *dir)
		return absolute(dir);
	if (!geteuid())
		return "/run/mayfly";
	dir = getenv("XDG_RUNTIME_DIR");
	if (asprintf(&path, dir && *dir ? "%s/mayfly" : "%s/mayfly-%u", dir && *dir ? dir : "/tmp",
		     (unsigned)geteuid()) < 0)
		return NULL;
	return path;
}

static int count(const char *option, const char *text, unsigned most, unsigned *value,
		 struct err *err)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || n > most)
		return err_set(err, 0, "%s %s: a number of 0 to %u is wanted", option, text, most);
	*value = (unsigned)n;
	return 0;
}

static int size(const char *option, const char *text, uint64_t *bytes, struct err *err)
{
	struct err why;

	if (!option_size(text, bytes, &why) && *bytes)
		return 0;
	return err_set(err, 0, "%s %s: a size is wanted, like 64M", option, text);
}

static int uids(const char *text, struct engine_options *o, struct err *err)
{
	char *end;
	unsigned long first, n;

	if (!strcmp(text, "none")) {
		o->uid_count = 0;
		return 0;
	}
	errno = 0;
	first = strtoul(text, &end, 10);
	n = *end == ':' && *text >= '0' && *text <= '9' ? strtoul(end + 1, &end, 10) : 0;
	if (errno || *end || !first || !n || first + n > UINT32_MAX)
		return err_set(err, 0,
			       "--uids %s: FIRST:COUNT is wanted, with no user but the VMs' among "
			       "them, or none",
			       text);
	if (geteuid())
		return err_set(err, EPERM, "--uids: only root can have VMs run as others");
	o->uid_first = (uint32_t)first;
	o->uid_count = (uint32_t)n;
	return 0;
}

enum { SOCKET = 256, SHELLS, MAX_SHELLS, ROOT, KEEP, LOG_LIMIT, CGROUP, UIDS, NO_JAIL, HELP };

static int set(struct settings *s, int option, const char *value, bool *most_given, struct err *err)
{
	struct engine_options *o = &s->engine;

	switch (option) {
	case SOCKET:
		s->socket = absolute(value);
		return 0;
	case SHELLS:
		return count("--shells", value, ENGINE_MAX_READY, &o->shells, err);
	case MAX_SHELLS:
		*most_given = true;
		return count("--max-shells", value, ENGINE_MAX_READY, &o->max_shells, err);
	case 'm':
		return size("--memory", value, &o->memory_bytes, err);
	case ROOT:
		o->root = absolute(value);
		return 0;
	case KEEP:
		return count("--keep", value, 1000000, &o->keep, err);
	case LOG_LIMIT:
		return size("--log-limit", value, &o->log_bytes, err);
	case CGROUP:
		o->cgroup = strcmp(value, "none") ? value : NULL;
		return 0;
	case UIDS:
		return uids(value, o, err);
	case NO_JAIL:
		o->jail = false;
		return 0;
	}
	s->help = true;
	return 0;
}

int settings_parse(struct settings *s, int argc, char **argv, struct err *err)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, SOCKET},
		{"shells", required_argument, NULL, SHELLS},
		{"max-shells", required_argument, NULL, MAX_SHELLS},
		{"memory", required_argument, NULL, 'm'},
		{"root", required_argument, NULL, ROOT},
		{"keep", required_argument, NULL, KEEP},
		{"log-limit", required_argument, NULL, LOG_LIMIT},
		{"cgroup", required_argument, NULL, CGROUP},
		{"uids", required_argument, NULL, UIDS},
		{"no-jail", no_argument, NULL, NO_JAIL},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	bool most_given = false;
	int c, ret;

	*s = (struct settings){
		.engine =
			{
				.run_dir = run_dir(),
				.shells = DEFAULT_SHELLS,
				.max_shells = DEFAULT_MOST,
				.memory_bytes = DEFAULT_MEMORY,
				.keep = DEFAULT_KEEP,
				.log_bytes = DEFAULT_LOG,
				.capture_bytes = DEFAULT_CAPTURE,
				.uid_first = DEFAULT_UID,
				.uid_count = geteuid() ? 0 : DEFAULT_UIDS,
				.jail = true,
			},
	};
	if (!s->engine.run_dir)
		return err_set(err, ENOMEM, "cannot tell the run directory");
	opterr = 0; /* one line for one error: ours */
	while ((c = getopt_long(argc, argv, "m:", options, NULL)) != -1) {
		if (c == '?')
			return err_set(err, 0,
				       "%s: no such option, or its value is missing; try 'mayfly "
				       "daemon --help'",
				       argv[optind - 1]);
		ret = set(s, c, optarg, &most_given, err);
		if (ret)
			return ret;
	}
	if (optind < argc)
		return err_set(err, 0,
			       "%s: the daemon takes options only; try 'mayfly daemon "
			       "--help'",
			       argv[optind]);
	if (s->engine.max_shells < s->engine.shells && !most_given)
		s->engine.max_shells = s->engine.shells;
	return 0;
}
