/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Groups: who is in which, when they close, in which order they are acknowledged, how many PUTs
 * they cost, how they share memory and positions. One test runs on real threads.
 */
#include "tests/unit/log-upper.h"

/* ---- many threads ---- */

#define WORKERS 6

struct worker {
	struct thread thread;
	uint64_t seed, done;
	unsigned operations;
};

static void work(void *arg)
{
	struct worker *w = arg;
	struct rng rng = rng_of(w->seed);

	for (unsigned i = 0; i < w->operations; i++) {
		uint64_t g = change();

		w->done++;
		switch (rng_below(&rng, 8)) {
		case 0:
			ck_assert_int_eq(log_wait(u->log, g, NULL), 0);
			ck_assert_uint_le(g, log_acked(u->log));
			ck_assert_uint_le(g, u->acked);
			break;
		case 1:
			log_close_group(u->log);
			break;
		case 2: {
			struct group *open = group_join(u->log);

			group_leave(open, false);
			break;
		}
		case 3:
			env_sleep_ms(rng_below(&rng, 3));
			break;
		default:
			break;
		}
	}
}

static void threads_main(void *arg)
{
	struct worker w[WORKERS] = {0};
	uint64_t seed = *(uint64_t *)arg, total = 0;

	set_up(1000, 8 << 20);
	u->seal_at_close = seed % 3;
	for (unsigned i = 0; i < WORKERS; i++) {
		w[i].seed = seed * 100 + i;
		w[i].operations = 60;
		ck_assert_int_eq(thread_start(&w[i].thread, "worker", work, &w[i]), 0);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		thread_join(&w[i].thread);
		total += w[i].done;
	}
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	struct found f = replay_all();

	ck_assert_uint_eq(f.total, total);
	ck_assert_uint_eq(f.groups, u->acked);
	ck_assert_uint_eq(u->dropped, 1); /* the last one, unchanged */
	clean_up();
}

START_TEST(threads_in_the_simulator)
{
	uint64_t seed = (uint64_t)_i;

	sim_run(threads_main, &seed, seed);
}
END_TEST

START_TEST(threads_for_real)
{
	uint64_t seed = 1;

	threads_main(&seed);
}
END_TEST

/* ---- what a commit costs ---- */

static void one_put_main(void *arg)
{
	(void)arg;
	set_up(0, 64 << 20);
	ck_assert_int_eq(log_wait(u->log, log_open_group(u->log), NULL),
		0); /* nothing changed: nothing to do */
	ck_assert_uint_eq(log_puts(), 0);
	u->seal_at_close = 5;
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	ck_assert_uint_eq(log_puts(), 1);
	ck_assert_uint_eq(log_acked(u->log), 1);
	ck_assert_int_eq(log_wait(u->log, 1, NULL), 0);
	u->seal_at_close = 0; /* a journal alone */
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	ck_assert_uint_eq(log_puts(), 2);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(log_puts(), 2);
	ck_assert_uint_eq(replay_all().groups, 2);
	clean_up();
}

START_TEST(a_small_group_is_one_put)
{
	sim_run(one_put_main, NULL, 1);
}
END_TEST

#define CALLERS 48

static void sync_once(void *arg)
{
	uint64_t begin = env_now_ns();

	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	*(uint64_t *)arg = env_now_ns() - begin;
}

static void sharing_main(void *arg)
{
	struct thread t[CALLERS];
	uint64_t took[CALLERS];

	(void)arg;
	set_up(20000, 64 << 20);
	for (unsigned i = 0; i < CALLERS; i++)
		ck_assert_int_eq(thread_start(&t[i], "caller", sync_once, &took[i]), 0);
	for (unsigned i = 0; i < CALLERS; i++) {
		thread_join(&t[i]);
		/* At most: wait for a place in the pipeline, then one PUT of at most one and a half
		 * latencies. */
		ck_assert_uint_lt(took[i], 2 * 31000000ull);
	}
	ck_assert_uint_le(log_puts(), 8);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	clean_up();
}

START_TEST(concurrent_fsyncs_share)
{
	sim_run(sharing_main, NULL, (uint64_t)_i);
}
END_TEST

/* ---- timers ---- */

static void timers_main(void *arg)
{
	uint64_t begin;

	(void)arg;
	set_up(0, 64 << 20);
	env_sleep_ms(20000);
	ck_assert_uint_eq(log_puts(), 0); /* idle costs nothing */
	begin = env_now_ms();
	(void)change();
	while (log_acked(u->log) < 1)
		env_sleep_ms(10);
	ck_assert_uint_ge(env_now_ms() - begin, 990); /* a second of quiet */
	ck_assert_uint_le(env_now_ms() - begin, 1100);
	begin = env_now_ms();
	while (log_acked(u->log) < 2) {
		(void)change();
		env_sleep_ms(50); /* never quiet */
	}
	ck_assert_uint_ge(env_now_ms() - begin, 4900);
	ck_assert_uint_le(env_now_ms() - begin, 5200);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	clean_up();
}

START_TEST(quiet_and_interval)
{
	sim_run(timers_main, NULL, 1);
}
END_TEST

/* ---- segments ---- */

static void early_main(void *arg)
{
	(void)arg;
	set_up(0, 4 << 20); /* COMMIT 1 MiB: segments of 256 KiB */
	struct group *g = group_join(u->log);
	uint64_t number = g->number;
	struct frame_place first = {0}, last;
	struct segment *s;

	group_leave(g, true);
	for (unsigned i = 0; i < 40; i++) { /* about 640 KB that do not compress */
		last = put_frames(g, 16);
		if (i == 0)
			first = last;
	}
	ck_assert_uint_eq(first.sequence, 0);
	ck_assert_uint_eq(last.sequence, 2);
	env_sleep_ms(100);
	/* W7: early segments of a group that is still open; their bytes are let go. */
	ck_assert_uint_eq(log_open_group(u->log), number);
	ck_assert(stored(0) && stored(1) && !stored(2));
	ck_assert_ptr_null(log_find_segment(u->log, EPOCH, 0));
	ck_assert_ptr_null(log_find_segment(u->log, EPOCH, 3));
	ck_assert_ptr_null(log_find_segment(u->log, EPOCH + 1, 2));
	s = log_find_segment(u->log, EPOCH, 2);
	ck_assert_ptr_nonnull(s);
	struct slice sealed;
	uint32_t plain;

	ck_assert_int_eq(segment_frame(s, last.ordinal, &sealed, &plain), 0);
	ck_assert(fixture_opens(u->keys, segment_key(s), last.ordinal, 39 * 16, sealed));
	ck_assert_uint_lt(log_unsent(u->log), 300000);
	ck_assert_uint_eq(log_replay_start(u->log, number - 1), 0);

	struct segment *const *segments;

	ck_assert_uint_eq(group_segments(g, &segments), 3);
	ck_assert_uint_gt(segment_plain_total(segments[0]), 200000);
	/* Memory is short: the open segment goes, too. */
	log_pressure(u->log);
	env_sleep_ms(100);
	ck_assert(stored(2));
	/* A reader that holds the segment goes on with its bytes. */
	ck_assert(fixture_opens(u->keys, segment_key(s), last.ordinal, 39 * 16, sealed));
	segment_unref(s);

	ck_assert_int_eq(log_wait(u->log, number, NULL), 0);
	ck_assert_uint_eq(log_puts(), 4); /* the journal has a segment of its own */
	ck_assert_uint_eq(log_replay_start(u->log, number), 4);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(replay_all().groups, 1);
	clean_up();
}

START_TEST(full_segments_go_early)
{
	sim_run(early_main, NULL, 1);
}
END_TEST

/* A sealer of a later group waits until the journal before it is bound (W1). */
static bool turn_came;
static struct thread sealer;

static void seal_later(void *arg)
{
	struct group *g = arg;

	ck_assert_int_eq(log_turn(u->log, g), 0);
	turn_came = true;
	ck_assert_uint_eq(put_frames(g, 1).sequence, 1);
	group_leave(g, true);
}

static void while_closing(struct group *g)
{
	if (g->number > 1)
		return;
	struct group *later = group_join(u->log);

	ck_assert_uint_eq(later->number, 2);
	ck_assert_int_eq(thread_start(&sealer, "sealer", seal_later, later), 0);
	env_sleep_ms(1000);
	ck_assert(!turn_came);
	ck_assert_uint_eq(put_frames(g, 1).sequence, 0); /* the closing group still may */
}

static void turns_main(void *arg)
{
	(void)arg;
	turn_came = false;
	set_up(5000, 64 << 20);
	u->before_close = while_closing;
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	thread_join(&sealer);
	ck_assert(turn_came);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(log_puts(), 2);
	clean_up();
}

START_TEST(later_groups_wait_for_their_turn)
{
	sim_run(turns_main, NULL, (uint64_t)_i);
}
END_TEST

/* Little memory, many sealers: nobody waits for ever. */
static void seal_much(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 12; i++) {
		struct group *g = group_join(u->log);

		/* The group stays open: this thread is in it. Data does so through its dirty maps.
		 */
		(void)put_frames(g, 16);
		group_leave(g, true);
	}
}

static void pressed(void *arg, enum budget_class c)
{
	(void)arg;
	if (c == BUDGET_COMMIT)
		log_pressure(u->log);
}

static void tight_main(void *arg)
{
	struct thread t[4];

	(void)arg;
	set_up(2000, 1 << 20); /* COMMIT 256 KiB, blocks of 16 KB, segments of 64 KiB */
	const struct budget_pressure p = {.full = pressed};

	budget_set_pressure(u->budget, &p);
	u->seal_at_close = 16;
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(thread_start(&t[i], "sealer", seal_much, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		thread_join(&t[i]);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_le(budget_peak(u->budget, BUDGET_COMMIT), 512 << 10);
	clean_up();
}

START_TEST(little_memory)
{
	sim_run(tight_main, NULL, (uint64_t)_i);
}
END_TEST

/* ---- numbers ---- */

static void numbers_main(void *arg)
{
	struct log_stats st;

	(void)arg;
	set_up(0, 64 << 20);
	ck_assert_uint_eq(log_replay_start(u->log, 0), 0);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
		ck_assert_uint_eq(log_acked(u->log), i);
		ck_assert_uint_eq(log_closed(u->log), i);
		ck_assert_uint_eq(log_open_group(u->log), i + 1);
	}
	ck_assert_uint_eq(log_replay_start(u->log, 10), 10);
	log_stats(u->log, &st);
	ck_assert_uint_eq(st.commits, 10);
	ck_assert_uint_eq(st.segments, 10);
	ck_assert_uint_eq(st.next_sequence, 10);
	ck_assert_uint_eq(st.unsent_bytes, 0);
	ck_assert_uint_eq(log_unsent_bound(u->log), 16 << 20);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	clean_up();
}

START_TEST(numbers)
{
	sim_run(numbers_main, NULL, 1);
}
END_TEST

/* 100 MB/s for a while: the bound follows. */
static void bandwidth_main(void *arg)
{
	const struct delay_options link = {.latency_us = 1000, .link_bytes_per_s = 200 << 20};
	uint8_t *noise = malloc(8 << 20);
	struct rng rng = rng_of(5);

	(void)arg;
	set_up(0, 512 << 20);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	u->store = u->stats = stats_new(delay_new(u->store, &link));
	u->o.store = u->store;
	u->o.epoch = EPOCH + 1;
	u->opened = u->dropped = 0;
	ck_assert_int_eq(log_open(&u->o, &u->log, NULL), 0);
	for (size_t i = 0; i < 8 << 20; i += 8) {
		uint64_t v = rng_next(&rng);

		memcpy(noise + i, &v, 8);
	}
	for (unsigned i = 0; i < 12; i++) {
		struct group *g = group_join(u->log);
		struct sealed_frame f = {
			.sealed_len = 8 << 20, .inode = 1, .plain_len = FRAME_PLAIN_MAX};
		uint8_t *block = malloc(8 << 20);
		struct segment *s;
		uint64_t first;

		memcpy(block, noise, 8 << 20);
		ck_assert_int_eq(budget_get(u->budget, BUDGET_COMMIT, 8 << 20), 0);
		ck_assert_int_eq(log_segment(u->log, g, 1, FRAME_PLAIN_MAX, &s, &first), 0);
		segment_append(s, first, 1, &f, 1, block, 8 << 20, NULL);
		segment_unref(s);
		group_leave(g, true);
	}
	ck_assert_int_eq(log_wait(u->log, log_open_group(u->log), NULL), 0);
	ck_assert_uint_gt(log_unsent_bound(u->log), 40 << 20);
	ck_assert_uint_lt(log_unsent_bound(u->log), 60 << 20);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	free(noise);
	clean_up();
}

START_TEST(bandwidth)
{
	sim_run(bandwidth_main, NULL, 1);
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("group");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, threads_in_the_simulator, 1, 25);
	tcase_add_test(t, a_small_group_is_one_put);
	tcase_add_loop_test(t, concurrent_fsyncs_share, 1, 6);
	tcase_add_test(t, quiet_and_interval);
	tcase_add_test(t, full_segments_go_early);
	tcase_add_loop_test(t, later_groups_wait_for_their_turn, 1, 6);
	tcase_add_loop_test(t, little_memory, 1, 11);
	tcase_add_test(t, numbers);
	tcase_add_test(t, bandwidth);
	return t;
}

/* On its own, so that ThreadSanitizer can run it without the simulator's fibres
 * (CK_RUN_CASE=threads). */
static TCase *real_cases(void)
{
	TCase *t = tcase_create("threads");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, threads_for_real);
	return t;
}

int main(void)
{
	diag_set_level(DIAG_ERROR);
	int simulated = run_suite(cases, "log group");

	return run_suite(real_cases, "log group, threads") == EXIT_SUCCESS ? simulated
									   : EXIT_FAILURE;
}
