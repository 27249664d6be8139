/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_spec.h: what a user asks for with --net, and with -p.
 *
 *   --net KIND[=NAME][,KEY=VALUE...]
 *
 *   IFACE        xdp=IFACE: of the two the better, as measured (bench/README.md)
 *   xdp=IFACE    AF_XDP. IFACE is a bridge: a veth pair is made for the VM and one end of it
 *                becomes the bridge's port. Anything else: a socket on its queue, or with
 *                "share" one of several VMs on it, told apart by their MAC
 *   tap=IFACE    a tap that exists, or is made; tap=fd:N one that is open; tap alone: made
 *   user         no privilege needed: passt translates to the host's own sockets
 *
 *   mac=M ip=ADDRESS/PREFIX|dhcp|auto gw=ADDRESS dns=ADDRESS domain=NAME mtu=N name=IFNAME
 *   queue=N mode=auto|native|generic copy=auto|copy|zerocopy share promisc   (xdp)
 *   bridge=IFACE offload=on|off                                    (tap)
 *   flood=on|off                                                   (at a bridge)
 *
 * ip, gw and dns may be given more than once, for IPv4 and IPv6. This file and net_spec.c are
 * libc-neutral: the monitor, the helper and the daemon share them.
 */
#ifndef MAYFLY_NET_SPEC_H
#define MAYFLY_NET_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "../noxs/net.h"
#include "err.h"

enum net_kind { NET_XDP = 1, NET_TAP, NET_USER };
enum net_mode { NET_MODE_AUTO, NET_MODE_NATIVE, NET_MODE_GENERIC };
enum net_copy { NET_COPY_AUTO, NET_COPY_COPY, NET_COPY_ZERO };

#define NET_MAX_PORTS 32

/* -p [ADDRESS:]HOST:GUEST[/tcp|/udp], ports may be ranges of the same size */
struct net_port {
	char address[46]; /* of the host; empty: all */
	uint16_t host, guest, count;
	bool udp;
};

struct net_spec {
	enum net_kind kind;
	char ifname[16]; /* empty: none was named */
	char bridge[16]; /* tap */
	int fd;          /* tap=fd:N; -1 */
	int queue;       /* xdp; -1: whichever is free */
	enum net_mode mode;
	enum net_copy copy;
	bool share;
	bool promisc; /* xdp: all frames of the queue, whatever their destination */
	int offload;  /* tap: 1, 0; -1: as measured to be better */
	bool quiet;   /* flood=off: the bridge brings it nothing that is for all */
	bool has_mac; /* given, or made by net_spec_finish; else the interface's own (opened.mac) */
	bool has_ip;  /* any of ip= was given; otherwise NET_USER: dhcp and slaac, else none */
	struct noxs_net_config config; /* mac, mtu (0: the interface's), addresses, flags, name */
	unsigned nports;
	struct net_port port[NET_MAX_PORTS]; /* user */
};

/* One --net argument: 0, or -EINVAL and a message that shows what is wrong with which part and
 * what it may be. Text is a user's, or a client's of the daemon: any bytes. */
int net_spec_parse(struct net_spec *spec, const char *text, struct err *err);
/* One -p argument, appended. */
int net_port_parse(struct net_spec *spec, const char *text, struct err *err);
/* The ports go to the user network among n specs, or to a new one if there are none at all.
 * -EINVAL with a message where another kind is to have them. */
int net_spec_publish(struct net_spec *spec, unsigned *n, const struct net_spec *ports,
		     struct err *err);
/* The port again. Its length, as snprintf. */
size_t net_port_print(const struct net_port *port, char *buf, size_t size);
/* What cannot be told before all have been parsed: names eth0, eth1, ...; MACs, two alike.
 * random: bytes for the MACs, 6 each: locally administered ones for all but an xdp that has its
 * interface for itself (no share): it is that interface, and mayfly-net tells its MAC. */
int net_spec_finish(struct net_spec *spec, unsigned n, const uint8_t (*random)[6], struct err *err);
/* The text again, with every default put in: for the helper's command line, and inspect.
 * Its length, as snprintf. */
size_t net_spec_print(const struct net_spec *spec, char *buf, size_t size);
#define NET_SPEC_TEXT 1024 /* is enough for it */

/* By enum net_kind, net_mode, net_copy. */
extern const char *const net_kind_name[], *const net_mode_name[], *const net_copy_name[];
/* 0, or -EINVAL: no interface can be called that. */
int net_ifname_check(const char *name);
/* Text for a message: cut, and with what is not printable as '?'. Returns buf. */
const char *net_quote(char *buf, size_t size, const char *text);

#endif
