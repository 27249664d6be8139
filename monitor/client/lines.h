/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h: a stream's pieces, as they come, into lines. */
#ifndef MAYFLY_LINES_H
#define MAYFLY_LINES_H

#include <stddef.h>

#define LINES_MAX_BYTES (16u << 20) /* of a line: more is no stream of ours */

struct lines {
	char *held; /* the begun line */
	size_t bytes, room;
};

/* Called with each complete line, without its newline. Not 0 ends lines_feed with it. */
typedef int lines_line(void *arg, const char *line, size_t bytes);

/* 0, what a call returned, -ENOMEM, or -EMSGSIZE: a line longer than LINES_MAX_BYTES. */
int lines_feed(struct lines *l, const char *data, size_t bytes, lines_line *line, void *arg);

/* Frees what is held. Was a line begun that did not end? */
int lines_end(struct lines *l);

#endif
