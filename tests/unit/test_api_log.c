/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_log.c: reading a VM's log: whole, growing, cut off, and garbled by a hostile guest. */
/* sources: monitor/daemon/api_log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../monitor/daemon/api_log.h"
#include "../../monitor/wire.h"

static struct log_reader reader;
static FILE *file;

static int begin(void **state)
{
	(void)state;
	file = tmpfile();
	if (!file)
		return -1;
	setbuf(file, NULL);
	log_open(&reader, fileno(file));
	return 0;
}

static int end(void **state)
{
	(void)state;
	return fclose(file);
}

static void put(const void *data, size_t bytes)
{
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
}

static void put_head(uint16_t stream, uint16_t flags, uint32_t bytes)
{
	struct log_frame head = {LOG_MAGIC, stream, flags, bytes, 0, 1000 + bytes};

	put(&head, sizeof(head));
}

static void frame(uint16_t stream, const char *text)
{
	put_head(stream, 0, (uint32_t)strlen(text));
	put(text, strlen(text));
}

static void expect_piece(bool is_over, int stream, const char *text)
{
	struct log_piece piece;

	assert_int_equal(log_next(&reader, is_over, &piece), LOG_PIECE);
	assert_int_equal(piece.stream, stream);
	assert_int_equal(piece.bytes, strlen(text));
	assert_memory_equal(piece.data, text, piece.bytes);
}

static void expect(bool is_over, enum log_result result)
{
	struct log_piece piece;

	assert_int_equal(log_next(&reader, is_over, &piece), result);
}

static void frames(void **state)
{
	struct log_piece piece;

	(void)state;
	expect(false, LOG_NONE);
	frame(1, "one\n");
	frame(2, "two");
	put_head(1, 0, 0);
	put_head(1, 1, 0);
	expect_piece(false, 0, "one\n");
	expect_piece(false, 1, "two");
	expect_piece(false, 0, "");
	assert_int_equal(log_next(&reader, false, &piece), LOG_PIECE);
	assert_true(piece.is_last);
	assert_int_equal(piece.real_ns, 1000);
	expect(false, LOG_NONE);
	frame(1, "later");
	expect_piece(false, 0, "later");
	expect(true, LOG_NONE);
}

/* A frame is given when all of it is there; when nobody writes any more, what there is. */
static void half(void **state)
{
	(void)state;
	put_head(1, 0, 6);
	put("abc", 3);
	expect(false, LOG_NONE);
	put("def", 3);
	expect_piece(false, 0, "abcdef");
	put_head(1, 0, 6);
	put("abc", 3);
	expect(false, LOG_NONE);
	expect_piece(true, 0, "abc");
	expect(true, LOG_DAMAGED);
}

static void half_head(void **state)
{
	uint32_t magic = LOG_MAGIC;

	(void)state;
	frame(1, "x");
	put(&magic, sizeof(magic));
	expect_piece(false, 0, "x");
	expect(false, LOG_NONE);
	expect(true, LOG_DAMAGED);
	assert_int_equal(log_position(&reader), sizeof(struct log_frame) + 1);
}

static void wrong_heads(void **state)
{
	static const struct log_frame heads[] = {
		{0, 1, 0, 4, 0, 0},         {LOG_MAGIC, 0, 0, 4, 0, 0},
		{LOG_MAGIC, 3, 0, 4, 0, 0}, {LOG_MAGIC, 0xffff, 0, 4, 0, 0},
		{LOG_MAGIC, 1, 2, 4, 0, 0},
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		begin(state);
		put(&heads[i], sizeof(heads[i]));
		put("abcd", 4);
		expect(false, LOG_DAMAGED);
		expect(true, LOG_DAMAGED); /* and stays so */
		end(state);
	}
	begin(state);
}

/* One that says it has 4 GiB: pieces of what is there, and no more memory than ever. */
static void immense(void **state)
{
	static char block[LOG_ROOM * 3 + 5];
	struct log_piece piece;
	size_t got = 0;

	(void)state;
	memset(block, 'x', sizeof(block));
	put_head(2, 1, UINT32_MAX);
	put(block, sizeof(block));
	while (log_next(&reader, false, &piece) == LOG_PIECE) {
		assert_int_equal(piece.bytes, LOG_ROOM);
		assert_false(piece.is_last); /* its end has not been seen */
		got += piece.bytes;
	}
	assert_int_equal(got, LOG_ROOM * 3);
	assert_int_equal(log_next(&reader, true, &piece), LOG_PIECE);
	assert_int_equal(piece.bytes, 5);
	expect(true, LOG_DAMAGED);
}

/* Cut by its writer while it is read. */
static void shrinks(void **state)
{
	(void)state;
	frame(1, "one");
	frame(1, "two");
	expect_piece(false, 0, "one");
	assert_int_equal(ftruncate(fileno(file), 3), 0);
	expect_piece(false, 0, "two"); /* had been read */
	expect(false, LOG_NONE);
	expect(true, LOG_NONE);
}

static void many(void **state)
{
	char text[24];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "line %d\n", i);
		frame(1 + i % 2, text);
	}
	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "line %d\n", i);
		expect_piece(i % 3, i % 2, text);
	}
	expect(true, LOG_NONE);
}

static void lines(void **state)
{
	static const struct {
		int stream;
		const char *text;
		uint64_t line;
		bool begins;
		size_t bytes;
	} steps[] = {
		{0, "a\nb", 0, true, 2},   {0, "b", 1, true, 1},    {1, "err\n", 2, true, 4},
		{0, "bb\n", 1, false, 3},  {0, "\n", 3, true, 1},   {1, "x", 4, true, 1},
		{0, "y\nz\n", 5, true, 2}, {1, "\nw", 4, false, 1}, {1, "w", 6, true, 1},
	};
	struct log_lines l = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint64_t line;
		bool begins;

		assert_int_equal(log_line(&l, steps[i].stream, steps[i].text, strlen(steps[i].text),
					  &line, &begins),
				 steps[i].bytes);
		assert_int_equal(line, steps[i].line);
		assert_int_equal(begins, steps[i].begins);
	}
	assert_int_equal(l.begun, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames, begin, end),
		cmocka_unit_test_setup_teardown(half, begin, end),
		cmocka_unit_test_setup_teardown(half_head, begin, end),
		cmocka_unit_test_setup_teardown(wrong_heads, NULL, end),
		cmocka_unit_test_setup_teardown(immense, begin, end),
		cmocka_unit_test_setup_teardown(shrinks, begin, end),
		cmocka_unit_test_setup_teardown(many, begin, end),
		cmocka_unit_test(lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
