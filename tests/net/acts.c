/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acts.c WHAT ARGUMENT...: socket options that are to be seen acting, on the wire or in time. Runs
 * in a VM and as a process. Prints "ready", then what happens, a line each.
 *
 *   dead ADDRESS        connections to a server there (PORT_ECHO); at SIGUSR1 it is to be
 *                       unreachable, without a word. Who notices: the errno,
 *                       and after how many tenths of a second
 *   alive               a server whose connections' keepalive takes 1 s, and gives up after one
 * more devices             sockets that are bound to eth0 and eth1, on the same ports, and one of
 * each kind that eth1 alone has; what each of them gets. "shout": they broadcast wire ADDRESS...
 * packets with other TTLs and types of service than usual member GROUP...     joins them on eth0;
 * what it gets. "leave": it leaves them cast IFNAME GROUP TEXT   sends it there, with a TTL of 3
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"

enum { PORT_BOTH = 7100, PORT_ONE, PORT_SHOUT, PORT_GROUP };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t bytes_of(const union address *a)
{
	return a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

static union address address(const char *text, int port)
{
	union address a = {.v4 = {.sin_port = htons((uint16_t)port)}};

	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		return a;
	}
	a = (union address){.v6 = {.sin6_port = htons((uint16_t)port)}};
	if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) != 1)
		fail(text);
	a.v6.sin6_family = AF_INET6;
	return a;
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		fail("setsockopt");
}

static int open_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

static void say(const char *what, const char *more)
{
	printf("%s %s\n", what, more);
	fflush(stdout);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a peer that is gone ---- */

static void nothing(int sig)
{
	(void)sig;
}

static int dial(const char *to)
{
	union address a = address(to, PORT_ECHO);
	int fd = open_socket(a.any.sa_family, SOCK_STREAM);

	if (connect(fd, &a.any, bytes_of(&a)))
		fail("connect");
	return fd;
}

static void keep(int fd, int idle_s, int probes)
{
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
}

static void dead(const char *to)
{
	enum { KEEPALIVE, TIMEOUT, IDLE, WAITS, RETRIES, SYNS, ALL };
	static const char *const name[] = {"keepalive",      "user timeout", "idle",
					   "unacknowledged", "one retry",    "connecting"};
	struct pollfd p[ALL];
	union address a = address(to, PORT_ECHO);
	sigset_t mask, old;
	double began;

	for (int i = KEEPALIVE; i <= WAITS; i++)
		p[i] = (struct pollfd){.fd = dial(to), .events = POLLIN};
	keep(p[KEEPALIVE].fd, 1, 2);
	set(p[TIMEOUT].fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 2000);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, &old);
	signal(SIGUSR1, nothing);
	puts("ready");
	fflush(stdout);
	/* Until then they live, whatever their options. */
	if (ppoll(p, RETRIES, NULL, &old) >= 0)
		fail("one of them has not lived so long");
	began = now_s();
	for (int i = RETRIES; i < ALL; i++) {
		p[i] = (struct pollfd){
			.fd = open_socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK),
			.events = POLLOUT,
		};
		if (i == RETRIES)
			set(p[i].fd, IPPROTO_TCP, TCP_SYNCNT, 1);
		if (!connect(p[i].fd, &a.any, bytes_of(&a)) || errno != EINPROGRESS)
			fail("connect");
	}
	if (send(p[TIMEOUT].fd, "x", 1, 0) != 1 || send(p[WAITS].fd, "x", 1, 0) != 1)
		fail("send");
	while (now_s() - began < 5) {
		if (poll(p, ALL, 100) < 0)
			fail("poll");
		for (int i = 0; i < ALL; i++) {
			char text[64];
			int error = 0;
			socklen_t size = sizeof(error);

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			if (getsockopt(p[i].fd, SOL_SOCKET, SO_ERROR, &error, &size))
				fail("SO_ERROR");
			snprintf(text, sizeof(text), "%d %.0f", error, 10 * (now_s() - began));
			say(name[i], text);
			p[i].fd = -1;
		}
	}
	puts("end");
}

static void alive(void)
{
	union address any = address("0.0.0.0", PORT_ONE);
	int fd = open_socket(AF_INET, SOCK_STREAM);
	ssize_t got;
	char byte;

	keep(fd, 1, 1);
	if (bind(fd, &any.any, bytes_of(&any)) || listen(fd, 1))
		fail("listen");
	puts("ready");
	fflush(stdout);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			fail("accept");
		got = read(c, &byte, 1);
		say("its end:", got < 0 ? strerror(errno) : got ? "data" : "closed");
		close(c);
	}
}

/* ---- two devices ---- */

static int bound(int type, const char *device, int port)
{
	union address any = address("0.0.0.0", port);
	int fd = open_socket(AF_INET, type);

	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)))
		fail("SO_BINDTODEVICE");
	if (bind(fd, &any.any, bytes_of(&any)))
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, 8))
		fail("listen");
	return fd;
}

static void shout(int fd, const char *text)
{
	union address to = address("255.255.255.255", PORT_SHOUT);

	set(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (sendto(fd, text, strlen(text), 0, &to.any, bytes_of(&to)) < 0)
		fail("broadcast");
}

static void devices(void)
{
	static const char *const name[] = {"eth0",     "eth1",     "one",
					   "tcp eth0", "tcp eth1", "tcp one"};
	struct pollfd p[] = {
		{.fd = bound(SOCK_DGRAM, "eth0", PORT_BOTH)},
		{.fd = bound(SOCK_DGRAM, "eth1", PORT_BOTH)},
		{.fd = bound(SOCK_DGRAM, "eth1", PORT_ONE)},
		{.fd = bound(SOCK_STREAM, "eth0", PORT_BOTH)},
		{.fd = bound(SOCK_STREAM, "eth1", PORT_BOTH)},
		{.fd = bound(SOCK_STREAM, "eth1", PORT_ONE)},
	};

	puts("ready");
	fflush(stdout);
	for (;;) {
		for (int i = 0; i < 6; i++)
			p[i].events = POLLIN;
		if (poll(p, 6, -1) < 0)
			fail("poll");
		for (int i = 0; i < 6; i++) {
			char text[64] = "";

			if (!p[i].revents)
				continue;
			if (i >= 3)
				close(accept(p[i].fd, NULL, NULL));
			else if (recv(p[i].fd, text, sizeof(text) - 1, 0) < 0)
				fail("recv");
			if (!strcmp(text, "shout")) {
				shout(p[0].fd, "from eth0");
				shout(p[1].fd, "from eth1");
			}
			say(name[i], text);
		}
	}
}

/* ---- what is in a packet's header ---- */

static void wire(const char *to)
{
	union address a = address(to, PORT_ECHO);
	bool v6 = a.any.sa_family == AF_INET6;
	int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	char byte;

	for (int i = 0; i < 2; i++) {
		int fd = open_socket(a.any.sa_family, i ? SOCK_STREAM : SOCK_DGRAM);

		set(fd, level, v6 ? IPV6_UNICAST_HOPS : IP_TTL, i ? 9 : 7);
		set(fd, level, v6 ? IPV6_TCLASS : IP_TOS, i ? 0x08 : 0x10);
		if (connect(fd, &a.any, bytes_of(&a)) || send(fd, "x", 1, 0) != 1 ||
		    recv(fd, &byte, 1, 0) != 1)
			fail("an echo");
		close(fd);
	}
}

/* ---- groups ---- */

static void change(int fd, const union address *group, bool leave)
{
	struct group_req req = {.gr_interface = if_nametoindex("eth0")};
	bool v6 = group->any.sa_family == AF_INET6;

	memcpy(&req.gr_group, group, sizeof(*group));
	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		       leave ? MCAST_LEAVE_GROUP : MCAST_JOIN_GROUP, &req, sizeof(req)))
		fail("a group");
}

static void member(char **groups, int n)
{
	union address group[8];
	struct pollfd p[8];

	for (int i = 0; i < n; i++) {
		union address any;

		group[i] = address(groups[i], 0);
		any = address(group[i].any.sa_family == AF_INET6 ? "::" : "0.0.0.0", PORT_GROUP);
		p[i] = (struct pollfd){open_socket(any.any.sa_family, SOCK_DGRAM), POLLIN, 0};
		if (any.any.sa_family == AF_INET6)
			set(p[i].fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (bind(p[i].fd, &any.any, bytes_of(&any)))
			fail("bind");
		if (strcmp(groups[i], "0.0.0.0") && strcmp(groups[i], "::"))
			change(p[i].fd, &group[i], false);
	}
	puts("ready");
	fflush(stdout);
	while (poll(p, (nfds_t)n, -1) >= 0)
		for (int i = 0; i < n; i++) {
			char text[64] = "";

			if (!p[i].revents)
				continue;
			if (recv(p[i].fd, text, sizeof(text) - 1, 0) < 0)
				fail("recv");
			if (!strcmp(text, "leave"))
				change(p[i].fd, &group[i], true);
			say(group[i].any.sa_family == AF_INET6 ? "v6" : "v4", text);
		}
}

static void cast(const char *ifname, const char *to, const char *text)
{
	union address a = address(to, PORT_GROUP);
	int fd = open_socket(a.any.sa_family, SOCK_DGRAM), index = (int)if_nametoindex(ifname);
	struct ip_mreqn through = {.imr_ifindex = index};

	if (a.any.sa_family == AF_INET6) {
		set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
		set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 3);
	} else {
		if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &through, sizeof(through)))
			fail("IP_MULTICAST_IF");
		set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 3);
	}
	if (sendto(fd, text, strlen(text), 0, &a.any, bytes_of(&a)) < 0)
		fail("sendto");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "dead") && argc == 3)
		dead(argv[2]);
	else if (!strcmp(what, "alive"))
		alive();
	else if (!strcmp(what, "devices"))
		devices();
	else if (!strcmp(what, "wire"))
		for (int i = 2; i < argc; i++)
			wire(argv[i]);
	else if (!strcmp(what, "member") && argc <= 10)
		member(argv + 2, argc - 2);
	else if (!strcmp(what, "cast") && argc == 5)
		cast(argv[2], argv[3], argv[4]);
	else
		fprintf(stderr, "acts: see its head comment\n"), exit(2);
	return 0;
}
