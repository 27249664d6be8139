/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: mayfly's command line: finds the verb. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "image.h"
#include "run_net.h"

static const char help[] =
	"Usage: mayfly VERB [OPTION]... [ARGUMENT]...\n"
	"Runs one program per virtual machine, as cheaply as a process.\n"
	"\n"
	"  run IMAGE [ARG]...   run a static Linux program in a new VM\n"
	"  inspect IMAGE|VM     say what an image is and whether it can run; or what a VM is\n"
	"  doctor               check this machine, and say how to fix what is missing\n"
	"  version              print the version\n"
	"  net create|rm|ls     make a bridge or a veth pair for VMs, as root\n"
	"\n"
	"With a daemon, which keeps prepared VMs so that a start takes a tenth of a millisecond:\n"
	"  daemon               serve an HTTP API on a Unix socket; keep a pool of shells\n"
	"  run --pool IMAGE     run in one of its VMs; run -d: and do not wait for it\n"
	"  create, start, ps, logs, wait, stop, kill, pause, resume, rm\n"
	"                       VMs, as one is used to with containers\n"
	"  stats, events, pool  what they take, what happens, how many are ready\n"
	"\n"
	"mayfly VERB --help tells more of each. Exit status: the program's own; 128+n if\n"
	"signal n ended it; 124 at its time limit; 125 if mayfly itself failed; 126 if the\n"
	"image cannot run; 127 if it was not found.\n";

int cmd_fail(const struct err *err)
{
	/* A helper that failed has already said why. */
	if (err->message[0])
		fprintf(stderr, "mayfly: %s\n", err->message);
	return err->exit ? err->exit : ERR_EXIT_SELF;
}

int cmd_usage(const char *verb, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "mayfly %s: ", verb);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry 'mayfly %s --help'.\n", verb);
	return ERR_EXIT_SELF;
}

static int cmd_daemon(int argc, char **argv)
{
	struct err err = {0};

	(void)argc;
	helper_exec("mayfly-daemon", argv, &err);
	return cmd_fail(&err);
}

static int cmd_net(int argc, char **argv)
{
	struct err err = {0};

	(void)argc;
	helper_exec("mayfly-net", argv, &err);
	return cmd_fail(&err);
}

/* argv[0] is the verb; the helper has its own name there, and the verb behind it. */
int cmd_client(int argc, char **argv)
{
	char **args = calloc((size_t)argc + 2, sizeof(*args));
	struct err err = {0};

	if (!args)
		return ERR_EXIT_SELF;
	memcpy(args + 1, argv, (size_t)argc * sizeof(*args));
	helper_exec("mayfly-client", args, &err);
	return cmd_fail(&err);
}

static int cmd_version(int argc, char **argv)
{
	(void)argc, (void)argv;
	puts("mayfly " MAYFLY_VERSION);
	return 0;
}

static int cmd_help(int argc, char **argv)
{
	(void)argc, (void)argv;
	fputs(help, stdout);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{"run", cmd_run},       {"inspect", cmd_client},    {"doctor", cmd_doctor},
	{"daemon", cmd_daemon}, {"create", cmd_client},     {"start", cmd_client},
	{"ps", cmd_client},     {"logs", cmd_client},       {"wait", cmd_client},
	{"stop", cmd_client},   {"kill", cmd_client},       {"pause", cmd_client},
	{"resume", cmd_client}, {"unpause", cmd_client},    {"rm", cmd_client},
	{"stats", cmd_client},  {"events", cmd_client},     {"pool", cmd_client},
	{"net", cmd_net},       {"version", cmd_version},   {"--version", cmd_version},
	{"help", cmd_help},     {"--help", cmd_help},       {"-h", cmd_help},
	{"zygote", cmd_zygote}, {"net-open", cmd_net_open},
};

/* A closed stream's number must not become a VM's or a file's, which the guest would then
 * write to: something that can be neither read nor written takes its place. */
static void hold_streams(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_PATH | O_CLOEXEC) != fd)
			_exit(ERR_EXIT_SELF);
}

int main(int argc, char **argv)
{
	hold_streams();
	if (argc < 2) {
		fputs(help, stderr);
		return ERR_EXIT_SELF;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	fprintf(stderr, "mayfly: there is no verb '%s'.\nTry 'mayfly --help'.\n", argv[1]);
	return ERR_EXIT_SELF;
}
