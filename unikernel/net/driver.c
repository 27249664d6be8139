/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.c: net devices: their start, and frames from the host (driver.h).
 *
 * A third of the buffers is for sending; the rest are the host's to fill, or the stack's. The
 * host uses them one after the other, so it gets no more of them than it needs: few buffers
 * stay in the caches.
 */
#include <linux/errno.h>

#include "../device.h"
#include "driver.h"

#define FILL_START    256u            /* buffers in the fill ring at boot */
#define FIRST_BUFFERS (3 * NOXS_PAGE) /* of those for receiving, and for sending: touched early */
#define RX_BATCH      32u             /* descriptors that are taken before the host is told */

struct driver net_driver[NOXS_NET_MAX];
struct net_dev uk_net_dev[NOXS_NET_MAX];
uint32_t uk_net_ndevs;

/* ---- start ---- */

/* Where ring i may be, from the window's start. */
static const struct {
	uint32_t at, end, entry;
} place[NOXS_NET_NRINGS] = {
	[NOXS_NET_FILL] = {NOXS_NET_OFF_FILL, NOXS_NET_OFF_COMP, sizeof(uint64_t)},
	[NOXS_NET_COMP] = {NOXS_NET_OFF_COMP, NOXS_NET_OFF_RX, sizeof(uint64_t)},
	[NOXS_NET_RX] = {NOXS_NET_OFF_RX, NOXS_NET_OFF_TX, sizeof(struct noxs_net_desc)},
	[NOXS_NET_TX] = {NOXS_NET_OFF_TX, 0x18000, sizeof(struct noxs_net_desc)},
};

static bool index_fits(uint32_t off, uint32_t bytes)
{
	return off % 4 == 0 && off <= bytes - 4;
}

/* Points r at where the page says that it is. The page is read once. */
static bool ring_find(struct ring *r, uint64_t window, enum noxs_net_ring_index i,
		      const volatile struct noxs_net_ring *told)
{
	struct noxs_net_ring at = *told;
	uint32_t bytes = place[i].end - place[i].at;
	char *base = (char *)window + place[i].at;

	if (!at.entries || (at.entries & (at.entries - 1)) || at.entries > NOXS_NET_MAX_ENTRIES ||
	    at.desc % 8 || at.desc > bytes || at.entries * place[i].entry > bytes - at.desc ||
	    !index_fits(at.producer, bytes) || !index_fits(at.consumer, bytes) ||
	    !index_fits(at.flags, bytes))
		return false;
	*r = (struct ring){
		.producer = (uint32_t *)(base + at.producer),
		.consumer = (uint32_t *)(base + at.consumer),
		.flags = (uint32_t *)(base + at.flags),
		.desc = base + at.desc,
		.entries = at.entries,
	};
	return true;
}

static void fill_put(struct driver *d, uint32_t buffer)
{
	struct ring *r = &d->ring[NOXS_NET_FILL];

	((uint64_t *)r->desc)[r->ours++ & (r->entries - 1)] = (uint64_t)buffer << d->shift;
}

/* All rings as the page has them now, and the first buffers into the fill ring. */
static bool rings_start(struct net_dev *dev)
{
	struct driver *d = driver_of(dev);

	for (int i = 0; i < NOXS_NET_NRINGS; i++)
		if (!ring_find(&d->ring[i], NOXS_GVA_NET(dev->id), i, &dev->noxs->ring[i]))
			return false;
	d->ring[NOXS_NET_FILL].ours = *d->ring[NOXS_NET_FILL].producer;
	d->ring[NOXS_NET_TX].ours = *d->ring[NOXS_NET_TX].producer;
	d->ring[NOXS_NET_RX].theirs = d->ring[NOXS_NET_RX].ours = *d->ring[NOXS_NET_RX].consumer;
	d->ring[NOXS_NET_COMP].theirs = d->ring[NOXS_NET_COMP].ours =
		*d->ring[NOXS_NET_COMP].consumer;
	d->told = d->ring[NOXS_NET_RX].ours;
	d->tx_max = uk_min(d->buffers / 3, d->ring[NOXS_NET_TX].entries);
	d->tx_max = uk_min(d->tx_max, d->ring[NOXS_NET_COMP].entries);
	d->rx_max = d->buffers - d->tx_max;
	d->fill_target = uk_min(FILL_START, d->ring[NOXS_NET_FILL].entries);
	d->fill_target = uk_min(d->fill_target, d->rx_max);
	return true;
}

void uk_net_device_start(const struct noxs_device *row)
{
	struct net_dev *dev = &uk_net_dev[uk_net_ndevs];
	struct driver *d = &net_driver[uk_net_ndevs];
	uint32_t frame_bytes;

	if (uk_net_ndevs == NOXS_NET_MAX || row->id >= NOXS_NET_MAX)
		return;
	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		if (uk_net_dev[i].id == row->id)
			return;
	*d = (struct driver){0};
	dev->id = row->id;
	dev->noxs = (const struct noxs_net *)NOXS_GVA_NET(row->id);
	dev->front = (struct noxs_net_front *)(NOXS_GVA_NET(row->id) + NOXS_NET_OFF_FRONT);
	d->area = (uint8_t *)NOXS_GVA_NET(row->id) + NOXS_NET_OFF_BUFFERS;
	frame_bytes = dev->noxs->frame_bytes;
	d->buffers = dev->noxs->buffers;
	d->doorbell = row->doorbell;
	if (row->config[0] != NOXS_GVA_NET(row->id) || d->doorbell < NOXS_DB_QUEUE ||
	    d->doorbell > NOXS_DB_SLOTS - NOXS_NET_NQUEUES || frame_bytes < 1024 ||
	    frame_bytes > NOXS_PAGE || (frame_bytes & (frame_bytes - 1)) || d->buffers < 16 ||
	    d->buffers > (NOXS_NET_WINDOW - NOXS_NET_OFF_BUFFERS) / frame_bytes ||
	    d->buffers > UINT16_MAX)
		uk_panic("net device %u makes no sense", row->id);
	d->shift = (uint32_t)__builtin_ctz(frame_bytes);
	if (!rings_start(dev))
		uk_panic("the rings of net device %u cannot be where it says", row->id);
	for (uint32_t i = 0; i < d->fill_target; i++)
		fill_put(d, i);
	publish(d->ring[NOXS_NET_FILL].producer, d->ring[NOXS_NET_FILL].ours);
	d->nfill = d->fill_target;
	uk_net_ndevs++;
	uk_device_ready(row, &dev->front->front, NOXS_NET_SEGMENTS);
	dev->segments = dev->front->front.features & NOXS_NET_SEGMENTS;
}

long net_driver_open(struct net_dev *dev)
{
	struct driver *d = driver_of(dev);

	d->state = net_alloc(d->buffers);
	d->free = net_alloc(d->buffers * sizeof(d->free[0]));
	if (!d->state || !d->free)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->nfill; i++)
		d->state[i] = FILL;
	for (uint32_t i = d->buffers; i-- > d->nfill;)
		d->free[d->nfree++] = (uint16_t)i;
	return 0;
}

static void touch(const volatile char *at, size_t bytes, bool write)
{
	for (size_t off = 0; off < bytes; off += NOXS_PAGE) {
		if (write)
			__atomic_fetch_or((char *)at + off, 0, __ATOMIC_RELAXED);
		else
			(void)at[off];
	}
}

void net_driver_touch(const struct net_dev *dev)
{
	static const uint32_t rings[] = {NOXS_NET_OFF_FRONT, NOXS_NET_OFF_FILL, NOXS_NET_OFF_COMP,
					 NOXS_NET_OFF_RX, NOXS_NET_OFF_TX};
	const struct driver *d = driver_of(dev);
	const char *window = (const char *)NOXS_GVA_NET(dev->id);
	uint64_t first_tx = (uint64_t)d->free[d->nfree - 1] << d->shift;

	touch(window, NOXS_PAGE, false);
	for (size_t i = 0; i < uk_countof(rings); i++)
		touch(window + rings[i], 1, true);
	touch((const char *)d->area, FIRST_BUFFERS, false);
	touch((const char *)d->area + first_tx, FIRST_BUFFERS, true);
}

uint32_t net_driver_buffers(const struct net_dev *dev)
{
	return driver_of(dev)->buffers;
}

static void refill(struct driver *d)
{
	struct ring *r = &d->ring[NOXS_NET_FILL];
	uint32_t before = r->ours;

	while (d->nfill < d->fill_target && d->nfill + d->nheld < d->rx_max) {
		uint32_t buffer = d->free[--d->nfree];

		d->state[buffer] = FILL;
		d->nfill++;
		fill_put(d, buffer);
	}
	if (r->ours != before)
		publish(r->producer, r->ours);
}

bool net_driver_renew(struct net_dev *dev)
{
	struct driver *d = driver_of(dev);

	if (*d->ring[NOXS_NET_FILL].producer == d->ring[NOXS_NET_FILL].ours &&
	    *d->ring[NOXS_NET_TX].producer == d->ring[NOXS_NET_TX].ours)
		return true;
	/* New ones: what the host had of the old is ours again. */
	if (!rings_start(dev))
		return false;
	for (uint32_t i = 0; i < d->buffers; i++)
		if (d->state[i] == FILL || d->state[i] == SENT)
			give_back(d, i);
	d->nfill = d->nsent = d->unsent = 0;
	refill(d);
	return true;
}

/* ---- receive ---- */

/* What was taken of RX is told, and replaced. A burst that nearly emptied the fill ring makes
 * it deeper. */
static void end_batch(struct driver *d)
{
	struct ring *rx = &d->ring[NOXS_NET_RX], *fill = &d->ring[NOXS_NET_FILL];

	if (fill->ours - __atomic_load_n(fill->consumer, __ATOMIC_RELAXED) < d->fill_target / 4) {
		d->fill_target = uk_min(d->fill_target * 2, fill->entries);
		d->fill_target = uk_min(d->fill_target, d->rx_max);
	}
	publish(rx->consumer, d->told = rx->ours);
	refill(d);
}

/* The next descriptor's buffer: false where the host does not have it to give. */
static bool take(struct driver *d, struct net_frame *f, const struct noxs_net_desc *desc)
{
	uint64_t buffer = desc->addr >> d->shift;
	uint32_t bytes = 1u << d->shift, off = (uint32_t)desc->addr & (bytes - 1);

	if (buffer >= d->buffers || d->state[buffer] != FILL)
		return false;
	d->nfill--;
	if (!desc->len || desc->len > bytes - off || f->npieces == NET_FRAME_PIECES) {
		give_back(d, (uint32_t)buffer);
		return false;
	}
	d->state[buffer] = HELD;
	d->nheld++;
	f->piece[f->npieces].data = d->area + desc->addr;
	f->piece[f->npieces].bytes = desc->len;
	f->piece[f->npieces++].buffer = buffer;
	f->bytes += desc->len;
	return true;
}

/* Takes struct noxs_net_vnet off the frame's front. */
static bool take_vnet(struct driver *d, struct net_frame *f)
{
	if (f->piece[0].bytes <= sizeof(d->vnet))
		return false;
	memcpy(&d->vnet, f->piece[0].data, sizeof(d->vnet));
	f->vnet = &d->vnet;
	f->piece[0].data = (uint8_t *)f->piece[0].data + sizeof(d->vnet);
	f->piece[0].bytes -= (uint32_t)sizeof(d->vnet);
	f->bytes -= (uint32_t)sizeof(d->vnet);
	return true;
}

bool net_receive(struct net_dev *dev, struct net_frame *f)
{
	struct driver *d = driver_of(dev);
	struct ring *rx = &d->ring[NOXS_NET_RX];
	uint32_t end = rx->ours + rx->entries; /* a ring that stays full is left, too */

	while ((int32_t)(rx->ours - end) < 0 && waiting(rx)) {
		bool good = true, more = true;

		f->vnet = NULL;
		f->bytes = f->npieces = 0;
		while (more && rx->ours != end && waiting(rx)) {
			volatile struct noxs_net_desc *at = rx->desc;
			/* Copied once: nothing is looked at twice in there. */
			struct noxs_net_desc desc = at[rx->ours++ & (rx->entries - 1)];

			good &= take(d, f, &desc);
			more = desc.options & NOXS_NET_CONTINUED;
		}
		if (rx->ours - d->told >= RX_BATCH)
			end_batch(d);
		if (good && !more && (!dev->segments || take_vnet(d, f)) &&
		    f->piece[0].bytes > 14) {
			dev->front->rx_frames++;
			dev->front->rx_bytes += f->bytes;
			return true;
		}
		dev->front->rx_dropped++;
		for (uint32_t i = 0; i < f->npieces; i++)
			net_buffer_free(dev, f->piece[i].buffer);
	}
	if (rx->ours != d->told || d->nfill < d->fill_target)
		end_batch(d);
	return false;
}

void net_buffer_free(struct net_dev *dev, uint64_t buffer)
{
	struct driver *d = driver_of(dev);

	UK_BUG_ON(d->state[buffer] != HELD);
	d->nheld--;
	give_back(d, (uint32_t)buffer);
}

uint32_t net_buffers_left(const struct net_dev *dev)
{
	const struct driver *d = driver_of(dev);

	return d->rx_max > d->nheld ? d->rx_max - d->nheld : 0;
}

bool net_spins(void)
{
	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		if (!__atomic_load_n(&uk_net_dev[i].noxs->awake, __ATOMIC_RELAXED))
			return false;
	return uk_net_ndevs;
}

bool net_news(void)
{
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		const struct ring *rx = &net_driver[i].ring[NOXS_NET_RX];

		if (__atomic_load_n(rx->producer, __ATOMIC_ACQUIRE) != rx->ours)
			return true;
	}
	return false;
}
