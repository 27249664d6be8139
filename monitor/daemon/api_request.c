/* SPDX-License-Identifier: Apache-2.0 */
/* api_request.c: the body of POST /v1/vms. See api_request.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_base64.h"
#include "api_fields.h"
#include "api_request.h"

/* As in openapi.yaml; each so that bytes, nanoseconds and thousandths fit their types. */
#define MAX_MIB           (16u << 20)
#define MAX_TIMEOUT_MS    1000000000000ull
#define MAX_CAPTURE_BYTES (1u << 30)
#define MAX_CPUS          4096.0
#define MIN_CPUS          0.001
#define MAX_CPU_WEIGHT    10000
#define MAX_PIDS          (4u << 20)

#define NO_MEMORY "cannot take the request"

/* ---- limits ---- */

static int read_mib(uint64_t *bytes, json_t *value, const struct place *at, struct err *err)
{
	uint64_t mib;
	int ret = fields_uint(&mib, 1, MAX_MIB, value, at, err);

	if (!ret)
		*bytes = mib << 20;
	return ret;
}

static int limit_memory(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct vm_spec *spec = into;

	return read_mib(&spec->memory_max_bytes, value, at, err);
}

static int limit_weight(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct vm_spec *spec = into;
	uint64_t weight = 0;
	int ret = fields_uint(&weight, 1, MAX_CPU_WEIGHT, value, at, err);

	spec->cpu_weight = (uint32_t)weight;
	return ret;
}

static int limit_cpus(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct vm_spec *spec = into;
	double cpus = 0;
	int ret = fields_real(&cpus, MIN_CPUS, MAX_CPUS, value, at, err);

	spec->cpu_max_milli = (uint32_t)(cpus * 1000 + 0.5);
	return ret;
}

static int limit_pids(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct vm_spec *spec = into;

	return fields_uint(&spec->pids_max, 2, MAX_PIDS, value, at, err);
}

static const struct field limits[] = {
	{"memory_max_mib", limit_memory},
	{"cpu_weight", limit_weight},
	{"cpus", limit_cpus},
	{"pids_max", limit_pids},
};

/* ---- the fields ---- */

static int field_image(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;
	int ret = fields_text(&c->spec.image, value, at, err);

	if (!ret && !*c->spec.image)
		return err_set(err, 0, "image is empty; it must be the path of a program");
	return ret;
}

static int field_args(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	if (!json_is_array(value))
		return fields_wrong(value, at, err, "an array of strings");
	c->argc = json_array_size(value);
	c->argv = calloc(c->argc + 2, sizeof(*c->argv)); /* argv[0] and NULL */
	if (!c->argv)
		return err_set(err, ENOMEM, NO_MEMORY);
	for (size_t i = 0; i < c->argc; i++) {
		struct place element = {.up = at, .index = i};
		const char *text;
		int ret = fields_text(&text, json_array_get(value, i), &element, err);

		if (ret)
			return ret;
		c->argv[i + 1] = (char *)text; /* nobody writes to it */
	}
	return 0;
}

static int field_argv0(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_text(&c->argv0, value, at, err);
}

static int bad_env(const char *name, struct err *err)
{
	return err_set(
		err, 0,
		"env has '%.64s', which is no NAME=VALUE: a name is not empty and has no =", name);
}

static int env_array(struct create_request *c, json_t *value, const struct place *at,
		     struct err *err)
{
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct place element = {.up = at, .index = i};
		const char *text;
		int ret = fields_text(&text, json_array_get(value, i), &element, err);

		if (ret)
			return ret;
		if (*text == '=' || !strchr(text, '='))
			return bad_env(text, err);
		c->envp[i] = (char *)text;
	}
	return 0;
}

/* {"NAME": "VALUE"} becomes NAME=VALUE, all in one piece of memory. */
static int env_object(struct create_request *c, json_t *value, const struct place *at,
		      struct err *err)
{
	size_t room = 0, i = 0;
	const char *name, *text;
	json_t *member;
	char *to;

	json_object_foreach(value, name, member) room +=
		strlen(name) + json_string_length(member) + 2;
	to = c->env_text = malloc(room + 1);
	if (!to)
		return err_set(err, ENOMEM, NO_MEMORY);
	json_object_foreach(value, name, member)
	{
		struct place element = {.up = at, .name = name};
		int ret = fields_text(&text, member, &element, err);

		if (ret)
			return ret;
		if (!*name || strchr(name, '='))
			return bad_env(name, err);
		c->envp[i++] = to;
		to = stpcpy(stpcpy(stpcpy(to, name), "="), text) + 1;
	}
	return 0;
}

static int field_env(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	if (!json_is_array(value) && !json_is_object(value))
		return fields_wrong(value, at, err,
				    "an object of strings, or an array of NAME=VALUE");
	c->envp = calloc((json_is_array(value) ? json_array_size(value) : json_object_size(value)) +
				 1,
			 sizeof(*c->envp));
	if (!c->envp)
		return err_set(err, ENOMEM, NO_MEMORY);
	return json_is_array(value) ? env_array(c, value, at, err) : env_object(c, value, at, err);
}

static int field_workdir(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_text(&c->spec.workdir, value, at, err);
}

static int field_name(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_text(&c->spec.name, value, at, err);
}

static int field_labels(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;
	const char *key, *text;
	json_t *member;

	if (!json_is_object(value))
		return fields_wrong(value, at, err, "an object of strings");
	c->labels = calloc(json_object_size(value) + 1, sizeof(*c->labels));
	if (!c->labels)
		return err_set(err, ENOMEM, NO_MEMORY);
	json_object_foreach(value, key, member)
	{
		struct place element = {.up = at, .name = key};
		int ret = fields_text(&text, member, &element, err);

		if (ret)
			return ret;
		c->labels[c->spec.nlabels++] = (struct label){(char *)key, (char *)text};
	}
	return 0;
}

static int field_memory(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return read_mib(&c->spec.memory_bytes, value, at, err);
}

static int field_timeout(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;
	uint64_t ms = 0;
	int ret = fields_uint(&ms, 1, MAX_TIMEOUT_MS, value, at, err);

	c->spec.timeout_ns = ms * 1000000;
	return ret;
}

static int stdin_base64(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;
	ssize_t bytes;

	if (!json_is_string(value))
		return fields_wrong(value, at, err, "a string");
	c->stdin_text = malloc(json_string_length(value) + 1);
	if (!c->stdin_text)
		return err_set(err, ENOMEM, NO_MEMORY);
	bytes = base64_decode(c->stdin_text, json_string_value(value), json_string_length(value));
	if (bytes < 0)
		return err_set(err, 0,
			       "stdin.base64 is not base64 (RFC 4648 section 4, with padding)");
	c->spec.stdin_data = c->stdin_text;
	c->spec.stdin_bytes = (size_t)bytes;
	return 0;
}

static int field_stdin(void *into, json_t *value, const struct place *at, struct err *err)
{
	static const struct field encodings[] = {{"base64", stdin_base64}};
	struct create_request *c = into;

	if (json_is_object(value) && json_object_size(value))
		return fields_read(value, at, encodings, 1, c, err);
	if (!json_is_string(value))
		return fields_wrong(value, at, err, "a string, or an object with base64");
	c->spec.stdin_data = json_string_value(value);
	c->spec.stdin_bytes = json_string_length(value);
	return 0;
}

static int field_stdin_open(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_bool(&c->spec.stdin_open, value, at, err);
}

static int field_start(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_bool(&c->start, value, at, err);
}

static int field_wait(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_bool(&c->wait, value, at, err);
}

static int field_rm(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;
	bool rm = false;
	int ret = fields_bool(&rm, value, at, err);

	c->rm = rm;
	return ret;
}

static int field_capture(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_uint(&c->spec.capture_bytes, 1, MAX_CAPTURE_BYTES, value, at, err);
}

static int field_strace(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_bool(&c->spec.strace, value, at, err);
}

static int field_limits(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return fields_read(value, at, limits, sizeof(limits) / sizeof(limits[0]), &c->spec, err);
}

/* An array of strings, which live as long as the body. */
static int text_array(const char ***list, size_t *n, json_t *value, const struct place *at,
		      struct err *err)
{
	if (!json_is_array(value))
		return fields_wrong(value, at, err, "an array of strings");
	*list = calloc(json_array_size(value) + 1, sizeof(**list));
	if (!*list)
		return err_set(err, ENOMEM, NO_MEMORY);
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct place element = {.up = at, .index = i};
		int ret = fields_text(&(*list)[i], json_array_get(value, i), &element, err);

		if (ret)
			return ret;
		*n = i + 1;
	}
	return 0;
}

static int field_net(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return text_array(&c->net, &c->spec.nnet, value, at, err);
}

static int field_publish(void *into, json_t *value, const struct place *at, struct err *err)
{
	struct create_request *c = into;

	return text_array(&c->publish, &c->spec.npublish, value, at, err);
}

static const struct field fields[] = {
	{"image", field_image},
	{"args", field_args},
	{"argv0", field_argv0},
	{"env", field_env},
	{"workdir", field_workdir},
	{"name", field_name},
	{"labels", field_labels},
	{"memory_mib", field_memory},
	{"timeout_ms", field_timeout},
	{"stdin", field_stdin},
	{"stdin_open", field_stdin_open},
	{"start", field_start},
	{"wait", field_wait},
	{"rm", field_rm},
	{"capture_bytes", field_capture},
	{"strace", field_strace},
	{"limits", field_limits},
	{"net", field_net},
	{"publish", field_publish},
};

/* What fields mean together. */
static int settle(struct create_request *c, struct err *err)
{
	struct vm_spec *spec = &c->spec;

	if (!spec->image)
		return err_set(err, 0, "image is missing: the path of the program to run");
	if (c->wait && !c->start)
		return err_set(err, 0, "wait cannot be had with start false: nothing would end");
	if (spec->capture_bytes && !c->wait)
		return err_set(err, 0,
			       "capture_bytes is only for wait; without, output goes to the log");
	if (c->argv || c->argv0) {
		if (!c->argv)
			c->argv = calloc(2, sizeof(*c->argv));
		if (!c->argv)
			return err_set(err, ENOMEM, NO_MEMORY);
		c->argv[0] = (char *)(c->argv0 ? c->argv0 : spec->image);
	}
	spec->argv = c->argv;
	spec->envp = c->envp;
	spec->labels = c->labels;
	spec->net = c->net;
	spec->publish = c->publish;
	spec->capture = c->wait;
	spec->remove = c->rm < 0 ? c->wait : c->rm;
	return 0;
}

int create_request_parse(const char *body, size_t bytes, struct create_request *c, struct err *err)
{
	int ret;

	*c = (struct create_request){
		.spec = {.image_fd = -1, .fds = {-1, -1, -1}},
		.start = true,
		.rm = -1,
	};
	c->root = body_object(body, bytes, err);
	if (!c->root)
		return -EINVAL;
	ret = fields_read(c->root, NULL, fields, sizeof(fields) / sizeof(fields[0]), c, err);
	return ret ? ret : settle(c, err);
}

void create_request_free(struct create_request *c)
{
	free(c->argv);
	free(c->envp);
	free(c->labels);
	free(c->net);
	free(c->publish);
	free(c->env_text);
	free(c->stdin_text);
	json_decref(c->root);
}
