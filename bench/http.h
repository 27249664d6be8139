/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h: an HTTP/1.1 client for the daemon's unix socket, kept alive, small enough not to
 * show in what is measured. It understands what our daemon and dockerd answer (Content-Length or
 * chunks) and no more. What fails ends the benchmark.
 */
#ifndef MAYFLY_BENCH_HTTP_H
#define MAYFLY_BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct http {
	int fd;
	const char *path;
	char *buffer; /* the reply as it comes */
	size_t size, held;
	/* of a complete reply, until the next request: */
	int status;
	char *body; /* ends with NUL */
	size_t body_bytes;
};

/* Connects to the unix socket. */
void http_open(struct http *h, const char *path);
void http_close(struct http *h);

/* Sends a request; body may be NULL. */
void http_send(struct http *h, const char *method, const char *target, const char *body);

/* One read of what has come: true when the reply is complete. */
bool http_feed(struct http *h);

/* Both, waiting for the reply; its status. */
int http_call(struct http *h, const char *method, const char *target, const char *body);

/* The same, and any status but the given one ends the benchmark with what the reply says. */
void http_expect(struct http *h, int status, const char *method, const char *target,
		 const char *body);

/* The number or the text of the first member of that name in JSON text, nested or not; text is
 * not unescaped. False if there is none. */
bool http_number(const char *json, const char *name, double *number);
bool http_string(const char *json, const char *name, char *text, size_t size);

/* The sum over all members of that name. */
double http_sum(const char *json, const char *name);

#endif
