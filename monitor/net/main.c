/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: mayfly-net: opens network devices for VMs (open, which is mayfly run's), and makes
 * bridges to try them at: `mayfly net create|rm|ls`.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host.h"
#include "open.h"

static const char help[] = "Usage: mayfly net VERB [OPTION]... [NAME]\n"
			   "Makes a network for VMs on this host, for `mayfly run --net NAME`.\n"
			   "Needs CAP_NET_ADMIN.\n"
			   "\n"
			   "  create NAME   make a bridge, or a veth pair\n"
			   "  rm NAME...    remove what create has made\n"
			   "  ls            list it\n"
			   "\n"
			   "`mayfly net VERB --help` has the options. See also mayfly-net(1).\n";

/* When whoever wants the device is killed, nobody waits for it, or would end us. */
static int open_for_parent(const char *spec)
{
	pid_t parent = getppid();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return getppid() == parent ? open_main(spec) : ERR_EXIT_SELF;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "--help";

	if (!strcmp(verb, "open") && argc == 3)
		return open_for_parent(argv[2]);
	if (!strcmp(verb, "create"))
		return host_create(argc - 1, argv + 1);
	if (!strcmp(verb, "rm"))
		return host_rm(argc - 1, argv + 1);
	if (!strcmp(verb, "ls"))
		return host_ls(argc - 1, argv + 1);
	if (!strcmp(verb, "--help") || !strcmp(verb, "-h")) {
		fputs(help, argc > 1 ? stdout : stderr);
		return argc > 1 ? 0 : ERR_EXIT_SELF;
	}
	if (!strcmp(verb, "--version")) {
		puts("mayfly-net " MAYFLY_VERSION);
		return 0;
	}
	fprintf(stderr, "mayfly: net has no verb '%s'; try 'mayfly net --help'\n", verb);
	return ERR_EXIT_SELF;
}
