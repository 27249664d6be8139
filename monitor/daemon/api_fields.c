/* SPDX-License-Identifier: Apache-2.0 */
/* api_fields.c: see api_fields.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api_fields.h"

static size_t place_append(char *text, size_t room, const struct place *at)
{
	size_t len = at->up ? place_append(text, room, at->up) : 0;
	int more;

	if (len >= room)
		return len;
	if (at->name)
		more = snprintf(text + len, room - len, "%s%.64s", at->up ? "." : "", at->name);
	else
		more = snprintf(text + len, room - len, "[%zu]", at->index);
	return len + (more > 0 ? (size_t)more : 0);
}

void place_text(char *text, size_t room, const struct place *at)
{
	if (at)
		place_append(text, room, at);
	else
		snprintf(text, room, "the body");
}

static const char *kind(json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

int fields_wrong(json_t *value, const struct place *at, struct err *err, const char *fmt, ...)
{
	char place[160], what[160], found[64];
	va_list args;

	place_text(place, sizeof(place), at);
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	if (json_is_integer(value))
		snprintf(found, sizeof(found), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(found, sizeof(found), "%g", json_real_value(value));
	else
		snprintf(found, sizeof(found), "%s", kind(value));
	return err_set(err, 0, "%s must be %s, not %s", place, what, found);
}

static int unknown(const char *key, const struct place *up, const struct field *fields, size_t n,
		   struct err *err)
{
	char place[160], known[320] = "";
	struct place at = {.up = up, .name = key};
	size_t len = 0;

	for (size_t i = 0; i < n && len < sizeof(known); i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "",
					fields[i].name);
	place_text(place, sizeof(place), &at);
	return err_set(err, 0, "there is no field %s; known are: %s", place, known);
}

int fields_read(json_t *value, const struct place *up, const struct field *fields, size_t n,
		void *into, struct err *err)
{
	const char *key;
	json_t *member;

	if (!json_is_object(value))
		return fields_wrong(value, up, err, "an object");
	json_object_foreach(value, key, member)
	{
		struct place at = {.up = up, .name = key};
		size_t i = 0;
		int ret;

		while (i < n && strcmp(fields[i].name, key))
			i++;
		ret = i < n ? fields[i].read(into, member, &at, err)
			    : unknown(key, up, fields, n, err);
		if (ret)
			return ret;
	}
	return 0;
}

json_t *body_object(const char *body, size_t bytes, struct err *err)
{
	json_error_t where;
	json_t *value;

	if (!bytes) {
		body = "{}";
		bytes = 2;
	}
	value = json_loadb(body, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
	if (!value) {
		err_set(err, 0, "the body is not JSON: line %d, column %d: %s", where.line,
			where.column, where.text);
		return NULL;
	}
	if (!json_is_object(value)) {
		fields_wrong(value, NULL, err, "a JSON object");
		json_decref(value);
		return NULL;
	}
	return value;
}

int fields_text(const char **text, json_t *value, const struct place *at, struct err *err)
{
	char place[160];

	if (!json_is_string(value))
		return fields_wrong(value, at, err, "a string");
	*text = json_string_value(value);
	if (!memchr(*text, 0, json_string_length(value)))
		return 0;
	place_text(place, sizeof(place), at);
	return err_set(err, 0, "%s has a NUL character in it", place);
}

int fields_bool(bool *flag, json_t *value, const struct place *at, struct err *err)
{
	if (!json_is_boolean(value))
		return fields_wrong(value, at, err, "true or false");
	*flag = json_is_true(value);
	return 0;
}

int fields_uint(uint64_t *number, uint64_t min, uint64_t max, json_t *value, const struct place *at,
		struct err *err)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return fields_wrong(value, at, err, "a whole number from %llu to %llu",
				    (unsigned long long)min, (unsigned long long)max);
	*number = (uint64_t)n;
	return 0;
}

int fields_real(double *number, double min, double max, json_t *value, const struct place *at,
		struct err *err)
{
	double n = json_number_value(value);

	if (!json_is_number(value) || n < min || n > max)
		return fields_wrong(value, at, err, "a number from %g to %g", min, max);
	*number = n;
	return 0;
}
