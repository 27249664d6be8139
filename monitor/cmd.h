/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.h: the verbs. Each gets its own argc and argv and returns mayfly's exit status. */
#ifndef MAYFLY_CMD_H
#define MAYFLY_CMD_H

#include "err.h"

int cmd_run(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_client(int argc, char **argv); /* a verb that is mayfly-client's */
int cmd_zygote(int argc, char **argv); /* the daemon starts it: zygote.c */

/* Prints "mayfly: message" and returns the error's exit code. */
int cmd_fail(const struct err *err);

/* Wrong use of a verb: the message, where help is, 125. */
int cmd_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
