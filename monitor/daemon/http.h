/* SPDX-License-Identifier: Apache-2.0 */
/* http.h: the daemon's HTTP server: api*.c on one end, clients on the other. */
#ifndef MAYFLY_HTTP_H
#define MAYFLY_HTTP_H

#include "../err.h"

struct engine;
struct http;
struct loop;

/* Serves the listening socket (taken over: http_close closes it) from the loop.
 * NULL and a message: it cannot be served. */
struct http *http_open(struct loop *loop, struct engine *engine, int listen_fd, struct err *err);

/* Ends all connections. Nothing of it is called afterwards. */
void http_close(struct http *http);

#endif
