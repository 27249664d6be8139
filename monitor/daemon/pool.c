/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c: see pool.h. */
#include <string.h>

#include "pool.h"

#define URGENT_PER_CPU 8
#define PAUSE_NS       100000000ull
#define PAUSE_MAX_NS   10000000000ull

/* What a tick takes of a mean: 0.1 s of about 1 s, of about 20 s. */
#define FAST        0.1
#define SLOW        0.005
#define BURST_KEEPS 0.9931 /* 0.5 after 100 ticks */
#define PREPARE     0.1

/* The store waits until it has been quiet for so many times as preparing takes (then the next
 * start is likely to come later than that), and takes one part of so many of the time until then.
 */
#define QUIET_PREPARES 2
#define BUSY_PREPARES  10

static const double ticks_per_second = 1e9 / POOL_TICK_NS;

static void set_target(struct pool_flavour *f)
{
	double rate = f->fast > f->slow ? f->fast : f->slow;
	double demand = 2 * rate * f->prepare_ns / 1e9;

	if (demand < f->burst)
		demand = f->burst;
	if (demand > f->level.flavour.maximum)
		demand = f->level.flavour.maximum;
	f->demand = (uint32_t)(demand + 0.5);
	f->level.target = f->demand;
	if (f->level.target < f->level.flavour.minimum)
		f->level.target = f->level.flavour.minimum;
}

void pool_init(struct pool *p, const struct flavour *flavour, size_t n, unsigned cpus)
{
	*p = (struct pool){.cpus = cpus ? cpus : 1};
	pool_change(p, flavour, n);
}

void pool_change(struct pool *p, const struct flavour *flavour, size_t n)
{
	struct pool old = *p;

	p->n = n;
	for (size_t i = 0; i < n; i++) {
		int was = pool_find(&old, flavour[i].memory_bytes, flavour[i].net);
		struct pool_flavour *f = &p->flavour[i];

		*f = was >= 0 ? old.flavour[was] : (struct pool_flavour){.prepare_ns = 2e6};
		f->level.flavour = flavour[i];
		f->level.ready = f->level.preparing = f->urgent = f->waiting = 0;
		set_target(f);
	}
}

int pool_find(const struct pool *p, uint64_t memory_bytes, const char *net)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->flavour[i].level.flavour.memory_bytes == memory_bytes &&
		    !strcmp(p->flavour[i].level.flavour.net, net))
			return (int)i;
	return -1;
}

bool pool_take(struct pool *p, int flavour, uint64_t now_ns)
{
	struct pool_flavour *f = &p->flavour[flavour];

	/* After a time without ticks this one begins now. */
	if (now_ns - p->tick_ns > 2 * POOL_TICK_NS)
		p->tick_ns = now_ns;
	p->taken_ns = now_ns;
	f->in_tick++;
	if (f->in_tick > f->burst) {
		f->burst = f->in_tick;
		set_target(f);
	}
	if (f->level.ready) {
		f->level.ready--;
		f->level.taken++;
		return true;
	}
	f->level.cold++;
	f->waiting++;
	return false;
}

void pool_served(struct pool *p, int flavour)
{
	p->flavour[flavour].level.ready--;
	p->flavour[flavour].waiting--;
}

void pool_gave_up(struct pool *p, int flavour)
{
	p->flavour[flavour].waiting--;
}

void pool_began(struct pool *p, int flavour, bool urgent, uint64_t now_ns)
{
	struct pool_flavour *f = &p->flavour[flavour];

	/* A store's turn is once a tick, whatever is made of what the rate demands. */
	if (!urgent && f->level.ready + f->level.preparing >= f->demand)
		p->stored_ns = now_ns;
	f->level.preparing++;
	f->urgent += urgent;
}

void pool_ready(struct pool *p, int flavour, bool urgent, uint64_t took_ns)
{
	struct pool_flavour *f = &p->flavour[flavour];

	f->failures = 0;
	f->level.preparing--;
	f->urgent -= urgent;
	f->level.ready++;
	f->prepare_ns += PREPARE * ((double)took_ns - f->prepare_ns);
	set_target(f);
}

void pool_failed(struct pool *p, int flavour, bool urgent, uint64_t now_ns)
{
	struct pool_flavour *f = &p->flavour[flavour];
	uint64_t pause = PAUSE_NS << (f->failures < 7 ? f->failures : 7);

	f->level.preparing--;
	f->urgent -= urgent;
	f->level.failed++;
	/* What was under way together fails together: that is one failure. */
	if (now_ns < f->pause_until_ns)
		return;
	f->failures++;
	f->pause_until_ns = now_ns + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
}

void pool_lost(struct pool *p, int flavour)
{
	p->flavour[flavour].level.ready--;
}

/* One that waits comes before what may be wanted later. The first in the list has waited
 * for nothing longer than others: each has its own queue. */
static int next_urgent(const struct pool *p)
{
	unsigned under_way = 0;

	for (size_t i = 0; i < p->n; i++)
		under_way += p->flavour[i].urgent;
	if (under_way >= p->cpus * URGENT_PER_CPU)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (p->flavour[i].waiting > p->flavour[i].urgent)
			return (int)i;
	return -1;
}

/* How many of a flavour there are to be now. A start shares its CPUs with what is prepared, and
 * the kernel's locks (of memory, of interfaces), where SCHED_IDLE yields nothing. */
static uint32_t wanted(const struct pool *p, const struct pool_flavour *f, uint64_t now_ns)
{
	double quiet = (double)(now_ns - p->taken_ns), since = (double)(now_ns - p->stored_ns);

	if (now_ns < f->pause_until_ns)
		return 0;
	if ((quiet >= POOL_QUIET_NS && quiet >= QUIET_PREPARES * f->prepare_ns) ||
	    (since >= POOL_TICK_NS && since >= BUSY_PREPARES * f->prepare_ns))
		return f->level.target;
	return f->demand;
}

int pool_next(const struct pool *p, uint64_t now_ns, bool *urgent)
{
	int next = next_urgent(p);
	unsigned under_way = 0;
	double most = 0;

	*urgent = next >= 0;
	if (*urgent)
		return next;
	for (size_t i = 0; i < p->n; i++)
		under_way += p->flavour[i].level.preparing;
	if (under_way >= p->cpus)
		return -1;
	/* The one that lacks the greatest part of its target. */
	for (size_t i = 0; i < p->n; i++) {
		const struct flavour_level *l = &p->flavour[i].level;
		uint32_t have = l->ready + l->preparing;
		bool lacking = have < wanted(p, &p->flavour[i], now_ns);
		double lacks = lacking ? 1.0 - (double)have / l->target : 0;

		if (lacks > most) {
			most = lacks;
			next = (int)i;
		}
	}
	return next;
}

int pool_excess(const struct pool *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->flavour[i].level.ready > p->flavour[i].level.target)
			return (int)i;
	return -1;
}

void pool_tick(struct pool *p, uint64_t now_ns)
{
	/* A late tick counts as the ticks that it stands for; the starts fall into the first. */
	for (int late = 0; now_ns - p->tick_ns >= POOL_TICK_NS && late < 100; late++) {
		p->tick_ns += POOL_TICK_NS;
		for (size_t i = 0; i < p->n; i++) {
			struct pool_flavour *f = &p->flavour[i];
			double now = f->in_tick * ticks_per_second;

			f->fast += FAST * (now - f->fast);
			f->slow += SLOW * (now - f->slow);
			f->burst *= BURST_KEEPS;
			f->in_tick = 0;
		}
	}
	for (size_t i = 0; i < p->n; i++)
		set_target(&p->flavour[i]);
}

bool pool_is_busy(const struct pool *p, uint64_t now_ns)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct pool_flavour *f = &p->flavour[i];

		if (now_ns < f->pause_until_ns)
			return true;
		/* Below these the target is the minimum, whatever it is. */
		if (f->in_tick || f->waiting || f->burst >= 0.5 ||
		    f->level.ready > f->level.target ||
		    (f->level.preparing + f->level.ready < f->level.target))
			return true;
	}
	return false;
}

uint64_t pool_look_ns(const struct pool *p, uint64_t now_ns)
{
	uint64_t quiet_ns = p->taken_ns + POOL_QUIET_NS;

	return now_ns < quiet_ns ? quiet_ns - now_ns : POOL_TICK_NS;
}
