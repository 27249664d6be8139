/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h: what the servers of this folder begin with. */
#ifndef APPS_LISTEN_H
#define APPS_LISTEN_H

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void end(int sig)
{
	(void)sig;
	_exit(0);
}

/* A socket on the port, for IPv6 and IPv4 in one where there is IPv6; a stream one listens. */
static inline int listen_on(int type, unsigned port)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, zero = 0, bad;
	int fd = socket(AF_INET6, type, 0);

	if (fd >= 0) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		bad = bind(fd, (struct sockaddr *)&any6, sizeof(any6));
	} else {
		fd = socket(AF_INET, type, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		bad = bind(fd, (struct sockaddr *)&any4, sizeof(any4));
	}
	if (bad || ((type & 15) == SOCK_STREAM && listen(fd, 1024))) {
		perror("listen");
		exit(1);
	}
	signal(SIGTERM, end);
	signal(SIGINT, end);
	signal(SIGPIPE, SIG_IGN);
	return fd;
}

/* Whoever waits for the server to be there waits for this line. */
static inline void ready(const char *what, unsigned port)
{
	printf("%s: port %u\n", what, port);
	fflush(stdout);
}

#endif
