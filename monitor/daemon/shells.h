/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shells.h: the shells that live: by number, by pid; their uids.
 *
 * A shell is in the table from SPAWN until the zygote has reaped it. Whatever reaches us in
 * its name is believed only from the process that said READY under that number (and, where
 * shells have uids of their own, with its uid), and one process has one number.
 */
#ifndef MAYFLY_SHELLS_H
#define MAYFLY_SHELLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "../err.h"
#include "list.h"
#include "table.h"

struct record;
struct shell_net;

#define SHELL_NO_UID ((uint32_t)-1)

enum shell_state {
	SHELL_PREPARING, /* SPAWN was sent */
	SHELL_READY,
	SHELL_TAKEN,   /* START was sent */
	SHELL_LEAVING, /* nothing is expected of it but its end */
};

struct shell {
	uint64_t number;
	uint64_t memory_bytes;
	uint64_t since_ns; /* in this state */
	struct table_node by_number, by_pid;
	struct link list;      /* of its state: see struct shells */
	struct link kill_link; /* of those whose KILL is still to be sent */
	struct record *record; /* its VM; NULL: none, or that is over */
	struct shell_net
		*net; /* devices that it has from the beginning: engine_net.c; NULL: none */
	int32_t pid;  /* 0: not known yet */
	uint32_t uid; /* SHELL_NO_UID: the daemon's own */
	int32_t kill_signal;
	int32_t status; /* when it has ended */
	uint8_t state;  /* enum shell_state */
	bool urgent;    /* somebody waits for one */
	bool bound;     /* to record, from the beginning: no flavour has its size */
	bool has_log, has_cgroup;
	bool ended; /* the zygote has told; the last news is still to be read */
	uint8_t offences;
};

struct shells {
	struct table by_number, by_pid;
	/* Oldest first. Those of the pool that are ready are in lists by flavour (engine_own.h). */
	struct link preparing, taken, leaving;
	uint64_t last_number;
	uint32_t any; /* the bucket where shells_any goes on: to remove all takes one round */
	uint32_t uid_first, uid_count, uid_next; /* from uid_next on none was ever given */
	uint32_t *uid_free, uid_nfree, uid_size;
};

int shells_init(struct shells *s, uint32_t uid_first, uint32_t uid_count, struct err *err);
void shells_free(struct shells *s);

/* A new one, PREPARING. NULL and a message: no memory, or no uid is free. */
struct shell *shells_add(struct shells *s, uint64_t memory_bytes, struct err *err);
void shells_remove(struct shells *s, struct shell *shell);
void shells_set_state(struct shells *s, struct shell *shell, enum shell_state state);

struct shell *shells_find(const struct shells *s, uint64_t number);
/* Any of them; NULL: there are none. */
struct shell *shells_any(struct shells *s);

/*
 * shells_sender: the shell that sent a message under this number, by what the kernel says of
 * the sender; hello: it is its first, by which it becomes known. NULL: it is not believed;
 * *culprit is then whose process that is, or NULL.
 */
struct shell *shells_sender(struct shells *s, uint64_t number, const struct ucred *sender,
			    bool hello, struct shell **culprit);

#endif
