/* SPDX-License-Identifier: Apache-2.0 */
/* program.h: where mayfly's other executables are. */
#ifndef MAYFLY_PROGRAM_H
#define MAYFLY_PROGRAM_H

#include <stddef.h>

#include "../err.h"

/* Path of an executable of ours: beside this one, as built; or, where this one is in
 * PREFIX/libexec/mayfly, in PREFIX/bin. 0, or -errno and a message. */
int program_path(const char *name, char *path, size_t bytes, struct err *err);

#endif
