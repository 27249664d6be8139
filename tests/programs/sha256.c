/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256.c: work for the processor alone. Hashes 200 MB (or argv[1] MB of 10^6 bytes) of
 * a pattern with nettle, which picks its code by CPUID, and prints the digest.
 */
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	static uint8_t block[100000];
	uint8_t digest[SHA256_DIGEST_SIZE];
	int blocks = (argc > 1 ? atoi(argv[1]) : 200) * 10;
	struct sha256_ctx ctx;
	size_t i;

	for (i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 31 + (i >> 8));
	sha256_init(&ctx);
	while (blocks-- > 0)
		sha256_update(&ctx, sizeof(block), block);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (i = 0; i < sizeof(digest); i++)
		printf("%02x", digest[i]);
	puts("");
	return 0;
}
