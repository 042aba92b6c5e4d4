/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/thread.h"
#include "core/index/block_cache.h"
#include "tests/unit/seal-fixture.h"

#define BLOCK_BYTES 1000

static struct block_key key_of(uint64_t i)
{
	return (struct block_key){{i % 3, i % 7}, i};
}

static struct buf plain_of(uint64_t i)
{
	struct buf b = BUF_INIT;
	uint8_t *p = buf_extend(&b, BLOCK_BYTES);

	ck_assert_ptr_nonnull(p);
	memset(p, (int)(i % 251), BLOCK_BYTES);
	return b;
}

/* True when it was there; loads it otherwise. */
static bool use(struct block_cache *c, uint64_t i)
{
	struct block_key key = key_of(i);
	struct block *b = NULL;
	int r = block_cache_begin(c, &key, 0, &b);

	ck_assert_int_ge(r, 0);
	if (r == 0) {
		struct buf plain = plain_of(i);

		block_cache_finish(c, &key, &plain, &b);
	}
	ck_assert_uint_eq(b->plain.len, BLOCK_BYTES);
	ck_assert_uint_eq(b->plain.data[BLOCK_BYTES - 1], i % 251);
	block_unref(b);
	return r == 1;
}

START_TEST(bounded)
{
	struct rng rng = fixture_rng();
	struct budget *budget = budget_new(1 << 20);
	struct block_cache *c = block_cache_new(budget, 100000);
	uint64_t hits, misses;

	for (int i = 0; i < 5000; i++) {
		(void)use(c, rng_below(&rng, 300));
		ck_assert_uint_le(block_cache_bytes(c), 100000 + 8 * 2000);
		ck_assert_uint_eq(block_cache_bytes(c), budget_used(budget, BUDGET_CACHE));
	}
	block_cache_counts(c, &hits, &misses);
	ck_assert_uint_eq(hits + misses, 5000);
	ck_assert_uint_gt(hits, 500);
	block_cache_free(c);
	ck_assert_uint_eq(budget_used(budget, BUDGET_CACHE), 0);
	budget_free(budget);
}
END_TEST

/* Shrinking gives back what it is asked for; nothing is lost but time. */
START_TEST(shrinks)
{
	struct budget *budget = budget_new(1 << 20);
	struct block_cache *c = block_cache_new(budget, 100000);

	for (uint64_t i = 0; i < 60; i++)
		(void)use(c, i);
	uint64_t had = block_cache_bytes(c);

	ck_assert_uint_gt(had, 50000);
	block_cache_shrink(c, had / 2);
	ck_assert_uint_le(block_cache_bytes(c), had - had / 2);
	ck_assert_uint_gt(block_cache_bytes(c), had / 8);
	block_cache_shrink(c, UINT64_MAX - 1);
	ck_assert_uint_eq(block_cache_bytes(c), 0);
	ck_assert_uint_eq(budget_used(budget, BUDGET_CACHE), 0);
	for (uint64_t i = 0; i < 60; i++)
		(void)use(c, i);
	block_cache_free(c);
	budget_free(budget);
}
END_TEST

/* Blocks that are used again and again survive a scan of ten times the cache. */
START_TEST(scan_resistant)
{
	struct budget *budget = budget_new(8 << 20);
	struct block_cache *c = block_cache_new(budget, 400000);
	unsigned kept = 0;

	for (int round = 0; round < 6; round++)
		for (uint64_t i = 0; i < 100; i++)
			(void)use(c, i);
	for (uint64_t i = 1000; i < 5000; i++)
		(void)use(c, i);
	for (uint64_t i = 0; i < 100; i++)
		kept += use(c, i);
	ck_assert_msg(kept >= 80, "%u of 100", kept);
	block_cache_free(c);
	budget_free(budget);
}
END_TEST

/* When other caches have taken all, this one keeps its least share, no more. */
START_TEST(crowded)
{
	struct budget *budget = budget_new(1 << 20);
	struct block_cache *c = block_cache_new(budget, 200000);
	uint64_t all = budget_limit(budget, BUDGET_CACHE);

	budget_force(budget, BUDGET_CACHE, all);
	for (uint64_t i = 0; i < 1000; i++)
		(void)use(c, i);
	ck_assert_uint_ge(block_cache_bytes(c), 20000);
	ck_assert_uint_le(block_cache_bytes(c), 200000 / 4 + 8 * 2000);
	budget_put(budget, BUDGET_CACHE, all);
	for (uint64_t i = 0; i < 1000; i++)
		(void)use(c, i);
	ck_assert_uint_ge(block_cache_bytes(c), 150000);
	block_cache_free(c);
	budget_free(budget);
}
END_TEST

/* A block lives as long as somebody holds it; what is in no cache is accounted too. */
START_TEST(held)
{
	struct budget *budget = budget_new(1 << 20);
	struct block_cache *c = block_cache_new(budget, 20000);
	struct block_key key = key_of(1);
	struct buf plain = plain_of(1);
	struct block *b, *loose, *none;

	ck_assert_ptr_null(block_cache_peek(c, &key));
	ck_assert_int_eq(block_cache_begin(c, &key, BLOCK_CACHE_NO_WAIT, &b), -EWOULDBLOCK);
	ck_assert_int_eq(block_cache_begin(c, &key, 0, &b), 0);
	ck_assert_int_eq(block_cache_begin(c, &key, BLOCK_CACHE_NO_WAIT, &none), -EWOULDBLOCK);
	ck_assert_ptr_null(block_cache_peek(c, &key));
	block_cache_finish(c, &key, &plain, &b);
	loose = block_cache_peek(c, &key);
	ck_assert_ptr_eq(loose, b);
	block_unref(loose);
	for (uint64_t i = 2; i < 200; i++)
		(void)use(c, i);
	ck_assert_ptr_null(block_cache_peek(c, &key));
	ck_assert_uint_eq(b->plain.data[0], 1);
	plain = plain_of(5);
	loose = block_wrap(c, &plain);
	ck_assert_uint_ge(
		budget_used(budget, BUDGET_CACHE), block_cache_bytes(c) + 2 * BLOCK_BYTES);
	block_unref(loose);
	block_unref(b);
	ck_assert_uint_eq(budget_used(budget, BUDGET_CACHE), block_cache_bytes(c));
	block_cache_free(c);
	budget_free(budget);
}
END_TEST

/* ---- one loads, the others wait ---- */

struct flight {
	struct block_cache *c;
	_Atomic unsigned loads, got;
	bool fail_first;
};

static void fly(void *arg)
{
	struct flight *f = arg;
	struct block_key key = key_of(42);
	struct block *b = NULL;
	int r;

	while ((r = block_cache_begin(f->c, &key, 0, &b)) == 0) {
		unsigned n = atomic_fetch_add(&f->loads, 1);
		struct buf plain = plain_of(42);

		env_sleep_ms(20);
		if (n == 0 && f->fail_first) {
			block_cache_finish(f->c, &key, NULL, &b);
			buf_done(&plain);
			continue;
		}
		block_cache_finish(f->c, &key, &plain, &b);
		break;
	}
	ck_assert_ptr_nonnull(b);
	atomic_fetch_add(&f->got, 1);
	block_unref(b);
}

START_TEST(single_flight)
{
	for (int fail = 0; fail < 2; fail++) {
		struct flight f = {.c = block_cache_new(NULL, 100000), .fail_first = fail};
		struct thread threads[4];

		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(thread_start(&threads[i], "fly", fly, &f), 0);
		for (int i = 0; i < 4; i++)
			thread_join(&threads[i]);
		ck_assert_uint_eq(f.loads, fail ? 2 : 1);
		ck_assert_uint_eq(f.got, 4);
		block_cache_free(f.c);
	}
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("cache");

	tcase_add_test(t, bounded);
	tcase_add_test(t, shrinks);
	tcase_add_test(t, scan_resistant);
	tcase_add_test(t, crowded);
	tcase_add_test(t, held);
	tcase_add_test(t, single_flight);
	return t;
}

int main(void)
{
	return run_suite(make, "index-cache");
}
