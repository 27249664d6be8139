/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_net.h: the net devices that a VM asks for, and what became of them.
 *
 * The record keeps what is shown of them. What is open is START's (struct net_handed), and
 * goes with it: the daemon has no descriptor of a VM that runs.
 */
#ifndef MAYFLY_VM_NET_H
#define MAYFLY_VM_NET_H

#include "../net_spec.h"
#include "engine.h"

struct vm_net_device {
	uint8_t kind; /* enum net_kind */
	bool is_open;
	struct net_opened opened;      /* once it is */
	struct noxs_net_config config; /* as asked for; once it is open, as the guest has it */
	struct news_net counters;      /* the last that are known */
	const char *spec;              /* for mayfly net-open, as net_spec_print has it */
	const char *open; /* what of it says how the device is opened: see vm_net_key */
	uint16_t nports;
	const char *ports; /* nports strings, one behind the other */
};

struct vm_net {
	unsigned n;
	struct vm_net_device device[NOXS_NET_MAX];
	char text[]; /* what they point to */
};

/* Those of the spec, checked. *net is NULL where there are none. 0, or an enum engine_failure. */
int vm_net_make(const struct vm_spec *spec, struct vm_net **net, struct err *err);

/* What its shell tells of n of them; net may be NULL: then nothing is believed. */
void vm_net_count(struct vm_net *net, const struct news_net *counters, unsigned n);

/* ---- devices that are open, but no VM's yet ---- */
struct net_handed {
	struct wire_net wire;
	int fd[1 + NET_WIRE_FDS]; /* the memory, then wire.nfds */
};
void net_handed_close(const struct net_handed *h);

#endif
