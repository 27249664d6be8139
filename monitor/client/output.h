/* SPDX-License-Identifier: Apache-2.0 */
/* output.h: a program's output, as the daemon's log has it, onto our own streams. */
#ifndef MAYFLY_CLIENT_OUTPUT_H
#define MAYFLY_CLIENT_OUTPUT_H

#include <stdbool.h>

#include <jansson.h>

#include "../err.h"

struct output {
	bool timestamps; /* before each line */
	bool flush;      /* after each write: somebody watches */
	bool inside[2];  /* stdout, stderr: a line was begun */
	int last;        /* the stream that was written to */
};

/* One LogLine of the daemon's: daemon_stream's line(), arg is a struct output. 0 or -errno:
 * the log is damaged, or our stream cannot be written. */
int output_line(void *arg, json_t *line, struct err *err);

#endif
