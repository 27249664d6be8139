/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the command line of mayfly-client, which `mayfly VERB` becomes: finds the verb. */
#include <stdio.h>
#include <string.h>

#include "verb.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{"create", verb_create},   {"run-detached", verb_run_detached}, /* mayfly run -d */
	{"start", verb_start},     {"ps", verb_ps},
	{"inspect", verb_inspect}, {"logs", verb_logs},
	{"wait", verb_wait},       {"stop", verb_stop},
	{"kill", verb_kill},       {"pause", verb_pause},
	{"resume", verb_resume},   {"unpause", verb_resume}, /* docker's word */
	{"rm", verb_rm},           {"stats", verb_stats},
	{"events", verb_events},   {"pool", verb_pool},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	if (argc > 1)
		fprintf(stderr, "mayfly-client: there is no verb '%s'; try 'mayfly --help'\n",
			argv[1]);
	else
		fprintf(stderr, "usage: mayfly-client VERB [OPTION]... [ARGUMENT]...\n");
	return ERR_EXIT_SELF;
}
