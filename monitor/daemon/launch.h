/* SPDX-License-Identifier: Apache-2.0 */
/* launch.h: starting the zygote, in namespaces of its own. */
#ifndef MAYFLY_LAUNCH_H
#define MAYFLY_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "../err.h"

/* A zygote's process, and our ends of its sockets (wire.h). */
struct launched {
	pid_t pid;
	int pidfd, link, news; /* all non-blocking, close-on-exec */
	bool own_users;        /* in a user namespace with one user: shells cannot have uids */
	bool bare; /* no namespace could be had: nothing but the zygote ends its shells */
};

/* run_dir: the open run directory. 0, or -errno and a message. */
int launch_zygote(struct launched *l, int run_dir, bool jail, struct err *err);

#endif
