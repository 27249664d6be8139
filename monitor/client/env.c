/* SPDX-License-Identifier: Apache-2.0 */
/* env.c: see env.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"

static int put(struct env *env, char *entry)
{
	size_t name = strcspn(entry, "=");
	char **more;

	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->entry[i], entry, name) && env->entry[i][name] == '=') {
			free(env->entry[i]);
			env->entry[i] = entry;
			return 0;
		}
	more = reallocarray(env->entry, env->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	env->entry = more;
	env->entry[env->n++] = entry;
	return 0;
}

int env_add(struct env *env, const char *text, struct err *err)
{
	const char *value;
	char *entry = NULL;

	if (!*text || *text == '=')
		return err_set(err, 0, "--env %s: write NAME=VALUE", text);
	if (strchr(text, '='))
		entry = strdup(text);
	else if (!(value = getenv(text)))
		return 0; /* not set here: not set there, as docker does */
	else if (asprintf(&entry, "%s=%s", text, value) < 0)
		entry = NULL;
	if (entry && !put(env, entry))
		return 0;
	free(entry);
	return err_set(err, ENOMEM, "cannot set %s", text);
}

int env_add_file(struct env *env, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!f)
		return err_set(err, errno, "cannot read the environment file %s", path);
	while (!ret && getline(&line, &size, f) >= 0) {
		char *text = line + strspn(line, " \t");

		text[strcspn(text, "\r\n")] = 0;
		if (*text && *text != '#')
			ret = env_add(env, text, err);
	}
	if (ferror(f))
		ret = err_set(err, errno, "cannot read the environment file %s", path);
	free(line);
	fclose(f);
	return ret;
}

void env_free(struct env *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->entry[i]);
	free(env->entry);
	*env = (struct env){0};
}
