/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stats, fault and delay layers. Time is the simulator's, but for one test. */
#include "core/base/thread.h"
#include "core/store/delay.h"
#include "core/store/fault.h"
#include "core/store/mem.h"
#include "core/store/stats.h"
#include "tests/sim/env_sim.h"
#include "tests/unit/test-store.h"

#define MS 1000000ull
#define MIB (1ull << 20)

static struct store *mem(void)
{
	struct store *s;

	ck_assert_int_eq(mem_store_open("layers", &s, NULL), 0);
	return s;
}

static int create(struct store *s, const char *key, const char *text)
{
	struct slice part = SLICE_STR(text);

	return store_create(s, key, &part, 1, NULL);
}

static int get(struct store *s, const char *key, char text[static 64], size_t *ret_len)
{
	return store_get(s, key, 0, text, 64, ret_len, NULL, NULL);
}

START_TEST(stats_count)
{
	struct store *s = stats_new(mem());
	struct stats st;
	struct store_list l;
	char text[64];
	size_t len;

	ck_assert_int_eq(create(s, "log/1/1", "12345"), 0);
	ck_assert_int_eq(create(s, "log/1/2", "123"), 0);
	ck_assert_int_eq(create(s, "log/1/2", "other"), -EEXIST); /* and one GET to find out */
	ck_assert_int_eq(create(s, "table/1", "1"), 0);
	ck_assert_int_eq(store_put(s, "writer/1.alive", SLICE_STR("beat"), NULL), 0);
	ck_assert_int_eq(get(s, "log/1/1", text, &len), 0);
	ck_assert_int_eq(get(s, "manifest/1", text, &len), -ENOENT);
	ck_assert_int_eq(get(s, "something", text, &len), -ENOENT);
	ck_assert_int_eq(store_delete(s, "table/1", NULL), 0);
	ck_assert_int_eq(store_list_all(s, "log/", NULL, &l, NULL), 0);
	store_list_done(&l);
	stats_snapshot(s, &st);
	ck_assert_uint_eq(st.count[STORE_CREATE][STORE_CLASS_LOG].calls, 3);
	ck_assert_uint_eq(st.count[STORE_CREATE][STORE_CLASS_LOG].bytes, 8);
	ck_assert_uint_eq(st.count[STORE_CREATE][STORE_CLASS_LOG].absent, 1);
	ck_assert_uint_eq(st.count[STORE_CREATE][STORE_CLASS_TABLE].calls, 1);
	ck_assert_uint_eq(stats_sum(&st, STORE_CREATE).calls, 4);
	ck_assert_uint_eq(stats_sum(&st, STORE_CREATE).bytes, 9);
	ck_assert_uint_eq(st.count[STORE_PUT][STORE_CLASS_WRITER].bytes, 4);
	ck_assert_uint_eq(st.count[STORE_GET][STORE_CLASS_LOG].calls, 2);
	ck_assert_uint_eq(st.count[STORE_GET][STORE_CLASS_LOG].bytes, 5 + 3);
	ck_assert_uint_eq(st.count[STORE_GET][STORE_CLASS_MANIFEST].absent, 1);
	ck_assert_uint_eq(st.count[STORE_GET][STORE_CLASS_OTHER].absent, 1);
	ck_assert_uint_eq(st.count[STORE_DELETE][STORE_CLASS_TABLE].calls, 1);
	ck_assert_uint_eq(st.count[STORE_LIST][STORE_CLASS_LOG].bytes, 2);
	ck_assert_uint_eq(stats_class("zerofs.json"), STORE_CLASS_SUPERBLOCK);
	ck_assert_uint_eq(stats_class("keys/1"), STORE_CLASS_KEYS);
	ck_assert_uint_eq(stats_class("logbook"), STORE_CLASS_OTHER);
	ck_assert_str_eq(stats_class_name(STORE_CLASS_TABLE), "table");
	store_close(s);
}
END_TEST

static void stats_time_main(void *arg)
{
	struct delay_options o = {.latency_us = 20000};
	struct store *fault = fault_new(delay_new(mem(), &o)), *s = stats_new(fault);
	struct stats st;

	(void)arg;
	fault_add(fault, &(struct fault_rule){.kind = FAULT_ERROR, .nth = 3});
	ck_assert_int_eq(create(s, "a", "1"), 0);
	ck_assert_int_eq(create(s, "b", "1"), 0);
	ck_assert_int_eq(create(s, "c", "1"), -EIO);
	stats_snapshot(s, &st);
	ck_assert_uint_eq(stats_sum(&st, STORE_CREATE).failed, 1);
	ck_assert_uint_ge(st.time[STORE_CREATE].total_ns, 40 * MS);
	ck_assert_uint_le(st.time[STORE_CREATE].total_ns, 41 * MS);
	ck_assert_uint_ge(st.time[STORE_CREATE].max_ns, 20 * MS);
	ck_assert_uint_le(st.time[STORE_CREATE].max_ns, 21 * MS);
	ck_assert_uint_eq(st.time[STORE_CREATE].under_way, 0);
	store_close(s);
}

START_TEST(stats_time)
{
	sim_run(stats_time_main, NULL, 1);
}
END_TEST

/* The n-th of ten creates fails, for every n: exactly that object is missing, or there without our
 * knowing. */
START_TEST(fault_sweep)
{
	for (int lost = 0; lost < 2; lost++)
		for (uint64_t n = 1; n <= 11; n++) {
			struct store *s = fault_new(mem());
			struct fault_rule rule = {.kind = lost ? FAULT_LOST_REPLY : FAULT_ERROR,
				.ops = FAULT_OP(STORE_CREATE),
				.nth = n};
			int id = fault_add(s, &rule);
			size_t len;

			for (uint64_t i = 1; i <= 10; i++) {
				char key[16], text[64];
				int want = i != n ? 0 : lost ? -ETIMEDOUT : -EIO;

				snprintf(key, sizeof(key), "k%d", (int)i);
				ck_assert_int_eq(create(s, key, "x"), want);
				ck_assert_int_eq(
					get(s, key, text, &len), i == n && !lost ? -ENOENT : 0);
			}
			ck_assert_uint_eq(fault_seen(s, id), 10);
			ck_assert_uint_eq(fault_hits(s, id), n <= 10);
			ck_assert_uint_eq(fault_calls(s, STORE_CREATE), 10);
			ck_assert_uint_eq(fault_calls(s, STORE_GET), 10);
			store_close(s);
			mem_store_forget("layers");
		}
}
END_TEST

START_TEST(fault_selection)
{
	struct store *s = fault_new(mem());
	struct slice body = SLICE_STR("x");
	struct store_list l = {0};
	char text[64];
	size_t len;

	int a = fault_add(s, &(struct fault_rule){.kind = FAULT_ERROR,
				     .prefix = "log/",
				     .nth = 2,
				     .count = 2,
				     .code = -EACCES});
	int b = fault_add(s, &(struct fault_rule){.kind = FAULT_ERROR,
				     .ops = FAULT_OP(STORE_GET) | FAULT_OP(STORE_LIST),
				     .count = FAULT_FOREVER,
				     .nth = 3});

	ck_assert_int_eq(create(s, "log/1", "x"), 0);
	ck_assert_int_eq(create(s, "table/1", "x"), 0);
	ck_assert_int_eq(create(s, "log/2", "x"), -EACCES);
	ck_assert_int_eq(store_list_all(s, "log/", NULL, &l, NULL), -EACCES);
	ck_assert_int_eq(store_put(s, "log/3", body, NULL), 0);
	ck_assert_int_eq(get(s, "table/1", text, &len), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(get(s, "table/1", text, &len), -EIO);
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), -EIO);
	ck_assert_uint_eq(fault_seen(s, a), 4);
	ck_assert_uint_eq(fault_hits(s, a), 2);
	ck_assert_uint_eq(fault_seen(s, b), 6);
	ck_assert_uint_eq(fault_hits(s, b), 4);
	fault_clear(s);
	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, 3);
	store_list_done(&l);
	for (int i = 0; i < FAULT_RULES_MAX; i++)
		ck_assert_int_eq(fault_add(s, &(struct fault_rule){.nth = 1000}), i);
	ck_assert_int_eq(fault_add(s, &(struct fault_rule){.nth = 1}), -EINVAL);
	store_close(s);
}
END_TEST

START_TEST(fault_reads)
{
	struct store *s = fault_new(mem());
	char text[64];
	uint64_t size;
	size_t len;

	ck_assert_int_eq(create(s, "k", "0123456789"), 0);
	fault_add(s, &(struct fault_rule){.kind = FAULT_SHORT_READ});
	/* what passes through the checks of store_get() must be whole */
	ck_assert_int_eq(get(s, "k", text, &len), -EIO);
	fault_clear(s);
	fault_add(s, &(struct fault_rule){.kind = FAULT_TRUNCATED, .count = 3});
	ck_assert_int_eq(store_get(s, "k", 0, text, 64, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_uint_eq(size, 5);
	ck_assert_mem_eq(text, "01234", 5);
	ck_assert_int_eq(store_get_tail(s, "k", text, 2, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 2);
	ck_assert_mem_eq(text, "34", 2);
	ck_assert_int_eq(store_get(s, "k", 7, text, 64, &len, &size, NULL), 0);
	ck_assert_uint_eq(len, 0);
	fault_clear(s);
	fault_add(s, &(struct fault_rule){.kind = FAULT_GARBLED, .ops = FAULT_OP(STORE_GET)});
	ck_assert_int_eq(get(s, "k", text, &len), 0);
	ck_assert_uint_eq(len, 10);
	ck_assert_mem_ne(text, "0123456789", 10);
	ck_assert_int_eq(get(s, "k", text, &len), 0);
	ck_assert_mem_eq(text, "0123456789", 10);
	store_close(s);
}
END_TEST

START_TEST(fault_cut)
{
	for (int after = 0; after < 2; after++) {
		struct store *s = fault_new(mem()), *direct = mem();
		struct store_list l = {0};
		char text[64];
		size_t len;

		fault_add(s, &(struct fault_rule){.kind = after ? FAULT_CUT_AFTER : FAULT_CUT,
				     .ops = FAULT_WRITES,
				     .nth = 3});
		ck_assert_int_eq(create(s, "a", "1"), 0);
		ck_assert_int_eq(get(s, "a", text, &len), 0);
		ck_assert_int_eq(store_delete(s, "x", NULL), 0);
		ck_assert_int_eq(store_put(s, "b", SLICE_STR("1"), NULL), 0);
		ck_assert(!fault_is_cut(s));
		ck_assert_int_eq(create(s, "c", "1"), after ? -ETIMEDOUT : -EIO);
		ck_assert(fault_is_cut(s));
		ck_assert_int_eq(create(s, "d", "1"), -EIO);
		ck_assert_int_eq(store_put(s, "d", SLICE_STR("1"), NULL), -EIO);
		ck_assert_int_eq(store_delete(s, "a", NULL), -EIO);
		ck_assert_int_eq(get(s, "a", text, &len), -EIO);
		ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), -EIO);
		ck_assert_int_eq(store_list_all(direct, "", NULL, &l, NULL), 0);
		ck_assert_uint_eq(l.n, after ? 3 : 2);
		store_list_done(&l);
		fault_clear(s);
		ck_assert_int_eq(create(s, "d", "1"), 0);
		store_close(s);
		store_close(direct);
		mem_store_forget("layers");
	}
}
END_TEST

struct transfer {
	struct thread thread;
	struct store *s;
	const char *key;
	size_t bytes;
	bool up;
	uint64_t start_ns, took_ns;
	int result;
};

static void transfer_run(void *arg)
{
	struct transfer *t = arg;
	uint8_t *body = calloc(1, t->bytes + 1);
	struct slice part = SLICE(body, t->bytes);
	size_t len;

	t->start_ns = env_now_ns();
	t->result = t->up ? store_put(t->s, t->key, part, NULL)
			  : store_get(t->s, t->key, 0, body, t->bytes, &len, NULL, NULL);
	t->took_ns = env_now_ns() - t->start_ns;
	free(body);
}

static void check_took(const struct transfer *t, uint64_t ms)
{
	ck_assert_msg(t->took_ns + MS / 10 >= ms * MS && t->took_ns <= ms * MS * 103 / 100 + 5 * MS,
		"%s: %llu us instead of %llu ms", t->key, (unsigned long long)t->took_ns / 1000,
		(unsigned long long)ms);
}

static void run_all(struct transfer *t, int n)
{
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(thread_start(&t[i].thread, "transfer", transfer_run, &t[i]), 0);
	for (int i = 0; i < n; i++)
		thread_join(&t[i].thread);
}

static void delay_times_main(void *arg)
{
	struct delay_options o = {.latency_us = 30000, .link_bytes_per_s = 100 * MIB};
	struct store *s = delay_new(mem(), &o);

	(void)arg;
	struct transfer one = {.s = s, .key = "a", .bytes = 10 * MIB, .up = true};

	transfer_run(&one);
	check_took(&one, 130);
	one.up = false;
	transfer_run(&one);
	check_took(&one, 130);
	one.bytes = 0;
	transfer_run(&one);
	check_took(&one, 30);
	/* after a pause the link owes nothing */
	env_sleep_ms(1000);
	one.bytes = 10 * MIB;
	transfer_run(&one);
	check_took(&one, 130);

	/* two share; a small one is not held up by them; the other direction is free */
	struct transfer t[] = {{.s = s, .key = "b", .bytes = 10 * MIB, .up = true},
		{.s = s, .key = "c", .bytes = 10 * MIB, .up = true},
		{.s = s, .key = "small", .bytes = 4096, .up = true},
		{.s = s, .key = "a", .bytes = 10 * MIB}};

	run_all(t, 4);
	check_took(&t[0], 230);
	check_took(&t[1], 230);
	ck_assert_uint_le(t[2].took_ns, 42 * MS);
	check_took(&t[3], 130);
	store_close(s);
}

START_TEST(delay_times)
{
	sim_run(delay_times_main, NULL, 3);
}
END_TEST

static void delay_connections_main(void *arg)
{
	struct delay_options o = {
		.link_bytes_per_s = 100 * MIB, .connection_bytes_per_s = 20 * MIB};
	struct store *s = delay_new(mem(), &o);
	struct transfer t[10];

	(void)arg;
	for (int i = 0; i < 10; i++)
		t[i] = (struct transfer){.s = s, .key = "x", .bytes = 5 * MIB, .up = true};
	run_all(t, 1);
	check_took(&t[0], 250);
	run_all(t, 4); /* 80 of 100: each as if alone */
	for (int i = 0; i < 4; i++)
		check_took(&t[i], 250);
	run_all(t, 10); /* the link is the limit */
	for (int i = 0; i < 10; i++)
		check_took(&t[i], 500);
	store_close(s);
}

START_TEST(delay_connections)
{
	sim_run(delay_connections_main, NULL, 4);
}
END_TEST

static void delay_varies_main(void *arg)
{
	struct delay_options o = {.latency_us = 10000, .seed = 9};
	struct store *s = delay_new(mem(), &o);
	uint64_t sum = 0, min = UINT64_MAX, max = 0;

	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct transfer t = {.s = s, .key = "k", .up = true};

		transfer_run(&t);
		sum += t.took_ns;
		min = t.took_ns < min ? t.took_ns : min;
		max = t.took_ns > max ? t.took_ns : max;
	}
	ck_assert_uint_ge(min, 5 * MS);
	ck_assert_uint_le(min, 6 * MS);
	ck_assert_uint_ge(max, 14 * MS);
	ck_assert_uint_le(max, 15 * MS + MS / 10);
	ck_assert_uint_ge(sum / 200, 9 * MS);
	ck_assert_uint_le(sum / 200, 11 * MS);
	store_close(s);
}

START_TEST(delay_varies)
{
	sim_run(delay_varies_main, NULL, 5);
}
END_TEST

static void delay_hangs_main(void *arg)
{
	struct store *s = delay_new(mem(), &(struct delay_options){.latency_us = 1000});
	struct transfer t = {.s = s, .key = "k", .bytes = 1, .up = true, .result = 1};

	(void)arg;
	delay_set_hang(s, true);
	ck_assert_int_eq(thread_start(&t.thread, "hangs", transfer_run, &t), 0);
	env_sleep_ms(100000);
	ck_assert_int_eq(t.result, 1);
	delay_set_hang(s, false);
	thread_join(&t.thread);
	ck_assert_int_eq(t.result, 0);
	ck_assert_uint_ge(t.took_ns, 100000 * MS);

	delay_set_hang(s, true);
	ck_assert_int_eq(thread_start(&t.thread, "hangs", transfer_run, &t), 0);
	env_sleep_ms(5000);
	store_cancel(s);
	thread_join(&t.thread);
	ck_assert_int_eq(t.result, -ECANCELED);
	check_took(&t, 5000);
	transfer_run(&t);
	ck_assert_int_eq(t.result, -ECANCELED);
	check_took(&t, 0);
	store_close(s);
}

START_TEST(delay_hangs)
{
	sim_run(delay_hangs_main, NULL, 6);
}
END_TEST

/* Real threads and real sleeps: late wake-ups must not add up. The upper limit is wide for a busy
 * machine. */
START_TEST(delay_in_real_time)
{
	struct delay_options o = {.latency_us = 10000, .link_bytes_per_s = 80 * MIB};
	struct store *s = delay_new(mem(), &o);
	struct transfer t[] = {{.s = s, .key = "a", .bytes = 8 * MIB, .up = true},
		{.s = s, .key = "b", .bytes = 8 * MIB, .up = true}};

	run_all(t, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(t[i].result, 0);
		ck_assert_uint_ge(t[i].took_ns, 200 * MS);
		ck_assert_uint_le(t[i].took_ns, 600 * MS);
	}
	store_close(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store-layers");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_test(tc, stats_count);
	tcase_add_test(tc, stats_time);
	tcase_add_test(tc, fault_sweep);
	tcase_add_test(tc, fault_selection);
	tcase_add_test(tc, fault_reads);
	tcase_add_test(tc, fault_cut);
	tcase_add_test(tc, delay_times);
	tcase_add_test(tc, delay_connections);
	tcase_add_test(tc, delay_varies);
	tcase_add_test(tc, delay_hangs);
	tcase_add_test(tc, delay_in_real_time);
	return test_run(suite);
}
