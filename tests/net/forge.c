/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forge.c IFACE SOURCE DEST PORT...: what no stack would send: for each port a UDP datagram and a
 * TCP SYN from SOURCE to DEST, as frames, whatever DEST is. Prints "sent".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char text[] = "forged";

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "forge: %s: %s\n", what, strerror(errno));
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

/* The transport's part, and the checksum over the addresses, it and its protocol: its length. */
static size_t fill(uint8_t *at, int protocol, unsigned port, const uint8_t *addresses, size_t bytes)
{
	size_t n = protocol == IPPROTO_UDP ? sizeof(struct udphdr) + sizeof(text)
					   : sizeof(struct tcphdr);
	uint32_t sum = add((uint32_t)protocol + (uint32_t)n, addresses, bytes);

	memset(at, 0, n);
	if (protocol == IPPROTO_UDP) {
		struct udphdr *udp = (void *)at;

		*udp = (struct udphdr){.uh_sport = htons(4000),
				       .uh_dport = htons((uint16_t)port),
				       .uh_ulen = htons((uint16_t)n)};
		memcpy(udp + 1, text, sizeof(text));
		udp->uh_sum = finish(add(sum, at, n));
	} else {
		struct tcphdr *tcp = (void *)at;

		*tcp = (struct tcphdr){.th_sport = htons(4000),
				       .th_dport = htons((uint16_t)port),
				       .th_off = sizeof(*tcp) / 4,
				       .th_flags = TH_SYN,
				       .th_win = htons(65535)};
		tcp->th_sum = finish(add(sum, at, n));
	}
	return n;
}

static size_t packet4(uint8_t *at, int protocol, unsigned port, const uint8_t *addresses)
{
	struct iphdr *ip = (void *)at;
	size_t n = fill(at + sizeof(*ip), protocol, port, addresses, 8);

	*ip = (struct iphdr){.version = 4,
			     .ihl = 5,
			     .ttl = 64,
			     .protocol = (uint8_t)protocol,
			     .tot_len = htons((uint16_t)(sizeof(*ip) + n))};
	memcpy(&ip->saddr, addresses, 8);
	ip->check = finish(add(0, ip, sizeof(*ip)));
	return sizeof(*ip) + n;
}

static size_t packet6(uint8_t *at, int protocol, unsigned port, const uint8_t *addresses)
{
	struct ip6_hdr *ip = (void *)at;
	size_t n = fill(at + sizeof(*ip), protocol, port, addresses, 32);

	memset(ip, 0, sizeof(*ip));
	ip->ip6_vfc = 0x60;
	ip->ip6_plen = htons((uint16_t)n);
	ip->ip6_nxt = (uint8_t)protocol;
	ip->ip6_hlim = 64;
	memcpy(&ip->ip6_src, addresses, 32);
	return sizeof(*ip) + n;
}

int main(int argc, char **argv)
{
	static const int protocols[] = {IPPROTO_UDP, IPPROTO_TCP};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	const int v6 = argc > 3 && strchr(argv[3], ':') != NULL;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	uint8_t addresses[32], frame[256];
	struct ifreq request = {0};

	if (argc < 5 || fd < 0 || strlen(argv[1]) >= IFNAMSIZ)
		fail("IFACE SOURCE DEST PORT...");
	strcpy(request.ifr_name, argv[1]);
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (ioctl(fd, SIOCGIFHWADDR, &request) ||
	    inet_pton(v6 ? AF_INET6 : AF_INET, argv[2], addresses) != 1 ||
	    inet_pton(v6 ? AF_INET6 : AF_INET, argv[3], addresses + (v6 ? 16 : 4)) != 1)
		fail(argv[1]);
	memset(frame, 0xfe, 6); /* nobody's */
	memcpy(frame + 6, request.ifr_hwaddr.sa_data, 6);
	frame[12] = v6 ? 0x86 : 0x08;
	frame[13] = v6 ? 0xdd : 0x00;
	for (int i = 4; i < argc; i++)
		for (int k = 0; k < 2; k++) {
			size_t n = (v6 ? packet6 : packet4)(frame + ETH_HLEN, protocols[k],
							    (unsigned)atoi(argv[i]), addresses);

			n += ETH_HLEN;
			if (sendto(fd, frame, n, 0, (void *)&to, sizeof(to)) != (ssize_t)n)
				fail("send");
		}
	puts("sent");
	return 0;
}
