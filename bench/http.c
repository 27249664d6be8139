/* SPDX-License-Identifier: Apache-2.0 */
/* http.c: see http.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http.h"
#include "tool.h"

#define FIRST_BYTES 16384
#define MOST_BYTES  (256u << 20)

void http_open(struct http *h, const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	*h = (struct http){.path = path, .size = FIRST_BYTES};
	if (strlen(path) >= sizeof(to.sun_path))
		die(path, "is too long for a socket");
	strcpy(to.sun_path, path);
	h->buffer = tool_alloc(1, h->size);
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->fd < 0 || connect(h->fd, (struct sockaddr *)&to, sizeof(to)))
		die_errno(path);
}

void http_close(struct http *h)
{
	close(h->fd);
	free(h->buffer);
}

void http_send(struct http *h, const char *method, const char *target, const char *body)
{
	char *text;
	int n = asprintf(&text,
			 "%s %s HTTP/1.1\r\nHost: mayfly\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\n\r\n%s",
			 method, target, body ? strlen(body) : 0, body ? body : "");

	if (n < 0)
		die("no memory", NULL);
	for (int sent = 0; sent < n;) {
		ssize_t m = send(h->fd, text + sent, (size_t)(n - sent), MSG_NOSIGNAL);

		if (m < 0 && errno == EINTR)
			continue;
		if (m < 0)
			die_errno(h->path);
		sent += (int)m;
	}
	free(text);
	h->held = 0;
}

/* Takes the chunks' frames out of [body, end) in place. False while the last is not there. */
static bool join_chunks(struct http *h, char *body, const char *end)
{
	char *to = body, *copy;

	/* Twice: once to see whether all is there, once to move it. */
	for (int move = 0; move < 2; move++) {
		for (const char *at = body;;) {
			char *data;
			size_t n = strtoul(at, &data, 16);

			data = memmem(data, (size_t)(end - data), "\r\n", 2);
			if (!data || (size_t)(end - data) < n + 4)
				return false;
			data += 2;
			at = data + n + 2;
			if (move) {
				copy = memmove(to, data, n);
				to = copy + n;
			}
			if (!n)
				break;
		}
	}
	h->body_bytes = (size_t)(to - body);
	*to = 0;
	return true;
}

static bool complete(struct http *h)
{
	char *end = memmem(h->buffer, h->held, "\r\n\r\n", 4), *at;

	if (!end)
		return false;
	h->status = h->held > 12 ? atoi(h->buffer + 9) : 0;
	h->body = end + 4;
	*end = 0;
	at = strcasestr(h->buffer, "\r\ntransfer-encoding: chunked");
	if (at) {
		*end = '\r';
		return join_chunks(h, h->body, h->buffer + h->held);
	}
	at = strcasestr(h->buffer, "\r\ncontent-length:");
	h->body_bytes = at ? strtoul(at + 17, NULL, 10) : 0;
	*end = '\r';
	if (h->body_bytes > MOST_BYTES)
		die(h->path, "a reply is too long");
	if ((size_t)(h->buffer + h->held - h->body) < h->body_bytes)
		return false;
	h->body[h->body_bytes] = 0;
	return true;
}

bool http_feed(struct http *h)
{
	ssize_t n;

	/* One more than can be read, for the NUL. */
	if (h->held + 1 >= h->size) {
		h->size *= 4;
		h->buffer = h->size > MOST_BYTES ? NULL : realloc(h->buffer, h->size);
		if (!h->buffer)
			die(h->path, "a reply is too long");
	}
	n = recv(h->fd, h->buffer + h->held, h->size - h->held - 1, 0);
	if (n < 0 && errno == EINTR)
		return false;
	if (n < 0)
		die_errno(h->path);
	if (n == 0)
		die(h->path, "the connection was closed instead of an answer");
	h->held += (size_t)n;
	h->buffer[h->held] = 0;
	return complete(h);
}

int http_call(struct http *h, const char *method, const char *target, const char *body)
{
	http_send(h, method, target, body);
	while (!http_feed(h))
		;
	return h->status;
}

void http_expect(struct http *h, int status, const char *method, const char *target,
		 const char *body)
{
	if (http_call(h, method, target, body) == status)
		return;
	fprintf(stderr, "%s %s: status %d, not %d: %.*s\n", method, target, h->status, status,
		(int)h->body_bytes, h->body);
	exit(1);
}

/* Where the value of the member begins, or NULL. */
static const char *member(const char *json, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = json; (at = strchr(at, '"')); at++) {
		if (strncmp(at + 1, name, n) || at[n + 1] != '"')
			continue;
		at += n + 2;
		at += strspn(at, " \t\r\n");
		if (*at == ':')
			return at + 1 + strspn(at + 1, " \t\r\n");
	}
	return NULL;
}

bool http_number(const char *json, const char *name, double *number)
{
	const char *at = member(json, name);
	char *end;

	if (!at)
		return false;
	*number = strtod(at, &end);
	return end != at;
}

bool http_string(const char *json, const char *name, char *text, size_t size)
{
	const char *at = member(json, name);
	size_t n;

	if (!at || *at != '"')
		return false;
	n = strcspn(at + 1, "\"");
	if (n >= size)
		return false;
	memcpy(text, at + 1, n);
	text[n] = 0;
	return true;
}

double http_sum(const char *json, const char *name)
{
	double sum = 0;

	while ((json = member(json, name)))
		sum += strtod(json, NULL);
	return sum;
}
