/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.h: tells a person or a program what mayfly makes of an ELF file. */
#ifndef MAYFLY_INSPECT_H
#define MAYFLY_INSPECT_H

#include "store.h"

/*
 * inspect_print: write a table, or with json one JSON object, to standard output. Returns
 * 0 if the program can run. If not, the output says why, and a negative errno comes back
 * with err->exit == ERR_EXIT_IMAGE and an empty message (it has been told), or with a
 * message if something else failed.
 */
int inspect_print(const struct store_file *file, const char *path, bool json, struct err *err);

#endif
