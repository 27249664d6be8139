/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll.c: epoll: which of very many files something has happened to.
 *
 * A watch stands on three lists: its file's, its epoll's, and, once something has happened to
 * the file, its epoll's ready list. A wait looks at that list only, asks each file on it what
 * holds, and takes those off that have nothing to say or that are edge-triggered. Where Linux
 * wakes a file's wait queue, uk_file_changed comes here; so the edges are Linux's.
 *
 * Console streams change without a call, by the monitor. Watches of them, and of an epoll,
 * which may have such ones, are asked at each wait.
 *
 * Rules: epoll(7), epoll_ctl(2), epoll_wait(2).
 */
#include <linux/eventpoll.h>

#include "../noxs/net.h"
#include "list.h"
#include "vfs.h"

#define EPOLL_READABLE ((uint32_t)(EPOLLIN | EPOLLRDNORM))
#define EPOLL_ALWAYS   ((uint32_t)(EPOLLERR | EPOLLHUP))
#define EPOLL_HOW      ((uint32_t)(EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET))
/* What may be together with EPOLLEXCLUSIVE. */
#define EPOLL_WITH_EXCLUSIVE                                                           \
	((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | \
		    EPOLLEXCLUSIVE))
#define EPOLL_NEST_MAX   4 /* epolls watching epolls, in a row */
#define EPOLL_EVENTS_MAX (INT32_MAX / (int)sizeof(struct epoll_event))

struct epoll {
	struct uk_file *file;
	struct uk_list watches, ready, asked;
	uint32_t net;   /* watches of what the network changes */
	uint32_t round; /* of depth_below: depth was found in that one */
	int depth;
};

struct uk_watch {
	struct epoll *epoll;
	struct uk_file *file;
	struct uk_watch *next; /* of the file */
	struct uk_list all, ready, asked;
	int fd;
	uint32_t events; /* EPOLL_HOW alone: disabled, by EPOLLONESHOT */
	uint64_t data;
	uint32_t wait;        /* what can change the file, but for calls */
	uint32_t seen, stamp; /* of one that is asked: what it said the last time */
};

static const struct uk_file_ops epoll_ops;

static struct epoll *epoll_of(const struct uk_file *f)
{
	return f->ops == &epoll_ops ? f->own : NULL;
}

static uint32_t watch_events(struct uk_watch *w)
{
	uint32_t wait = 0;

	return uk_file_events(w->file, w->events, &wait) & (w->events & ~EPOLL_HOW);
}

/* Puts it on the ready list; who watches the epoll is told of this, too. */
static void watch_ready(struct uk_watch *w)
{
	if (uk_list_empty(&w->ready))
		uk_list_add(&w->epoll->ready, &w->ready);
	uk_file_ready(w->epoll->file, EPOLLIN);
}

void uk_watches_changed(struct uk_file *f, uint32_t events)
{
	for (struct uk_watch *w = f->watches; w; w = w->next)
		if (w->events & ~EPOLL_HOW & events)
			watch_ready(w);
}

static void watch_remove(struct uk_watch *w)
{
	struct uk_watch **at = &w->file->watches;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	uk_list_remove(&w->all);
	uk_list_remove(&w->ready);
	uk_list_remove(&w->asked);
	w->epoll->net -= !!(w->wait & NOXS_EV_NET_ALL);
	uk_free(w);
}

void uk_watches_closed(struct uk_file *f)
{
	while (f->watches)
		watch_remove(f->watches);
}

/* ---- what changes without a call ---- */

/* A stream's bits that newly hold, and input that came on top of some, are events. */
static void ask_console(struct uk_watch *w, uint32_t *wait)
{
	uint32_t events = uk_file_events(w->file, w->events, wait);
	uint32_t stamp = uk_console_stamp();

	if (events & ~w->seen || (events & EPOLLIN && stamp != w->stamp))
		uk_watches_changed(w->file, events);
	w->seen = events;
	w->stamp = stamp;
}

/* Asks those that have to be asked; *wait gets what can change any file of the epoll. */
static void epoll_ask(struct epoll *ep, uint32_t *wait)
{
	if (ep->net)
		*wait |= NOXS_EV_NET_ALL;
	for (struct uk_list *l = ep->asked.next; l != &ep->asked; l = l->next) {
		struct uk_watch *w = uk_list_of(l, struct uk_watch, asked);
		struct epoll *inner = epoll_of(w->file);

		if (inner)
			epoll_ask(inner, wait);
		else
			ask_console(w, wait);
	}
}

/* ---- the file ---- */

static uint32_t epoll_poll(struct uk_file *f, uint32_t *wait)
{
	struct epoll *ep = f->own;

	epoll_ask(ep, wait);
	while (!uk_list_empty(&ep->ready)) {
		struct uk_watch *w = uk_list_of(ep->ready.next, struct uk_watch, ready);

		if (watch_events(w))
			return EPOLL_READABLE;
		w->seen = 0;
		uk_list_remove(&w->ready);
	}
	return 0;
}

static void epoll_release(struct uk_file *f)
{
	struct epoll *ep = f->own;

	while (!uk_list_empty(&ep->watches))
		watch_remove(uk_list_of(ep->watches.next, struct uk_watch, all));
	uk_free(ep);
}

static const struct uk_file_ops epoll_ops = {
	.anon = "anon_inode:[eventpoll]",
	.lseek = uk_lseek_nothing,
	.poll = epoll_poll,
	.release = epoll_release,
};

static long epoll_create_with(uint32_t flags)
{
	struct epoll *ep = uk_alloc(sizeof(*ep));
	struct uk_file *file = uk_file_new(&epoll_ops, O_RDWR);
	long fd = -ENOMEM;

	if (ep && file) {
		ep->file = file;
		uk_list_init(&ep->watches);
		uk_list_init(&ep->ready);
		uk_list_init(&ep->asked);
		file->own = ep;
		fd = uk_fd_install(file, 0, flags & EPOLL_CLOEXEC);
	}
	if (fd < 0) {
		uk_free(ep);
		uk_free(file);
	}
	return fd;
}

UK_SYSCALL(epoll_create)
{
	return (int)a <= 0 ? -EINVAL : epoll_create_with(0);
}

UK_SYSCALL(epoll_create1)
{
	return (uint32_t)a & ~(uint32_t)EPOLL_CLOEXEC ? -EINVAL : epoll_create_with((uint32_t)a);
}

/* ---- epolls that watch epolls ---- */

/* How many epolls are below ep, in a row; more than EPOLL_NEST_MAX where top is among them. An
 * epoll that is watched twice is looked at once (round). */
static int depth_below(struct epoll *ep, const struct epoll *top, uint32_t round, int level)
{
	int depth = 0;

	if (ep == top || level > EPOLL_NEST_MAX)
		return EPOLL_NEST_MAX + 1;
	if (ep->round == round)
		return ep->depth;
	for (struct uk_list *l = ep->asked.next; l != &ep->asked; l = l->next) {
		struct epoll *inner = epoll_of(uk_list_of(l, struct uk_watch, asked)->file);

		if (inner)
			depth = uk_max(depth, 1 + depth_below(inner, top, round, level + 1));
	}
	ep->round = round;
	ep->depth = depth;
	return depth;
}

static int depth_above(const struct epoll *ep)
{
	int depth = 0;

	for (struct uk_watch *w = ep->file->watches; w; w = w->next)
		depth = uk_max(depth, 1 + depth_above(w->epoll));
	return depth;
}

/* May ep watch inner? No circles, and no chain that a recursion could not go along. */
static bool may_nest(struct epoll *ep, struct epoll *inner)
{
	static uint32_t round;

	return depth_above(ep) + 1 + depth_below(inner, ep, ++round, 0) <= EPOLL_NEST_MAX;
}

/* ---- epoll_ctl ---- */

static struct uk_watch *watch_find(const struct epoll *ep, const struct uk_file *f, int fd)
{
	struct uk_watch *w = f->watches;

	while (w && (w->epoll != ep || w->fd != fd))
		w = w->next;
	return w;
}

/* The new events hold from now on: one that is there counts as if it had just come, but for
 * those above, who know of it, where the watch is on the list already. */
static void watch_set(struct uk_watch *w, const struct epoll_event *event)
{
	w->events = event->events | EPOLL_ALWAYS;
	w->data = event->data;
	w->seen = 0;
	if (uk_list_empty(&w->ready) && watch_events(w))
		watch_ready(w);
}

static long watch_add(struct epoll *ep, struct uk_file *f, int fd, const struct epoll_event *event)
{
	struct uk_watch *w, **at = &f->watches;

	if (epoll_of(f) && !may_nest(ep, epoll_of(f)))
		return -ELOOP;
	if (watch_find(ep, f, fd))
		return -EEXIST;
	w = uk_alloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->epoll = ep;
	w->file = f;
	w->fd = fd;
	/* Linux's order: the last one first, exclusive ones after all others. */
	while (event->events & EPOLLEXCLUSIVE && *at)
		at = &(*at)->next;
	w->next = *at;
	*at = w;
	uk_list_add(&ep->watches, &w->all);
	uk_list_init(&w->ready);
	uk_list_init(&w->asked);
	uk_file_events(f, UINT32_MAX, &w->wait);
	if (epoll_of(f) || f->ops == &uk_console_ops) {
		w->wait = 0; /* it says so when it is asked */
		uk_list_add(&ep->asked, &w->asked);
	}
	ep->net += !!(w->wait & NOXS_EV_NET_ALL);
	watch_set(w, event);
	return 0;
}

/* Regular files have nothing to tell; a stream may be one, behind the monitor. */
static bool can_watch(const struct uk_file *f)
{
	if (f->ops == &uk_console_ops)
		return UK_NOXS->stream[f->stream].flags & (NOXS_STREAM_TTY | NOXS_STREAM_PIPE);
	return f->ops->poll;
}

/* EPOLLEXCLUSIVE can be added and with a few others only. */
static bool exclusive_ok(int op, const struct uk_file *f, uint32_t events)
{
	if (!(events & EPOLLEXCLUSIVE))
		return true;
	return op == EPOLL_CTL_ADD && !epoll_of(f) && !(events & ~EPOLL_WITH_EXCLUSIVE);
}

UK_SYSCALL(epoll_ctl)
{
	struct epoll_event event = {0};
	struct uk_file *file, *target;
	struct uk_watch *w;
	struct epoll *ep;
	int op = (int)b;

	if (op != EPOLL_CTL_DEL && uk_copy_in(&event, d, sizeof(event)))
		return -EFAULT;
	file = uk_fd_io(a);
	target = uk_fd_io(c);
	if (!file || !target)
		return -EBADF;
	if (!can_watch(target))
		return -EPERM;
	ep = epoll_of(file);
	if (file == target || !ep)
		return -EINVAL;
	if ((op == EPOLL_CTL_ADD || op == EPOLL_CTL_MOD) && !exclusive_ok(op, target, event.events))
		return -EINVAL;
	if (op == EPOLL_CTL_ADD)
		return watch_add(ep, target, (int)c, &event);
	w = watch_find(ep, target, (int)c);
	if (op != EPOLL_CTL_DEL && op != EPOLL_CTL_MOD)
		return -EINVAL;
	if (!w)
		return -ENOENT;
	if (op == EPOLL_CTL_DEL)
		watch_remove(w);
	else if (w->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	else
		watch_set(w, &event);
	return 0;
}

/* ---- epoll_wait ---- */

struct epoll_call {
	struct epoll *ep;
	uint64_t user; /* struct epoll_event */
	uint32_t max;
};

/*
 * One round over the ready list: level-triggered watches go to its end, so that with more of
 * them than the call has room for each has its turn. A fault that is not the first event's
 * ends the call only.
 */
static long epoll_scan(void *what, uint32_t *wait)
{
	struct epoll_call *call = what;
	struct epoll *ep = call->ep;
	struct uk_list now;
	long n = 0;

	epoll_ask(ep, wait);
	uk_list_init(&now);
	uk_list_splice(&ep->ready, &now);
	while (!uk_list_empty(&now) && n < call->max) {
		struct uk_watch *w = uk_list_of(now.next, struct uk_watch, ready);
		struct epoll_event event = {watch_events(w), w->data};

		if (event.events &&
		    uk_copy_out(call->user + (uint64_t)n * sizeof(event), &event, sizeof(event))) {
			n = n ? n : -EFAULT;
			break;
		}
		uk_list_remove(&w->ready);
		if (!event.events) {
			w->seen = 0;
			continue;
		}
		n++;
		if (w->events & EPOLLONESHOT)
			w->events &= EPOLL_HOW;
		else if (!(w->events & EPOLLET))
			uk_list_add(&ep->ready, &w->ready);
	}
	uk_list_splice(&now, &ep->ready);
	return n;
}

static long epoll_wait_until(uint64_t epfd, uint64_t user, int max, uint64_t deadline,
			     uint64_t set_user, size_t set_size)
{
	struct epoll_call call = {.user = user, .max = (uint32_t)max};
	struct uk_file *file = uk_fd_io(epfd);

	if (max <= 0 || max > EPOLL_EVENTS_MAX)
		return -EINVAL;
	if (!file)
		return -EBADF;
	call.ep = epoll_of(file);
	if (!call.ep)
		return -EINVAL;
	return uk_poll_wait(epoll_scan, &call, deadline, set_user, set_size);
}

static uint64_t deadline_ms(int ms)
{
	return ms < 0 ? NOXS_FOREVER : uk_deadline_in((uint64_t)ms * 1000000);
}

UK_SYSCALL(epoll_wait)
{
	return epoll_wait_until(a, b, (int)c, deadline_ms((int)d), 0, 0);
}

UK_SYSCALL(epoll_pwait)
{
	return epoll_wait_until(a, b, (int)c, deadline_ms((int)d), e, f);
}

UK_SYSCALL(epoll_pwait2)
{
	uint64_t deadline;
	long r = uk_deadline_copy(d, &deadline);

	return r ? r : epoll_wait_until(a, b, (int)c, deadline, e, f);
}
