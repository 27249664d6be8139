/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_maps.h: what port.bpf.c and port.c agree on: names (at most 15 characters), and the
 * interface numbers of a VM's namespace, which are the keys of all maps.
 */
#ifndef MAYFLY_NET_PORT_MAPS_H
#define MAYFLY_NET_PORT_MAPS_H

#define PORT_PROGRAM "mayfly_port1" /* another number where the maps mean something else */
#define PORT_SLOTS   16384u         /* VMs behind veth pairs, of the whole host */
/* Sharing, slot + this: the veth's other end, the macvlan. Higher than any number that the host
 * has given out: the kernel looks a new interface's up in the namespace that asks for it, too. */
#define PORT_FAR    0x20000000u
#define PORT_UPLINK 0x40000000u

#endif
