/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_fields.h: reading JSON objects (jansson) into structs, with messages that name the
 * place: "limits.cpus must be a number from 0.001 to 4096".
 */
#ifndef MAYFLY_API_FIELDS_H
#define MAYFLY_API_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "../err.h"

/* Where in the body a value stands; written out only if there is something to complain of. */
struct place {
	const struct place *up; /* NULL: the body itself is above */
	const char *name;       /* NULL: an element of an array */
	size_t index;
};

/* Each returns 0, or -errno with a message. */
typedef int field_read(void *into, json_t *value, const struct place *at, struct err *err);

struct field {
	const char *name;
	field_read *read;
};

/* value must be an object, all of whose members are in fields. up: its own place, or NULL. */
int fields_read(json_t *value, const struct place *up, const struct field *fields, size_t n,
		void *into, struct err *err);

/* The body of a request: one JSON object (a NULL body or an empty one: {}). NULL and a message,
 * or a reference for json_decref. */
json_t *body_object(const char *body, size_t bytes, struct err *err);

/* Without NULs; it lives as long as the value. */
int fields_text(const char **text, json_t *value, const struct place *at, struct err *err);
int fields_bool(bool *flag, json_t *value, const struct place *at, struct err *err);
int fields_uint(uint64_t *number, uint64_t min, uint64_t max, json_t *value, const struct place *at,
		struct err *err);
int fields_real(double *number, double min, double max, json_t *value, const struct place *at,
		struct err *err);

/* "PLACE must be WHAT, not KIND": -EINVAL. */
int fields_wrong(json_t *value, const struct place *at, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The place as text: args[2]. What does not fit is cut off. */
void place_text(char *text, size_t room, const struct place *at);

#endif
