/* SPDX-License-Identifier: Apache-2.0 */
/* sock_opt.c: options of sockets, IP and TCP: what is set is what is got, and what it does. */
#define _GNU_SOURCE
#include <sys/time.h>

#include "sock.h"

static void flags(void)
{
	static const struct {
		int level, name, v;
	} keep[] = {
		{SOL_SOCKET, SO_REUSEADDR, 1},    {SOL_SOCKET, SO_REUSEPORT, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},    {SOL_SOCKET, SO_OOBINLINE, 1},
		{SOL_SOCKET, SO_RCVLOWAT, 5},     {SOL_SOCKET, SO_PRIORITY, 3},
		{SOL_SOCKET, SO_TIMESTAMP, 1},    {IPPROTO_TCP, TCP_NODELAY, 1},
		{IPPROTO_TCP, TCP_CORK, 1},       {IPPROTO_TCP, TCP_CORK, 0},
		{IPPROTO_TCP, TCP_KEEPIDLE, 33},  {IPPROTO_TCP, TCP_KEEPINTVL, 7},
		{IPPROTO_TCP, TCP_KEEPCNT, 4},    {IPPROTO_TCP, TCP_USER_TIMEOUT, 5000},
		{IPPROTO_TCP, TCP_SYNCNT, 3},     {IPPROTO_TCP, TCP_LINGER2, 30},
		{IPPROTO_IP, IP_TTL, 33},         {IPPROTO_IP, IP_TOS, 0x10},
		{IPPROTO_IP, IP_MTU_DISCOVER, 2}, {IPPROTO_IP, IP_RECVERR, 1},
		{IPPROTO_IP, IP_FREEBIND, 1},
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(get_int(fd, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_WANT);
	for (unsigned i = 0; i < sizeof(keep) / sizeof(*keep); i++) {
		CHECK(set_int(fd, keep[i].level, keep[i].name, keep[i].v) == 0);
		if (get_int(fd, keep[i].level, keep[i].name) != keep[i].v)
			printf("level %d, option %d\n", keep[i].level, keep[i].name);
		CHECK(get_int(fd, keep[i].level, keep[i].name) == keep[i].v);
	}
	CHECK(get_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
	CHECK(get_int(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET);
	CHECK(get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
	CHECK(get_int(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0 &&
	      get_int(fd, SOL_SOCKET, SO_ERROR) == 0);
	CHECK(close(fd) == 0);
}

static void sizes(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char name[16] = "lo";
	socklen_t n = sizeof(name);

	/* twice what was asked for, and no less than some */
	CHECK(set_int(fd, SOL_SOCKET, SO_SNDBUF, 20000) == 0);
	CHECK(get_int(fd, SOL_SOCKET, SO_SNDBUF) == 40000);
	CHECK(set_int(fd, SOL_SOCKET, SO_RCVBUF, 30000) == 0);
	CHECK(get_int(fd, SOL_SOCKET, SO_RCVBUF) == 60000);
	CHECK(set_int(fd, SOL_SOCKET, SO_SNDBUF, 1) == 0 &&
	      get_int(fd, SOL_SOCKET, SO_SNDBUF) > 1000);

	CHECK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, 3) == 0);
	memset(name, 'x', sizeof(name));
	CHECK(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &n) == 0 && n == 3);
	CHECK(!strcmp(name, "lo"));
	CHECK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0) == 0);
	CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "none", 5), ENODEV);
	CHECK(close(fd) == 0);
}

static void structs(void)
{
	struct linger l = {1, 5}, got_l = {0, 0};
	struct timeval t = {2, 250000}, got_t = {0, 0};
	socklen_t n = sizeof(got_l);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &got_l, &n) == 0 && n == sizeof(l));
	CHECK(got_l.l_onoff == 1 && got_l.l_linger == 5);
	CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, 4), EINVAL);
	n = sizeof(got_t);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got_t, &n) == 0 && n == sizeof(t));
	CHECK(got_t.tv_sec == 2 && got_t.tv_usec >= 250000 && got_t.tv_usec < 260000);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &got_t, &n) == 0 && !got_t.tv_sec);
	t.tv_usec = 1000000;
	CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)), EDOM);
	CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, 8), EINVAL);
	CHECK(close(fd) == 0);
}

static void bad(void)
{
	socklen_t n = 4, negative = (socklen_t)-1;
	int fd = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), v = 1;

	CHECK_ERR(set_int(fd, SOL_SOCKET, 12345, 1), ENOPROTOOPT);
	CHECK_ERR(set_int(fd, 12345, 1, 1), ENOPROTOOPT);
	CHECK_ERR(set_int(fd, IPPROTO_TCP, 12345, 1), ENOPROTOOPT);
	CHECK_ERR(set_int(udp, IPPROTO_TCP, TCP_NODELAY, 1), ENOPROTOOPT);
	CHECK_ERR(set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), ENOPROTOOPT);
	CHECK_ERR(set_int(fd, SOL_SOCKET, SO_TYPE, 1), ENOPROTOOPT);
	CHECK_ERR(set_int(fd, SOL_SOCKET, SO_ERROR, 1), ENOPROTOOPT);
	CHECK_ERR(set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL);
	CHECK_ERR(set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 1000), EINVAL);
	CHECK_ERR(set_int(fd, IPPROTO_IP, IP_TTL, 256), EINVAL);
	CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, 2), EINVAL);
	CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, BAD_POINTER, 4), EFAULT);
	CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, negative), EINVAL);
	CHECK_ERR(getsockopt(fd, SOL_SOCKET, 12345, &v, &n), ENOPROTOOPT);
	CHECK_ERR(getsockopt(fd, 12345, 1, &v, &n), EOPNOTSUPP);
	CHECK_ERR(getsockopt(fd, SOL_SOCKET, SO_TYPE, BAD_POINTER, &n), EFAULT);
	CHECK_ERR(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, BAD_POINTER), EFAULT);
	CHECK_ERR(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &negative), EINVAL);
	v = -1;
	n = 2; /* a part of it */
	CHECK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, &n) == 0 && n == 2 && v == (int)0xffff0001);
	CHECK(close(fd) == 0 && close(udp) == 0);
}

/* What an accepted connection has of its listener. */
static void inherited(void)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);
	int port, l = listener(5, &port), fd, c;

	CHECK(set_int(l, SOL_SOCKET, SO_KEEPALIVE, 1) == 0 &&
	      set_int(l, IPPROTO_TCP, TCP_NODELAY, 1) == 0);
	CHECK(set_int(l, IPPROTO_TCP, TCP_KEEPIDLE, 77) == 0 &&
	      set_int(l, SOL_SOCKET, SO_RCVBUF, 30000) == 0);
	CHECK(fcntl(l, F_SETFL, O_NONBLOCK) == 0);
	c = connected(port);
	CHECK(events(l, POLLIN, 1000) == POLLIN && (fd = accept(l, NULL, NULL)) >= 0);
	CHECK(fcntl(fd, F_GETFL) == O_RDWR); /* but not this */
	CHECK(get_int(fd, SOL_SOCKET, SO_KEEPALIVE) == 1 &&
	      get_int(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 77 &&
	      get_int(fd, SOL_SOCKET, SO_RCVBUF) == 60000);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_MAXSEG) > 500);
	CHECK(get_int(c, IPPROTO_IP, IP_MTU) >= 16384); /* of lo */
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 && n >= 100);
	CHECK(info.tcpi_state == TCP_ESTABLISHED && info.tcpi_snd_mss > 500);
	CHECK(shutdown(fd, SHUT_WR) == 0 && events(c, POLLIN, 1000) == POLLIN);
	CHECK(getsockopt(c, IPPROTO_TCP, TCP_INFO, &info, &n) == 0);
	CHECK(info.tcpi_state == TCP_CLOSE_WAIT);
	CHECK(getsockopt(l, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
	      info.tcpi_state == TCP_LISTEN);
	CHECK(close(l) == 0 && close(fd) == 0 && close(c) == 0);
}

/* TCP_CORK and MSG_MORE hold back what is less than a segment; the end of it lets go. */
static void held_back(void)
{
	char buf[64];
	int fd[2];

	tcp_pair(fd);
	CHECK(set_int(fd[0], IPPROTO_TCP, TCP_CORK, 1) == 0);
	CHECK(send(fd[0], "head ", 5, 0) == 5 && events(fd[1], POLLIN, 10) == 0);
	CHECK(send(fd[0], "body", 4, 0) == 4 && set_int(fd[0], IPPROTO_TCP, TCP_CORK, 0) == 0);
	CHECK(events(fd[1], POLLIN, 1000) == POLLIN && recv(fd[1], buf, 64, 0) == 9);
	CHECK(events(fd[0], POLLIN, 10) == 0); /* an acknowledgement would take it along */
	CHECK(send(fd[0], "head ", 5, MSG_MORE) == 5 && events(fd[1], POLLIN, 10) == 0);
	CHECK(send(fd[0], "body", 4, 0) == 4);
	CHECK(events(fd[1], POLLIN, 1000) == POLLIN && recv(fd[1], buf, 64, 0) == 9);
	CHECK(send(fd[0], "late", 4, MSG_MORE) == 4);
	CHECK(events(fd[1], POLLIN, 2000) == POLLIN && recv(fd[1], buf, 64, 0) == 4);
	/* SO_RCVLOWAT: readable from so much on */
	CHECK(set_int(fd[1], SOL_SOCKET, SO_RCVLOWAT, 6) == 0);
	CHECK(send(fd[0], "123", 3, 0) == 3 && events(fd[1], POLLIN, 10) == 0);
	CHECK(send(fd[0], "456", 3, 0) == 3 && events(fd[1], POLLIN, 1000) == POLLIN);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0);
}

static void multicast(void)
{
	struct ip_mreqn m = {.imr_ifindex = 1};
	struct ipv6_mreq m6 = {.ipv6mr_interface = 1};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), fd6 = socket(AF_INET6, SOCK_DGRAM, 0);

	CHECK(get_int(fd, IPPROTO_IP, IP_MULTICAST_TTL) == 1 &&
	      get_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP) == 1);
	CHECK(set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, 9) == 0 &&
	      get_int(fd, IPPROTO_IP, IP_MULTICAST_TTL) == 9);
	CHECK(set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) == 0 &&
	      get_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP) == 0);
	CHECK(inet_pton(AF_INET, "239.1.2.3", &m.imr_multiaddr) == 1);
	CHECK(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) == 0);
	CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EADDRINUSE);
	CHECK(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m)) == 0);
	CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m)), EADDRNOTAVAIL);
	CHECK(inet_pton(AF_INET, "10.1.2.3", &m.imr_multiaddr) == 1);
	CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EINVAL);
	CHECK_ERR(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 4), EINVAL);
	CHECK(inet_pton(AF_INET6, "ff02::1234", &m6.ipv6mr_multiaddr) == 1);
	CHECK(setsockopt(fd6, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof(m6)) == 0);
	CHECK(setsockopt(fd6, IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, &m6, sizeof(m6)) == 0);
	m6.ipv6mr_interface = 99;
	CHECK_ERR(setsockopt(fd6, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof(m6)), ENODEV);
	CHECK(set_int(fd6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 3) == 0);
	CHECK(get_int(fd6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS) == 3);
	CHECK(set_int(fd6, IPPROTO_IPV6, IPV6_TCLASS, 16) == 0 &&
	      get_int(fd6, IPPROTO_IPV6, IPV6_TCLASS) == 16);
	CHECK(get_int(fd6, IPPROTO_IPV6, IPV6_UNICAST_HOPS) == 64);
	CHECK(close(fd) == 0 && close(fd6) == 0);
}

static void ioctls(void)
{
	int fd[2], v = 1;

	tcp_pair(fd);
	CHECK(ioctl(fd[0], FIONBIO, &v) == 0 && fcntl(fd[0], F_GETFL) & O_NONBLOCK);
	CHECK(ioctl(fd[0], FIONREAD, &v) == 0 && v == 0);
	CHECK(ioctl(fd[0], TIOCOUTQ, &v) == 0 && v == 0);
	CHECK(sockatmark(fd[0]) == 0);
	CHECK_ERR(ioctl(fd[0], FIONREAD, BAD_POINTER), EFAULT);
	CHECK_ERR(ioctl(fd[0], 0x12345, &v), ENOTTY);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0);
}

int main(void)
{
	flags();
	sizes();
	structs();
	bad();
	inherited();
	held_back();
	multicast();
	ioctls();
	return success();
}
