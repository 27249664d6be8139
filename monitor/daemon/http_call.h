/* SPDX-License-Identifier: Apache-2.0 */
/* http_call.h: what http.c, http_call.c and http_reply.c share. Others see api.h. */
#ifndef MAYFLY_HTTP_CALL_H
#define MAYFLY_HTTP_CALL_H

#include <microhttpd.h>

#include "api.h"

struct http {
	struct loop *loop;
	struct engine *engine;
	struct MHD_Daemon *mhd;
	struct call *calls;
	uint32_t limit, connections, waiting;
	bool is_kicked, was_asked; /* a handler was called */
	uint64_t watch_timer, idle_timer, again_timer, turn_timer;
	size_t upload_bytes;
	uint64_t replies[6];
};

struct call {
	struct request r; /* first: handlers know only this */
	struct http *http;
	struct MHD_Connection *connection; /* NULL: it is no more; the call is held */
	struct call *prev, *next;
	char *body;
	size_t body_room;
	uint64_t received; /* of the body, with what was not kept */
	const struct stream *stream;
	unsigned holds;
	int refused; /* status, for a body that is not taken */
	bool is_replied, is_waiting, is_watched, is_gone;
};

static inline struct call *call_of(struct request *r)
{
	return (struct call *)r;
}

/* ---- http_call.c ---- */

struct call *call_new(struct http *http, struct MHD_Connection *connection, const char *method,
		      const char *path);
/* MHD_OPTION_NOTIFY_COMPLETED */
void call_end(void *arg, struct MHD_Connection *connection, void **context,
	      enum MHD_RequestTerminationCode why);
enum MHD_Result call_take_body(struct call *call, const char *data, size_t bytes);
/* If the client announces a body that will not be taken, call->refused is set. */
void call_look_ahead(struct call *call);
/* The reply to a body that was not taken. */
void call_refuse(struct call *call);
void call_suspend(struct call *call);
void call_resume(struct call *call);
/* Nobody waits for the reply any more. MHD asks once more and is told to hang up. */
void call_gone(struct call *call);

#endif
