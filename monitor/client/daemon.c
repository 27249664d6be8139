/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.c: see daemon.h.
 *
 * libcurl is told to initialize nothing (no TLS, no resolver): a command's start counts.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"

#define HOST "http://mayfly" /* any name: the socket is what is connected to */

struct call {
	struct daemon *daemon;
	CURL *curl;
	struct curl_slist *headers;
	char *body; /* what is sent */
	char *text; /* what came and is no stream */
	size_t bytes;
	struct lines lines;
	daemon_line *line; /* NULL: no stream */
	void *arg;
	int ret; /* what ended it from within, or 0 */
	struct err own;
};

/* ---- where it is ---- */

/* As monitor/host.c has it, which knows KVM. */
static int default_socket(char *path, size_t bytes)
{
	const char *dir = getenv("MAYFLY_RUN_DIR");

	if (dir && *dir)
		return snprintf(path, bytes, "%s/mayfly.sock", dir);
	if (geteuid() == 0)
		return snprintf(path, bytes, "/run/mayfly/mayfly.sock");
	if ((dir = getenv("XDG_RUNTIME_DIR")) && *dir)
		return snprintf(path, bytes, "%s/mayfly/mayfly.sock", dir);
	return snprintf(path, bytes, "/tmp/mayfly-%u/mayfly.sock", (unsigned)geteuid());
}

int daemon_init(struct daemon *d, const char *socket, struct err *err)
{
	int n;

	*d = (struct daemon){0};
	if (!socket)
		socket = getenv("MAYFLY_SOCKET");
	n = socket && *socket ? snprintf(d->socket, sizeof(d->socket), "%s", socket)
			      : default_socket(d->socket, sizeof(d->socket));
	if (n < 0 || (size_t)n >= sizeof(d->socket))
		return err_set(err, 0,
			       "the path of the daemon's socket is longer than the %zu bytes that "
			       "a socket's can have: %s",
			       sizeof(d->socket) - 1, socket ? socket : d->socket);
	if (curl_global_init(CURL_GLOBAL_NOTHING) || !(d->curl = curl_easy_init()))
		return err_set(err, ENOMEM, "cannot prepare libcurl");
	return 0;
}

void daemon_free(struct daemon *d)
{
	curl_easy_cleanup(d->curl);
	d->curl = NULL;
}

/* ---- paths ---- */

char *daemon_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0), *copy;

	/* curl's may have to be freed by curl; callers should not have to know. */
	copy = escaped ? strdup(escaped) : NULL;
	curl_free(escaped);
	return copy;
}

char *daemon_vm_path(const char *id, const char *rest, ...)
{
	char *escaped = daemon_escape(id), *tail = NULL, *path = NULL;
	va_list args;

	va_start(args, rest);
	if (vasprintf(&tail, rest, args) < 0)
		tail = NULL;
	va_end(args);
	if (escaped && tail && asprintf(&path, "/v1/vms/%s%s", escaped, tail) < 0)
		path = NULL;
	free(escaped);
	free(tail);
	return path;
}

/* ---- one request ---- */

static int keep_text(struct call *c, const char *data, size_t bytes)
{
	char *more = realloc(c->text, c->bytes + bytes + 1);

	if (!more)
		return -ENOMEM;
	c->text = more;
	memcpy(c->text + c->bytes, data, bytes);
	c->bytes += bytes;
	c->text[c->bytes] = 0;
	return 0;
}

static int take_line(void *arg, const char *line, size_t bytes)
{
	struct call *c = arg;
	json_t *object;
	int ret;

	if (!bytes)
		return 0;
	object = json_loadb(line, bytes, JSON_ALLOW_NUL, NULL);
	if (!object)
		return err_set(&c->own, 0, "the daemon sent a line that is not JSON");
	ret = c->line(c->arg, object, &c->own);
	json_decref(object);
	return ret;
}

static size_t take_data(char *data, size_t one, size_t bytes, void *arg)
{
	struct call *c = arg;
	long status = 0;

	(void)one; /* is 1, says CURLOPT_WRITEFUNCTION(3) */
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (c->line && status < 300)
		c->ret = lines_feed(&c->lines, data, bytes, take_line, c);
	else
		c->ret = keep_text(c, data, bytes);
	if (c->ret && !c->own.message[0])
		err_set(&c->own, -c->ret, "cannot take the daemon's reply");
	return c->ret ? 0 : bytes;
}

/* Sets up a request on the handle curl. */
static int call_init(struct call *c, struct daemon *d, CURL *curl, const char *method,
		     const char *path, daemon_line *line, void *arg)
{
	char *url = NULL;

	*c = (struct call){.daemon = d, .curl = curl, .line = line, .arg = arg};
	if (asprintf(&url, HOST "%s", path) < 0)
		return -ENOMEM;
	/* Resets options, not the connection. */
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, d->socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, d->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, c);
	if (strcmp(method, "GET") && strcmp(method, "DELETE")) {
		/* "Content-Length: 0", unless call_body has more to say. */
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	}
	free(url);
	return 0;
}

static int call_body(struct call *c, const void *bytes, size_t n, const char *type)
{
	/* No waiting for 100-continue: it is a local socket. */
	c->headers = curl_slist_append(NULL, "Expect:");
	if (!c->headers || !curl_slist_append(c->headers, type))
		return -ENOMEM;
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, bytes);
	return 0;
}

static void call_cleanup(struct call *c)
{
	lines_end(&c->lines);
	curl_slist_free_all(c->headers);
	free(c->body);
	free(c->text);
}

/* Why nothing came from there. */
static int unreachable(const struct call *c, CURLcode code, struct err *err)
{
	const char *socket = c->daemon->socket;
	long error = 0;

	if (code == CURLE_OUT_OF_MEMORY)
		return err_set(err, ENOMEM, "cannot ask the daemon");
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, ETIMEDOUT, "the daemon at %s does not answer", socket);
	if (code != CURLE_COULDNT_CONNECT)
		return err_set(err, 0, "the daemon at %s went away, or speaks no HTTP: %s", socket,
			       curl_easy_strerror(code));
	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &error);
	if (error == EACCES || error == EPERM)
		return err_set(err, (int)error,
			       "the daemon at %s is another user's: run your own (mayfly daemon), "
			       "or become that user",
			       socket);
	err_set(err, 0, "cannot reach a daemon at %s (%s); start one with: mayfly daemon", socket,
		error ? strerror((int)error) : "no answer");
	return error ? -(int)error : -ENOTCONN;
}

/* What the daemon said went wrong. */
static int refusal(const struct call *c, long status, struct err *err)
{
	json_t *reply = c->text ? json_loadb(c->text, c->bytes, 0, NULL) : NULL;
	const char *message = NULL;
	int exit_code = ERR_EXIT_SELF;

	json_unpack(reply, "{s:{s?s, s?i}}", "error", "message", &message, "exit_code", &exit_code);
	if (status == 404 || status == 409)
		exit_code = EXIT_NO_SUCH_VM;
	else if (exit_code < 1 || exit_code > 255)
		exit_code = ERR_EXIT_SELF;
	if (message)
		err_set_exit(err, exit_code, 0, "%s", message);
	else
		err_set_exit(err, exit_code, 0, "the daemon at %s answered with HTTP status %ld",
			     c->daemon->socket, status);
	json_decref(reply);
	return status == 404 ? -ENOENT : -EPROTO;
}

/* What came of it. */
static int call_result(struct call *c, CURLcode code, json_t **reply, struct err *err)
{
	long status = 0;

	if (reply)
		*reply = NULL;
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	c->daemon->status = (int)status;
	if (c->ret) {
		*err = c->own;
		return c->ret;
	}
	if (code != CURLE_OK)
		return unreachable(c, code, err);
	if (status < 200 || status > 299)
		return refusal(c, status, err);
	if (c->lines.bytes)
		return err_set(err, 0, "the daemon broke off in the middle of a line");
	if (!reply || !c->bytes)
		return 0;
	*reply = json_loadb(c->text, c->bytes, JSON_ALLOW_NUL, NULL);
	if (!*reply)
		return err_set(err, 0, "the daemon's reply is not JSON");
	return 0;
}

static int no_memory(struct err *err)
{
	return err_set(err, ENOMEM, "cannot ask the daemon");
}

/* ---- one after the other ---- */

static int perform(struct call *c, int ret, json_t **reply, struct err *err)
{
	if (ret)
		ret = no_memory(err);
	else
		ret = call_result(c, curl_easy_perform(c->curl), reply, err);
	call_cleanup(c);
	return ret;
}

int daemon_call_bytes(struct daemon *d, const char *method, const char *path, const void *bytes,
		      size_t n, json_t **reply, struct err *err)
{
	struct call c;
	int ret = call_init(&c, d, d->curl, method, path, NULL, NULL);

	if (!ret && bytes)
		ret = call_body(&c, bytes, n, "Content-Type: application/octet-stream");
	return perform(&c, ret, reply, err);
}

int daemon_call(struct daemon *d, const char *method, const char *path, const json_t *body,
		json_t **reply, struct err *err)
{
	struct call c;
	int ret = call_init(&c, d, d->curl, method, path, NULL, NULL);

	if (!ret && body) {
		c.body = json_dumps(body, JSON_COMPACT);
		ret = c.body ? call_body(&c, c.body, strlen(c.body),
					 "Content-Type: application/json")
			     : -ENOMEM;
	}
	return perform(&c, ret, reply, err);
}

int daemon_stream(struct daemon *d, const char *path, daemon_line *line, void *arg, struct err *err)
{
	struct call c;
	int ret = call_init(&c, d, d->curl, "GET", path, line, arg);

	return perform(&c, ret, NULL, err);
}

/* ---- several at once ---- */

struct call *call_new(struct daemon *d, const char *method, const char *path, daemon_line *line,
		      void *arg, struct err *err)
{
	struct call *c = malloc(sizeof(*c));
	CURL *curl = c ? curl_easy_init() : NULL;

	if (curl && !call_init(c, d, curl, method, path, line, arg))
		return c;
	curl_easy_cleanup(curl);
	free(c);
	no_memory(err);
	return NULL;
}

CURL *call_handle(struct call *c)
{
	return c->curl;
}

int call_end(struct call *c, CURLcode code, json_t **reply, struct err *err)
{
	int ret = call_result(c, code, reply, err);

	curl_easy_cleanup(c->curl);
	call_cleanup(c);
	free(c);
	return ret;
}
