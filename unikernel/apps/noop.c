/* SPDX-License-Identifier: Apache-2.0 */
/* noop.c: does nothing until it is told to end: what a VM costs that has only a network. */
#include <signal.h>
#include <unistd.h>

static void end(int sig)
{
	(void)sig;
	_exit(0);
}

int main(void)
{
	signal(SIGTERM, end);
	signal(SIGINT, end);
	for (;;)
		pause();
}
