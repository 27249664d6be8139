/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c: see http.h. libmicrohttpd on our loop: its epoll descriptor is one that the loop
 * watches, and MHD_run is called when it is ready or a waiting call was answered. What
 * becomes of a call is in http_call.c.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "http.h"
#include "http_call.h"

#define MAX_CONNECTIONS 2048u
#define MIN_CONNECTIONS 8u
#define NOFILE_SHARE    4u          /* connections take at most this part of RLIMIT_NOFILE */
#define IDLE_S          60u         /* a connection on which nothing moves is closed */
#define POOL_BYTES      (16u << 10) /* of a connection: request line, header, a piece of body */
#define ROUNDS          4           /* of MHD_run in a row, before others have their turn */

/* ---- what MHD calls ---- */

static enum MHD_Result begin(struct http *http, struct MHD_Connection *connection,
			     const char *method, const char *path, void **context)
{
	struct call *call = call_new(http, connection, method, path);

	if (!call)
		return MHD_NO;
	*context = call;
	if (strcmp(method, MHD_HTTP_METHOD_GET)) {
		call_look_ahead(call);
		if (call->refused)
			call_refuse(call);
	}
	return MHD_YES;
}

/* First without a body, then with each piece of it, then without one at its end; and once more
 * when a call was resumed without a reply. */
static enum MHD_Result access_handler(void *arg, struct MHD_Connection *connection,
				      const char *path, const char *method, const char *version,
				      const char *data, size_t *bytes, void **context)
{
	struct call *call = *context;

	(void)version;
	if (!call)
		return begin(arg, connection, method, path, context);
	if (*bytes) {
		size_t taken = *bytes;

		*bytes = 0;
		return call_take_body(call, data, taken);
	}
	if (!call->is_gone) {
		call->http->was_asked = true;
		if (call->refused)
			call_refuse(call);
		else
			api_handle(&call->r);
		if (!call->is_replied && !call->is_gone)
			call_suspend(call);
	}
	return call->is_gone ? MHD_NO : MHD_YES;
}

static void count_connection(void *arg, struct MHD_Connection *connection, void **context,
			     enum MHD_ConnectionNotificationCode what)
{
	struct http *http = arg;

	(void)connection;
	(void)context;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		http->connections++;
		return;
	}
	http->connections--;
	/* At a limit, of connections or of descriptors, MHD listens no more: once there is room
	 * it does from its next run on, which nothing else might bring about. */
	http->is_kicked = true;
}

/* ---- on the loop ---- */

static void kick_again(void *arg)
{
	struct http *http = arg;

	http->again_timer = 0;
	http->is_kicked = true;
}

static void kick_idle(void *arg)
{
	struct http *http = arg;

	http->idle_timer = 0;
	http->is_kicked = true;
}

static void again(struct http *http)
{
	if (!http->again_timer)
		http->again_timer = loop_after(http->loop, 0, kick_again, http);
}

/* Only so that the loop goes around. */
static void turned(void *arg)
{
	struct http *http = arg;

	http->turn_timer = 0;
}

/*
 * A resumed connection takes MHD three rounds until it reads again. The timer for idle
 * connections is set when there is none: activity only moves deadlines away, so it may come
 * early, never late.
 */
static void run(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	for (int i = 0; i < ROUNDS; i++) {
		http->is_kicked = false;
		MHD_run(http->mhd);
		if (MHD_get_timeout(http->mhd, &ms) != MHD_YES)
			ms = ULLONG_MAX;
		if (ms && !http->is_kicked)
			break;
	}
	if (!ms || http->is_kicked)
		again(http);
	else if (ms != ULLONG_MAX && !http->idle_timer)
		http->idle_timer = loop_after(http->loop, ms * 1000000, kick_idle, http);
}

/* What a handler has asked of the engine may be done before the next sleep, and the engine
 * has been asked for that already: once more around, then. */
static void before_sleep(void *arg)
{
	struct http *http = arg;

	if (!http->is_kicked)
		return;
	http->was_asked = false;
	run(http);
	if (http->was_asked && !http->turn_timer)
		http->turn_timer = loop_after(http->loop, 0, turned, http);
}

static void ready(void *arg, uint32_t events)
{
	(void)events;
	run(arg);
}

/* The rest of the descriptors is the engine's: images, logs, cgroups. */
static uint32_t connection_limit(void)
{
	struct rlimit files;
	rlim_t share = MAX_CONNECTIONS;

	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur / NOFILE_SHARE < share)
		share = files.rlim_cur / NOFILE_SHARE;
	return share < MIN_CONNECTIONS ? MIN_CONNECTIONS : (uint32_t)share;
}

static int watch_mhd(struct http *http, struct err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int ret;

	if (!info || info->epoll_fd < 0)
		return err_set(err, 0,
			       "libmicrohttpd was built without epoll: Debian's package has it");
	ret = loop_watch(http->loop, info->epoll_fd, EPOLLIN, ready, http);
	if (ret)
		return err_set(err, -ret, "cannot watch the HTTP server's descriptor");
	loop_before_sleep(http->loop, before_sleep, http);
	http->is_kicked = true; /* MHD watches the listening socket from its first run on */
	return 0;
}

struct http *http_open(struct loop *loop, struct engine *engine, int listen_fd, struct err *err)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http) {
		err_set(err, ENOMEM, "cannot serve HTTP");
		return NULL;
	}
	http->loop = loop;
	http->engine = engine;
	http->limit = connection_limit();
	http->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		access_handler, http, MHD_OPTION_LISTEN_SOCKET, listen_fd,
		MHD_OPTION_CONNECTION_LIMIT, http->limit, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_NOTIFY_COMPLETED,
		call_end, http, MHD_OPTION_NOTIFY_CONNECTION, count_connection, http,
		MHD_OPTION_END);
	if (!http->mhd) {
		err_set(err, errno, "cannot start the HTTP server (MHD_start_daemon)");
		free(http);
		return NULL;
	}
	if (watch_mhd(http, err)) {
		MHD_stop_daemon(http->mhd);
		free(http);
		return NULL;
	}
	return http;
}

/* Who still waits is told, as far as it can be sent at once. */
void http_close(struct http *http)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD);

	for (struct call *call = http->calls, *next; call; call = next) {
		next = call->next;
		if (!call->is_waiting)
			continue;
		if (call->stream) {
			call_gone(call);
			continue;
		}
		if (call->r.gone)
			call->r.gone(&call->r);
		call->r.gone = NULL;
		reply_errorf(&call->r, ENGINE_BUSY, "the daemon is ending");
		call->is_gone = true;
	}
	for (int i = 0; i < ROUNDS; i++)
		MHD_run(http->mhd);
	loop_change(http->loop, info->epoll_fd, 0);
	loop_before_sleep(http->loop, NULL, http);
	loop_cancel(http->loop, http->watch_timer);
	loop_cancel(http->loop, http->idle_timer);
	loop_cancel(http->loop, http->again_timer);
	loop_cancel(http->loop, http->turn_timer);
	MHD_stop_daemon(http->mhd);
	free(http);
}
