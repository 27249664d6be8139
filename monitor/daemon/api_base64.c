/* SPDX-License-Identifier: Apache-2.0 */
/* api_base64.c: see api_base64.h: nettle's, which passes over white space; we do not. */
#include <nettle/base64.h>
#include <string.h>

#include "api_base64.h"

void base64_encode(char *text, const void *data, size_t bytes)
{
	base64_encode_raw(text, bytes, data);
}

ssize_t base64_decode(void *data, const char *text, size_t len)
{
	struct base64_decode_ctx ctx;
	size_t bytes = BASE64_DECODE_LENGTH(len);

	if (len % 4 || memchr(text, ' ', len) || memchr(text, '\n', len) ||
	    memchr(text, '\r', len) || memchr(text, '\t', len))
		return -1;
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &bytes, data, len, text) || !base64_decode_final(&ctx))
		return -1;
	return (ssize_t)bytes;
}
