/* SPDX-License-Identifier: Apache-2.0 */
/* sock_msg.c: sendmsg, recvmsg, sendmmsg, recvmmsg and control messages. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "sock.h"

static int bound(int family)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	struct sockaddr_in6 a6 = in6("::1", 0);
	int fd = socket(family, SOCK_DGRAM, 0);

	CHECK(fd >= 0);
	if (family == AF_INET)
		CHECK(bind(fd, SA(a), sizeof(a)) == 0);
	else
		CHECK(bind(fd, SA(a6), sizeof(a6)) == 0);
	return fd;
}

static void vectors(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0), from;
	char a[4], b[64], many[UIO_MAXIOV + 1];
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"two!", 4}}, in[2] = {{a, 4}, {b, 64}};
	static struct iovec iov[UIO_MAXIOV + 1];
	int r = bound(AF_INET), s = bound(AF_INET);
	struct msghdr m = {
		.msg_iov = out, .msg_iovlen = 3, .msg_name = &to, .msg_namelen = sizeof(to)};

	to.sin_port = htons((uint16_t)local_port(r));
	CHECK(sendmsg(s, &m, 0) == 7);
	m = (struct msghdr){.msg_iov = in,
			    .msg_iovlen = 2,
			    .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_flags = -1};
	CHECK(recvmsg(r, &m, 0) == 7 && !memcmp(a, "onet", 4) && !memcmp(b, "wo!", 3));
	CHECK(m.msg_flags == 0 && m.msg_namelen == sizeof(from) && m.msg_controllen == 0);
	CHECK(ntohs(from.sin_port) == local_port(s));

	/* cut, and told so */
	CHECK(sendto(s, "123456789", 9, 0, SA(to), sizeof(to)) == 9);
	m.msg_iovlen = 1;
	CHECK(recvmsg(r, &m, 0) == 4 && m.msg_flags == MSG_TRUNC);
	CHECK(sendto(s, "123456789", 9, 0, SA(to), sizeof(to)) == 9);
	CHECK(recvmsg(r, &m, MSG_TRUNC) == 9 && m.msg_flags == MSG_TRUNC);

	/* many iovecs; too many */
	for (int i = 0; i <= UIO_MAXIOV; i++)
		iov[i] = (struct iovec){many + i, 1};
	memset(many, 'x', sizeof(many));
	m = (struct msghdr){.msg_iov = iov,
			    .msg_iovlen = UIO_MAXIOV,
			    .msg_name = &to,
			    .msg_namelen = sizeof(to)};
	CHECK(sendmsg(s, &m, 0) == UIO_MAXIOV);
	m.msg_iovlen++;
	CHECK_ERR(sendmsg(s, &m, 0), EMSGSIZE);
	m.msg_iovlen = UIO_MAXIOV;
	m.msg_name = NULL;
	CHECK(recvmsg(r, &m, 0) == UIO_MAXIOV);
	CHECK(close(r) == 0 && close(s) == 0);
}

/* A control message of the last one received; NULL: it has none such. */
static struct cmsghdr *find(struct msghdr *m, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return c;
	return NULL;
}

static void control4(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 0);
	union {
		char bytes[256];
		struct cmsghdr align;
	} control;
	char buf[16];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	struct in_pktinfo info;
	struct timeval tv, now;
	struct cmsghdr *c;
	int r = bound(AF_INET), s = bound(AF_INET), ttl;

	to.sin_port = htons((uint16_t)local_port(r));
	CHECK(set_int(r, IPPROTO_IP, IP_PKTINFO, 1) == 0 &&
	      set_int(r, IPPROTO_IP, IP_RECVTTL, 1) == 0);
	CHECK(set_int(r, IPPROTO_IP, IP_RECVTOS, 1) == 0);
	CHECK(set_int(r, SOL_SOCKET, SO_TIMESTAMP, 1) == 0);
	CHECK(set_int(s, IPPROTO_IP, IP_TTL, 42) == 0 && set_int(s, IPPROTO_IP, IP_TOS, 0x10) == 0);
	CHECK(sendto(s, "x", 1, 0, SA(to), sizeof(to)) == 1);
	m.msg_controllen = sizeof(control);
	CHECK(recvmsg(r, &m, 0) == 1 && m.msg_flags == 0);
	CHECK((c = find(&m, IPPROTO_IP, IP_PKTINFO)) && c->cmsg_len == CMSG_LEN(sizeof(info)));
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	CHECK(info.ipi_ifindex == 1 && info.ipi_addr.s_addr == htonl(INADDR_LOOPBACK));
	CHECK((c = find(&m, IPPROTO_IP, IP_TTL)) && c->cmsg_len == CMSG_LEN(sizeof(int)));
	memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	CHECK(ttl == 42);
	CHECK((c = find(&m, IPPROTO_IP, IP_TOS)) && *CMSG_DATA(c) == 0x10);
	CHECK((c = find(&m, SOL_SOCKET, SO_TIMESTAMP)) && c->cmsg_len == CMSG_LEN(sizeof(tv)));
	memcpy(&tv, CMSG_DATA(c), sizeof(tv));
	gettimeofday(&now, NULL);
	CHECK(now.tv_sec - tv.tv_sec <= 1 && tv.tv_usec < 1000000);

	/* no room for them */
	CHECK(sendto(s, "x", 1, 0, SA(to), sizeof(to)) == 1);
	m.msg_controllen = 20;
	CHECK(recvmsg(r, &m, 0) == 1 && m.msg_flags == MSG_CTRUNC);

	/* sent with: an address, a TTL of its own */
	memset(&control, 0, sizeof(control));
	m = (struct msghdr){.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_name = &to,
			    .msg_namelen = sizeof(to),
			    .msg_control = &control,
			    .msg_controllen = CMSG_SPACE(sizeof(int))};
	c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_TTL};
	memcpy(CMSG_DATA(c), &(int){7}, sizeof(int));
	CHECK(sendmsg(s, &m, 0) == sizeof(buf));
	m.msg_controllen = sizeof(control);
	CHECK(recvmsg(r, &m, 0) == sizeof(buf) && (c = find(&m, IPPROTO_IP, IP_TTL)));
	CHECK(*(int *)CMSG_DATA(c) == 7);
	CHECK(close(r) == 0 && close(s) == 0);
}

static void control6(void)
{
	struct sockaddr_in6 to = in6("::1", 0);
	union {
		char bytes[256];
		struct cmsghdr align;
	} control;
	char buf[16];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	struct in6_pktinfo info;
	struct cmsghdr *c;
	int r = bound(AF_INET6), s = bound(AF_INET6), hops;

	to.sin6_port = htons((uint16_t)local_port(r));
	CHECK(set_int(r, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) == 0);
	CHECK(set_int(r, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) == 0);
	CHECK(set_int(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9) == 0);
	CHECK(sendto(s, "x", 1, 0, SA(to), sizeof(to)) == 1 && recvmsg(r, &m, 0) == 1);
	CHECK((c = find(&m, IPPROTO_IPV6, IPV6_PKTINFO)));
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	CHECK(info.ipi6_ifindex == 1 && IN6_IS_ADDR_LOOPBACK(&info.ipi6_addr));
	CHECK((c = find(&m, IPPROTO_IPV6, IPV6_HOPLIMIT)));
	memcpy(&hops, CMSG_DATA(c), sizeof(hops));
	CHECK(hops == 9);

	/* The option of RFC 2292, which is its own message's type: busybox' ping6 has it. */
	CHECK(set_int(r, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0) == 0);
	CHECK(set_int(r, IPPROTO_IPV6, IPV6_2292HOPLIMIT, 1) == 0);
	CHECK(get_int(r, IPPROTO_IPV6, IPV6_2292HOPLIMIT) == 1);
	m.msg_controllen = sizeof(control);
	CHECK(sendto(s, "x", 1, 0, SA(to), sizeof(to)) == 1 && recvmsg(r, &m, 0) == 1);
	CHECK(!find(&m, IPPROTO_IPV6, IPV6_HOPLIMIT));
	CHECK((c = find(&m, IPPROTO_IPV6, IPV6_2292HOPLIMIT)));
	memcpy(&hops, CMSG_DATA(c), sizeof(hops));
	CHECK(hops == 9 && close(r) == 0 && close(s) == 0);
}

static void batches(void)
{
	enum { N = 5 };
	struct sockaddr_in to = in4("127.0.0.1", 0), from[N];
	struct timespec wait = {0, 30 * 1000000};
	struct mmsghdr out[N] = {0}, in[N + 3] = {0};
	char bytes[N][8], got[N + 3][8];
	struct iovec oiov[N], iiov[N + 3];
	int r = bound(AF_INET), s = bound(AF_INET);
	long t;

	to.sin_port = htons((uint16_t)local_port(r));
	for (int i = 0; i < N; i++) {
		memset(bytes[i], 'a' + i, sizeof(bytes[i]));
		oiov[i] = (struct iovec){bytes[i], (size_t)i + 1};
		out[i].msg_hdr = (struct msghdr){.msg_iov = &oiov[i],
						 .msg_iovlen = 1,
						 .msg_name = &to,
						 .msg_namelen = sizeof(to)};
	}
	for (int i = 0; i < N + 3; i++) {
		iiov[i] = (struct iovec){got[i], 8};
		in[i].msg_hdr = (struct msghdr){.msg_iov = &iiov[i], .msg_iovlen = 1};
	}
	in[0].msg_hdr.msg_name = &from[0];
	in[0].msg_hdr.msg_namelen = sizeof(from[0]);
	CHECK(sendmmsg(s, out, N, 0) == N && out[3].msg_len == 4);
	CHECK(recvmmsg(r, in, 2, 0, NULL) == 2 && in[1].msg_len == 2 && got[1][1] == 'b');
	CHECK(ntohs(from[0].sin_port) == local_port(s));
	CHECK(recvmmsg(r, in, N + 3, MSG_WAITFORONE, NULL) == 3 && in[2].msg_len == 5);
	CHECK_ERR(recvmmsg(r, in, 1, MSG_DONTWAIT, NULL), EAGAIN);
	CHECK(set_int(s, SOL_SOCKET, SO_SNDBUF, 10000) == 0 && sendmmsg(s, out, 0, 0) == 0);

	/* the time-out is looked at when a message has come */
	CHECK(sendmmsg(s, out, 1, 0) == 1);
	t = now_ms();
	CHECK(setsockopt(r, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 60000},
			 sizeof(struct timeval)) == 0);
	CHECK(recvmmsg(r, in, 2, 0, &wait) == 1 && now_ms() - t >= 50);
	wait.tv_nsec = -1;
	CHECK_ERR(recvmmsg(r, in, 2, 0, &wait), EINVAL);
	CHECK(close(r) == 0 && close(s) == 0);
}

static void bad(void)
{
	struct sockaddr_in to = in4("127.0.0.1", 9);
	struct msghdr m = {.msg_iov = BAD_POINTER, .msg_iovlen = 1};
	struct iovec iov = {BAD_POINTER, 5};
	char buf[8];
	int s = bound(AF_INET), r = bound(AF_INET);

	/* C libraries look at a header and its control messages themselves. */
	CHECK_ERR(syscall(SYS_sendmsg, s, BAD_POINTER, 0), EFAULT);
	CHECK_ERR(syscall(SYS_sendmsg, s, &m, 0), EFAULT);
	m = (struct msghdr){
		.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &to, .msg_namelen = sizeof(to)};
	CHECK_ERR(syscall(SYS_sendmsg, s, &m, 0), EFAULT);
	m.msg_control = BAD_POINTER;
	m.msg_controllen = 16;
	iov = (struct iovec){"x", 1};
	CHECK_ERR(syscall(SYS_sendmsg, s, &m, 0), EFAULT);
	m.msg_controllen = 0;
	m.msg_namelen = 5;
	CHECK_ERR(syscall(SYS_sendmsg, s, &m, 0), EINVAL);
	CHECK_ERR(sendto(s, "x", 1, 0, BAD_POINTER, sizeof(to)), EFAULT);
	CHECK_ERR(sendto(s, "x", 1, 0, SA(to), 200), EINVAL);
	to.sin_port = htons((uint16_t)local_port(r));
	CHECK(sendto(s, "x", 1, 0, SA(to), sizeof(to)) == 1);
	CHECK_ERR(recv(r, BAD_POINTER, 5, 0), EFAULT);
	CHECK(sendto(s, "x", 1, 0, SA(to), sizeof(to)) == 1);
	CHECK_ERR(recvfrom(r, buf, 5, 0, SA(to), BAD_POINTER), EFAULT);
	CHECK(close(r) == 0 && close(s) == 0);
}

int main(void)
{
	vectors();
	control4();
	control6();
	batches();
	bad();
	return success();
}
