/* SPDX-License-Identifier: Apache-2.0 */
/* rundir.h: the directory that is one daemon's alone. */
#ifndef MAYFLY_RUNDIR_H
#define MAYFLY_RUNDIR_H

#include "../err.h"

/*
 * Makes the directory (mode 0700) if it is not there, refuses one that others could change,
 * locks it, removes what a daemon that was killed left in shell/ and log/, makes these, and
 * makes it the current directory. 0, or -errno and a message: also if another daemon has it.
 * The lock goes with the process.
 */
int rundir_enter(const char *path, struct err *err);

#endif
