/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_backend.h: what the files of the net device share.
 *
 *   net.c         makes a window, hands it to a backend, shows it to the guest
 *   net_run.c     while the guest runs: who is served when, by which thread
 *   net_poll.c    a thread that polls, for a guest whose waits are short
 *   net_rings.c   the four rings where the monitor plays the kernel's part
 *   net_xdp.c, net_tap.c, net_stream.c   a struct net_backend each
 *   net_watch.c   what becomes of the interface behind an AF_XDP socket
 *
 * What the guest has written is copied once and then checked. Indices that we produce are kept
 * here and only shown to the guest; a ring whose other index makes no sense ends the device,
 * not the VM: with AF_XDP's own rings nobody would notice either.
 */
#ifndef MAYFLY_NET_BACKEND_H
#define MAYFLY_NET_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "device.h"
#include "net.h"

/* One ring in memory that is shared, and our index into it: of the next entry that we take, or
 * give. */
struct net_ring {
	uint32_t *producer, *consumer, *flags;
	uint8_t *desc;
	uint32_t entries; /* a power of two */
	uint32_t mine;
};

/* A 64 KiB segment with its headers, in the smallest buffers that make sense, and one over. */
#define NET_PIECES    40u
#define NET_MAX_FRAME (NOXS_PAGE * 16 + 64) /* bytes of one frame, vnet header included */
#define NET_BATCH     256u                  /* frames in one go, each way */

struct net_dev;

struct net_backend {
	const char *name;
	/* Makes descriptors and private memory ready. 0 or -errno with a message. */
	int (*open)(struct net_dev *d, struct err *err);
	/* Sends what is in TX, at most NET_BATCH frames. Sets blocked. */
	void (*send)(struct net_dev *d);
	/* Gives the guest what has come, at most NET_BATCH frames. Sets dry. NULL: the kernel does.
	 */
	void (*receive)(struct net_dev *d);
	/* Fill ring's doorbell where the kernel has the rings. NULL: receive will do. */
	void (*fill)(struct net_dev *d);
	/* Is the interface up, is it there? Called when a WAIT was woken for nothing that is for
	 * the guest, at a tick, and while the link is down: seldom. NULL: the others tell. */
	void (*check)(struct net_dev *d);
};
extern const struct net_backend net_xdp, net_tap, net_stream;

enum net_blocked {
	NET_FREE,       /* all was sent */
	NET_POLL,       /* POLLOUT tells when to go on */
	NET_LATER,      /* nobody tells: try again in a while */
	NET_COMPLETION, /* no room in the completion ring: the guest's move */
	NET_MORE,       /* more than one batch: go on at once */
};

struct net_dev {
	const struct net_backend *backend;
	unsigned index;
	int fd;
	uint8_t *window;
	uint32_t frame_bytes;
	uint64_t area; /* bytes of the buffers */
	bool vnet;     /* frames begin with struct noxs_net_vnet */
	uint64_t features;
	struct net_link link;
	struct noxs_net_ring layout[NOXS_NET_NRINGS]; /* as the guest was told */
	struct net_ring ring[NOXS_NET_NRINGS];        /* the guest's */
	struct device_front front;

	struct noxs_net_config config; /* ours: what stands in the window is only shown */
	uint64_t generation;

	enum net_blocked blocked; /* what is left in TX waits for */
	bool dry;                 /* there was nothing more to receive when we last looked */
	bool looked;              /* that was just now */
	bool slept;               /* this WAIT has polled for it */
	bool news;                /* a WAIT is to end: the configuration has changed */
	unsigned retries;
	struct net_counters counters;
	char why[128]; /* counters.broken */

	/* net_rings.c: buffers that net_rx_buffers gave out; the frame net_tx_frame did */
	uint64_t rx_addr[NET_PIECES];
	uint32_t rx_n, tx_n;
	uint64_t tx_addr[NET_PIECES];
	bool tx_skip; /* inside of a frame that has no end in sight */

	/* the backends' own */
	struct net_ring socket[NOXS_NET_NRINGS]; /* xdp: its rings, where they are copied */
	uint8_t *ring_at[NOXS_NET_NRINGS];       /* xdp: where they are mapped in the window */
	size_t ring_bytes[NOXS_NET_NRINGS];
	uint8_t *in, *out; /* stream: NET_STREAM_BYTES each */
	uint32_t in_bytes, out_at, out_bytes;
};

extern struct net_dev net_devs[NOXS_NET_MAX];

/* ---- net.c ---- */
/* Broken for good: its link goes down, the reason is kept; the VM lives on. */
void net_break(struct net_dev *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The link is up or down (the host's interface is). */
void net_link_up(struct net_dev *d, bool up);
static inline bool net_is_broken(const struct net_dev *d)
{
	return __atomic_load_n(&d->counters.broken, __ATOMIC_ACQUIRE);
}

static inline bool net_link_is_up(const struct net_dev *d)
{
	return d->config.flags & NOXS_NET_LINK_UP;
}

/* ---- net_run.c ---- */
void net_serve_all(void); /* with the lock held */

/* ---- net_poll.c ---- */
void net_poll_prepare(struct vm *vm);
/* Keeps the polling thread, if there is one, from all devices. */
void net_lock(void);
void net_unlock(void);
bool net_polls(void);      /* NEED_WAKEUP in TX is ours to set and clear, and it is clear */
void net_poll_sleep(void); /* with the lock held: the guest's WAIT is going to sleep */
void net_poll_woken(void); /* without: its WAIT ends */
void net_poll_rang(void);  /* without: a doorbell was an exit */
void net_poll_stop(void);

/* ---- net_xdp.c ---- */
/* The guest could not get at the socket's rings: from now on they are copied. */
int net_xdp_copy(struct net_dev *d);
/* A frame waits in TX that the kernel has not taken. */
bool net_xdp_pending(const struct net_dev *d);

/* ---- net_watch.c ---- */
/* The descriptor that is readable when the interface has changed; -1: there is none. */
static inline int net_watch_fd(const struct net_dev *d)
{
	return d->link.opened.flags & NET_OPENED_WATCH ? d->link.fd[1] : -1;
}
/* Takes what it says: the link is up or down, or gone, and the device broken. */
void net_watch_read(struct net_dev *d);

/* ---- net_rings.c ---- */
/* Where our own rings have their indices and entries, for a ring of entries of bytes each. */
void net_ring_layout(struct noxs_net_ring *layout, uint32_t entries);
/* The ring that layout describes, at its place in memory, from its start. */
void net_ring_at(struct net_ring *r, uint8_t *at, const struct noxs_net_ring *layout);

/* As its consumer: entries that are there; as its producer: room. -EPROTO: the other side's
 * index makes no sense. */
static inline int net_ring_filled(const struct net_ring *r)
{
	/* Acquire: the entries are there before the index says so. */
	uint32_t n = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - r->mine;

	return n > r->entries ? -1 : (int)n;
}
static inline int net_ring_room(const struct net_ring *r)
{
	uint32_t used = r->mine - __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);

	return used > r->entries ? -1 : (int)(r->entries - used);
}
/* Entry number n of them (from 0): copied. */
static inline uint64_t net_ring_address(const struct net_ring *r, uint32_t n)
{
	const uint64_t *at = (const uint64_t *)r->desc;

	return __atomic_load_n(&at[(r->mine + n) & (r->entries - 1)], __ATOMIC_RELAXED);
}
static inline struct noxs_net_desc net_ring_desc(const struct net_ring *r, uint32_t n)
{
	const struct noxs_net_desc *at = (const struct noxs_net_desc *)r->desc;

	at += (r->mine + n) & (r->entries - 1);
	return (struct noxs_net_desc){
		__atomic_load_n(&at->addr, __ATOMIC_RELAXED),
		__atomic_load_n(&at->len, __ATOMIC_RELAXED),
		__atomic_load_n(&at->options, __ATOMIC_RELAXED),
	};
}
/* n entries were taken, or given. Release: what we read of them, or wrote, came before. */
static inline void net_ring_took(struct net_ring *r, uint32_t n)
{
	r->mine += n;
	__atomic_store_n(r->consumer, r->mine, __ATOMIC_RELEASE);
}
static inline void net_ring_gave(struct net_ring *r, uint32_t n)
{
	r->mine += n;
	__atomic_store_n(r->producer, r->mine, __ATOMIC_RELEASE);
}

/* Is something in RX that the guest has not taken? Only a hint: its index is the guest's. */
static inline bool net_rx_waits(const struct net_dev *d)
{
	const struct net_ring *r = &d->ring[NOXS_NET_RX];

	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}
/* Likewise of TX: how many. */
static inline uint32_t net_tx_waits(const struct net_dev *d)
{
	const struct net_ring *r = &d->ring[NOXS_NET_TX];

	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
}

/*
 * net_rx_buffers: the guest's next free buffers, at most max (<= NET_PIECES) of them, as iov.
 * They are its own until net_rx_commit. How many; 0: none, or no room in RX, or it broke them.
 */
unsigned net_rx_buffers(struct net_dev *d, struct iovec *iov, unsigned max);
/* The first bytes of those buffers are a frame: it goes to the guest. */
void net_rx_commit(struct net_dev *d, size_t bytes);
/* A frame that is in our memory. False: there is no room for it now. */
bool net_rx_give(struct net_dev *d, const uint8_t *data, size_t bytes);

/*
 * net_tx_frame: the next frame of TX, as iov[NET_PIECES] in the guest's memory, and its bytes.
 * How many pieces; 0: there is none, or no room to say that it was sent (blocked tells). Frames
 * that the guest got wrong are passed over and counted. At most *budget descriptors are looked
 * at, and counted down.
 */
unsigned net_tx_frame(struct net_dev *d, struct iovec *iov, size_t *bytes, unsigned *budget);
/* That frame is done with: its buffers go back. */
void net_tx_done(struct net_dev *d, bool sent, size_t bytes);

#endif
