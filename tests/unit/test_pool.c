/* SPDX-License-Identifier: Apache-2.0 */
/* test_pool.c: how many shells the pool wants, in made-up time: no processes. */
/* sources: monitor/daemon/pool.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../monitor/daemon/pool.h"

#define MS       1000000ull
#define SECOND   1000000000ull
#define PREPARED (2 * MS)

static uint64_t now = 1000 * SECOND;

static struct flavour flavour(uint64_t mib, uint32_t minimum, uint32_t maximum)
{
	return (struct flavour){mib << 20, minimum, maximum, ""};
}

static struct pool pool_of(uint32_t minimum, uint32_t maximum, unsigned cpus)
{
	struct flavour f = flavour(64, minimum, maximum);
	struct pool p;

	pool_init(&p, &f, 1, cpus);
	return p;
}

/* Makes what the pool wants made, until it wants nothing. How many. */
static unsigned fill(struct pool *p)
{
	unsigned made = 0;
	bool urgent;
	int i;

	while ((i = pool_next(p, now, &urgent)) >= 0) {
		pool_began(p, i, urgent, now);
		pool_ready(p, i, urgent, PREPARED);
		if (urgent)
			pool_served(p, i);
		assert_true(++made < 10000);
	}
	return made;
}

static void tick(struct pool *p)
{
	now += POOL_TICK_NS;
	pool_tick(p, now);
	while (pool_excess(p) >= 0)
		pool_lost(p, pool_excess(p));
}

static void fills_to_its_minimum(void **state)
{
	struct pool p = pool_of(5, 20, 2);

	(void)state;
	assert_int_equal(fill(&p), 5);
	assert_int_equal(p.flavour[0].level.ready, 5);
	assert_int_equal(p.flavour[0].level.target, 5);
	assert_false(pool_is_busy(&p, now));
	assert_int_equal(fill(&p), 0);
}

static void prepares_no_more_at_once_than_cpus(void **state)
{
	struct pool p = pool_of(10, 20, 3);
	bool urgent;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pool_next(&p, now, &urgent), 0);
		assert_false(urgent);
		pool_began(&p, 0, urgent, now);
	}
	assert_int_equal(pool_next(&p, now, &urgent), -1);
	assert_true(pool_is_busy(&p, now));
	pool_ready(&p, 0, false, PREPARED);
	assert_int_equal(pool_next(&p, now, &urgent), 0);
}

static void an_empty_pool_makes_one_for_each_that_waits(void **state)
{
	struct pool p = pool_of(0, 20, 2);
	bool urgent;

	(void)state;
	assert_int_equal(fill(&p), 0);
	for (int i = 0; i < 3; i++)
		assert_false(pool_take(&p, 0, now));
	assert_int_equal(p.flavour[0].level.cold, 3);
	assert_int_equal(p.flavour[0].level.taken, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pool_next(&p, now, &urgent), 0);
		assert_true(urgent);
		pool_began(&p, 0, true, now);
	}
	/* None is made twice for one that waits. */
	pool_next(&p, now, &urgent);
	assert_false(urgent);
	pool_gave_up(&p, 0);
	pool_ready(&p, 0, true, PREPARED);
	pool_served(&p, 0);
	assert_int_equal(p.flavour[0].waiting, 1);
	assert_int_equal(p.flavour[0].urgent, 2);
	pool_next(&p, now, &urgent);
	assert_false(urgent);
}

static void waiting_starts_do_not_flood_the_machine(void **state)
{
	struct pool p = pool_of(0, 20, 2);
	bool urgent;
	int made = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		pool_take(&p, 0, now);
	while (pool_next(&p, now, &urgent) >= 0 && urgent && ++made < 2000)
		pool_began(&p, 0, true, now);
	assert_int_equal(made, 16);
}

static void a_ready_one_is_taken(void **state)
{
	struct pool p = pool_of(2, 20, 2);

	(void)state;
	fill(&p);
	assert_true(pool_take(&p, 0, now));
	assert_true(pool_take(&p, 0, now));
	assert_false(pool_take(&p, 0, now));
	assert_int_equal(p.flavour[0].level.taken, 2);
	assert_int_equal(p.flavour[0].level.cold, 1);
	assert_int_equal(p.flavour[0].level.ready, 0);
}

/* Starts at a steady rate, refilled at once. */
static void stream(struct pool *p, unsigned per_second, unsigned seconds)
{
	for (unsigned t = 0; t < seconds * 10; t++) {
		for (unsigned i = 0; i < per_second / 10; i++) {
			if (!pool_take(p, 0, now))
				fill(p);
		}
		tick(p);
		fill(p);
	}
}

static void the_target_follows_the_rate(void **state)
{
	struct pool p = pool_of(2, 100000, 2);
	uint32_t at_100, at_1000;

	(void)state;
	fill(&p);
	stream(&p, 100, 5);
	at_100 = p.flavour[0].level.target;
	stream(&p, 1000, 5);
	at_1000 = p.flavour[0].level.target;
	assert_in_range(at_100, 9, 30);
	assert_in_range(at_1000, 90, 300);
	/* One that takes longer to prepare needs more ahead. */
	for (int i = 0; i < 100; i++) {
		pool_began(&p, 0, false, now);
		pool_ready(&p, 0, false, SECOND);
		pool_lost(&p, 0);
	}
	tick(&p);
	assert_in_range(p.flavour[0].level.target, 1500, 2500);
}

static void a_burst_raises_the_target_at_once(void **state)
{
	struct pool p = pool_of(2, 100, 2);

	(void)state;
	fill(&p);
	for (int i = 0; i < 30; i++)
		pool_take(&p, 0, now);
	assert_int_equal(p.flavour[0].level.target, 30);
	/* The same burst a second later finds them ready. */
	fill(&p);
	for (int i = 0; i < 10; i++)
		tick(&p);
	for (int i = 0; i < 25; i++)
		assert_true(pool_take(&p, 0, now));
}

static void it_never_exceeds_the_maximum(void **state)
{
	struct pool p = pool_of(2, 12, 2);

	(void)state;
	stream(&p, 5000, 3);
	assert_int_equal(p.flavour[0].level.target, 12);
	assert_in_range(p.flavour[0].level.ready, 0, 12);
}

static void without_starts_it_falls_back_to_the_minimum(void **state)
{
	struct pool p = pool_of(3, 1000, 2);
	int ticks = 0;
	uint32_t last = 1000;

	(void)state;
	stream(&p, 2000, 5);
	assert_true(p.flavour[0].level.target > 100);
	while (pool_is_busy(&p, now)) {
		tick(&p);
		fill(&p);
		assert_true(p.flavour[0].level.target <= last);
		last = p.flavour[0].level.target;
		assert_true(++ticks < 3000);
	}
	assert_int_equal(p.flavour[0].level.target, 3);
	assert_int_equal(p.flavour[0].level.ready, 3);
	/* Not at once, though: the stream may go on. */
	assert_true(ticks > 300);
}

static void the_store_is_filled_when_it_is_quiet(void **state)
{
	struct pool p = pool_of(50, 100, 2);

	(void)state;
	assert_int_equal(fill(&p), 50);
	now += SECOND;
	for (int i = 0; i < 20; i++) {
		now += MS;
		assert_true(pool_take(&p, 0, now));
	}
	/* 30 are there, 20 came in the last tick: none but the one that each tick may have. */
	assert_int_equal(fill(&p), 1);
	now += POOL_QUIET_NS - 1;
	assert_int_equal(fill(&p), 0);
	assert_true(pool_is_busy(&p, now));
	assert_int_equal(pool_look_ns(&p, now), 1);
	now++;
	assert_int_equal(pool_look_ns(&p, now), POOL_TICK_NS);
	assert_int_equal(fill(&p), 19);
	/* What is lacking for such a burst to come again is made at once. */
	for (int i = 0; i < 40; i++)
		assert_true(pool_take(&p, 0, now));
	fill(&p);
	assert_int_equal(p.flavour[0].level.ready, 60);
}

static void a_busy_flavour_leaves_another_its_store(void **state)
{
	struct flavour both[2] = {flavour(64, 8, 100), flavour(256, 8, 100)};
	struct pool p;

	(void)state;
	pool_init(&p, both, 2, 2);
	fill(&p);
	for (int i = 0; i < 8; i++)
		pool_lost(&p, 1);
	/* 200 a second of the first, without a pause; what each takes is made again at once. */
	for (int ms = 0; ms < 2000; ms += 5, now += 5 * MS) {
		if (ms % 100 == 0)
			pool_tick(&p, now);
		pool_take(&p, 0, now);
		fill(&p);
	}
	assert_true(p.flavour[1].level.ready >= 8);
}

static void failures_pause_the_background_longer_and_longer(void **state)
{
	struct pool p = pool_of(5, 20, 2);
	uint64_t last = 0;
	bool urgent;

	(void)state;
	for (int i = 0; i < 12; i++) {
		uint64_t pause;

		assert_int_equal(pool_next(&p, now, &urgent), 0);
		pool_began(&p, 0, false, now);
		pool_began(&p, 0, false, now);
		pool_failed(&p, 0, false, now);
		pool_failed(&p, 0, false, now); /* at the same time: the same failure */
		assert_int_equal(pool_next(&p, now, &urgent), -1);
		assert_true(pool_is_busy(&p, now));
		pause = p.flavour[0].pause_until_ns - now;
		assert_true(pause >= last);
		last = pause;
		now = p.flavour[0].pause_until_ns;
	}
	assert_int_equal(last, 10 * SECOND);
	assert_int_equal(p.flavour[0].level.failed, 24);
	/* One success, and it starts anew. */
	pool_began(&p, 0, false, now);
	pool_ready(&p, 0, false, PREPARED);
	pool_began(&p, 0, false, now);
	pool_failed(&p, 0, false, now);
	assert_int_equal(p.flavour[0].pause_until_ns - now, 100 * MS);
}

static void one_flavour_s_failures_do_not_pause_another(void **state)
{
	struct flavour both[] = {flavour(64, 3, 5), flavour(128, 3, 5)};
	bool urgent, made[2] = {false, false};
	struct pool p;

	(void)state;
	pool_init(&p, both, 2, 2);
	pool_began(&p, 0, false, now);
	pool_failed(&p, 0, false, now);
	assert_int_equal(pool_next(&p, now, &urgent), 1);
	assert_true(p.flavour[1].pause_until_ns <= now);
	/* Nor does another's success end its pause. */
	pool_began(&p, 1, false, now);
	pool_ready(&p, 1, false, PREPARED);
	assert_int_equal(pool_next(&p, now, &urgent), 1);
	now = p.flavour[0].pause_until_ns;
	for (int i; (i = pool_next(&p, now, &urgent)) >= 0;) {
		made[i] = true;
		pool_began(&p, i, false, now);
		pool_ready(&p, i, false, PREPARED);
	}
	assert_true(made[0] && made[1]);
}

static void one_that_waits_is_made_in_spite_of_failures(void **state)
{
	struct pool p = pool_of(5, 20, 2);
	bool urgent;

	(void)state;
	pool_began(&p, 0, false, now);
	pool_failed(&p, 0, false, now);
	assert_int_equal(pool_next(&p, now, &urgent), -1);
	pool_take(&p, 0, now);
	assert_int_equal(pool_next(&p, now, &urgent), 0);
	assert_true(urgent);
}

static void several_flavours(void **state)
{
	const struct flavour f[] = {flavour(64, 2, 10), flavour(256, 6, 10), flavour(16, 0, 0)};
	struct pool p;
	bool urgent;
	int first;

	(void)state;
	pool_init(&p, f, 3, 100);
	assert_int_equal(pool_find(&p, 256ull << 20, ""), 1);
	assert_int_equal(pool_find(&p, 65ull << 20, ""), -1);
	for (int i = 0; i < 4; i++) {
		pool_began(&p, 1, false, now);
		pool_ready(&p, 1, false, PREPARED);
	}
	/* 64M lacks all of its target, 256M a third. */
	first = pool_next(&p, now, &urgent);
	assert_int_equal(first, 0);
	assert_int_equal(fill(&p), 4);
	assert_int_equal(p.flavour[0].level.ready, 2);
	assert_int_equal(p.flavour[1].level.ready, 6);
	/* No more than the maximum, which is none: but whoever wants one gets it. */
	pool_take(&p, 2, now);
	assert_int_equal(pool_next(&p, now, &urgent), 2);
	assert_true(urgent);
}

static void other_flavours_keep_the_history_of_what_stays(void **state)
{
	const struct flavour f[] = {flavour(64, 2, 1000), flavour(256, 6, 10)};
	const struct flavour g[] = {flavour(128, 1, 10), flavour(64, 4, 1000)};
	struct pool p;

	(void)state;
	pool_init(&p, f, 2, 2);
	stream(&p, 1000, 3);
	assert_true(p.flavour[0].level.taken + p.flavour[0].level.cold == 3000);
	pool_change(&p, g, 2);
	assert_int_equal(p.n, 2);
	assert_int_equal(pool_find(&p, 256ull << 20, ""), -1);
	assert_true(p.flavour[1].level.taken + p.flavour[1].level.cold == 3000);
	assert_true(p.flavour[1].level.target >= 90);
	assert_int_equal(p.flavour[1].level.ready, 0);
	assert_int_equal(p.flavour[1].level.flavour.minimum, 4);
	assert_int_equal(p.flavour[0].level.target, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_to_its_minimum),
		cmocka_unit_test(prepares_no_more_at_once_than_cpus),
		cmocka_unit_test(an_empty_pool_makes_one_for_each_that_waits),
		cmocka_unit_test(waiting_starts_do_not_flood_the_machine),
		cmocka_unit_test(a_ready_one_is_taken),
		cmocka_unit_test(the_target_follows_the_rate),
		cmocka_unit_test(a_burst_raises_the_target_at_once),
		cmocka_unit_test(it_never_exceeds_the_maximum),
		cmocka_unit_test(without_starts_it_falls_back_to_the_minimum),
		cmocka_unit_test(the_store_is_filled_when_it_is_quiet),
		cmocka_unit_test(a_busy_flavour_leaves_another_its_store),
		cmocka_unit_test(failures_pause_the_background_longer_and_longer),
		cmocka_unit_test(one_flavour_s_failures_do_not_pause_another),
		cmocka_unit_test(one_that_waits_is_made_in_spite_of_failures),
		cmocka_unit_test(several_flavours),
		cmocka_unit_test(other_flavours_keep_the_history_of_what_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
