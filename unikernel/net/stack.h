/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack.h: what driver.c, stack.c, interface.c and timers.c share.
 *
 *   stack.c      lwIP's start, frames from and to the driver, uk_net_service
 *   gro.c        consecutive segments, merged
 *   offload.c    devices that take large segments without checksums
 *   pmtu.c       how large a packet may be on its way
 *   recovery.c   TCP's losses, better than lwIP has it
 *   demux.c      which connection a segment is for
 *   cookie.c     handshakes when there are too many
 *   guard.c      segments that lwIP must not see
 *   tcpclock.c   what time it is for TCP
 *   interface.c  an interface's configuration: static, DHCP, SLAAC; a new one on the way
 *   neighbour.c  who has sent us a packet
 *   nobody.c     who does not answer
 *   early.c      memory for all that, before there is a program
 *   timers.c     lwIP's timers, as far as there is something that they are for
 */
#ifndef UK_NET_STACK_H
#define UK_NET_STACK_H

#include "lwip/ip_addr.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

#include "if.h"

struct tcp_pcb;

/* A received buffer as lwIP sees it: given back when lwIP, or the socket, is done. */
struct net_held {
	struct pbuf_custom custom;
	struct net_dev *dev;
	uint32_t buffer;
};

/* An interface over a net device. */
struct net_iface {
	struct netif netif; /* first: lwIP's pointers are ours */
	struct net_dev *dev;
	struct net_held *held;            /* by buffer */
	struct noxs_net_config config;    /* as last read */
	struct noxs_net_address gateway6; /* static */
	bool has_gateway6, dhcp;
	uint16_t mtu, mtu6;         /* netif's own say nothing where the device takes segments */
	uint64_t early_until_ns[2]; /* DHCP's, and a router's, answer is worth waiting for */
	uint64_t lease_ns, lease_try_ns; /* lease.c: given at; asked for again at */
};

extern struct net_iface *net_ifaces[NOXS_NET_MAX]; /* by row of uk_net_dev; NULL: none yet */

/* ---- driver.c ---- */
/* The stack starts to use dev. 0 or -ENOMEM. */
long net_driver_open(struct net_dev *dev);
/* Its window is used, as far as the first frames will. After net_driver_open. */
void net_driver_touch(const struct net_dev *dev);
uint32_t net_driver_buffers(const struct net_dev *dev); /* how many; numbers are from 0 */
/* After a new generation: rings that the host made anew are fed. False: they make no sense. */
bool net_driver_renew(struct net_dev *dev);
/* Buffers that may be received into, and that the stack does not hold. */
uint32_t net_buffers_left(const struct net_dev *dev);
/* Takes back what was sent. True: net_send had failed for want of buffers, and there are. */
bool net_buffers_back(struct net_dev *dev);

/* ---- offload.c ---- */
void net_offload_start(struct net_iface *iface);
/* netif's MTU may have been set, by us or by a router. */
void net_offload_mtu(struct net_iface *iface);
/* The header of a frame to dev->segments. False: it is complete as it is. */
bool net_offload_send(struct net_iface *iface, struct pbuf *p, struct noxs_net_vnet *vnet);
extern bool net_dont_fragment; /* no router may cut the datagram that lwIP is given now */

/* ---- pmtu.c ---- */
/* How large a packet to somebody may be: mtu, or less. IPv6 addresses in 16 bytes. */
uint16_t net_pmtu(const ip_addr_t *to, uint16_t mtu);
uint16_t net_pmtu4(uint32_t to, uint16_t mtu);
uint16_t net_pmtu6(const void *to, uint16_t mtu);
bool net_pmtu_whole4(uint32_t to, uint16_t bytes); /* no router on the way need cut it */
/* A router has said so, in the packet that lwIP is looking at. False: it is of no use. */
bool net_pmtu_told(const ip_addr_t *to, uint32_t mtu);
void net_pmtu_age(void);    /* each second, while there is traffic */
void net_pmtu_forget(void); /* this machine is elsewhere now */
/* No segment is larger from now on, if there is memory to cut those in the queue. */
void net_tcp_lower_mss(struct tcp_pcb *pcb, uint16_t mss);

/* ---- recovery.c ---- */
void net_recovery_after(void);               /* when lwIP has taken a frame */
void net_recovery_forget(void);              /* it was not a frame of a device */
void net_recovery_tick(struct tcp_pcb *pcb); /* each TCP_TMR_INTERVAL */
bool net_recovery_ticks(void);               /* data are under way: a look more often */
void net_recovery_fast(void);

/* ---- resend.c ---- */
/* Before tcp_write, tcp_shutdown and tcp_close: what waits to be sent again waits in unacked, for a
 * timer or an acknowledgement, if lwIP would take it for the stream's end. */
void net_resend_later(struct tcp_pcb *pcb);
/* Before a time-out: what waits to be sent again is where its number is. */
void net_resend_order(struct tcp_pcb *pcb);

/* ---- tcpclock.c ---- */
void net_tcp_clock(uint64_t now_ns); /* before anything is told by lwIP's clock */
void net_tcp_tick(void);             /* before lwIP's timer */

/* ---- demux.c ---- */
void net_demux_restore(void); /* lwIP has looked at the packet */

/* ---- neighbour.c ---- */
/* A frame has come. */
void net_neighbour_heard(struct net_iface *iface, const struct net_frame *f);
/* etharp_output, but for who was just heard. */
err_t net_neighbour_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to);
void net_neighbour_age(void);    /* each second that the VM is awake */
void net_neighbour_forget(void); /* it is another network */

/* ---- nobody.c ---- */
/* An ARP request for an address (four bytes) was sent. */
void net_nobody_asked(struct netif *netif, const void *address);
void net_nobody_tick(void); /* each second, before lwIP's own timers */
void net_nobody_forget(void);

/* ---- memory.c ---- */
void net_memory_prepare(void); /* the first page of each size is used */

/* ---- isn.c ---- */
/* Of a connection and of anything else: nobody can guess it. */
uint64_t net_tcp_hash(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
		      uint16_t remote_port, uint64_t what);

/* ---- cookie.c ---- */
void net_cookie_after(void); /* lwIP has looked at the packet, and the list is whole */

/* ---- interface.c ---- */
struct net_iface *net_iface_of(const struct netif *netif); /* NULL: the loopback */
/* The interface as noxs_net_config has it. Called again when that has changed. */
void net_iface_start(struct net_iface *iface);
void net_iface_look(struct net_iface *iface);
/* net_is_early has said so: is to be looked at again, by timers.c. */
extern bool net_early;

/* ---- timers.c ---- */
/* Runs what is due: was it anything? */
bool net_timers_run(uint64_t now_ns);
/* When the next is due; NOXS_FOREVER: nothing waits for time to pass. */
uint64_t net_timers_next(uint64_t now_ns);
/* Throws away the oldest of the connections in TIME_WAIT, where there are very many. */
void net_timewait_trim(void);
/* The VM is awake: what only grows older does, before it is used. */
void net_timers_age(uint64_t now_ns);
void net_arp_asks(void);     /* a request was sent: it may have to be repeated */
void net_groups_asked(void); /* a querier wants to hear which groups we are in */

/* ---- lease.c: for timers.c ---- */
uint64_t net_lease_in_ms(void); /* UINT64_MAX: no lease needs anything */
void net_lease_run(void);

/* ---- partial.c ---- */
/* Is a TCP or UDP checksum left to be filled in by whoever sends it? Then this host sent it. */
bool net_checksum_partial(const struct net_frame *f);

/* ---- gro.c ---- */
/* A frame for lwIP, or for the one before it; good: its TCP or UDP checksum is. Takes p over. */
void net_gro_input(struct net_iface *iface, struct pbuf *p, bool good);
void net_gro_flush(void); /* no more follow for now */
/* ---- stack.c: where it goes then ---- */
void net_stack_input(struct net_iface *iface, struct pbuf *p, bool good);

#endif
