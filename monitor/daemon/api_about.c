/* SPDX-License-Identifier: Apache-2.0 */
/* api_about.c: what the daemon says of itself. */
#include <unistd.h>

#include "api.h"

/* The description is in the executable. Compilers are called from the repository's root. */
__asm__(".section .rodata\n"
	".balign 8\n"
	".globl openapi_text\n"
	".globl openapi_bytes\n"
	"openapi_bytes: .quad openapi_end - openapi_text\n"
	"openapi_text: .incbin \"monitor/daemon/openapi.yaml\"\n"
	"openapi_end:\n"
	".previous\n");
extern const char openapi_text[];
extern const uint64_t openapi_bytes;

void api_openapi(struct request *r)
{
	struct out o = {0};

	out_add(&o, openapi_text, openapi_bytes);
	reply(r, 200, "application/yaml", &o);
}

void api_version(struct request *r)
{
	struct engine_metrics m;
	struct out o = {0};

	engine_metrics(r->engine, &m);
	out_open(&o, NULL, '{');
	out_string(&o, "version", MAYFLY_VERSION);
	out_string(&o, "api", "v1");
	out_int(&o, "wire", WIRE_VERSION);
	out_int(&o, "pid", getpid());
	out_time(&o, "started_at", m.started_ns);
	out_close(&o, '}');
	reply_json(r, 200, &o);
}

void api_health(struct request *r)
{
	struct out o = {0};

	out_open(&o, NULL, '{');
	out_string(&o, "status", "ok");
	out_close(&o, '}');
	reply_json(r, 200, &o);
}
