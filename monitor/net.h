/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h: net devices of a VM, as noxs/net.h describes them.
 *
 *   net.c         windows: memory, page tables, memslots, configuration
 *   net_run.c     while the guest runs: who is served, and when
 *   net_poll.c    a thread that polls, for a guest whose waits are short
 *   net_rings.c   the four rings where the monitor plays the kernel's part
 *   net_xdp.c     AF_XDP: the kernel's rings shown to the guest
 *   net_watch.c   what becomes of the interface behind it
 *   net_tap.c     a tap: frames by read and write
 *   net_stream.c  a stream socket with a length before each frame (passt)
 *   net_open.c    from a struct net_spec to open descriptors: mayfly-net, passt, /dev/net/tun
 *
 * Order: net_open (any time before the jail), net_prepare (when the guest's tables are there,
 * before or after vm_create), net_configure (when it is known who the guest is), run.
 */
#ifndef MAYFLY_NET_H
#define MAYFLY_NET_H

#include <stdbool.h>

#include "guest.h"
#include "net_spec.h"
#include "net_wire.h"
#include "vm.h"

/* An open device without a VM. */
struct net_link {
	struct net_opened opened;
	int fd[NET_WIRE_FDS]; /* -1: none */
	int memory;           /* memfd of the window */
	uint32_t frame_bytes, buffers;
	struct noxs_net_config config; /* the spec's, with what was learned: MAC, MTU, user's */
};

/* Opens what spec asks for, waits for the helper. 0 or -errno with a message: no such interface,
 * no CAP_NET_ADMIN (and that --net user takes none), a queue that is taken, ... */
int net_open(struct net_link *link, const struct net_spec *spec, struct err *err);
void net_close(struct net_link *link);

/* Lays the window of device index into the guest: memory, rings, page tables, memslot, device
 * table row. Takes the link's descriptors over. */
int net_prepare(struct vm *vm, struct guest *guest, unsigned index, const struct net_link *link,
		struct err *err);
/* Writes the configuration (seqlock); config's generation and seq are ours. Also while it runs. */
void net_configure(unsigned index, const struct noxs_net_config *config);

/* ---- for run.c, in the run's thread ---- */
extern unsigned net_count; /* devices of this VM; 0: nothing below need be called */

struct pollfd;
/*
 * For a WAIT: sends what is to be sent, takes what has come. Returns those of events that hold;
 * if none does, what to sleep for: descriptors (*n <= 2 * NOXS_NET_MAX) and, where time alone
 * tells, how long at most (*retry_ns; negative: no limit). To be called again after that. What a
 * guest breaks is its device, not the VM.
 */
uint32_t net_wait(uint32_t events, struct pollfd *fds, unsigned *n, int64_t *retry_ns);
/* The same without a wait to come: just what holds. */
uint32_t net_look(uint32_t events);
/* That WAIT is over, and the guest runs on. */
void net_woken(void);
/* The guest has rung one of NOXS_NET_SLOT(0) .. : false: there is no such slot. */
bool net_rang(uint64_t slot);
/* Passes on what is in all TX rings, and what has come, without waiting: at a tick. */
void net_serve(void);
/* KVM_RUN said EFAULT: if AF_XDP's rings may be why, puts our own in their place. False: not. */
bool net_fall_back(void);
/* The run is over: sends what is left, for a moment; then nobody looks at the devices. */
void net_stop(void);

struct net_counters {
	uint64_t rx_frames, rx_bytes, rx_dropped, tx_frames, tx_bytes, tx_dropped;
	uint64_t kicks;     /* system calls to send or to fill */
	bool copying;       /* xdp: the kernel refused the rings as guest memory */
	const char *broken; /* why it carries nothing any more; NULL */
};
struct net_counters net_counters(unsigned index);
/* The addresses that the guest says it has: each is a net_is_claim(), or family 0. Any of them can
 * be somebody else's: for people to read, and for nothing to depend on. */
void net_claimed(unsigned index, struct noxs_net_address claimed[NOXS_NET_ADDRESSES]);

#endif
