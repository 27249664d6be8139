/* SPDX-License-Identifier: Apache-2.0 */
/* sock_many.c: a thousand connections at once, under an edge-triggered epoll; and sendfile. */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "sock.h"

#define N 1000

static int client[N], server[N];
static struct epoll_event events_of[N + 1];

static int epoll_for(int ep, int n, int ms)
{
	int got = 0;

	while (got < n) {
		int r = epoll_wait(ep, events_of + got, N + 1 - got, ms);

		CHECK(r >= 0);
		if (!r)
			break;
		got += r;
	}
	return got;
}

static void many(void)
{
	struct rlimit limit = {2 * N + 20, 2 * N + 20};
	struct sockaddr_in a = in4("127.0.0.1", 0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	int port, l = listener(N, &port), ep = epoll_create1(0), count = 0, n;
	char buf[64];

	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 && ep >= 0);
	a.sin_port = htons((uint16_t)port);
	nonblocking(l);
	for (int i = 0; i < N; i++) {
		client[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(client[i] >= 0);
		CHECK_ERR(connect(client[i], SA(a), sizeof(a)), EINPROGRESS);
		if (i % 100 == 99) {
			CHECK(events(l, POLLIN, 1000) == POLLIN);
			while ((n = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0)
				server[count++] = n;
			CHECK(errno == EAGAIN);
		}
	}
	while (count < N && events(l, POLLIN, 3000) == POLLIN)
		while ((n = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0)
			server[count++] = n;
	CHECK(count == N);
	for (int i = 0; i < N; i++) {
		e.data.u32 = (unsigned)i;
		CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, server[i], &e) == 0);
	}
	CHECK(epoll_wait(ep, events_of, N, 0) == 0);

	/* each says something: an edge each, and no other */
	for (int i = 0; i < N; i++)
		CHECK(send(client[i], &i, sizeof(i), 0) == sizeof(i));
	CHECK(epoll_for(ep, N, 2000) == N && epoll_wait(ep, events_of, N, 0) == 0);
	/* more bytes are another edge, though the first were not read */
	CHECK(send(client[7], "more", 4, 0) == 4);
	CHECK(epoll_for(ep, 1, 2000) == 1 && events_of[0].events == EPOLLIN);
	n = events_of[0].data.u32;
	CHECK(recv(server[n], buf, 64, 0) == 8 && epoll_wait(ep, events_of, N, 0) == 0);

	/* all answer; each client gets its own */
	for (int i = 0; i < N; i++) {
		int v = 7;

		if (i != n)
			CHECK(recv(server[i], &v, sizeof(v), 0) == sizeof(v));
		v += 1000000;
		CHECK(send(server[i], &v, sizeof(v), 0) == sizeof(v));
	}
	for (int i = 0; i < N; i++) {
		int v;

		CHECK(events(client[i], POLLIN, 2000) == POLLIN);
		CHECK(recv(client[i], &v, sizeof(v), 0) == sizeof(v) && v == 1000000 + i);
	}
	/* the ends are edges, too */
	for (int i = 0; i < N; i++)
		CHECK(close(client[i]) == 0);
	CHECK(epoll_for(ep, N, 2000) == N);
	for (int i = 0; i < N; i++)
		CHECK(recv(server[i], buf, 1, 0) == 0 && close(server[i]) == 0);
	CHECK(close(ep) == 0 && close(l) == 0);
}

/* Room that comes is one edge for who found none. */
static void room(void)
{
	static char big[1 << 20];
	struct epoll_event e = {.events = EPOLLOUT | EPOLLET};
	int fd[2], ep = epoll_create1(0);
	long sent = 0, read = 0, n;

	tcp_pair(fd);
	nonblocking(fd[0]);
	nonblocking(fd[1]);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e) == 0);
	CHECK(epoll_wait(ep, events_of, 1, 0) == 1 && events_of[0].events == EPOLLOUT);
	do {
		n = send(fd[0], big, sizeof(big), 0);
		sent += n > 0 ? n : 0;
	} while (n > 0);
	CHECK(errno == EAGAIN && epoll_wait(ep, events_of, 1, 0) == 0);
	while (read < sent) {
		CHECK(events(fd[1], POLLIN, 2000) == POLLIN);
		n = recv(fd[1], big, sizeof(big), 0);
		CHECK(n > 0);
		read += n;
	}
	CHECK(epoll_for(ep, 1, 2000) == 1 && events_of[0].events == EPOLLOUT);
	CHECK(close(ep) == 0 && close(fd[0]) == 0 && close(fd[1]) == 0);
}

static void files(void)
{
	static char text[200000], got[200000];
	char name[] = "/tmp/sock_many.XXXXXX";
	int fd[2], file = mkstemp(name);
	off_t off = 100;
	long done = 0, n;

	CHECK(file >= 0 && unlink(name) == 0);
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	CHECK(write(file, text, sizeof(text)) == sizeof(text));
	tcp_pair(fd);
	nonblocking(fd[0]);
	CHECK(sendfile(fd[0], file, &off, 1000) == 1000 && off == 1100);
	CHECK(recv(fd[1], got, 1000, MSG_WAITALL) == 1000 && !memcmp(got, text + 100, 1000));
	CHECK(lseek(file, 0, SEEK_SET) == 0);
	while (done < (long)sizeof(text)) {
		n = sendfile(fd[0], file, NULL, sizeof(text));
		CHECK(n > 0 || (n == -1 && errno == EAGAIN));
		for (; events(fd[1], POLLIN, 100) == POLLIN; done += n) {
			n = recv(fd[1], got + done, sizeof(got) - (size_t)done, 0);
			CHECK(n > 0);
			if (done + n == sizeof(text)) {
				done += n;
				break;
			}
		}
	}
	CHECK(!memcmp(got, text, sizeof(text)) && lseek(file, 0, SEEK_CUR) == sizeof(text));
	CHECK(sendfile(fd[0], file, NULL, 10) == 0);        /* the end */
	CHECK_ERR(sendfile(file, fd[0], NULL, 10), EINVAL); /* a socket has no pages */
	CHECK(close(file) == 0 && close(fd[0]) == 0 && close(fd[1]) == 0);
}

int main(void)
{
	many();
	room();
	files();
	return success();
}
