/* SPDX-License-Identifier: Apache-2.0 */
/* alarm.c: timers interrupt a program that only computes, and keep their beat. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t calls;

static void on_alarm(int sig)
{
	(void)sig;
	calls++;
}

static long now_ms(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval timer = {{0, 0}, {0, 50000}}, left;
	volatile unsigned long n = 0;
	long start = now_ms(), took;

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	while (!calls)
		n++;
	took = now_ms() - start;
	CHECK(took >= 49 && took < 5000);
	CHECK(getitimer(ITIMER_REAL, &left) == 0 && !left.it_value.tv_sec &&
	      !left.it_value.tv_usec);

	/* periodic: not more often than it says, and not much less */
	timer = (struct itimerval){{0, 5000}, {0, 5000}};
	calls = 0;
	start = now_ms();
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	while (now_ms() - start < 300)
		for (int i = 0; i < 10000; i++)
			n++;
	CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_interval.tv_usec == 5000);
	timer = (struct itimerval){{0, 0}, {0, 0}};
	CHECK(setitimer(ITIMER_REAL, &timer, &left) == 0);
	took = now_ms() - start;
	CHECK(calls >= 10 && calls <= took / 5 + 1);
	n = (unsigned long)calls;
	usleep(20000);
	CHECK(n == (unsigned long)calls); /* off */

	CHECK(alarm(100) == 0 && alarm(1) == 100);
	calls = 0;
	start = now_ms();
	CHECK_ERR(pause(), EINTR);
	CHECK(calls == 1 && now_ms() - start >= 990);
	CHECK(alarm(5) == 0 && alarm(0) == 5 && alarm(0) == 0);
	timer.it_value.tv_usec = 1000000;
	CHECK_ERR(setitimer(ITIMER_REAL, &timer, NULL), EINVAL);
	CHECK_ERR(setitimer(99, &timer, NULL), EINVAL);
	return success();
}
