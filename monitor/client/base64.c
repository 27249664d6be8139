/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c: see base64.h. */
#include <errno.h>
#include <nettle/base64.h>

#include "base64.h"

long base64_decode(char *text, size_t bytes)
{
	struct base64_decode_ctx ctx;
	size_t n = BASE64_DECODE_LENGTH(bytes);

	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &n, (uint8_t *)text, bytes, text) ||
	    !base64_decode_final(&ctx))
		return -EINVAL;
	return (long)n;
}
