/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h: writing JSON, as little of it as the monitor needs. It reads none.
 *
 * Source: RFC 8259. Everything but strings is plain printf.
 */
#ifndef MAYFLY_JSON_H
#define MAYFLY_JSON_H

#include <stdio.h>

/* Writes text as a JSON string with its quotes. text is any bytes, as file names are: what
 * is not UTF-8 (RFC 3629) becomes U+FFFD, for JSON must be UTF-8. Errors stay in f. */
void json_string(FILE *f, const char *text);

#endif
