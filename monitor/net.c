/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c: see net.h: the window of a net device in memory, and in the guest.
 *
 * All of a window is one memfd, so one mapping and one memslot; an AF_XDP socket's rings are
 * mapped over their places in it. The two page tables that show it to the guest are pages of
 * the window, so that it takes no memory where there is no device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net_backend.h"

#define LARGE    0x200000ull
#define ENTRIES  NOXS_NET_MAX_ENTRIES /* of our own rings */
#define MAX_TOLD ((1ull << 48) - 1)   /* of the guest's counters */

struct net_dev net_devs[NOXS_NET_MAX];
unsigned net_count;

static const uint32_t ring_offset[NOXS_NET_NRINGS] = {
	[NOXS_NET_FILL] = NOXS_NET_OFF_FILL,
	[NOXS_NET_COMP] = NOXS_NET_OFF_COMP,
	[NOXS_NET_RX] = NOXS_NET_OFF_RX,
	[NOXS_NET_TX] = NOXS_NET_OFF_TX,
};

/* ---- the configuration ---- */

/* Seqlock: whoever reads it while we write starts over. With the lock held. */
static void show_config(struct net_dev *d)
{
	struct noxs_net_config *shown = &((struct noxs_net *)d->window)->config;

	d->config.seq++;
	__atomic_store_n(&shown->seq, d->config.seq, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(&shown->flags, &d->config.flags,
	       sizeof(*shown) - offsetof(struct noxs_net_config, flags));
	d->config.seq++;
	__atomic_store_n(&shown->seq, d->config.seq, __ATOMIC_RELEASE);
	d->news = device_is_live(&d->front);
}

void net_configure(unsigned index, const struct noxs_net_config *config)
{
	struct net_dev *d = &net_devs[index];
	uint32_t seq;

	net_lock();
	seq = d->config.seq;
	d->config = *config;
	d->config.seq = seq;
	d->config.generation = ++d->generation;
	d->config.flags &= ~(uint32_t)NOXS_NET_LINK_UP;
	if (!net_is_broken(d))
		d->config.flags |= NOXS_NET_LINK_UP;
	show_config(d);
	net_unlock();
}

void net_link_up(struct net_dev *d, bool up)
{
	if (up == net_link_is_up(d))
		return;
	d->config.flags ^= NOXS_NET_LINK_UP;
	show_config(d);
}

void net_break(struct net_dev *d, const char *fmt, ...)
{
	va_list args;

	if (net_is_broken(d))
		return;
	va_start(args, fmt);
	vsnprintf(d->why, sizeof(d->why), fmt, args);
	va_end(args);
	__atomic_store_n(&d->counters.broken, (const char *)d->why, __ATOMIC_RELEASE);
	net_link_up(d, false);
}

/* ---- the window ---- */

static int map_window(struct net_dev *d, struct err *err)
{
	uint64_t bytes = NOXS_NET_OFF_BUFFERS + d->area;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, d->link.memory, 0);

	if (at == MAP_FAILED)
		return err_set(err, errno, "cannot map the memory of a net device");
	d->window = at;
	return 0;
}

static void own_rings(struct net_dev *d)
{
	for (unsigned i = 0; i < NOXS_NET_NRINGS; i++) {
		net_ring_layout(&d->layout[i], ENTRIES);
		net_ring_at(&d->ring[i], d->window + ring_offset[i], &d->layout[i]);
	}
	/* Nobody looks at TX of his own accord; fill is looked at when there is a frame. */
	*d->ring[NOXS_NET_TX].flags = NOXS_NET_NEED_WAKEUP;
}

/* Shows [offset, offset + bytes) of the window. Entries as x86_paging.h makes them. */
static void show(struct net_dev *d, uint64_t offset, uint64_t bytes, bool write)
{
	uint64_t *table = (uint64_t *)(d->window + NOXS_NET_OFF_TABLES);
	uint64_t gpa = NOXS_GPA_NET(d->index) + offset;

	for (uint64_t i = offset / NOXS_PAGE; i < (offset + bytes) / NOXS_PAGE; i++) {
		table[i] = pt_entry(gpa, PT_USER | (write ? PT_WRITE : 0));
		gpa += NOXS_PAGE;
	}
}

static int show_window(struct net_dev *d, struct guest *guest)
{
	int ret = 0;

	show(d, NOXS_NET_OFF_CONFIG, NOXS_PAGE, false);
	show(d, NOXS_NET_OFF_FRONT, NOXS_PAGE, true);
	show(d, NOXS_NET_OFF_FILL, 0x18000 - NOXS_NET_OFF_FILL, true);
	show(d, NOXS_NET_OFF_BUFFERS, d->area, true);
	for (uint64_t part = 0; part < NOXS_NET_WINDOW / LARGE && !ret; part++)
		ret = pt_hook(&guest->tables, NOXS_GVA_NET(d->index) + part * LARGE,
			      NOXS_GPA_NET(d->index) + NOXS_NET_OFF_TABLES + part * NOXS_PAGE);
	return ret;
}

static void offer(struct net_dev *d, struct noxs_page *page)
{
	page->device[page->ndevices++] = (struct noxs_device){
		.type = NOXS_DEV_NET,
		.id = (uint16_t)d->index,
		.doorbell = NOXS_NET_SLOT(d->index),
		.features = d->features,
		.control = NOXS_GVA_NET(d->index) + NOXS_NET_OFF_FRONT,
		.config = {NOXS_GVA_NET(d->index)},
	};
}

static void describe(struct net_dev *d)
{
	struct noxs_net *page = (struct noxs_net *)d->window;

	page->backend = d->link.opened.backend;
	page->frame_bytes = d->frame_bytes;
	page->buffers = (uint32_t)(d->area / d->frame_bytes);
	memcpy(page->ring, d->layout, sizeof(page->ring));
	d->config = (struct noxs_net_config){.mtu = d->link.opened.mtu};
	memcpy(d->config.mac, d->link.opened.mac, sizeof(d->config.mac));
}

static int check(const struct net_link *link, unsigned index, struct err *err)
{
	static const struct net_backend *const backends[] = {
		[NOXS_NET_XDP] = &net_xdp,
		[NOXS_NET_TAP] = &net_tap,
		[NOXS_NET_STREAM] = &net_stream,
	};
	uint32_t backend = link->opened.backend;

	if (index >= NOXS_NET_MAX || index != net_count)
		return err_set(err, 0, "a VM has at most %u net devices", NOXS_NET_MAX);
	if (backend < NOXS_NET_XDP || backend > NOXS_NET_STREAM || link->frame_bytes < 512 ||
	    link->frame_bytes > NOXS_PAGE || (link->frame_bytes & (link->frame_bytes - 1)) ||
	    (uint64_t)link->buffers * link->frame_bytes > NOXS_NET_WINDOW - NOXS_NET_OFF_BUFFERS ||
	    (uint64_t)link->buffers * link->frame_bytes % NOXS_PAGE || !link->buffers ||
	    (backend == NOXS_NET_XDP &&
	     (!link->opened.entries || link->opened.entries > NOXS_NET_MAX_ENTRIES ||
	      (link->opened.entries & (link->opened.entries - 1)))))
		return err_set(err, 0, "a net device has been opened that cannot be used");
	net_devs[index] = (struct net_dev){
		.backend = backends[backend],
		.index = index,
		.fd = link->fd[0],
		.frame_bytes = link->frame_bytes,
		.area = (uint64_t)link->buffers * link->frame_bytes,
		.vnet = link->opened.flags & NET_OPENED_VNET,
		.features = link->opened.flags & NET_OPENED_VNET ? NOXS_NET_SEGMENTS : 0,
		.link = *link,
	};
	return 0;
}

int net_prepare(struct vm *vm, struct guest *guest, unsigned index, const struct net_link *link,
		struct err *err)
{
	struct net_dev *d;
	int ret = check(link, index, err);

	if (ret)
		return ret;
	d = &net_devs[index];
	ret = map_window(d, err);
	if (ret)
		return ret;
	own_rings(d);
	ret = d->backend->open(d, err);
	if (ret)
		return ret;
	describe(d);
	ret = show_window(d, guest);
	if (ret)
		return err_set(err, -ret, "cannot show a net device to the guest");
	ret = vm_add_memory(vm, NOXS_GPA_NET(index), d->window, NOXS_NET_OFF_BUFFERS + d->area);
	if (ret)
		return err_set(err, -ret, "cannot give the VM the memory of a net device");
	net_poll_prepare(vm);
	offer(d, guest->page);
	net_count++;
	return 0;
}

/* What the guest may have written over at any time: read once, and no more than can be. (The
 * daemon takes a shell that tells absurd numbers for one that was taken over.) */
static uint64_t told(const uint64_t *counter)
{
	uint64_t n = __atomic_load_n(counter, __ATOMIC_RELAXED);

	return n < MAX_TOLD ? n : MAX_TOLD;
}

void net_claimed(unsigned index, struct noxs_net_address claimed[NOXS_NET_ADDRESSES])
{
	const struct noxs_net_front *front =
		(const struct noxs_net_front *)(net_devs[index].window + NOXS_NET_OFF_FRONT);

	memcpy(claimed, front->address, sizeof(front->address));
	/* What is checked is the copy: it is not read from the guest's memory again. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < NOXS_NET_ADDRESSES; i++)
		if (!net_is_claim(&claimed[i]))
			claimed[i] = (struct noxs_net_address){0};
}

struct net_counters net_counters(unsigned index)
{
	const struct net_dev *d = &net_devs[index];
	const struct noxs_net_front *front =
		(const struct noxs_net_front *)(d->window + NOXS_NET_OFF_FRONT);
	struct net_counters c = d->counters;

	/* Frames that we do not see: what the guest says. It can only fool who reads that. */
	if (d->backend == &net_xdp) {
		c.rx_frames = told(&front->rx_frames);
		c.rx_bytes = told(&front->rx_bytes);
		c.rx_dropped = told(&front->rx_dropped);
		c.tx_frames = told(&front->tx_frames);
		c.tx_bytes = told(&front->tx_bytes);
		c.tx_dropped = told(&front->tx_dropped);
	}
	return c;
}
