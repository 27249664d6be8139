/* SPDX-License-Identifier: Apache-2.0 */
/* output.c: see output.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "output.h"

static void write_lines(struct output *o, int stream, FILE *f, const char *time, const char *text,
			size_t bytes)
{
	while (bytes) {
		const char *nl = memchr(text, '\n', bytes);
		size_t n = nl ? (size_t)(nl - text) + 1 : bytes;

		if (!o->inside[stream])
			fprintf(f, "%s ", time);
		fwrite(text, 1, n, f);
		o->inside[stream] = !nl;
		text += n;
		bytes -= n;
	}
}

static int write_text(struct output *o, int stream, const char *time, const char *text,
		      size_t bytes, struct err *err)
{
	FILE *f = stream ? stderr : stdout;

	/* Both may go to one place: in the order in which the program wrote. */
	if (stream != o->last && fflush(stdout))
		return err_set(err, errno, "cannot write to the standard output");
	o->last = stream;
	if (o->timestamps)
		write_lines(o, stream, f, time, text, bytes);
	else
		fwrite(text, 1, bytes, f);
	if (ferror(f) || (o->flush && fflush(f)))
		return err_set(err, errno, "cannot write to the standard %s",
			       stream ? "error" : "output");
	return 0;
}

static int write_base64(struct output *o, int stream, const char *time, const char *base64,
			struct err *err)
{
	char *text = strdup(base64);
	long bytes = text ? base64_decode(text, strlen(text)) : -ENOMEM;
	int ret;

	if (bytes < 0)
		ret = err_set(err, (int)-bytes, "cannot decode the daemon's log");
	else
		ret = write_text(o, stream, time, text, (size_t)bytes, err);
	free(text);
	return ret;
}

int output_line(void *arg, json_t *line, struct err *err)
{
	const char *name = "", *time = "", *text = NULL, *base64 = NULL, *error = NULL;
	int truncated = 0, stream;
	struct output *o = arg;
	size_t bytes = 0;

	if (json_unpack(line, "{s?s, s?s, s?s%, s?s, s?b, s?s}", "stream", &name, "time", &time,
			"text", &text, &bytes, "base64", &base64, "truncated", &truncated, "error",
			&error))
		return err_set(err, 0, "the daemon's log is not understood");
	stream = !strcmp(name, "stderr");
	if (error)
		return err_set(err, 0, "%s", error);
	if (truncated) {
		fflush(stdout);
		fprintf(stderr,
			"mayfly: the log has reached its limit here; what followed on "
			"%s is lost\n",
			name);
	}
	if (text)
		return write_text(o, stream, time, text, bytes, err);
	return base64 ? write_base64(o, stream, time, base64, err) : 0;
}
