/* SPDX-License-Identifier: Apache-2.0 */
/* sock_wait.c: calls on sockets that wait: time-outs, signals with and without SA_RESTART. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>

#include "sock.h"

static volatile sig_atomic_t got;
static volatile int answer = -1; /* where the handler writes to */

static void on_signal(int sig)
{
	int saved = errno;

	got++;
	if (answer >= 0 && write(answer, "x", 1) != 1)
		_exit(3);
	errno = saved;
}

static void alarm_ms(int ms, int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
	struct itimerval t = {.it_value = {0, ms * 1000}};

	got = 0;
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void timeout_ms(int fd, int name, int ms)
{
	struct timeval t = {ms / 1000, ms % 1000 * 1000};

	CHECK(setsockopt(fd, SOL_SOCKET, name, &t, sizeof(t)) == 0);
}

static void timeouts(void)
{
	static char big[1 << 20];
	char c[8];
	int fd[2], port, l = listener(5, &port), udp = socket(AF_INET, SOCK_DGRAM, 0);
	long t = now_ms(), n;

	timeout_ms(l, SO_RCVTIMEO, 40);
	CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
	CHECK(now_ms() - t >= 39 && now_ms() - t < 2000);
	timeout_ms(udp, SO_RCVTIMEO, 40);
	t = now_ms();
	CHECK_ERR(recv(udp, c, 1, 0), EAGAIN);
	CHECK(now_ms() - t >= 39);

	tcp_pair(fd);
	timeout_ms(fd[0], SO_RCVTIMEO, 40);
	CHECK_ERR(read(fd[0], c, 1), EAGAIN);
	CHECK(send(fd[1], "part", 4, 0) == 4);
	t = now_ms();
	CHECK(recv(fd[0], c, 8, MSG_WAITALL) == 4 && now_ms() - t >= 39); /* what there was */
	timeout_ms(fd[0], SO_SNDTIMEO, 40);
	do { /* full: a part is sent, then nothing */
		t = now_ms();
		n = write(fd[0], big, sizeof(big));
	} while (n > 0);
	CHECK(n == -1 && errno == EAGAIN && events(fd[0], POLLOUT, 0) == 0);
	CHECK(now_ms() - t >= 39 && now_ms() - t < 2000);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0 && close(l) == 0 && close(udp) == 0);
}

static void signals(void)
{
	static char big[1 << 20];
	char c[8];
	int fd[2], port, l = listener(5, &port);
	long n;

	tcp_pair(fd);
	alarm_ms(30, 0);
	CHECK_ERR(read(fd[0], c, 1), EINTR);
	CHECK(got == 1);
	alarm_ms(30, 0);
	CHECK_ERR(accept(l, NULL, NULL), EINTR);
	CHECK(got == 1);

	/* with SA_RESTART it waits on, until the handler's byte is there */
	answer = fd[1];
	alarm_ms(30, SA_RESTART);
	CHECK(recv(fd[0], c, 8, 0) == 1 && c[0] == 'x' && got == 1);
	alarm_ms(30, SA_RESTART);
	CHECK(recvfrom(fd[0], c, 1, MSG_WAITALL, NULL, NULL) == 1 && got == 1);
	answer = -1;

	/* but not where there is a time-out: signal(7) */
	timeout_ms(fd[0], SO_RCVTIMEO, 5000);
	alarm_ms(30, SA_RESTART);
	CHECK_ERR(recv(fd[0], c, 8, 0), EINTR);
	CHECK(got == 1);
	timeout_ms(fd[0], SO_RCVTIMEO, 0);

	/* what was moved before the signal came is told */
	CHECK(send(fd[1], "part", 4, 0) == 4);
	alarm_ms(30, 0);
	CHECK(recv(fd[0], c, 8, MSG_WAITALL) == 4 && got == 1);
	alarm_ms(100, 0);
	for (n = 0; n < 64 && !got; n++) {
		long r = send(fd[0], big, sizeof(big), 0);

		if (r == -1) {
			CHECK(errno == EINTR);
			break;
		}
		CHECK(r > 0 && r <= (long)sizeof(big));
	}
	CHECK(got == 1 && n < 64);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0 && close(l) == 0);
}

/* Whenever the signal comes: what had been sent before the call is what the call tells of. */
static void races(void)
{
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};
	volatile unsigned spin;
	char c[8];
	int fd[2];

	tcp_pair(fd);
	CHECK(setsockopt(fd[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0);
	alarm_ms(1, 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (unsigned i = 0; i < 200; i++) {
		while (send(fd[1], "part", 4, 0) != 4)
			CHECK(errno == EINTR);
		for (spin = 0; spin < i * 1000; spin++)
			;
		CHECK(recv(fd[0], c, 8, MSG_WAITALL) == 4);
	}
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	CHECK(close(fd[0]) == 0 && close(fd[1]) == 0);
}

/* A connection that nobody answers: the listener's queue is full. */
static void connect_waits(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	int port, l = listener(0, &port), first = connected(port),
		  fd = socket(AF_INET, SOCK_STREAM, 0);
	long t = now_ms();

	a.sin_port = htons((uint16_t)port);
	timeout_ms(fd, SO_SNDTIMEO, 60);
	CHECK_ERR(connect(fd, SA(a), sizeof(a)), EINPROGRESS);
	CHECK(now_ms() - t >= 59 && now_ms() - t < 900);
	timeout_ms(fd, SO_SNDTIMEO, 0);
	alarm_ms(30, 0);
	CHECK_ERR(connect(fd, SA(a), sizeof(a)), EINTR);
	CHECK(got == 1);
	CHECK_ERR(getpeername(fd, SA(a), &(socklen_t){sizeof(a)}), ENOTCONN);
	CHECK(close(first) == 0 && close(fd) == 0 && close(l) == 0);
}

/* SO_LINGER waits until the other side has it all. */
static void lingers(void)
{
	struct linger five = {1, 5};
	char c[8];
	int fd[2];
	long t;

	tcp_pair(fd);
	CHECK(setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &five, sizeof(five)) == 0);
	t = now_ms();
	CHECK(send(fd[0], "last", 4, 0) == 4 && close(fd[0]) == 0 && now_ms() - t < 1000);
	CHECK(read(fd[1], c, 8) == 4 && read(fd[1], c, 8) == 0 && close(fd[1]) == 0);
}

int main(void)
{
	timeouts();
	signals();
	races();
	connect_waits();
	lingers();
	return success();
}
