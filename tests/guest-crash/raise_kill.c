/* SPDX-License-Identifier: Apache-2.0 */
/* raise_kill.c: kills itself; dies of SIGKILL, silently. */
#include <signal.h>
#include <unistd.h>

int main(void)
{
	kill(getpid(), SIGKILL);
	return 0;
}
