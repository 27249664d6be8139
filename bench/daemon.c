/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c: see daemon.h. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>

#include "../monitor/json.h"
#include "daemon.h"
#include "machine.h"
#include "stats.h"
#include "tool.h"

#define QUIET_MS      50
#define REST_LIMIT_NS 20000000000ull
#define RETRY_NS      300000u

struct daemon_pool daemon_pool(struct http *h)
{
	struct daemon_pool p = {0};

	http_expect(h, 200, "GET", "/v1/pool", NULL);
	p.ready = http_sum(h->body, "ready");
	p.preparing = http_sum(h->body, "preparing");
	p.target = http_sum(h->body, "target");
	p.warm = http_sum(h->body, "warm");
	p.cold = http_sum(h->body, "cold");
	if (!http_number(h->body, "memory_mib", &p.memory_mib))
		die("the daemon's pool has no flavour", h->body);
	return p;
}

bool daemon_rest(struct http *h)
{
	uint64_t limit = stats_now_ns() + REST_LIMIT_NS;

	for (;;) {
		bool quiet = machine_quiet(QUIET_MS);
		struct daemon_pool p = daemon_pool(h);

		if (!p.preparing && p.ready >= p.target)
			return quiet;
		if (stats_now_ns() > limit)
			die("the daemon's pool does not become full", h->body);
		tool_sleep_ns(RETRY_NS);
	}
}

void daemon_body(char *body, size_t size, const char *program, const char *more)
{
	FILE *f = fmemopen(body, size, "w");

	if (!f)
		die_errno("no memory");
	fputs("{\"image\": ", f);
	json_string(f, program);
	fprintf(f, "%s}", more);
	if (ferror(f) || fclose(f))
		die(program, "is too long");
}
