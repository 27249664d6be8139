/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall.c: a personal firewall (LightVM, section 7.2): forwards frames between two network
 * devices, as far as its rules allow.
 *
 *     firewall [-i IN] [-o OUT] [-d allow|deny] [RULE]...      eth0, eth1, allow
 *
 *     RULE     "allow|deny PROTOCOL FROM TO [PORT]"; the first that matches counts; - reads
 *              rules from stdin, one a line
 *     PROTOCOL any, tcp, udp, icmp or a number
 *     FROM TO  any, or an address with or without /BITS, of IPv4 or IPv6
 *     PORT     of TO
 *
 * A rule is about a flow: packets from FROM to port PORT of TO, and those that come back. ARP
 * and neighbour discovery always pass, other protocols than IP are denied by "-d deny" alone.
 * SIGUSR1 prints the counters, SIGTERM prints them and ends the program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RULES_MAX 256
#define BATCH     32
#define FRAME_MAX (10 + 65536 + ETH_HLEN) /* with struct virtio_net_hdr, a large segment */
#define ANY       -1

struct range {
	int family, bits; /* family 0: any */
	uint8_t address[16];
};

struct rule {
	int allow, protocol, port;
	struct range from, to;
	unsigned long packets;
};

struct packet { /* what rules look at */
	int family, protocol, from_port, to_port;
	const uint8_t *from, *to;
};

static struct rule rule[RULES_MAX];
static unsigned rules;
static int default_allow = 1;
static unsigned long allowed, denied, by_default, lost;
static unsigned head_bytes; /* of struct virtio_net_hdr before each frame */
static int signals[2];      /* a pipe: a signal that comes before the wait ends it all the same */

/* ---- rules ---- */

static int parse_range(const char *text, struct range *r)
{
	char address[64];
	const char *slash = strchr(text, '/');

	if (!strcmp(text, "any"))
		return 0;
	snprintf(address, sizeof(address), "%.*s", slash ? (int)(slash - text) : 63, text);
	r->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	r->bits = slash ? atoi(slash + 1) : 128;
	if (r->bits < 0 || (slash && r->bits > (r->family == AF_INET ? 32 : 128)))
		return -1;
	r->bits = r->family == AF_INET && r->bits > 32 ? 32 : r->bits;
	return inet_pton(r->family, address, r->address) == 1 ? 0 : -1;
}

static void add_rule(const char *text)
{
	struct rule *r = &rule[rules];
	char verdict[8], protocol[8], from[64], to[64], *end;
	int n, at = 0;

	r->port = ANY;
	n = sscanf(text, "%7s %7s %63s %63s %n", verdict, protocol, from, to, &at);
	r->allow = n >= 4 && !strcmp(verdict, "allow");
	/* What is no port must not be taken for any: that would let too much through. */
	if (n >= 4 && text[at]) {
		long port = strtol(text + at, &end, 10);

		r->port = port < 0 || port > 65535 ? ANY : (int)port;
		if (end == text + at || end[strspn(end, " \t\r")] || r->port == ANY)
			n = 0;
	}
	if (n >= 4)
		r->protocol = !strcmp(protocol, "any")    ? ANY
			      : !strcmp(protocol, "tcp")  ? IPPROTO_TCP
			      : !strcmp(protocol, "udp")  ? IPPROTO_UDP
			      : !strcmp(protocol, "icmp") ? IPPROTO_ICMP
							  : atoi(protocol);
	if (n < 4 || (!r->allow && strcmp(verdict, "deny")) || !r->protocol ||
	    parse_range(from, &r->from) || parse_range(to, &r->to) || rules == RULES_MAX - 1) {
		fprintf(stderr, "firewall: not a rule: %s\n", text);
		exit(2);
	}
	rules++;
}

static void read_rules(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "#\n")] = '\0';
		if (line[strspn(line, " \t")])
			add_rule(line);
	}
}

/* ---- packets ---- */

/* The packet's protocol, behind IPv6 extension headers (RFC 8200, 4.1); *head gets where its own
 * header is. -1: not the first fragment, or cut short. */
static int next_header(const uint8_t *ip, size_t n, unsigned *head)
{
	int protocol = ip[6];

	while (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_FRAGMENT) {
		const uint8_t *h = ip + *head;

		if (n < *head + 8u ||
		    (protocol == IPPROTO_FRAGMENT && ((h[2] << 8 | h[3]) & 0xfff8)))
			return -1;
		*head += protocol == IPPROTO_FRAGMENT ? 8 : (h[1] + 1) * 8u;
		protocol = h[0];
	}
	return protocol;
}

/* 1: rules say what becomes of it; 0: of nobody's interest; -1: neighbours are being asked for */
static int parse(const uint8_t *frame, size_t n, struct packet *p)
{
	unsigned type, head;
	const uint8_t *ip = frame + ETH_HLEN;

	if (n < ETH_HLEN)
		return 0;
	type = (unsigned)frame[12] << 8 | frame[13];
	n -= ETH_HLEN;
	p->from_port = p->to_port = ANY;
	if (type == ETH_P_ARP)
		return -1;
	if (type == ETH_P_IP && n >= 20 && (head = (ip[0] & 15) * 4u) >= 20 && n >= head) {
		p->family = AF_INET;
		p->protocol = ip[9];
		p->from = ip + 12;
		p->to = ip + 16;
		if (((ip[6] & 0x1f) | ip[7]) != 0)
			return 1; /* not a packet's first fragment: no ports */
	} else if (type == ETH_P_IPV6 && n >= 40) {
		head = 40;
		p->family = AF_INET6;
		p->protocol = next_header(ip, n, &head);
		if (p->protocol == IPPROTO_ICMPV6)
			p->protocol = IPPROTO_ICMP;
		p->from = ip + 8;
		p->to = ip + 24;
		/* RFC 4861: router and neighbour solicitation and advertisement. A hop limit of
		 * 255: no router has passed it on. */
		if (ip[6] == IPPROTO_ICMPV6 && ip[7] == 255 && n > 40 && ip[40] >= 133 &&
		    ip[40] <= 136)
			return -1;
	} else {
		return 0;
	}
	if ((p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP) && n >= head + 4) {
		p->from_port = ip[head] << 8 | ip[head + 1];
		p->to_port = ip[head + 2] << 8 | ip[head + 3];
	}
	return 1;
}

static int in_range(const struct range *r, int family, const uint8_t *address)
{
	int whole = r->bits / 8, rest = r->bits % 8;

	if (!r->family)
		return 1;
	return r->family == family && !memcmp(r->address, address, (size_t)whole) &&
	       (!rest || !((r->address[whole] ^ address[whole]) >> (8 - rest)));
}

static int matches(const struct rule *r, const struct packet *p)
{
	if (r->protocol != ANY && r->protocol != p->protocol)
		return 0;
	return (in_range(&r->from, p->family, p->from) && in_range(&r->to, p->family, p->to) &&
		(r->port == ANY || r->port == p->to_port)) ||
	       (in_range(&r->to, p->family, p->from) && in_range(&r->from, p->family, p->to) &&
		(r->port == ANY || r->port == p->from_port));
}

static int passes(const uint8_t *frame, size_t n)
{
	struct packet p;
	int kind = parse(frame, n, &p);

	if (kind < 0)
		return 1;
	for (unsigned i = 0; kind && i < rules; i++) {
		if (matches(&rule[i], &p)) {
			rule[i].packets++;
			return rule[i].allow;
		}
	}
	by_default++;
	return default_allow;
}

/* ---- devices ---- */

static int open_device(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), bytes = 4 << 20, one = 1;

	at.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !at.sll_ifindex || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all))) {
		fprintf(stderr, "firewall: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	/* With it large segments, and checksums that are not made yet, pass as they are. */
	if (!setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		head_bytes = 10;
	return fd;
}

/* What has come in, as far as it may, goes out: a call each for many frames. */
static void forward(int in, int out)
{
	static char data[BATCH][FRAME_MAX];
	static struct sockaddr_ll from[BATCH];
	static struct iovec iov[BATCH];
	static struct mmsghdr m[BATCH];
	static int used = BATCH; /* headers that the last call has changed */
	unsigned n = 0;
	int got;

	for (int i = 0; i < used; i++) {
		iov[i] = (struct iovec){data[i], FRAME_MAX};
		m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
					       .msg_namelen = sizeof(from[i]),
					       .msg_iov = &iov[i],
					       .msg_iovlen = 1};
	}
	got = recvmmsg(in, m, BATCH, MSG_DONTWAIT, NULL);
	used = got > 0 ? got : 0;
	for (int i = 0; i < got; i++) {
		if (from[i].sll_pkttype == PACKET_OUTGOING)
			continue;
		if (m[i].msg_len <= head_bytes ||
		    !passes((uint8_t *)data[i] + head_bytes, m[i].msg_len - head_bytes)) {
			denied++;
			continue;
		}
		allowed++;
		iov[i].iov_len = m[i].msg_len;
		m[n++].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	for (unsigned i = 0; i < n;) {
		int sent = sendmmsg(out, m + i, n - i, 0);

		lost += sent <= 0;
		i += sent > 0 ? (unsigned)sent : 1;
	}
}

static void print(void)
{
	for (unsigned i = 0; i < rules; i++)
		printf("rule %u %lu\n", i + 1, rule[i].packets);
	printf("default %lu\nallowed %lu\ndenied %lu\nlost %lu\n", by_default, allowed, denied,
	       lost);
	fflush(stdout);
}

static void on_signal(int sig)
{
	char byte = sig == SIGUSR1 ? 'p' : 'e';
	ssize_t ignored = write(signals[1], &byte, 1);

	(void)ignored;
}

int main(int argc, char **argv)
{
	const char *name[2] = {"eth0", "eth1"};
	struct pollfd wait[3];
	char byte = 0;
	int option;

	while ((option = getopt(argc, argv, "i:o:d:")) != -1) {
		if (option == 'i' || option == 'o')
			name[option == 'o'] = optarg;
		else if (option == 'd' && (!strcmp(optarg, "allow") || !strcmp(optarg, "deny")))
			default_allow = optarg[0] == 'a';
		else
			return 2;
	}
	for (int i = optind; i < argc; i++) {
		if (!strcmp(argv[i], "-"))
			read_rules();
		else
			add_rule(argv[i]);
	}
	for (int i = 0; i < 2; i++)
		wait[i] = (struct pollfd){.fd = open_device(name[i]), .events = POLLIN};
	if (pipe(signals)) {
		perror("firewall: pipe");
		return 1;
	}
	wait[2] = (struct pollfd){.fd = signals[0], .events = POLLIN};
	signal(SIGUSR1, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	printf("firewall: %s %s, %u rules\n", name[0], name[1], rules);
	fflush(stdout);
	while (byte != 'e') {
		if (poll(wait, 3, -1) <= 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (wait[i].revents)
				forward(wait[i].fd, wait[!i].fd);
		if (wait[2].revents && read(signals[0], &byte, 1) == 1)
			print();
	}
	return 0;
}
