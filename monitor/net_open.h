/* SPDX-License-Identifier: Apache-2.0 */
/* net_open.h: between net_open.c, net_open_tap.c and net_open_user.c. */
#ifndef MAYFLY_NET_OPEN_H
#define MAYFLY_NET_OPEN_H

#include "net.h"

/* Each fills in link->opened and link->fd[0], and config where it knows better. 0 or -errno
 * with a message. */
int net_open_tap(struct net_link *link, const struct net_spec *spec, struct err *err);
int net_open_user(struct net_link *link, const struct net_spec *spec, struct err *err);

#endif
