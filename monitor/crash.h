/* SPDX-License-Identifier: Apache-2.0 */
/* crash.h: telling what a program died of. */
#ifndef MAYFLY_CRASH_H
#define MAYFLY_CRASH_H

#include "run.h"

/* Reports the crash on stderr (for signals whose default is a core dump) and writes the
 * core file if core is not NULL. Returns the exit status, 128 + signal. */
int crash_report(const struct vm *vm, const struct guest *guest, const struct run_result *result,
		 const char *path, const char *core);

#endif
