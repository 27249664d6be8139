/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h: output that is not UTF-8 comes from the daemon in base64 (RFC 4648, section 4). */
#ifndef MAYFLY_CLIENT_BASE64_H
#define MAYFLY_CLIENT_BASE64_H

#include <stddef.h>

/* Decodes bytes characters in place. The number of bytes that they stand for, or -EINVAL. */
long base64_decode(char *text, size_t bytes);

#endif
