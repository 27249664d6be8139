/* SPDX-License-Identifier: Apache-2.0 */
/* string.c: memory and string functions that the compiler or the kernel calls. */
#include <stdarg.h>

#include "uk.h"

/* rep movsb and rep stosb: fast on every CPU of the last ten years, and no vector state. */
void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	if ((uintptr_t)dst - (uintptr_t)src >= n)
		return memcpy(dst, src, n);
	for (char *d = (char *)dst + n, *s = (char *)src + n; n--;)
		*--d = *--s;
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n--; p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n--; a++, b++) {
		if (*a != *b)
			return (unsigned char)*a - (unsigned char)*b;
		if (!*a)
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_number(struct out *o, uint64_t v, unsigned base, bool negative, int width,
		       bool zero)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (negative && zero)
		put(o, '-');
	else if (negative)
		digits[n++] = '-';
	for (int i = n + (negative && zero); i < width; i++)
		put(o, zero ? '0' : ' ');
	while (n)
		put(o, digits[--n]);
}

int uk_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);

int uk_vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out o = {buf, size, 0};

	for (; *fmt; fmt++) {
		int width = 0, precision = -1, longs = 0;
		bool zero = false, left = false;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt++;
		for (; *fmt == '0' || *fmt == '-'; fmt++) {
			zero |= *fmt == '0';
			left |= *fmt == '-';
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + *fmt - '0';
		if (fmt[0] == '.' && fmt[1] == '*') {
			precision = va_arg(args, int);
			fmt += 2;
		}
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			longs++;
		switch (*fmt) {
		case 's': {
			const char *s = va_arg(args, const char *);
			int n = 0;

			while (n != precision && s[n])
				n++;
			for (int i = n; !left && i < width; i++)
				put(&o, ' ');
			for (int i = 0; i < n; i++)
				put(&o, s[i]);
			for (int i = n; left && i < width; i++)
				put(&o, ' ');
			break;
		}
		case 'c':
			put(&o, (char)va_arg(args, int));
			break;
		case 'd': {
			int64_t v = longs ? va_arg(args, long) : va_arg(args, int);

			put_number(&o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, zero);
			break;
		}
		case 'o':
		case 'u':
		case 'x': {
			uint64_t v = longs ? va_arg(args, unsigned long) : va_arg(args, unsigned);

			put_number(&o, v,
				   *fmt == 'u'   ? 10
				   : *fmt == 'o' ? 8
						 : 16,
				   false, width, zero);
			break;
		}
		case 'p':
			put(&o, '0');
			put(&o, 'x');
			put_number(&o, va_arg(args, uintptr_t), 16, false, 0, false);
			break;
		default:
			put(&o, *fmt);
		}
	}
	if (size)
		buf[o.len < size ? o.len : size - 1] = 0;
	return (int)o.len;
}

int uk_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int n = uk_vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}
