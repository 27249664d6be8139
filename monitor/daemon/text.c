/* SPDX-License-Identifier: Apache-2.0 */
/* text.c: see text.h. */
#include <stdint.h>

#include "text.h"

/* Bytes of the UTF-8 character that begins with c (RFC 3629, section 4); 0: none does. */
static size_t length(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c >= 0xe0 && c <= 0xef)
		return 3;
	return c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

/* The smallest and the largest second byte: what is beyond is overlong, a surrogate, or more
 * than U+10FFFF. */
static unsigned char second_min(unsigned char c)
{
	return c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
}

static unsigned char second_max(unsigned char c)
{
	return c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
}

static int is_character(const unsigned char *s, size_t n)
{
	if (n > 1 && (s[1] < second_min(s[0]) || s[1] > second_max(s[0])))
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n == 1)
		return (s[0] >= 0x20 && s[0] != 0x7f) || s[0] == '\t' || s[0] == '\n';
	/* C1 controls: U+0080..U+009F */
	return !(s[0] == 0xc2 && s[1] < 0xa0);
}

/* Are all bytes that are there continuation bytes, and some missing? */
static int is_cut(const unsigned char *s, size_t n, size_t there)
{
	if (n <= there)
		return 0;
	for (size_t i = 1; i < there; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return 1;
}

size_t text_clean(char *text, size_t bytes)
{
	unsigned char *s = (unsigned char *)text;
	size_t at = 0;

	while (at < bytes) {
		size_t n = length(s[at]);

		if (n && is_cut(s + at, n, bytes - at))
			return at;
		if (!n || !is_character(s + at, n)) {
			s[at] = '?';
			n = 1;
		}
		at += n;
	}
	return at;
}
