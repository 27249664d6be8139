/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c: see loop.h. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "timers.h"

#define BATCH      64 /* events of one call */
#define MAX_BEFORE 4

struct watch {
	loop_ready *ready; /* NULL: not watched */
	void *arg;
	uint32_t used; /* how often; tells an event of a forgotten descriptor from a new one's */
};

struct loop {
	int epoll;
	bool stop;
	struct watch *watch; /* by descriptor */
	int nwatch;
	struct timers timers;
	struct {
		loop_expired *call;
		void *arg;
	} before[MAX_BEFORE];
};

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return NULL;
	}
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	close(l->epoll);
	timers_free(&l->timers);
	free(l->watch);
	free(l);
}

static int make_room(struct loop *l, int fd)
{
	int size = l->nwatch ? l->nwatch : 64;
	struct watch *watch;

	if (fd < l->nwatch)
		return 0;
	while (size <= fd)
		size *= 2;
	watch = realloc(l->watch, (size_t)size * sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	memset(watch + l->nwatch, 0, (size_t)(size - l->nwatch) * sizeof(*watch));
	l->watch = watch;
	l->nwatch = size;
	return 0;
}

static int control(struct loop *l, int op, int fd, uint32_t events)
{
	struct epoll_event ev = {
		.events = events,
		.data.u64 = (uint64_t)l->watch[fd].used << 32 | (uint32_t)fd,
	};

	return epoll_ctl(l->epoll, op, fd, &ev) ? -errno : 0;
}

int loop_watch(struct loop *l, int fd, uint32_t events, loop_ready *ready, void *arg)
{
	int ret;

	if (fd < 0 || fd > INT_MAX / 2)
		return -EBADF;
	ret = make_room(l, fd);
	if (ret)
		return ret;
	if (l->watch[fd].ready)
		return -EEXIST;
	ret = control(l, EPOLL_CTL_ADD, fd, events);
	if (!ret) {
		l->watch[fd].ready = ready;
		l->watch[fd].arg = arg;
	}
	return ret;
}

void loop_change(struct loop *l, int fd, uint32_t events)
{
	if (fd < 0 || fd >= l->nwatch || !l->watch[fd].ready)
		return;
	if (events) {
		control(l, EPOLL_CTL_MOD, fd, events);
		return;
	}
	control(l, EPOLL_CTL_DEL, fd, 0);
	l->watch[fd].ready = NULL;
	l->watch[fd].used++;
}

uint64_t loop_after(struct loop *l, uint64_t ns, loop_expired *expired, void *arg)
{
	uint64_t now = loop_now_ns();

	return timers_add(&l->timers, ns > INT64_MAX - now ? INT64_MAX : now + ns, expired, arg);
}

void loop_cancel(struct loop *l, uint64_t token)
{
	timers_cancel(&l->timers, token);
}

void loop_before_sleep(struct loop *l, loop_expired *before, void *arg)
{
	for (int i = 0; i < MAX_BEFORE; i++) {
		if (before && l->before[i].call)
			continue;
		if (!before && l->before[i].arg != arg)
			continue;
		l->before[i].call = before;
		l->before[i].arg = before ? arg : NULL;
		return;
	}
	/* As many as there are modules that ask for it: known when this is built. */
	if (before)
		abort();
}

static void dispatch(struct loop *l, const struct epoll_event *ev)
{
	uint32_t fd = (uint32_t)ev->data.u64;
	const struct watch *w = &l->watch[fd];

	/* An earlier callback of this batch may have forgotten it, and even watch another
	 * file by the same number. */
	if (w->ready && w->used == ev->data.u64 >> 32)
		w->ready(w->arg, ev->events);
}

/* NULL: no limit. A whole second more than a day at most, for no clock to overflow. */
static const struct timespec *until_next(const struct loop *l, struct timespec *ts)
{
	uint64_t next = timers_next_ns(&l->timers), now = loop_now_ns();
	uint64_t ns = next > now ? next - now : 0;

	if (next == UINT64_MAX)
		return NULL;
	ts->tv_sec = ns / 1000000000 > 86400 ? 86400 : (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);
	return ts;
}

int loop_run(struct loop *l)
{
	struct epoll_event ev[BATCH];
	struct timespec ts;
	int n;

	l->stop = false;
	while (!l->stop) {
		for (int i = 0; i < MAX_BEFORE; i++)
			if (l->before[i].call)
				l->before[i].call(l->before[i].arg);
		if (l->stop)
			break;
		n = epoll_pwait2(l->epoll, ev, BATCH, until_next(l, &ts), NULL);
		if (n < 0 && errno != EINTR)
			return -errno;
		timers_run(&l->timers, loop_now_ns());
		for (int i = 0; i < n && !l->stop; i++)
			dispatch(l, &ev[i]);
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

uint64_t loop_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
