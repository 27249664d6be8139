/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_maps.h: what port.bpf.c and port.c agree on: names (at most 15 characters), and the
 * interface numbers of a VM's namespace, which are the keys of all maps.
 */
#ifndef MAYFLY_NET_PORT_MAPS_H
#define MAYFLY_NET_PORT_MAPS_H

#define PORT_PROGRAM "mayfly_port1" /* another number where the maps mean something else */
#define PORT_SLOTS   16384u         /* VMs behind veth pairs, of the whole host */
#define PORT_FAR     0x10000u       /* slot + this: sharing, the veth's other end */
#define PORT_UPLINK  0x20000u       /* slot + this: sharing, the macvlan */

#endif
