/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_wire.h: between whoever wants a net device (mayfly run, the daemon) and the helper
 * mayfly-net, which has libxdp, libbpf and netlink and opens it.
 *
 *   mayfly-net open SPEC    fd 3: a SOCK_SEQPACKET socket, where the answer goes;
 *                           fd 4: the window's memory, a memfd of
 *                           NOXS_NET_OFF_BUFFERS + buffers * frame_bytes bytes (xdp only; it
 *                           registers the buffer area as the socket's UMEM)
 *
 * It answers with one struct net_opened and, as SCM_RIGHTS, its descriptors, and ends with 0.
 * Otherwise it says on stderr what went wrong, answers nothing, and ends with 125.
 *
 * Whoever holds the descriptors holds the device: when the last of its processes is gone,
 * however it went, there are no socket, program, steering entry, veth or tap left that
 * mayfly-net made (the kernel takes them away with the descriptors).
 */
#ifndef MAYFLY_NET_WIRE_H
#define MAYFLY_NET_WIRE_H

#include <stdbool.h>

#include "../noxs/net.h"

#define NET_WIRE_VERSION 2u
#define NET_WIRE_RESULT  3
#define NET_WIRE_MEMORY  4
#define NET_WIRE_FDS     4

enum net_opened_flags {
	NET_OPENED_VNET = 1,     /* a tap: frames begin with struct virtio_net_hdr */
	NET_OPENED_NATIVE = 2,   /* xdp: the driver runs the program; otherwise generic */
	NET_OPENED_ZEROCOPY = 4, /* xdp */
	NET_OPENED_SHARED = 8,   /* xdp: behind a steering program */
	/* xdp: the socket is not bound yet, for before Linux 6.4 its rings can be mapped only until
	 * then (net/xdp/xsk.c, xsk_mmap): whoever maps them binds it, to ifindex, queue,
	 * bind_flags; EBUSY may last a moment */
	NET_OPENED_BIND = 16,
	NET_OPENED_WATCH = 32, /* xdp: descriptor [1] tells what becomes of the interface */
};

/* Descriptors: [0] the AF_XDP socket or the tap; [1], with NET_OPENED_WATCH, an rtnetlink socket
 * on which there is nothing but the interface's RTM_NEWLINK and RTM_DELLINK; the rest only to be
 * held. */
struct net_opened {
	uint32_t version; /* NET_WIRE_VERSION */
	uint32_t backend; /* enum noxs_net_backend */
	uint32_t flags;   /* enum net_opened_flags */
	uint32_t entries; /* xdp: of each ring */
	uint8_t mac[6];   /* what the device is to have */
	uint16_t mtu;
	char ifname[16];              /* the host's interface behind it, for inspect and messages */
	int32_t queue;                /* xdp */
	uint32_t ifindex, bind_flags; /* NET_OPENED_BIND; in the socket's network namespace */
};

/* What a guest, or a shell that it has taken over, says is an address: can it be printed as one? */
static inline bool net_is_claim(const struct noxs_net_address *a)
{
	return a->family == 4 ? a->prefix <= 32 : a->family == 6 && a->prefix <= 128;
}

#endif
