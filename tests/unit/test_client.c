/* SPDX-License-Identifier: Apache-2.0 */
/* test_client.c: what of mayfly-client needs no daemon: figures, columns, lines, requests. */
/* clang-format off */
/* sources: monitor/client/human.c monitor/client/columns.c monitor/client/lines.c monitor/client/base64.c monitor/client/env.c monitor/client/spec.c monitor/options.c monitor/err.c */
/* clang-format on */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../monitor/client/base64.h"
#include "../../monitor/client/columns.h"
#include "../../monitor/client/human.h"
#include "../../monitor/client/lines.h"
#include "../../monitor/client/spec.h"

#define S 1000000000ll

static void ages(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{-5, "0s"},
		{0, "0s"},
		{S - 1, "0s"},
		{59 * S, "59s"},
		{60 * S, "1m"},
		{3599 * S, "59m"},
		{3600 * S, "1h"},
		{47 * 3600 * S, "47h"},
		{48 * 3600 * S, "2d"},
		{INT64_MAX, "106751d"},
	};
	char buffer[HUMAN_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(human_age(cases[i].ns, buffer), cases[i].text);
}

static void sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0"},          {1023, "1023"},           {1024, "1K"},
		{1536, "1.5K"},    {10 * 1024 + 512, "10K"}, {(1 << 20) - 1, "1M"},
		{64 << 20, "64M"}, {3ull << 30, "3G"},       {UINT64_MAX, "16E"},
	};
	char buffer[HUMAN_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(human_bytes(cases[i].bytes, buffer), cases[i].text);
}

static void spans(void **state)
{
	char buffer[HUMAN_BYTES];

	(void)state;
	assert_string_equal(human_us(0, buffer), "0us");
	assert_string_equal(human_us(999, buffer), "999us");
	assert_string_equal(human_us(1250, buffer), "1.25ms");
	assert_string_equal(human_us(3400000, buffer), "3.4s");
}

static void times(void **state)
{
	static const char *const bad[] = {
		"",
		"-",
		"2026-01-31",
		"2026-01-31T12:00:00",
		"2026-01-31T12:00:00+01:00",
		"2026-01-31T12:00:00.5",
		"2026-01-31T12:00:00Zx",
		"2026-13-31T12:00:00Z",
	};
	int64_t ns = 1;

	(void)state;
	assert_int_equal(human_parse_time("1970-01-01T00:00:00Z", &ns), 0);
	assert_true(ns == 0);
	assert_int_equal(human_parse_time("2001-09-09T01:46:40.123456789Z", &ns), 0);
	assert_true(ns == S * S + 123456789);
	assert_int_equal(human_parse_time("2001-09-09T01:46:40.5Z", &ns), 0);
	assert_true(ns == S * S + S / 2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(human_parse_time(bad[i], &ns), -EINVAL);
}

static void clean(void **state)
{
	char text[] = "a\033[2J\nb\x7f\xc3\xa4";

	(void)state;
	assert_string_equal(human_clean(text), "a?[2J?b?\xc3\xa4");
	assert_null(human_clean(NULL));
}

/* ---- columns ---- */

static char *printed(struct columns *t)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	assert_int_equal(columns_print(t, f), 0);
	fclose(f);
	return text;
}

static void columns(void **state)
{
	struct columns t;
	char *text;

	(void)state;
	columns_init(&t, (const char *[]){"ID", "NAME", "END"}, 3);
	columns_add(&t, (const char *[]){"1", "x\xc3\xa4y\xc3\xa4z", "0"});
	columns_add(&t, (const char *[]){"12345", NULL, "a\nb"});
	text = printed(&t);
	/* No blanks at a line's end; two bytes of UTF-8 are one column. */
	assert_string_equal(text, "ID      NAME    END\n"
				  "1       x\xc3\xa4y\xc3\xa4z   0\n"
				  "12345           a?b\n");
	free(text);
}

static void many_rows(void **state)
{
	struct columns t;
	char *text, cell[16];
	size_t lines = 0;

	(void)state;
	columns_init(&t, (const char *[]){"N"}, 1);
	for (int i = 0; i < 1000; i++) {
		snprintf(cell, sizeof(cell), "%d", i);
		columns_add(&t, (const char *[]){cell});
	}
	text = printed(&t);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 1001);
	free(text);
	columns_init(&t, (const char *[]){"N"}, 1);
	columns_free(&t);
}

/* ---- lines ---- */

struct seen {
	char text[256];
	int stop_at; /* return it there */
	int n;
};

static int see(void *arg, const char *line, size_t bytes)
{
	struct seen *s = arg;

	snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "[%.*s]", (int)bytes,
		 line);
	return ++s->n == s->stop_at ? -EPIPE : 0;
}

static void line_pieces(void **state)
{
	static const char stream[] = "one\n\ntwo\nthree\n";
	struct lines l = {0};

	(void)state;
	/* However it is cut, the lines are the same. */
	for (size_t piece = 1; piece <= strlen(stream); piece++) {
		struct seen s = {0};

		for (size_t at = 0; at < strlen(stream); at += piece) {
			size_t left = strlen(stream) - at;

			assert_int_equal(
				lines_feed(&l, stream + at, left < piece ? left : piece, see, &s),
				0);
		}
		assert_string_equal(s.text, "[one][][two][three]");
		assert_int_equal(lines_end(&l), 0);
	}
}

static void line_ends(void **state)
{
	struct lines l = {0};
	struct seen s = {.stop_at = 2};

	(void)state;
	assert_int_equal(lines_feed(&l, "a\nb\nc\n", 6, see, &s), -EPIPE);
	assert_string_equal(s.text, "[a][b]");
	assert_int_equal(lines_feed(&l, "begun", 5, see, &s), 0);
	assert_int_equal(lines_end(&l), 1);
	assert_int_equal(lines_end(&l), 0);
}

static void line_too_long(void **state)
{
	static char piece[1 << 20];
	struct lines l = {0};
	struct seen s = {0};
	int ret = 0;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	for (int i = 0; i < 20 && !ret; i++)
		ret = lines_feed(&l, piece, sizeof(piece), see, &s);
	assert_int_equal(ret, -EMSGSIZE);
	assert_int_equal(s.n, 0);
	lines_end(&l);
}

/* ---- base64 ---- */

static void base64(void **state)
{
	/* RFC 4648, section 10 */
	static const char *const good[][2] = {
		{"", ""},
		{"Zg==", "f"},
		{"Zm8=", "fo"},
		{"Zm9v", "foo"},
		{"Zm9vYg==", "foob"},
		{"Zm9vYmE=", "fooba"},
		{"Zm9vYmFy", "foobar"},
		{"+/8=", "\xfb\xff"},
	};
	static const char *const bad[] = {"Z", "Zg=", "=", "====", "Z===", "Zm9*", "Zg=a", "-_8="};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t n = strlen(good[i][1]);

		strcpy(text, good[i][0]);
		assert_int_equal(base64_decode(text, strlen(text)), n);
		assert_memory_equal(text, good[i][1], n);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(text, bad[i]);
		assert_int_equal(base64_decode(text, strlen(text)), -EINVAL);
	}
}

/* ---- requests ---- */

/* The request as JSON, members in order. */
static char *request(struct spec *s, const char *image, char **args)
{
	struct err err = {0};

	assert_int_equal(spec_finish(s, image, args, &err), 0);
	return json_dumps(s->request, JSON_COMPACT | JSON_SORT_KEYS);
}

static void request_whole(void **state)
{
	char *args[] = {"a", "b c", NULL}, *text;
	struct err err = {0};
	struct spec s;

	(void)state;
	spec_init(&s);
	assert_int_equal(spec_memory(&s, "10001K", &err), 0); /* rounded up to MiB */
	assert_int_equal(spec_timeout(&s, "1500us", &err), 0);
	assert_int_equal(spec_label(&s, "k=v=w", &err), 0);
	assert_int_equal(spec_label(&s, "alone", &err), 0);
	assert_int_equal(spec_cpus(&s, "0.5", &err), 0);
	assert_int_equal(spec_limit(&s, "pids_max", 100, "7", &err), 0);
	assert_int_equal(spec_memory_max(&s, "1G", &err), 0);
	assert_int_equal(env_add(&s.env, "A=1", &err), 0);
	assert_int_equal(env_add(&s.env, "B=2", &err), 0);
	assert_int_equal(env_add(&s.env, "A=3=4", &err), 0);
	spec_flag(&s, "rm");
	text = request(&s, "/bin/hello", args);
	assert_string_equal(text, "{\"args\":[\"a\",\"b c\"],\"env\":[\"A=3=4\",\"B=2\"],"
				  "\"image\":\"/bin/hello\",\"labels\":{\"alone\":\"\","
				  "\"k\":\"v=w\"},\"limits\":{\"cpus\":0.5,"
				  "\"memory_max_mib\":1024,\"pids_max\":7},\"memory_mib\":10,"
				  "\"rm\":true,\"timeout_ms\":2}");
	free(text);
	spec_free(&s);
}

/* A relative image is found from here, and keeps its name as argv[0]. */
static void request_relative(void **state)
{
	static const struct {
		const char *image, *json;
	} cases[] = {
		{"hello", "{\"argv0\":\"hello\",\"image\":\"/usr/hello\"}"},
		{"./hello", "{\"argv0\":\"./hello\",\"image\":\"/usr/hello\"}"},
		{".//a/../b", "{\"argv0\":\".//a/../b\",\"image\":\"/usr/a/../b\"}"},
		{"/hello", "{\"image\":\"/hello\"}"},
	};
	char *args[] = {NULL}, here[4096];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir("/usr"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec s;
		char *text;

		spec_init(&s);
		text = request(&s, cases[i].image, args);
		assert_string_equal(text, cases[i].json);
		free(text);
		spec_free(&s);
	}
	assert_int_equal(chdir(here), 0);
}

static void request_wrong(void **state)
{
	static const char *const memory[] = {"", "0", "x", "17T", "1.5G"};
	static const char *const cpus[] = {"",     "0",   "-1",  "x",  "0.0001",
					   "5000", "nan", "0x1", "1e2"};
	static const char *const limit[] = {"",    "0",  "-1", "x",
					    "101", "1x", " 1", "99999999999999999999"};
	char *bad_args[] = {"\xff\xfe", NULL};
	struct err err = {0};
	struct spec s;

	(void)state;
	spec_init(&s);
	for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++) {
		assert_true(spec_memory(&s, memory[i], &err) < 0);
		assert_true(spec_memory_max(&s, memory[i], &err) < 0);
	}
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++)
		assert_true(spec_cpus(&s, cpus[i], &err) < 0);
	for (size_t i = 0; i < sizeof(limit) / sizeof(limit[0]); i++)
		assert_true(spec_limit(&s, "pids_max", 100, limit[i], &err) < 0);
	assert_true(spec_label(&s, "", &err) < 0);
	assert_true(spec_label(&s, "=x", &err) < 0);
	assert_true(spec_label(&s, "\xff=x", &err) < 0);
	assert_true(spec_label(&s, "x=\xff", &err) < 0);
	assert_true(env_add(&s.env, "", &err) < 0);
	assert_true(env_add(&s.env, "=x", &err) < 0);
	assert_int_equal(json_object_size(json_object_get(s.request, "limits")), 0);
	assert_true(spec_finish(&s, "/x", bad_args, &err) < 0);
	assert_non_null(strstr(err.message, "argument 1 is not UTF-8"));
	spec_free(&s);
}

static void environment_by_name(void **state)
{
	struct env env = {0};
	struct err err = {0};

	(void)state;
	setenv("TEST_CLIENT_SET", "from here", 1);
	unsetenv("TEST_CLIENT_UNSET");
	assert_int_equal(env_add(&env, "TEST_CLIENT_SET", &err), 0);
	assert_int_equal(env_add(&env, "TEST_CLIENT_UNSET", &err), 0);
	assert_int_equal(env_add(&env, "TEST_CLIENT_SE=x", &err), 0); /* another name */
	assert_int_equal(env.n, 2);
	assert_string_equal(env.entry[0], "TEST_CLIENT_SET=from here");
	assert_string_equal(env.entry[1], "TEST_CLIENT_SE=x");
	env_free(&env);
	assert_true(env_add_file(&env, "/nonexistent/env", &err) < 0);
	assert_true(env_add_file(&env, "/", &err) < 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ages),
		cmocka_unit_test(sizes),
		cmocka_unit_test(spans),
		cmocka_unit_test(times),
		cmocka_unit_test(clean),
		cmocka_unit_test(columns),
		cmocka_unit_test(many_rows),
		cmocka_unit_test(line_pieces),
		cmocka_unit_test(line_ends),
		cmocka_unit_test(line_too_long),
		cmocka_unit_test(base64),
		cmocka_unit_test(request_whole),
		cmocka_unit_test(request_relative),
		cmocka_unit_test(request_wrong),
		cmocka_unit_test(environment_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
