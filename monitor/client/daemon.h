/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.h: talking HTTP to the daemon. What is there to be asked: daemon/openapi.yaml.
 *
 * Errors carry the exit status that the command is to end with (err->exit): 1 where the
 * daemon knows of no such VM or it is not in a state for that, as docker does; 126 and 127
 * where the daemon says so; 125 for all other failures.
 */
#ifndef MAYFLY_CLIENT_DAEMON_H
#define MAYFLY_CLIENT_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include <curl/curl.h>
#include <jansson.h>

#include "../err.h"
#include "lines.h"

#define EXIT_NO_SUCH_VM 1 /* and: not in a state for that */

struct daemon {
	char socket[108];
	CURL *curl;      /* of calls that come one after the other: one connection */
	int status;      /* HTTP's, of the last daemon_call or daemon_stream; 0: none came */
	long timeout_ms; /* of a call; 0: none, for some wait for a VM's end */
};

/* Prepares; nothing is sent yet. socket: NULL for $MAYFLY_SOCKET or the run directory's. */
int daemon_init(struct daemon *d, const char *socket, struct err *err);
void daemon_free(struct daemon *d);

/* The path of a VM and what follows it, "/v1/vms/ID" rest, to be freed; id is any text.
 * NULL: no memory. */
char *daemon_vm_path(const char *id, const char *rest, ...) __attribute__((format(printf, 2, 3)));
/* Text as the value of a query parameter, to be freed. */
char *daemon_escape(const char *text);

/*
 * daemon_call: one request, its reply as JSON. body: JSON, or NULL for none. *reply (may be
 * NULL) is the caller's; it is NULL where the reply has no content. 0 or -errno.
 */
int daemon_call(struct daemon *d, const char *method, const char *path, const json_t *body,
		json_t **reply, struct err *err);

/* The same with a body of bytes. */
int daemon_call_bytes(struct daemon *d, const char *method, const char *path, const void *bytes,
		      size_t n, json_t **reply, struct err *err);

/* GET of JSON objects, one a line, given to line() as they come; what it returns, if not 0,
 * ends it and is returned. */
typedef int daemon_line(void *arg, json_t *object, struct err *err);
int daemon_stream(struct daemon *d, const char *path, daemon_line *line, void *arg,
		  struct err *err);

/* ---- for who does several things at once (attach.c) ---- */

/* A request under way, for curl_multi_add_handle. */
struct call;
/* line: NULL for one whose reply is one JSON text. NULL and a message: no memory. */
struct call *call_new(struct daemon *d, const char *method, const char *path, daemon_line *line,
		      void *arg, struct err *err);
CURL *call_handle(struct call *c);
/* Frees it. code: what curl said of its end. As daemon_call. */
int call_end(struct call *c, CURLcode code, json_t **reply, struct err *err);

#endif
