/* SPDX-License-Identifier: Apache-2.0 */
/* columns.c: see columns.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "human.h"

#define GAP 3 /* blanks between columns */

/* Columns on a terminal, as far as one can tell without a locale: a character of UTF-8 is
 * one, whatever its bytes. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void columns_add(struct columns *t, const char *const *cells)
{
	if (t->rows == t->room) {
		size_t room = t->room ? 2 * t->room : 16;
		char **more = reallocarray(t->cells, room * t->n, sizeof(*more));

		if (!more) {
			t->failed = 1;
			return;
		}
		t->cells = more;
		t->room = room;
	}
	for (size_t i = 0; i < t->n; i++) {
		char *cell = human_clean(strdup(cells[i] ? cells[i] : ""));

		t->failed |= !cell;
		t->cells[t->rows * t->n + i] = cell;
	}
	t->rows++;
}

void columns_init(struct columns *t, const char *const *headings, size_t n)
{
	*t = (struct columns){.n = n};
	columns_add(t, headings);
}

void columns_free(struct columns *t)
{
	for (size_t i = 0; i < t->rows * t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct columns){0};
}

int columns_print(struct columns *t, FILE *f)
{
	size_t widths[COLUMNS_MAX] = {0};
	size_t cells = t->rows * t->n;
	int ret = t->failed ? -ENOMEM : 0;

	for (size_t i = 0; !ret && i < cells; i++)
		if (width(t->cells[i]) > widths[i % t->n])
			widths[i % t->n] = width(t->cells[i]);
	for (size_t i = 0; !ret && i < cells; i++) {
		size_t column = i % t->n;

		fputs(t->cells[i], f);
		if (column == t->n - 1)
			putc('\n', f);
		else
			fprintf(f, "%*s", (int)(widths[column] - width(t->cells[i]) + GAP), "");
	}
	columns_free(t);
	return ret;
}
