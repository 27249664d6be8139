/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c: see lines.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

static int hold(struct lines *l, const char *data, size_t bytes)
{
	if (bytes > LINES_MAX_BYTES - l->bytes)
		return -EMSGSIZE;
	if (l->bytes + bytes > l->room) {
		size_t room = 2 * (l->bytes + bytes);
		char *more = realloc(l->held, room);

		if (!more)
			return -ENOMEM;
		l->held = more;
		l->room = room;
	}
	memcpy(l->held + l->bytes, data, bytes);
	l->bytes += bytes;
	return 0;
}

int lines_feed(struct lines *l, const char *data, size_t bytes, lines_line *line, void *arg)
{
	const char *nl;
	int ret = 0;

	while (!ret && (nl = memchr(data, '\n', bytes))) {
		size_t n = (size_t)(nl - data);

		if (!l->bytes) {
			ret = line(arg, data, n); /* the usual case: no copy */
		} else if (!(ret = hold(l, data, n))) {
			size_t whole = l->bytes;

			l->bytes = 0;
			ret = line(arg, l->held, whole);
		}
		data += n + 1;
		bytes -= n + 1;
	}
	return ret || !bytes ? ret : hold(l, data, bytes);
}

int lines_end(struct lines *l)
{
	int begun = l->bytes != 0;

	free(l->held);
	*l = (struct lines){0};
	return begun;
}
