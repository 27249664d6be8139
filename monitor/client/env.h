/* SPDX-License-Identifier: Apache-2.0 */
/* env.h: the environment that --env and --env-file make. */
#ifndef MAYFLY_CLIENT_ENV_H
#define MAYFLY_CLIENT_ENV_H

#include <stddef.h>

#include "../err.h"

struct env {
	char **entry; /* NAME=VALUE each, no name twice */
	size_t n;
};

/* "NAME=VALUE", or "NAME" for our own value of it (nothing, if it is not set here). A later
 * one replaces an earlier. 0 or -errno. */
int env_add(struct env *env, const char *text, struct err *err);

/* Each line of the file as for env_add; blanks before it, empty lines and comments (#) go. */
int env_add_file(struct env *env, const char *path, struct err *err);

void env_free(struct env *env);

#endif
