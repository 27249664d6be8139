/* SPDX-License-Identifier: Apache-2.0 */
/* options.h: values on the command line. */
#ifndef MAYFLY_OPTIONS_H
#define MAYFLY_OPTIONS_H

#include <stdint.h>

#include "err.h"

/* "512", "512K", "64M", "64MiB", "1G", "1GB": bytes, in powers of 1024. */
int option_size(const char *text, uint64_t *bytes, struct err *err);

/* "5", "5s", "250ms", "1.5s", "2m", "1h": nanoseconds; more than 0. */
int option_duration(const char *text, uint64_t *ns, struct err *err);

#endif
