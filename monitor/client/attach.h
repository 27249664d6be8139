/* SPDX-License-Identifier: Apache-2.0 */
/* attach.h: starting a VM and staying with it, as if its program ran here. */
#ifndef MAYFLY_CLIENT_ATTACH_H
#define MAYFLY_CLIENT_ATTACH_H

#include <stdbool.h>

#include "daemon.h"

/*
 * attach_start: starts vm, shows its output on ours, passes signals on (SIGINT, SIGTERM and
 * others that are not ignored), and with input also our standard input. When it has ended:
 * 0 and its exit code. Less than 0 and a message: it did not start, or the daemon went.
 */
int attach_start(struct daemon *d, const char *vm, bool input, int *exit_code, struct err *err);

#endif
