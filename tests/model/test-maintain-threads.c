/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flush, merge, sweep and readers at the same time, in the simulator: every store request takes its
 * time, and the next thread is drawn by seed at each of them. The sweep meets uploads that no
 * manifest names yet (D3: below the low mark nothing is under way), readers meet tables that are
 * retired and swept under them.
 */
#include "tests/model/maintain-world.h"

#include "core/store/delay.h"
#include "tests/sim/env_sim.h"

#define SEEDS 6
#define GROUPS 60

static struct world world;
static bool writing;
static uint64_t acked; /* the newest group that is complete in index and model */

static void writer_main(void *arg)
{
	(void)arg;
	for (int i = 0; i < GROUPS; i++) {
		random_group(&world);
		acked = world.group;
		if (i % 3 == 0)
			ck_assert_int_eq(flush_now(&world, NULL), 0);
		env_sleep_ms(rng_below(sim_rng(), 20));
	}
	writing = false;
}

static void merger_main(void *arg)
{
	(void)arg;
	while (writing) {
		bool blocked;
		struct error err = {0};
		int r = index_merge(world.ix, world.settled, &blocked, &err);

		ck_assert_msg(r >= 0, "merge: %s", error_text(&err, r));
		if (r == 0 && blocked)
			settle(&world);
		if (r == 0)
			env_sleep_ms(5);
	}
}

static void sweeper_main(void *arg)
{
	(void)arg;
	while (writing) {
		struct error err = {0};
		int r = index_sweep(world.ix, 50, &err);

		ck_assert_msg(r >= 0, "sweep: %s", error_text(&err, r));
		env_sleep_ms(rng_below(sim_rng(), 10));
	}
}

static void reader_main(void *arg)
{
	(void)arg;
	while (writing) {
		uint64_t view = acked;

		if (view > 0) {
			struct index_scan *scan = open_scan(&world, view);

			env_sleep_ms(rng_below(sim_rng(), 300));
			check_scan(&world, view, scan);
			index_scan_close(scan);
		}
		env_sleep_ms(1);
	}
}

static void threads_main(void *arg)
{
	static const struct {
		const char *name;
		void (*fn)(void *arg);
	} kinds[] = {{"writer", writer_main}, {"merger", merger_main}, {"sweeper", sweeper_main},
		{"reader", reader_main}, {"reader2", reader_main}};
	struct thread threads[sizeof kinds / sizeof kinds[0]] = {0};
	struct delay_options slow = {.latency_us = 3000, .seed = 1 + *(uint64_t *)arg};

	acked = 0;
	world_open(&world, *(uint64_t *)arg);
	index_close(world.ix);
	world.store = delay_new(world.store, &slow);
	ck_assert_ptr_nonnull(world.store);
	open_index(&world);
	writing = true;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		ck_assert_int_eq(thread_start(&threads[i], kinds[i].name, kinds[i].fn, NULL), 0);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		thread_join(&threads[i]);
	merge_until_done(&world);
	check_views(&world);
	check_references(&world);
	check_swept(&world);
	reopen(&world);
	check_views(&world);
	world_close(&world);
}

START_TEST(threads)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)_i + 1;

	if (text && _i > 0)
		return;
	printf("SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	sim_run(threads_main, &seed, seed);
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("threads");

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, threads, 0, SEEDS);
	return t;
}

int main(void)
{
	return run_suite(cases, "maintain-threads");
}
