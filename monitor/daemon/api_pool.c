/* SPDX-License-Identifier: Apache-2.0 */
/* api_pool.c: the pool's flavours. */
#include <errno.h>
#include <string.h>

#include "api.h"
#include "api_request.h"

/* A spec a line: "net", if there are some. */
static void net(struct out *o, const char *text)
{
	char line[ENGINE_NET_BYTES];

	if (!*text)
		return;
	out_open(o, "net", '[');
	while (*text) {
		size_t n = strcspn(text, "\n");

		memcpy(line, text, n);
		line[n] = 0;
		out_string(o, NULL, line);
		text += n + (text[n] == '\n');
	}
	out_close(o, ']');
}

void api_pool(struct request *r)
{
	struct flavour_level level[ENGINE_MAX_FLAVOURS];
	size_t n = engine_pool(r->engine, level);
	struct out o = {0};

	out_open(&o, NULL, '{');
	out_open(&o, "flavours", '[');
	for (size_t i = 0; i < n; i++) {
		out_open(&o, NULL, '{');
		out_mib(&o, "memory_mib", level[i].flavour.memory_bytes);
		out_uint(&o, "minimum", level[i].flavour.minimum);
		out_uint(&o, "maximum", level[i].flavour.maximum);
		out_uint(&o, "ready", level[i].ready);
		out_uint(&o, "preparing", level[i].preparing);
		out_uint(&o, "target", level[i].target);
		out_uint(&o, "warm", level[i].taken);
		out_uint(&o, "cold", level[i].cold);
		out_uint(&o, "failed", level[i].failed);
		net(&o, level[i].flavour.net);
		out_close(&o, '}');
	}
	out_close(&o, ']');
	out_close(&o, '}');
	reply_json(r, 200, &o);
}

void api_set_pool(struct request *r)
{
	struct flavour flavour[ENGINE_MAX_FLAVOURS];
	struct err err = {0};
	size_t n = 0;
	int failure = ENGINE_BAD;

	if (!pool_request_parse(r->body, r->body_bytes, flavour, &n, &err))
		failure = engine_set_pool(r->engine, flavour, n, &err);
	if (failure)
		reply_error(r, failure, &err);
	else
		api_pool(r);
}
