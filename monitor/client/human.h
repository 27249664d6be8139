/* SPDX-License-Identifier: Apache-2.0 */
/* human.h: figures as people read them. Each returns its buffer. */
#ifndef MAYFLY_HUMAN_H
#define MAYFLY_HUMAN_H

#include <stddef.h>
#include <stdint.h>

#define HUMAN_BYTES 32 /* of every buffer */

/* "0s", "59s", "3m", "2h", "5d": whole units, rounded down; negative is "0s". */
char *human_age(int64_t ns, char buffer[HUMAN_BYTES]);

/* "0", "1023", "1.5K", "64M": powers of 1024, as --memory takes them. */
char *human_bytes(uint64_t bytes, char buffer[HUMAN_BYTES]);

/* "17us", "1.25ms", "3.4s" */
char *human_us(uint64_t us, char buffer[HUMAN_BYTES]);

/* RFC 3339 in UTC with nanoseconds: "2026-01-31T12:00:00.123456789Z" */
char *human_time(int64_t real_ns, char buffer[HUMAN_BYTES]);

/* And back: RFC 3339 in UTC, with or without a fraction. 0, or -EINVAL: it is none. */
int human_parse_time(const char *text, int64_t *real_ns);

/* Control characters, with which a name could write over what else is on a terminal, become
 * '?'. text may be NULL. Returns text. */
char *human_clean(char *text);

#endif
