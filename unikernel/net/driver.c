/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.c: front end of the net device: the four rings of noxs/net.h.
 *
 * A buffer is in one state at a time, and `state` is the only witness: what the host says in a
 * ring is believed if it is about a buffer that the host has. So it cannot make us use one
 * twice, nor look outside of the buffer area.
 *
 *      free --refill--> FILL --RX--> HELD --net_buffer_free--> free
 *      free --net_send--> SENT --completion--> free
 *
 * A quarter to a third of the buffers is for sending; the rest are the host's to fill, or the
 * stack's. The host uses them one after the other, so it gets no more of them than it needs:
 * few buffers stay in the caches.
 */
#include <linux/errno.h>

#include "../device.h"
#include "net.h"

#define FILL_START 256u /* buffers in the fill ring at boot */
#define RX_BATCH   32u  /* descriptors that are taken before the host is told */
#define FLUSH_AT   32u  /* frames in TX that are worth a doorbell */
#define FLUSH_NS   50000ull

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

static struct driver driver[NOXS_NET_MAX];
struct net_dev uk_net_dev[NOXS_NET_MAX];
uint32_t uk_net_ndevs;
uint32_t uk_net_unsent;
static uint64_t unsent_since_ns;

static struct driver *driver_of(const struct net_dev *dev)
{
	return &driver[dev - uk_net_dev];
}

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

static void publish(uint32_t *index, uint32_t value)
{
	/* Release: the entries are written, or read, before the index says so. */
	__atomic_store_n(index, value, __ATOMIC_RELEASE);
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
	struct driver *d = &driver[uk_net_ndevs];
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

	d->state = uk_alloc(d->buffers);
	d->free = uk_alloc(d->buffers * sizeof(d->free[0]));
	if (!d->state || !d->free) {
		uk_free(d->state);
		uk_free(d->free);
		d->state = NULL;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < d->nfill; i++)
		d->state[i] = FILL;
	for (uint32_t i = d->buffers; i-- > d->nfill;)
		d->free[d->nfree++] = (uint16_t)i;
	return 0;
}

static void give_back(struct driver *d, uint32_t buffer)
{
	d->state[buffer] = FREE;
	d->free[d->nfree++] = (uint16_t)buffer;
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

/* Entries of a ring that we consume. An index that makes no sense is a full ring: the host's
 * word is taken for how much, never for where. */
static uint32_t waiting(struct ring *r)
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

bool net_buffers_short(const struct net_dev *dev)
{
	const struct driver *d = driver_of(dev);

	return d->nheld > d->rx_max / 2;
}

/* ---- send ---- */

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
		struct driver *d = &driver[i];

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
		driver[i].unsent = 0;
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
		const struct ring *rx = &driver[i].ring[NOXS_NET_RX];

		if (__atomic_load_n(rx->producer, __ATOMIC_ACQUIRE) != rx->ours)
			return true;
	}
	return false;
}
