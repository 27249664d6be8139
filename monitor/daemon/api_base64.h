/* SPDX-License-Identifier: Apache-2.0 */
/* api_base64.h: base64 (RFC 4648 section 4, with padding, without line breaks). */
#ifndef MAYFLY_API_BASE64_H
#define MAYFLY_API_BASE64_H

#include <stddef.h>
#include <sys/types.h>

/* What that many bytes become. */
static inline size_t base64_bytes(size_t bytes)
{
	return (bytes + 2) / 3 * 4;
}

/* Writes base64_bytes(bytes) characters, without NUL. */
void base64_encode(char *text, const void *data, size_t bytes);

/* Writes at most len / 4 * 3 bytes to data, which may be text itself. How many, or -1: it is
 * not base64. */
ssize_t base64_decode(void *data, const char *text, size_t len);

#endif
