/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.c WHAT IFACE ARG...: Ethernet frames by AF_PACKET, in a VM and as a process.
 *
 *   send DEST SOURCE TEXT COUNT   frames of type 0x88b5 (IEEE 802, local experiments)
 *   watch SECONDS TEXT            counts frames that have TEXT; prints "ready" before, and after
 *                                 "N frames with TEXT", or ends at the first "stop" in one
 *   foreign SECONDS               counts frames of any type that are neither for us nor for a group
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TYPE 0x88b5

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void mac(uint8_t *to, const char *text)
{
	unsigned b[6];

	if (sscanf(text, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6)
		fail(text);
	for (int i = 0; i < 6; i++)
		to[i] = (uint8_t)b[i];
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void send_frames(int fd, char **argv)
{
	uint8_t frame[60] = {0};

	mac(frame, argv[3]);
	mac(frame + 6, argv[4]);
	frame[12] = TYPE >> 8;
	frame[13] = TYPE & 0xff;
	strncpy((char *)frame + 14, argv[5], 45);
	for (int i = 0; i < atoi(argv[6]); i++)
		if (send(fd, frame, sizeof(frame), 0) != sizeof(frame))
			fail("send");
	printf("sent\n");
}

static void count_frames(int fd, int seconds, const char *text, const uint8_t *own)
{
	const int64_t until = now_ms() + seconds * 1000;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	static char frame[65536];
	unsigned long n = 0;
	ssize_t got;

	puts("ready");
	fflush(stdout);
	for (int64_t left; (left = until - now_ms()) > 0;) {
		if (poll(&p, 1, (int)left) < 0)
			fail("poll");
		if (!p.revents)
			continue;
		got = recv(fd, frame, sizeof(frame), 0);
		if (got < 0)
			fail("recv");
		if (got < ETH_HLEN)
			continue;
		if (text)
			n += memmem(frame, (size_t)got, text, strlen(text)) != NULL;
		else
			n += !(frame[0] & 1) && memcmp(frame, own, 6);
		if (memmem(frame, (size_t)got, "stop it", 7))
			break;
	}
	printf("%lu frames with %s\n", n, text ? text : "another's address");
}

int main(int argc, char **argv)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	struct ifreq r = {0};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (argc < 4 || fd < 0)
		fail("AF_PACKET");
	at.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(argv[2]);
	if (!at.sll_ifindex)
		fail(argv[2]);
	/* A process sees what a VM's device would: all that comes. */
	(void)setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
	if (bind(fd, (void *)&at, sizeof(at)))
		fail("bind");
	strncpy(r.ifr_name, argv[2], IFNAMSIZ - 1);
	if (ioctl(fd, SIOCGIFHWADDR, &r))
		fail("SIOCGIFHWADDR");
	if (!strcmp(argv[1], "send") && argc == 7)
		send_frames(fd, argv);
	else if (!strcmp(argv[1], "watch") && argc == 5)
		count_frames(fd, atoi(argv[3]), argv[4], NULL);
	else if (!strcmp(argv[1], "foreign") && argc == 4)
		count_frames(fd, atoi(argv[3]), NULL, (uint8_t *)r.ifr_hwaddr.sa_data);
	else
		return 2;
	return 0;
}
