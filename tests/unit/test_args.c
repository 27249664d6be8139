/* SPDX-License-Identifier: Apache-2.0 */
/* test_args.c: the program's first stack, read back as a program's start-up code reads it. */
/* sources: monitor/args.c */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/args.h"

#define BYTES 8192
#define TOP   0x7fffef0000ull

static uint8_t stack[BYTES] __attribute__((aligned(16)));
static const uint8_t random_bytes[16] = "0123456789abcdef";

static uint64_t build(char *const argv[], char *const envp[], size_t bytes)
{
	const struct args_aux aux[] = {{AT_PAGESZ, 4096}, {AT_ENTRY, 0x401000}};

	memset(stack, 0xaa, sizeof(stack));
	return args_build(stack + BYTES - bytes, bytes, TOP, argv, envp, "/bin/x", random_bytes,
			  aux, 2);
}

static const void *at(uint64_t gva)
{
	assert_in_range(gva, TOP - BYTES, TOP - 1);
	return stack + BYTES - (TOP - gva);
}

static uint64_t aux_value(const uint64_t *aux, uint64_t type)
{
	for (; aux[0] != AT_NULL; aux += 2)
		if (aux[0] == type)
			return aux[1];
	fail_msg("no auxv entry %lu", type);
	return 0;
}

static void lays_out_argc_argv_envp_auxv(void **state)
{
	char *argv[] = {"prog", "one", "", "three words here", NULL}, *envp[] = {"A=1", "B=", NULL};
	uint64_t rsp = build(argv, envp, BYTES);
	const uint64_t *w = at(rsp);

	(void)state;
	assert_int_equal(rsp % 16, 0);
	assert_int_equal(*w++, 4);
	for (int i = 0; i < 4; i++)
		assert_string_equal(at(*w++), argv[i]);
	assert_int_equal(*w++, 0);
	for (int i = 0; i < 2; i++)
		assert_string_equal(at(*w++), envp[i]);
	assert_int_equal(*w++, 0);
	assert_int_equal(aux_value(w, AT_PAGESZ), 4096);
	assert_int_equal(aux_value(w, AT_ENTRY), 0x401000);
	assert_string_equal(at(aux_value(w, AT_EXECFN)), "/bin/x");
	assert_string_equal(at(aux_value(w, AT_PLATFORM)), "x86_64");
	assert_memory_equal(at(aux_value(w, AT_RANDOM)), random_bytes, 16);
}

static void strings_stand_in_one_row(void **state)
{
	char *argv[] = {"a", "bb", NULL}, *envp[] = {"C=3", NULL};
	const uint64_t *w = at(build(argv, envp, BYTES));

	(void)state;
	assert_memory_equal(at(w[1]), "a\0bb\0C=3", 9);
}

static void is_aligned_for_every_count(void **state)
{
	char *argv[34] = {NULL}, *envp[] = {NULL};

	(void)state;
	for (int n = 1; n < 34; n++) {
		argv[n - 1] = "x";
		argv[n] = NULL;
		uint64_t rsp = build(argv, envp, BYTES);

		assert_int_equal(rsp % 16, 0);
		assert_int_equal(*(const uint64_t *)at(rsp), n);
	}
}

static void no_arguments_and_no_environment(void **state)
{
	char *none[] = {NULL};
	const uint64_t *w = at(build(none, none, BYTES));

	(void)state;
	assert_int_equal(w[0], 0);
	assert_int_equal(w[1], 0);
	assert_int_equal(w[2], 0);
	assert_int_equal(aux_value(w + 3, AT_PAGESZ), 4096);
}

static void says_when_it_does_not_fit_and_writes_no_byte_outside(void **state)
{
	char *argv[] = {"prog", "an argument of some length", NULL}, *envp[] = {"NAME=value", NULL};

	(void)state;
	for (size_t bytes = 0; bytes < 600; bytes += 8) {
		uint64_t rsp = build(argv, envp, bytes);

		for (size_t i = 0; i < BYTES - bytes; i++)
			assert_int_equal(stack[i], 0xaa);
		if (args_bytes(argv, envp) <= bytes)
			assert_true(rsp);
	}
	assert_int_equal(build(argv, envp, 64), 0);
}

static void refuses_more_than_the_limit(void **state)
{
	char *big = malloc(ARGS_MAX_BYTES + 1), *argv[] = {"p", big, NULL}, *envp[] = {NULL};

	(void)state;
	memset(big, 'x', ARGS_MAX_BYTES);
	big[ARGS_MAX_BYTES] = 0;
	assert_int_equal(args_bytes(argv, envp), 0);
	big[1000] = 0;
	assert_true(args_bytes(argv, envp) > 1000);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lays_out_argc_argv_envp_auxv),
		cmocka_unit_test(strings_stand_in_one_row),
		cmocka_unit_test(is_aligned_for_every_count),
		cmocka_unit_test(no_arguments_and_no_environment),
		cmocka_unit_test(says_when_it_does_not_fit_and_writes_no_byte_outside),
		cmocka_unit_test(refuses_more_than_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
