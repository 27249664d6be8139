/* SPDX-License-Identifier: Apache-2.0 */
/* daytime.c: answers every connection with the time (RFC 867). Argument: the port, 13. */
#include <string.h>
#include <time.h>

#include "listen.h"

int main(int argc, char **argv)
{
	unsigned port = argc > 1 ? (unsigned)atoi(argv[1]) : 13;
	int server = listen_on(SOCK_STREAM, port);

	ready("daytime", port);
	for (;;) {
		int fd = accept(server, NULL, NULL);
		time_t now = time(NULL);
		char line[64];

		if (fd < 0)
			continue;
		strftime(line, sizeof(line), "%A, %B %d, %Y %H:%M:%S-UTC\r\n", gmtime(&now));
		send(fd, line, strlen(line), MSG_NOSIGNAL);
		close(fd);
	}
}
