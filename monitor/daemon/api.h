/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h: what stands between http.c, which knows libmicrohttpd, and api_*.c, which know the
 * engine.
 *
 *      client -- http.c --> api_handle --> a handler of api_*.c --> engine.h
 *           <-- http.c <-- reply(), reply_stream() <--'   (now, or from a callback)
 *
 * A handler either replies before it returns, or the request waits: its connection is set
 * aside until one of the replies comes.
 */
#ifndef MAYFLY_API_H
#define MAYFLY_API_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "api_out.h"
#include "engine.h"
#include "loop.h"

#define API_MAX_BODY (8u << 20)
#define API_ID_BYTES 128 /* of {id} in a path, with NUL */

struct request;

/* A body that comes bit by bit. */
struct stream {
	/*
	 * Writes at most bytes to to, and returns how many. 0: there is nothing now; it is called
	 * again after stream_wake. Or one of enum stream_end.
	 */
	ssize_t (*read)(struct request *r, char *to, size_t bytes);
	/* The stream is over, however it came about; called once. r->state is the stream's. */
	void (*close)(struct request *r);
};

enum stream_end {
	STREAM_END = -1,
	STREAM_BROKEN = -2, /* the transfer is broken off, so that the client can tell */
};

struct request {
	struct engine *engine;
	struct loop *loop;
	const char *method, *path;
	char id[API_ID_BYTES]; /* of the path, if the route has one */
	const char *body;      /* with a NUL behind it */
	size_t body_bytes;
	/*
	 * The handler's. gone: the client has gone before the reply (or the daemon is ending):
	 * cancel what can be cancelled. Nothing may be replied from then on.
	 */
	void (*gone)(struct request *r);
	uint64_t wait, timer; /* tokens of engine_wait and loop_after, 0: none */
	uint64_t count;
	bool flag;
	void *state;
};

/* api.c: finds the route, checks the query, calls the handler. */
void api_handle(struct request *r);

/* ---- http.c: what a handler asks ---- */

/* A query parameter's value, NULL: it is not there. "" without "=". */
const char *query(struct request *r, const char *name);
/* Calls each(arg, name, value) for each; ends when that returns false. */
void query_each(struct request *r, bool (*each)(void *arg, const char *name, const char *value),
		void *arg);

/*
 * What ends in a callback that cannot be cancelled holds the request from before the call
 * until the callback, which begins with release. False: the client has gone meanwhile, and r
 * is no more.
 */
void request_hold(struct request *r);
bool request_release(struct request *r);

/* True if one more request may wait for long. If not it has replied with busy: some
 * connections are kept for those that are answered at once. */
bool may_wait(struct request *r);

/* ---- http.c: replies ---- */

/* The body is taken over. type is a constant. */
void reply(struct request *r, unsigned status, const char *type, struct out *body);
void reply_allow(struct request *r, const char *allow, struct out *body); /* 405 */
void reply_stream(struct request *r, const char *type, const struct stream *stream);
void stream_wake(struct request *r);

/* The figures of http.c, for /metrics. */
struct http_figures {
	uint64_t replies[6]; /* by the status' first digit */
	uint32_t connections, waiting;
};
void http_figures(struct request *r, struct http_figures *f);

/* ---- api_reply.c: replies made of these ---- */

#define TYPE_JSON   "application/json"
#define TYPE_LINES  "application/x-ndjson"
#define TYPE_TEXT   "text/plain; charset=utf-8"
#define TYPE_BINARY "text/plain" /* a program's output, in whatever encoding */

void reply_json(struct request *r, unsigned status, struct out *body);
void reply_vm(struct request *r, unsigned status, const struct vm *vm);
void reply_exit(struct request *r, const struct vm *vm);
/* failure is an enum engine_failure or another status that api_reply.c has a code for. */
void reply_error(struct request *r, int failure, const struct err *err);
void reply_errorf(struct request *r, int failure, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The body of an error. */
void out_error(struct out *o, int failure, const struct err *err);

/* The VM that the path names; NULL: it has replied 404. */
struct vm *request_vm(struct request *r);

/* Query parameters. False: they have replied 400. What is not there leaves *value alone. */
bool query_bool(struct request *r, const char *name, bool *value);
bool query_uint(struct request *r, const char *name, uint64_t max, uint64_t *value);

/* ---- api_show.c: the engine's things as JSON ---- */
void out_vm(struct out *o, const char *key, const struct vm *vm);
void out_exit(struct out *o, const struct vm *vm);       /* an object Exit */
void out_run_result(struct out *o, const struct vm *vm); /* RunResult */
/* Members "net": nothing where net is NULL. */
void out_net(struct out *o, const struct vm *vm);
void out_net_stats(struct out *o, const struct vm_net *net);
void out_stats(struct out *o, const struct vm *vm);
void out_event(struct out *o, const struct event *event);
/* -1: there is no such state */
int vm_state_parse(const char *name);
const char *vm_state_name(unsigned state);
const char *end_name(unsigned end);

/* ---- the handlers, by file ---- */
void api_create(struct request *r); /* api_create.c */
void api_start(struct request *r);
void api_list(struct request *r); /* api_vms.c */
void api_inspect(struct request *r);
void api_remove(struct request *r);
void api_wait(struct request *r); /* api_wait.c */
void api_stop(struct request *r);
void api_kill(struct request *r); /* api_control.c */
void api_pause(struct request *r);
void api_resume(struct request *r);
void api_stdin(struct request *r);
void api_stats(struct request *r);  /* api_stats.c */
void api_logs(struct request *r);   /* api_logs.c */
void api_events(struct request *r); /* api_events.c */
void api_pool(struct request *r);   /* api_pool.c */
void api_set_pool(struct request *r);
void api_metrics(struct request *r); /* api_metrics.c */
void api_health(struct request *r);  /* api_about.c */
void api_version(struct request *r);
void api_openapi(struct request *r);

/* Events that were not sent because their reader was too slow, for /metrics. */
uint64_t api_events_lost(void);

#endif
