/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: the run loop.
 *
 * One thread does it. While the guest computes, nothing here runs but a tick: a timer
 * signal makes KVM_RUN return, output is passed on, time limits, messages and signals are
 * looked at. The first tick comes after 4 ms, so a short program never sees one. Ticks get
 * rarer while there is nothing to do, or the guest rings for its output (doorbell.h); but
 * not very rare, for a timer that the guest sets meanwhile is seen at one.
 */
#define BUSY_WAITS 64
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

#include "doorbell.h"
#include "kick.h"
#include "net.h"
#include "power.h"
#include "run.h"
#include "vcpu.h"

#define MS            1000000ull
#define FIRST_TICK_NS (4 * MS)
#define LAST_TICK_NS  (64 * MS)
#define RETRY_TICK_NS (1 * MS) /* the guest was in its kernel: preempt it a bit later */

struct run {
	struct vm *vm;
	struct guest *guest;
	struct console *console;
	const struct run_options *options;
	struct run_result *result;
	struct err *err;
	struct power power;
	uint64_t start_ns, deadline_ns; /* monotonic; deadline 0: none */
	uint64_t tick_ns;
	sigset_t open_mask;
	bool done;
	bool is_long;  /* it has run for a tick, or slept */
	bool watching; /* the port's messages end KVM_RUN */
	bool held;     /* the guest is, and `suspended` has told it */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && a < b ? a : b; /* 0: none */
}

static void arm_tick(struct run *r, uint64_t tick_ns)
{
	uint64_t timer = r->guest->control->power.timer_ns, hold = power_next_ns(&r->power);
	uint64_t now, at;

	if (!r->deadline_ns && !timer && !hold) {
		if (net_count)
			kick_timer_by(now_ns(), tick_ns);
		else
			kick_timer(tick_ns);
		return;
	}
	now = now_ns();
	at = earlier(r->deadline_ns, earlier(hold, now + tick_ns));
	/* The guest's own timer, but not more often than we would retry. */
	if (timer && timer < at)
		at = timer > now + RETRY_TICK_NS ? timer : earlier(at, now + RETRY_TICK_NS);
	if (net_count)
		kick_timer_by(now, at > now ? at - now : 1);
	else
		kick_timer(at > now ? at - now : 1);
}

static void end(struct run *r, enum run_end how)
{
	if (r->done)
		return;
	r->result->end = how;
	if (!r->result->end_tsc)
		r->result->end_tsc = __rdtsc();
	r->done = true;
}

/* ---- what comes from outside ---- */

void run_signal(struct run *r, int sig)
{
	if (!power_signal(&r->power, sig) || r->done)
		return;
	r->result->signal = sig;
	end(r, RUN_SIGNAL);
}

void run_shutdown(struct run *r)
{
	if (!power_shutdown(&r->power) || r->done)
		return;
	r->result->signal = SIGTERM;
	end(r, RUN_SIGNAL);
}

static void tell_suspended(struct run *r, bool held)
{
	if (r->held == held)
		return;
	r->held = held;
	if (r->options->suspended)
		r->options->suspended(r->options->arg, held);
}

void run_suspend(struct run *r, bool suspend)
{
	if (r->power.suspend == suspend && r->held == suspend && r->options->suspended)
		r->options->suspended(r->options->arg, suspend); /* it is so already */
	power_suspend(&r->power, suspend, now_ns());
	tell_suspended(r, r->power.held);
}

struct run_counters run_counters(const struct run *r)
{
	return (struct run_counters){
		.exits = r->vm->counters.exits,
		.waits = r->vm->counters.waits,
		.kicks = r->vm->counters.kicks,
		.ioctls = r->vm->counters.ioctls,
		.doorbells = doorbell_rung(),
		.unacknowledged = r->power.unacknowledged,
		.run_ns = now_ns() - r->start_ns,
	};
}

static int hear_port(struct run *r)
{
	const struct run_port *port = r->options->port;

	return port ? port->ready(port->arg, r, r->err) : 0;
}

/* Signals, the time limit, and if hear is set or SIGIO came, messages. */
static int look_outside(struct run *r, bool hear)
{
	for (size_t i = 0; i < KICK_NSIGNALS; i++)
		if (kick_taken(kick_signals[i]))
			run_signal(r, kick_signals[i]);
	if (r->deadline_ns && now_ns() >= r->deadline_ns)
		end(r, RUN_TIMEOUT);
	return kick_taken(SIGIO) || hear ? hear_port(r) : 0;
}

/* And what the guest has answered. Returns 1 if it is to look at its power device, negative if
 * it broke it or the port failed. */
static int look_around(struct run *r, bool hear)
{
	uint64_t now = now_ns();
	int ret = power_look(&r->power, now, r->err); /* first: is there anybody to take signals? */

	if (ret >= 0)
		ret = look_outside(r, hear);
	if (ret < 0)
		return ret;
	ret = power_look(&r->power, now, r->err);
	tell_suspended(r, r->power.held);
	return ret;
}

/* It is not one of those that are over at once. */
static void is_long(struct run *r)
{
	if (r->is_long)
		return;
	r->is_long = true;
	if (r->options->long_running)
		r->options->long_running(r->options->arg);
}

/* ---- the guest waits, or is made to ---- */

/*
 * Serves the console and the port until one of events is there, or the deadline has passed,
 * or the guest is to look at its power device (returns NOXS_EV_POWER), or all is over.
 */
static int sleep_until(struct run *r, uint32_t events, uint64_t deadline_ns)
{
	const int port = r->options->port ? r->options->port->fd : -1;
	const bool holding = r->power.held;

	for (;;) {
		/* A guest whose waits all end at once never sees a tick: it is heard for now and
		 * then. */
		uint32_t waits = r->vm->counters.waits;
		int ret = look_around(r, waits && waits % BUSY_WAITS == 0);
		uint64_t now, until;

		if (ret < 0)
			return ret;
		/* One that is held looks at nothing, whatever there is. */
		if (r->done || (!r->power.held && (ret || holding)))
			return NOXS_EV_POWER;
		now = now_ns();
		until = earlier(r->deadline_ns, earlier(power_next_ns(&r->power), deadline_ns));
		if (until > now)
			is_long(r);
		ret = console_wait(r->console, events,
				   until == NOXS_FOREVER ? -1
				   : until > now         ? (int64_t)(until - now)
							 : 0,
				   port, &r->open_mask, r->err);
		if (ret == CONSOLE_EV_OTHER)
			ret = hear_port(r);
		else if (ret != -EINTR && (ret || until == deadline_ns))
			return ret;
		if (ret < 0 && ret != -EINTR)
			return ret;
	}
}

/* The network alone can say that there is something: what a busy server's waits are. */
static uint32_t network_has(struct run *r, uint32_t events)
{
	/* All else is looked at now and then, too: a signal ends the next KVM_RUN, and so does a
	 * tick. */
	if (!net_count || r->vm->counters.waits % BUSY_WAITS == 0 || r->power.held ||
	    power_next_ns(&r->power))
		return 0;
	return net_look(events);
}

static int wait_for_guest(struct run *r)
{
	/* Copied once: the guest could change it while we look. */
	struct noxs_wait wait = r->guest->control->wait;
	int ret;

	/* No others are its. */
	wait.events &= NOXS_EV_STDIN | NOXS_EV_STDOUT | NOXS_EV_STDERR | NOXS_EV_NET_ALL;
	r->vm->counters.waits++;
	ret = (int)network_has(r, wait.events);
	if (ret) {
		__atomic_store_n(&r->guest->control->wait.ready, (uint32_t)ret, __ATOMIC_RELEASE);
		net_woken();
		return 0;
	}
	/* From the look at the signals to ppoll none may slip through. */
	kick_hold(&r->open_mask);
	ret = sleep_until(r, wait.events, wait.deadline_ns);
	/* Before signals come in again: one that does now is to end the next KVM_RUN. */
	kick_clear();
	kick_let(&r->open_mask);
	if (ret < 0)
		return ret;
	__atomic_store_n(&r->guest->control->wait.ready, (uint32_t)ret, __ATOMIC_RELEASE);
	if (net_count)
		net_woken();
	/* The host may have slept or been adjusted meanwhile. */
	guest_set_clock(&r->guest->page->clock, r->options->tsc_khz);
	r->tick_ns = FIRST_TICK_NS;
	arm_tick(r, r->tick_ns);
	return 0;
}

/* The guest is suspended: whatever it does or does not do, its vCPU does not run. */
static int hold(struct run *r)
{
	int ret = 0;

	kick_hold(&r->open_mask);
	while (r->power.held && !r->done && ret >= 0)
		ret = sleep_until(r, 0, NOXS_FOREVER);
	kick_clear();
	kick_let(&r->open_mask);
	if (net_count)
		net_woken();
	if (ret < 0 || r->done)
		return ret < 0 ? ret : 0;
	guest_set_clock(&r->guest->page->clock, r->options->tsc_khz);
	arm_tick(r, r->tick_ns);
	return 0;
}

/* KVM_RUN came back for a signal of ours. */
static int kicked(struct run *r)
{
	bool tick = kick_taken(SIGALRM), first = tick && r->options->port && !r->watching;
	int tell, moved;

	r->vm->counters.kicks++;
	kick_clear();
	if (tick)
		is_long(r);
	if (first) {
		kick_watch(r->options->port->fd);
		r->watching = true;
	}
	tell = look_around(r, first); /* also for messages that came before */
	if (tell < 0 || r->done)
		return tell < 0 ? tell : 0;
	moved = console_drain(r->console, r->err);
	if (moved < 0)
		return moved;
	if (net_count)
		net_serve();
	if (tick) {
		if (!doorbell_tick(r->vm, r->console, moved) && moved)
			r->tick_ns = FIRST_TICK_NS;
		else if (r->tick_ns < LAST_TICK_NS)
			r->tick_ns *= 2;
	}
	arm_tick(r, tell && !vcpu_preempt(r->vm, r->guest) ? RETRY_TICK_NS : r->tick_ns);
	return 0;
}

/* ---- exits ---- */

/* The guest freed memory: the host gets it back. What it names is checked, and no more. */
static void discard(struct run *r)
{
	struct noxs_control *control = r->guest->control;
	struct noxs_discard range = control->discard;
	void *at = gmem_at(&r->vm->ram, range.gpa, range.bytes);

	if (!at || range.gpa < r->guest->free_gpa || ((range.gpa | range.bytes) & (NOXS_PAGE - 1)))
		return;
	if (!madvise(at, range.bytes, MADV_DONTNEED))
		control->discard.bytes = 0; /* done */
}

/* The guest says what it died of: a signal, or a failure of its kernel. */
static int crash(struct run *r)
{
	struct noxs_crash *c = &r->result->crash;

	*c = r->guest->control->crash;
	if (c->kind < NOXS_CRASH_FAULT || c->kind > NOXS_CRASH_KERNEL ||
	    (c->kind != NOXS_CRASH_KERNEL && (c->signal < 1 || c->signal > 64)))
		return err_set(r->err, EPROTO,
			       "the guest reported a crash of kind %u by signal %u, which do not "
			       "exist",
			       c->kind, c->signal);
	r->result->signal = (int)(c->signal & 0x7f);
	end(r, RUN_CRASHED);
	return 0;
}

/* The guest has written, and was to say so. */
static int output_rung(struct run *r)
{
	int often = doorbell_rang(r->console, r->err);

	if (often > 0) {
		/* What comes next is found at the tick. */
		r->tick_ns = FIRST_TICK_NS;
		arm_tick(r, r->tick_ns);
	}
	return often < 0 ? often : 0;
}

static int doorbell(struct run *r, uint64_t slot, uint64_t value)
{
	switch (slot) {
	case NOXS_DB_EXIT:
		r->result->status = (int)(value & 0xff);
		end(r, RUN_EXITED);
		return 0;
	case NOXS_DB_WAIT:
		return wait_for_guest(r);
	case NOXS_DB_CRASH:
		return crash(r);
	case NOXS_DB_DISCARD:
		discard(r);
		return 0;
	case NOXS_DB_GROW: /* the guest sees what it got */
		guest_grow(r->guest, r->vm, value);
		return 0;
	case DEVICE_CONSOLE_SLOT + NOXS_STDIN: /* it made room: that is seen when it WAITs */
		return 0;
	case DEVICE_CONSOLE_SLOT + NOXS_STDOUT:
	case DEVICE_CONSOLE_SLOT + NOXS_STDERR:
		return output_rung(r);
	}
	if (net_count && net_rang(slot))
		return 0;
	return err_set(r->err, EPROTO, "the guest rang doorbell %llu, which does not exist",
		       (unsigned long long)slot);
}

/* ---- start and end ---- */

/* Output that is left when the guest has ended: all of it, unless time or patience ends. */
static int flush(struct run *r)
{
	const int port = r->options->port ? r->options->port->fd : -1;
	int ret = console_drain(r->console, r->err);

	if (ret < 0 || !console_pending(r->console) || r->result->end == RUN_TIMEOUT ||
	    r->result->end == RUN_SIGNAL)
		return ret < 0 ? ret : 0;
	/* Nobody is left to handle a signal: it ends the wait. */
	power_init(&r->power, r->power.page);
	r->done = false;
	kick_hold(&r->open_mask);
	while (ret >= 0 && !r->done && console_pending(r->console)) {
		uint64_t now = now_ns();

		ret = console_wait(r->console, CONSOLE_EV_FLUSHED,
				   r->deadline_ns == 0    ? -1
				   : r->deadline_ns > now ? (int64_t)(r->deadline_ns - now)
							  : 0,
				   port, &r->open_mask, r->err);
		if (ret >= 0 || ret == -EINTR)
			ret = look_outside(r, ret == CONSOLE_EV_OTHER);
	}
	kick_let(&r->open_mask);
	return ret < 0 ? ret : 0;
}

void run_prepare_signals(struct vm *vm)
{
	kick_prepare(vm->run);
}

int run_to_park(struct vm *vm, struct guest *guest, struct err *err)
{
	uint64_t slot, value;
	int ret;

	vcpu_start(vm, guest);
	do
		ret = vcpu_run(vm, &slot, &value, err);
	while (ret == -EINTR || (ret == -EFAULT && net_count && net_fall_back()));
	if (ret)
		return ret;
	if (slot != NOXS_DB_PARK)
		return err_set(err, EPROTO, "the library kernel rang doorbell %llu, not PARK",
			       (unsigned long long)slot);
	return 0;
}

static int loop(struct run *r)
{
	uint64_t slot, value;
	int ret = 0;

	while (!r->done && ret >= 0) {
		if (r->power.held) {
			ret = hold(r);
			continue;
		}
		ret = vcpu_run(r->vm, &slot, &value, r->err);
		if (ret == -EINTR)
			ret = kicked(r);
		else if (!ret)
			ret = doorbell(r, slot, value);
		else if (ret == -EFAULT && net_count && net_fall_back())
			ret = 0;
	}
	return ret;
}

int run_guest(struct vm *vm, struct guest *guest, struct console *console,
	      const struct run_options *options, struct run_result *result, struct err *err)
{
	struct run r = {
		.vm = vm,
		.guest = guest,
		.console = console,
		.options = options,
		.result = result,
		.err = err,
		.tick_ns = FIRST_TICK_NS,
		.start_ns = now_ns(),
	};
	bool ours = kick_prepare(vm->run);
	int ret;

	memset(result, 0, sizeof(*result));
	if (options->timeout_ns)
		r.deadline_ns = r.start_ns + options->timeout_ns;
	power_init(&r.power, &guest->control->power);
	if (!options->parked)
		vcpu_start(vm, guest);
	if (net_count)
		console->others = net_wait;
	result->start_tsc = __rdtsc();
	arm_tick(&r, r.tick_ns);
	ret = loop(&r);
	if (ret >= 0)
		ret = flush(&r);
	doorbell_stop();
	if (net_count)
		net_stop();
	if (ours)
		kick_release();
	return ret;
}
