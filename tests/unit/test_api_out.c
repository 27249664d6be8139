/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_out.c: writing JSON, compared with what jansson reads of it. */
/* sources: monitor/daemon/api_out.c monitor/daemon/api_base64.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "../../monitor/daemon/api_out.h"

static json_t *read_back(struct out *o)
{
	json_error_t where;
	json_t *value =
		json_loadb(o->at, o->bytes, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &where);

	if (!value)
		fail_msg("%.*s: %s", (int)o->bytes, o->at, where.text);
	out_free(o);
	return value;
}

static void shapes(void **state)
{
	struct out o = {0};
	json_t *value, *array;

	(void)state;
	out_open(&o, NULL, '{');
	out_int(&o, "min", INT64_MIN);
	out_int(&o, "zero", 0);
	out_uint(&o, "max", INT64_MAX);
	out_bool(&o, "yes", true);
	out_bool(&o, "no", false);
	out_open(&o, "empty", '{');
	out_close(&o, '}');
	out_open(&o, "list", '[');
	out_int(&o, NULL, 1);
	out_string(&o, NULL, "[");
	out_string(&o, NULL, "after an element that ends in [");
	out_open(&o, NULL, '[');
	out_close(&o, ']');
	out_close(&o, ']');
	out_pair(&o, "a \"key\"\n", "{");
	out_string(&o, "none", NULL);
	out_close(&o, '}');
	value = read_back(&o);
	assert_int_equal(json_integer_value(json_object_get(value, "min")), INT64_MIN);
	assert_int_equal(json_integer_value(json_object_get(value, "zero")), 0);
	assert_int_equal(json_integer_value(json_object_get(value, "max")), INT64_MAX);
	assert_true(json_is_true(json_object_get(value, "yes")));
	assert_true(json_is_false(json_object_get(value, "no")));
	assert_int_equal(json_object_size(json_object_get(value, "empty")), 0);
	array = json_object_get(value, "list");
	assert_int_equal(json_array_size(array), 4);
	assert_string_equal(json_string_value(json_array_get(array, 1)), "[");
	assert_string_equal(json_string_value(json_object_get(value, "a \"key\"\n")), "{");
	assert_string_equal(json_string_value(json_object_get(value, "none")), "");
	json_decref(value);
}

/* Every byte that text may have comes back, NUL included. */
static void escapes(void **state)
{
	char text[256 + 8];
	struct out o = {0};
	json_t *value;
	size_t n = 0;

	(void)state;
	for (int c = 0; c < 128; c++)
		text[n++] = (char)c;
	memcpy(text + n, "\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x9f", 9);
	n += 9;
	out_open(&o, NULL, '{');
	out_text(&o, "text", text, n);
	out_close(&o, '}');
	value = read_back(&o);
	assert_int_equal(json_string_length(json_object_get(value, "text")), n);
	assert_memory_equal(json_string_value(json_object_get(value, "text")), text, n);
	json_decref(value);
}

static void utf8(void **state)
{
	static const struct {
		const char *text;
		size_t good;
	} cases[] = {
		{"", 0},
		{"abc", 3},
		{"12345678901234567\xff", 17},
		{"a\xc3\xa9", 3},
		{"a\xc3", 1},
		{"\xc0\x80", 0}, /* overlong */
		{"\xc1\xbf", 0},
		{"\xe0\x9f\xbf", 0},
		{"\xe0\xa0\x80", 3},
		{"\xed\x9f\xbf", 3},
		{"\xed\xa0\x80", 0}, /* a surrogate */
		{"\xef\xbf\xbf", 3},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xf0\x90\x80\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\xf4\x90\x80\x80", 0}, /* beyond U+10FFFF */
		{"\xf5\x80\x80\x80", 0},
		{"\x80", 0},
		{"\xe2\x82", 0},
		{"\xe2\x82z", 0},
		{"1234567\xe2\x82\xac", 10},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (utf8_prefix(cases[i].text, strlen(cases[i].text)) != cases[i].good)
			fail_msg("case %zu", i);
}

/* Names of files are any bytes. */
static void mended(void **state)
{
	struct out o = {0};
	json_t *value;

	(void)state;
	out_open(&o, NULL, '{');
	out_string(&o, "a", "x\xffy\xc3");
	out_pair(&o, "k\xfe", "\xed\xa0\x80");
	out_close(&o, '}');
	value = read_back(&o);
	assert_string_equal(json_string_value(json_object_get(value, "a")),
			    "x\xef\xbf\xbdy\xef\xbf\xbd");
	assert_string_equal(json_string_value(json_object_get(value, "k\xef\xbf\xbd")),
			    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	json_decref(value);
}

static void figures(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} times[] = {
		{0, "1970-01-01T00:00:00.000000000Z"},
		{1, "1970-01-01T00:00:00.000000001Z"},
		{-1, "1969-12-31T23:59:59.999999999Z"},
		{951782400000000000, "2000-02-29T00:00:00.000000000Z"},
		{1700000000123456789, "2023-11-14T22:13:20.123456789Z"},
		{1700000001000000000, "2023-11-14T22:13:21.000000000Z"},
		{INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
		{INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
	};
	struct out o = {0};
	char text[TIME_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		time_text(text, times[i].ns);
		assert_string_equal(text, times[i].text);
	}
	out_open(&o, NULL, '[');
	out_mib(&o, NULL, 64 << 20);
	out_mib(&o, NULL, (1 << 20) + (1 << 19));
	out_mib(&o, NULL, 0);
	out_uint(&o, NULL, UINT64_MAX);
	out_base64(&o, NULL, "\0\xff", 2);
	out_close(&o, ']');
	out_add(&o, "", 1);
	assert_string_equal(o.at, "[64,1.500,0,18446744073709551615,\"AP8=\"]");
	out_free(&o);
}

/* What does not fit into printf's own room, and a stream that is taken bit by bit. */
static void growth(void **state)
{
	struct out o = {0};
	char long_text[1000], got[128];
	size_t sent = 0, all = 0, n;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	for (int i = 0; i < 100; i++)
		out_printf(&o, "%s", long_text);
	assert_int_equal(o.bytes, 99900);
	while ((n = out_take(&o, &sent, got, sizeof(got)))) {
		for (size_t i = 0; i < n; i++)
			assert_int_equal(got[i], 'x');
		all += n;
	}
	assert_int_equal(all, 99900);
	assert_int_equal(o.bytes, 0);
	out_printf(&o, "again");
	assert_int_equal(out_take(&o, &sent, got, sizeof(got)), 5);
	out_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes), cmocka_unit_test(escapes), cmocka_unit_test(utf8),
		cmocka_unit_test(mended), cmocka_unit_test(figures), cmocka_unit_test(growth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
