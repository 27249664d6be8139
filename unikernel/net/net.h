/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h: what the files of the network share, by file.
 *
 *   program's calls     socket.c (any family) -> inet.c tcp.c udp.c raw.c | packet.c |
 *                       netlink.c | unix.c, each a struct sock_ops (sock.h)
 *   protocols           lwIP, in stack.c's hands
 *   frames              driver.c: the four rings (noxs/net.h)
 *
 * All of it runs when the program calls, or waits: nothing interrupts it. uk_net_service
 * takes what has come and lets lwIP's timers run; uk_wait calls it before and after it sleeps,
 * socket.c when a call begins.
 *
 * lwIP's headers are included by the files that use lwIP only; a VM without a net device still
 * has a loopback interface, which is made, as lwIP is, at the first socket.
 */
#ifndef UK_NET_H
#define UK_NET_H

#include "../../noxs/net.h"
#include "../uk.h"

/* ---- driver.c ---- */
struct net_dev {
	uint32_t id; /* of the noxs device; its interface index is id + 2 (lo is 1) */
	const struct noxs_net *noxs;
	struct noxs_net_front *front;
	bool segments; /* NOXS_NET_SEGMENTS was accepted */
	uint64_t generation;
	uint32_t config_seq;
};

/* A received frame, possibly in pieces. The buffers are the driver's; see net_frame_done. */
#define NET_FRAME_PIECES 40 /* a 64 KiB segment in 2 KiB buffers, and some */
struct net_frame {
	const struct noxs_net_vnet *vnet; /* NULL: none */
	uint32_t bytes;                   /* of all pieces, from the Ethernet header on */
	uint32_t npieces;
	struct {
		void *data;
		uint32_t bytes;
		uint64_t buffer; /* for net_buffer_free */
	} piece[NET_FRAME_PIECES];
};

void uk_net_device_start(const struct noxs_device *d); /* for device.c, at boot; cheap */
extern struct net_dev uk_net_dev[NOXS_NET_MAX];
extern uint32_t uk_net_ndevs;

/* The next received frame: false where there is none. The frame's buffers are the caller's, to
 * be given back each by net_buffer_free, at any time. */
bool net_receive(struct net_dev *dev, struct net_frame *frame);
void net_buffer_free(struct net_dev *dev, uint64_t buffer);

/* Sends n pieces as one frame (with vnet, where dev->segments; NULL: none). Copies.
 * 0, or -ENOBUFS: no buffer is free now (NOXS_EV_NET comes when there is one). */
struct net_piece {
	const void *data;
	uint32_t bytes;
};
long net_send(struct net_dev *dev, const struct noxs_net_vnet *vnet, const struct net_piece *piece,
	      uint32_t n);
/* Rings for frames that are in TX: at the end of a system call, when there are enough of them
 * or the program will not wait soon. A WAIT rings, too. */
void net_flush(void);
/* For syscall.c, when a call returns: frames that have been in TX for a while are rung for. */
extern uint32_t uk_net_unsent; /* frames that nobody rang for */
void net_flush_late(void);
/* For wait.c: a WAIT comes now, which sends all that is in TX. */
void net_waiting(void);
/* For wait.c: is there a device whose frames come without the monitor; has one come? */
bool net_spins(void);
bool net_news(void);

/* ---- early.c ---- */
/* Zeroed, never freed; NULL: there is no more of it. */
void *net_early_take(size_t bytes);
void *net_alloc(size_t bytes); /* from there, else uk_alloc's: for what is never freed */
/* It is not touched before it is taken. */
extern char net_early_area[];
extern const char *const net_early_end;

/* ---- stack.c: lwIP, its interfaces, their configuration, timers ---- */
/* In a shell, before there is a program: takes, and touches, the memory that net_stack_start
 * needs. Nothing that is random or depends on the clock. */
void uk_net_prepare(void);
/* lwIP is up: at the first socket, or at once where there is a net device. 0 or -ENOMEM. */
long net_stack_start(void);
/* Takes received frames, runs timers that are due, looks at noxs_net_config. True: something
 * was done, so sockets may have changed. Cheap where there is nothing. */
bool uk_net_service(void);
/* When uk_net_service is next to be called, at the latest (monotonic); NOXS_FOREVER. */
uint64_t uk_net_deadline(void);
/* Is there anything to look after? Without it uk_wait does as if there were no network. */
extern bool uk_net_live;

/* ---- interface.c ---- */
/* Are addresses on their way that DHCP, or a router (v6), gives? Who then has no route waits for
 * it: uk_net_service says some milliseconds later that there is news. */
bool net_is_early(bool v6);

/* ---- wait.c ---- */
/* The program computes, and was preempted for the network: 10 ms later it is again. */
void uk_net_tick(void);

/* ---- lateack.c ---- */
/* The program has nothing more to do for now: acknowledgements that waited for data go without
 * any. True: there were some. */
bool net_late_acks(void);

/* ---- packet.c: called by stack.c with every frame, before lwIP sees it ---- */
extern uint32_t net_packet_sockets; /* 0: not worth a call */
/* True: it is for packet sockets alone (the interface has none but them). */
bool net_packet_input(struct net_dev *dev, const struct net_frame *frame);
void net_packet_output(struct net_dev *dev, const struct net_piece *piece, uint32_t n);

/* ---- netlink.c, ifaddr.c: what an interface looks like to programs ---- */
struct net_if {
	char name[16];
	uint32_t index; /* lo 1, net devices from 2 on */
	uint32_t flags; /* IFF_* */
	uint32_t mtu;
	uint8_t mac[6];
	uint32_t naddresses;
	struct noxs_net_address address[NOXS_NET_ADDRESSES + 2]; /* link-local, too */
	struct net_if_life {                                     /* of each; a router's expire */
		bool advertised;
		uint32_t preferred_s, valid_s; /* UINT32_MAX: for ever */
	} life[NOXS_NET_ADDRESSES + 2];
	uint32_t ip4, mask4, broadcast4, gateway4; /* network order; 0: none */
	struct noxs_net_address gateway6;          /* family 0: none */
	bool advertised;                           /* gateway6: by a router */
	uint64_t rx_frames, rx_bytes, rx_dropped, tx_frames, tx_bytes, tx_dropped;
};
/* ---- stack.c: for them ---- */
bool net_if_get(uint32_t index, struct net_if *out); /* false: no such interface */
bool net_if_find(const char *name, struct net_if *out);
/* SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS, RTM_NEWADDR: 0 or -errno */
long net_if_set_ip4(uint32_t index, uint32_t address, uint32_t mask, uint32_t gateway);
long net_if_set_flags(uint32_t index, uint32_t flags);
/* resolv.conf: name servers now known (static, DHCP's, RDNSS's). Count. */
uint32_t net_dns_servers(struct noxs_net_address *out, uint32_t max);
extern char net_dhcp_domain[64]; /* dhcpopt.c; "": DHCP has told none */

/* ---- procnet.c: /proc/net, /etc/resolv.conf and /etc/hosts; tree.c calls it ---- */

/* ---- tcp.c: for process.c, signal.c ---- */
/* The program ends: its connections are closed as an exit closes them, and what was sent may
 * arrive, for wait_ns at most. Nothing can be done with sockets after it. */
void net_goodbye(uint64_t wait_ns);

#endif
