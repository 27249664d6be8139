/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood.c IFACE MAC NET DEST PORT COUNT PER_SECOND syn|data: TCP segments from addresses of nobody,
 * as frames: COUNT of them, each from another address of NET (a.b.c.d/prefix), to DEST, whose
 * interface has that MAC.
 *
 *   syn    each would open a connection
 *   data   runs of 8 that follow each other, of a connection that there is not, from one port
 *
 * Prints "ready" when the first thousand is sent, and "sent" at the end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define DATA      200u
#define RUN       8u
#define SYN_BYTES (sizeof(struct tcphdr) + 4)

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t add(uint32_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A random permutation's next: what of it the network leaves free is the address. */
static uint32_t random32(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static size_t packet(uint8_t *at, uint32_t from, uint32_t to, uint16_t source, uint16_t port,
		     uint32_t sequence, bool syn)
{
	static const uint8_t mss[4] = {2, 4, 5, 180};
	struct iphdr *ip = (void *)at;
	struct tcphdr *tcp = (void *)(ip + 1);
	size_t n = syn ? SYN_BYTES : sizeof(*tcp) + DATA;
	uint32_t sum;

	memset(at, 0, sizeof(*ip) + n);
	*ip = (struct iphdr){.version = 4,
			     .ihl = 5,
			     .ttl = 64,
			     .protocol = IPPROTO_TCP,
			     .tot_len = htons((uint16_t)(sizeof(*ip) + n)),
			     .saddr = from,
			     .daddr = to};
	ip->check = finish(add(0, ip, sizeof(*ip)));
	*tcp = (struct tcphdr){.th_sport = htons(source),
			       .th_dport = htons(port),
			       .th_seq = htonl(sequence),
			       .th_ack = htonl(syn ? 0 : 1),
			       .th_off = (syn ? SYN_BYTES : sizeof(*tcp)) / 4,
			       .th_flags = syn ? TH_SYN : TH_ACK,
			       .th_win = htons(65535)};
	if (syn)
		memcpy(tcp + 1, mss, sizeof(mss));
	sum = add(IPPROTO_TCP + (uint32_t)n, &ip->saddr, 8);
	tcp->th_sum = finish(add(sum, tcp, n));
	return sizeof(*ip) + n;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), prefix;
	uint8_t frame[ETH_HLEN + 300];
	struct ifreq request = {0};
	uint64_t began = now_ns();
	uint32_t net, dest, count, rate, from = 0, sequence = 0;
	uint16_t port, source = 0;
	char text[32];
	bool syn;

	if (argc != 9 || fd < 0 || strlen(argv[1]) >= IFNAMSIZ ||
	    sscanf(argv[3], "%31[0-9.]/%d", text, &prefix) != 2 || prefix < 1 || prefix > 32 ||
	    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", frame, frame + 1, frame + 2, frame + 3,
		   frame + 4, frame + 5) != 6 ||
	    inet_pton(AF_INET, text, &net) != 1 || inet_pton(AF_INET, argv[4], &dest) != 1)
		fail("IFACE MAC NET DEST PORT COUNT PER_SECOND syn|data");
	port = (uint16_t)atoi(argv[5]);
	count = (uint32_t)atoi(argv[6]);
	rate = (uint32_t)atoi(argv[7]);
	syn = !strcmp(argv[8], "syn");
	strcpy(request.ifr_name, argv[1]);
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (!rate || ioctl(fd, SIOCGIFHWADDR, &request))
		fail(argv[1]);
	memcpy(frame + 6, request.ifr_hwaddr.sa_data, 6);
	frame[12] = 0x08;
	frame[13] = 0x00;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t due = began + (uint64_t)i * 1000000000u / rate, now;
		size_t n;

		while (i % 32 == 0 && (now = now_ns()) < due)
			nanosleep(&(struct timespec){.tv_nsec = (long)(due - now) % 1000000000},
				  NULL);
		if (syn || i % RUN == 0) {
			uint32_t free = prefix == 32 ? 0 : ~0u >> prefix;

			from = htonl((ntohl(net) & ~free) | (random32() & free));
			source = (uint16_t)(1024 + random32() % 60000);
			sequence = random32();
		}
		n = ETH_HLEN + packet(frame + ETH_HLEN, from, dest, source, port, sequence, syn);
		sequence += DATA;
		if (sendto(fd, frame, n, 0, (void *)&to, sizeof(to)) != (ssize_t)n &&
		    errno != ENOBUFS)
			fail("send");
		if (i == 1000 || i + 1 == count) {
			puts(i == 1000 ? "ready" : "sent");
			fflush(stdout);
		}
	}
	return 0;
}
