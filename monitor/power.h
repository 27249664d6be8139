/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power.h: back end of the power device: what is asked of the guest (signals, shutdown,
 * suspend, resume), one request at a time, and whether it has answered.
 *
 * It asks; it does not act: run.c makes the guest look, holds the vCPU, ends the VM.
 */
#ifndef MAYFLY_POWER_H
#define MAYFLY_POWER_H

#include <stdbool.h>

#include "device.h"

struct power {
	struct noxs_power *page; /* the guest's */
	struct device_front front;
	uint64_t signals; /* to be passed on: bit (signal - 1) */
	bool shutdown;    /* to be asked for */
	bool suspend;     /* the guest is to stand still */
	bool held;        /* it does: its vCPU must not run */
	bool resume;      /* to be asked for, since it was asked to suspend */
	uint32_t request; /* the last one made; 0: none */
	uint32_t acked;   /* the last one the guest has acknowledged */
	uint32_t count;
	uint64_t hold_at_ns;     /* monotonic: when a guest that was asked is held anyway; 0: not */
	uint64_t unacknowledged; /* how often that came to be */
};

void power_init(struct power *p, struct noxs_power *page);

/* A signal for the program. True: it is the VM's end instead. */
bool power_signal(struct power *p, int sig);

/* Asks for an orderly end. True: nobody would listen, it is the end. */
bool power_shutdown(struct power *p);

/* Asks the guest to stand still, or to go on. */
void power_suspend(struct power *p, bool suspend, uint64_t now_ns);

/*
 * power_look: what has the guest answered? Makes the next request, if there is one.
 * 1: the guest is to look at its power device (a request, or its timer); 0: it need not;
 * -EPROTO: it acknowledged what nobody asked for, or broke its front end.
 */
int power_look(struct power *p, uint64_t now_ns, struct err *err);

/* When to look again though nothing happens (monotonic), or 0. */
uint64_t power_next_ns(const struct power *p);

#endif
