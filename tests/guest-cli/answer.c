/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.c PORT TEXT: who sends something to the TCP port or the UDP port gets TEXT. Prints
 * "ready" when both are there. It does not speak first: passt of 2023 completes a connection
 * only when the client has sent something.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_port(int type, int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    (type == SOCK_STREAM && listen(fd, 16))) {
		perror("answer");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = {{.events = POLLIN}, {.events = POLLIN}};

	if (argc < 3)
		return 2;
	p[0].fd = open_port(SOCK_STREAM, atoi(argv[1]));
	p[1].fd = open_port(SOCK_DGRAM, atoi(argv[1]));
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		char data[64];
		int fd;

		if (poll(p, 2, -1) < 0)
			return 1;
		if (p[0].revents && (fd = accept(p[0].fd, NULL, NULL)) >= 0) {
			if (read(fd, data, sizeof(data)) < 0 ||
			    write(fd, argv[2], strlen(argv[2])) < 0)
				perror("answer");
			close(fd);
		}
		if (p[1].revents &&
		    recvfrom(p[1].fd, data, sizeof(data), 0, (struct sockaddr *)&from, &size) >= 0)
			sendto(p[1].fd, argv[2], strlen(argv[2]), 0, (struct sockaddr *)&from,
			       size);
	}
}
