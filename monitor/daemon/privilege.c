/* SPDX-License-Identifier: Apache-2.0 */
/* privilege.c: see privilege.h. */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "privilege.h"

/* The VMs are to go first (jail.c: 800), and what the daemon is not worth losing comes next. */
#define OOM_SCORE "-500"

/* Best effort: lowering it needs CAP_SYS_RESOURCE, which a container may not have. */
static void keep_from_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, OOM_SCORE, sizeof(OOM_SCORE) - 1) < 0)
		errno = 0;
	close(fd);
}

/*
 * The zygote has no more than what is here, and gives most of it up (jail.c):
 *   SYS_ADMIN            its namespaces, its empty root
 *   SETPCAP              to drop the rest from its bounding set
 *   SETUID, SETGID       a user for each shell
 *   KILL                 signals to shells, who are other users
 *   SYS_NICE             from SCHED_IDLE back to normal
 *   DAC_OVERRIDE         cgroup files, images that only their owner may read
 *   SYS_RESOURCE         oom_score_adj, limits: where it can be had
 * And what opens net devices for VMs, which is a process of its own, and not the zygote:
 *   NET_ADMIN, NET_RAW   taps, bridges, XDP programs, AF_XDP sockets
 *   NET_BIND_SERVICE     ports below 1024 that are published
 *   IPC_LOCK             memory that an AF_XDP socket keeps in place
 */
static const unsigned needed[] = {
	CAP_SYS_ADMIN, CAP_SETPCAP,  CAP_SETUID,           CAP_SETGID,
	CAP_KILL,      CAP_SYS_NICE, CAP_DAC_OVERRIDE,     CAP_SYS_RESOURCE,
	CAP_NET_ADMIN, CAP_NET_RAW,  CAP_NET_BIND_SERVICE, CAP_IPC_LOCK};

int privilege_reduce(struct err *err)
{
	capng_select_t what = CAPNG_SELECT_CAPS;

	keep_from_oom();
	if (geteuid())
		return 0;
	capng_get_caps_process();
	/* What we have not now, as in many containers, is not added. */
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		int keep = 0;

		for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
			keep |= needed[i] == (unsigned)cap;
		if (!keep)
			capng_update(CAPNG_DROP,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
					     CAPNG_BOUNDING_SET | CAPNG_AMBIENT,
				     (unsigned)cap);
	}
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		what = CAPNG_SELECT_ALL;
	if (capng_apply(what))
		return err_set(err, errno, "cannot drop capabilities");
	return 0;
}
