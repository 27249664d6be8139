/* SPDX-License-Identifier: Apache-2.0 */
/* err.h: one message for a failure, made where it happens. */
#ifndef MAYFLY_ERR_H
#define MAYFLY_ERR_H

/* The exit codes of mayfly's own failures, as env(1), docker(1) and the shell use them. */
enum err_exit {
	ERR_EXIT_SELF = 125,      /* mayfly could not do its work */
	ERR_EXIT_IMAGE = 126,     /* the image cannot run */
	ERR_EXIT_NOT_FOUND = 127, /* there is no such image */
};

struct err {
	int exit; /* enum err_exit; 0 stands for ERR_EXIT_SELF */
	char message[512];
};

/*
 * err_set: write the message (printf-like: what was tried, on what, what to do).
 * errnum: a positive errno, whose text is appended after ": ", or 0.
 * Returns -errnum, or -EINVAL where errnum is 0, so that callers can return it.
 */
int err_set(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* err_exit: the same with an exit code. */
int err_set_exit(struct err *err, int exit_code, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
