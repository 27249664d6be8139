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
#include "table.h"

struct record;

/* One static address in vms.by_address: vm_address.c. */
struct vm_net_address {
	struct table_node node;
	struct record *record; /* whose it is; NULL: it is not in the table */
	const char *segment;
	struct noxs_net_address address;
};

struct vm_net_device {
	uint8_t kind; /* enum net_kind */
	bool is_open;
	struct net_opened opened;      /* once it is */
	struct noxs_net_config config; /* as asked for; once it is open, as the guest has it */
	struct news_net counters;      /* the last that are known; claimed: what the guest says */
	bool own_mac, own_ip;          /* they were asked for */
	char segment[16];              /* the bridge or interface that it shares; "": none */
	struct vm_net_address taken[NOXS_NET_ADDRESSES]; /* of config.address */
	const char *spec; /* for mayfly net-open, as net_spec_print has it */
	uint16_t nports;
	const char *ports; /* nports strings, one behind the other */
};

struct vm_net {
	unsigned n;
	struct vm_net_device device[NOXS_NET_MAX];
	/*
	 * What says how they are opened, and nothing that a VM can be told later: a spec a line.
	 * It is what a flavour's shells have, struct flavour.net. "": such must be opened for
	 * this VM alone.
	 */
	const char *key;
	char text[]; /* what they point to */
};

/* Those of the spec, checked. *net is NULL where there are none. 0, or an enum engine_failure. */
int vm_net_make(const struct vm_spec *spec, struct vm_net **net, struct err *err);

/* A flavour's: as struct vm_net.key. n specs; no addresses, which are the VMs'. 0, or -EINVAL. */
int vm_net_flavour(const char *const *net, size_t n, char key[ENGINE_NET_BYTES], struct err *err);
/* Of such a key: the devices to open. As vm_net_make. */
int vm_net_of_flavour(const char *key, struct vm_net **net, struct err *err);
/* A device that was opened for nobody in particular, as h, becomes d. */
void vm_net_take(struct vm_net_device *d, struct wire_net *h);

/* Has it addresses that DHCP or a router gives, and only the guest knows? net may be NULL. */
bool vm_net_is_given(const struct vm_net *net);

/* What its shell tells of n of them; net may be NULL: then nothing is believed. */
void vm_net_count(struct vm_net *net, const struct news_net *counters, unsigned n);

/* ---- devices that are open, but no VM's yet ---- */
struct net_handed {
	struct wire_net wire;
	int fd[1 + NET_WIRE_FDS]; /* the memory, then wire.nfds */
};
/* How many of fd there are. */
static inline unsigned net_handed_fds(const struct net_handed *h)
{
	return h->wire.prepared ? 0 : 1 + h->wire.nfds;
}
void net_handed_close(const struct net_handed *h);

#endif
