/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impair.c IFACE IFACE LOSS REORDER DUPLICATE: a bad line between two interfaces, in percent of
 * the frames, each way: what `tc netem` does, in kernels that have none. Prints "ready", and at
 * SIGTERM what it did.
 *
 * A reordered frame is held back until three others have gone before it, or 5 ms are over.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HELD_FRAMES 3
#define HELD_NS     5000000

struct side {
	int fd;
	char held[65536];
	ssize_t nheld; /* 0: none */
	unsigned after;
	uint64_t until_ns;
};

static struct side side[2];
static unsigned percent[3]; /* in 1/1000 */
static unsigned long passed, lost, reordered, duplicated;
static volatile sig_atomic_t over;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "impair: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool chance(unsigned permille)
{
	static uint64_t x = 88172645463325252u; /* the same faults in each run */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % 1000 < permille;
}

static int open_side(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1, bytes = 4 << 20;

	at.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !at.sll_ifindex)
		fail(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    bind(fd, (void *)&at, sizeof(at)))
		fail(name);
	return fd;
}

/* What no queue takes is lost: a line has its limits, too. */
static void put(struct side *to, const void *frame, ssize_t n)
{
	if (send(to->fd, frame, (size_t)n, 0) == n)
		passed++;
	else if (errno == EMSGSIZE || errno == ENOBUFS || errno == EAGAIN)
		lost++;
	else
		fail("send");
}

static void release(struct side *from, struct side *to)
{
	put(to, from->held, from->nheld);
	from->nheld = 0;
}

static void forward(struct side *from, struct side *to)
{
	static char frame[65536];
	ssize_t n = recv(from->fd, frame, sizeof(frame), MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN)
		fail("recv");
	if (n <= 0)
		return;
	if (chance(percent[0])) {
		lost++;
		return;
	}
	if (!from->nheld && chance(percent[1])) {
		memcpy(from->held, frame, (size_t)n);
		from->nheld = n;
		from->after = HELD_FRAMES;
		from->until_ns = now_ns() + HELD_NS;
		reordered++;
		return;
	}
	put(to, frame, n);
	if (chance(percent[2])) {
		put(to, frame, n);
		duplicated++;
	}
	if (from->nheld && !--from->after)
		release(from, to);
}

static void end(int signal)
{
	(void)signal;
	over = 1;
}

int main(int argc, char **argv)
{
	struct pollfd p[2];

	if (argc != 6)
		return 2;
	for (int i = 0; i < 3; i++)
		percent[i] = (unsigned)(atof(argv[3 + i]) * 10);
	for (int i = 0; i < 2; i++) {
		side[i].fd = open_side(argv[1 + i]);
		p[i] = (struct pollfd){.fd = side[i].fd, .events = POLLIN};
	}
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, NULL);
	puts("ready");
	fflush(stdout);
	while (!over) {
		if (poll(p, 2, side[0].nheld || side[1].nheld ? 1 : 1000) < 0 && errno != EINTR)
			fail("poll");
		for (int i = 0; i < 2; i++) {
			if (p[i].revents)
				forward(&side[i], &side[!i]);
			if (side[i].nheld && now_ns() >= side[i].until_ns)
				release(&side[i], &side[!i]);
		}
	}
	printf("%lu passed, %lu lost, %lu reordered, %lu duplicated\n", passed, lost, reordered,
	       duplicated);
	return 0;
}
