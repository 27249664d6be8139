/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_rings.c: the four rings of a net device where the monitor plays the kernel's part: what
 * Linux' net/xdp/xsk_queue.h does, for rings that another process may write anything into.
 */
#include <errno.h>
#include <string.h>

#include "net_backend.h"

/* As Linux has it: each index in a cache line of its own. */
#define AT_PRODUCER 0x000u
#define AT_CONSUMER 0x080u
#define AT_FLAGS    0x100u
#define AT_DESC     0x140u

_Static_assert(AT_DESC + NOXS_NET_MAX_ENTRIES * sizeof(uint64_t) <=
		       NOXS_NET_OFF_COMP - NOXS_NET_OFF_FILL,
	       "a ring of addresses fits");
_Static_assert(AT_DESC + NOXS_NET_MAX_ENTRIES * sizeof(struct noxs_net_desc) <=
		       NOXS_NET_OFF_TX - NOXS_NET_OFF_RX,
	       "a ring of descriptors fits");

void net_ring_layout(struct noxs_net_ring *layout, uint32_t entries)
{
	*layout = (struct noxs_net_ring){
		.producer = AT_PRODUCER,
		.consumer = AT_CONSUMER,
		.flags = AT_FLAGS,
		.desc = AT_DESC,
		.entries = entries,
	};
}

void net_ring_at(struct net_ring *r, uint8_t *at, const struct noxs_net_ring *layout)
{
	*r = (struct net_ring){
		.producer = (uint32_t *)(at + layout->producer),
		.consumer = (uint32_t *)(at + layout->consumer),
		.flags = (uint32_t *)(at + layout->flags),
		.desc = at + layout->desc,
		.entries = layout->entries,
	};
}

static int broke(struct net_dev *d, const char *ring, int n)
{
	if (n >= 0)
		return n;
	net_break(d, "the guest broke its %s ring: its index makes no sense", ring);
	return 0;
}

static uint8_t *buffers(const struct net_dev *d)
{
	return d->window + NOXS_NET_OFF_BUFFERS;
}

/* ---- to the guest ---- */

unsigned net_rx_buffers(struct net_dev *d, struct iovec *iov, unsigned max)
{
	struct net_ring *fill = &d->ring[NOXS_NET_FILL];
	int free = broke(d, "fill", net_ring_filled(fill));
	int room = broke(d, "RX", net_ring_room(&d->ring[NOXS_NET_RX]));
	unsigned n = 0;

	if (max > NET_PIECES)
		max = NET_PIECES;
	if (room < (int)max)
		max = (unsigned)room;
	while (n < max && (int)n < free) {
		uint64_t addr = net_ring_address(fill, n) & ~(uint64_t)(d->frame_bytes - 1);

		if (addr >= d->area) { /* passed over, as the kernel does */
			if (n)
				break; /* next time */
			net_ring_took(fill, 1);
			d->counters.rx_dropped++;
			free--;
			continue;
		}
		d->rx_addr[n] = addr;
		iov[n++] = (struct iovec){buffers(d) + addr, d->frame_bytes};
	}
	d->rx_n = n;
	/* Without vnet there is one buffer, and its IP header is to be aligned. */
	if (n && !d->vnet) {
		d->rx_addr[0] += 2;
		iov[0] = (struct iovec){buffers(d) + d->rx_addr[0], d->frame_bytes - 2};
	}
	return n;
}

void net_rx_commit(struct net_dev *d, size_t bytes)
{
	struct net_ring *rx = &d->ring[NOXS_NET_RX];
	struct noxs_net_desc *at = (struct noxs_net_desc *)rx->desc;
	size_t left = bytes;
	uint32_t n = 0;

	while (left && n < d->rx_n) {
		size_t room = d->frame_bytes - (d->rx_addr[n] & (d->frame_bytes - 1));
		size_t part = left < room ? left : room;

		left -= part;
		at[(rx->mine + n) & (rx->entries - 1)] = (struct noxs_net_desc){
			.addr = d->rx_addr[n],
			.len = (uint32_t)part,
			.options = left ? NOXS_NET_CONTINUED : 0,
		};
		n++;
	}
	d->rx_n = 0;
	net_ring_took(&d->ring[NOXS_NET_FILL], n);
	net_ring_gave(rx, n);
	d->counters.rx_frames++;
	d->counters.rx_bytes += bytes;
}

bool net_rx_give(struct net_dev *d, const uint8_t *data, size_t bytes)
{
	struct iovec iov[NET_PIECES];
	unsigned want = (unsigned)((bytes + 2 + d->frame_bytes - 1) / d->frame_bytes);
	unsigned n = net_rx_buffers(d, iov, want);
	size_t done = 0;

	if (!n || n < want)
		return false;
	for (unsigned i = 0; i < n; i++) {
		size_t part = bytes - done < iov[i].iov_len ? bytes - done : iov[i].iov_len;

		memcpy(iov[i].iov_base, data + done, part);
		done += part;
	}
	net_rx_commit(d, bytes);
	return true;
}

/* ---- from the guest ---- */

static bool is_inside(const struct net_dev *d, const struct noxs_net_desc *desc)
{
	/* Within one buffer, as the kernel wants it (xp_aligned_validate_desc). */
	uint64_t offset = desc->addr & (d->frame_bytes - 1);

	return desc->len && desc->addr < d->area && desc->len <= d->frame_bytes - offset &&
	       !(desc->options & ~(uint32_t)NOXS_NET_CONTINUED);
}

static void drop(struct net_dev *d, uint32_t n)
{
	net_ring_took(&d->ring[NOXS_NET_TX], n);
	d->counters.tx_dropped++;
}

/* Passes over what is left of a frame that was dropped. Returns how many, of filled. */
static unsigned skip(struct net_dev *d, unsigned filled)
{
	struct net_ring *tx = &d->ring[NOXS_NET_TX];
	unsigned n = 0;

	while (d->tx_skip && n < filled)
		d->tx_skip = net_ring_desc(tx, n++).options & NOXS_NET_CONTINUED;
	net_ring_took(tx, n);
	return n;
}

unsigned net_tx_frame(struct net_dev *d, struct iovec *iov, size_t *bytes, unsigned *budget)
{
	struct net_ring *tx = &d->ring[NOXS_NET_TX];

	for (;;) {
		int filled = broke(d, "TX", net_ring_filled(tx)), room;
		bool bad = false, more = true;
		unsigned n = 0, used;

		d->blocked = NET_FREE;
		if (d->tx_skip && filled) {
			used = skip(d, (unsigned)filled);
			*budget -= used < *budget ? used : *budget;
			filled -= (int)used;
		}
		if (filled <= 0)
			return 0;
		if (!*budget) {
			d->blocked = NET_MORE;
			return 0;
		}
		for (*bytes = 0; more && (int)n < filled && n < NET_PIECES; n++) {
			struct noxs_net_desc desc = net_ring_desc(tx, n);

			more = desc.options & NOXS_NET_CONTINUED;
			if (!is_inside(d, &desc)) {
				bad = true;
				continue;
			}
			*bytes += desc.len;
			d->tx_addr[n] = desc.addr;
			iov[n] = (struct iovec){buffers(d) + desc.addr, desc.len};
		}
		*budget -= n < *budget ? n : *budget;
		if (more && n < NET_PIECES)
			return 0; /* its end has not been written yet */
		if (bad || more || *bytes > NET_MAX_FRAME) {
			d->tx_skip = more;
			drop(d, n);
			continue;
		}
		room = broke(d, "completion", net_ring_room(&d->ring[NOXS_NET_COMP]));
		if (room < (int)n) {
			d->blocked = NET_COMPLETION;
			return 0;
		}
		d->tx_n = n;
		return n;
	}
}

void net_tx_done(struct net_dev *d, bool sent, size_t bytes)
{
	struct net_ring *comp = &d->ring[NOXS_NET_COMP];
	uint64_t *at = (uint64_t *)comp->desc;

	for (uint32_t i = 0; i < d->tx_n; i++)
		at[(comp->mine + i) & (comp->entries - 1)] = d->tx_addr[i];
	net_ring_took(&d->ring[NOXS_NET_TX], d->tx_n);
	net_ring_gave(comp, d->tx_n);
	d->tx_n = 0;
	if (!sent) {
		d->counters.tx_dropped++;
		return;
	}
	d->counters.tx_frames++;
	d->counters.tx_bytes += bytes;
}
