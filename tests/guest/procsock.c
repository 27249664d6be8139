/* SPDX-License-Identifier: Apache-2.0 */
/* procsock.c: the program's own sockets in /proc/net/tcp, udp and tcp6. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

/* State of the socket whose inode this is; its addresses must be these. -1: not listed. */
static int state_of(const char *path, int fd, unsigned port, unsigned peer_port)
{
	char line[512], local[64], remote[64];
	unsigned long inode;
	unsigned state, got[2];
	struct stat st;
	FILE *f = fopen(path, "r");

	CHECK(f && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d: %63[0-9A-F]:%x %63[0-9A-F]:%x %x %*s %*s %*s %*u %*u %lu",
			   local, &got[0], remote, &got[1], &state, &inode) != 6 ||
		    inode != st.st_ino)
			continue;
		CHECK(got[0] == port && got[1] == peer_port);
		CHECK(!strcmp(local + strlen(local) - 8, "0100007F"));
		fclose(f);
		return (int)state;
	}
	fclose(f);
	return -1;
}

static unsigned port_of(int fd)
{
	struct sockaddr_in6 at;
	socklen_t n = sizeof(at);

	CHECK(getsockname(fd, (void *)&at, &n) == 0);
	return ntohs(at.sin6_port);
}

int main(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	int udp = socket(AF_INET, SOCK_DGRAM, 0), accepted, copy;
	unsigned port, mine;

	CHECK(state_of("/proc/net/tcp", server, 0, 0) == -1);
	CHECK(bind(server, (void *)&at, sizeof(at)) == 0 && listen(server, 5) == 0);
	port = port_of(server);
	CHECK(state_of("/proc/net/tcp", server, port, 0) == 10);
	CHECK(getsockname(server, (void *)&at, &n) == 0);
	CHECK(connect(client, (void *)&at, sizeof(at)) == 0);
	accepted = accept(server, NULL, NULL);
	mine = port_of(client);
	CHECK(accepted >= 0 && state_of("/proc/net/tcp", client, mine, port) == 1);
	CHECK(state_of("/proc/net/tcp", accepted, port, mine) == 1);
	copy = dup(server);
	CHECK(copy >= 0 && close(server) == 0 && state_of("/proc/net/tcp", copy, port, 0) == 10);
	CHECK(state_of("/proc/net/udp", client, 0, 0) == -1);

	at.sin_port = 0;
	CHECK(bind(udp, (void *)&at, sizeof(at)) == 0);
	CHECK(state_of("/proc/net/udp", udp, port_of(udp), 0) == 7);
	at.sin_port = htons(9);
	CHECK(connect(udp, (void *)&at, sizeof(at)) == 0);
	CHECK(state_of("/proc/net/udp", udp, port_of(udp), 9) == 1);
	return success();
}
