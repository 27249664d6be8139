/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_xdp.c: an AF_XDP socket behind a net device. Its rings are mapped into the window and its
 * UMEM is the window's buffer area, so between the wire and the guest nothing of ours runs; we
 * only wake the kernel: sendto for TX, recvfrom for fill, poll for RX. Rules: Linux,
 * Documentation/networking/af_xdp.rst; errors: net/xdp/xsk.c.
 *
 * The guest may write what it likes into these rings; the kernel checks every descriptor, as it
 * does for any process. What is read of them here is a hint whether a call is worth while.
 *
 * Where the guest cannot get at the socket's rings (it faults on them: KVM_RUN says EFAULT), it
 * gets rings of ours in their place, and entries are copied between the two.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_xdp.h>

#include "net_backend.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

/* In copy mode one call sends 32 frames (TX_BATCH_SIZE), then says EAGAIN. */
#define FRAMES_PER_CALL 32u
#define BIND_TRIES      200 /* 5 ms each */

static const struct {
	off_t pgoff;
	uint32_t offset, room, entry_bytes;
} place[NOXS_NET_NRINGS] = {
	[NOXS_NET_FILL] = {XDP_UMEM_PGOFF_FILL_RING, NOXS_NET_OFF_FILL,
			   NOXS_NET_OFF_COMP - NOXS_NET_OFF_FILL, sizeof(uint64_t)},
	[NOXS_NET_COMP] = {XDP_UMEM_PGOFF_COMPLETION_RING, NOXS_NET_OFF_COMP,
			   NOXS_NET_OFF_RX - NOXS_NET_OFF_COMP, sizeof(uint64_t)},
	[NOXS_NET_RX] = {XDP_PGOFF_RX_RING, NOXS_NET_OFF_RX, NOXS_NET_OFF_TX - NOXS_NET_OFF_RX,
			 sizeof(struct xdp_desc)},
	[NOXS_NET_TX] = {XDP_PGOFF_TX_RING, NOXS_NET_OFF_TX, NOXS_NET_OFF_TX - NOXS_NET_OFF_RX,
			 sizeof(struct xdp_desc)},
};
_Static_assert(sizeof(struct xdp_desc) == sizeof(struct noxs_net_desc), "the same descriptor");
_Static_assert(XDP_RING_NEED_WAKEUP == NOXS_NET_NEED_WAKEUP, "the same flag");

static struct noxs_net_ring layout_of(const struct xdp_ring_offset *o, uint32_t entries)
{
	return (struct noxs_net_ring){
		.producer = (uint32_t)o->producer,
		.consumer = (uint32_t)o->consumer,
		.flags = (uint32_t)o->flags,
		.desc = (uint32_t)o->desc,
		.entries = entries,
	};
}

/* Where the kernel has things in its rings, and how large they are. */
static int ask_layout(struct net_dev *d, struct noxs_net_ring *layout, struct err *err)
{
	uint32_t entries = d->link.opened.entries;
	struct xdp_mmap_offsets o;
	socklen_t size = sizeof(o);

	if (getsockopt(d->fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &size) || size != sizeof(o))
		return err_set(err, errno, "cannot ask for the layout of an AF_XDP socket's rings");
	layout[NOXS_NET_FILL] = layout_of(&o.fr, entries);
	layout[NOXS_NET_COMP] = layout_of(&o.cr, entries);
	layout[NOXS_NET_RX] = layout_of(&o.rx, entries);
	layout[NOXS_NET_TX] = layout_of(&o.tx, entries);
	for (unsigned i = 0; i < NOXS_NET_NRINGS; i++) {
		d->ring_bytes[i] = layout[i].desc + (size_t)entries * place[i].entry_bytes;
		if (d->ring_bytes[i] > place[i].room)
			return err_set(err, 0, "an AF_XDP socket's rings are larger than expected");
	}
	return 0;
}

static void *map_ring(const struct net_dev *d, unsigned i, void *at)
{
	return mmap(at, d->ring_bytes[i], PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE | (at ? MAP_FIXED : 0), d->fd, place[i].pgoff);
}

/* The socket's rings somewhere else, for us. */
static int map_aside(struct net_dev *d, const struct noxs_net_ring *layout)
{
	if (d->socket[0].producer)
		return 0;
	for (unsigned i = 0; i < NOXS_NET_NRINGS; i++) {
		uint8_t *at = map_ring(d, i, NULL);

		if (at == MAP_FAILED)
			return -errno;
		net_ring_at(&d->socket[i], at, &layout[i]);
	}
	return 0;
}

/* To the queue that the helper found free. That of a process which has just ended goes later. */
static int bind_socket(const struct net_dev *d, struct err *err)
{
	static const struct timespec pause = {.tv_nsec = 5000000};
	const struct net_opened *o = &d->link.opened;
	const struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = (uint16_t)o->bind_flags,
		.sxdp_ifindex = o->ifindex,
		.sxdp_queue_id = (uint32_t)o->queue,
	};
	int tries = BIND_TRIES;

	while (bind(d->fd, (const struct sockaddr *)&address, sizeof(address))) {
		if (errno != EBUSY || !tries--)
			return err_set(err, errno, "cannot bind an AF_XDP socket to queue %d of %s",
				       o->queue, o->ifname);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int open_xdp(struct net_dev *d, struct err *err)
{
	const bool unbound = d->link.opened.flags & NET_OPENED_BIND;
	/* For tests of the copying. */
	const char *copy = getenv("MAYFLY_NET_COPY_RINGS");
	struct noxs_net_ring layout[NOXS_NET_NRINGS];
	int ret = ask_layout(d, layout, err);

	if (ret)
		return ret;
	/* Such a kernel, before Linux 6.4, has rings of more than a page as one piece of memory, of
	 * which KVM takes the first page only (kvm_try_get_pfn): the guest would fault in their
	 * midst. */
	d->counters.copying = unbound || (copy && *copy);
	if (d->counters.copying)
		ret = map_aside(d, layout);
	for (unsigned i = 0; i < NOXS_NET_NRINGS && !ret; i++) {
		uint8_t *at = d->window + place[i].offset;

		if (!d->counters.copying && map_ring(d, i, at) == MAP_FAILED)
			ret = -errno;
		d->layout[i] = layout[i];
		net_ring_at(&d->ring[i], at, &layout[i]);
	}
	if (d->counters.copying)
		*d->ring[NOXS_NET_TX].flags = NOXS_NET_NEED_WAKEUP;
	if (ret)
		return err_set(err, -ret, "cannot map the rings of an AF_XDP socket on %s",
			       d->link.opened.ifname);
	return unbound ? bind_socket(d, err) : 0;
}

int net_xdp_copy(struct net_dev *d)
{
	int ret = map_aside(d, d->layout);

	for (unsigned i = 0; i < NOXS_NET_NRINGS && !ret; i++) {
		/* It cannot have used them, so ours begin as they did: with nothing in them. */
		if (*d->socket[i].producer || *d->socket[i].consumer)
			return -EFAULT;
		if (mmap(d->window + place[i].offset, place[i].room, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, d->link.memory, place[i].offset) == MAP_FAILED)
			ret = -errno;
	}
	d->counters.copying = !ret;
	if (!ret)
		*d->ring[NOXS_NET_TX].flags = NOXS_NET_NEED_WAKEUP;
	return ret;
}

/* ---- copying ---- */

/* Moves what it can from one ring, as its consumer, into another, as its producer. */
static bool move(struct net_dev *d, enum noxs_net_ring_index which, struct net_ring *from,
		 struct net_ring *to)
{
	uint32_t bytes = place[which].entry_bytes;
	int n = net_ring_filled(from), room = net_ring_room(to);

	if (n < 0 || room < 0) {
		net_break(d, "the guest broke one of its rings: an index makes no sense");
		return false;
	}
	if (n > room)
		n = room;
	for (uint32_t i = 0; i < (uint32_t)n; i++) {
		const void *entry = from->desc + ((from->mine + i) & (from->entries - 1)) * bytes;

		/* The kernel reads it once, too, and then checks it. */
		memcpy(to->desc + ((to->mine + i) & (to->entries - 1)) * bytes, entry, bytes);
	}
	if (n) {
		net_ring_took(from, (uint32_t)n);
		net_ring_gave(to, (uint32_t)n);
	}
	return n;
}

/* ---- waking the kernel ---- */

static bool wants_kick(const struct net_ring *r)
{
	return __atomic_load_n(r->flags, __ATOMIC_RELAXED) & NOXS_NET_NEED_WAKEUP;
}

static uint32_t unsent(const struct net_ring *tx)
{
	return __atomic_load_n(tx->producer, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(tx->consumer, __ATOMIC_ACQUIRE);
}

/* A call failed. What is left waits for. */
static enum net_blocked why(struct net_dev *d, int errnum)
{
	switch (errnum) {
	case EAGAIN:
	case EBUSY:
	case ENOBUFS:
	case EINTR:
		return NET_LATER;
	case ENETDOWN: /* somebody may set it up again */
		net_link_up(d, false);
		return NET_LATER;
	}
	net_break(d, "the AF_XDP socket on %s has failed: %s", d->link.opened.ifname,
		  errnum == ENXIO ? "the interface is gone" : strerror(errnum));
	return NET_FREE;
}

static void wake_tx(struct net_dev *d, const struct net_ring *tx)
{
	const uint32_t most = tx->entries / FRAMES_PER_CALL + 1;

	d->blocked = NET_FREE;
	for (uint32_t i = 0; i < most && unsent(tx) && (net_polls() || wants_kick(tx)); i++) {
		uint32_t before = __atomic_load_n(tx->consumer, __ATOMIC_RELAXED);
		ssize_t ret = sendto(d->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);

		d->counters.kicks++;
		if (ret >= 0 && net_watch_fd(d) < 0)
			net_link_up(d, true);
		/* EAGAIN also says that there is more than one call sends. */
		if (__atomic_load_n(tx->consumer, __ATOMIC_RELAXED) != before)
			continue;
		d->blocked = ret < 0 ? why(d, errno) : NET_LATER;
		return;
	}
}

static void send_frames(struct net_dev *d)
{
	struct net_ring *mine = d->ring, *socket = d->socket;

	if (!d->counters.copying) {
		wake_tx(d, &mine[NOXS_NET_TX]);
		return;
	}
	/* Twice: the first makes room in the completion ring, where the kernel wants it. */
	for (int i = 0; i < 2; i++) {
		move(d, NOXS_NET_COMP, &socket[NOXS_NET_COMP], &mine[NOXS_NET_COMP]);
		move(d, NOXS_NET_TX, &mine[NOXS_NET_TX], &socket[NOXS_NET_TX]);
		if (!net_is_broken(d))
			wake_tx(d, &socket[NOXS_NET_TX]);
	}
	move(d, NOXS_NET_COMP, &socket[NOXS_NET_COMP], &mine[NOXS_NET_COMP]);
}

static void receive_frames(struct net_dev *d)
{
	struct net_ring *mine = d->ring, *socket = d->socket;

	if (d->counters.copying) {
		move(d, NOXS_NET_FILL, &mine[NOXS_NET_FILL], &socket[NOXS_NET_FILL]);
		move(d, NOXS_NET_RX, &socket[NOXS_NET_RX], &mine[NOXS_NET_RX]);
	}
	d->dry = true; /* poll tells */
}

static void wake_fill(struct net_dev *d)
{
	const struct net_ring *fill =
		d->counters.copying ? &d->socket[NOXS_NET_FILL] : &d->ring[NOXS_NET_FILL];

	if (!wants_kick(fill))
		return;
	d->counters.kicks++;
	if (recvfrom(d->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL) < 0)
		why(d, errno);
}

/* The socket's own news are that it works no more: a call says why. */
static void check(struct net_dev *d)
{
	struct pollfd p[] = {{.fd = d->fd}, {.fd = net_watch_fd(d), .events = POLLIN}};

	if (poll(p, 2, 0) <= 0)
		return;
	if (p[1].revents)
		net_watch_read(d);
	if (p[0].revents && sendto(d->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0)
		why(d, errno);
}

const struct net_backend net_xdp = {
	.name = "xdp",
	.open = open_xdp,
	.send = send_frames,
	.receive = receive_frames,
	.fill = wake_fill,
	.check = check,
};
