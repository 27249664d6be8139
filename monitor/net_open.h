/* SPDX-License-Identifier: Apache-2.0 */
/* net_open.h: between net_open.c, net_open_tap.c, net_open_user.c and net_passt.c. */
#ifndef MAYFLY_NET_OPEN_H
#define MAYFLY_NET_OPEN_H

#include "net.h"

/* Each fills in link->opened and link->fd[0], and config where it knows better. 0 or -errno
 * with a message. */
int net_open_tap(struct net_link *link, const struct net_spec *spec, struct err *err);
int net_open_user(struct net_link *link, const struct net_spec *spec, struct err *err);

/* Are the host's ports free? 0, or -errno with a message that names the one that is not. */
int net_passt_check_ports(const struct net_spec *spec, struct err *err);
/* Starts it with argv; sock, the caller's, becomes its descriptor 3. Back when it listens. */
int net_passt_start(char **argv, int sock, struct err *err);

#endif
