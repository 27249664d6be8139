/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c: see base64.h. */
#include <errno.h>
#include <string.h>

#include "base64.h"

/* What a digit stands for, or -1. */
static int value(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

long base64_decode(char *text, size_t bytes)
{
	char *out = text;
	unsigned bits = 0;
	size_t i, digits;

	if (bytes % 4)
		return -EINVAL;
	for (digits = bytes; digits && text[digits - 1] == '='; digits--)
		;
	if (bytes - digits > 2)
		return -EINVAL;
	for (i = 0; i < digits; i++) {
		int v = value(text[i]);

		if (v < 0)
			return -EINVAL;
		bits = bits << 6 | (unsigned)v;
		/* Each digit but the first of four completes a byte; it never overtakes us. */
		if (i % 4)
			*out++ = (char)(bits >> (6 - 2 * (i % 4)));
	}
	return out - text;
}
