/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h: back end of the console device: the guest's stdin, stdout and stderr rings
 * on one side, our own descriptors 0, 1 and 2 on the other.
 *
 * The rings bound what is kept here: a guest whose output nobody reads fills its ring
 * and waits. Indices that we produce are kept here and only written to the guest; those
 * that it produces are read once and checked.
 */
#ifndef MAYFLY_CONSOLE_H
#define MAYFLY_CONSOLE_H

#include <signal.h>
#include <stdbool.h>

#include "guest.h"

struct console {
	struct guest *guest;
	uint32_t head[NOXS_NSTREAMS]; /* ours for stdout and stderr: bytes taken */
	uint32_t tail;                /* ours for stdin: bytes given */
	bool eof;
	int error[NOXS_NSTREAMS]; /* errno of a stream that has failed */
	uint64_t bytes_out, bytes_in;
	uint64_t bytes_lost; /* of stdout, to its error */
};

void console_init(struct console *c, struct guest *guest);

/* Takes what the guest has written, as far as it can be passed on without blocking.
 * Returns bytes moved, or -EPROTO if the guest broke a ring (err says how). */
int console_drain(struct console *c, struct err *err);

/* Is there output that has not been passed on? */
bool console_pending(const struct console *c);

/* A further event for console_wait: all output has been passed on. */
#define CONSOLE_EV_FLUSHED 0x40000000u

/*
 * console_wait: serve the console until one of events (enum noxs_event) is there or
 * timeout_ns (negative: none) has passed, or a signal let in by mask came.
 * Returns the ready events (0: time is up), -EINTR or -EPROTO.
 */
int console_wait(struct console *c, uint32_t events, int64_t timeout_ns, const sigset_t *mask,
		 struct err *err);

#endif
