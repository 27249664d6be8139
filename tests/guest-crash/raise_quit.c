/* SPDX-License-Identifier: Apache-2.0 */
/* raise_quit.c: raises SIGQUIT, whose default is a core dump. */
#include <signal.h>

static void raise_quit(void)
{
	raise(SIGQUIT);
}

int main(void)
{
	raise_quit();
	return 0;
}
