/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send.c: frames to the host, and when to ring for them (driver.h). A doorbell costs
 * microseconds, and a WAIT sends all there is: so frames are gathered while the program works.
 */
#include <linux/errno.h>

#include "../arch.h"
#include "driver.h"

#define FLUSH_AT 32u /* frames in TX that are worth a doorbell */
#define FLUSH_NS 50000ull

uint32_t uk_net_unsent;
static uint64_t unsent_since_ns;

static void reap(struct driver *d)
{
	struct ring *r = &d->ring[NOXS_NET_COMP];
	uint32_t n = waiting(r);

	if (!n)
		return;
	while (n--) {
		const volatile uint64_t *at = r->desc;
		uint64_t buffer = at[r->ours++ & (r->entries - 1)] >> d->shift;

		if (buffer >= d->buffers || d->state[buffer] != SENT)
			continue;
		d->nsent--;
		give_back(d, (uint32_t)buffer);
	}
	publish(r->consumer, r->ours);
}

/* Headers are a few words: string instructions take longer to start. */
static void copy(uint8_t *to, const uint8_t *from, uint32_t n)
{
	if (n > 128) {
		memcpy(to, from, n);
		return;
	}
	for (; n >= 8; n -= 8, to += 8, from += 8)
		__builtin_memcpy(to, from, 8);
	while (n--)
		*to++ = *from++;
}

/* A frame under way into its buffers. */
struct filling {
	struct driver *d;
	uint32_t buffer, bytes; /* of the current one; bytes that are in it */
};

static void next_buffer(struct filling *f)
{
	f->buffer = f->d->free[--f->d->nfree];
	f->d->state[f->buffer] = SENT;
	f->d->nsent++;
	f->bytes = 0;
}

static void describe(struct filling *f, uint32_t options)
{
	struct ring *tx = &f->d->ring[NOXS_NET_TX];
	struct noxs_net_desc *at = tx->desc;

	at[tx->ours++ & (tx->entries - 1)] = (struct noxs_net_desc){
		.addr = (uint64_t)f->buffer << f->d->shift,
		.len = f->bytes,
		.options = options,
	};
}

static void append(struct filling *f, const void *data, uint32_t bytes)
{
	uint32_t size = 1u << f->d->shift;

	for (const uint8_t *p = data; bytes;) {
		uint32_t part;

		if (f->bytes == size) {
			describe(f, NOXS_NET_CONTINUED);
			next_buffer(f);
		}
		part = uk_min(bytes, size - f->bytes);
		copy(f->d->area + ((uint64_t)f->buffer << f->d->shift) + f->bytes, p, part);
		f->bytes += part;
		p += part;
		bytes -= part;
	}
}

long net_send(struct net_dev *dev, const struct noxs_net_vnet *vnet, const struct net_piece *piece,
	      uint32_t n)
{
	static const struct noxs_net_vnet plain;
	struct driver *d = driver_of(dev);
	struct filling f = {.d = d};
	uint64_t bytes = 0, need;

	for (uint32_t i = 0; i < n; i++)
		bytes += piece[i].bytes;
	need = bytes + (dev->segments ? sizeof(plain) : 0);
	need = (need + (1u << d->shift) - 1) >> d->shift;
	if (d->nsent + need > d->tx_max)
		reap(d);
	if (d->nsent + need > d->tx_max || need > d->nfree) {
		d->wants_buffer = true;
		dev->front->tx_dropped++;
		net_flush();
		return -ENOBUFS;
	}
	next_buffer(&f);
	if (dev->segments)
		append(&f, vnet ? vnet : &plain, sizeof(plain));
	for (uint32_t i = 0; i < n; i++)
		append(&f, piece[i].data, piece[i].bytes);
	describe(&f, 0);
	publish(d->ring[NOXS_NET_TX].producer, d->ring[NOXS_NET_TX].ours);
	dev->front->tx_frames++;
	dev->front->tx_bytes += bytes;
	d->unsent++;
	if (!uk_net_unsent++)
		unsent_since_ns = uk_monotonic_ns();
	if (uk_net_unsent >= FLUSH_AT)
		net_flush();
	return 0;
}

bool net_buffers_back(struct net_dev *dev)
{
	struct driver *d = driver_of(dev);
	bool back;

	reap(d);
	back = d->wants_buffer && d->nsent < d->tx_max / 2;
	d->wants_buffer &= !back;
	return back;
}

/* ---- doorbells ---- */

static void ring_if_asked(struct net_dev *dev, struct driver *d, enum noxs_net_ring_index ring,
			  enum noxs_net_queue queue)
{
	if (!(__atomic_load_n(d->ring[ring].flags, __ATOMIC_RELAXED) & NOXS_NET_NEED_WAKEUP))
		return;
	dev->front->doorbells++;
	uk_doorbell(d->doorbell + queue, 0);
}

void net_flush(void)
{
	uk_net_unsent = 0;
	/* The host sets its flag, then looks at the ring; we write the ring, then look at the
	 * flag: one of the two sees the other (af_xdp.rst). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		struct driver *d = &net_driver[i];

		if (d->unsent)
			ring_if_asked(&uk_net_dev[i], d, NOXS_NET_TX, NOXS_NET_Q_TX);
		d->unsent = 0;
		ring_if_asked(&uk_net_dev[i], d, NOXS_NET_FILL, NOXS_NET_Q_FILL);
	}
}

void net_flush_late(void)
{
	if (uk_monotonic_ns() - unsent_since_ns >= FLUSH_NS)
		net_flush();
}

void net_waiting(void)
{
	uk_net_unsent = 0;
	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		net_driver[i].unsent = 0;
}
