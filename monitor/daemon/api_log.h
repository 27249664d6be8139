/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_log.h: reading a VM's log: the frames of wire.h. The log was written by a process that
 * its guest may have taken over: nothing in it sizes anything here, and it may be cut off,
 * garbled, or grow and shrink while it is read.
 */
#ifndef MAYFLY_API_LOG_H
#define MAYFLY_API_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_ROOM (64u << 10)

struct log_reader {
	int fd;      /* the caller's; read with pread only */
	uint64_t at; /* where in the file buf ends */
	size_t have, used;
	bool in_frame;
	uint32_t left; /* bytes of this frame that have not been given */
	int stream;
	bool is_last;
	int64_t real_ns;
	char buf[LOG_ROOM];
};

/* A frame; or a part of one, if it is longer than LOG_ROOM or the log ends in it. */
struct log_piece {
	int stream; /* 0 stdout, 1 stderr */
	int64_t real_ns;
	bool is_last; /* the log's limit was reached: what the program wrote then is lost */
	const char *data;
	size_t bytes; /* valid until the next call */
};

enum log_result {
	LOG_PIECE = 1,
	LOG_NONE = 0,     /* no more now */
	LOG_DAMAGED = -1, /* no frame begins at log_position */
};

void log_open(struct log_reader *l, int fd);
/* is_over: nobody writes to it any more, so what is there of a frame is all of it. */
enum log_result log_next(struct log_reader *l, bool is_over, struct log_piece *piece);
/* Where the next frame, or the rest of this one, begins in the file. */
uint64_t log_position(const struct log_reader *l);

/* ---- lines, of two streams that are mixed ---- */

struct log_lines {
	uint64_t begun;   /* lines that have begun, of both streams */
	uint64_t line[2]; /* of each stream: which one it is in, from 0 */
	bool is_inside[2];
};

/* The length of what belongs to one line at the beginning of data (bytes > 0), with its newline.
 * *line is that line's number, *begins says if it begins here. */
size_t log_line(struct log_lines *l, int stream, const char *data, size_t bytes, uint64_t *line,
		bool *begins);

#endif
