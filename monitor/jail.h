/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail.h: what stands between a VM's process that its guest has taken over and the host.
 *
 *   jail_world   once, in the zygote: an empty root, no names, no capabilities but a few;
 *                its shells inherit all of it for nothing
 *   jail_enter   in each shell, last thing before READY: descriptors, limits, ids,
 *                capabilities, system-call filter
 *   jail_self    mayfly run without a pool: filter only, and a wider one, for a run
 *                reports crashes itself
 *
 * The filters are made when mayfly is built (jail/, where SYSCALLS.md has what they
 * allow). A system call that is not in them ends the process by SIGSYS.
 */
#ifndef MAYFLY_JAIL_H
#define MAYFLY_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define JAIL_STAY     ((uint32_t)-1) /* uid and gid remain what they are */
#define JAIL_MAX_KEEP 32
/* New descriptors get numbers below it: room for those it keeps and those START brings (25). */
#define JAIL_FILES 64

/*
 * jail_world: called by the zygote, before its first shell. As PID 1 (of new PID, mount,
 * network, IPC and UTS namespaces, and perhaps a user namespace, all made by the clone(2)
 * that started it): its root becomes an empty read-only tmpfs, the host's mounts are gone
 * but for what open descriptors reach, the host name is "shell". Otherwise the root stays.
 * In both cases: no_new_privs, no capabilities but those a zygote needs, no supplementary
 * groups, limits that are the same for all, first to go when memory ends (oom_score_adj).
 *
 * What there is is put into text: for the log, and for people to notice what is missing.
 * /dev/kvm, the run directory and our own executable must have been opened before.
 */
int jail_world(struct err *err, char *text, size_t size);

struct jail {
	uint32_t uid, gid; /* JAIL_STAY: as it is */
	const int *keep;   /* descriptors that stay open, in any order */
	size_t nkeep;
	uint64_t file_bytes;   /* files do not grow beyond it (RLIMIT_FSIZE) */
	uint64_t memory_bytes; /* the VM's: what else is mapped stays small; 0: no such limit */
};

/*
 * jail_enter: nothing of it can be undone. Afterwards the process has no descriptor but
 * keep, no capability, can open, execute and signal nothing, and goes when its parent goes.
 * A failure leaves it half way: all it may do then is to say so and _exit.
 */
int jail_enter(const struct jail *j, struct err *err);

/*
 * jail_limit_files: after jail_enter, once it is known what will be written: files of this
 * process do not grow beyond bytes. It can be made less, but not more again.
 */
int jail_limit_files(uint64_t bytes, struct err *err);

/*
 * jail_self: for a process that is to report its guest's crash itself: it can still read
 * files and run the helper that names functions. It cannot change a file, reach a network or
 * another process, or make a VM. core: a core file is wanted, so files can be made.
 */
int jail_self(bool core, struct err *err);

#endif
