/* SPDX-License-Identifier: Apache-2.0 */
/* report.h: the lines of a backtrace: names, source lines, inlined calls. */
#ifndef MAYFLY_REPORT_H
#define MAYFLY_REPORT_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A recursion prints one line for its frames that are alike; others end here. */
#define REPORT_MAX_LINES 64u

struct report {
	FILE *out;
	Dwfl *dwfl;
	unsigned frame;   /* number of the next */
	unsigned lines;   /* printed */
	uint64_t last_pc; /* of the frame before; repeated: how often it came since */
	unsigned repeated;
};

/* One frame. exact: pc is the instruction itself, not where a call returns to. False
 * when the report is long enough. */
bool report_frame(struct report *r, uint64_t pc, bool exact);

/* The frame of the kernel's that stands where a signal interrupted the program. */
void report_signal(struct report *r, uint64_t pc);

/* The end: why there are no more, or NULL if it was the outermost. */
void report_end(struct report *r, const char *why);

#endif
