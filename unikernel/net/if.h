/* SPDX-License-Identifier: Apache-2.0 */
/*
 * if.h: what linux/if.h and linux/if_arp.h say of interfaces, which cannot be included here
 * (they want libc's sys/socket.h), and what packet.c, netlink.c, ifaddr.c and procnet.c share.
 */
#ifndef UK_NET_IF_H
#define UK_NET_IF_H

#include "net.h"

enum if_flags { /* netdevice(7) */
		IFF_UP = 1,
		IFF_BROADCAST = 2,
		IFF_LOOPBACK = 8,
		IFF_RUNNING = 0x40,
		IFF_NOARP = 0x80,
		IFF_PROMISC = 0x100,
		IFF_ALLMULTI = 0x200,
		IFF_MULTICAST = 0x1000,
		IFF_LOWER_UP = 0x10000,
};

#define ARPHRD_ETHER    1
#define ARPHRD_LOOPBACK 772

#define IF_LOOPBACK_INDEX 1u
#define IF_INDEX_END      (NOXS_NET_MAX + 2) /* no interface has it, or one above */
#define IF_QUEUE_LENGTH   1000u              /* txqueuelen, as Linux's devices have it */

static inline uint16_t if_be16(uint16_t v)
{
	return __builtin_bswap16(v);
}

static inline uint32_t if_be32(uint32_t v)
{
	return __builtin_bswap32(v);
}

/* Bits of an IPv4 mask in network order. */
static inline uint8_t if_prefix4(uint32_t mask)
{
	uint8_t n = 0;

	for (mask = if_be32(mask); mask & 0x80000000u; mask <<= 1)
		n++;
	return n;
}

static inline uint32_t if_mask4(uint8_t prefix)
{
	return prefix ? if_be32(0xffffffffu << (32 - (prefix > 32 ? 32 : prefix))) : 0;
}

/* The device of an interface index; NULL: lo, or none. */
struct net_dev *net_if_device(uint32_t index); /* ifaddr.c */

/* ---- neighlist.c ---- */
struct net_neighbour {
	uint32_t index; /* its interface's */
	struct noxs_net_address address;
	uint8_t mac[6];
	bool stale, router;
};
/* The next whose MAC is known, from *at on, which begins with 0; false: there is none. */
bool net_neighbour_next(uint32_t *at, struct net_neighbour *out);

/* ---- packet.c ---- */
/* An interface has got or lost an address: are its frames for packet sockets alone? */
void net_packet_addresses_changed(void);

/* ---- filter.c: classic BPF (SO_ATTACH_FILTER) ---- */
struct net_filter;
struct net_filter_frame {
	const uint8_t *data; /* what the socket would see of it */
	uint32_t bytes;
	uint32_t net;      /* offset of the network header; the Ethernet header is before it */
	uint16_t protocol; /* network order */
	uint8_t type;      /* PACKET_HOST, ... */
	uint32_t index;
	uint16_t hardware; /* ARPHRD_* */
};
/* Of a struct sock_fprog, whose instructions are the program's: 0, -EFAULT, -ENOMEM, or -EINVAL
 * for a program that may run wild. To be freed by uk_free. */
long net_filter_make(const void *fprog, uint32_t bytes, struct net_filter **out);
/* Bytes of the frame that are to be kept; 0: none of it. */
uint32_t net_filter_run(const struct net_filter *f, const struct net_filter_frame *frame);

/* ---- procnet.c: for proc.c ---- */
struct uk_node;
void net_proc_fill(struct uk_node *dir);   /* /proc/self/net */
void net_sysctl_fill(struct uk_node *dir); /* /proc/sys/net */
void net_class_fill(struct uk_node *dir);  /* /sys/class/net */
/* ---- procsock.c: for procnet.c ---- */
size_t net_proc_sockets(char *buf, size_t size); /* the one that uk_text_node's name says */

#endif
