/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_request.h: the checks of what `mayfly run --pool` sends (wire.h, struct run_request).
 *
 * Nothing here does I/O: bytes in, pointers into them out. tests/fuzz/fuzz_runsock.c.
 */
#ifndef MAYFLY_RUN_REQUEST_H
#define MAYFLY_RUN_REQUEST_H

#include <stddef.h>

#include "../err.h"
#include "../wire.h"

#define RUN_REQUEST_FDS 4 /* image, stdin, stdout, stderr; one more with START_TEXT_FD */
/* Arguments and environment as large as Linux has them by default, and the three names. */
#define RUN_REQUEST_MAX_TEXT ((2u << 20) + 3 * 4096u)

/* Pointers into the request's text. The lists are one allocation: free(argv). */
struct run_strings {
	char *path, *workdir, *name; /* the last two may be "" */
	char **argv, **envp;         /* NULL-terminated; argv has at least one */
	char **net, **ports;         /* NULL-terminated */
};

/*
 * run_request_head: the message's head, and whether its size and its number of descriptors
 * fit it. *head is set when 0 is returned. Without START_TEXT_FD head->text_bytes bytes
 * follow it in the message.
 */
int run_request_head(const void *message, size_t bytes, size_t nfds, struct run_request *head,
		     struct err *err);

/* run_request_strings: the head->text_bytes bytes of text, which nobody else may write to. */
int run_request_strings(const struct run_request *head, char *text, struct run_strings *strings,
			struct err *err);

/* run_request_signal: the signal that a message of a running program's caller brings, or
 * -EINVAL. */
int run_request_signal(const void *message, size_t bytes);

#endif
