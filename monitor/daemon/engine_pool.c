/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_pool.c: shells are made, wait, and are given to starts, as pool.c would have it.
 *
 * Everything here happens before the loop sleeps or in its timers, never inside a start:
 * a start that finds a ready shell takes it from a list and is done.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "engine_own.h"
#include "limits.h"

#define WAIT_NS    30000000000ull /* a start waits for a shell at most */
#define PREPARE_NS 60000000000ull /* a shell that has not become ready by then never will */
#define LEAVE_NS   5000000000ull  /* a shell that said EXIT and does not go is ended */
#define SWEEP_NS   1000000000ull

int shell_flavour(const struct engine *e, const struct shell *shell)
{
	return shell->bound ? -1 : pool_find(&e->pool, shell->memory_bytes, shell_net_key(shell));
}

/* ---- one shell ---- */

/* Its cgroups and SPAWN. 0; -EAGAIN: later; else -errno and a message. */
static int spawn(struct engine *e, struct shell *shell, const struct cgroup_limits *limits,
		 struct err *err)
{
	int cgroup[ZYGOTE_MAX_CGROUPS] = {0}, n = 0, ret;

	if (e->cgroups) {
		n = cgroups_create(e->cgroups, shell->number, limits, cgroup, err);
		if (n < 0)
			return n;
		shell->has_cgroup = true;
	}
	ret = zygote_spawn(e, shell, cgroup, n, err);
	for (int i = 0; i < n; i++)
		close(cgroup[i]);
	if (ret && shell->has_cgroup)
		cgroups_remove(e->cgroups, shell->number);
	shell->has_cgroup &= !ret;
	if (!ret)
		shell_net_sent(shell);
	return ret;
}

/* r: for whom alone it is; NULL: for the pool. net: as struct flavour's. As spawn. */
static int make_shell(struct engine *e, uint64_t memory_bytes, const char *net, bool urgent,
		      struct record *r, struct err *err)
{
	struct shell *shell = shells_add(&e->shells, memory_bytes, err);
	int ret;

	if (!shell)
		return -EBUSY;
	shell->urgent = urgent;
	shell->bound = r;
	shell->record = r;
	shell->has_log = !r || r->start->log_bytes;
	if (*net)
		ret = shell_open_net(e, shell, net, err); /* and then pool_spawn */
	else
		ret = spawn(e, shell, r && r->start->limited ? &r->start->limits : NULL, err);
	if (ret) {
		shell_net_drop(shell);
		shells_remove(&e->shells, shell);
		return ret;
	}
	if (r)
		r->process = shell;
	return 0;
}

/* It can be ended meanwhile only together with all others. */
void pool_spawn(struct engine *e, struct shell *shell)
{
	struct err err = {0};
	int ret = spawn(e, shell, NULL, &err);

	if (ret == -EAGAIN) {
		list_add(&e->unsent, &shell->kill_link);
		return;
	}
	if (!ret)
		return;
	pool_shell_failed(e, shell, &err, -ret);
	shell_gone(e, shell, NULL);
}

static void spawn_unsent(struct engine *e)
{
	struct link *l, all;

	list_init(&all);
	while ((l = list_first(&e->unsent))) {
		list_remove(l);
		list_add(&all, l);
	}
	while ((l = list_first(&all))) {
		list_remove(l);
		pool_spawn(e, LIST_OF(l, struct shell, kill_link));
	}
}

/* ---- those who wait ---- */

static struct record *first_waiting(struct link *queue)
{
	struct link *l = list_first(queue);

	return l ? LIST_OF(l, struct record, queue) : NULL;
}

/* One that waits hears why nothing comes of it. */
static void fail_first(struct engine *e, struct link *queue, const struct err *err)
{
	struct record *r = first_waiting(queue);

	if (r)
		start_failed(e, r, ENGINE_BUSY, err);
}

void pool_fail_waiting(struct engine *e, const struct err *err)
{
	for (size_t i = 0; i < e->pool.n; i++)
		while (first_waiting(&e->waiting[i]))
			fail_first(e, &e->waiting[i], err);
	while (first_waiting(&e->waiting_bound))
		fail_first(e, &e->waiting_bound, err);
}

struct shell *pool_ready_shell(struct engine *e, int flavour)
{
	struct link *l;

	if (!pool_take(&e->pool, flavour, loop_now_ns()))
		return NULL;
	/* The one that was prepared last: its memory is likeliest to be in the cache. */
	l = e->ready[flavour].prev;
	list_remove(l);
	return LIST_OF(l, struct shell, list);
}

static void serve_bound(struct engine *e, struct shell *shell)
{
	struct record *r = shell->record;

	e->bound_preparing--;
	if (!r) {
		shell_discard(e, shell);
		return;
	}
	r->start->queued_ns = 0;
	start_with_shell(e, r, shell);
}

void pool_shell_ready(struct engine *e, struct shell *shell)
{
	uint64_t took = loop_now_ns() - shell->since_ns;
	int flavour = shell_flavour(e, shell);
	struct record *r;

	if (shell->bound) {
		serve_bound(e, shell);
		return;
	}
	shells_set_state(&e->shells, shell, SHELL_READY);
	if (flavour < 0) { /* given up meanwhile */
		shell_discard(e, shell);
		return;
	}
	pool_ready(&e->pool, flavour, shell->urgent, took);
	r = first_waiting(&e->waiting[flavour]);
	if (r) {
		list_remove(&r->queue);
		r->start->queued_ns = 0;
		pool_served(&e->pool, flavour);
		start_with_shell(e, r, shell);
	} else {
		list_add(&e->ready[flavour], &shell->list);
	}
	pool_watch(e);
}

/* ---- failures ---- */

/* A message, and which limit may be behind it. */
static void explain(struct err *err, int errnum)
{
	size_t n = strlen(err->message);

	limits_explain(errnum, err->message + n, sizeof(err->message) - n);
}

static void begin_pause(struct engine *e, int flavour, bool urgent, const struct err *err)
{
	const unsigned *failures = &e->pool.flavour[flavour].failures, before = *failures;

	pool_failed(&e->pool, flavour, urgent, loop_now_ns());
	/* Once for each time it gets worse, not for each of thousands. */
	if (*failures != before && !e->ending)
		event_tell(e, "pool", NULL, err->message);
	pool_watch(e);
}

void pool_shell_failed(struct engine *e, struct shell *shell, const struct err *why, int errnum)
{
	int flavour = shell_flavour(e, shell);
	struct record *r = shell->record;
	struct err copy = *why;
	const struct err *err = &copy;

	explain(&copy, errnum);
	shells_set_state(&e->shells, shell, SHELL_LEAVING);
	shell->record = NULL;
	if (shell->bound) {
		e->bound_preparing--;
		if (r) {
			r->process = NULL;
			start_failed(e, r, ENGINE_BUSY, err);
		}
		return;
	}
	if (flavour < 0)
		return;
	begin_pause(e, flavour, shell->urgent, err);
	if (shell->urgent)
		fail_first(e, &e->waiting[flavour], err);
}

void pool_shell_lost(struct engine *e, struct shell *shell)
{
	int flavour = shell_flavour(e, shell);

	if (flavour >= 0)
		pool_lost(&e->pool, flavour);
	list_remove(&shell->list);
	pool_watch(e);
}

/* ---- making what is to be made ---- */

/* False: not now. */
static bool make_next(struct engine *e)
{
	bool urgent;
	int flavour = pool_next(&e->pool, loop_now_ns(), &urgent), ret;
	struct err err = {0};

	if (flavour < 0)
		return false;
	ret = make_shell(e, e->pool.flavour[flavour].level.flavour.memory_bytes,
			 e->pool.flavour[flavour].level.flavour.net, urgent, NULL, &err);
	if (ret == -EAGAIN)
		return false;
	pool_began(&e->pool, flavour, urgent, loop_now_ns());
	if (!ret)
		return true;
	if (ret != -EBUSY)
		explain(&err, ret);
	begin_pause(e, flavour, urgent, &err);
	if (urgent)
		fail_first(e, &e->waiting[flavour], &err);
	return urgent;
}

static bool make_bound(struct engine *e)
{
	struct record *r = first_waiting(&e->waiting_bound);
	struct err err = {0};
	int ret;

	if (!r || e->bound_preparing >= e->pool.cpus * 8)
		return false;
	ret = make_shell(e, r->vm.memory_bytes, "", true, r, &err);
	if (ret == -EAGAIN)
		return false;
	if (ret) {
		if (ret != -EBUSY)
			explain(&err, ret);
		start_failed(e, r, ENGINE_BUSY, &err);
		return true;
	}
	e->bound_preparing++;
	list_remove(&r->queue);
	return true;
}

void pool_run(void *engine)
{
	struct engine *e = engine;

	if (!e->zygote.is_up || e->ending)
		return;
	spawn_unsent(e);
	while (make_bound(e))
		;
	while (make_next(e))
		;
}

/* ---- time ---- */

/* A queue is in the order of its beginnings. */
static void expire(struct engine *e, struct link *queue, uint64_t now)
{
	struct record *r;
	struct err err;

	while ((r = first_waiting(queue)) && now - r->start->queued_ns > WAIT_NS) {
		err_set(&err, 0, "no shell could be prepared within 30 s%s%s",
			*e->zygote.why ? ": " : "", e->zygote.why);
		start_failed(e, r, ENGINE_BUSY, &err);
	}
}

static void tick(void *arg)
{
	struct engine *e = arg;
	uint64_t now = loop_now_ns();
	int flavour;

	e->pool_timer = 0;
	pool_tick(&e->pool, now);
	for (size_t i = 0; i < e->pool.n; i++)
		expire(e, &e->waiting[i], now);
	expire(e, &e->waiting_bound, now);
	/* A few at a time: a rise may follow. */
	for (int i = 0; i < 4 && (flavour = pool_excess(&e->pool)) >= 0; i++)
		shell_discard(e, LIST_OF(e->ready[flavour].next, struct shell, list));
	pool_watch(e);
}

/* Lists are in the order of their times. One that has been told to go is put behind the
 * others: if it is still there after the same time it is told again. */
static void sweep_list(struct engine *e, struct link *list, uint64_t limit)
{
	struct link *l;

	while ((l = list_first(list))) {
		struct shell *shell = LIST_OF(l, struct shell, list);

		if (loop_now_ns() - shell->since_ns < limit)
			return;
		shells_set_state(&e->shells, shell, shell->state);
		zygote_kill(e, shell, SIGKILL);
	}
}

static void sweep(void *arg)
{
	struct engine *e = arg;

	e->sweep_timer = 0;
	sweep_list(e, &e->shells.preparing, PREPARE_NS);
	sweep_list(e, &e->shells.leaving, LEAVE_NS);
	pool_watch(e);
}

void pool_watch(struct engine *e)
{
	uint64_t now = loop_now_ns();

	if (!e->pool_timer && (pool_is_busy(&e->pool, now) || !list_empty(&e->waiting_bound)))
		e->pool_timer = loop_after(e->loop, pool_look_ns(&e->pool, now), tick, e);
	if (!e->sweep_timer &&
	    (!list_empty(&e->shells.preparing) || !list_empty(&e->shells.leaving)))
		e->sweep_timer = loop_after(e->loop, SWEEP_NS, sweep, e);
}

/* ---- opening ---- */

int pool_open(struct engine *e, struct err *err)
{
	struct flavour first = {
		.memory_bytes = e->options.memory_bytes,
		.minimum = e->options.shells,
		.maximum = e->options.max_shells,
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (int i = 0; i < ENGINE_MAX_FLAVOURS; i++) {
		list_init(&e->ready[i]);
		list_init(&e->waiting[i]);
	}
	list_init(&e->waiting_bound);
	list_init(&e->unsent);
	if (first.maximum < first.minimum)
		return err_set(err, 0, "the pool's maximum, %u, is less than its minimum, %u",
			       first.maximum, first.minimum);
	pool_init(&e->pool, &first, 1, cpus > 0 ? (unsigned)cpus : 1);
	loop_before_sleep(e->loop, pool_run, e);
	return 0;
}

void pool_close(struct engine *e)
{
	loop_before_sleep(e->loop, NULL, e);
	loop_cancel(e->loop, e->pool_timer);
	loop_cancel(e->loop, e->sweep_timer);
}
