/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Worker pools under real threads and, seed by seed, in the simulator. */
#include "core/base/workers.h"
#include "tests/sim/env_sim.h"

#include <check.h>
#include <stdlib.h>

#define JOBS 60
#define THREADS 4

struct world {
	struct workers *pool;
	struct mutex lock;
	struct work_wait wait;
	unsigned running, most, ran, started;
	unsigned order[JOBS];
	int sleep_ms;
};

struct job {
	struct work work; /* first */
	struct world *world;
	unsigned number;
};

static void count(struct work *work)
{
	struct job *j = (struct job *)work;
	struct world *w = j->world;

	mutex_lock(&w->lock);
	w->order[w->started++] = j->number;
	if (++w->running > w->most)
		w->most = w->running;
	mutex_unlock(&w->lock);
	env_sleep_ms((uint64_t)w->sleep_ms);
	mutex_lock(&w->lock);
	w->running--;
	w->ran++;
	mutex_unlock(&w->lock);
	work_wait_finish(&w->wait, j->number % 7 == 3 ? -(int)j->number : 0);
	free(j);
}

static void submit(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct job *j = malloc(sizeof(*j));

		ck_assert_ptr_nonnull(j);
		*j = (struct job){.work.run = count, .world = w, .number = i};
		work_wait_add(&w->wait, 1);
		workers_submit(w->pool, &j->work);
	}
}

static void world_init(struct world *w, unsigned threads)
{
	*w = (struct world){.pool = workers_new("a pool of some name", threads), .sleep_ms = 2};
	ck_assert_ptr_nonnull(w->pool);
	mutex_init(&w->lock, RANK_CONTROL);
	work_wait_init(&w->wait);
}

static void world_done(struct world *w)
{
	workers_free(w->pool);
	work_wait_done(&w->wait);
	mutex_done(&w->lock);
}

static void parallel(void *arg)
{
	struct world w;

	(void)arg;
	world_init(&w, THREADS);
	submit(&w, JOBS);
	workers_drain(w.pool);
	ck_assert_uint_eq(w.ran, JOBS);
	ck_assert_uint_le(w.most, THREADS);
	ck_assert_uint_gt(w.most, 1);
	ck_assert_uint_eq(workers_busy(w.pool), 0);
	ck_assert_int_lt(work_wait_all(&w.wait), 0);
	workers_drain(w.pool);
	world_done(&w);
}

static void in_order(void *arg)
{
	struct world w;

	(void)arg;
	world_init(&w, 1);
	submit(&w, JOBS);
	ck_assert_int_eq(work_wait_all(&w.wait), -3); /* the first one that failed */
	for (unsigned i = 0; i < JOBS; i++)
		ck_assert_uint_eq(w.order[i], i);
	ck_assert_uint_eq(w.most, 1);
	world_done(&w);
}

/* Frees while jobs are queued; they run all the same. */
static void free_runs_the_rest(void *arg)
{
	struct world w;

	(void)arg;
	world_init(&w, THREADS);
	submit(&w, JOBS);
	workers_free(w.pool);
	w.pool = NULL;
	ck_assert_uint_eq(w.ran, JOBS);
	world_done(&w);
}

static void again(struct work *work)
{
	struct job *j = (struct job *)work;
	struct world *w = j->world;

	w->ran++;
	if (j->number--)
		workers_submit(w->pool, &j->work);
	else
		free(j);
}

/* A job that queues itself again, also while the pool is being freed. */
static void jobs_submit_jobs(void *arg)
{
	struct world w;
	struct job *j = malloc(sizeof(*j));

	(void)arg;
	world_init(&w, 2);
	ck_assert_ptr_nonnull(j);
	*j = (struct job){.work.run = again, .world = &w, .number = 20};
	workers_submit(w.pool, &j->work);
	workers_free(w.pool);
	w.pool = NULL;
	ck_assert_uint_eq(w.ran, 21);
	world_done(&w);
}

/* Bursts with pauses in which threads end by themselves and are replaced. */
static void bursts(void *arg)
{
	struct world w;

	(void)arg;
	world_init(&w, THREADS);
	for (int i = 0; i < 6; i++) {
		w.started = 0;
		submit(&w, 10);
		env_sleep_ms(i % 2 ? 4990 : 20000);
		ck_assert_uint_eq(workers_busy(w.pool), 0);
	}
	ck_assert_uint_eq(w.ran, 60);
	ck_assert_uint_gt(w.most, 1);
	ck_assert_uint_le(sim_process_fibres(sim_process_current()), 1 + 1 + THREADS);
	env_sleep_ms(20000);
	/* The main fibre and one idle worker. */
	ck_assert_uint_eq(sim_process_fibres(sim_process_current()), 2);
	world_done(&w);
}

static void (*const scenarios[])(void *arg) = {
	parallel, in_order, free_runs_the_rest, jobs_submit_jobs};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

START_TEST(works_with_real_threads)
{
	scenarios[_i](NULL);
}
END_TEST

START_TEST(works_in_the_simulator)
{
	for (uint64_t seed = 0; seed < 20; seed++)
		sim_run(scenarios[_i], NULL, seed);
}
END_TEST

START_TEST(ends_idle_threads)
{
	for (uint64_t seed = 0; seed < 20; seed++)
		sim_run(bursts, NULL, seed);
}
END_TEST

struct slow {
	struct world w;
	bool drained;
};

static void drainer(void *arg)
{
	struct slow *s = arg;

	workers_drain(s->w.pool);
	s->drained = true;
}

/* Drain waits for the long job from before, not for what comes later. */
static void drain_is_exact(void *arg)
{
	struct slow s = {0};
	struct thread t;

	(void)arg;
	world_init(&s.w, 2);
	s.w.sleep_ms = 1000;
	submit(&s.w, 1);
	env_sleep_ms(1);
	ck_assert_int_eq(thread_start(&t, "drain", drainer, &s), 0);
	env_sleep_ms(500);
	s.w.sleep_ms = 100;
	submit(&s.w, 20);
	env_sleep_ms(400);
	ck_assert(!s.drained && s.w.ran > 2);
	env_sleep_ms(150);
	ck_assert(s.drained && s.w.ran < 21);
	thread_join(&t);
	world_done(&s.w);
}

START_TEST(drains_what_came_before)
{
	for (uint64_t seed = 0; seed < 20; seed++)
		sim_run(drain_is_exact, NULL, seed);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-workers");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, works_with_real_threads, 0, SCENARIOS);
	tcase_add_loop_test(t, works_in_the_simulator, 0, SCENARIOS);
	tcase_add_test(t, ends_idle_threads);
	tcase_add_test(t, drains_what_came_before);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
