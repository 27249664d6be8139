/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.h: the program (port.bpf.c) of VMs' own veth pairs.
 *
 * It is attached by netlink, so the veth keeps it; the first VM loads it, and those that come
 * while one is there find it by its name.
 */
#ifndef MAYFLY_NET_PORT_H
#define MAYFLY_NET_PORT_H

#include <stdint.h>

#include "../err.h"
#include "port_maps.h"

struct port {
	int program, macs, socks;
};

int port_get(struct port *port, struct err *err);
/* Leads a VM's frames to its socket. -EEXIST without a message: the slot is another VM's. */
int port_claim(const struct port *port, uint32_t slot, const uint8_t mac[6], int sock,
	       struct err *err);
/* Sharing: guard and relay, at the interfaces of slot. */
int port_guard(const struct port *port, uint32_t slot, struct err *err);

#endif
