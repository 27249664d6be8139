/* SPDX-License-Identifier: Apache-2.0 */
/* run_receive.h: a request of `mayfly run --pool`, with its descriptors, from its socket. */
#ifndef MAYFLY_RUN_RECEIVE_H
#define MAYFLY_RUN_RECEIVE_H

#include "run_request.h"

struct run_message {
	struct run_request head;
	struct run_strings strings; /* they lie in the buffer, or in copy */
	int fds[RUN_REQUEST_FDS];   /* image, stdin, stdout, stderr: the caller's to close */
	char *copy;
};

/*
 * run_receive: reads one message without waiting, and checks it. buffer: WIRE_MAX_BYTES, which
 * m points into until run_message_free.
 * 0; -EAGAIN: nothing has come yet; -EPIPE: the other end is gone; else -errno and a message
 * for the caller. Descriptors that came with what is refused are closed.
 */
int run_receive(int socket, char *buffer, struct run_message *m, struct err *err);

/* Not its descriptors. */
void run_message_free(struct run_message *m);

#endif
