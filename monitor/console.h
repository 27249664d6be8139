/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h: back end of the console device: the guest's stdin, stdout and stderr rings on
 * one side; descriptors, a shell's sink and a shell's input on the other.
 *
 * The rings bound what is kept here: a guest whose output nobody reads fills its ring
 * and waits. Indices that we produce are kept here and only written to the guest; those
 * that it produces are read once and checked.
 *
 * Output may be passed on by two threads, the one that runs the guest and the one that its
 * doorbells wake (doorbell.h). Who has `busy` may; nobody waits for it. All else is the
 * first thread's.
 */
#ifndef MAYFLY_CONSOLE_H
#define MAYFLY_CONSOLE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "device.h"
#include "guest.h"

/*
 * A sink for output instead of descriptors. Takes n bytes of a stream (NOXS_STDOUT,
 * NOXS_STDERR); returns how many of them it took, or -errno: the stream has failed for good.
 * Fewer than n: the rest is offered again some milliseconds later. One that drops bytes says
 * that it took them. It must not block, may be called from either thread, and is never called
 * twice at once.
 */
typedef ssize_t console_put(void *arg, int stream, const void *data, size_t n);

/*
 * What else a WAIT is for: the network. Returns those of events that hold; if none, what to poll
 * for (*n <= CONSOLE_OTHERS) and for how long at most (*retry_ns; negative: no limit). It is
 * called again after that.
 */
struct pollfd;
typedef uint32_t console_others(uint32_t events, struct pollfd *fds, unsigned *n,
				int64_t *retry_ns);
#define CONSOLE_OTHERS 8

struct console {
	struct guest *guest;
	/* ---- set by console_init; the caller may change them before the run ---- */
	int fd[NOXS_NSTREAMS]; /* 0, 1, 2; -1: none */
	console_put *put;      /* NULL: output goes to fd[] */
	void *put_arg;
	console_others *others; /* NULL: nothing else ends a wait */
	bool input_open;        /* without fd[0]: console_give will bring more */

	/* ---- to be read ---- */
	_Atomic int error[NOXS_NSTREAMS];      /* errno of a stream that has failed */
	_Atomic uint64_t bytes[NOXS_NSTREAMS]; /* passed on; for stdin: given to the guest */
	_Atomic uint64_t bytes_lost;           /* output that went nowhere, for its error */

	/* ---- console.c's ---- */
	struct device_front front;
	_Atomic uint32_t head[NOXS_NSTREAMS]; /* for stdout and stderr: bytes taken */
	uint32_t tail;                        /* for stdin: bytes given */
	uint32_t asked;                       /* how often to be rung */
	bool eof;
	atomic_bool busy;
};

void console_init(struct console *c, struct guest *guest);

/* Input for a console without fd[0], from the run's thread or before the run. Puts bytes into
 * the guest's ring; returns how many fitted. */
size_t console_give(struct console *c, const void *data, size_t n);
/* There will be no more: the guest sees the end of input behind what it was given. */
void console_end_input(struct console *c);

/* Takes what the guest has written, as far as it can be passed on without blocking.
 * Returns bytes moved (0 also while the other thread is at it), or -EPROTO if the guest broke
 * its console (err says how). */
int console_drain(struct console *c, struct err *err);
/* The same for the other thread, which may block where a descriptor has other writers. */
int console_drain_aside(struct console *c, struct err *err);

/*
 * The exit status of a program that ended with status, seen by who reads its output: where it
 * was told that it had written what in fact went nowhere, success is none. 141 (SIGPIPE's) if
 * the reader had gone, ERR_EXIT_SELF and a message for another error, else status.
 */
int console_verdict(const struct console *c, int status, const char *program, struct err *err);

/* Is there output that has not been passed on? */
bool console_pending(const struct console *c);
/* The same of one stream. */
bool console_holds(const struct console *c, int stream);

/* Asks the guest to ring when it writes next. False: it does not take part in that. */
bool console_ask(struct console *c);

/* Takes the output for good: nobody passes on any more of it. False: somebody is at it. */
bool console_close(struct console *c);

/* A further event for console_wait: all output has been passed on. */
#define CONSOLE_EV_FLUSHED 0x40000000u
/* ... and one that it returns whether asked for or not: the other descriptor can be read. */
#define CONSOLE_EV_OTHER 0x20000000u

/*
 * console_wait: serve the console until one of events (enum noxs_event) is there or
 * timeout_ns (negative: none) has passed, or a signal let in by mask came, or the descriptor
 * other (-1: none) can be read.
 * Returns the ready events (0: time is up), -EINTR or -EPROTO.
 */
int console_wait(struct console *c, uint32_t events, int64_t timeout_ns, int other,
		 const sigset_t *mask, struct err *err);

#endif
