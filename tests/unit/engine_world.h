/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_world.h: the daemon's engine among stand-ins: a zygote that forks shells which make
 * no VM but do what the arguments of their "program" say; images that need no preparing;
 * cgroups that are only counted. The processes, sockets and messages are real.
 *
 * A program's arguments are done one after the other:
 *   out:TEXT    stdout, told with the exit        send:TEXT  stdout, told at once
 *   started     NEWS_STARTED                      log:TEXT   a frame in the log
 *   net         what it was told of its net devices, on stdout
 *   fds:TEXT    to the caller's stdout            start      what START said, on stdout
 *   stdin       copies its input to its stdout, until it ends
 *   serve       answers the daemon's messages until a signal ends it
 *   deaf        reads no messages                 stubborn   as serve, but no signal ends it
 *   exit:N      exits; reason:TEXT before it      die:SIGNAL ends without a word
 *   evil:WHAT   see engine_world.c
 */
#ifndef ENGINE_WORLD_H
#define ENGINE_WORLD_H

#include <sys/types.h>

#include "../../monitor/daemon/engine.h"
#include "../../monitor/daemon/loop.h"

/* Shared with the stand-ins. */
struct world_knobs {
	int spawns;              /* so far */
	int fail_spawns, errnum; /* that many SPAWNs fail, with that errno */
	int die_early;           /* that many shells end before READY */
	int fail_early;          /* or say NEWS_FAILED */
	int never_ready;         /* or say nothing for ever */
	int last_urgent;         /* of the last SPAWN */
	uint32_t last_uid;
	int zygotes;
};

struct world {
	struct loop *loop;
	struct engine *engine;
	char dir[64], program[96];
	struct world_knobs *knobs;
	/* cgroups */
	int cgroups_made, cgroups_removed, cgroups_set, cgroups_fail;
	uint64_t last_memory_max;
	int images_prepared;
	/* net devices */
	int nets_begun, nets_open, nets_cancelled;
	bool nets_fail, nets_slow;
};

extern struct world world;

struct engine_options world_options(void);
void world_open(const struct engine_options *options);
void world_close(void);

/* A spec for the program with these arguments; the strings are static. */
struct vm_spec world_spec(const char *arguments, ...) __attribute__((sentinel));

/* Runs the loop until true(arg), which is looked at again and again; fails after 10 s. */
void world_until(bool (*is_true)(void *arg), void *arg, const char *what);

/* Creates and starts; waits until it runs (or has ended). */
struct vm *world_start(const struct vm_spec *spec);
/* Waits for its end. */
void world_wait(struct vm *vm);
/* Waits until that many shells are ready. */
void world_ready(unsigned shells);
pid_t world_zygote(void);
/* Entries of shell/ or log/. */
int world_count(const char *dir);

#endif
