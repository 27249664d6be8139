/* SPDX-License-Identifier: Apache-2.0 */
/* test_news.c: messages of shells, good and hostile, and whom they are believed to be from. */
/* sources: monitor/daemon/news.c monitor/daemon/shells.c monitor/daemon/loop.c */
/* sources: monitor/daemon/timers.c monitor/daemon/slots.c monitor/err.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../monitor/daemon/news.h"
#include "../../monitor/daemon/shells.h"

/* ---- the form ---- */

static char message[WIRE_MAX_BYTES + 1];

static size_t compose(uint32_t type, uint64_t arg, const void *payload, size_t bytes)
{
	struct news head = {.type = type, .bytes = (uint32_t)bytes, .shell = 7, .arg = arg};

	memcpy(message, &head, sizeof(head));
	if (bytes)
		memcpy(message + sizeof(head), payload, bytes);
	return sizeof(head) + bytes;
}

/* In memory of just that size: a byte read beyond it is seen. */
static int parse(size_t bytes, struct news_item *item)
{
	char *copy = malloc(bytes ? bytes : 1);
	int ret;

	memcpy(copy, message, bytes);
	ret = news_parse(copy, bytes, item);
	free(copy);
	return ret;
}

static void those_without_payload(void **state)
{
	static const uint32_t types[] = {NEWS_READY, NEWS_STARTED, NEWS_INPUT};
	struct news_item item;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(parse(compose(types[i], 99, NULL, 0), &item), 0);
		assert_int_equal(item.head.type, types[i]);
		assert_int_equal(item.head.shell, 7);
		assert_int_equal(item.head.arg, 99);
		assert_int_equal(parse(compose(types[i], 99, "x", 1), &item), -EPROTO);
	}
}

static void lengths_must_agree(void **state)
{
	struct news_item item;
	size_t n = compose(NEWS_FAILED, 0, "sorry", 5);

	(void)state;
	assert_int_equal(parse(n, &item), 0);
	for (size_t less = 0; less < n; less++)
		assert_int_equal(parse(less, &item), -EPROTO);
	assert_int_equal(parse(n + 1, &item), -EPROTO);
	((struct news *)(void *)message)->bytes = UINT32_MAX;
	assert_int_equal(parse(n, &item), -EPROTO);
	/* A head that says 0 and is cut would wrap around. */
	((struct news *)(void *)message)->bytes = (uint32_t)-8;
	assert_int_equal(parse(sizeof(struct news) - 8, &item), -EPROTO);
}

static void types_must_exist(void **state)
{
	struct news_item item;

	(void)state;
	assert_int_equal(parse(compose(0, 0, NULL, 0), &item), -EPROTO);
	assert_int_equal(parse(compose(NEWS_EXIT + 1, 0, NULL, 0), &item), -EPROTO);
	assert_int_equal(parse(compose(UINT32_MAX, 0, NULL, 0), &item), -EPROTO);
}

static void states(void **state)
{
	struct news_item item;

	(void)state;
	assert_int_equal(parse(compose(NEWS_STATE, NEWS_RUNNING, NULL, 0), &item), 0);
	assert_int_equal(parse(compose(NEWS_STATE, NEWS_PAUSED, NULL, 0), &item), 0);
	assert_int_equal(parse(compose(NEWS_STATE, 0, NULL, 0), &item), -EPROTO);
	assert_int_equal(parse(compose(NEWS_STATE, 1ull << 32 | 1, NULL, 0), &item), -EPROTO);
}

static void output_names_its_stream(void **state)
{
	struct news_item item;

	(void)state;
	assert_int_equal(news_parse(message, compose(NEWS_OUTPUT, 2, "abc", 3), &item), 0);
	assert_int_equal(item.nbytes[0], 0);
	assert_int_equal(item.nbytes[1], 3);
	assert_memory_equal(item.bytes[1], "abc", 3);
	assert_int_equal(parse(compose(NEWS_OUTPUT, 0, "abc", 3), &item), -EPROTO);
	assert_int_equal(parse(compose(NEWS_OUTPUT, 3, "abc", 3), &item), -EPROTO);
	assert_int_equal(parse(compose(NEWS_OUTPUT, ~0ull, "abc", 3), &item), -EPROTO);
}

static void counters(void **state)
{
	struct news_counters c = {.exits = 5, .run_ns = UINT64_MAX};
	struct news_item item;

	(void)state;
	assert_int_equal(parse(compose(NEWS_STATS, 0, &c, sizeof(c)), &item), 0);
	assert_int_equal(item.counters.exits, 5);
	assert_int_equal(parse(compose(NEWS_STATS, 0, &c, sizeof(c) - 1), &item), -EPROTO);
	c.stdout_bytes = 1ull << 60; /* it would spoil every sum */
	assert_int_equal(parse(compose(NEWS_STATS, 0, &c, sizeof(c)), &item), -EPROTO);
}

static void counters_of_net_devices(void **state)
{
	struct {
		struct news_counters c;
		struct news_net net[NOXS_NET_MAX + 1];
	} all = {.c = {.exits = 5}};
	struct news_item item;

	(void)state;
	all.net[0].rx_frames = 7;
	all.net[1].broken = 1;
	assert_int_equal(
		parse(compose(NEWS_STATS, 0, &all, sizeof(all.c) + 2 * sizeof(all.net[0])), &item),
		0);
	assert_int_equal(item.nnet, 2);
	assert_int_equal(item.net[0].rx_frames, 7);
	assert_int_equal(item.net[1].broken, 1);
	assert_int_equal(
		parse(compose(NEWS_STATS, 0, &all, sizeof(all.c) + 2 * sizeof(all.net[0]) - 1),
		      &item),
		-EPROTO);
	assert_int_equal(
		parse(compose(NEWS_STATS, 0, &all, sizeof(all.c) + 4 * sizeof(all.net[0])), &item),
		0);
	assert_int_equal(item.nnet, NOXS_NET_MAX);
	assert_int_equal(parse(compose(NEWS_STATS, 0, &all, sizeof(all)), &item), -EPROTO);
	all.net[1].broken = 2;
	assert_int_equal(
		parse(compose(NEWS_STATS, 0, &all, sizeof(all.c) + 2 * sizeof(all.net[0])), &item),
		-EPROTO);
	all.net[1].broken = 0;
	all.net[1].tx_bytes = 1ull << 60;
	assert_int_equal(
		parse(compose(NEWS_STATS, 0, &all, sizeof(all.c) + 2 * sizeof(all.net[0])), &item),
		-EPROTO);
}

static void claimed_addresses(void **state)
{
	struct {
		struct news_counters c;
		struct news_net net;
	} all = {0};
	struct noxs_net_address *a = &all.net.claimed[3];
	struct news_item item;

	(void)state;
	*a = (struct noxs_net_address){.family = 6, .prefix = 128, .address = {0xfd}};
	assert_int_equal(parse(compose(NEWS_STATS, 0, &all, sizeof(all)), &item), 0);
	assert_memory_equal(&item.net[0].claimed[3], a, sizeof(*a));
	a->prefix = 129;
	assert_int_equal(parse(compose(NEWS_STATS, 0, &all, sizeof(all)), &item), -EPROTO);
	*a = (struct noxs_net_address){.family = 4, .prefix = 32};
	assert_int_equal(parse(compose(NEWS_STATS, 0, &all, sizeof(all)), &item), 0);
	a->prefix = 33;
	assert_int_equal(parse(compose(NEWS_STATS, 0, &all, sizeof(all)), &item), -EPROTO);
	*a = (struct noxs_net_address){.family = 5};
	assert_int_equal(parse(compose(NEWS_STATS, 0, &all, sizeof(all)), &item), -EPROTO);
}

static size_t compose_exit(struct news_exit x, const char *rest, size_t bytes)
{
	char payload[sizeof(x) + 1000];

	memcpy(payload, &x, sizeof(x));
	memcpy(payload + sizeof(x), rest, bytes);
	return compose(NEWS_EXIT, 0, payload, sizeof(x) + bytes);
}

static void exits(void **state)
{
	struct news_exit x = {.end = END_EXITED,
			      .exit_code = 3,
			      .reason_bytes = 3,
			      .stdout_bytes = 2,
			      .stderr_bytes = 4};
	struct news_item item;
	struct news_exit bad;

	(void)state;
	assert_int_equal(news_parse(message, compose_exit(x, "whyoterr!", 9), &item), 0);
	assert_int_equal(item.exit.exit_code, 3);
	assert_int_equal(item.text_bytes, 3);
	assert_memory_equal(item.text, "why", 3);
	assert_memory_equal(item.bytes[0], "ot", 2);
	assert_memory_equal(item.bytes[1], "err!", 4);
	assert_int_equal(item.nbytes[1], 4);

	assert_int_equal(parse(compose_exit(x, "whyoterr", 8), &item), -EPROTO);
	assert_int_equal(parse(compose_exit(x, "whyoterr!!", 10), &item), -EPROTO);
	bad = x, bad.reason_bytes = UINT32_MAX, bad.stdout_bytes = 10;
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	bad = x, bad.end = 0;
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	bad = x, bad.end = END_FAILED + 1;
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	bad = x, bad.signal = 65;
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	bad = x, bad.signal = -1;
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	bad = x, bad.truncated = 1;
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	bad = x, bad.counters.lost_bytes = ~0ull;
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	bad = x, bad.nnet = 1; /* as many bytes as there are, but not so many devices */
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	bad.nnet = UINT32_MAX;
	assert_int_equal(parse(compose_exit(bad, "whyoterr!", 9), &item), -EPROTO);
	assert_int_equal(parse(compose(NEWS_EXIT, 0, &x, sizeof(x) - 1), &item), -EPROTO);
}

static void exits_with_net_devices(void **state)
{
	struct news_exit x = {.end = END_EXITED, .reason_bytes = 3, .nnet = 1};
	struct news_net net = {.tx_frames = 9};
	char rest[sizeof(net) + 3];
	struct news_item item;

	(void)state;
	memcpy(rest, &net, sizeof(net));
	memcpy(rest + sizeof(net), "why", 3);
	assert_int_equal(news_parse(message, compose_exit(x, rest, sizeof(rest)), &item), 0);
	assert_int_equal(item.nnet, 1);
	assert_int_equal(item.net[0].tx_frames, 9);
	assert_memory_equal(item.text, "why", 3);
	assert_int_equal(parse(compose_exit(x, rest, sizeof(rest) - 1), &item), -EPROTO);
}

static void long_reasons_are_cut(void **state)
{
	char text[2000];
	struct news_item item;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(parse(compose(NEWS_FAILED, 0, text, sizeof(text)), &item), 0);
	assert_int_equal(item.text_bytes, NEWS_MAX_TEXT);
}

/* ---- the sender ---- */

#define FIRST_UID 5000u

struct world {
	struct shells shells;
	struct shell *a, *b;
};

static int setup(void **state)
{
	static struct world w;
	struct err err;

	*state = &w;
	if (shells_init(&w.shells, FIRST_UID, 3, &err))
		return -1;
	w.a = shells_add(&w.shells, 64 << 20, &err);
	w.b = shells_add(&w.shells, 64 << 20, &err);
	return !w.a || !w.b || w.a->uid == w.b->uid;
}

static int teardown(void **state)
{
	shells_free(&((struct world *)*state)->shells);
	return 0;
}

static struct shell *sender(struct world *w, const struct shell *claims, int pid, uint32_t uid,
			    bool hello, struct shell **culprit)
{
	struct ucred c = {.pid = pid, .uid = uid, .gid = uid};

	return shells_sender(&w->shells, claims ? claims->number : 999, &c, hello, culprit);
}

static void the_process_that_said_hello_is_it(void **state)
{
	struct world *w = *state;
	struct shell *culprit;

	/* Nothing but hello from one that is not known. */
	assert_null(sender(w, w->a, 100, w->a->uid, false, &culprit));
	assert_ptr_equal(sender(w, w->a, 100, w->a->uid, true, &culprit), w->a);
	assert_ptr_equal(sender(w, w->a, 100, w->a->uid, false, &culprit), w->a);
	assert_int_equal(w->a->pid, 100);
	/* Another process under that number is nobody. */
	assert_null(sender(w, w->a, 101, w->a->uid, false, &culprit));
	assert_null(culprit);
	assert_null(sender(w, w->a, 101, w->a->uid, true, &culprit));
}

static void a_shell_cannot_speak_for_another(void **state)
{
	struct world *w = *state;
	struct shell *culprit;

	assert_ptr_equal(sender(w, w->a, 100, w->a->uid, true, &culprit), w->a);
	/* For one that is being prepared: it would be b for ever. */
	assert_null(sender(w, w->b, 100, w->a->uid, true, &culprit));
	assert_ptr_equal(culprit, w->a);
	/* Not even where all have one uid. */
	w->a->uid = w->b->uid = SHELL_NO_UID;
	assert_null(sender(w, w->b, 100, 0, true, &culprit));
	assert_ptr_equal(culprit, w->a);
	assert_ptr_equal(sender(w, w->b, 200, 0, true, &culprit), w->b);
	/* And for one that is known. */
	assert_null(sender(w, w->b, 100, 0, false, &culprit));
	assert_ptr_equal(culprit, w->a);
	assert_null(sender(w, NULL, 100, 0, false, &culprit));
	assert_ptr_equal(culprit, w->a);
}

static void uids_must_fit(void **state)
{
	struct world *w = *state;
	struct shell *culprit;

	assert_null(sender(w, w->a, 100, w->b->uid, true, &culprit));
	assert_null(culprit);
	assert_int_equal(w->a->pid, 0);
	/* Before its jail it is still what the daemon is. */
	assert_ptr_equal(sender(w, w->a, 100, geteuid(), true, &culprit), w->a);
	assert_ptr_equal(sender(w, w->a, 100, w->a->uid, false, &culprit), w->a);
}

static void processes_of_other_namespaces_are_nobody(void **state)
{
	struct world *w = *state;
	struct shell *culprit;

	assert_null(sender(w, w->a, 0, w->a->uid, true, &culprit));
	assert_null(sender(w, w->a, -1, w->a->uid, true, &culprit));
	assert_int_equal(w->a->pid, 0);
}

static void a_pid_that_was_reaped_may_come_back(void **state)
{
	struct world *w = *state;
	struct shell *culprit;

	assert_ptr_equal(sender(w, w->a, 100, w->a->uid, true, &culprit), w->a);
	/* The zygote has told of a's end, but that was not acted upon yet. */
	w->a->ended = true;
	assert_ptr_equal(sender(w, w->a, 100, w->a->uid, false, &culprit), w->a);
	/* What it said in another's name before is still its offence. */
	assert_null(sender(w, w->b, 100, w->a->uid, true, &culprit));
	assert_ptr_equal(culprit, w->a);
	assert_ptr_equal(sender(w, w->a, 100, w->a->uid, false, &culprit), w->a);
	assert_ptr_equal(sender(w, w->b, 100, w->b->uid, true, &culprit), w->b);
	shells_remove(&w->shells, w->a);
	assert_ptr_equal(sender(w, w->b, 100, w->b->uid, false, &culprit), w->b);
}

static void uids_are_given_out_once_and_come_back(void **state)
{
	struct world *w = *state;
	struct err err;
	struct shell *c = shells_add(&w->shells, 1, &err);
	uint32_t uid = w->a->uid;
	uint64_t last;

	assert_non_null(c);
	last = c->number;
	assert_null(shells_add(&w->shells, 1, &err));
	assert_non_null(strstr(err.message, "--uids"));
	shells_remove(&w->shells, w->a);
	c = shells_add(&w->shells, 1, &err);
	assert_non_null(c);
	assert_int_equal(c->uid, uid);
	/* Numbers do not. */
	assert_true(c->number > last);
	assert_ptr_equal(shells_find(&w->shells, c->number), c);
	assert_null(shells_find(&w->shells, 1));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_without_payload),
		cmocka_unit_test(lengths_must_agree),
		cmocka_unit_test(types_must_exist),
		cmocka_unit_test(states),
		cmocka_unit_test(output_names_its_stream),
		cmocka_unit_test(counters),
		cmocka_unit_test(counters_of_net_devices),
		cmocka_unit_test(claimed_addresses),
		cmocka_unit_test(exits),
		cmocka_unit_test(exits_with_net_devices),
		cmocka_unit_test(long_reasons_are_cut),
		IN_WORLD(the_process_that_said_hello_is_it),
		IN_WORLD(a_shell_cannot_speak_for_another),
		IN_WORLD(uids_must_fit),
		IN_WORLD(processes_of_other_namespaces_are_nobody),
		IN_WORLD(a_pid_that_was_reaped_may_come_back),
		IN_WORLD(uids_are_given_out_once_and_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
