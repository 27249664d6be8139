/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_call.c: the life of a call, which is one request:
 *
 *   call_new -- body comes --> api_handle --+-- replied -----------------------> call_end
 *                                           '-- suspended -- replied: resumed --'   ^
 *                                                   '-- client gone: resumed -------'
 *
 * libmicrohttpd does not look at a suspended connection, so we watch it ourselves. A call that
 * is answered within WATCH_NS, as most are, does not pay for that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "http_call.h"

#define MAX_SWALLOWED (64u << 20) /* of a body that is refused; beyond, we hang up */
#define MAX_UPLOADS   (64u << 20) /* of all bodies together */
#define WATCH_NS      (50 * 1000000ull)

/* ---- from its first line to its end ---- */

struct call *call_new(struct http *http, struct MHD_Connection *connection, const char *method,
		      const char *path)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->http = http;
	call->connection = connection;
	call->r = (struct request){.engine = http->engine,
				   .loop = http->loop,
				   .method = method,
				   .path = path,
				   .body = ""};
	call->next = http->calls;
	if (call->next)
		call->next->prev = call;
	http->calls = call;
	return call;
}

static void body_free(struct call *call)
{
	call->http->upload_bytes -= call->body_room;
	free(call->body);
	call->body = NULL;
	call->body_room = 0;
}

void call_end(void *arg, struct MHD_Connection *connection, void **context,
	      enum MHD_RequestTerminationCode why)
{
	struct call *call = *context;
	struct http *http = arg;

	(void)connection;
	(void)why;
	if (!call)
		return;
	*context = NULL;
	if (call->stream)
		call->stream->close(&call->r);
	*(call->prev ? &call->prev->next : &http->calls) = call->next;
	if (call->next)
		call->next->prev = call->prev;
	body_free(call);
	call->connection = NULL;
	call->http = NULL;
	if (!call->holds)
		free(call);
}

static int grow_body(struct call *call, size_t bytes)
{
	size_t room = call->body_room * 2;
	char *body;

	if (room < bytes)
		room = bytes;
	if (call->http->upload_bytes + (room - call->body_room) > MAX_UPLOADS)
		return -ENOMEM;
	body = realloc(call->body, room);
	if (!body)
		return -ENOMEM;
	call->http->upload_bytes += room - call->body_room;
	call->body = body;
	call->body_room = room;
	return 0;
}

/* A body that is not taken is read to its end all the same, so that the client gets to read
 * why; within limits. */
enum MHD_Result call_take_body(struct call *call, const char *data, size_t bytes)
{
	size_t have = call->r.body_bytes;

	call->received += bytes;
	if (call->received > MAX_SWALLOWED)
		return MHD_NO;
	if (!call->refused && call->received > API_MAX_BODY)
		call->refused = ENGINE_TOO_LARGE;
	else if (!call->refused && have + bytes + 1 > call->body_room &&
		 grow_body(call, have + bytes + 1))
		call->refused = ENGINE_BUSY;
	if (call->refused) {
		body_free(call);
		call->r.body = "";
		call->r.body_bytes = 0;
		return MHD_YES;
	}
	memcpy(call->body + have, data, bytes);
	call->body[have + bytes] = '\0';
	call->r.body = call->body;
	call->r.body_bytes = have + bytes;
	return MHD_YES;
}

void call_refuse(struct call *call)
{
	if (call->refused == ENGINE_TOO_LARGE)
		reply_errorf(&call->r, ENGINE_TOO_LARGE, "a request's body may have %u bytes",
			     API_MAX_BODY);
	else
		reply_errorf(&call->r, ENGINE_BUSY,
			     "the bodies of all requests together would take more than %u bytes: "
			     "try again later",
			     MAX_UPLOADS);
}

/* A client that announces too much is told before it sends that, if it waits for 100 or if it
 * would be hung up on. */
void call_look_ahead(struct call *call)
{
	const char *length = MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);
	unsigned long long bytes = length ? strtoull(length, NULL, 10) : 0;

	if (bytes > MAX_SWALLOWED ||
	    (bytes > API_MAX_BODY && MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND,
								 MHD_HTTP_HEADER_EXPECT)))
		call->refused = ENGINE_TOO_LARGE;
}

/* ---- waiting ---- */

static void client_gone(void *arg, uint32_t events)
{
	(void)events;
	call_gone(arg);
}

/* EPOLLPRI for want of "only errors and the end": a client that has closed its sending side
 * (EPOLLRDHUP) still wants its reply. */
static void watch_waiting(void *arg)
{
	struct http *http = arg;

	http->watch_timer = 0;
	for (struct call *call = http->calls, *next; call; call = next) {
		const union MHD_ConnectionInfo *info;

		next = call->next;
		if (!call->is_waiting || call->is_watched)
			continue;
		info = MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		if (info && !loop_watch(http->loop, info->connect_fd, EPOLLPRI, client_gone, call))
			call->is_watched = true;
	}
}

void call_suspend(struct call *call)
{
	struct http *http = call->http;

	MHD_suspend_connection(call->connection);
	call->is_waiting = true;
	http->waiting++;
	if (!http->watch_timer)
		http->watch_timer = loop_after(http->loop, WATCH_NS, watch_waiting, http);
}

void call_resume(struct call *call)
{
	struct http *http = call->http;

	if (!call->is_waiting)
		return;
	if (call->is_watched) {
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(
			call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		loop_change(http->loop, info->connect_fd, 0);
		call->is_watched = false;
	}
	call->is_waiting = false;
	http->waiting--;
	http->is_kicked = true;
	MHD_resume_connection(call->connection);
}

void call_gone(struct call *call)
{
	if (call->is_gone)
		return;
	call->is_gone = true;
	if (!call->stream && call->r.gone)
		call->r.gone(&call->r);
	call_resume(call);
}

void request_hold(struct request *r)
{
	call_of(r)->holds++;
}

bool request_release(struct request *r)
{
	struct call *call = call_of(r);

	call->holds--;
	if (call->connection)
		return !call->is_gone;
	if (!call->holds)
		free(call);
	return false;
}
