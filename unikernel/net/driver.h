/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.h: front end of the net device: the four rings of noxs/net.h, by file.
 *
 *   driver.c   start, empty buffers to the host, frames from it
 *   send.c     frames to the host, doorbells
 *
 * A buffer is in one state at a time, and `state` is the only witness: what the host says in a
 * ring is believed if it is about a buffer that the host has. So it cannot make us use one
 * twice, nor look outside of the buffer area.
 *
 *      free --refill--> FILL --RX--> HELD --net_buffer_free--> free
 *      free --net_send--> SENT --completion--> free
 */
#ifndef UK_NET_DRIVER_H
#define UK_NET_DRIVER_H

#include "net.h"

enum state { FREE, FILL, HELD, SENT };

struct ring {
	uint32_t *producer, *consumer, *flags;
	void *desc;
	uint32_t entries; /* a power of two */
	uint32_t ours;    /* our index, of which the ring has a copy */
	uint32_t theirs;  /* theirs when we last looked */
};

struct driver {
	struct ring ring[NOXS_NET_NRINGS];
	uint8_t *area;
	uint32_t buffers, shift; /* of their size */
	uint32_t doorbell;
	uint8_t *state; /* NULL: only the fill ring was fed, with buffers 0 to FILL_START - 1 */
	uint16_t *free;
	uint32_t nfree, nfill, nheld, nsent;
	uint32_t fill_target, rx_max, tx_max;
	uint32_t told;     /* of RX's index: it is told for a batch */
	uint32_t unsent;   /* frames in TX since the last doorbell */
	bool wants_buffer; /* a frame found none */
	struct noxs_net_vnet vnet;
};

extern struct driver net_driver[NOXS_NET_MAX]; /* by row of uk_net_dev */

static inline struct driver *driver_of(const struct net_dev *dev)
{
	return &net_driver[dev - uk_net_dev];
}

static inline void publish(uint32_t *index, uint32_t value)
{
	/* Release: the entries are written, or read, before the index says so. */
	__atomic_store_n(index, value, __ATOMIC_RELEASE);
}

static inline void give_back(struct driver *d, uint32_t buffer)
{
	d->state[buffer] = FREE;
	d->free[d->nfree++] = (uint16_t)buffer;
}

/* Entries of a ring that we consume. An index that makes no sense is a full ring: the host's
 * word is taken for how much, never for where. */
static inline uint32_t waiting(struct ring *r)
{
	uint32_t n = r->theirs - r->ours;

	if (n)
		return n;
	/* Acquire: the entries were written before the index. */
	r->theirs = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
	n = r->theirs - r->ours;
	if (n > r->entries) {
		r->theirs = r->ours + r->entries;
		n = r->entries;
	}
	return n;
}

#endif
