/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handler.c spin|wait|read [handle]: prints "ready", then computes, waits for a signal or
 * reads its input for ever; with "handle" it ends with status 7 at SIGTERM and 8 at SIGINT.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_signal(int sig)
{
	_exit(sig == SIGTERM ? 7 : 8);
}

int main(int argc, char **argv)
{
	volatile unsigned long n = 0;

	if (argc < 2)
		return 2;
	if (argc > 2 && !strcmp(argv[2], "handle")) {
		signal(SIGTERM, on_signal);
		signal(SIGINT, on_signal);
	}
	puts("ready");
	fflush(stdout);
	if (!strcmp(argv[1], "spin"))
		for (;;)
			n++;
	if (!strcmp(argv[1], "read"))
		while (getchar() != EOF)
			;
	for (;;)
		pause();
}
