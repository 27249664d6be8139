/* SPDX-License-Identifier: Apache-2.0 */
/* api_out.c: see api_out.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_base64.h"
#include "api_out.h"

#define FIRST_ROOM 512
#define KEPT_ROOM  (64u << 10) /* of a stream that is idle */

void out_free(struct out *o)
{
	free(o->at);
	*o = (struct out){0};
}

size_t out_take(struct out *o, size_t *sent, char *to, size_t bytes)
{
	size_t n = o->bytes - *sent;

	if (n > bytes)
		n = bytes;
	if (n)
		memcpy(to, o->at + *sent, n);
	*sent += n;
	if (*sent == o->bytes) {
		*sent = 0;
		o->bytes = 0;
		if (o->room > KEPT_ROOM)
			out_free(o);
	}
	return n;
}

/* Room for bytes more, at the end. NULL: there is none, and will be none. */
static char *reserve(struct out *o, size_t bytes)
{
	if (o->failed)
		return NULL;
	if (o->room - o->bytes < bytes) {
		size_t room = o->room ? o->room * 2 : FIRST_ROOM;
		char *at;

		if (room - o->bytes < bytes)
			room = o->bytes + bytes;
		at = realloc(o->at, room);
		if (!at) {
			o->failed = true;
			return NULL;
		}
		o->at = at;
		o->room = room;
	}
	return o->at + o->bytes;
}

void out_add(struct out *o, const void *data, size_t bytes)
{
	char *to = bytes ? reserve(o, bytes) : NULL;

	if (to) {
		memcpy(to, data, bytes);
		o->bytes += bytes;
	}
}

void out_printf(struct out *o, const char *fmt, ...)
{
	char text[256];
	va_list args, again;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(text, sizeof(text), fmt, args);
	if (len >= 0 && (size_t)len < sizeof(text)) {
		out_add(o, text, (size_t)len);
	} else if (len > 0) {
		char *to = reserve(o, (size_t)len + 1);

		if (to) {
			vsnprintf(to, (size_t)len + 1, fmt, again);
			o->bytes += (size_t)len;
		}
	}
	va_end(again);
	va_end(args);
}

/* ---- UTF-8 ---- */

/* The bytes of the character that text begins with, or 0. */
static size_t utf8_char(const unsigned char *text, size_t bytes)
{
	unsigned lead = text[0], low = 0x80, high = 0xbf;
	size_t n;

	if (lead < 0x80)
		return 1;
	n = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	/* 80..c1 begin nothing; what follows e0, ed, f0, f4 is narrower: RFC 3629 section 4. */
	if (lead < 0xc2 || lead > 0xf4 || n > bytes)
		return 0;
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t utf8_prefix(const char *text, size_t bytes)
{
	size_t i = 0, n;

	while (i < bytes) {
		uint64_t eight;

		if (bytes - i >= sizeof(eight)) {
			memcpy(&eight, text + i, sizeof(eight));
			if (!(eight & 0x8080808080808080ull)) {
				i += sizeof(eight);
				continue;
			}
		}
		n = utf8_char((const unsigned char *)text + i, bytes - i);
		if (!n)
			break;
		i += n;
	}
	return i;
}

/* ---- JSON ---- */

static void begin(struct out *o, const char *key)
{
	if (o->bytes) {
		char last = o->at[o->bytes - 1];

		if (last != '{' && last != '[' && last != '\n')
			out_add(o, ",", 1);
	}
	if (key) {
		size_t len = strlen(key);
		char *to = reserve(o, len + 3);

		if (!to)
			return;
		to[0] = '"';
		memcpy(to + 1, key, len);
		to[len + 1] = '"';
		to[len + 2] = ':';
		o->bytes += len + 3;
	}
}

void out_open(struct out *o, const char *key, char kind)
{
	begin(o, key);
	out_add(o, &kind, 1);
}

void out_close(struct out *o, char kind)
{
	out_add(o, &kind, 1);
}

static void number(struct out *o, const char *key, bool is_negative, uint64_t left)
{
	char digits[24], *d = digits + sizeof(digits);

	begin(o, key);
	do {
		*--d = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (is_negative)
		*--d = '-';
	out_add(o, d, (size_t)(digits + sizeof(digits) - d));
}

void out_int(struct out *o, const char *key, int64_t value)
{
	number(o, key, value < 0, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void out_uint(struct out *o, const char *key, uint64_t value)
{
	number(o, key, false, value);
}

void out_bool(struct out *o, const char *key, bool value)
{
	begin(o, key);
	out_add(o, value ? "true" : "false", value ? 4 : 5);
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

static void escape(struct out *o, unsigned char c)
{
	static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *n = names; *n; n += 2) {
		if (*n == (char)c) {
			out_add(o, (char[]){'\\', n[1]}, 2);
			return;
		}
	}
	out_printf(o, "\\u%04x", c);
}

/* Valid UTF-8 between quotes. */
static void quoted(struct out *o, const char *text, size_t bytes)
{
	for (size_t from = 0, i = 0;; i++) {
		if (i < bytes && is_plain((unsigned char)text[i]))
			continue;
		out_add(o, text + from, i - from);
		if (i == bytes)
			break;
		escape(o, (unsigned char)text[i]);
		from = i + 1;
	}
}

void out_text(struct out *o, const char *key, const char *text, size_t bytes)
{
	begin(o, key);
	out_add(o, "\"", 1);
	quoted(o, text, bytes);
	out_add(o, "\"", 1);
}

/* Any bytes between quotes. */
static void mended(struct out *o, const char *text)
{
	size_t left = strlen(text);

	out_add(o, "\"", 1);
	while (left) {
		size_t good = utf8_prefix(text, left);

		quoted(o, text, good);
		if (good == left)
			break;
		out_add(o, "\xef\xbf\xbd", 3); /* U+FFFD */
		text += good + 1;
		left -= good + 1;
	}
	out_add(o, "\"", 1);
}

void out_string(struct out *o, const char *key, const char *text)
{
	begin(o, key);
	mended(o, text ? text : "");
}

void out_pair(struct out *o, const char *key, const char *text)
{
	begin(o, NULL);
	mended(o, key);
	out_add(o, ":", 1);
	mended(o, text);
}

void out_base64(struct out *o, const char *key, const void *data, size_t bytes)
{
	char *to;

	begin(o, key);
	to = reserve(o, base64_bytes(bytes) + 2);
	if (!to)
		return;
	to[0] = '"';
	base64_encode(to + 1, data, bytes);
	to[1 + base64_bytes(bytes)] = '"';
	o->bytes += base64_bytes(bytes) + 2;
}

/* The date and time of a second. Lists ask for few of them, again and again. */
static const char *second_text(int64_t second)
{
	static char text[TIME_BYTES];
	static int64_t known = INT64_MIN;
	time_t seconds = second;
	struct tm tm;

	if (second != known) {
		if (!gmtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%FT%T", &tm))
			strcpy(text, "0000-00-00T00:00:00"); /* cannot be: 2^63 ns is in 2262 */
		known = second;
	}
	return text;
}

void time_text(char text[TIME_BYTES], int64_t real_ns)
{
	int64_t second = real_ns / 1000000000, ns = real_ns % 1000000000;
	char *end;

	if (ns < 0) { /* before 1970: somebody's clock */
		ns += 1000000000;
		second--;
	}
	end = stpcpy(text, second_text(second)) + 10; /* point and nine digits */
	strcpy(end, "Z");
	for (int i = 0; i < 9; i++, ns /= 10)
		*--end = (char)('0' + ns % 10);
	*--end = '.';
}

void out_time(struct out *o, const char *key, int64_t real_ns)
{
	char text[TIME_BYTES];

	time_text(text, real_ns);
	out_text(o, key, text, strlen(text));
}

void out_mib(struct out *o, const char *key, uint64_t bytes)
{
	if (bytes % (1 << 20)) {
		begin(o, key);
		out_printf(o, "%.3f", (double)bytes / (1 << 20));
	} else {
		out_uint(o, key, bytes >> 20);
	}
}
