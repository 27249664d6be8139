/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd.c: timers that are read: once, periodic, absolute; what waits for them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define MS 1000000L
#define S  1000000000L

static const struct itimerspec off;

static long now_ns(clockid_t clock)
{
	struct timespec t;

	CHECK(clock_gettime(clock, &t) == 0);
	return t.tv_sec * S + t.tv_nsec;
}

static struct itimerspec spec(long first_ns, long every_ns)
{
	return (struct itimerspec){.it_value = {first_ns / S, first_ns % S},
				   .it_interval = {every_ns / S, every_ns % S}};
}

static void set(int fd, int flags, long first_ns, long every_ns)
{
	struct itimerspec it = spec(first_ns, every_ns);

	CHECK(timerfd_settime(fd, flags, &it, NULL) == 0);
}

static long left_ns(int fd)
{
	struct itimerspec it;

	CHECK(timerfd_gettime(fd, &it) == 0);
	return it.it_value.tv_sec * S + it.it_value.tv_nsec;
}

static uint64_t take(int fd)
{
	uint64_t v = 0;

	CHECK(read(fd, &v, sizeof(v)) == sizeof(v));
	return v;
}

static int is_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	int n = poll(&p, 1, 0);

	CHECK(n == 0 || (n == 1 && p.revents == POLLIN));
	return n;
}

static void errors(void)
{
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), other = eventfd(0, 0);
	struct itimerspec it = spec(0, 0);
	static const struct itimerspec bad[] = {
		{.it_value = {-1, 0}},
		{.it_value = {0, S}},
		{.it_value = {0, -1}},
		{.it_value = {1, 0}, .it_interval = {0, S}},
		{.it_value = {1, 0}, .it_interval = {-1, 0}},
	};
	char path[64], link[64] = "";
	struct stat st;
	uint64_t v;

	CHECK(t >= 0 && fcntl(t, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(t, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	CHECK_ERR(timerfd_create(99, 0), EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_ERR(timerfd_settime(t, 0, &bad[i], NULL), EINVAL);
	CHECK_ERR(timerfd_settime(t, 4, &it, NULL), EINVAL);
	CHECK_ERR(timerfd_settime(other, 0, &it, NULL), EINVAL);
	CHECK_ERR(timerfd_settime(900, 0, &it, NULL), EBADF);
	CHECK_ERR(timerfd_settime(t, 0, BAD_POINTER, NULL), EFAULT);
	CHECK_ERR(timerfd_gettime(900, &it), EBADF);
	CHECK_ERR(timerfd_gettime(other, &it), EINVAL);
	CHECK_ERR(timerfd_gettime(t, BAD_POINTER), EFAULT);
	CHECK_ERR(read(t, &v, 7), EINVAL);
	CHECK_ERR(read(t, &v, 8), EAGAIN);
	CHECK_ERR(write(t, &v, 8), EINVAL);
	CHECK(timerfd_gettime(t, &it) == 0 && !memcmp(&it, &off, sizeof(it)) && !is_ready(t));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0 && !strcmp(link, "anon_inode:[timerfd]"));
	CHECK(fstat(t, &st) == 0 && st.st_mode == 0600);
	CHECK(close(t) == 0 && close(other) == 0);
}

static void once(int clock)
{
	int t = timerfd_create(clock, 0);
	long start = now_ns(CLOCK_MONOTONIC), left;
	struct itimerspec it = spec(100 * MS, 0), old;

	CHECK(timerfd_settime(t, 0, &it, NULL) == 0);
	left = left_ns(t);
	CHECK(left > 0 && left <= 100 * MS && !is_ready(t));
	CHECK(take(t) == 1 && now_ns(CLOCK_MONOTONIC) - start >= 100 * MS);
	CHECK(left_ns(t) == 0 && !is_ready(t));

	/* absolute; what is over expires at once */
	start = now_ns(clock);
	set(t, TFD_TIMER_ABSTIME, start + 100 * MS, 0);
	left = left_ns(t);
	CHECK(left > 0 && left <= 100 * MS);
	CHECK(take(t) == 1 && now_ns(clock) >= start + 100 * MS);
	set(t, TFD_TIMER_ABSTIME, 1, 0);
	CHECK(take(t) == 1);
	set(t, TFD_TIMER_ABSTIME, start - 10 * MS, 10 * S);
	CHECK(take(t) == 1 && left_ns(t) > 9 * S);
	set(t, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, start + 1000 * S, 0);
	CHECK(left_ns(t) > 900 * S);

	/* disarmed, and set anew before it was read */
	it = spec(7 * S, 2 * S);
	CHECK(timerfd_settime(t, 0, &it, &old) == 0 && !old.it_interval.tv_sec);
	CHECK(old.it_value.tv_sec > 900);
	CHECK(timerfd_settime(t, 0, &off, &old) == 0);
	CHECK(old.it_interval.tv_sec == 2 && old.it_value.tv_sec == 6);
	CHECK(left_ns(t) == 0 && !is_ready(t));
	set(t, 0, 1, 0);
	CHECK(usleep(1000) == 0 && is_ready(t));
	set(t, 0, 10 * S, 0);
	CHECK(!is_ready(t) && left_ns(t) > 9 * S && close(t) == 0);
}

static void periodic(void)
{
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	long start = now_ns(CLOCK_MONOTONIC), passed;
	struct itimerspec it;
	uint64_t v;

	set(t, 0, 10 * MS, 10 * MS);
	CHECK(usleep(55000) == 0);
	v = take(t);
	passed = now_ns(CLOCK_MONOTONIC) - start;
	CHECK(v >= 5 && v <= (uint64_t)(passed / (10 * MS)));
	CHECK_ERR(read(t, &v, 8), EAGAIN);
	/* no expiry is lost or counted twice */
	CHECK(fcntl(t, F_SETFL, 0) == 0);
	for (int i = 0; i < 3; i++)
		v += take(t);
	CHECK(timerfd_gettime(t, &it) == 0 && it.it_interval.tv_nsec == 10 * MS);
	CHECK(it.it_value.tv_nsec > 0 && it.it_value.tv_nsec <= 10 * MS);
	/* to be asked for the time leaves the count */
	CHECK(usleep(25000) == 0 && left_ns(t) > 0 && is_ready(t) && take(t) >= 2);
	/* only the first time is given: the interval begins with it */
	set(t, 0, 5 * MS, S);
	CHECK(take(t) == 1 && left_ns(t) > S / 2 && close(t) == 0);
}

static void waiting(void)
{
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), u, ep = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u64 = 1};
	struct pollfd p = {.fd = t, .events = POLLIN};
	struct timeval tv = {10, 0};
	long start = now_ns(CLOCK_MONOTONIC);
	fd_set in;
	int fd[2];

	set(t, 0, 150 * MS, 0);
	CHECK(poll(&p, 1, 10) == 0);
	CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLIN);
	CHECK(now_ns(CLOCK_MONOTONIC) - start >= 150 * MS && take(t) == 1);
	set(t, 0, 10 * MS, 0);
	FD_ZERO(&in);
	FD_SET(t, &in);
	CHECK(select(t + 1, &in, NULL, NULL, &tv) == 1 && FD_ISSET(t, &in) && take(t) == 1);

	/* an edge for each expiry that follows a read; unread, a periodic one stands still */
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, t, &e) == 0);
	set(t, 0, 10 * MS, 10 * MS);
	CHECK(epoll_wait(ep, &e, 1, -1) == 1 && e.data.u64 == 1 && e.events == EPOLLIN);
	CHECK(epoll_wait(ep, &e, 1, 40) == 0 && take(t) >= 4);
	CHECK(epoll_wait(ep, &e, 1, -1) == 1 && take(t) >= 1);
	/* expired in a sleep: the event is there after it */
	CHECK(usleep(30000) == 0 && epoll_wait(ep, &e, 1, 0) == 1 && take(t) >= 2);
	/* in a wait for something else: that goes on */
	start = now_ns(CLOCK_MONOTONIC);
	CHECK(pipe(fd) == 0);
	p = (struct pollfd){.fd = fd[0], .events = POLLIN};
	CHECK(poll(&p, 1, 50) == 0 && now_ns(CLOCK_MONOTONIC) - start >= 50 * MS);

	/* the earlier of two, and the later one */
	u = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	e = (struct epoll_event){.events = EPOLLIN, .data.u64 = 2};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, u, &e) == 0);
	set(t, 0, 300 * MS, 0);
	set(u, TFD_TIMER_ABSTIME, now_ns(CLOCK_REALTIME) + 20 * MS, 0);
	CHECK(epoll_wait(ep, &e, 1, -1) == 1 && e.data.u64 == 2 && take(u) == 1);
	CHECK(epoll_wait(ep, &e, 1, -1) == 1 && e.data.u64 == 1 && take(t) == 1);
	/* one that is closed does not come */
	set(t, 0, 10 * MS, 0);
	CHECK(close(t) == 0 && epoll_wait(ep, &e, 1, 30) == 0);
	CHECK(close(u) == 0 && close(ep) == 0 && close(fd[0]) == 0 && close(fd[1]) == 0);
}

int main(void)
{
	errors();
	once(CLOCK_MONOTONIC);
	once(CLOCK_REALTIME);
	once(CLOCK_BOOTTIME);
	periodic();
	waiting();
	return success();
}
