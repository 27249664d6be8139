/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c: nothing to do: the WAIT exit, and what may cut it short (timers, requests, frames).
 *
 * Whatever the program waits for, the network goes on meanwhile: frames that come are taken
 * and answered, and TCP's timers run.
 */
#include <asm/errno.h>

#include "arch.h"
#include "net/net.h"
#include "signal.h"

#define TICK_NS 10000000ull /* a computing program leaves the network alone for that long */
#define SPIN_NS 250000ull   /* should the monitor forget to say that it has stopped */

/* Sleeps until one of events or the deadline. Returns what the monitor says is ready. */
static uint32_t sleep_once(uint32_t events, uint64_t deadline_ns)
{
	struct noxs_wait *wait = &UK_CONTROL->wait;
	uint64_t start = uk_monotonic_ns();
	uint32_t ready;

	wait->events = events | NOXS_EV_POWER;
	wait->deadline_ns = deadline_ns;
	wait->ready = 0;
	uk_doorbell(NOXS_DB_WAIT, 0);
	ready = wait->ready; /* a suspended guest waits again, with the same record */
	uk_slept(uk_monotonic_ns() - start);
	return ready;
}

void uk_net_tick(void)
{
	uk_net_service();
	if (uk_net_unsent)
		net_flush();
	uk_timer_tick_at(uk_net_ndevs ? uk_monotonic_ns() + TICK_NS : 0);
}

/* A frame has come while we looked. While the monitor polls (noxs_net.awake) what we have to
 * say is heard and what comes is seen, without the exit that a WAIT is. */
static bool spin(uint64_t until_ns)
{
	uint64_t end = uk_min(until_ns, uk_min(uk_net_deadline(), uk_monotonic_ns() + SPIN_NS));

	while (net_spins() && uk_monotonic_ns() < end) {
		for (int i = 0; i < 16; i++) {
			if (net_news())
				return true;
			__builtin_ia32_pause();
		}
		if (uk_signal_poll())
			break;
	}
	return false;
}

/* As uk_wait, with a network: who waits for it (NOXS_EV_NET) is told when something has
 * happened there; others are not disturbed. */
static long wait_with_net(uint32_t events, uint64_t deadline_ns)
{
	uint32_t devices = 0, ready = 0;

	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		devices |= NOXS_EV_NET(uk_net_dev[i].id);
	for (;;) {
		uint64_t until;
		bool news;

		if (uk_signal_poll())
			return -EINTR;
		until = uk_min(deadline_ns, uk_timer_next());
		news = uk_net_service();
		if (!news && net_late_acks())
			news = uk_net_service(); /* over the loopback they lead to more */
		if (!news && spin(until))
			news = uk_net_service();
		/* Without a device nothing comes but what the program sent itself. */
		if (!news && !devices && !(events & ~(NOXS_EV_NET_ALL | NOXS_EV_POWER)) &&
		    uk_monotonic_ns() >= deadline_ns)
			return 0;
		if (!news) {
			net_waiting();
			ready = sleep_once((events & ~NOXS_EV_NET_ALL) | devices,
					   uk_min(until, uk_net_deadline()));
			if (uk_signal_poll())
				return -EINTR;
			news = uk_net_service();
		}
		if (uk_net_ndevs)
			uk_timer_tick_at(uk_monotonic_ns() + TICK_NS);
		ready &= events & ~(NOXS_EV_NET_ALL | NOXS_EV_POWER);
		if (news)
			ready |= events & NOXS_EV_NET_ALL;
		if (ready || uk_monotonic_ns() >= until)
			return (long)ready;
	}
}

long uk_wait(uint32_t events, uint64_t deadline_ns)
{
	/* A device answers pings, whether the program has sockets or not. */
	if (uk_net_live || (uk_net_ndevs && !net_stack_start()))
		return wait_with_net(events, deadline_ns);
	for (;;) {
		uint32_t ready;

		if (uk_signal_poll())
			return -EINTR;
		ready = sleep_once(events, uk_min(deadline_ns, uk_timer_next()));
		if (uk_signal_poll())
			return -EINTR;
		/* A request that was nothing to the program does not end its wait. */
		if (ready != NOXS_EV_POWER)
			return (long)(ready & events);
	}
}
