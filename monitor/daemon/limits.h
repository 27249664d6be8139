/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: which limit of the system was met. */
#ifndef MAYFLY_LIMITS_H
#define MAYFLY_LIMITS_H

#include <stddef.h>

/* Says which limit may be behind errnum (EAGAIN, ENOMEM, EMFILE, ENFILE, ENOSPC, EDQUOT) and
 * how it is raised: " (...)". "": nothing is known. */
void limits_explain(int errnum, char *text, size_t bytes);

/* Raises the soft limit of open files to the hard one. */
void limits_raise_files(void);

#endif
