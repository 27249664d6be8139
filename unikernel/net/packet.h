/* SPDX-License-Identifier: Apache-2.0 */
/* packet.h: between packet.c (frames that come by, and queues) and packetsock.c (the calls). */
#ifndef UK_NET_PACKET_H
#define UK_NET_PACKET_H

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "if.h"
#include "sock.h"

#define PACKET_FRAME_MAX (0x10000u + ETH_HLEN) /* a large segment */

enum packet_vnet_flags { VNET_NEEDS_CSUM = 1, VNET_DATA_VALID = 2 }; /* noxs_net_vnet.flags */

/* One frame, in as many queues as refs says. */
struct packet_frame {
	struct packet_frame *next; /* among the spare ones */
	uint32_t refs;
	uint32_t room;  /* that data has */
	uint32_t bytes; /* from the Ethernet header on */
	uint32_t index;
	uint16_t protocol; /* network order */
	uint8_t type;      /* PACKET_* */
	struct noxs_net_vnet vnet;
	uint64_t time_ns;
	uint8_t data[];
};

struct packet_queued {
	struct packet_frame *frame;
	uint32_t bytes; /* of it that the filter lets through */
};

struct packet_sock {
	struct sock s;
	struct packet_sock *next;
	uint32_t index; /* bound to; 0: all */
	uint16_t wants; /* protocol, network order; 0: nothing */
	bool vnet, auxiliary;
	struct net_filter *filter;
	struct packet_queued *queue; /* a ring */
	uint32_t capacity, head, count;
	uint32_t held; /* bytes of memory that the queue accounts for */
	uint32_t packets, drops;
};

/* A frame comes by. */
struct packet_passing {
	uint32_t index;
	bool outgoing;
	uint16_t protocol;                /* that its sender says it has; 0: look into it */
	const struct noxs_net_vnet *vnet; /* NULL: none */
	const struct net_piece *piece;
	uint32_t n;
	const struct packet_sock *sender; /* who is not to see it; NULL: nobody */
};

/* ---- packet.c ---- */
void packet_join(struct packet_sock *p);
void packet_leave(struct packet_sock *p); /* and empties its queue */
/* To the queue of every socket that wants it. */
void packet_deliver(const struct packet_passing *f);
void packet_drop_first(struct packet_sock *p);
/* A checksum that was left to the device (VIRTIO 1.2, 5.1.6.2) is made; false: it names no place
 * in the frame. */
bool packet_checksum(struct noxs_net_vnet *vnet, uint8_t *data, uint32_t bytes);

/* ---- segment.c ---- */
/* A large segment, out of a device that takes none: 0, -EINVAL (it is no such), -ENOBUFS. */
long packet_segments(struct net_dev *dev, const struct noxs_net_vnet *vnet, const uint8_t *data,
		     uint32_t bytes);

/* ---- checksum.c ---- */
uint16_t net_checksum(const void *data, int bytes);

#endif
