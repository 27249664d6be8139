/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.c: packet sockets on lo, among themselves: both types, addresses, protocols, what
 * was sent is seen, filters, limits. A local experimental EtherType (IEEE 802), so that nobody
 * else's frames come between.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define MINE 0x88b5
#ifndef PACKET_STATISTICS
#define PACKET_STATISTICS 6
#endif
#ifndef SO_ATTACH_FILTER
#define SO_ATTACH_FILTER 26
#define SO_DETACH_FILTER 27
#endif

/* struct sock_filter and sock_fprog of linux/filter.h, which musl's compiler does not find */
struct filter {
	unsigned short code;
	unsigned char jt, jf;
	unsigned k;
};
struct program {
	unsigned short len;
	struct filter *filter;
};

static unsigned char buf[70000];

static struct sockaddr_ll on_lo(int protocol)
{
	return (struct sockaddr_ll){.sll_family = AF_PACKET,
				    .sll_protocol = htons((unsigned short)protocol),
				    .sll_ifindex = 1,
				    .sll_halen = 6};
}

static int bound(int type, int protocol)
{
	struct sockaddr_ll at = on_lo(protocol);
	int fd = socket(AF_PACKET, type, 0);

	CHECK(fd >= 0 && bind(fd, (void *)&at, sizeof(at)) == 0);
	return fd;
}

static size_t frame(unsigned char *f, unsigned char to, int protocol, const char *text)
{
	memset(f, to, 6);
	memset(f + 6, 0, 6);
	f[12] = (unsigned char)(protocol >> 8);
	f[13] = (unsigned char)protocol;
	strcpy((char *)f + 14, text);
	return 14 + strlen(text);
}

/* The next frame of this protocol must say so. */
static void expect(int fd, int protocol, int type, int skip, const char *text)
{
	struct sockaddr_ll from;
	socklen_t n;
	ssize_t got;

	do {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		CHECK(poll(&p, 1, 5000) == 1);
		n = sizeof(from);
		got = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (void *)&from, &n);
		CHECK(got >= 0 && n == sizeof(from));
	} while (from.sll_protocol != htons((unsigned short)protocol));
	CHECK(from.sll_family == AF_PACKET && from.sll_ifindex == 1 && from.sll_halen == 6);
	CHECK(from.sll_hatype == 772 && from.sll_pkttype == type);
	CHECK(got == (ssize_t)(skip + (int)strlen(text)) &&
	      !memcmp(buf + skip, text, strlen(text)));
}

static void refusals(void)
{
	struct sockaddr_ll at = on_lo(MINE);
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct packet_mreq m = {.mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC};

	CHECK_ERR(socket(AF_PACKET, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	CHECK_ERR(bind(fd, (void *)&at, sizeof(at) - 1), EINVAL);
	at.sll_ifindex = 12345;
	CHECK_ERR(bind(fd, (void *)&at, sizeof(at)), ENODEV);
	CHECK_ERR(send(fd, buf, 60, 0), ENXIO);
	CHECK_ERR(sendto(fd, buf, 60, 0, (void *)&at, sizeof(at)), ENXIO);
	at = on_lo(MINE);
	CHECK_ERR(sendto(fd, buf, 60, 0, (void *)&at, 10), EINVAL);
	CHECK_ERR(sendto(fd, buf, 10, 0, (void *)&at, sizeof(at)), EINVAL);
	CHECK_ERR(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
	CHECK_ERR(recv(fd, buf, sizeof(buf), MSG_OOB), EINVAL);
	CHECK_ERR(listen(fd, 1), EOPNOTSUPP);
	CHECK_ERR(connect(fd, (void *)&at, sizeof(at)), EOPNOTSUPP);
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) == 0);
	m.mr_ifindex = 12345;
	CHECK_ERR(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)), ENODEV);
	CHECK_ERR(setsockopt(fd, SOL_PACKET, 99, &m, sizeof(m)), ENOPROTOOPT);
	CHECK(close(fd) == 0);
}

static void filters(void)
{
	/* ldb [14]; jeq 'y', keep; drop: 16 bytes of what begins with y */
	struct filter code[] = {
		{0x30, 0, 0, 14}, {0x15, 0, 1, 'y'}, {0x06, 0, 0, 16}, {0x06, 0, 0, 0}};
	struct program prog = {4, code};
	int a = bound(SOCK_RAW, MINE), b = bound(SOCK_RAW, 0);
	unsigned char f[100];

	CHECK(setsockopt(a, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0);
	CHECK(send(b, f, frame(f, 0, MINE, "no"), 0) > 0);
	CHECK(send(b, f, frame(f, 0, MINE, "yes"), 0) > 0);
	expect(a, MINE, PACKET_HOST, 14, "ye");
	CHECK(setsockopt(a, SOL_SOCKET, SO_DETACH_FILTER, &prog, sizeof(prog)) == 0);
	CHECK_ERR(setsockopt(a, SOL_SOCKET, SO_DETACH_FILTER, &prog, sizeof(prog)), ENOENT);
	code[1].jt = 2; /* out of the program */
	CHECK_ERR(setsockopt(a, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), EINVAL);
	code[1].jt = 0;
	prog.len = 2; /* does not return */
	CHECK_ERR(setsockopt(a, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), EINVAL);
	prog.len = 0;
	CHECK_ERR(setsockopt(a, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), EINVAL);
	prog = (struct program){4, BAD_POINTER};
	CHECK_ERR(setsockopt(a, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), EFAULT);
	CHECK(close(a) == 0 && close(b) == 0);
}

/* Nobody reads: the queue has an end, and what was lost is counted. */
static void limit(void)
{
	int a = bound(SOCK_RAW, MINE), b = bound(SOCK_RAW, 0), bytes = 20000, got = 0;
	struct {
		unsigned packets, drops;
	} stats;
	socklen_t n = sizeof(stats);
	unsigned char f[1000];

	CHECK(setsockopt(a, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
	memset(f, 'z', sizeof(f));
	for (int i = 0; i < 200; i++)
		CHECK(send(b, f, (frame(f, 0, MINE, ""), sizeof(f)), 0) == sizeof(f));
	while (recv(a, buf, sizeof(buf), MSG_DONTWAIT) == sizeof(f))
		got++;
	CHECK(got > 2 && got < 100);
	CHECK(getsockopt(a, SOL_PACKET, PACKET_STATISTICS, &stats, &n) == 0 && n == sizeof(stats));
	CHECK(stats.packets == 200 && stats.drops == 200u - (unsigned)got);
	CHECK(getsockopt(a, SOL_PACKET, PACKET_STATISTICS, &stats, &n) == 0);
	CHECK(stats.packets == 0 && stats.drops == 0);
	CHECK(close(a) == 0 && close(b) == 0);
}

/* What comes with a frame: when, and how long it was. */
static void extras(void)
{
	union {
		struct cmsghdr align;
		char bytes[256];
	} control;
	struct iovec iov = {buf, 10};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	int a = bound(SOCK_RAW, MINE), b = bound(SOCK_RAW, 0), one = 1, stamps = 0, lengths = 0;
	struct timespec now, t;
	unsigned aux[3]; /* struct tpacket_auxdata: status, length, how much the filter left */
	unsigned char f[100];

	CHECK(setsockopt(a, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) == 0);
	CHECK(setsockopt(a, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) == 0);
	CHECK(send(b, f, frame(f, 0, MINE, "stamped"), 0) == 21);
	CHECK(recvmsg(a, &m, 0) == 10 && m.msg_flags == MSG_TRUNC);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
			CHECK(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
			CHECK(now.tv_sec - t.tv_sec >= 0 && now.tv_sec - t.tv_sec < 10);
			stamps++;
		} else if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			memcpy(aux, CMSG_DATA(c), sizeof(aux));
			CHECK(aux[0] & 1 && aux[1] == 21 && aux[2] == 21);
			lengths++;
		}
	}
	CHECK(stamps == 1 && lengths == 1 && close(a) == 0 && close(b) == 0);
}

int main(void)
{
	struct sockaddr_ll at, name;
	socklen_t n = sizeof(name);
	struct iovec iov = {buf, 4};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int raw, cooked, all, sender;
	unsigned char f[200];

	if (geteuid()) {
		CHECK_ERR(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
		return success();
	}
	refusals();
	raw = bound(SOCK_RAW, MINE);
	cooked = bound(SOCK_DGRAM, MINE);
	all = bound(SOCK_RAW, ETH_P_ALL);
	sender = bound(SOCK_RAW, 0); /* receives nothing */
	CHECK(getsockname(raw, (void *)&name, &n) == 0 && n == 18);
	CHECK(name.sll_family == AF_PACKET && name.sll_protocol == htons(MINE) &&
	      name.sll_ifindex == 1 && name.sll_hatype == 772 && name.sll_halen == 6);

	CHECK(send(sender, f, frame(f, 0, MINE, "one"), 0) == 17);
	expect(raw, MINE, PACKET_HOST, 14, "one");
	expect(cooked, MINE, PACKET_HOST, 0, "one");
	expect(all, MINE, PACKET_OUTGOING, 14, "one");
	expect(all, MINE, PACKET_HOST, 14, "one");
	CHECK(send(sender, f, frame(f, 255, MINE, "two"), 0) == 17);
	expect(raw, MINE, PACKET_MULTICAST, 14, "two"); /* lo has no other broadcast address */
	CHECK(send(sender, f, frame(f, 3, MINE, "three"), 0) == 19);
	expect(raw, MINE, PACKET_MULTICAST, 14, "three");
	CHECK(send(sender, f, frame(f, 2, MINE, "four"), 0) == 18);
	expect(raw, MINE, PACKET_OTHERHOST, 14, "four");

	/* the header is made of the address; the sender does not see its own on the way out */
	at = on_lo(MINE);
	memset(at.sll_addr, 255, 6);
	expect(cooked, MINE, PACKET_MULTICAST, 0, "two");
	expect(cooked, MINE, PACKET_MULTICAST, 0, "three");
	expect(cooked, MINE, PACKET_OTHERHOST, 0, "four");
	CHECK(sendto(cooked, "five", 4, 0, (void *)&at, sizeof(at)) == 4);
	expect(cooked, MINE, PACKET_MULTICAST, 0, "five");
	CHECK(recv(raw, buf, sizeof(buf), MSG_PEEK) == 18 && buf[0] == 255 && buf[12] == 0x88);
	expect(raw, MINE, PACKET_MULTICAST, 14, "five");
	CHECK_ERR(recv(raw, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);

	/* less room than there is */
	CHECK(send(sender, f, frame(f, 0, MINE, "six"), 0) == 17);
	CHECK(recv(raw, buf, 3, MSG_PEEK | MSG_TRUNC) == 17);
	CHECK(recvmsg(raw, &m, 0) == 4 && m.msg_flags == MSG_TRUNC);
	CHECK_ERR(recv(raw, buf, sizeof(buf), MSG_DONTWAIT), EAGAIN);
	CHECK_ERR(send(sender, buf, 65536 + 14 + 4 + 1, 0), EMSGSIZE);
	CHECK(close(raw) == 0 && close(cooked) == 0 && close(all) == 0 && close(sender) == 0);
	extras();
	filters();
	limit();
	return success();
}
