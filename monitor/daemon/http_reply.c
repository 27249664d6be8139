/* SPDX-License-Identifier: Apache-2.0 */
/* http_reply.c: replies, and what handlers ask of a request: api.h by libmicrohttpd. */
#include <string.h>

#include "http_call.h"

#define SHORT_PART  8u    /* this part of all connections is not for those who wait for long */
#define BLOCK_BYTES 4096u /* of a stream, to a client of HTTP/1.0 */

static void submit(struct call *call, unsigned status, struct MHD_Response *response)
{
	if (response && MHD_queue_response(call->connection, status, response) == MHD_YES) {
		call->is_replied = true;
		call->http->replies[status / 100 % 6]++;
	} else {
		call->is_gone = true;
	}
	if (response)
		MHD_destroy_response(response);
	call_resume(call);
}

static struct MHD_Response *response_of(const char *type, struct out *body)
{
	static char no_memory[] =
		"{\"error\":{\"code\":\"busy\",\"message\":\"the daemon is out of "
		"memory for the reply\",\"exit_code\":125}}\n";
	struct MHD_Response *response;

	if (body->failed) {
		out_free(body);
		return MHD_create_response_from_buffer(sizeof(no_memory) - 1, no_memory,
						       MHD_RESPMEM_PERSISTENT);
	}
	response = MHD_create_response_from_buffer(body->bytes, body->at, MHD_RESPMEM_MUST_FREE);
	if (!response)
		out_free(body);
	*body = (struct out){0};
	if (response && type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return response;
}

static bool is_over(struct call *call, struct out *body)
{
	if (!call->is_replied && !call->is_gone)
		return false;
	out_free(body);
	return true;
}

static void reply_with(struct request *r, unsigned status, const char *type, const char *header,
		       const char *value, struct out *body)
{
	struct MHD_Response *response;

	if (is_over(call_of(r), body))
		return;
	if (body->failed)
		status = MHD_HTTP_SERVICE_UNAVAILABLE;
	response = response_of(type, body);
	if (response && status == MHD_HTTP_SERVICE_UNAVAILABLE) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
		/* So that it makes room for another one. */
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	}
	if (response && header)
		MHD_add_response_header(response, header, value);
	submit(call_of(r), status, response);
}

void reply(struct request *r, unsigned status, const char *type, struct out *body)
{
	reply_with(r, status, type, NULL, NULL, body);
}

void reply_allow(struct request *r, const char *allow, struct out *body)
{
	reply_with(r, MHD_HTTP_METHOD_NOT_ALLOWED, TYPE_JSON, MHD_HTTP_HEADER_ALLOW, allow, body);
}

static ssize_t read_stream(void *arg, uint64_t pos, char *to, size_t bytes)
{
	struct call *call = arg;
	ssize_t n;

	(void)pos;
	if (call->is_gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	n = call->stream->read(&call->r, to, bytes);
	if (n > 0)
		return n;
	if (n == STREAM_END)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n < 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	call_suspend(call);
	return 0;
}

/* HEAD: libmicrohttpd 0.9.75 would send the end of a chunked body that it does not send. */
void reply_stream(struct request *r, const char *type, const struct stream *stream)
{
	struct call *call = call_of(r);
	struct MHD_Response *response;

	call->stream = stream;
	if (!strcmp(r->method, MHD_HTTP_METHOD_HEAD))
		response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
	else
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
							     read_stream, call, NULL);
	if (response)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	submit(call, MHD_HTTP_OK, response);
}

void stream_wake(struct request *r)
{
	call_resume(call_of(r));
}

/* ---- the query ---- */

const char *query(struct request *r, const char *name)
{
	const char *value = NULL;
	enum MHD_Result is_there = MHD_lookup_connection_value_n(
		call_of(r)->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, NULL);

	return is_there == MHD_NO ? NULL : value ? value : "";
}

struct each {
	bool (*call)(void *arg, const char *name, const char *value);
	void *arg;
};

static enum MHD_Result each_value(void *arg, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	struct each *each = arg;

	(void)kind;
	return each->call(each->arg, name, value ? value : "") ? MHD_YES : MHD_NO;
}

void query_each(struct request *r, bool (*call)(void *arg, const char *name, const char *value),
		void *arg)
{
	struct each each = {call, arg};

	MHD_get_connection_values(call_of(r)->connection, MHD_GET_ARGUMENT_KIND, each_value, &each);
}

bool may_wait(struct request *r)
{
	const struct http *http = call_of(r)->http;

	if (http->waiting < http->limit - http->limit / SHORT_PART)
		return true;
	reply_errorf(r, ENGINE_BUSY,
		     "%u requests wait for VMs, and more than that are not let in: "
		     "try again later (connections are %u at most, and a quarter of "
		     "RLIMIT_NOFILE)",
		     http->waiting, http->limit);
	return false;
}

void http_figures(struct request *r, struct http_figures *f)
{
	const struct http *http = call_of(r)->http;

	memcpy(f->replies, http->replies, sizeof(f->replies));
	f->connections = http->connections;
	f->waiting = http->waiting;
}
