/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.h: the sockets that the daemon listens on: its own, or those that systemd hands over. */
#ifndef MAYFLY_SOCKETS_H
#define MAYFLY_SOCKETS_H

#include <stdbool.h>

#include "../err.h"

struct sockets {
	int http, run;  /* SOCK_STREAM; SOCK_SEQPACKET, at the same path with ".run" */
	char path[108]; /* of http */
	bool ours[2];   /* made here, and removed at the end */
};

/*
 * sockets_open: both, mode 0600. What systemd has passed (sd_listen_fds(3)) is told apart by
 * its kind; what it has not passed is made. A socket that nobody listens on any more is
 * replaced. 0, or -errno and a message.
 */
int sockets_open(struct sockets *s, const char *path, struct err *err);

/* Removes the names of those that were made here. The descriptors are others' by then. */
void sockets_remove(const struct sockets *s);

#endif
