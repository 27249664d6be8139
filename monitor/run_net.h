/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_net.h: the net devices of `mayfly run`: --net and -p, from the command line to the guest.
 * A run without them does nothing here.
 */
#ifndef MAYFLY_RUN_NET_H
#define MAYFLY_RUN_NET_H

#include <stdio.h>

#include "guest.h"
#include "vm.h"

/* One --net, one -p. 0 or -errno with a message. */
int run_net_add(const char *text, struct err *err);
int run_net_publish(const char *text, struct err *err);
/* All options are there: what goes together, names, MACs. */
int run_net_finish(struct err *err);
/* All --net, all -p, as they were given; NULL-terminated. */
const char *const *run_net_texts(void);
const char *const *run_net_ports(void);
/* Opens all of them, before the jail. */
int run_net_open(struct err *err);
/* Shows them to the guest, after guest_prepare. */
int run_net_attach(struct vm *vm, struct guest *guest, struct err *err);
void run_net_stats(FILE *f);

/* Hidden verb net-open: the daemon has it open what a VM asks for: see wire.h. */
int cmd_net_open(int argc, char **argv);

#endif
