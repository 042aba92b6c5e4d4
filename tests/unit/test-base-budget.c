/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The byte budget, alone and with many fibres in the simulator, and once with real threads. */
#include "core/base/budget.h"
#include "tests/sim/env_sim.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define TOTAL (16ull << 20)

START_TEST(divides)
{
	struct budget *b = budget_new(TOTAL);
	uint64_t sum = 0;

	ck_assert_uint_eq(budget_limit(b, BUDGET_COMMIT), TOTAL / 4);
	ck_assert_uint_eq(budget_limit(b, BUDGET_MEMTABLE), TOTAL / 8);
	ck_assert_uint_eq(budget_limit(b, BUDGET_MERGE), TOTAL / 8);
	ck_assert_uint_eq(budget_limit(b, BUDGET_REQUEST), TOTAL / 16);
	ck_assert_uint_eq(budget_limit(b, BUDGET_DIRTY), TOTAL / 4);
	/* Caches borrow what dirty does not use. */
	ck_assert_uint_eq(budget_limit(b, BUDGET_CACHE), TOTAL / 16 * 3 + TOTAL / 4);
	ck_assert(budget_try(b, BUDGET_CACHE, TOTAL / 16 * 7));
	ck_assert(!budget_try(b, BUDGET_CACHE, 1));
	ck_assert_uint_eq(budget_excess(b, BUDGET_CACHE), 0);
	ck_assert(budget_try(b, BUDGET_DIRTY, TOTAL / 4));
	ck_assert(!budget_try(b, BUDGET_DIRTY, 1));
	ck_assert_uint_eq(budget_limit(b, BUDGET_CACHE), TOTAL / 16 * 3);
	ck_assert_uint_eq(budget_excess(b, BUDGET_CACHE), TOTAL / 4);
	budget_put(b, BUDGET_CACHE, TOTAL / 4);
	for (int c = 0; c < BUDGET_CLASSES; c++)
		sum += budget_limit(b, (enum budget_class)c);
	ck_assert_uint_eq(sum, TOTAL);
	budget_put(b, BUDGET_CACHE, TOTAL / 16 * 3);
	budget_put(b, BUDGET_DIRTY, TOTAL / 4);
	ck_assert_uint_eq(budget_peak(b, BUDGET_DIRTY), TOTAL / 4);
	ck_assert_uint_eq(budget_used(b, BUDGET_DIRTY), 0);
	budget_free(b);
	budget_free(NULL);
}
END_TEST

START_TEST(lets_one_large_request_in)
{
	struct budget *b = budget_new(TOTAL);

	ck_assert_int_eq(budget_get(b, BUDGET_MERGE, TOTAL), 0);
	ck_assert(!budget_try(b, BUDGET_MERGE, 1));
	budget_force(b, BUDGET_MERGE, 5);
	ck_assert_uint_eq(budget_used(b, BUDGET_MERGE), TOTAL + 5);
	ck_assert_uint_eq(budget_excess(b, BUDGET_MERGE), TOTAL + 5 - TOTAL / 8);
	budget_put(b, BUDGET_MERGE, TOTAL + 5);
	ck_assert(budget_try(b, BUDGET_MERGE, 1));
	budget_put(b, BUDGET_MERGE, 1);
	budget_set_limit(b, BUDGET_DIRTY, TOTAL);
	ck_assert_uint_eq(budget_limit(b, BUDGET_DIRTY), TOTAL / 4);
	budget_set_limit(b, BUDGET_DIRTY, 100);
	ck_assert(budget_try(b, BUDGET_DIRTY, 100));
	ck_assert(!budget_try(b, BUDGET_DIRTY, 1));
	budget_put(b, BUDGET_DIRTY, 100);
	budget_cancel(b);
	ck_assert_int_eq(
		budget_get(b, BUDGET_DIRTY, 100), 0); /* there is room: no reason to refuse */
	ck_assert_int_eq(budget_get(b, BUDGET_DIRTY, 1), -ECANCELED);
	budget_put(b, BUDGET_DIRTY, 100);
	budget_free(b);
}
END_TEST

#define USERS 8
#define ROUNDS 40

struct world {
	struct budget *b;
	int granted, cancelled, pressed;
	uint64_t open; /* bytes that only the hook puts back, as a group would when it closes */
	int order[USERS], arrived;
};

static void user(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t n;

		env_random(&n, sizeof(n));
		n = 1 + n % (TOTAL / 16);
		enum budget_class c = n % 3 ? BUDGET_DIRTY : BUDGET_REQUEST;

		ck_assert_int_eq(budget_get(w->b, c, n), 0);
		ck_assert_uint_le(budget_used(w->b, c), budget_limit(w->b, c));
		if (n % 5 == 0)
			env_sleep_ms(n % 4);
		budget_put(w->b, c, n);
	}
}

static void many_users(void *arg)
{
	struct world w = {.b = budget_new(TOTAL)};
	struct thread threads[USERS];

	(void)arg;
	for (int i = 0; i < USERS; i++)
		ck_assert_int_eq(thread_start(&threads[i], "user", user, &w), 0);
	for (int i = 0; i < USERS; i++)
		thread_join(&threads[i]);
	budget_free(w.b);
}

START_TEST(never_passes_the_limit)
{
	sim_run(many_users, NULL, (uint64_t)_i);
}
END_TEST

START_TEST(works_with_real_threads)
{
	many_users(NULL);
}
END_TEST

static void wait_and_note(void *arg)
{
	struct world *w = arg;
	/* The first asks for much, the others for little: nobody passes it (B2). */
	int me = w->arrived++;
	uint64_t n = me == 0 ? TOTAL / 4 : 1;

	ck_assert_int_eq(budget_get(w->b, BUDGET_DIRTY, n), 0);
	w->order[w->granted++] = me;
	budget_put(w->b, BUDGET_DIRTY, n);
}

static void fair(void *arg)
{
	struct world w = {.b = budget_new(TOTAL)};
	struct thread threads[USERS];

	(void)arg;
	ck_assert_int_eq(budget_get(w.b, BUDGET_DIRTY, TOTAL / 4 - 10), 0);
	for (int i = 0; i < USERS; i++) {
		ck_assert_int_eq(thread_start(&threads[i], "user", wait_and_note, &w), 0);
		env_sleep_ms(1);
	}
	ck_assert_int_eq(w.granted, 0);
	ck_assert(!budget_try(w.b, BUDGET_DIRTY, 1));
	budget_put(w.b, BUDGET_DIRTY, TOTAL / 4 - 10);
	for (int i = 0; i < USERS; i++)
		thread_join(&threads[i]);
	ck_assert_int_eq(w.granted, USERS);
	ck_assert_int_eq(w.order[0], 0);
	budget_free(w.b);
}

START_TEST(serves_in_order)
{
	sim_run(fair, NULL, (uint64_t)_i);
}
END_TEST

static void wait_for_cancel(void *arg)
{
	struct world *w = arg;

	if (budget_get(w->b, BUDGET_COMMIT, 1) == -ECANCELED)
		w->cancelled++;
}

static void cancel(void *arg)
{
	struct world w = {.b = budget_new(TOTAL)};
	struct thread threads[USERS];

	(void)arg;
	ck_assert_int_eq(budget_get(w.b, BUDGET_COMMIT, TOTAL), 0);
	for (int i = 0; i < USERS; i++)
		ck_assert_int_eq(thread_start(&threads[i], "user", wait_for_cancel, &w), 0);
	env_sleep_ms(1);
	budget_cancel(w.b);
	for (int i = 0; i < USERS; i++)
		thread_join(&threads[i]);
	ck_assert_int_eq(w.cancelled, USERS);
	budget_put(w.b, BUDGET_COMMIT, TOTAL);
	budget_free(w.b);
}

START_TEST(cancels_all_who_wait)
{
	sim_run(cancel, NULL, (uint64_t)_i);
}
END_TEST

static void close_group(void *arg, enum budget_class c)
{
	struct world *w = arg;
	uint64_t n = w->open;

	ck_assert_int_eq((int)c, (int)BUDGET_DIRTY);
	w->open = 0;
	w->pressed++;
	env_sleep_ms(1);
	if (n)
		budget_put(w->b, c, n);
}

static void fill_group(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(budget_get(w->b, BUDGET_DIRTY, TOTAL / 16), 0);
		w->open += TOTAL / 16;
	}
}

/* Only the hook makes room here, so a waiter that fails to call it again hangs. */
static void press(void *arg)
{
	struct world w = {.b = budget_new(TOTAL)};
	struct thread threads[USERS];
	const struct budget_pressure p = {.full = close_group, .arg = &w};

	(void)arg;
	budget_set_pressure(w.b, &p);
	for (int i = 0; i < USERS; i++)
		ck_assert_int_eq(thread_start(&threads[i], "user", fill_group, &w), 0);
	for (int i = 0; i < USERS; i++)
		thread_join(&threads[i]);
	ck_assert_int_ge(w.pressed, USERS * ROUNDS / 4 - 1);
	close_group(&w, BUDGET_DIRTY);
	budget_free(w.b);
}

START_TEST(presses_until_there_is_room)
{
	sim_run(press, NULL, (uint64_t)_i);
}
END_TEST

static void borrow(void *arg)
{
	struct world *w = arg;

	ck_assert_int_eq(budget_get(w->b, BUDGET_CACHE, TOTAL / 4), 0);
	w->granted++;
}

static void lend(void *arg)
{
	struct world w = {.b = budget_new(TOTAL)};
	struct thread t;

	(void)arg;
	ck_assert(budget_try(w.b, BUDGET_DIRTY, TOTAL / 4));
	ck_assert(budget_try(w.b, BUDGET_CACHE, 1));
	ck_assert_int_eq(thread_start(&t, "cache", borrow, &w), 0);
	env_sleep_ms(1);
	ck_assert_int_eq(w.granted, 0);
	budget_put(w.b, BUDGET_DIRTY, TOTAL / 4);
	thread_join(&t);
	budget_put(w.b, BUDGET_CACHE, TOTAL / 4 + 1);
	budget_free(w.b);
}

START_TEST(lends_to_caches)
{
	sim_run(lend, NULL, (uint64_t)_i);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-budget");
	TCase *t = tcase_create("all");

	tcase_add_test(t, divides);
	tcase_add_test(t, lets_one_large_request_in);
	tcase_add_loop_test(t, never_passes_the_limit, 0, 40);
	tcase_add_test(t, works_with_real_threads);
	tcase_add_loop_test(t, serves_in_order, 0, 20);
	tcase_add_loop_test(t, cancels_all_who_wait, 0, 20);
	tcase_add_loop_test(t, presses_until_there_is_room, 0, 40);
	tcase_add_loop_test(t, lends_to_caches, 0, 10);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
