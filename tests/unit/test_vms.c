/* SPDX-License-Identifier: Apache-2.0 */
/* test_vms.c: what a VM may be asked to be; its record; how it is found. */
/* sources: monitor/daemon/vm_address.c */
/* sources: monitor/daemon/vms.c monitor/daemon/vm_spec.c monitor/daemon/text.c monitor/err.c */
/* sources: monitor/daemon/vm_net.c monitor/net_spec.c monitor/net_address.c */
/* sources: monitor/net_spec_print.c monitor/net_port.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../monitor/daemon/images.h"
#include "../../monitor/daemon/text.h"
#include "../../monitor/daemon/vm_spec.h"
#include "../../monitor/daemon/vms.h"

static int images_put;

void image_put(struct image_ref *ref)
{
	(void)ref;
	images_put++;
}

static struct vm_spec hello(void)
{
	return (struct vm_spec){.image = "/bin/hello", .image_fd = -1, .fds = {-1, -1, -1}};
}

static int setup(void **state)
{
	static struct vms vms;
	struct err err;

	*state = &vms;
	return vms_init(&vms, &err);
}

static int teardown(void **state)
{
	vms_free(*state);
	return 0;
}

static struct record *make(struct vms *vms, const struct vm_spec *spec)
{
	struct record *r = NULL;
	struct err err;

	assert_int_equal(vms_create(vms, spec, 64 << 20, &r, &err), 0);
	assert_ptr_equal(r->vm.private, r);
	assert_int_equal(r->vm.state, VM_CREATED);
	return r;
}

static void refused(struct vms *vms, const struct vm_spec *spec, int failure, const char *says)
{
	struct record *r;
	struct err err = {0};

	assert_int_equal(vms_create(vms, spec, 64 << 20, &r, &err), failure);
	if (!strstr(err.message, says))
		fail_msg("\"%s\" does not say \"%s\"", err.message, says);
}

static void start_text_is_as_wire_h_has_it(void **state)
{
	char *argv[] = {(char *)"prog", (char *)"a b", (char *)"", NULL};
	char *envp[] = {(char *)"X=1", NULL};
	static const char expected[] = "/work\0box\0prog\0a b\0\0X=1\0input";
	struct vm_spec spec = hello();
	struct record *r;

	spec.argv = argv;
	spec.envp = envp;
	spec.workdir = "/work";
	spec.name = "box";
	spec.stdin_data = "input";
	spec.stdin_bytes = 5;
	spec.stdin_open = true;
	spec.capture = true;
	spec.strace = true;
	r = make(*state, &spec);
	assert_int_equal(r->start->argc, 3);
	assert_int_equal(r->start->envc, 1);
	assert_int_equal(r->start->stdin_bytes, 5);
	assert_int_equal(r->start->text_bytes, sizeof(expected) - 1 - 5);
	assert_memory_equal(r->start->text, expected, sizeof(expected) - 1);
	assert_int_equal(r->start->flags, START_STDIN | START_CAPTURE | START_STRACE);
	assert_string_equal(r->vm.args, "prog a b ");
	assert_string_equal(r->vm.name, "box");
}

static void what_is_not_given_has_a_default(void **state)
{
	struct vm_spec spec = hello();
	struct record *r = make(*state, &spec);
	char expected[64];
	int n = snprintf(expected, sizeof(expected), "/%c%s%c/bin/hello", 0, r->vm.id, 0) + 1;

	/* Working directory /, the id as the host's name, the image as the program's name. */
	assert_int_equal(r->start->text_bytes, n);
	assert_memory_equal(r->start->text, expected, (size_t)n);
	assert_int_equal(r->start->envc, 0);
	assert_null(r->vm.name);
	assert_int_equal(r->start->flags, 0);
}

static void long_arguments_are_cut_in_lists_only(void **state)
{
	char long_one[1000], *argv[] = {(char *)"p", long_one, (char *)"end", NULL};
	struct vm_spec spec = hello();
	struct record *r;

	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = 0;
	spec.argv = argv;
	r = make(*state, &spec);
	assert_true(strlen(r->vm.args) <= VM_ARGS_SHOWN + 3);
	assert_string_equal(r->vm.args + strlen(r->vm.args) - 5, "xx...");
	assert_int_equal(r->start->argc, 3);
	assert_true(r->start->text_bytes > 1000);
	/* Any length around the limit, for the arithmetic's sake. */
	for (size_t n = VM_ARGS_SHOWN - 6; n < VM_ARGS_SHOWN + 3; n++) {
		long_one[n] = 0;
		make(*state, &spec);
		long_one[n] = 'x';
	}
}

static void bad_specs(void **state)
{
	char *none[] = {NULL};
	struct label empty = {(char *)"", (char *)"v"};
	static char text[VM_MAX_TEXT_BYTES], path[PATH_MAX + 2];
	char *too_much[] = {(char *)"p", text, NULL};
	struct label many[VM_MAX_LABELS + 1];
	struct vm_spec s;

	memset(text, 'x', sizeof(text) - 1);
	memset(path, '/', sizeof(path) - 1);
	for (size_t i = 0; i <= VM_MAX_LABELS; i++)
		many[i] = (struct label){(char *)"k", (char *)"v"};
	s = hello(), s.image = NULL, refused(*state, &s, ENGINE_BAD, "image");
	s = hello(), s.image = "", refused(*state, &s, ENGINE_BAD, "image");
	s = hello(), s.image = "bin/x", refused(*state, &s, ENGINE_BAD, "absolute");
	s = hello(), s.image = path, refused(*state, &s, ENGINE_BAD, "too long");
	s = hello(), s.argv = none, refused(*state, &s, ENGINE_BAD, "name");
	s = hello(), s.workdir = "tmp", refused(*state, &s, ENGINE_BAD, "absolute");
	s = hello(), s.name = "", refused(*state, &s, ENGINE_BAD, "name");
	s = hello(), s.name = "-x", refused(*state, &s, ENGINE_BAD, "name");
	s = hello(), s.name = "a/b", refused(*state, &s, ENGINE_BAD, "name");
	s = hello(), s.name = "a b", refused(*state, &s, ENGINE_BAD, "name");
	s = hello(), s.cpu_weight = 10001, refused(*state, &s, ENGINE_BAD, "weight");
	s = hello(), s.labels = &empty, s.nlabels = 1, refused(*state, &s, ENGINE_BAD, "key");
	s = hello(), s.labels = many, s.nlabels = VM_MAX_LABELS + 1;
	refused(*state, &s, ENGINE_BAD, "64");
	many[0].value = text, text[5000] = 0, s.nlabels = 1;
	refused(*state, &s, ENGINE_BAD, "4096");
	text[5000] = 'x';
	s = hello(), s.argv = too_much, refused(*state, &s, ENGINE_TOO_LARGE, "bytes");
	s = hello(), s.stdin_data = text, s.stdin_bytes = VM_MAX_STDIN_BYTES + 1;
	refused(*state, &s, ENGINE_TOO_LARGE, "stdin");
	assert_null(vms_next(*state, NULL));
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Descriptors are taken over: also by a request that is refused. */
static void descriptors_are_closed(void **state)
{
	struct vms *vms = *state;
	struct vm_spec spec = hello();
	struct record *r;
	int fd[4];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++) {
			fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
			assert_true(fd[i] >= 0);
		}
		spec.image_fd = fd[0];
		memcpy(spec.fds, fd + 1, sizeof(spec.fds));
		spec.name = round == 1 ? "no good" : NULL;
		spec.image = round == 0 ? "any name" : "/x";
		if (round == 1) {
			refused(vms, &spec, ENGINE_BAD, "name");
		} else {
			r = make(vms, &spec);
			assert_true(r->start->flags & START_FDS);
			for (int i = 0; i < 4; i++)
				assert_true(is_open(fd[i]));
			if (round == 0)
				record_drop_start(r);
			vms_remove(vms, r);
		}
		for (int i = 0; i < 4; i++)
			assert_false(is_open(fd[i]));
	}
	spec = hello();
	spec.fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	refused(vms, &spec, ENGINE_BAD, "all three");
	assert_false(is_open(spec.fds[1]));
}

static void labels_are_copied(void **state)
{
	char key[] = "app", value[] = "web";
	struct label l[] = {{key, value}, {(char *)"empty", (char *)""}};
	struct vm_spec spec = hello();
	struct record *r;

	spec.labels = l;
	spec.nlabels = 2;
	r = make(*state, &spec);
	memset(key, 'z', 3);
	memset(value, 'z', 3);
	assert_int_equal(r->vm.nlabels, 2);
	assert_string_equal(r->vm.labels[0].key, "app");
	assert_string_equal(r->vm.labels[0].value, "web");
	assert_string_equal(r->vm.labels[1].value, "");
}

static void names_are_unique_among_those_that_exist(void **state)
{
	struct vms *vms = *state;
	struct vm_spec spec = hello();
	struct record *r;

	spec.name = "web.1";
	r = make(vms, &spec);
	assert_ptr_equal(vms_find(vms, "web.1"), r);
	refused(vms, &spec, ENGINE_CONFLICT, "web.1");
	vms_remove(vms, r);
	assert_null(vms_find(vms, "web.1"));
	make(vms, &spec);
}

static void found_by_id_and_by_its_beginning(void **state)
{
	struct vms *vms = *state;
	struct vm_spec spec = hello();
	static struct record *r[3000];
	char prefix[13];

	for (int i = 0; i < 3000; i++)
		r[i] = make(vms, &spec);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(strlen(r[i]->vm.id), 12);
		assert_ptr_equal(vms_find(vms, r[i]->vm.id), r[i]);
		/* Every length, against a search of all. */
		for (size_t n = 1; n < 12 && i < 100; n++) {
			struct record *only = NULL;
			int matches = 0;

			memcpy(prefix, r[i]->vm.id, n);
			prefix[n] = 0;
			for (int k = 0; k < 3000; k++)
				if (!strncmp(r[k]->vm.id, prefix, n))
					matches++, only = r[k];
			assert_ptr_equal(vms_find(vms, prefix), matches == 1 ? only : NULL);
		}
	}
	assert_null(vms_find(vms, ""));
	assert_null(vms_find(vms, "xyz"));
	assert_null(vms_find(vms, "0123456789abcdef0"));
	/* A name that looks like the beginning of an id comes first. */
	memcpy(prefix, r[7]->vm.id, 8);
	prefix[8] = 0;
	spec.name = prefix;
	assert_ptr_equal(vms_find(vms, prefix), r[7]);
	r[0] = make(vms, &spec);
	assert_ptr_equal(vms_find(vms, prefix), r[0]);
}

static void listed_oldest_first(void **state)
{
	struct vms *vms = *state;
	struct vm_spec spec = hello();
	struct record *r[5], *at = NULL;

	for (int i = 0; i < 5; i++)
		r[i] = make(vms, &spec);
	vms_remove(vms, r[2]);
	for (int i = 0; i < 5; i++)
		if (i != 2) {
			at = vms_next(vms, at);
			assert_ptr_equal(at, r[i]);
		}
	assert_null(vms_next(vms, at));
	assert_int_equal(vms->count[VM_CREATED], 4);
}

static void a_held_record_outlives_its_removal(void **state)
{
	struct vms *vms = *state;
	struct vm_spec spec = hello();
	struct record *r = make(vms, &spec);
	char id[ENGINE_ID_BYTES];

	memcpy(id, r->vm.id, sizeof(id));
	record_hold(r);
	record_hold(r);
	vms_remove(vms, r);
	vms_remove(vms, r);
	assert_null(vms_find(vms, id));
	assert_string_equal(r->vm.id, id);
	assert_false(record_release(r));
	assert_true(record_release(r));
}

/* 20,000 VMs are to take less than 64 MiB of the daemon: 1.5 KiB each, all in. */
static void a_running_ones_record_is_small(void **state)
{
	struct vms *vms = *state;
	char *argv[] = {(char *)"/usr/local/bin/some-program", (char *)"--listen",
			(char *)"127.0.0.1:8080", (char *)"--verbose", NULL};
	struct label l[] = {{(char *)"app", (char *)"web"}, {(char *)"tier", (char *)"front"}};
	struct vm_spec spec = hello();
	struct record *r;

	spec.argv = argv;
	spec.labels = l;
	spec.nlabels = 2;
	spec.name = "a-name-of-usual-length";
	r = make(vms, &spec);
	record_drop_start(r);
	assert_null(r->start);
	assert_true(malloc_usable_size(r) <= 1024);
}

static void check_clean(const char *from, size_t bytes, const char *to)
{
	char text[64];

	memcpy(text, from, bytes);
	text[text_clean(text, bytes)] = 0;
	assert_string_equal(text, to);
}

static void text_is_fit_to_be_shown(void **state)
{
	(void)state;
	check_clean("plain\ttext\n", 11, "plain\ttext\n");
	check_clean("a\0b", 3, "a?b");
	check_clean("\033[31mred", 8, "?[31mred");
	check_clean("\x7f", 1, "?");
	check_clean("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
	check_clean("\xe2\x82\xac", 3, "\xe2\x82\xac");
	check_clean("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80");
	check_clean("\xc2\x9b", 2, "??");           /* C1 control */
	check_clean("\xc0\xaf", 2, "??");           /* overlong */
	check_clean("\xe0\x80\xaf", 3, "???");      /* overlong */
	check_clean("\xed\xa0\x80", 3, "???");      /* surrogate */
	check_clean("\xf4\x90\x80\x80", 4, "????"); /* beyond U+10FFFF */
	check_clean("\xff\xfe", 2, "??");
	check_clean("\x80", 1, "?");
	check_clean("ab\xe2\x82", 4, "ab"); /* cut off by the end */
	check_clean("ab\xe2x", 4, "ab?x");
	check_clean("", 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(start_text_is_as_wire_h_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_given_has_a_default, setup, teardown),
		cmocka_unit_test_setup_teardown(long_arguments_are_cut_in_lists_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(bad_specs, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_are_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(labels_are_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(names_are_unique_among_those_that_exist, setup,
						teardown),
		cmocka_unit_test_setup_teardown(found_by_id_and_by_its_beginning, setup, teardown),
		cmocka_unit_test_setup_teardown(listed_oldest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(a_held_record_outlives_its_removal, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_running_ones_record_is_small, setup, teardown),
		cmocka_unit_test(text_is_fit_to_be_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
