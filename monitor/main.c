/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: mayfly's command line: finds the verb. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

static const char help[] =
	"Usage: mayfly VERB [OPTION]... [ARGUMENT]...\n"
	"Runs one program per virtual machine, as cheaply as a process.\n"
	"\n"
	"  run IMAGE [ARG]...   run a static Linux program in a new VM\n"
	"  inspect IMAGE        say what an image is and whether it can run\n"
	"  doctor               check this machine, and say how to fix what is missing\n"
	"  version              print the version\n"
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
	{"run", cmd_run},         {"inspect", cmd_inspect},   {"doctor", cmd_doctor},
	{"version", cmd_version}, {"--version", cmd_version}, {"help", cmd_help},
	{"--help", cmd_help},     {"-h", cmd_help},
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
