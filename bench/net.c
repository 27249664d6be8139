/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c MEASURE ADDRESS PORT MS: the client of bench/net.sh, application to application, one
 * CPU's worth of blocking calls. Prints one line, "NAME VALUE ..." in pairs.
 *
 *   udp    one datagram of 64 bytes to an echo server and back, again and again
 *   ping   the same with ICMP: no process answers (the port is not used)
 *   crr    connect, 64 bytes there and back, close
 *   pps    64 bytes of UDP payload, up to 64 datagrams under way; what came back counts
 *
 * A datagram without an answer within 100 ms is lost, and counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stats.h"
#include "tool.h"

#define BYTES   64
#define WINDOW  64
#define LOST_MS 100
#define SAMPLES (1u << 20)
#define WARM_UP 200

static struct sockaddr_in to = {.sin_family = AF_INET};
static uint64_t *sample, end_ns;
static size_t n;
static unsigned long lost;

static int dial(int type, int protocol)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		die_errno("socket");
	if (connect(fd, (void *)&to, sizeof(to)))
		die_errno("connect");
	return fd;
}

static void add_sample(uint64_t began, unsigned long i)
{
	uint64_t now = stats_now_ns();

	if (i >= WARM_UP && n < SAMPLES)
		sample[n++] = now - began;
}

static void quantiles(void)
{
	if (!n)
		die("nothing came back", NULL);
	stats_sort(sample, n);
	printf("p50_us %.2f p99_us %.2f min_us %.2f samples %zu lost %lu\n",
	       (double)stats_quantile(sample, n, 0.5) / 1e3,
	       (double)stats_quantile(sample, n, 0.99) / 1e3, (double)sample[0] / 1e3, n, lost);
}

/* The number in the data says which it is; an ICMP header is in front of a ping's. */
static void there_and_back(int fd, size_t header)
{
	unsigned char data[BYTES] = {0}, back[2048];
	struct icmphdr *icmp = (void *)data;

	for (unsigned long i = 0; stats_now_ns() < end_ns; i++) {
		uint64_t began;
		int is = 0;

		if (header) {
			icmp->type = ICMP_ECHO;
			icmp->un.echo.sequence = htons((uint16_t)i);
		}
		memcpy(data + header, &i, sizeof(i));
		began = stats_now_ns();
		if (send(fd, data, BYTES, 0) != BYTES)
			die_errno("send");
		while (!is && recv(fd, back, sizeof(back), 0) >= (ssize_t)(header + sizeof(i)))
			is = !memcmp(back + header, &i, sizeof(i));
		if (is)
			add_sample(began, i);
		else
			lost++;
	}
	quantiles();
}

static void round_trips(int fd, size_t header)
{
	struct timeval limit = {.tv_usec = LOST_MS * 1000};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		die_errno("SO_RCVTIMEO");
	there_and_back(fd, header);
}

static void connections(void)
{
	char data[BYTES] = "request";
	uint64_t first = stats_now_ns();
	unsigned long i = 0;

	for (; stats_now_ns() < end_ns; i++) {
		uint64_t began = stats_now_ns();
		int fd = dial(SOCK_STREAM, 0), on = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (write(fd, data, BYTES) != BYTES)
			die_errno("write");
		for (ssize_t got, have = 0; have < BYTES; have += got)
			if ((got = read(fd, data, BYTES)) <= 0)
				die_errno("read");
		close(fd);
		add_sample(began, i);
	}
	printf("per_s %.0f ", (double)i / ((double)(stats_now_ns() - first) / 1e9));
	quantiles();
}

static void packets(void)
{
	int fd = dial(SOCK_DGRAM, 0);
	static char data[WINDOW][BYTES], back[WINDOW][BYTES];
	struct mmsghdr out[WINDOW] = {0}, in[WINDOW] = {0};
	struct iovec iov[WINDOW], oiov[WINDOW];
	unsigned long sent = 0, came = 0;
	unsigned under_way = 0;
	uint64_t first;
	int got;

	for (int i = 0; i < WINDOW; i++) {
		oiov[i] = (struct iovec){data[i], BYTES};
		iov[i] = (struct iovec){back[i], BYTES};
		out[i].msg_hdr = (struct msghdr){.msg_iov = &oiov[i], .msg_iovlen = 1};
		in[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	for (first = stats_now_ns(); stats_now_ns() < end_ns;) {
		if (under_way <= WINDOW / 2) {
			got = sendmmsg(fd, out, WINDOW - under_way, 0);
			if (got < 0)
				die_errno("sendmmsg");
			sent += (unsigned)got;
			under_way += (unsigned)got;
		}
		if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, LOST_MS) == 0) {
			lost += under_way;
			under_way = 0;
			continue;
		}
		got = recvmmsg(fd, in, WINDOW, MSG_DONTWAIT, NULL);
		if (got < 0)
			continue;
		came += (unsigned)got;
		under_way -= (unsigned)got < under_way ? (unsigned)got : under_way;
	}
	printf("per_s %.0f sent %lu came %lu lost %lu\n",
	       (double)came / ((double)(stats_now_ns() - first) / 1e9), sent, came, lost);
}

int main(int argc, char **argv)
{
	if (argc != 5 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		die("net MEASURE ADDRESS PORT MS", NULL);
	to.sin_port = htons((uint16_t)tool_number("PORT", argv[3], 0, 65535));
	end_ns = stats_now_ns() + tool_number("MS", argv[4], 1, 1000000) * 1000000u;
	sample = tool_alloc(SAMPLES, sizeof(*sample));
	if (!strcmp(argv[1], "udp"))
		round_trips(dial(SOCK_DGRAM, 0), 0);
	else if (!strcmp(argv[1], "ping"))
		round_trips(dial(SOCK_DGRAM, IPPROTO_ICMP), sizeof(struct icmphdr));
	else if (!strcmp(argv[1], "crr"))
		connections();
	else if (!strcmp(argv[1], "pps"))
		packets();
	else
		die("no such measure", argv[1]);
	return 0;
}
