/* SPDX-License-Identifier: Apache-2.0 */
/* spec.h: what is asked for on the command line, as the daemon's CreateRequest has it. */
#ifndef MAYFLY_CLIENT_SPEC_H
#define MAYFLY_CLIENT_SPEC_H

#include <stdbool.h>

#include <jansson.h>

#include "../err.h"
#include "env.h"

struct spec {
	json_t *request; /* so far */
	struct env env;
	bool failed; /* no memory, or text that is not UTF-8 */
};

void spec_init(struct spec *s);
void spec_free(struct spec *s);

/* Values of options; text is what stands on the command line. 0 or -errno. */
int spec_memory(struct spec *s, const char *text, struct err *err);
int spec_timeout(struct spec *s, const char *text, struct err *err);
int spec_label(struct spec *s, const char *text, struct err *err);
int spec_string(struct spec *s, const char *member, const char *text, struct err *err);
/* One more string of a list. */
int spec_append(struct spec *s, const char *member, const char *text, struct err *err);
void spec_flag(struct spec *s, const char *member);
/* Limits: --memory-max, --cpus, --cpu-weight, --pids-max */
int spec_memory_max(struct spec *s, const char *text, struct err *err);
int spec_cpus(struct spec *s, const char *text, struct err *err);
int spec_limit(struct spec *s, const char *member, long max, const char *text, struct err *err);

/* The image, its arguments and the environment; then s->request is complete. The daemon's
 * directory is not ours: a relative path is looked up from here. */
int spec_finish(struct spec *s, const char *image, char *const *args, struct err *err);

#endif
