/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The simulator itself: schedules, virtual time, deadlocks, processes that are killed or paused. */
#include "core/base/thread.h"
#include "tests/sim/env_sim.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIBRES 5
#define S 1000000000ull

struct world {
	struct mutex lock;
	struct cond changed;
	struct rwlock shared;
	unsigned counter, inside, readers, letters;
	char log[1000];
	bool ready, go;
	uint64_t seen_ns;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	mutex_init(&w->lock, RANK_GROUP);
	cond_init(&w->changed);
	rwlock_init(&w->shared, RANK_INODE_NESTS);
}

static void world_done(struct world *w)
{
	rwlock_done(&w->shared);
	cond_done(&w->changed);
	mutex_done(&w->lock);
}

static struct world world;

static void write_letters(void *arg)
{
	char letter = *(const char *)arg;

	for (int i = 0; i < 20; i++) {
		mutex_lock(&world.lock);
		ck_assert_uint_eq(world.inside++, 0);
		sim_yield();
		ck_assert_uint_eq(--world.inside, 0);
		world.log[world.letters++] = letter;
		mutex_unlock(&world.lock);
		if (i % 4 == 0)
			env_sleep_ms(1);
	}
}

static void letters_main(void *arg)
{
	struct thread t[FIBRES];

	(void)arg;
	world_init(&world);
	for (int i = 0; i < FIBRES; i++)
		ck_assert_int_eq(thread_start(&t[i], "writer", write_letters,
					 (void *)(uintptr_t) & "abcde"[i]),
			0);
	for (int i = 0; i < FIBRES; i++)
		thread_join(&t[i]);
	ck_assert_uint_eq(world.letters, FIBRES * 20);
	world_done(&world);
}

START_TEST(repeats_a_seed)
{
	char first[sizeof(world.log)];

	sim_run(letters_main, NULL, 7);
	uint64_t hash = sim_trace_hash(), now = sim_now_ns(), steps = sim_steps();

	memcpy(first, world.log, sizeof(first));
	sim_run(letters_main, NULL, 7);
	ck_assert_str_eq(world.log, first);
	ck_assert_uint_eq(sim_trace_hash(), hash);
	ck_assert_uint_eq(sim_now_ns(), now);
	ck_assert_uint_eq(sim_steps(), steps);
	ck_assert_ptr_eq(env, &env_pthread);
	for (uint64_t seed = 100; seed < 120; seed++) {
		sim_run(letters_main, NULL, seed);
		ck_assert_str_ne(world.log, first);
		ck_assert_uint_ne(sim_trace_hash(), hash);
	}
}
END_TEST

static void use_shared(void *arg)
{
	bool writer = arg != NULL;

	for (int i = 0; i < 20; i++) {
		if (writer) {
			rwlock_wrlock(&world.shared);
			ck_assert_uint_eq(world.readers, 0);
			ck_assert_uint_eq(world.inside++, 0);
			sim_yield();
			world.inside--;
		} else {
			rwlock_rdlock(&world.shared);
			ck_assert_uint_eq(world.inside, 0);
			if (++world.readers > world.counter)
				world.counter = world.readers;
			env_sleep_ms(1);
			world.readers--;
		}
		rwlock_unlock(&world.shared);
	}
}

static void shared_main(void *arg)
{
	struct thread t[FIBRES];

	(void)arg;
	world_init(&world);
	for (int i = 0; i < FIBRES; i++)
		ck_assert_int_eq(thread_start(&t[i], "user", use_shared, i < 2 ? &world : NULL), 0);
	for (int i = 0; i < FIBRES; i++)
		thread_join(&t[i]);
	ck_assert_uint_gt(world.counter, 1);
	world_done(&world);
}

START_TEST(shares_locks)
{
	sim_run(shared_main, NULL, (uint64_t)_i);
}
END_TEST

static void set_ready(void *arg)
{
	(void)arg;
	env_sleep_ms(500);
	mutex_lock(&world.lock);
	world.ready = true;
	cond_signal(&world.changed);
	mutex_unlock(&world.lock);
}

static void timeout_main(void *arg)
{
	struct thread t;

	(void)arg;
	world_init(&world);
	mutex_lock(&world.lock);
	uint64_t start = env_now_ns(), global = sim_now_ns(), deadline = start + 3600 * S;

	while (cond_wait_until(&world.changed, &world.lock, deadline))
		;
	ck_assert_uint_ge(env_now_ns(), deadline);
	ck_assert_uint_lt(env_now_ns(), deadline + S / 100);
	ck_assert_uint_ge(sim_now_ns() - global, 3600 * S);
	while (cond_wait_until(&world.changed, &world.lock, 0))
		;
	ck_assert_int_eq(thread_start(&t, "setter", set_ready, NULL), 0);
	start = env_now_ns();
	while (!world.ready)
		ck_assert(cond_wait_until(&world.changed, &world.lock, start + S));
	ck_assert_uint_ge(env_now_ns() - start, S / 2);
	ck_assert_uint_lt(env_now_ns() - start, S);
	mutex_unlock(&world.lock);
	thread_join(&t);
	world_done(&world);
}

START_TEST(waits_in_virtual_time)
{
	sim_run(timeout_main, NULL, (uint64_t)_i);
}
END_TEST

/* Fibres that sleep until different moments wake in that order. */
static void sleeper(void *arg)
{
	const char *letter = arg;

	env_sleep_ms((uint64_t)(*letter - 'a' + 1) * 100);
	world.log[world.letters++] = *letter;
}

static void order_main(void *arg)
{
	static const char order[] = "hcjafdbgei";
	struct thread t[10];

	(void)arg;
	world_init(&world);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(
			thread_start(&t[i], "sleeper", sleeper, (void *)(uintptr_t)&order[i]), 0);
	for (int i = 0; i < 10; i++)
		thread_join(&t[i]);
	ck_assert_str_eq(world.log, "abcdefghij");
	world_done(&world);
}

START_TEST(wakes_sleepers_in_order)
{
	sim_run(order_main, NULL, (uint64_t)_i);
}
END_TEST

/* Runs that must abort, with what they say. */

static void hold_and_take(void *arg)
{
	struct mutex *locks = arg;

	mutex_lock(&locks[1]);
	env_sleep_ms(1);
	mutex_lock(&locks[0]);
}

static void deadlock_main(void *arg)
{
	static struct mutex locks[2];
	struct thread t;

	(void)arg;
	/* Nesting ranks: the rank check has nothing to say about this. */
	mutex_init(&locks[0], RANK_INODE_NESTS);
	mutex_init(&locks[1], RANK_INODE_NESTS);
	ck_assert_int_eq(thread_start(&t, "crossing", hold_and_take, locks), 0);
	mutex_lock(&locks[0]);
	env_sleep_ms(1);
	mutex_lock(&locks[1]);
}

static void lost_wakeup_main(void *arg)
{
	(void)arg;
	world_init(&world);
	mutex_lock(&world.lock);
	for (;;)
		cond_wait(&world.changed, &world.lock);
}

static void livelock_main(void *arg)
{
	(void)arg;
	for (;;)
		env_sleep_ms(1);
}

static void lock_and_end(void *arg)
{
	(void)arg;
	mutex_lock(&world.lock);
}

static void forgotten_lock_main(void *arg)
{
	struct thread t;

	(void)arg;
	world_init(&world);
	ck_assert_int_eq(thread_start(&t, "forgetful", lock_and_end, NULL), 0);
	thread_join(&t);
}

static void paused_main(void *arg)
{
	struct sim_process *p = sim_process_new("sleepy", 0);

	(void)arg;
	sim_process_pause(p);
	sim_process_start(p, "poor", set_ready, NULL);
	(void)sim_process_wait(p);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void unjoined_main(void *arg)
{
	struct thread t;

	(void)arg;
	ck_assert_int_eq(thread_start(&t, "lonely", do_nothing, NULL), 0);
	env_sleep_ms(1);
}

static struct mutex left_behind;

static void take_and_stay(void *arg)
{
	(void)arg;
	mutex_lock(&left_behind);
	for (;;)
		env_sleep_ms(1000);
}

static void killed_holder_main(void *arg)
{
	struct sim_process *p = sim_process_new("victim", 0);

	(void)arg;
	mutex_init(&left_behind, RANK_GROUP);
	sim_process_start(p, "holder", take_and_stay, NULL);
	env_sleep_ms(10);
	sim_process_kill(p);
	mutex_lock(&left_behind);
}

static const struct {
	void (*main_fn)(void *arg);
	const char *says[4];
} fatal[] = {
	{deadlock_main, {"deadlock", "'main' of 'main': waits for mutex INODE_NESTS", "'crossing'",
				"held by #2 'main'"}},
	{lost_wakeup_main, {"deadlock", "condition", "seed 42", "'main'"}},
	{livelock_main, {"livelock", "200000 steps", "seed 42", "'main'"}},
	{forgotten_lock_main, {"'forgetful' ended with 1 locks held", "seed 42", "", ""}},
	{paused_main, {"deadlock", "'poor' of 'sleepy' (paused): can run",
			      "end of process 'sleepy'", ""}},
	{unjoined_main, {"'lonely' of 'main' ended and was never joined", "seed 42", "", ""}},
	{killed_holder_main, {"deadlock", "mutex GROUP", "'holder' of 'victim' (killed)", ""}},
};
#define FATAL (sizeof(fatal) / sizeof(fatal[0]))

START_TEST(explains_why_it_aborts)
{
	int ends[2];
	char text[8192];
	size_t len = 0;
	ssize_t n;

	ck_assert_int_eq(pipe(ends), 0);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		sim_set_step_limit(200000);
		sim_run(fatal[_i].main_fn, NULL, 42);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(ends[0]);
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s", text);
	for (int i = 0; i < 4; i++)
		ck_assert_msg(
			strstr(text, fatal[_i].says[i]), "no '%s' in: %s", fatal[_i].says[i], text);
}
END_TEST

/* Processes. */

static void tick(void *arg)
{
	unsigned *ticks = arg;

	for (;;) {
		env_sleep_ms(100);
		++*ticks;
	}
}

static void start_tickers(void *arg)
{
	struct thread t[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(thread_start(&t[i], "ticker", tick, arg), 0);
	/* Holds locks of its own when it dies. */
	struct mutex m;
	struct cond c;

	mutex_init(&m, RANK_GROUP);
	cond_init(&c);
	mutex_lock(&m);
	for (;;)
		cond_wait(&c, &m);
}

static void *waiter_result(struct sim_process *p)
{
	return sim_process_wait(p) ? p : NULL;
}

static void kill_main(void *arg)
{
	struct sim_process *a = sim_process_new("a", 0), *b = sim_process_new("b", 0);
	unsigned ticks_a = 0, ticks_b = 0;

	(void)arg;
	sim_process_start(a, "first", start_tickers, &ticks_a);
	sim_process_start(b, "first", start_tickers, &ticks_b);
	env_sleep_ms(1050);
	ck_assert_uint_eq(ticks_a, 20);
	ck_assert_uint_eq(sim_process_fibres(a), 3);
	sim_process_kill(a);
	sim_process_kill(a);
	ck_assert(sim_process_killed(a) && !sim_process_killed(b));
	ck_assert_uint_eq(sim_process_fibres(a), 0);
	ck_assert_ptr_null(waiter_result(a));
	env_sleep_ms(1000);
	ck_assert_uint_eq(ticks_a, 20);
	ck_assert_uint_eq(ticks_b, 40);
	/* Its stacks are used again. */
	struct sim_process *c = sim_process_new("c", 0);
	unsigned ticks_c = 0;

	sim_process_start(c, "first", start_tickers, &ticks_c);
	env_sleep_ms(1050);
	ck_assert_uint_eq(ticks_c, 20);
	sim_process_pause(c);
	sim_process_kill(c);
	sim_process_resume(c);
	env_sleep_ms(1000);
	ck_assert_uint_eq(ticks_c, 20);
}

START_TEST(kills_a_process)
{
	sim_run(kill_main, NULL, (uint64_t)_i);
}
END_TEST

static void suicide(void *arg)
{
	unsigned *reached = arg;

	++*reached;
	sim_process_kill(sim_process_current());
	++*reached;
}

static void sleep_forever(void *arg)
{
	(void)arg;
	env_sleep_ms(1000000000);
}

static void suicide_main(void *arg)
{
	struct sim_process *p = sim_process_new("p", 0);
	unsigned reached = 0;

	(void)arg;
	sim_process_start(p, "other", sleep_forever, NULL);
	sim_process_start(p, "self", suicide, &reached);
	ck_assert_ptr_null(waiter_result(p));
	ck_assert_uint_eq(reached, 1);
	env_sleep_ms(1);
	ck_assert_uint_eq(reached, 1);
	ck_assert_uint_lt(sim_now_ns(), S);
}

START_TEST(lets_a_process_kill_itself)
{
	sim_run(suicide_main, NULL, (uint64_t)_i);
}
END_TEST

static void pause_main(void *arg)
{
	struct sim_process *p = sim_process_new("p", 0);
	unsigned ticks = 0;

	(void)arg;
	sim_process_start(p, "first", start_tickers, &ticks);
	env_sleep_ms(1050);
	ck_assert_uint_eq(ticks, 20);
	sim_process_pause(p);
	env_sleep_ms(10000);
	ck_assert_uint_eq(ticks, 20);
	sim_process_resume(p);
	env_sleep_ms(1);
	ck_assert_uint_eq(ticks, 22); /* the deadlines passed meanwhile */
	env_sleep_ms(1000);
	ck_assert_uint_ge(ticks, 40);
	sim_process_kill(p);
}

START_TEST(pauses_a_process)
{
	sim_run(pause_main, NULL, (uint64_t)_i);
}
END_TEST

static void pause_self(void *arg)
{
	uint64_t *passed = arg, start = env_now_ns();

	sim_process_pause(sim_process_current());
	*passed = env_now_ns() - start;
}

static void pause_self_main(void *arg)
{
	struct sim_process *p = sim_process_new("p", 0);
	uint64_t passed = 0;

	(void)arg;
	sim_process_start(p, "self", pause_self, &passed);
	env_sleep_ms(5000);
	ck_assert_uint_eq(passed, 0);
	sim_process_resume(p);
	ck_assert_ptr_eq(waiter_result(p), p);
	ck_assert(passed > 4900000000 && passed < 5100000000);
}

START_TEST(lets_a_process_pause_itself)
{
	sim_run(pause_self_main, NULL, (uint64_t)_i);
}
END_TEST

struct clock {
	uint64_t start, end;
	time_t wall;
	uint8_t bytes[16];
};

static void read_clock(void *arg)
{
	struct clock *c = arg;

	c->start = env_now_ns();
	c->wall = env_realtime().tv_sec;
	env_random(c->bytes, sizeof(c->bytes));
	env_sleep_ms(1000);
	c->end = env_now_ns();
	ck_assert_uint_ge(c->end - c->start, S);
	ck_assert_uint_lt(c->end - c->start, S + S / 1000);
}

static void clocks_main(void *arg)
{
	static const int ppm[] = {0, 100000, -100000};
	struct clock *out = arg;

	for (int i = 0; i < 3; i++) {
		uint64_t start = sim_now_ns();
		struct sim_process *p = sim_process_new("clock", ppm[i]);

		sim_process_start(p, "reader", read_clock, &out[i]);
		ck_assert(sim_process_wait(p));
		uint64_t passed = sim_now_ns() - start,
			 expect = S * 1000000 / (uint64_t)(1000000 + ppm[i]);

		ck_assert(passed > expect - S / 1000 && passed < expect + S / 1000);
		ck_assert(out[i].wall > 1699999980 && out[i].wall < 1700000020);
	}
	ck_assert_uint_ne(out[0].start / S, out[1].start / S);
	ck_assert_mem_ne(out[0].bytes, out[1].bytes, 16);
}

START_TEST(gives_each_process_clocks_and_randomness)
{
	struct clock first[3], second[3], other[3];

	memset(first, 0, sizeof(first));
	memset(second, 0, sizeof(second));
	sim_run(clocks_main, first, 5);
	sim_run(clocks_main, second, 5);
	sim_run(clocks_main, other, 6);
	ck_assert_mem_eq(first, second, sizeof(first));
	ck_assert_mem_ne(first[0].bytes, other[0].bytes, 16);
}
END_TEST

static void short_life(void *arg)
{
	char frame[60000];

	memset(frame, 1, sizeof(frame));
	++*(unsigned *)arg;
	sim_yield();
	ck_assert_int_eq(frame[59999], 1);
}

static void many_main(void *arg)
{
	struct sim_process *p = sim_process_new("p", 0);
	unsigned ran = 0;

	(void)arg;
	for (int i = 0; i < 3000; i++) {
		struct thread t;

		ck_assert_int_eq(thread_start(&t, "short", short_life, &ran), 0);
		sim_process_start(p, "detached", short_life, &ran);
		thread_join(&t);
	}
	ck_assert(sim_process_wait(p));
	ck_assert_uint_eq(ran, 6000);
}

START_TEST(recycles_fibres)
{
	sim_run(many_main, NULL, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("env-sim");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, repeats_a_seed);
	tcase_add_loop_test(t, shares_locks, 0, 10);
	tcase_add_loop_test(t, waits_in_virtual_time, 0, 10);
	tcase_add_loop_test(t, wakes_sleepers_in_order, 0, 10);
	tcase_add_loop_test(t, explains_why_it_aborts, 0, FATAL);
	tcase_add_loop_test(t, kills_a_process, 0, 10);
	tcase_add_loop_test(t, lets_a_process_kill_itself, 0, 10);
	tcase_add_loop_test(t, pauses_a_process, 0, 10);
	tcase_add_loop_test(t, lets_a_process_pause_itself, 0, 10);
	tcase_add_test(t, gives_each_process_clocks_and_randomness);
	tcase_add_test(t, recycles_fibres);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
