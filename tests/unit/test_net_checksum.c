/* SPDX-License-Identifier: Apache-2.0 */
/* test_net_checksum.c: the Internet checksum, against RFC 1071's definition, word by word. */
/* sources: unikernel/net/checksum.c tests/unit/uk_mock.c */
#include "uk_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

uint16_t net_checksum(const void *data, int bytes);

static uint16_t by_definition(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (uint64_t)p[i] << (i % 2 ? 8 : 0);
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

/* Zero has two forms in ones' complement. */
static bool same(uint16_t a, uint16_t b)
{
	return a % 0xffff == b % 0xffff;
}

static void agrees_for_every_length_and_place(void **state)
{
	static uint8_t data[70000];

	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand();
	for (size_t off = 0; off < 17; off++)
		for (size_t n = 0; n < 2100; n++)
			assert_true(same(net_checksum(data + off, (int)n),
					 by_definition(data + off, n)));
	for (size_t n = 65500; n < 65536; n++)
		assert_true(same(net_checksum(data + 1, (int)n), by_definition(data + 1, n)));
}

static void carries_are_not_lost(void **state)
{
	uint8_t data[4096];

	(void)state;
	memset(data, 0xff, sizeof(data));
	for (size_t n = 0; n <= sizeof(data); n++)
		assert_true(same(net_checksum(data, (int)n), by_definition(data, n)));
	for (size_t i = 0; i < sizeof(data); i++) {
		memset(data, 0xff, sizeof(data));
		data[i] = 1;
		assert_true(
			same(net_checksum(data, sizeof(data)), by_definition(data, sizeof(data))));
	}
}

/* RFC 1071, 3: the example. */
static void gives_what_the_rfc_gives(void **state)
{
	const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)state;
	assert_int_equal(__builtin_bswap16(net_checksum(data, sizeof(data))), 0xddf2);
	assert_int_equal(net_checksum(data, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_for_every_length_and_place),
		cmocka_unit_test(carries_are_not_lost),
		cmocka_unit_test(gives_what_the_rfc_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
