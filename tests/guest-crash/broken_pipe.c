/* SPDX-License-Identifier: Apache-2.0 */
/* broken_pipe.c: writes to a pipe that has no reader; dies of SIGPIPE, silently. */
#include <unistd.h>

int main(void)
{
	int fds[2];

	if (pipe(fds) || close(fds[0]))
		return 1;
	return write(fds[1], "x", 1) == 1 ? 2 : 3;
}
