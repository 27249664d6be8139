/* SPDX-License-Identifier: Apache-2.0 */
/* net_run.c: net devices while the guest runs: who is served, and when. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>

#include "net_backend.h"

#define BURST     64u       /* frames: a guest that had so many to send may have more */
#define RETRY_NS  1000000ll /* at first; then ever rarer */
#define MAX_SHIFT 6
#define PATIENCE  50 /* ms: what is left at the end */

/* Is it in use, and can it be? Looks at the guest's answer. */
static bool is_served(struct net_dev *d)
{
	const struct noxs_net_front *front =
		(const struct noxs_net_front *)(d->window + NOXS_NET_OFF_FRONT);
	struct err err;

	if (net_is_broken(d))
		return false;
	if (device_look(&d->front, &front->front, d->features, "net device", &err) < 0)
		net_break(d, "%.100s", err.message);
	else if (d->vnet && d->front.state && !(d->front.features & NOXS_NET_SEGMENTS))
		net_break(d, "the guest does not take the frames of a tap with IFF_VNET_HDR");
	return device_is_live(&d->front) && !net_is_broken(d);
}

/* What a WAIT for this device sleeps for: how many descriptors. */
static unsigned sleep_for(struct net_dev *d, bool wanted, struct pollfd *p, int64_t *retry_ns)
{
	short events =
		(short)((wanted && d->dry ? POLLIN : 0) | (d->blocked == NET_POLL ? POLLOUT : 0));
	unsigned n = 0;
	int64_t retry;

	d->slept = true;
	if (d->blocked == NET_LATER) {
		retry = RETRY_NS << d->retries;
		d->retries += d->retries < MAX_SHIFT;
		if (*retry_ns < 0 || *retry_ns > retry)
			*retry_ns = retry;
	} else {
		d->retries = 0;
	}
	if (events)
		p[n++] = (struct pollfd){.fd = d->fd, .events = events};
	if (net_watch_fd(d) >= 0)
		p[n++] = (struct pollfd){.fd = net_watch_fd(d), .events = POLLIN};
	return n;
}

/* Serves one device: is there reason for the guest to look at it? */
static bool serve(struct net_dev *d)
{
	bool burst = net_tx_waits(d) >= BURST, ready;

	d->backend->send(d);
	if (!d->looked || !d->dry) {
		d->dry = false;
		d->backend->receive(d);
	}
	if (d->backend->fill) /* a driver may have run out of buffers, and sleep */
		d->backend->fill(d);
	d->looked = false;
	/* Room for its next frames; or it is to take back its buffers, or there is so much to send
	 * that it is somebody else's turn first. */
	ready = (burst && d->blocked == NET_FREE) || d->blocked == NET_COMPLETION ||
		d->blocked == NET_MORE;
	return ready || net_rx_waits(d);
}

static void check(struct net_dev *d)
{
	if (d->backend->check && is_served(d))
		d->backend->check(d);
}

/* Serves device i: those of events that hold for it. */
static uint32_t look(struct net_dev *d, unsigned i, uint32_t events)
{
	uint32_t is = 0;

	if (is_served(d) && serve(d))
		is = NOXS_EV_NET(i);
	if (!net_link_is_up(d) || (d->slept && !is))
		check(d);
	if (d->news && (events & NOXS_EV_NET(i))) {
		d->news = false;
		is = NOXS_EV_NET(i);
	}
	return is & events;
}

uint32_t net_look(uint32_t events)
{
	uint32_t is = 0;

	net_lock();
	for (unsigned i = 0; i < net_count; i++)
		is |= look(&net_devs[i], i, events);
	for (unsigned i = 0; i < net_count && !is; i++)
		net_devs[i].looked = true;
	net_unlock();
	return is;
}

uint32_t net_wait(uint32_t events, struct pollfd *fds, unsigned *n, int64_t *retry_ns)
{
	uint32_t is = 0;

	*n = 0;
	net_lock();
	for (unsigned i = 0; i < net_count; i++) {
		struct net_dev *d = &net_devs[i];

		is |= look(d, i, events);
		if (device_is_live(&d->front) && !net_is_broken(d))
			*n += sleep_for(d, events & NOXS_EV_NET(i), &fds[*n], retry_ns);
	}
	if (!is)
		net_poll_sleep();
	net_unlock();
	return is;
}

void net_woken(void)
{
	for (unsigned i = 0; i < net_count; i++)
		net_devs[i].slept = false;
	net_poll_woken();
}

void net_serve_all(void)
{
	for (unsigned i = 0; i < net_count; i++)
		if (is_served(&net_devs[i]))
			serve(&net_devs[i]);
}

void net_serve(void)
{
	net_lock();
	net_serve_all();
	for (unsigned i = 0; i < net_count; i++)
		check(&net_devs[i]);
	net_unlock();
}

static void serve_queue(struct net_dev *d, unsigned queue)
{
	if (queue == NOXS_NET_Q_TX)
		d->backend->send(d);
	else if (d->backend->fill)
		d->backend->fill(d);
	else
		d->backend->receive(d);
}

bool net_rang(uint64_t slot)
{
	uint64_t n = slot - NOXS_NET_SLOT(0); /* a slot below is far above */
	struct net_dev *d;

	if (n >= net_count * NOXS_NET_NQUEUES)
		return false;
	d = &net_devs[n / NOXS_NET_NQUEUES];
	net_lock();
	if (is_served(d))
		serve_queue(d, n % NOXS_NET_NQUEUES);
	net_unlock();
	net_poll_rang();
	return true;
}

bool net_fall_back(void)
{
	bool any = false;

	net_lock();
	for (unsigned i = 0; i < net_count; i++)
		if (net_devs[i].backend == &net_xdp && !net_devs[i].counters.copying)
			any |= !net_xdp_copy(&net_devs[i]);
	net_unlock();
	return any;
}

/* Sends what is left of one device; it may take so many ms. Returns how many are left. */
static int finish(struct net_dev *d, int patience)
{
	if (is_served(d) && net_watch_fd(d) >= 0)
		net_watch_read(d); /* for the statistics: is it still there? */
	while (is_served(d)) {
		struct pollfd p = {.fd = d->fd, .events = POLLOUT};

		d->backend->send(d);
		if (d->blocked == NET_FREE || d->blocked == NET_COMPLETION || !net_link_is_up(d) ||
		    patience <= 0)
			break;
		if (d->blocked == NET_MORE)
			continue;
		if (poll(&p, d->blocked == NET_POLL, d->blocked == NET_POLL ? patience : 1) == 1)
			continue;
		patience -= d->blocked == NET_POLL ? patience : 1;
	}
	return patience;
}

void net_stop(void)
{
	int patience = PATIENCE;

	net_poll_stop();
	for (unsigned i = 0; i < net_count; i++)
		patience = finish(&net_devs[i], patience);
}
