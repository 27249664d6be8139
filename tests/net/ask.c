/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c WHAT ADDRESS [NUMBER...]: the client of the network tests. Runs in a VM and as a
 * process; asks a serve.c at the address, and fails unless the answer is as it must be.
 *
 *   send BYTES | receive BYTES | both BYTES   streams with sums at both ends; prints MB/s
 *   many N          N connections at once, each with something else to say
 *   udp COUNT SIZE [LOST]   datagrams one by one, at most LOST (0) without an answer
 *   flood COUNT SIZE PERCENT   datagrams that nobody answers; prints how many arrived, which
 *                   are so many of a hundred at least
 *   big SIZE        one datagram of so many bytes and back: fragments
 *   path MTU        datagrams that nobody may cut: the path's MTU is found, and kept to
 *   half            our half is closed first, theirs after all of it has come
 *   reset           they reset the connection
 *   abort N         we do, N times, and they see it
 *   refused         nobody listens: TCP's RST, UDP's ICMP
 *   until           connects until that works
 *   stat            prints what the server has counted: accepted, resets, ends, datagrams
 *   hold            an open connection: prints "ready" when it answers, "silent" when it does so
 *                   no more; fails when it is closed or reset
 *   end             tells the server to end
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"

#define LIMIT_S 60
#define WORDS   8192
#define SEED    0x6d6179666c79u

static struct sockaddr_storage to;
static socklen_t to_bytes;
static uint64_t words[WORDS + 1];

#define NEED(what)                                                                            \
	do {                                                                                  \
		if (!(what)) {                                                                \
			fprintf(stderr, "ask: not true: %s (line %d, errno %d: %s)\n", #what, \
				__LINE__, errno, strerror(errno));                            \
			exit(1);                                                              \
		}                                                                             \
	} while (0)

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void address(const char *text)
{
	struct sockaddr_in *v4 = (void *)&to;
	struct sockaddr_in6 *v6 = (void *)&to;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		to_bytes = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		to_bytes = sizeof(*v6);
	} else {
		fail(text);
	}
}

static int try(int type, int port)
{
	int fd = socket(to.ss_family, type | SOCK_CLOEXEC, 0), error;

	NEED(fd >= 0);
	((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port); /* sin6_port, too */
	if (!connect(fd, (void *)&to, to_bytes))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int dial(int type, int port)
{
	int fd = try(type, port);

	NEED(fd >= 0);
	return fd;
}

static void read_all(int fd, void *data, size_t bytes)
{
	ssize_t got;

	for (char *p = data; bytes; p += got, bytes -= (size_t)got) {
		got = read(fd, p, bytes);
		NEED(got > 0);
	}
}

static void write_all(int fd, const void *data, size_t bytes)
{
	ssize_t got;

	for (const char *p = data; bytes; p += got, bytes -= (size_t)got) {
		got = write(fd, p, bytes);
		NEED(got > 0);
	}
}

static void same(struct sum ours, struct sum theirs, uint64_t bytes)
{
	if (ours.bytes == bytes && theirs.bytes == bytes && ours.a == theirs.a &&
	    ours.b == theirs.b)
		return;
	fprintf(stderr, "ask: of %lu bytes: here %lu (%lx, %lx), there %lu (%lx, %lx)\n", bytes,
		ours.bytes, ours.a, ours.b, theirs.bytes, theirs.a, theirs.b);
	exit(1);
}

static void print_rate(uint64_t bytes, double began)
{
	printf("%.1f MB/s\n", (double)bytes / 1e6 / (now_s() - began));
}

static void send_stream(uint64_t bytes)
{
	int fd = dial(SOCK_STREAM, PORT_SINK);
	struct summing ours = {0};
	struct sum theirs;
	double began = now_s();
	char end;

	for (uint64_t at = 0; at < bytes;) {
		size_t part = bytes - at < WORDS * 8 ? bytes - at : WORDS * 8;
		const char *data = stream_fill(words, (part + 7) / 8, SEED, at);

		write_all(fd, data, part);
		sum_add(&ours, data, part);
		at += part;
	}
	NEED(!shutdown(fd, SHUT_WR));
	read_all(fd, &theirs, sizeof(theirs));
	print_rate(bytes, began);
	same(sum_end(&ours), theirs, bytes);
	NEED(read(fd, &end, 1) == 0);
	close(fd);
}

static void receive_stream(uint64_t bytes)
{
	int fd = dial(SOCK_STREAM, PORT_SOURCE);
	struct order order = {.bytes = bytes, .seed = SEED};
	struct summing ours = {0};
	struct sum theirs;
	double began = now_s();
	char end;

	write_all(fd, &order, sizeof(order));
	while (ours.sum.bytes < bytes) {
		size_t part = bytes - ours.sum.bytes;
		ssize_t got = read(fd, words, part < sizeof(words) ? part : sizeof(words));

		NEED(got > 0);
		sum_add(&ours, words, (size_t)got);
	}
	read_all(fd, &theirs, sizeof(theirs));
	print_rate(bytes, began);
	same(sum_end(&ours), theirs, bytes);
	NEED(read(fd, &end, 1) == 0);
	close(fd);
}

/* Both ways in one connection, more than the buffers hold: an echo that we feed and read. */
static void both_ways(uint64_t bytes)
{
	int fd = dial(SOCK_STREAM, PORT_ECHO);
	struct summing sent = {0}, came = {0};
	double began = now_s();

	while (came.sum.bytes < bytes) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (sent.sum.bytes < bytes)
			p.events |= POLLOUT;
		NEED(poll(&p, 1, 20000) == 1);
		if (p.revents & POLLOUT) {
			size_t part =
				bytes - sent.sum.bytes < 16384 ? bytes - sent.sum.bytes : 16384;
			const char *data = stream_fill(words, (part + 7) / 8, SEED, sent.sum.bytes);

			got = send(fd, data, part, MSG_DONTWAIT);
			NEED(got > 0 || errno == EAGAIN);
			if (got > 0)
				sum_add(&sent, data, (size_t)got);
		}
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			got = recv(fd, words, sizeof(words), MSG_DONTWAIT);
			NEED(got > 0);
			sum_add(&came, words, (size_t)got);
		}
	}
	print_rate(2 * bytes, began);
	same(sum_end(&sent), sum_end(&came), bytes);
	NEED(!shutdown(fd, SHUT_WR)); /* earlier it is for half() */
	NEED(read(fd, words, 1) == 0);
	close(fd);
}

static void many(unsigned n)
{
	int *fd = calloc(n, sizeof(*fd));
	uint64_t word;

	NEED(fd);
	for (unsigned i = 0; i < n; i++)
		fd[i] = dial(SOCK_STREAM, PORT_ECHO);
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < n; i++) {
			word = stream_word(SEED + (unsigned)round, i);
			write_all(fd[i], &word, sizeof(word));
		}
		for (unsigned i = n; i-- > 0;) {
			read_all(fd[i], &word, sizeof(word));
			NEED(word == stream_word(SEED + (unsigned)round, i));
		}
	}
	for (unsigned i = 0; i < n; i++) {
		NEED(!shutdown(fd[i], SHUT_WR));
		NEED(read(fd[i], &word, 1) == 0);
		close(fd[i]);
	}
	printf("%u connections\n", n);
}

static void udp(unsigned count, size_t size, unsigned may_be_lost)
{
	int fd = dial(SOCK_DGRAM, PORT_ECHO);
	static uint64_t back[WORDS + 1];
	unsigned lost = 0;

	NEED(size >= 8 && size <= 65507);
	for (unsigned i = 0; i < count; i++) {
		const char *data = stream_fill(words, (size + 7) / 8, SEED, (uint64_t)i * 65536);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		bool is = false;

		NEED(send(fd, data, size, 0) == (ssize_t)size);
		/* A late or doubled answer to an earlier one is not this one's. */
		while (!is && poll(&p, 1, 400) == 1) {
			ssize_t got = recv(fd, back, sizeof(back), 0);

			is = got == (ssize_t)size && !memcmp(back, data, size);
			NEED(is || may_be_lost);
		}
		lost += !is;
	}
	printf("%u of %u lost\n", lost, count);
	NEED(lost <= may_be_lost);
	close(fd);
}

static struct stat_answer asked(void)
{
	struct stat_answer s;
	int fd = dial(SOCK_STREAM, PORT_STAT);

	read_all(fd, &s, sizeof(s));
	close(fd);
	return s;
}

static void flood(unsigned count, size_t size, unsigned percent)
{
	int fd = dial(SOCK_DGRAM, PORT_SILENT);
	struct stat_answer before = asked(), after;

	for (unsigned i = 0; i < count; i++)
		(void)!send(fd, words, size, 0);
	after = asked();
	printf("%lu of %u arrived\n", after.datagrams - before.datagrams, count);
	NEED((after.datagrams - before.datagrams) * 100 >= (uint64_t)count * percent);
	NEED(after.datagrams - before.datagrams <= count);
	close(fd);
}

static int path_mtu(int fd)
{
	int mtu, v6 = to.ss_family == AF_INET6;
	socklen_t bytes = sizeof(mtu);

	NEED(!getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &mtu, &bytes));
	return mtu;
}

/* What is too large for a router comes back as an error; what is for us is not even sent. */
static void path(size_t mtu)
{
	int fd = dial(SOCK_DGRAM, PORT_ECHO), whole = IP_PMTUDISC_DO; /* IPv6's is the same */
	int v6 = to.ss_family == AF_INET6;
	size_t size = mtu - 8 - (v6 ? 40 : 20);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	NEED(!setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
			 v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &whole, sizeof(whole)));
	NEED(path_mtu(fd) > (int)mtu);
	NEED(send(fd, words, size + 1, 0) == (ssize_t)size + 1);
	NEED(poll(&p, 1, 5000) == 1 && p.revents & POLLERR);
	NEED(recv(fd, &byte, 1, 0) < 0 && errno == EMSGSIZE);
	NEED(path_mtu(fd) == (int)mtu);
	NEED(send(fd, words, size + 1, 0) < 0 && errno == EMSGSIZE);
	NEED(send(fd, words, size, 0) == (ssize_t)size);
	NEED(poll(&p, 1, 5000) == 1 && !(p.revents & POLLERR));
	NEED(recv(fd, words, sizeof(words), 0) == (ssize_t)size);
	close(fd);
}

static void half(void)
{
	static const char text[] = "what is said before we fall silent";
	int fd = dial(SOCK_STREAM, PORT_ECHO);
	struct order order = {.bytes = 3000000, .seed = SEED};
	char back[sizeof(text)], end;
	struct summing ours = {0};
	ssize_t got;

	write_all(fd, text, sizeof(text));
	NEED(!shutdown(fd, SHUT_WR));
	NEED(send(fd, text, 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	read_all(fd, back, sizeof(back));
	NEED(!memcmp(back, text, sizeof(text)));
	NEED(read(fd, &end, 1) == 0);
	close(fd);

	/* Much more comes back than fits any buffer, long after our FIN. */
	fd = dial(SOCK_STREAM, PORT_SOURCE);
	write_all(fd, &order, sizeof(order));
	NEED(!shutdown(fd, SHUT_WR));
	while ((got = read(fd, words, sizeof(words))) > 0)
		sum_add(&ours, words, (size_t)got);
	NEED(got == 0);
	NEED(ours.sum.bytes == order.bytes + sizeof(struct sum));
	close(fd);
}

static void reset(void)
{
	int fd = dial(SOCK_STREAM, PORT_RESET), error;
	socklen_t bytes = sizeof(error);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte = 0;

	write_all(fd, &byte, 1);
	NEED(poll(&p, 1, 5000) == 1);
	NEED(p.revents & POLLERR && p.revents & POLLHUP);
	NEED(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) && error == ECONNRESET);
	NEED(read(fd, &byte, 1) == 0); /* the error was told */
	close(fd);
	fd = dial(SOCK_STREAM, PORT_RESET);
	write_all(fd, &byte, 1);
	NEED(read(fd, &byte, 1) < 0 && errno == ECONNRESET);
	NEED(send(fd, &byte, 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	close(fd);
}

static void abort_it(unsigned n)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct stat_answer before = asked(), after;
	double until = now_s() + 5;

	for (unsigned i = 0; i < n; i++) {
		int fd = dial(SOCK_STREAM, PORT_GONE);

		write_all(fd, "x", 1);
		NEED(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
		close(fd);
	}
	do
		after = asked();
	while (after.resets - before.resets < n && now_s() < until);
	NEED(after.resets - before.resets == n && after.ends == before.ends);
}

static void refused(void)
{
	char byte = 0;
	int fd;

	NEED(try(SOCK_STREAM, PORT_NOBODY) < 0 && errno == ECONNREFUSED);
	fd = dial(SOCK_DGRAM, PORT_NOBODY);
	NEED(send(fd, &byte, 1, 0) == 1);
	NEED(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5000) == 1);
	NEED(recv(fd, &byte, 1, 0) < 0 && errno == ECONNREFUSED);
	close(fd);
}

static void until_it_connects(void)
{
	int fd;

	while ((fd = try(SOCK_STREAM, PORT_STAT)) < 0)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	close(fd);
}

static void print_stat(void)
{
	struct stat_answer s = asked();

	printf("%lu %lu %lu %lu\n", s.accepted, s.resets, s.ends, s.datagrams);
}

static void hold(void)
{
	int fd = dial(SOCK_STREAM, PORT_ECHO);
	uint64_t word = 0, back;

	alarm(0); /* until somebody ends us */
	for (bool was = false, is = true; is; was = true) {
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		word++;
		write_all(fd, &word, sizeof(word));
		is = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000) == 1;
		if (is)
			read_all(fd, &back, sizeof(back));
		NEED(!is || back == word);
		if (is == was)
			continue;
		puts(is ? "ready" : "silent");
		fflush(stdout);
	}
	NEED(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1) != 1);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	uint64_t a = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
	uint64_t b = argc > 4 ? strtoull(argv[4], NULL, 0) : 0;
	uint64_t c = argc > 5 ? strtoull(argv[5], NULL, 0) : 0;

	alarm(LIMIT_S);
	if (argc > 2)
		address(argv[2]);
	if (!strcmp(what, "send"))
		send_stream(a);
	else if (!strcmp(what, "receive"))
		receive_stream(a);
	else if (!strcmp(what, "both"))
		both_ways(a);
	else if (!strcmp(what, "many"))
		many((unsigned)a);
	else if (!strcmp(what, "udp"))
		udp((unsigned)a, b, (unsigned)c);
	else if (!strcmp(what, "flood"))
		flood((unsigned)a, b, (unsigned)c);
	else if (!strcmp(what, "big"))
		udp(1, a, 0);
	else if (!strcmp(what, "path"))
		path(a);
	else if (!strcmp(what, "half"))
		half();
	else if (!strcmp(what, "reset"))
		reset();
	else if (!strcmp(what, "abort"))
		abort_it((unsigned)a);
	else if (!strcmp(what, "refused"))
		refused();
	else if (!strcmp(what, "until"))
		until_it_connects();
	else if (!strcmp(what, "stat"))
		print_stat();
	else if (!strcmp(what, "hold"))
		hold();
	else if (!strcmp(what, "end"))
		close(dial(SOCK_STREAM, PORT_END));
	else
		fprintf(stderr, "ask: see its head comment\n"), exit(2);
	return 0;
}
