/* SPDX-License-Identifier: Apache-2.0 */
/* sock_raw.c: raw sockets: an own ping of the loopback, with and without a header of one's own. */
#define _GNU_SOURCE
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include "sock.h"

static unsigned short checksum(const void *data, int bytes)
{
	const unsigned char *p = data;
	unsigned sum = 0;

	for (int i = 0; i < bytes; i += 2)
		sum += (unsigned)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((unsigned short)~sum);
}

static struct icmphdr request(unsigned short id, unsigned short sequence)
{
	struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {htons(id), htons(sequence)}};

	h.checksum = checksum(&h, sizeof(h));
	return h;
}

/* Waits for the answer; requests are seen, too, as they come to this machine. */
static void answered(int fd, unsigned short id, unsigned short sequence)
{
	struct {
		struct iphdr ip;
		struct icmphdr icmp;
		char data[64];
	} p;
	struct sockaddr_in from;
	socklen_t n;

	for (;;) {
		CHECK(events(fd, POLLIN, 1000) == POLLIN);
		n = sizeof(from);
		CHECK(recvfrom(fd, &p, sizeof(p), 0, SA(from), &n) == 28 && n == sizeof(from));
		CHECK(p.ip.version == 4 && p.ip.protocol == IPPROTO_ICMP &&
		      ntohs(p.ip.tot_len) == 28);
		CHECK(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && from.sin_port == 0);
		if (p.icmp.type == ICMP_ECHOREPLY)
			break;
		CHECK(p.icmp.type == ICMP_ECHO);
	}
	CHECK(ntohs(p.icmp.un.echo.id) == id && ntohs(p.icmp.un.echo.sequence) == sequence);
}

static void raw4(int fd)
{
	struct sockaddr_in to = in4("127.0.0.1", 0);
	struct icmphdr h = request(77, 1);
	struct {
		struct iphdr ip;
		struct icmphdr icmp;
	} own = {.ip = {.version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_ICMP}};
	unsigned filter = ~(1u << ICMP_ECHOREPLY);

	CHECK_ERR(send(fd, &h, sizeof(h), 0), EDESTADDRREQ);
	CHECK(sendto(fd, &h, sizeof(h), 0, SA(to), sizeof(to)) == sizeof(h));
	answered(fd, 77, 1);
	CHECK(connect(fd, SA(to), sizeof(to)) == 0);
	h = request(77, 2);
	CHECK(send(fd, &h, sizeof(h), 0) == sizeof(h));
	answered(fd, 77, 2);
	/* a filter: answers alone */
	CHECK(setsockopt(fd, 255, 1, &filter, sizeof(filter)) == 0);
	h = request(77, 3);
	CHECK(send(fd, &h, sizeof(h), 0) == sizeof(h));
	answered(fd, 77, 3);
	CHECK(events(fd, POLLIN, 20) == 0);
	/* the header, too, is ours; lengths and checksum are filled in */
	CHECK(set_int(fd, IPPROTO_IP, IP_HDRINCL, 1) == 0);
	own.icmp = request(77, 4);
	own.ip.daddr = htonl(INADDR_LOOPBACK);
	CHECK(send(fd, &own, sizeof(own), 0) == sizeof(own));
	answered(fd, 77, 4);
	CHECK(close(fd) == 0);
}

static void raw6(void)
{
	struct sockaddr_in6 to = in6("::1", 0), from;
	struct icmp6_hdr h = {.icmp6_type = ICMP6_ECHO_REQUEST}, got;
	struct icmp6_filter only;
	socklen_t n = sizeof(from);
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);

	CHECK(fd >= 0);
	ICMP6_FILTER_SETBLOCKALL(&only);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only);
	CHECK(setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof(only)) == 0);
	h.icmp6_id = htons(5);
	/* without a header in what comes, and with a checksum in what goes */
	CHECK(sendto(fd, &h, sizeof(h), 0, SA(to), sizeof(to)) == sizeof(h));
	CHECK(events(fd, POLLIN, 1000) == POLLIN);
	CHECK(recvfrom(fd, &got, sizeof(got), 0, SA(from), &n) == sizeof(got));
	CHECK(got.icmp6_type == ICMP6_ECHO_REPLY && ntohs(got.icmp6_id) == 5);
	CHECK(n == sizeof(from) && IN6_IS_ADDR_LOOPBACK(&from.sin6_addr) && close(fd) == 0);
}

/* Another protocol: whoever has a socket for it gets it. */
static void own_protocol(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0);
	char buf[64];
	int a = socket(AF_INET, SOCK_RAW, 253), b = socket(AF_INET, SOCK_RAW, 253);

	CHECK(a >= 0 && b >= 0 && sendto(a, "experiment", 10, 0, SA(to), sizeof(to)) == 10);
	CHECK(recv(a, buf, 64, 0) == 30 && recv(b, buf, 64, 0) == 30 &&
	      !memcmp(buf + 20, "exp", 3));
	CHECK(get_int(a, SOL_SOCKET, SO_PROTOCOL) == 253 && close(a) == 0 && close(b) == 0);
}

/* icmp(7): without privilege, where the system lets. */
static void ping_socket(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0);
	struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {0, htons(3)}}, got;
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);

	if (fd < 0) {
		CHECK(errno == EACCES); /* net.ipv4.ping_group_range */
		return;
	}
	CHECK(sendto(fd, &h, sizeof(h), 0, SA(to), sizeof(to)) == sizeof(h));
	CHECK(recv(fd, &got, sizeof(got), 0) == sizeof(got) && got.type == ICMP_ECHOREPLY);
	CHECK(got.un.echo.sequence == htons(3) && ntohs(got.un.echo.id) == local_port(fd));
	h.type = ICMP_ECHOREPLY;
	CHECK_ERR(sendto(fd, &h, sizeof(h), 0, SA(to), sizeof(to)), EINVAL);
	CHECK(close(fd) == 0);
}

int main(void)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

	if (fd < 0 && errno == EPERM) {
		puts("raw sockets need CAP_NET_RAW");
		return 77;
	}
	CHECK(fd >= 0);
	raw4(fd);
	raw6();
	own_protocol();
	ping_socket();
	return success();
}
