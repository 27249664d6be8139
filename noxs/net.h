/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h: the net device of noxs: four rings in AF_XDP's format, and a buffer area.
 *
 * Every net device has a window in guest memory, the same in guest-physical and in
 * guest-virtual space:
 *
 *   0x00000  struct noxs_net        r--  configuration, written by the monitor
 *   0x01000  struct noxs_net_front  rw-  the guest's answer, its counters
 *   0x02000  page tables of the window   not visible to ring 3
 *   0x04000  fill ring              rw-  guest -> host: empty buffers (u64 address)
 *   0x08000  completion ring        rw-  host -> guest: buffers that were sent (u64 address)
 *   0x0c000  RX ring                rw-  host -> guest: frames received (struct xdp_desc)
 *   0x12000  TX ring                rw-  guest -> host: frames to send (struct xdp_desc)
 *   0x18000  nothing
 *   0x20000  buffer area            rw-  frames of noxs_net.frame_bytes
 *
 * With the AF_XDP backend the rings are the kernel's own, of an AF_XDP socket, and the buffer
 * area is its UMEM: between the wire and the guest no code of the monitor runs. With the
 * others the monitor plays the kernel's part, on the same layout. Where in a ring its indices
 * and descriptors are is told by struct noxs_net_ring (XDP_MMAP_OFFSETS), for kernels differ.
 * Rules of the rings: Linux, Documentation/networking/af_xdp.rst.
 *
 * An address is an offset into the buffer area. A frame's address need not be a buffer's
 * start: received ones have headroom in front. A frame that is larger than a buffer comes,
 * and is sent, as several descriptors, all but its last with NOXS_NET_CONTINUED.
 */
#ifndef NOXS_NET_H
#define NOXS_NET_H

#include "noxs.h"

#define NOXS_NET_MAX         4u /* devices of a VM */
#define NOXS_NET_WINDOW      0x400000ull
#define NOXS_GVA_NET(i)      (0x7ffd000000ull + (i)*NOXS_NET_WINDOW)
#define NOXS_GPA_NET(i)      (0x2000000000ull + (i)*NOXS_NET_WINDOW) /* above all RAM */
#define NOXS_NET_OFF_CONFIG  0x00000u
#define NOXS_NET_OFF_FRONT   0x01000u
#define NOXS_NET_OFF_TABLES  0x02000u /* two pages */
#define NOXS_NET_OFF_FILL    0x04000u
#define NOXS_NET_OFF_COMP    0x08000u
#define NOXS_NET_OFF_RX      0x0c000u
#define NOXS_NET_OFF_TX      0x12000u
#define NOXS_NET_OFF_BUFFERS 0x20000u
#define NOXS_NET_MAX_ENTRIES 1024u /* of a ring; a power of two */
#define NOXS_NET_FRAME_BYTES 2048u /* of a buffer; a power of two, at most a page */
#define NOXS_NET_MAX_BUFFERS 1536u
#define NOXS_NET_MIN_MTU     576u  /* RFC 791; IPv6 wants 1280 */
#define NOXS_NET_MAX_MTU     1500u /* of one buffer: see NOXS_NET_SEGMENTS */

/* Doorbells of device i: noxs_device.doorbell + these. Their value means nothing. */
enum noxs_net_queue {
	NOXS_NET_Q_TX = 0,   /* frames are in TX, and its flags say NEED_WAKEUP */
	NOXS_NET_Q_FILL = 1, /* buffers are in fill, and its flags say NEED_WAKEUP */
	NOXS_NET_NQUEUES = 2,
};
/* A WAIT rings them all: whoever is going to sleep need not. It ends when RX is not empty,
 * or when a frame could not be sent and now can. Bits of noxs_wait.events. */
#define NOXS_EV_NET(i)  (1u << (8 + (i)))
#define NOXS_EV_NET_ALL (0xfu << 8)

/* Where things are in one ring: offsets from its page-aligned start. */
struct noxs_net_ring {
	uint32_t producer, consumer, flags; /* u32 each */
	uint32_t desc;                      /* entries: u64 or struct xdp_desc */
	uint32_t entries;                   /* a power of two */
	uint32_t pad;
};
enum noxs_net_ring_index {
	NOXS_NET_FILL,
	NOXS_NET_COMP,
	NOXS_NET_RX,
	NOXS_NET_TX,
	NOXS_NET_NRINGS
};

struct noxs_net_desc { /* struct xdp_desc of linux/if_xdp.h */
	uint64_t addr;
	uint32_t len;
	uint32_t options; /* enum noxs_net_desc_options */
};
enum noxs_net_desc_options { NOXS_NET_CONTINUED = 1 /* XDP_PKT_CONTD */ };
enum noxs_net_ring_flags { NOXS_NET_NEED_WAKEUP = 1 /* XDP_RING_NEED_WAKEUP */ };

enum noxs_net_features {
	/* A frame begins with struct noxs_net_vnet: checksums may be left out, and segments may
	 * be larger than the MTU. In RX as in TX. */
	NOXS_NET_SEGMENTS = 1,
};

/* Of NOXS_NET_SEGMENTS: struct virtio_net_hdr (VIRTIO 1.2, 5.1.6), 10 bytes, little-endian. */
struct noxs_net_vnet {
	uint8_t flags;    /* 1: the checksum from csum_start on goes to csum_offset; 2: is valid */
	uint8_t gso_type; /* 0 none, 1 TCP/IPv4, 4 TCP/IPv6 */
	uint16_t hdr_len; /* of all headers */
	uint16_t gso_size;
	uint16_t csum_start, csum_offset;
};

enum noxs_net_backend { NOXS_NET_XDP = 1, NOXS_NET_TAP = 2, NOXS_NET_STREAM = 3 };

enum noxs_net_config_flags {
	NOXS_NET_LINK_UP = 1,
	NOXS_NET_DHCP = 2,  /* ask for an IPv4 configuration (RFC 2131) */
	NOXS_NET_SLAAC = 4, /* make IPv6 addresses of router advertisements (RFC 4862) */
};

struct noxs_net_address {
	uint8_t family; /* 0: none, 4, 6 */
	uint8_t prefix; /* bits */
	uint8_t pad[2];
	uint8_t address[16]; /* network order; IPv4: the first four */
};
#define NOXS_NET_ADDRESSES 4
#define NOXS_NET_DNS       3

/*
 * What a clone or restored VM gets anew without a reboot. Written by the monitor as a seqlock
 * (odd while it writes); the guest looks at seq whenever it comes back from a WAIT.
 */
struct noxs_net_config {
	uint32_t seq;
	uint32_t flags;      /* enum noxs_net_config_flags */
	uint64_t generation; /* other than before: forget neighbours, leases and connections */
	uint8_t mac[6];
	uint16_t mtu;
	char name[16];                                       /* of the interface: eth0, ... */
	struct noxs_net_address address[NOXS_NET_ADDRESSES]; /* static ones */
	struct noxs_net_address gateway[2];                  /* IPv4, IPv6 */
	struct noxs_net_address dns[NOXS_NET_DNS];
	char domain[64]; /* resolv.conf: search */
};

/* At NOXS_NET_OFF_CONFIG. All but config is fixed before the guest sees the device. */
struct noxs_net {
	uint32_t backend; /* enum noxs_net_backend: for statistics; the guest does all the same */
	uint32_t frame_bytes, buffers;
	/* The monitor looks at TX by itself for now: no need to ring (NEED_WAKEUP is gone from TX),
	 * and rather than WAIT the guest may look at RX until this is 0 again. Changes while the
	 * guest runs; the monitor sets 0, has a full barrier, and looks once more; the guest writes
	 * TX's producer, has a full barrier, and reads. So one of the two sees the other. */
	uint32_t awake;
	struct noxs_net_ring ring[NOXS_NET_NRINGS];
	struct noxs_net_config config;
};

/*
 * At NOXS_NET_OFF_FRONT: the device's control block. Written by the guest; its counters are for
 * those who ask mayfly for statistics, and nothing depends on them.
 */
struct noxs_net_front {
	struct noxs_front front;
	uint64_t rx_frames, rx_bytes, rx_dropped;
	uint64_t tx_frames, tx_bytes, tx_dropped; /* dropped: no buffer, no room */
	uint64_t doorbells;
	/* The addresses that it has now: DHCP's and SLAAC's, too; the link-local one last. For
	 * inspect, which shows them as the guest's claim. */
	struct noxs_net_address address[NOXS_NET_ADDRESSES];
};

/*
 * In the device table: type NOXS_DEV_NET, id i (0 .. NOXS_NET_MAX - 1), doorbell
 * NOXS_NET_SLOT(i), control NOXS_GVA_NET(i) + NOXS_NET_OFF_FRONT, config[0] NOXS_GVA_NET(i).
 */
#define NOXS_NET_SLOT(i) (NOXS_DB_QUEUE + 8u + (i)*NOXS_NET_NQUEUES)

NOXS_OFF(noxs_net, ring, 0x10);
NOXS_OFF(noxs_net, config, 0x70);
NOXS_OFF(noxs_net_config, mac, 0x10);
NOXS_OFF(noxs_net_config, name, 0x18);
NOXS_OFF(noxs_net_config, address, 0x28);
NOXS_OFF(noxs_net_config, gateway, 0x78);
NOXS_OFF(noxs_net_config, dns, 0xa0);
NOXS_OFF(noxs_net_config, domain, 0xdc);
NOXS_OFF(noxs_net_front, rx_frames, 0x10);
_Static_assert(sizeof(struct noxs_net_desc) == 16, "struct xdp_desc");
_Static_assert(sizeof(struct noxs_net_vnet) == 10, "struct virtio_net_hdr");
_Static_assert(sizeof(struct noxs_net) <= NOXS_PAGE && sizeof(struct noxs_net_front) <= NOXS_PAGE,
	       "a page each");
_Static_assert(NOXS_NET_OFF_BUFFERS + NOXS_NET_MAX_BUFFERS * NOXS_NET_FRAME_BYTES <=
		       NOXS_NET_WINDOW,
	       "buffers fit the window");

#endif
