/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_news.c: any bytes as a shell's message: what the daemon takes of it lies inside it,
 * and the text that it would show is fit to be shown.
 */
/* sources: monitor/daemon/news.c monitor/daemon/text.c */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/daemon/news.h"
#include "../../monitor/daemon/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads all of it, for the sanitizer to see; it must be a part of the message. */
static void touch(const uint8_t *message, size_t size, const void *part, size_t bytes)
{
	const uint8_t *p = part;
	volatile uint8_t sum = 0;

	if (!bytes)
		return;
	if (p < message || bytes > size || (size_t)(p - message) > size - bytes)
		abort();
	for (size_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + p[i]);
}

static void check_text(const char *text, size_t bytes)
{
	char copy[NEWS_MAX_TEXT], again[NEWS_MAX_TEXT];
	size_t n;

	if (bytes > sizeof(copy))
		abort();
	memcpy(copy, text, bytes);
	n = text_clean(copy, bytes);
	if (n > bytes)
		abort();
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)copy[i] < 0x20 && copy[i] != '\t' && copy[i] != '\n') ||
		    copy[i] == 0x7f)
			abort();
	/* What is clean stays as it is. */
	memcpy(again, copy, n);
	if (text_clean(again, n) != n || memcmp(again, copy, n))
		abort();
}

static void check(const uint8_t *message, size_t size)
{
	struct news_item item;

	if (news_parse(message, size, &item))
		return;
	if (item.head.bytes + sizeof(item.head) != size || item.head.type < NEWS_READY ||
	    item.head.type > NEWS_EXIT)
		abort();
	touch(message, size, item.text, item.text_bytes);
	touch(message, size, item.bytes[0], item.nbytes[0]);
	touch(message, size, item.bytes[1], item.nbytes[1]);
	if (item.text_bytes)
		check_text(item.text, item.text_bytes);
	if (item.head.type == NEWS_EXIT &&
	    (item.exit.end < END_EXITED || item.exit.end > END_FAILED ||
	     item.exit.stdout_bytes != item.nbytes[0] || item.exit.stderr_bytes != item.nbytes[1]))
		abort();
}

/* The length field made right, so that more than one input in 2^32 gets past it; and the three
 * lengths of EXIT. */
static void mend(uint8_t *message, size_t size)
{
	struct news head;
	struct news_exit x;
	size_t rest = size - sizeof(head);

	memcpy(&head, message, sizeof(head));
	head.bytes = (uint32_t)rest;
	head.type %= NEWS_EXIT + 2;
	memcpy(message, &head, sizeof(head));
	if (head.type != NEWS_EXIT || rest < sizeof(x))
		return;
	memcpy(&x, message + sizeof(head), sizeof(x));
	rest -= sizeof(x);
	x.reason_bytes %= (uint32_t)rest + 1;
	x.stdout_bytes %= (uint32_t)rest - x.reason_bytes + 1;
	x.stderr_bytes = (uint32_t)rest - x.reason_bytes - x.stdout_bytes;
	x.end %= END_FAILED + 2;
	x.signal &= 63;
	x.truncated &= 6;
	memcpy(message + sizeof(head), &x, sizeof(x));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	check(copy, size);
	if (size >= sizeof(struct news)) {
		mend(copy, size);
		check(copy, size);
	}
	free(copy);
	return 0;
}
