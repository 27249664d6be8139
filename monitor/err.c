/* SPDX-License-Identifier: Apache-2.0 */
/* err.c: see err.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "err.h"

static int set(struct err *err, int exit_code, int errnum, const char *fmt, va_list args)
{
	err->exit = exit_code;
	vsnprintf(err->message, sizeof(err->message), fmt, args);
	if (errnum) {
		size_t len = strlen(err->message);

		snprintf(err->message + len, sizeof(err->message) - len, ": %s", strerror(errnum));
	}
	return errnum ? -errnum : -EINVAL;
}

int err_set(struct err *err, int errnum, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int ret = set(err, ERR_EXIT_SELF, errnum, fmt, args);
	va_end(args);
	return ret;
}

int err_set_exit(struct err *err, int exit_code, int errnum, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int ret = set(err, exit_code, errnum, fmt, args);
	va_end(args);
	return ret;
}
