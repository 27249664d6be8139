/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inet.h: what the files of AF_INET and AF_INET6 share: inet.c (addresses, ports), inetopt.c
 * (options), inetgroup.c (multicast), dgram.c (received datagrams), udp.c, raw.c, icmp.c (errors
 * that come back), tcp.c, tcplisten.c, tcpdata.c, tcpopt.c.
 *
 * Addresses are lwIP's ip_addr_t: of type V4 also where an AF_INET6 socket speaks IPv4 (on the
 * outside ::ffff:a.b.c.d), of type ANY for [::] that stands for both. Ports are in host order.
 */
#ifndef UK_INET_H
#define UK_INET_H

#include <linux/in.h>
#include <linux/in6.h>

#include "net.h"
#include "sock.h"

#include "lwip/ip.h"
#include "lwip/netif.h"

struct inet_group; /* inetgroup.c: a multicast group that was joined */

struct inet_sock {
	struct sock s;
	bool is_tcp;
	/* What getsockname and getpeername say; they outlive the pcb. */
	ip_addr_t local, remote;
	uint16_t local_port, remote_port;
	bool fixed_address, fixed_port; /* by bind */
	/* All sockets that have a port, by port. */
	struct inet_sock *next, **link;

	/* Options: inetopt.c */
	bool packet_info, receive_ttl, receive_tos, receive_errors, header_included;
	bool receive_old_ttl; /* IPV6_2292HOPLIMIT */
	bool multicast_loop, free_bind, no_fragments;
	uint8_t mtu_discover;
	int16_t multicast_ttl;
	uint32_t multicast_if;
	ip4_addr_t multicast_source; /* IP_MULTICAST_IF by address */
	struct inet_group *groups;
};

static inline struct inet_sock *inet_of(struct sock *s)
{
	return (struct inet_sock *)s; /* its first member */
}

/* ---- inet.c ---- */
void inet_init(struct inet_sock *i, const struct sock_ops *ops, uint16_t family, uint16_t type,
	       uint16_t protocol);
void inet_fini(struct inet_sock *i); /* gives back port and groups; not i itself */
long inet_errno(err_t error);
/* A program's address: 0, -EINVAL (too short), -EAFNOSUPPORT. */
long inet_parse(const struct inet_sock *i, const struct sock_address *at, ip_addr_t *ip,
		uint16_t *port);
void inet_format(const struct inet_sock *i, const ip_addr_t *ip, uint16_t port,
		 struct sock_address *out);
/* The type that a pcb of this socket has before it is bound. */
uint8_t inet_type(const struct inet_sock *i);
bool inet_is_any(const ip_addr_t *ip);
/* bind's checks of an address: 0, or -errno. */
long inet_check_local(const struct inet_sock *i, const ip_addr_t *ip);
/* Takes a port (0: a free one) at ip: 0 or -EADDRINUSE. i->local and local_port are set. */
long inet_take_port(struct inet_sock *i, const ip_addr_t *ip, uint16_t port);
/* For a connection: i has this port now, whoever else does. */
void inet_share_port(struct inet_sock *i, const ip_addr_t *ip, uint16_t port);
void inet_free_port(struct inet_sock *i);
/* Is somebody in i's way at this address and port? */
bool inet_port_conflicts(const struct inet_sock *i, const ip_addr_t *ip, uint16_t port);
/* Which interface leads to an address, and with which source address; NULL: none does. *source
 * is valid until the interface changes. */
struct netif *inet_route(const struct inet_sock *i, const ip_addr_t *to, const ip_addr_t **source);
/* An unspecified destination means this machine. */
void inet_loopback_if_any(ip_addr_t *ip);
/* interface.c: does what goes to this global address get beyond the interface? lwIP thinks so. */
bool net_ip6_has_way(const struct netif *netif, const ip6_addr_t *to);
/* What connect to a peer checks: 0 or -errno; source as above. -EAGAIN: there is no way yet, but
 * there may be soon (net_is_early). */
long inet_check_peer(const struct inet_sock *i, const ip_addr_t *to, const ip_addr_t **source);
long inet_name(struct sock *s, bool peer, struct sock_address *out);

/* ---- inetopt.c ---- */
long inet_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes);
long inet_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes);
/* Of the way to a connected socket's peer; -ENOTCONN. */
long inet_mtu(const struct inet_sock *i);

/* ---- inetgroup.c ---- */
void inet_leave_groups(struct inet_sock *i);
/* struct ip_mreq or ip_mreqn, struct ipv6_mreq, struct group_req: 0 or -errno */
long inet_membership4(struct inet_sock *i, bool leave, const void *val, uint32_t bytes);
long inet_membership6(struct inet_sock *i, bool leave, const void *val, uint32_t bytes);
long inet_membership(struct inet_sock *i, bool leave, const void *val, uint32_t bytes);
/* The interface that a request names: by index, by its address, or by the route to group. */
struct netif *inet_group_netif(const ip_addr_t *group, uint32_t index, uint32_t address);

/* ---- dgram.c: datagrams that were received ---- */
struct dgram {
	struct dgram *next;
	struct pbuf *p;
	ip_addr_t from, to;
	uint16_t from_port;
	uint8_t ttl, tos;
	uint32_t index; /* of the interface */
	uint64_t time_ns;
};

struct dgram_sock {
	struct inet_sock i;
	struct dgram *first, **last;
	uint32_t queued; /* bytes, as SO_RCVBUF counts them */
	bool connected;
};

static inline struct dgram_sock *dgram_of(struct sock *s)
{
	return (struct dgram_sock *)s;
}

void dgram_init(struct dgram_sock *d);
void dgram_fini(struct dgram_sock *d);
/* Queues p (which is taken over) with what lwIP knows of the packet that is just coming in, or
 * drops it if there is no room. */
void dgram_put(struct dgram_sock *d, struct pbuf *p, const ip_addr_t *from, uint16_t port);
long dgram_recv(struct sock *s, struct sock_msg *m);
uint32_t dgram_poll(struct sock *s);
long dgram_ioctl(struct sock *s, uint32_t cmd, uint64_t arg);
long dgram_shutdown(struct sock *s, int how);
/* What is to be sent, in one pbuf with room for headers: 0, -EMSGSIZE, -ENOBUFS, -EFAULT. */
long dgram_take_in(const struct sock_msg *m, size_t max, struct pbuf **p);
/* Where a message goes, and what its control messages say of how. */
struct dgram_target {
	ip_addr_t to;
	uint16_t port;
	struct netif *netif;
	ip_addr_t source;
	int16_t ttl, tos; /* -1: the socket's */
};
long dgram_target(struct dgram_sock *d, const struct sock_msg *m, struct dgram_target *t);

/* ---- icmp.c: what routers and peers say went wrong ---- */
void icmp_listen(void); /* from the first interface, or socket that wants to know, on */
void udp_failed(const ip_addr_t *to, uint16_t port, uint16_t local_port, int error, bool hard);
/* sequence: of the segment that came back. */
void tcp_failed(const ip_addr_t *to, uint16_t port, uint16_t local_port, uint32_t sequence,
		int error);
/* May a packet that came back be one of ours? */
bool udp_has_sent(const ip_addr_t *from, uint16_t local_port, const ip_addr_t *to, uint16_t port);
bool tcp_is_under_way(const ip_addr_t *from, uint16_t local_port, const ip_addr_t *to,
		      uint16_t port, uint32_t sequence);

/* ---- the protocols: a new socket, or -errno ---- */
long udp_socket(uint16_t family, struct sock **s);
/* Does a datagram wait for its neighbour's address (the last one that was sent, over IPv4)? */
bool udp_unresolved(void);
long raw_socket(uint16_t family, uint16_t type, uint16_t protocol, struct sock **s);
long tcp_socket(uint16_t family, struct sock **s);
void tcp_connect_early(void); /* those that wait for addresses try again */
struct tcp_pcb;
/* TCP_SYNCNT: nobody has answered any of its SYNs, and the last one's time is over. */
bool tcp_syn_is_over(const struct tcp_pcb *pcb);
/* tcp.c, tcpopt.c: after IP_ and IPV6_ options */
long tcp_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes);
long tcp_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes);

#endif
