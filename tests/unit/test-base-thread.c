/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Locks, conditions and threads on real threads; the rank check, compiled in whatever the build
 * options say. */
#ifndef EXPENSIVE_CHECKS
#define EXPENSIVE_CHECKS 1
#endif
#include "core/base/lock_check.c"
#include "core/base/thread.c"

#include "tests/sim/env_sim.h"

#include <check.h>
#include <signal.h>
#include <time.h>

#define THREADS 4
#define ROUNDS 5000

struct world {
	struct mutex lock;
	struct cond changed;
	struct rwlock shared;
	unsigned counter, other, turn;
	uint64_t selves[THREADS];
	bool stop;
};

static void world_init(struct world *w)
{
	*w = (struct world){0};
	mutex_init(&w->lock, RANK_HANDLE);
	cond_init(&w->changed);
	rwlock_init(&w->shared, RANK_INODE_NESTS);
}

static void world_done(struct world *w)
{
	rwlock_done(&w->shared);
	cond_done(&w->changed);
	mutex_done(&w->lock);
}

static void add(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		if (i % 3 == 0) {
			MUTEX_GUARD(&w->lock);
			mutex_assert_held(&w->lock);
			w->counter++;
		} else if (i % 3 == 1 && mutex_trylock(&w->lock)) {
			w->counter++;
			mutex_unlock(&w->lock);
		} else {
			mutex_lock(&w->lock);
			w->counter++;
			mutex_unlock(&w->lock);
		}
		if (i % 10 == 0) {
			rwlock_wrlock(&w->shared);
			rwlock_assert_write(&w->shared);
			w->other++;
			w->turn = w->other;
			rwlock_unlock(&w->shared);
		} else {
			rwlock_rdlock(&w->shared);
			ck_assert_uint_eq(w->turn, w->other);
			rwlock_unlock(&w->shared);
		}
	}
	mutex_lock(&w->lock);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_uint_ne(w->selves[i], env->thread_self());
		if (!w->selves[i]) {
			w->selves[i] = env->thread_self();
			break;
		}
	}
	mutex_unlock(&w->lock);
}

START_TEST(excludes)
{
	struct world w;
	struct thread t[THREADS];

	world_init(&w);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(thread_start(&t[i], "a name that is too long", add, &w), 0);
	for (int i = 0; i < THREADS; i++) {
		thread_join(&t[i]);
		thread_join(&t[i]); /* no-op */
	}
	ck_assert_uint_eq(w.counter, THREADS * ROUNDS);
	ck_assert_uint_eq(w.other, THREADS * ROUNDS / 10);
	ck_assert_str_eq(t[0].name, "a name that is ");
	world_done(&w);
}
END_TEST

static void take_turns(void *arg)
{
	struct world *w = arg;

	mutex_lock(&w->lock);
	unsigned me = w->counter++;

	for (unsigned i = 0; i < 200; i++) {
		while (w->turn % THREADS != me)
			cond_wait(&w->changed, &w->lock);
		w->turn++;
		cond_broadcast(&w->changed);
	}
	mutex_unlock(&w->lock);
}

START_TEST(wakes)
{
	struct world w;
	struct thread t[THREADS];

	world_init(&w);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(thread_start(&t[i], "turns", take_turns, &w), 0);
	for (int i = 0; i < THREADS; i++)
		thread_join(&t[i]);
	ck_assert_uint_eq(w.turn, 200 * THREADS);
	world_done(&w);
}
END_TEST

static int blocked;

static void count_blocking(void *arg)
{
	ck_assert_ptr_eq(arg, &blocked);
	blocked++;
}

START_TEST(times_out)
{
	const struct env_blocking_hook hook = {.blocking = count_blocking, .arg = &blocked};
	struct world w;

	world_init(&w);
	env_set_blocking_hook(&hook);
	mutex_lock(&w.lock);
	uint64_t start = env_now_ns(), deadline = start + 30000000;

	while (cond_wait_until(&w.changed, &w.lock, deadline))
		;
	mutex_assert_held(&w.lock);
	ck_assert_uint_ge(env_now_ns(), deadline);
	ck_assert_uint_lt(env_now_ns() - start, 5000000000);
	ck_assert(!cond_wait_until(&w.changed, &w.lock, start));
	ck_assert(!cond_wait_until(&w.changed, &w.lock, 0));
	ck_assert_int_ge(blocked, 3);
	env_set_blocking_hook(NULL);
	ck_assert(!cond_wait_until(&w.changed, &w.lock, 0));
	mutex_unlock(&w.lock);
	world_done(&w);
}
END_TEST

START_TEST(tells_time_and_chance)
{
	uint64_t before = env_now_ns();
	uint8_t a[300] = {0}, b[300] = {0};

	env_sleep_ms(20);
	ck_assert_uint_ge(env_now_ns() - before, 20000000);
	ck_assert_uint_ge(env_now_ms(), before / 1000000 + 20);
	ck_assert_int_ge(env_realtime().tv_sec, 1500000000);
	env_random(a, sizeof(a));
	env_random(b, sizeof(b));
	env_random(b, 0);
	ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
}
END_TEST

static void note_mask(void *arg)
{
	sigset_t mask;
	bool *ok = arg;

	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	*ok = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP) &&
	      !sigismember(&mask, SIGSEGV);
}

START_TEST(keeps_signals_away)
{
	struct thread t;
	sigset_t mask;
	bool ok = false;

	ck_assert_int_eq(thread_start(&t, "signals", note_mask, &ok), 0);
	thread_join(&t);
	ck_assert(ok);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	ck_assert(!sigismember(&mask, SIGTERM));
}
END_TEST

/* What must abort. */

static struct mutex outer, inner, same;
static struct rwlock shared;

static void locks_init(void)
{
	mutex_init(&outer, RANK_GROUP);
	mutex_init(&inner, RANK_DIRTY);
	mutex_init(&same, RANK_DIRTY);
	rwlock_init(&shared, RANK_INODE_NESTS);
}

static void lock_twice(void)
{
	mutex_lock(&outer);
	mutex_lock(&outer);
}

static void unlock_of_another(void)
{
	mutex_unlock(&outer);
}

static void wrong_order(void)
{
	mutex_lock(&inner);
	mutex_lock(&outer);
}

static void equal_ranks(void)
{
	mutex_lock(&inner);
	mutex_lock(&same);
}

static void reader_after_mutex(void)
{
	mutex_lock(&outer);
	rwlock_rdlock(&shared);
}

static void wait_with_inner(void)
{
	struct cond c;

	cond_init(&c);
	mutex_lock(&outer);
	mutex_lock(&inner);
	cond_wait(&c, &outer);
}

static void write_after_read(void)
{
	rwlock_rdlock(&shared);
	rwlock_assert_write(&shared);
}

static void destroy_held(void)
{
	mutex_lock(&outer);
	mutex_done(&outer);
}

static void release_unheld_reader(void)
{
	rwlock_unlock(&shared);
}

static void read_twice(void)
{
	rwlock_rdlock(&shared);
	rwlock_rdlock(&shared);
}

static void (*const fatal[])(void) = {lock_twice, unlock_of_another, wrong_order, equal_ranks,
	reader_after_mutex, wait_with_inner, write_after_read, destroy_held, release_unheld_reader,
	read_twice};
#define FATAL (sizeof(fatal) / sizeof(fatal[0]))

START_TEST(aborts)
{
	locks_init();
	fatal[_i]();
}
END_TEST

static void abort_in_fibre(void *arg)
{
	locks_init();
	fatal[*(int *)arg]();
}

START_TEST(aborts_in_the_simulator)
{
	sim_run(abort_in_fibre, &_i, 1);
}
END_TEST

/* Two fibres hold the two locks in opposite roles at the same time: each thread is judged by what
 * it holds itself. */
static void hold_inner(void *arg)
{
	(void)arg;
	mutex_lock(&inner);
	env_sleep_ms(10);
	mutex_unlock(&inner);
}

static void allowed(void *arg)
{
	struct thread t;
	struct rwlock second;

	(void)arg;
	locks_init();
	rwlock_init(&second, RANK_INODE_NESTS);
	ck_assert_int_eq(thread_start(&t, "inner", hold_inner, NULL), 0);
	env_sleep_ms(5);
	mutex_lock(&outer);
	mutex_lock(&inner);
	mutex_unlock(&outer); /* not in reverse order */
	/* Trying is allowed against the order. */
	ck_assert(mutex_trylock(&outer));
	mutex_unlock(&outer);
	mutex_unlock(&inner);
	thread_join(&t);
	rwlock_wrlock(&shared);
	rwlock_rdlock(&second);
	mutex_lock(&outer);
	mutex_unlock(&outer);
	rwlock_unlock(&shared);
	rwlock_unlock(&second);
	mutex_lock(&outer);
	mutex_unlock(&outer);
	rwlock_done(&second);
}

START_TEST(allows_what_is_in_order)
{
	allowed(NULL);
	for (uint64_t seed = 0; seed < 20; seed++)
		sim_run(allowed, NULL, seed);
}
END_TEST

static void hold_and_die(void *arg)
{
	mutex_init(arg, RANK_GROUP);
	mutex_lock(arg);
	sim_process_kill(sim_process_current());
}

/* More than the check has room for at a time. */
static void kill_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < SHARDS * RECORDS_PER_SHARD + 100; i++) {
		struct sim_process *p = sim_process_new("victim", 0);
		struct mutex m;

		sim_process_start(p, "holder", hold_and_die, &m);
		ck_assert(!sim_process_wait(p));
	}
}

START_TEST(forgets_the_killed)
{
	sim_run(kill_many, NULL, 1);
}
END_TEST

START_TEST(names_all_ranks)
{
	ck_assert_str_eq(lock_rank_name(RANK_PROGRAM), "PROGRAM");
	ck_assert_str_eq(lock_rank_name(RANK_DIAG), "DIAG");
	ck_assert_str_eq(lock_rank_name((enum lock_rank)7), "unknown");
	ck_assert(LOCK_RANK_NESTS(RANK_INODE_NESTS) && !LOCK_RANK_NESTS(RANK_HANDLE));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-thread");
	TCase *t = tcase_create("all");

	tcase_add_test(t, excludes);
	tcase_add_test(t, wakes);
	tcase_add_test(t, times_out);
	tcase_add_test(t, tells_time_and_chance);
	tcase_add_test(t, keeps_signals_away);
	tcase_add_loop_test_raise_signal(t, aborts, SIGABRT, 0, FATAL);
	tcase_add_loop_test_raise_signal(t, aborts_in_the_simulator, SIGABRT, 0, FATAL);
	tcase_add_test(t, allows_what_is_in_order);
	tcase_add_test(t, forgets_the_killed);
	tcase_add_test(t, names_all_ranks);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
