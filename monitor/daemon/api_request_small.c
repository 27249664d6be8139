/* SPDX-License-Identifier: Apache-2.0 */
/* api_request_small.c: the bodies of kill and of PUT /v1/pool. See api_request.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api_fields.h"
#include "api_request.h"
#include "vm_net.h"

#define MAX_MIB    (16u << 20) /* as in api_request.c and openapi.yaml */
#define MAX_SHELLS 1000000u
#define MAX_SIGNAL 64

/* ---- signals ---- */

int signal_parse(const char *text)
{
	char *end;

	if (*text >= '0' && *text <= '9') {
		long number = strtol(text, &end, 10);

		return *end || number < 1 || number > MAX_SIGNAL ? 0 : (int)number;
	}
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (int i = 1; i <= MAX_SIGNAL; i++) {
		const char *name = sigabbrev_np(i);

		if (name && !strcasecmp(name, text))
			return i;
	}
	return 0;
}

static int field_signal(void *into, json_t *value, const struct place *at, struct err *err)
{
	int *number = into;
	const char *text;
	uint64_t n;
	int ret;

	if (json_is_integer(value)) {
		ret = fields_uint(&n, 1, MAX_SIGNAL, value, at, err);
		if (!ret)
			*number = (int)n;
		return ret;
	}
	ret = fields_text(&text, value, at, err);
	if (ret)
		return ret;
	*number = signal_parse(text);
	if (!*number)
		return err_set(err, 0, "there is no signal '%.32s'; there is TERM, or 15", text);
	return 0;
}

int kill_request_parse(const char *body, size_t bytes, int *number, struct err *err)
{
	static const struct field fields[] = {{"signal", field_signal}};
	json_t *root = body_object(body, bytes, err);
	int ret;

	if (!root)
		return -EINVAL;
	ret = fields_read(root, NULL, fields, 1, number, err);
	json_decref(root);
	return ret;
}

/* ---- flavours ---- */

struct pool_request {
	struct flavour *flavour;
	size_t n;
	bool is_given;
};

struct flavour_given {
	struct flavour flavour;
	bool memory, minimum, maximum;
};

static int flavour_memory(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct flavour_given *f = into;
	uint64_t mib = 0;
	int ret = fields_uint(&mib, 1, MAX_MIB, value, at, err);

	f->flavour.memory_bytes = mib << 20;
	f->memory = true;
	return ret;
}

static int flavour_minimum(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct flavour_given *f = into;
	uint64_t n = 0;
	int ret = fields_uint(&n, 0, MAX_SHELLS, value, at, err);

	f->flavour.minimum = (uint32_t)n;
	f->minimum = true;
	return ret;
}

static int flavour_maximum(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct flavour_given *f = into;
	uint64_t n = 0;
	int ret = fields_uint(&n, 0, MAX_SHELLS, value, at, err);

	f->flavour.maximum = (uint32_t)n;
	f->maximum = true;
	return ret;
}

static int flavour_net(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct flavour_given *f = into;
	const char *list[NOXS_NET_MAX];
	size_t n = json_array_size(value);

	if (!json_is_array(value) || n > NOXS_NET_MAX)
		return fields_wrong(value, at, err, "an array of at most %u strings", NOXS_NET_MAX);
	for (size_t i = 0; i < n; i++) {
		struct place element = {.up = at, .index = i};
		int ret = fields_text(&list[i], json_array_get(value, i), &element, err);

		if (ret)
			return ret;
	}
	return vm_net_flavour(list, n, f->flavour.net, err);
}

static int read_flavour(struct flavour *to, json_t *value, const struct place *at, struct err *err)
{
	static const struct field fields[] = {
		{"memory_mib", flavour_memory},
		{"minimum", flavour_minimum},
		{"maximum", flavour_maximum},
		{"net", flavour_net},
	};
	struct flavour_given f = {0};
	char place[64];
	int ret = fields_read(value, at, fields, sizeof(fields) / sizeof(fields[0]), &f, err);

	if (ret)
		return ret;
	place_text(place, sizeof(place), at);
	if (!f.memory || !f.minimum || !f.maximum)
		return err_set(err, 0, "%s lacks %s", place,
			       !f.memory    ? "memory_mib"
			       : !f.minimum ? "minimum"
					    : "maximum");
	if (f.flavour.minimum > f.flavour.maximum)
		return err_set(err, 0, "%s has a minimum of %u, above its maximum of %u", place,
			       f.flavour.minimum, f.flavour.maximum);
	*to = f.flavour;
	return 0;
}

static int field_flavours(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct pool_request *p = into;

	p->is_given = true;
	if (!json_is_array(value) || !json_array_size(value) ||
	    json_array_size(value) > ENGINE_MAX_FLAVOURS)
		return fields_wrong(value, at, err, "an array of 1 to %d flavours",
				    ENGINE_MAX_FLAVOURS);
	for (p->n = 0; p->n < json_array_size(value); p->n++) {
		struct place element = {.up = at, .index = p->n};
		int ret =
			read_flavour(&p->flavour[p->n], json_array_get(value, p->n), &element, err);

		if (ret)
			return ret;
		for (size_t i = 0; i < p->n; i++)
			if (p->flavour[i].memory_bytes == p->flavour[p->n].memory_bytes &&
			    !strcmp(p->flavour[i].net, p->flavour[p->n].net))
				return err_set(err, 0,
					       "flavours[%zu] and flavours[%zu] have the same "
					       "memory_mib and net: they are one flavour",
					       i, p->n);
	}
	return 0;
}

int pool_request_parse(const char *body, size_t bytes, struct flavour flavour[ENGINE_MAX_FLAVOURS],
		       size_t *n, struct err *err)
{
	static const struct field fields[] = {{"flavours", field_flavours}};
	struct pool_request p = {.flavour = flavour};
	json_t *root = body_object(body, bytes, err);
	int ret;

	if (!root)
		return -EINVAL;
	ret = fields_read(root, NULL, fields, 1, &p, err);
	json_decref(root);
	if (!ret && !p.is_given)
		return err_set(err, 0, "flavours is missing: an array of 1 to %d",
			       ENGINE_MAX_FLAVOURS);
	*n = p.n;
	return ret;
}
