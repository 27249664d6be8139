/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h: columns for people: headings, then rows, each column as wide as its widest cell. */
#ifndef MAYFLY_COLUMNS_H
#define MAYFLY_COLUMNS_H

#include <stddef.h>
#include <stdio.h>

#define COLUMNS_MAX 16

struct columns {
	size_t n, rows, room;
	char **cells; /* rows * n, the headings first */
	int failed;   /* no memory: nothing is printed */
};

/* headings: of n strings, at most COLUMNS_MAX. */
void columns_init(struct columns *t, const char *const *headings, size_t n);

/* A row; the cells are copied, NULL is an empty one. Control characters, with which a name
 * could write over other rows of a terminal, become '?'. */
void columns_add(struct columns *t, const char *const *cells);

/* Prints all rows and frees them. 0, or -ENOMEM: it did not all fit into memory. */
int columns_print(struct columns *t, FILE *f);

/* Without printing. */
void columns_free(struct columns *t);

#endif
