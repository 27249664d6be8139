/* SPDX-License-Identifier: Apache-2.0 */
/* test_options.c: sizes and durations on the command line. */
/* sources: monitor/options.c monitor/err.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../monitor/options.h"

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"512", 512},
		{"512K", 512 << 10},
		{"512k", 512 << 10},
		{"64M", 64 << 20},
		{"64MiB", 64 << 20},
		{"64mb", 64 << 20},
		{"1G", 1 << 30},
		{"1GiB", 1 << 30},
		{"2T", 2ull << 40},
		{"18446744073709551615", UINT64_MAX},
	};
	static const char *const bad[] = {
		"",
		" ",
		"-1",
		"+1",
		"M",
		"64Q",
		"64MM",
		"64 M",
		"1.5G",
		"0x10",
		"64Mi",
		"64iB",
		"64MiBs",
		"18446744073709551616",
		"18014398509481984K",
		"99999999999T",
		"64M ",
	};
	struct err err;
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(option_size(good[i].text, &n, &err), 0);
		assert_int_equal(n, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		n = 77;
		assert_true(option_size(bad[i], &n, &err) < 0);
		assert_int_equal(n, 77);
		assert_true(strlen(err.message) > 10);
	}
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"5", 5000000000},     {"5s", 5000000000}, {"250ms", 250000000},
		{"1.5s", 1500000000},  {"10us", 10000},    {"2m", 120000000000},
		{"1h", 3600000000000},
	};
	static const char *const bad[] = {"",    "s",    "0",   "-5s", "+5s",          "5x",
					  "5 s", "1e30", "inf", "nan", "0.0000000001s"};
	struct err err;
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(option_duration(good[i].text, &n, &err), 0);
		assert_int_equal(n, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(option_duration(bad[i], &n, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(durations)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
