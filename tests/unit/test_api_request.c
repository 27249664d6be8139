/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_request.c: the bodies of requests: what they become, and what is said of bad ones. */
/* sources: monitor/daemon/api_request.c monitor/daemon/api_request_small.c */
/* sources: monitor/daemon/api_fields.c monitor/daemon/api_base64.c monitor/err.c */
/* sources: monitor/daemon/vm_net.c monitor/net_spec.c monitor/net_address.c */
/* sources: monitor/net_spec_print.c monitor/net_port.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/daemon/api_base64.h"
#include "../../monitor/daemon/api_request.h"

static struct create_request c;
static struct err err;

static int parse(const char *body)
{
	memset(&err, 0, sizeof(err));
	return create_request_parse(body, strlen(body), &c, &err);
}

static void good(const char *body)
{
	if (parse(body))
		fail_msg("%s: %s", body, err.message);
}

static void defaults(void **state)
{
	(void)state;
	good("{\"image\":\"/bin/true\"}");
	assert_string_equal(c.spec.image, "/bin/true");
	assert_null(c.spec.argv);
	assert_null(c.spec.envp);
	assert_null(c.spec.workdir);
	assert_null(c.spec.name);
	assert_int_equal(c.spec.nlabels, 0);
	assert_int_equal(c.spec.image_fd, -1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(c.spec.fds[i], -1);
	assert_int_equal(c.spec.memory_bytes, 0);
	assert_int_equal(c.spec.timeout_ns, 0);
	assert_int_equal(c.spec.stdin_bytes, 0);
	assert_false(c.spec.stdin_open || c.spec.capture || c.spec.strace || c.spec.remove);
	assert_true(c.start && !c.wait);
	create_request_free(&c);
}

static void everything(void **state)
{
	(void)state;
	good("{\"image\":\"/bin/x\",\"args\":[\"a\",\"\",\"\\u00e9\"],\"argv0\":\"zero\","
	     "\"env\":{\"A\":\"1\",\"B\":\"\"},\"workdir\":\"/tmp\",\"name\":\"n\","
	     "\"labels\":{\"k\":\"v\",\"\":\"\"},\"memory_mib\":128,\"timeout_ms\":1500,"
	     "\"stdin\":\"in\\u0000put\",\"stdin_open\":true,\"wait\":true,\"rm\":false,"
	     "\"start\":true,\"capture_bytes\":77,\"strace\":true,"
	     "\"limits\":{\"memory_max_mib\":64,\"cpu_weight\":10000,\"cpus\":0.5,\"pids_max\":3}"
	     "}");
	assert_string_equal(c.spec.argv[0], "zero");
	assert_string_equal(c.spec.argv[1], "a");
	assert_string_equal(c.spec.argv[2], "");
	assert_string_equal(c.spec.argv[3], "\xc3\xa9");
	assert_null(c.spec.argv[4]);
	assert_string_equal(c.spec.envp[0], "A=1");
	assert_string_equal(c.spec.envp[1], "B=");
	assert_null(c.spec.envp[2]);
	assert_string_equal(c.spec.workdir, "/tmp");
	assert_string_equal(c.spec.name, "n");
	assert_int_equal(c.spec.nlabels, 2);
	assert_string_equal(c.spec.labels[0].key, "k");
	assert_string_equal(c.spec.labels[0].value, "v");
	assert_int_equal(c.spec.memory_bytes, 128 << 20);
	assert_int_equal(c.spec.timeout_ns, 1500000000);
	assert_int_equal(c.spec.stdin_bytes, 6);
	assert_memory_equal(c.spec.stdin_data, "in\0put", 6);
	assert_true(c.spec.stdin_open && c.spec.capture && c.spec.strace && c.wait);
	assert_false(c.spec.remove);
	assert_int_equal(c.spec.capture_bytes, 77);
	assert_int_equal(c.spec.memory_max_bytes, 64 << 20);
	assert_int_equal(c.spec.cpu_weight, 10000);
	assert_int_equal(c.spec.cpu_max_milli, 500);
	assert_int_equal(c.spec.pids_max, 3);
	create_request_free(&c);
}

static void arguments(void **state)
{
	(void)state;
	good("{\"image\":\"/i\",\"args\":[]}");
	assert_string_equal(c.spec.argv[0], "/i");
	assert_null(c.spec.argv[1]);
	create_request_free(&c);
	good("{\"image\":\"/i\",\"argv0\":\"\"}");
	assert_string_equal(c.spec.argv[0], "");
	assert_null(c.spec.argv[1]);
	create_request_free(&c);
	/* The order of fields does not matter. */
	good("{\"args\":[\"a\"],\"image\":\"/i\"}");
	assert_string_equal(c.spec.argv[0], "/i");
	assert_string_equal(c.spec.argv[1], "a");
	create_request_free(&c);
	good("{\"image\":\"/i\",\"env\":[\"A=b=c\",\"A=\"]}");
	assert_string_equal(c.spec.envp[0], "A=b=c");
	assert_string_equal(c.spec.envp[1], "A=");
	assert_null(c.spec.envp[2]);
	create_request_free(&c);
	good("{\"image\":\"/i\",\"env\":{}}");
	assert_null(c.spec.envp[0]);
	create_request_free(&c);
}

/* rm goes with wait unless it is said. */
static void removal(void **state)
{
	static const struct {
		const char *body;
		bool remove;
	} cases[] = {
		{"{\"image\":\"/i\"}", false},
		{"{\"image\":\"/i\",\"rm\":true}", true},
		{"{\"image\":\"/i\",\"wait\":true}", true},
		{"{\"image\":\"/i\",\"wait\":true,\"rm\":false}", false},
		{"{\"image\":\"/i\",\"wait\":false,\"rm\":true}", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		good(cases[i].body);
		assert_int_equal(c.spec.remove, cases[i].remove);
		create_request_free(&c);
	}
}

static void input(void **state)
{
	(void)state;
	good("{\"image\":\"/i\",\"stdin\":{\"base64\":\"AP9hCg==\"}}");
	assert_int_equal(c.spec.stdin_bytes, 4);
	assert_memory_equal(c.spec.stdin_data,
			    "\0\xff"
			    "a\n",
			    4);
	create_request_free(&c);
	good("{\"image\":\"/i\",\"stdin\":{\"base64\":\"\"}}");
	assert_int_equal(c.spec.stdin_bytes, 0);
	create_request_free(&c);
	good("{\"image\":\"/i\",\"stdin\":\"\"}");
	assert_int_equal(c.spec.stdin_bytes, 0);
	create_request_free(&c);
}

/* Each message names the place, what is there, and what should be. */
static void complaints(void **state)
{
	static const struct {
		const char *body, *says;
	} bad[] = {
		{"", "image is missing"},
		{"{}", "image is missing"},
		{"nonsense", "the body is not JSON: line 1, column"},
		{"{\"image\":\"/i\"", "the body is not JSON"},
		{"{\"image\":\"/i\"} x", "the body is not JSON"},
		{"{\"image\":\"/i\",\"image\":\"/j\"}", "duplicate"},
		{"{\"image\":\"\xff\"}", "the body is not JSON"},
		{"[]", "the body must be a JSON object, not an array"},
		{"[\"image\"]", "the body must be a JSON object, not an array"},
		{"{\"image\":7}", "image must be a string, not 7"},
		{"{\"image\":null}", "image must be a string, not null"},
		{"{\"image\":\"\"}", "image is empty"},
		{"{\"image\":\"a\\u0000b\"}", "image has a NUL character"},
		{"{\"image\":\"/i\",\"memory\":1}", "there is no field memory; known are: image,"},
		{"{\"image\":\"/i\",\"Image\":\"/i\"}", "there is no field Image"},
		{"{\"image\":\"/i\",\"\":1}", "there is no field ; known"},
		{"{\"image\":\"/i\",\"args\":\"a\"}",
		 "args must be an array of strings, not a string"},
		{"{\"image\":\"/i\",\"args\":[\"a\",1]}", "args[1] must be a string, not 1"},
		{"{\"image\":\"/i\",\"args\":[\"a\\u0000\"]}", "args[0] has a NUL"},
		{"{\"image\":\"/i\",\"argv0\":false}", "argv0 must be a string, not false"},
		{"{\"image\":\"/i\",\"env\":1}", "env must be an object of strings"},
		{"{\"image\":\"/i\",\"env\":[\"A\"]}", "env has 'A'"},
		{"{\"image\":\"/i\",\"env\":[\"=A\"]}", "env has '=A'"},
		{"{\"image\":\"/i\",\"env\":[{}]}", "env[0] must be a string, not an object"},
		{"{\"image\":\"/i\",\"env\":{\"A=\":\"b\"}}", "env has 'A='"},
		{"{\"image\":\"/i\",\"env\":{\"\":\"b\"}}", "env has ''"},
		{"{\"image\":\"/i\",\"env\":{\"A\":1}}", "env.A must be a string, not 1"},
		{"{\"image\":\"/i\",\"labels\":[]}", "labels must be an object of strings"},
		{"{\"image\":\"/i\",\"labels\":{\"a\":{}}}", "labels.a must be a string"},
		{"{\"image\":\"/i\",\"memory_mib\":0}", "memory_mib must be a whole number from 1"},
		{"{\"image\":\"/i\",\"memory_mib\":-1}",
		 "memory_mib must be a whole number from 1"},
		{"{\"image\":\"/i\",\"memory_mib\":1.5}", "memory_mib must be a whole number"},
		{"{\"image\":\"/i\",\"memory_mib\":\"64\"}", "memory_mib must be a whole number"},
		{"{\"image\":\"/i\",\"memory_mib\":16777217}", "16777216, not 16777217"},
		{"{\"image\":\"/i\",\"memory_mib\":99999999999999999999}", "the body is not JSON"},
		{"{\"image\":\"/i\",\"timeout_ms\":0}", "timeout_ms must be"},
		{"{\"image\":\"/i\",\"timeout_ms\":1000000000001}", "timeout_ms must be"},
		{"{\"image\":\"/i\",\"stdin\":1}",
		 "stdin must be a string, or an object with base64"},
		{"{\"image\":\"/i\",\"stdin\":{}}", "stdin must be a string, or an object"},
		{"{\"image\":\"/i\",\"stdin\":{\"base64\":\"A\"}}", "stdin.base64 is not base64"},
		{"{\"image\":\"/i\",\"stdin\":{\"base64\":1}}", "stdin.base64 must be a string"},
		{"{\"image\":\"/i\",\"stdin\":{\"hex\":\"0a\"}}", "there is no field stdin.hex"},
		{"{\"image\":\"/i\",\"wait\":1}", "wait must be true or false, not 1"},
		{"{\"image\":\"/i\",\"rm\":\"yes\"}", "rm must be true or false, not a string"},
		{"{\"image\":\"/i\",\"wait\":true,\"start\":false}",
		 "wait cannot be had with start false"},
		{"{\"image\":\"/i\",\"capture_bytes\":5}", "capture_bytes is only for wait"},
		{"{\"image\":\"/i\",\"wait\":true,\"capture_bytes\":0}", "capture_bytes must be"},
		{"{\"image\":\"/i\",\"limits\":5}", "limits must be an object, not 5"},
		{"{\"image\":\"/i\",\"limits\":{\"cpu\":1}}",
		 "there is no field limits.cpu; known are: memory_max"},
		{"{\"image\":\"/i\",\"limits\":{\"cpus\":0}}",
		 "limits.cpus must be a number from 0.001"},
		{"{\"image\":\"/i\",\"limits\":{\"cpus\":\"1\"}}", "limits.cpus must be a number"},
		{"{\"image\":\"/i\",\"limits\":{\"cpu_weight\":10001}}",
		 "limits.cpu_weight must be"},
		{"{\"image\":\"/i\",\"limits\":{\"memory_max_mib\":0}}",
		 "limits.memory_max_mib must be"},
		{"{\"image\":\"/i\",\"limits\":{\"pids_max\":0}}", "limits.pids_max must be"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!parse(bad[i].body))
			fail_msg("accepted: %s", bad[i].body);
		if (!strstr(err.message, bad[i].says))
			fail_msg("%s: said '%s', not '%s'", bad[i].body, err.message, bad[i].says);
		create_request_free(&c);
	}
}

/* What jansson would take a stack for. */
static void depth(void **state)
{
	static char body[200000];

	(void)state;
	memset(body, '[', sizeof(body) - 1);
	assert_int_not_equal(parse(body), 0);
	assert_non_null(strstr(err.message, "the body is not JSON"));
	create_request_free(&c);
}

static void signals(void **state)
{
	static const struct {
		const char *body;
		int signal; /* 0: refused */
	} cases[] = {
		{"", SIGKILL},
		{"{}", SIGKILL},
		{"{\"signal\":\"TERM\"}", SIGTERM},
		{"{\"signal\":\"SIGHUP\"}", SIGHUP},
		{"{\"signal\":\"sigusr1\"}", SIGUSR1},
		{"{\"signal\":\"10\"}", 10},
		{"{\"signal\":64}", 64},
		{"{\"signal\":65}", 0},
		{"{\"signal\":0}", 0},
		{"{\"signal\":\"0\"}", 0},
		{"{\"signal\":\"\"}", 0},
		{"{\"signal\":\"SIG\"}", 0},
		{"{\"signal\":\"9x\"}", 0},
		{"{\"signal\":\"-9\"}", 0},
		{"{\"signal\":\"99999999999999999999\"}", 0},
		{"{\"signal\":\"NONE\"}", 0},
		{"{\"signal\":[]}", 0},
		{"{\"sig\":1}", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int number = SIGKILL;
		int ret = kill_request_parse(cases[i].body, strlen(cases[i].body), &number, &err);

		if (!ret != !!cases[i].signal || (!ret && number != cases[i].signal))
			fail_msg("%s: %d, signal %d", cases[i].body, ret, number);
	}
}

static int pool(const char *body, struct flavour flavour[ENGINE_MAX_FLAVOURS], size_t *n)
{
	memset(&err, 0, sizeof(err));
	return pool_request_parse(body, strlen(body), flavour, n, &err);
}

static void flavours(void **state)
{
	static const struct {
		const char *body, *says;
	} bad[] = {
		{"{}", "flavours is missing"},
		{"{\"flavours\":[]}", "flavours must be an array of 1 to 16"},
		{"{\"flavours\":{}}", "flavours must be an array of 1 to 16"},
		{"{\"flavours\":[1]}", "flavours[0] must be an object, not 1"},
		{"{\"flavours\":[{}]}", "flavours[0] lacks memory_mib"},
		{"{\"flavours\":[{\"memory_mib\":64,\"maximum\":1}]}", "flavours[0] lacks minimum"},
		{"{\"flavours\":[{\"memory_mib\":64,\"minimum\":1}]}", "flavours[0] lacks maximum"},
		{"{\"flavours\":[{\"memory_mib\":64,\"minimum\":2,\"maximum\":1}]}",
		 "a minimum of 2, above its maximum of 1"},
		{"{\"flavours\":[{\"memory_mib\":0,\"minimum\":0,\"maximum\":1}]}",
		 "flavours[0].memory_mib must be"},
		{"{\"flavours\":[{\"memory_mib\":1,\"minimum\":0,\"maximum\":1000001}]}",
		 "flavours[0].maximum must be"},
		{"{\"flavours\":[{\"memory_mib\":64,\"minimum\":0,\"maximum\":1},"
		 "{\"memory_mib\":64,\"minimum\":0,\"maximum\":1}]}",
		 "flavours[0] and flavours[1] have the same"},
		{"{\"flavours\":[{\"memory_mib\":64,\"minimum\":0,\"maximum\":1,\"x\":1}]}",
		 "there is no field flavours[0].x"},
		{"{\"flavours\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", "1 to 16"},
	};
	struct flavour flavour[ENGINE_MAX_FLAVOURS];
	size_t n;

	(void)state;
	assert_int_equal(pool("{\"flavours\":[{\"memory_mib\":64,\"minimum\":0,\"maximum\":0},"
			      "{\"memory_mib\":128,\"minimum\":3,\"maximum\":9}]}",
			      flavour, &n),
			 0);
	assert_int_equal(n, 2);
	assert_int_equal(flavour[1].memory_bytes, 128 << 20);
	assert_int_equal(flavour[1].minimum, 3);
	assert_int_equal(flavour[1].maximum, 9);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!pool(bad[i].body, flavour, &n))
			fail_msg("accepted: %s", bad[i].body);
		if (!strstr(err.message, bad[i].says))
			fail_msg("%s: said '%s', not '%s'", bad[i].body, err.message, bad[i].says);
	}
}

/* RFC 4648 section 10, and what is none. */
static void base64(void **state)
{
	static const struct {
		const char *text, *encoded;
	} good_ones[] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xbf", "+/+/"},
	};
	static const char *const bad[] = {"Z",    "Zg",       "Zg=",       "=g==", "Z===",
					  "====", "Zg==Zg==", "Zh==",      "Zm9=", "Zm-v",
					  "Zm v", "Zg=a",     "\xc3\xa9zz"};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(good_ones) / sizeof(good_ones[0]); i++) {
		size_t n = strlen(good_ones[i].text);

		assert_int_equal(base64_bytes(n), strlen(good_ones[i].encoded));
		base64_encode(text, good_ones[i].text, n);
		assert_memory_equal(text, good_ones[i].encoded, base64_bytes(n));
		/* In place, as api_request.c may do it. */
		assert_int_equal(base64_decode(text, text, base64_bytes(n)), n);
		assert_memory_equal(text, good_ones[i].text, n);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (base64_decode(text, bad[i], strlen(bad[i])) >= 0)
			fail_msg("taken for base64: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),  cmocka_unit_test(everything),
		cmocka_unit_test(arguments), cmocka_unit_test(removal),
		cmocka_unit_test(input),     cmocka_unit_test(complaints),
		cmocka_unit_test(depth),     cmocka_unit_test(signals),
		cmocka_unit_test(flavours),  cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
