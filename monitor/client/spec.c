/* SPDX-License-Identifier: Apache-2.0 */
/* spec.c: see spec.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../options.h"
#include "spec.h"

#define MIB      (1ull << 20)
#define MAX_MIB  (1ull << 24) /* the interface's limit; more than any machine has */
#define MAX_CPUS 4096.0

void spec_init(struct spec *s)
{
	*s = (struct spec){.request = json_object()};
	s->failed = !s->request;
}

void spec_free(struct spec *s)
{
	json_decref(s->request);
	env_free(&s->env);
}

/* Takes value over. */
static void set(struct spec *s, json_t *object, const char *member, json_t *value)
{
	s->failed |= json_object_set_new(object, member, value) != 0;
}

/* The object that is request's member, made when it is first asked for. */
static json_t *inner(struct spec *s, const char *member)
{
	json_t *object = json_object_get(s->request, member);

	if (object)
		return object;
	set(s, s->request, member, json_object());
	return json_object_get(s->request, member);
}

static json_t *utf8(const char *text, const char *what, struct err *err)
{
	json_t *string = json_string(text);

	if (!string)
		err_set(err, 0,
			"%s is not UTF-8, which requests to the daemon are written in; mayfly run "
			"takes any bytes",
			what);
	return string;
}

int spec_string(struct spec *s, const char *member, const char *text, struct err *err)
{
	json_t *string = utf8(text, text, err);

	if (!string)
		return -EILSEQ;
	set(s, s->request, member, string);
	return 0;
}

int spec_append(struct spec *s, const char *member, const char *text, struct err *err)
{
	json_t *string = utf8(text, text, err), *list = json_object_get(s->request, member);

	if (!string)
		return -EILSEQ;
	if (!list) {
		set(s, s->request, member, json_array());
		list = json_object_get(s->request, member);
	}
	s->failed |= json_array_append_new(list, string) != 0;
	return 0;
}

void spec_flag(struct spec *s, const char *member)
{
	set(s, s->request, member, json_true());
}

/* Memory is counted in MiB: rounded up. */
static int mib(const char *option, const char *text, uint64_t *n, struct err *err)
{
	uint64_t bytes;
	int ret = option_size(text, &bytes, err);

	if (ret)
		return ret;
	*n = bytes / MIB + !!(bytes % MIB);
	if (!*n || *n > MAX_MIB)
		return err_set(err, 0, "%s %s: write 1M to 16T", option, text);
	return 0;
}

int spec_memory(struct spec *s, const char *text, struct err *err)
{
	uint64_t n;
	int ret = mib("--memory", text, &n, err);

	if (!ret)
		set(s, s->request, "memory_mib", json_integer((json_int_t)n));
	return ret;
}

int spec_memory_max(struct spec *s, const char *text, struct err *err)
{
	uint64_t n;
	int ret = mib("--memory-max", text, &n, err);

	if (!ret)
		set(s, inner(s, "limits"), "memory_max_mib", json_integer((json_int_t)n));
	return ret;
}

int spec_timeout(struct spec *s, const char *text, struct err *err)
{
	uint64_t ns;
	int ret = option_duration(text, &ns, err);

	if (!ret)
		set(s, s->request, "timeout_ms",
		    json_integer((json_int_t)((ns + 999999) / 1000000)));
	return ret;
}

int spec_cpus(struct spec *s, const char *text, struct err *err)
{
	char *end;
	double n = strtod(text, &end);

	/* strtod also knows 0x1p3, inf and nan. */
	if (strspn(text, "0123456789.") != strlen(text) || !*text || *end || !(n >= 0.001) ||
	    n > MAX_CPUS)
		return err_set(err, 0, "--cpus %s: write a number of CPUs, such as 0.5 or 2", text);
	set(s, inner(s, "limits"), "cpus", json_real(n));
	return 0;
}

int spec_limit(struct spec *s, const char *member, long max, const char *text, struct err *err)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || n < 1 || n > max)
		return err_set(err, 0, "%s is no number from 1 to %ld", text, max);
	set(s, inner(s, "limits"), member, json_integer(n));
	return 0;
}

int spec_label(struct spec *s, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : strlen(text);
	char *key = strndup(text, n);
	json_t *value = utf8(equals ? equals + 1 : "", text, err);
	int ret = 0;

	if (!n)
		ret = err_set(err, 0, "--label %s: write KEY=VALUE, or KEY", text);
	else if (!key || !value)
		ret = key ? -EILSEQ : err_set(err, ENOMEM, "cannot set the label %s", text);
	else if (json_object_set(inner(s, "labels"), key, value))
		ret = err_set(err, EILSEQ, "cannot set the label %s", text);
	json_decref(value);
	free(key);
	return ret;
}

static int add_strings(struct spec *s, const char *member, const char *what, char *const *list,
		       size_t n, struct err *err)
{
	json_t *array = json_array();

	if (!n) {
		json_decref(array);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		char name[64];
		json_t *string;

		snprintf(name, sizeof(name), "%s %zu", what, i + 1);
		string = utf8(list[i], name, err);
		if (!string) {
			json_decref(array);
			return -EILSEQ;
		}
		s->failed |= json_array_append_new(array, string) != 0;
	}
	set(s, s->request, member, array);
	return 0;
}

/* path as it can be found from any directory. NULL and a message. */
static char *absolute(const char *path, struct err *err)
{
	char *here, *whole = NULL;

	if (*path == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	if (!here) {
		err_set(err, errno, "cannot tell the current directory, where %s should be", path);
		return NULL;
	}
	while (!strncmp(path, "./", 2))
		path += 2 + strspn(path + 2, "/");
	if (asprintf(&whole, "%s/%s", strcmp(here, "/") ? here : "", path) < 0)
		whole = NULL;
	free(here);
	return whole;
}

int spec_finish(struct spec *s, const char *image, char *const *args, struct err *err)
{
	char *path = *image ? absolute(image, err) : strdup("");
	size_t nargs = 0;
	int ret;

	if (!path)
		return err->message[0] ? -ENOENT : err_set(err, ENOMEM, "cannot name %s", image);
	while (args[nargs])
		nargs++;
	ret = spec_string(s, "image", path, err);
	if (!ret && strcmp(path, image))
		ret = spec_string(s, "argv0", image, err);
	if (!ret)
		ret = add_strings(s, "args", "argument", args, nargs, err);
	if (!ret)
		ret = add_strings(s, "env", "variable", s->env.entry, s->env.n, err);
	if (!ret && s->failed)
		ret = err_set(err, ENOMEM, "cannot write the request");
	free(path);
	return ret;
}
