/* SPDX-License-Identifier: Apache-2.0 */
/* strace.h: --strace: every system call as a line on stderr. */
#ifndef UK_STRACE_H
#define UK_STRACE_H

#include "arch.h"

void uk_strace_enter(const struct uk_frame *f);
void uk_strace_exit(const struct uk_frame *f, long ret);

#endif
