/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h: messages to shells, by the path of their socket; none of it blocks.
 *
 * START goes through one socket of ours: who gets it still waits for nothing else. Whatever
 * goes to a program that runs goes through a socket made for that message: what is not read
 * counts against the sender's buffer, and one VM that does not read is not to fill it for
 * all the others.
 */
#ifndef MAYFLY_CONTROL_H
#define MAYFLY_CONTROL_H

#include "vms.h"

struct control {
	int socket;
};

/* The current directory is the run directory: a socket's path has 107 bytes at most. */
int control_open(struct control *c, struct err *err);
void control_close(struct control *c);

/*
 * control_start: START of r's program (r->start with its image) to shell. 0; -EAGAIN: later,
 * perhaps; -ESRCH: the shell is gone; else -errno and a message.
 */
int control_start(struct control *c, uint64_t shell, const struct record *r, int image_fd,
		  const char *path, struct err *err);

/* op and its argument to a shell that runs a program; data: what follows the head, or NULL.
 * As control_start. */
int control_send(uint64_t shell, enum shell_op op, uint64_t arg, const void *data, size_t bytes,
		 struct err *err);

/* The name that a shell's socket and log have in the run directory. */
#define SHELL_NAME_BYTES 32
void shell_socket_name(uint64_t shell, char name[SHELL_NAME_BYTES]);
void shell_log_name(uint64_t shell, char name[SHELL_NAME_BYTES]);

#endif
