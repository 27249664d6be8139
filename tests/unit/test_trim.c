/* SPDX-License-Identifier: Apache-2.0 */
/* test_trim.c: the cache of prepared images stays within its bound, the newest kept. */
/* clang-format off */
/* sources: monitor/image/trim.c */
/* clang-format on */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../monitor/image/trim.h"

#define KIB 1024

static char path[] = "/tmp/mayfly-trim.XXXXXX";
static int dir;

static void name_of(char *name, int i)
{
	sprintf(name, "sha256-%064d", i);
}

/* Image i of 64 KiB, made at second i, and a link to it. */
static void make_image(int i)
{
	static char bytes[64 * KIB];
	struct timespec times[2] = {{i, 0}, {i, 0}};
	char name[80], link[32];
	int fd;

	memset(bytes, 1, sizeof(bytes));
	name_of(name, i);
	fd = openat(dir, name, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	fsync(fd); /* so that its blocks are counted */
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
	sprintf(link, "id-%d", i);
	assert_int_equal(symlinkat(name, dir, link), 0);
}

static int there(const char *name)
{
	return !faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(path))
		return -1;
	dir = open(path, O_RDONLY | O_DIRECTORY);
	for (int i = 1; i <= 10; i++)
		make_image(i);
	close(openat(dir, "host", O_WRONLY | O_CREAT, 0600));
	return 0;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	close(dir);
	snprintf(command, sizeof(command), "rm -rf %s", path);
	return system(command);
}

static void trims_the_oldest_and_their_links(void **state)
{
	char name[80], link[32];

	(void)state;
	trim_cache(dir, 640 * KIB); /* fits */
	for (int i = 1; i <= 10; i++) {
		name_of(name, i);
		assert_true(there(name));
	}
	trim_cache(dir, 512 * KIB); /* down to 384: six are left */
	for (int i = 1; i <= 10; i++) {
		name_of(name, i);
		sprintf(link, "id-%d", i);
		assert_int_equal(there(name), i > 4);
		assert_int_equal(there(link), i > 4);
	}
	trim_cache(dir, 1);
	name_of(name, 10);
	assert_true(there(name));
	name_of(name, 9);
	assert_false(there(name));
	assert_true(there("host"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(trims_the_oldest_and_their_links)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
