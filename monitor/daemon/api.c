/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.c: the routes. Each of them is in openapi.yaml, too: tests/e2e/openapi.bats compares.
 */
#include <string.h>

#include "api.h"

#define MAX_QUERY 6

static const struct route {
	const char *method, *path;
	void (*handle)(struct request *r);
	const char *query[MAX_QUERY + 1]; /* the parameters that it knows */
} routes[] = {
	{"POST", "/v1/vms", api_create, {NULL}},
	{"GET", "/v1/vms", api_list, {"all", "label", "state", "name"}},
	{"GET", "/v1/vms/{id}", api_inspect, {NULL}},
	{"DELETE", "/v1/vms/{id}", api_remove, {"force"}},
	{"POST", "/v1/vms/{id}/start", api_start, {NULL}},
	{"GET",
	 "/v1/vms/{id}/logs",
	 api_logs,
	 {"follow", "stdout", "stderr", "timestamps", "tail", "format"}},
	{"POST", "/v1/vms/{id}/wait", api_wait, {"timeout_ms"}},
	{"GET", "/v1/vms/{id}/stats", api_stats, {"stream", "interval_ms"}},
	{"POST", "/v1/vms/{id}/kill", api_kill, {"signal"}},
	{"POST", "/v1/vms/{id}/stop", api_stop, {"grace_ms", "wait"}},
	{"POST", "/v1/vms/{id}/pause", api_pause, {NULL}},
	{"POST", "/v1/vms/{id}/resume", api_resume, {NULL}},
	{"POST", "/v1/vms/{id}/stdin", api_stdin, {"eof"}},
	{"GET", "/v1/pool", api_pool, {NULL}},
	{"PUT", "/v1/pool", api_set_pool, {NULL}},
	{"GET", "/v1/events", api_events, {"since", "follow"}},
	{"GET", "/v1/version", api_version, {NULL}},
	{"GET", "/v1/openapi.yaml", api_openapi, {NULL}},
	{"GET", "/metrics", api_metrics, {NULL}},
	{"GET", "/healthz", api_health, {NULL}},
};

#define NROUTES (sizeof(routes) / sizeof(routes[0]))

/* {id} stands for one part of the path, which goes to id. */
static bool fits(const char *route, const char *path, char id[API_ID_BYTES])
{
	const char *brace = strchr(route, '{');
	size_t before, len;

	if (!brace)
		return !strcmp(route, path);
	before = (size_t)(brace - route);
	if (strncmp(route, path, before))
		return false;
	len = strcspn(path + before, "/");
	if (!len || len >= API_ID_BYTES || strcmp(brace + strlen("{id}"), path + before + len))
		return false;
	memcpy(id, path + before, len);
	id[len] = '\0';
	return true;
}

/* HEAD is GET: http.c leaves the body out. */
static bool is_method(const struct route *route, const char *method)
{
	return !strcmp(route->method, method) ||
	       (!strcmp(method, "HEAD") && !strcmp(route->method, "GET"));
}

struct query_check {
	const struct route *route;
	const char *unknown; /* the first that the route does not know */
};

static bool is_known(void *arg, const char *name, const char *value)
{
	struct query_check *check = arg;

	(void)value;
	for (const char *const *known = check->route->query; *known; known++)
		if (!strcmp(*known, name))
			return true;
	check->unknown = name;
	return false;
}

static bool query_is_known(struct request *r, const struct route *route)
{
	struct query_check check = {.route = route};
	char known[128] = "";

	query_each(r, is_known, &check);
	if (!check.unknown)
		return true;
	for (const char *const *name = route->query; *name; name++) {
		if (*known)
			strcat(known, ", ");
		strcat(known, *name);
	}
	reply_errorf(r, ENGINE_BAD, "%s %s knows no query parameter '%.64s'; there is: %s",
		     route->method, route->path, check.unknown, *known ? known : "none");
	return false;
}

static void wrong_method(struct request *r, const char *allow)
{
	struct out o = {0};
	struct err err;

	err_set(&err, 0, "%.128s does not know the method %.16s, only %s", r->path, r->method,
		allow);
	out_error(&o, 405, &err);
	reply_allow(r, allow, &o);
}

void api_handle(struct request *r)
{
	char allow[64] = "";

	for (size_t i = 0; i < NROUTES; i++) {
		const struct route *route = &routes[i];

		if (!fits(route->path, r->path, r->id))
			continue;
		if (is_method(route, r->method)) {
			if (query_is_known(r, route))
				route->handle(r);
			return;
		}
		if (allow[0])
			strcat(allow, ", ");
		strcat(allow, strcmp(route->method, "GET") ? route->method : "GET, HEAD");
	}
	if (allow[0])
		wrong_method(r, allow);
	else
		reply_errorf(r, ENGINE_NOT_FOUND,
			     "there is nothing at %.128s; GET /v1/openapi.yaml lists what there is",
			     r->path);
}
