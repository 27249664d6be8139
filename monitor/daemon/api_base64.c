/* SPDX-License-Identifier: Apache-2.0 */
/* api_base64.c: see api_base64.h. */
#include <stdint.h>
#include <string.h>

#include "api_base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(char *text, const void *data, size_t bytes)
{
	const uint8_t *d = data;

	for (; bytes >= 3; bytes -= 3, d += 3, text += 4) {
		text[0] = digits[d[0] >> 2];
		text[1] = digits[(d[0] & 3) << 4 | d[1] >> 4];
		text[2] = digits[(d[1] & 15) << 2 | d[2] >> 6];
		text[3] = digits[d[2] & 63];
	}
	if (bytes) {
		uint8_t second = bytes > 1 ? d[1] : 0;

		text[0] = digits[d[0] >> 2];
		text[1] = digits[(d[0] & 3) << 4 | second >> 4];
		text[2] = bytes > 1 ? digits[(second & 15) << 2] : '=';
		text[3] = '=';
	}
}

/* 0..63, or 64: no digit. */
static uint32_t value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	return c == '+' ? 62 : c == '/' ? 63 : 64;
}

ssize_t base64_decode(void *data, const char *text, size_t len)
{
	uint8_t *d = data;

	if (len % 4)
		return -1;
	for (const char *end = text + len; text < end; text += 4) {
		size_t pad = 0;
		uint32_t bits = 0;

		if (end - text == 4)
			pad = text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
		for (size_t i = 0; i < 4 - pad; i++) {
			uint32_t v = value((unsigned char)text[i]);

			if (v == 64)
				return -1;
			bits |= v << (18 - 6 * i);
		}
		/* Bits that no byte has are zero: one text for one content. */
		if (pad && bits & (pad == 1 ? 0xff : 0xffff))
			return -1;
		*d++ = (uint8_t)(bits >> 16);
		if (pad < 2)
			*d++ = (uint8_t)(bits >> 8);
		if (pad < 1)
			*d++ = (uint8_t)bits;
	}
	return d - (uint8_t *)data;
}
