/* SPDX-License-Identifier: Apache-2.0 */
/* test_cgroup.c: the texts of cgroups: mounts, own paths, limits; also odd and hostile ones. */
/* sources: monitor/daemon/cgroup_parse.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/daemon/cgroup_parse.h"

/* Lines go through a block of their own size, so that a byte too many is found. */
static char *copy;

static bool mount(const char *line, struct cgroup_mount *m)
{
	free(copy);
	copy = strdup(line);
	return cgroup_parse_mount(copy, m);
}

static bool self(const char *line, struct cgroup_self *s)
{
	free(copy);
	copy = strdup(line);
	return cgroup_parse_self(copy, s);
}

static void controllers(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(cgroup_controllers(""), 0);
	assert_int_equal(cgroup_controllers("memory"), CGROUP_MEMORY);
	assert_int_equal(cgroup_controllers("cpu,cpuacct"), CGROUP_CPU | CGROUP_CPUACCT);
	assert_int_equal(cgroup_controllers("cpuset cpu io memory hugetlb pids rdma misc\n"),
			 CGROUP_WANTED | CGROUP_CPUSET);
	/* Whole words only. */
	assert_int_equal(cgroup_controllers("cpus,memoryx,xpids,cpu_,pid"), 0);
	assert_int_equal(cgroup_controllers("rw,release_agent=/pids,name=memory"), 0);
	assert_int_equal(cgroup_controllers(",,,cpu,,"), CGROUP_CPU);
	assert_string_equal(cgroup_controller_names(CGROUP_CPU | CGROUP_PIDS, text), "cpu, pids");
	assert_string_equal(cgroup_controller_names(0, text), "");
	cgroup_controller_names(~0u, text);
	assert_string_equal(text, "memory, cpu, pids, cpuacct, cpuset");
}

static void mounts(void **state)
{
	struct cgroup_mount m;

	(void)state;
	/* v2, as systemd mounts it. */
	assert_true(mount("29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - "
			  "cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot",
			  &m));
	assert_true(m.v2);
	assert_false(m.read_only);
	assert_string_equal(m.root, "/");
	assert_string_equal(m.point, "/sys/fs/cgroup");
	/* Words of v2's options are no controllers. */
	assert_int_equal(m.controllers, 0);
	assert_true(mount("29 23 0:26 / /c rw - cgroup2 cgroup2 rw,memory,cpu", &m));
	assert_int_equal(m.controllers, 0);

	/* v1: no optional fields, one, and three. */
	assert_true(mount("35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup "
			  "rw,memory",
			  &m));
	assert_false(m.v2);
	assert_int_equal(m.controllers, CGROUP_MEMORY);
	assert_true(mount("35 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup "
			  "rw,cpu,cpuacct",
			  &m));
	assert_int_equal(m.controllers, CGROUP_CPU | CGROUP_CPUACCT);
	assert_true(mount("35 31 0:32 / /p ro,relatime shared:1 master:2 propagate_from:3 - cgroup "
			  "none rw,pids",
			  &m));
	assert_int_equal(m.controllers, CGROUP_PIDS);
	assert_true(m.read_only);
	/* A hierarchy without controllers, and one with a name. */
	assert_true(mount("40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup "
			  "rw,xattr,name=systemd",
			  &m));
	assert_int_equal(m.controllers, 0);
	/* The file system may be read-only where the mount is not: it is the mount that counts;
	 * and "rot" is no "ro". */
	assert_true(mount("1 1 0:1 / /p rot,x - cgroup none ro,pids", &m));
	assert_false(m.read_only);
	assert_true(mount("1 1 0:1 / /p ro - cgroup none rw,pids", &m));
	assert_true(m.read_only);
}

static void mounts_escaped(void **state)
{
	struct cgroup_mount m;

	(void)state;
	assert_true(mount("1 2 0:3 /a\\040b\\134 /mnt/my\\040cgroups\\011\\012\\134 rw - cgroup2 "
			  "my\\040source rw",
			  &m));
	assert_string_equal(m.root, "/a b\\");
	assert_string_equal(m.point, "/mnt/my cgroups\t\n\\");
	/* What is no escape stays as it is, at the end of the text, too. */
	assert_true(mount("1 2 0:3 /\\ /\\04 rw - cgroup2 x rw", &m));
	assert_string_equal(m.root, "/\\");
	assert_string_equal(m.point, "/\\04");
	assert_true(mount("1 2 0:3 /\\400\\089 /\\0400 rw - cgroup2 x rw", &m));
	assert_string_equal(m.root, "/\\400\\089");
	assert_string_equal(m.point, "/ 0");
	/* A NUL ends the name, and hides nothing that would be read behind it. */
	assert_true(mount("1 2 0:3 / /a\\000b rw - cgroup2 x rw", &m));
	assert_string_equal(m.point, "/a");
	/* A dash in a name is not the separator; neither is one in an optional field. */
	assert_true(mount("1 2 0:3 /- /- rw -x x- - cgroup2 - rw", &m));
	assert_string_equal(m.root, "/-");
	assert_true(m.v2);
	/* An empty source. */
	assert_true(mount("1 2 0:3 / /p rw - cgroup  rw,pids", &m));
	assert_int_equal(m.controllers, CGROUP_PIDS);
}

static void mounts_bad(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"-",
		"          ",
		"1",
		"1 2 0:3 / /sys",
		"1 2 0:3 / /sys rw",
		"1 2 0:3 / /sys rw -",
		"1 2 0:3 / /sys rw - cgroup2",
		"1 2 0:3 / /sys rw - cgroup2 cgroup2",
		"1 2 0:3 / /sys rw cgroup2 cgroup2 rw",
		"1 2 0:3 relative /sys rw - cgroup2 cgroup2 rw",
		"1 2 0:3 / relative rw - cgroup2 cgroup2 rw",
		"1 2 0:3  /sys rw - cgroup2 cgroup2 rw",
		"22 1 254:1 / / rw,relatime - ext4 /dev/root rw",
		"22 1 254:1 / /cgroup rw,relatime - tmpfs cgroup rw",
		"22 1 254:1 / /cgroup rw,relatime - cgroup3 cgroup rw",
		"22 1 254:1 / /cgroup rw,relatime - cgroup2fs cgroup rw",
	};
	struct cgroup_mount m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (mount(bad[i], &m))
			fail_msg("taken: %s", bad[i]);
}

/* Every prefix of a good line, and every line with one byte changed: no fault, and no pointer
 * that leads out of the line (the sanitizer looks). */
static void mounts_damaged(void **state)
{
	static const char good[] = "35 31 0:32 /a\\040b /sys/fs/cgroup/x rw shared:1 - cgroup "
				   "none rw,memory,cpu";
	static const char put[] = " \\-,0/\001\377";
	char line[sizeof(good)];
	struct cgroup_mount m;

	(void)state;
	for (size_t i = 0; i < sizeof(good); i++) {
		memcpy(line, good, i);
		line[i] = '\0';
		if (mount(line, &m))
			assert_true(m.root[0] == '/' && m.point[0] == '/');
		for (size_t j = 0; j < sizeof(put) - 1 && i < sizeof(good) - 1; j++) {
			memcpy(line, good, sizeof(good));
			line[i] = put[j];
			if (mount(line, &m))
				assert_true(strlen(m.root) + strlen(m.point) < sizeof(good));
		}
	}
}

static void selves(void **state)
{
	static const char *const bad[] = {"",  ":",   "::", "0::",       "0::relative", "x::/a",
					  "1", "1:x", "/a", "-1:cpu:/a", ":cpu:/a",     "1:cpu:"};
	struct cgroup_self s;

	(void)state;
	assert_true(self("0::/system.slice/mayfly.service", &s));
	assert_true(s.v2);
	assert_string_equal(s.path, "/system.slice/mayfly.service");
	assert_true(self("4:memory:/a", &s));
	assert_false(s.v2);
	assert_int_equal(s.controllers, CGROUP_MEMORY);
	assert_true(self("12:cpu,cpuacct:/", &s));
	assert_int_equal(s.controllers, CGROUP_CPU | CGROUP_CPUACCT);
	assert_true(self("1:name=systemd:/init.scope", &s));
	assert_false(s.v2);
	assert_int_equal(s.controllers, 0);
	/* Colons and blanks belong to the path. */
	assert_true(self("3:pids:/a:b/c d:/e", &s));
	assert_string_equal(s.path, "/a:b/c d:/e");
	assert_true(self("0::/../..", &s));
	assert_string_equal(s.path, "/../..");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (self(bad[i], &s))
			fail_msg("taken: %s", bad[i]);
}

static void below(void **state)
{
	static const struct {
		const char *root, *path, *result;
	} cases[] = {
		{"/", "/", ""},
		{"/", "/a", "a"},
		{"/", "/a/b", "a/b"},
		{"/", "//a", "a"},
		/* A container's mount shows its own cgroup only. */
		{"/docker/1", "/docker/1", ""},
		{"/docker/1", "/docker/1/x", "x"},
		{"/docker/1/", "/docker/1/x", "x"},
		{"/docker/1", "/docker/12", NULL},
		{"/docker/1", "/docker", NULL},
		{"/docker/1", "/", NULL},
		{"/docker/1", "/other", NULL},
		/* Cgroup namespaces: both are told relative to the reader's root. */
		{"/..", "/", NULL}, /* mounted above it: our directory's name is unknown */
		{"/../..", "/", NULL},
		{"/../..", "/..", NULL},
		{"/..", "/../sibling", "sibling"},
		{"/..", "/..", ""},
		{"/../..", "/../../a/b", "a/b"},
		{"/", "/..", NULL}, /* we are outside of what is mounted */
		{"/", "/../..", NULL},
		{"/", "/../sibling", NULL},
		{"/..", "/../../x", NULL},
		{"/../a", "/../ab", NULL},
		{"/../a", "/../a/b", "b"},
		/* No way out by other places. */
		{"/", "/a/../b", NULL},
		{"/", "/a/..", NULL},
		{"/", "/..a/b..", "..a/b.."},
		{"/", "/...", "..."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *r = cgroup_below(cases[i].root, cases[i].path);

		if (!r != !cases[i].result || (r && strcmp(r, cases[i].result) != 0))
			fail_msg("%s in %s: %s", cases[i].path, cases[i].root, r ? r : "none");
	}
}

static void paths(void **state)
{
	static const char *const good[] = {"a", "/a", "a/b", "/machine.slice/vms", "a b", "..."};
	static const char *const bad[] = {"",     "/",      "//",   "..",  "/..",
					  "a/..", "a/../b", "../a", "a\nb"};
	char longest[1003];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!cgroup_path_is_good(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (cgroup_path_is_good(bad[i]))
			fail_msg("taken: %s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[1001] = '\0';
	assert_false(cgroup_path_is_good(longest));
	longest[1000] = '\0';
	assert_true(cgroup_path_is_good(longest));
}

static void limits(void **state)
{
	static const struct {
		uint32_t milli;
		uint64_t quota, period;
	} cases[] = {
		{1000, 100000, 100000}, {1500, 150000, 100000}, {10, 1000, 100000},
		{9, 9000, 1000000},     {1, 1000, 1000000},     {10000000, 1000000000, 100000},
	};

	(void)state;
	assert_int_equal(cgroup_shares(100), 1024); /* both are the default */
	assert_int_equal(cgroup_shares(1), 10);
	assert_int_equal(cgroup_shares(10000), 102400);
	/* Both ends are in what v1 takes, 2 to 262144. */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t quota = 0, period = 0;

		cgroup_quota(cases[i].milli, &quota, &period);
		assert_int_equal(quota, cases[i].quota);
		assert_int_equal(period, cases[i].period);
		assert_true(quota >= 1000); /* the kernel's least */
	}
}

static void fields(void **state)
{
	static const char events[] = "low 0\nhigh 7\nmax 12\noom 3\noom_kill 2\n";

	(void)state;
	assert_int_equal(cgroup_field(events, "oom_kill"), 2);
	assert_int_equal(cgroup_field(events, "oom"), 3);
	assert_int_equal(cgroup_field(events, "low"), 0);
	assert_int_equal(cgroup_field(events, "lo"), -1);
	assert_int_equal(cgroup_field(events, "oom_kill_disable"), -1);
	assert_int_equal(cgroup_field("oom_kill_disable 0\nunder_oom 0\noom_kill 5", "oom_kill"),
			 5);
	assert_int_equal(cgroup_field("", "oom_kill"), -1);
	assert_int_equal(cgroup_field("oom_kill", "oom_kill"), -1);
	assert_int_equal(cgroup_field("\n\n\n", "x"), -1);
	assert_int_equal(cgroup_field("usage_usec 18446744073709", "usage_usec"), 18446744073709);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(controllers),    cmocka_unit_test(mounts),
		cmocka_unit_test(mounts_escaped), cmocka_unit_test(mounts_bad),
		cmocka_unit_test(mounts_damaged), cmocka_unit_test(selves),
		cmocka_unit_test(below),          cmocka_unit_test(paths),
		cmocka_unit_test(limits),         cmocka_unit_test(fields),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	free(copy);
	return r;
}
