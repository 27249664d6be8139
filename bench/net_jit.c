/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_jit.c: the two ends of bench/net-jit.sh, where a packet to an address starts the VM that
 * has it.
 *
 *   net_jit clients NETWORK COUNT INTERVAL_US
 *     One ping to each of COUNT addresses, NETWORK + 1.0 and on, every INTERVAL_US; prints how long
 * the answers took. The kernel keeps a packet while it asks who has the address: nothing is sent
 * twice, and an ARP request that is repeated (after 1 s) shows as such a latency.
 *
 *   net_jit dispatcher IFACE NETWORK SOCKET BODY
 *     Sees the ARP requests on IFACE (a bridge: its ports have none left for others); for an
 * address that it has not seen yet it has the daemon start a VM, by BODY with the address in place
 * of each @. The VM tells by itself who it is (RFC 5227, 2.3), which is the answer to the request.
 * Prints "ready".
 *
 * NETWORK: a /16, like 10.9; addresses begin at .1.0.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http.h"
#include "stats.h"
#include "tool.h"

#define LIMIT_MS    5000 /* for the last answers */
#define MAX_CLIENTS 60000
#define WORKERS     3
#define FIRST       256u /* .1.0 */

static uint32_t network(const char *text)
{
	unsigned a, b;

	if (sscanf(text, "%u.%u", &a, &b) != 2 || a > 255 || b > 255)
		die("NETWORK", text);
	return a << 24 | b << 16;
}

/* ---- clients ---- */

struct ping {
	struct icmphdr icmp;
	uint32_t client;
};

static uint64_t *sent_ns, *took_ns;
static unsigned answered;

static void take_answers(int fd, unsigned count)
{
	struct sockaddr_in from;
	socklen_t bytes = sizeof(from);
	struct ping p;

	while (recvfrom(fd, &p, sizeof(p), MSG_DONTWAIT, (void *)&from, &bytes) == sizeof(p))
		if (p.icmp.type == ICMP_ECHOREPLY && p.client < count && !took_ns[p.client]) {
			took_ns[p.client] = stats_now_ns() - sent_ns[p.client];
			answered++;
		}
}

/* Answers that come before the given time, or until all have come. */
static void answers_until(int fd, unsigned count, uint64_t until)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (uint64_t now; (now = stats_now_ns()) < until && answered < count;) {
		struct timespec left = {0, (long)((until - now) % 1000000000u)};

		left.tv_sec = (time_t)((until - now) / 1000000000u);
		if (ppoll(&p, 1, &left, NULL) > 0)
			take_answers(fd, count);
	}
}

static int clients(char **argv)
{
	unsigned count = (unsigned)tool_number("COUNT", argv[3], 1, MAX_CLIENTS), slow = 0;
	uint64_t interval = tool_number("INTERVAL_US", argv[4], 1, 10000000) * 1000, next, *sorted;
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP), large = 4 << 20;
	size_t n = 0;

	if (fd < 0)
		die_errno("an ICMP socket (net.ipv4.ping_group_range)");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	sent_ns = tool_alloc(count, sizeof(*sent_ns));
	took_ns = tool_alloc(count, sizeof(*took_ns));
	sorted = tool_alloc(count, sizeof(*sorted));
	next = stats_now_ns();
	for (uint32_t i = 0; i < count; i++) {
		struct ping p = {.icmp.type = ICMP_ECHO, .client = i};

		to.sin_addr.s_addr = htonl(network(argv[2]) + FIRST + i);
		sent_ns[i] = stats_now_ns();
		if (sendto(fd, &p, sizeof(p), 0, (void *)&to, sizeof(to)) != sizeof(p))
			die_errno("sendto");
		next += interval;
		answers_until(fd, count + 1, next); /* + 1: until then, even if all have come */
	}
	answers_until(fd, count, stats_now_ns() + LIMIT_MS * 1000000ull);
	for (unsigned i = 0; i < count; i++)
		if (took_ns[i])
			sorted[n++] = took_ns[i];
	if (!n)
		die("no client got an answer", NULL);
	stats_sort(sorted, n);
	for (size_t i = 0; i < n; i++)
		slow += sorted[i] > 900000000u;
	printf("clients %u lost %zu p50_ms %.3f p90_ms %.3f p99_ms %.3f max_ms %.3f asked_again "
	       "%u\n",
	       count, count - n, (double)stats_quantile(sorted, n, 0.5) / 1e6,
	       (double)stats_quantile(sorted, n, 0.9) / 1e6,
	       (double)stats_quantile(sorted, n, 0.99) / 1e6, (double)sorted[n - 1] / 1e6, slow);
	return 0;
}

/* ---- dispatcher ---- */

/* BODY with the address in place of each @. */
static void fill_in(char *to, size_t size, const char *body, uint32_t address)
{
	struct in_addr a = {htonl(address)};
	size_t n = 0;

	for (; *body && n + 20 < size; body++) {
		if (*body == '@')
			n += (size_t)sprintf(to + n, "%s", inet_ntoa(a));
		else
			to[n++] = *body;
	}
	to[n] = '\0';
}

struct arp {
	struct arphdr head;
	uint8_t sha[6], spa[4], tha[6], tpa[4];
} __attribute__((packed));

/* One of WORKERS: requests for the addresses that are its share. */
static _Noreturn void dispatch(char **argv, unsigned worker)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
	static bool seen[65536];
	const uint32_t net = network(argv[3]);
	struct http http;
	struct arp arp;
	char body[4096];

	at.sll_ifindex = (int)if_nametoindex(argv[2]);
	if (fd < 0 || !at.sll_ifindex || bind(fd, (void *)&at, sizeof(at)))
		die_errno(argv[2]);
	http_open(&http, argv[4]);
	if (worker == 0) {
		puts("ready");
		fflush(stdout);
	}
	for (;;) {
		uint32_t who;

		if (recv(fd, &arp, sizeof(arp), 0) < (ssize_t)sizeof(arp))
			continue;
		memcpy(&who, arp.tpa, 4);
		who = ntohl(who);
		if (ntohs(arp.head.ar_op) != ARPOP_REQUEST || (who & 0xffff0000) != net ||
		    (who & 0xffff) < FIRST || who % WORKERS != worker || seen[who & 0xffff] ||
		    !memcmp(arp.spa, arp.tpa, 4))
			continue;
		seen[who & 0xffff] = true;
		fill_in(body, sizeof(body), argv[5], who);
		if (http_call(&http, "POST", "/v1/vms", body) / 100 != 2)
			fprintf(stderr, "%s: %s\n", body, http.body);
	}
}

static int dispatcher(char **argv)
{
	for (unsigned i = 1; i < WORKERS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die_errno("fork");
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			dispatch(argv, i);
		}
	}
	dispatch(argv, 0);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "clients"))
		return clients(argv);
	if (argc == 6 && !strcmp(argv[1], "dispatcher"))
		return dispatcher(argv);
	die("net_jit clients NETWORK COUNT INTERVAL_US | dispatcher IFACE NETWORK SOCKET BODY",
	    NULL);
}
