/* SPDX-License-Identifier: Apache-2.0 */
/* deep.c: crashes a few calls deep: what the tests look at in backtraces and core files. */
#include <stdio.h>
#include <stdlib.h>

struct row {
	const char *name;
	int *cell;
};

static int parse_cell(const struct row *row)
{
	return *row->cell;
}

static int parse_row(const struct row *row)
{
	int sum = 0;

	for (int i = 0; i < 3; i++)
		sum += parse_cell(row);
	return sum;
}

/* qsort: a frame of the C library stands between ours. */
static int compare(const void *a, const void *b)
{
	return parse_row(a) - parse_row(b);
}

int main(int argc, char **argv)
{
	struct row rows[] = {{.name = argv[0], .cell = &argc}, {.name = "second", .cell = NULL}};

	qsort(rows, 2, sizeof(rows[0]), compare);
	return 0;
}
