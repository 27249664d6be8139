/* SPDX-License-Identifier: Apache-2.0 */
/* api_reply.c: the replies that many handlers give, and what they ask first. See api.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"

void reply_json(struct request *r, unsigned status, struct out *body)
{
	out_add(body, "\n", 1);
	reply(r, status, TYPE_JSON, body);
}

void reply_vm(struct request *r, unsigned status, const struct vm *vm)
{
	struct out o = {0};

	out_vm(&o, NULL, vm);
	reply_json(r, status, &o);
}

void reply_exit(struct request *r, const struct vm *vm)
{
	struct out o = {0};

	out_exit(&o, vm);
	reply_json(r, 200, &o);
}

/* ---- errors ---- */

static const char *code_of(int status)
{
	switch (status) {
	case ENGINE_BAD:
		return "bad_request";
	case ENGINE_NOT_FOUND:
		return "not_found";
	case 405:
		return "method_not_allowed";
	case ENGINE_CONFLICT:
		return "conflict";
	case ENGINE_TOO_LARGE:
		return "too_large";
	case ENGINE_IMAGE:
		return "image";
	case ENGINE_BUSY:
		return "busy";
	case 504:
		return "timeout";
	}
	return "failed";
}

void out_error(struct out *o, int failure, const struct err *err)
{
	out_open(o, NULL, '{');
	out_open(o, "error", '{');
	out_string(o, "code", code_of(failure));
	out_string(o, "message", err->message);
	out_int(o, "exit_code", err->exit ? err->exit : ERR_EXIT_SELF);
	out_close(o, '}');
	out_close(o, '}');
	out_add(o, "\n", 1);
}

void reply_error(struct request *r, int failure, const struct err *err)
{
	struct out o = {0};

	/* What the engine does not name is ours to answer for. */
	if (failure < 400 || failure > 599)
		failure = ENGINE_FAILED;
	out_error(&o, failure, err);
	reply(r, (unsigned)failure, TYPE_JSON, &o);
}

void reply_errorf(struct request *r, int failure, const char *fmt, ...)
{
	struct err err = {.exit = ERR_EXIT_SELF};
	va_list args;

	va_start(args, fmt);
	vsnprintf(err.message, sizeof(err.message), fmt, args);
	va_end(args);
	reply_error(r, failure, &err);
}

/* ---- what a request names ---- */

struct vm *request_vm(struct request *r)
{
	struct vm *vm = engine_find(r->engine, r->id);

	if (!vm)
		reply_errorf(r, ENGINE_NOT_FOUND, "there is no VM '%s'", r->id);
	return vm;
}

bool query_bool(struct request *r, const char *name, bool *value)
{
	const char *text = query(r, name);

	if (!text)
		return true;
	if (!*text || !strcmp(text, "true") || !strcmp(text, "1")) {
		*value = true;
		return true;
	}
	if (!strcmp(text, "false") || !strcmp(text, "0")) {
		*value = false;
		return true;
	}
	reply_errorf(r, ENGINE_BAD, "the query parameter %s is true or false, not '%.64s'", name,
		     text);
	return false;
}

bool query_uint(struct request *r, const char *name, uint64_t max, uint64_t *value)
{
	const char *text = query(r, name);
	unsigned long long number;
	char *end;

	if (!text)
		return true;
	errno = 0;
	number = strtoull(text, &end, 10);
	/* strtoull would take signs and spaces, too. */
	if (*text < '0' || *text > '9' || *end || errno || number > max) {
		reply_errorf(r, ENGINE_BAD,
			     "the query parameter %s is a number from 0 to %llu, not '%.64s'", name,
			     (unsigned long long)max, text);
		return false;
	}
	*value = number;
	return true;
}
