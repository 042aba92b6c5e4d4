/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/data/frame_cache.h"
#include "tests/unit/seal-fixture.h"

#define FRAME 4096u

static struct frame *make_frame(uint64_t n)
{
	struct frame *f = frame_new(
		&(struct frame_key){.epoch = 1, .sequence = n / 100, .ordinal = n % 100}, FRAME);

	ck_assert_ptr_nonnull(f);
	memset(f->bytes, (int)(n & 0xff), FRAME);
	return f;
}

static void put(struct frame_cache *c, uint64_t n)
{
	struct frame *f = make_frame(n);

	frame_cache_put(c, f);
	frame_unref(f);
}

static bool has(struct frame_cache *c, uint64_t n)
{
	struct frame *f = frame_cache_get(
		c, &(struct frame_key){.epoch = 1, .sequence = n / 100, .ordinal = n % 100});

	if (!f)
		return false;
	ck_assert_uint_eq(f->bytes[FRAME - 1], n & 0xff);
	frame_unref(f);
	return true;
}

START_TEST(finds)
{
	struct budget *b = budget_new(64 << 20);
	struct frame_cache *c = frame_cache_new(b, 8 << 20);

	for (uint64_t i = 0; i < 500; i++)
		put(c, i);
	for (uint64_t i = 0; i < 500; i++)
		ck_assert(has(c, i));
	ck_assert(!has(c, 500));
	ck_assert_uint_eq(budget_used(b, BUDGET_CACHE), frame_cache_bytes(c));
	/* The same once more is not taken twice. */
	uint64_t before = frame_cache_bytes(c);

	put(c, 7);
	ck_assert_uint_eq(frame_cache_bytes(c), before);
	frame_cache_free(c);
	budget_free(b);
}
END_TEST

START_TEST(limit)
{
	struct budget *b = budget_new(64 << 20);
	struct frame_cache *c = frame_cache_new(b, 1 << 20);

	for (uint64_t i = 0; i < 5000; i++) {
		put(c, i);
		ck_assert_uint_le(frame_cache_bytes(c), 1 << 20);
	}
	ck_assert_uint_gt(frame_cache_bytes(c), (1 << 20) / 2);
	frame_cache_free(c);
	budget_free(b);
}
END_TEST

/* What is read again and again survives a scan ten times as large as the cache, read in small
 * pieces. */
START_TEST(scan)
{
	struct budget *b = budget_new(64 << 20);
	struct frame_cache *c = frame_cache_new(b, 4 << 20);
	unsigned kept = 0;

	for (int round = 0; round < 6; round++)
		for (uint64_t i = 0; i < 300; i++)
			if (!has(c, i))
				put(c, i);
	/* Other frames come in between, so that uses of the working set are uses. */
	for (uint64_t i = 10000; i < 10300; i++) {
		put(c, i);
		(void)has(c, i - 10000);
	}
	for (uint64_t i = 20000; i < 30000; i++) {
		if (!has(c, i))
			put(c, i);
		for (int k = 0; k < 15; k++)
			(void)has(c, i);
	}
	for (uint64_t i = 0; i < 300; i++)
		kept += has(c, i);
	ck_assert_msg(kept > 200, "%u of 300 frames in use survived the scan", kept);
	frame_cache_free(c);
	budget_free(b);
}
END_TEST

/* The budget takes back what it lent. */
START_TEST(gives_back)
{
	struct budget *b = budget_new(16 << 20);
	struct frame_cache *c = frame_cache_new(b, 64 << 20);

	for (uint64_t i = 0; i < 3000; i++)
		put(c, i);
	ck_assert_uint_gt(frame_cache_bytes(c), 6 << 20); /* more than 3/16: dirty lends its part */
	budget_force(b, BUDGET_DIRTY, 4 << 20);
	ck_assert_uint_gt(budget_excess(b, BUDGET_CACHE), 0);
	for (uint64_t i = 3000; i < 3100; i++)
		put(c, i);
	ck_assert_uint_eq(budget_excess(b, BUDGET_CACHE), 0);
	frame_cache_shrink(c, 1 << 20);
	ck_assert_uint_lt(frame_cache_bytes(c), 3 << 20);
	budget_put(b, BUDGET_DIRTY, 4 << 20);
	frame_cache_free(c);
	budget_free(b);
}
END_TEST

START_TEST(readers_keep)
{
	struct budget *b = budget_new(64 << 20);
	struct frame_cache *c = frame_cache_new(b, 1 << 20);

	put(c, 1);
	struct frame *f = frame_cache_get(c, &(struct frame_key){.epoch = 1, .ordinal = 1});

	ck_assert_ptr_nonnull(f);
	frame_cache_free(c);
	ck_assert_uint_eq(f->bytes[0], 1);
	frame_unref(f);
	budget_free(b);
}
END_TEST

struct stress {
	struct frame_cache *cache;
	uint64_t seed;
};

static void stress_main(void *arg)
{
	struct stress *s = arg;
	struct rng rng = rng_of(s->seed);

	for (int i = 0; i < 20000; i++) {
		uint64_t n = rng_below(&rng, 2000);

		if (!has(s->cache, n))
			put(s->cache, n);
		if (rng_chance(&rng, 1, 1000))
			frame_cache_shrink(s->cache, 100000);
	}
}

START_TEST(threads)
{
	struct budget *b = budget_new(16 << 20);
	struct frame_cache *c = frame_cache_new(b, 4 << 20);
	struct rng rng = fixture_rng();
	struct stress s[4];
	struct thread t[4];

	for (int i = 0; i < 4; i++) {
		s[i] = (struct stress){.cache = c, .seed = rng_next(&rng)};
		ck_assert_int_eq(thread_start(&t[i], "stress", stress_main, &s[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		thread_join(&t[i]);
	ck_assert_uint_eq(budget_used(b, BUDGET_CACHE), frame_cache_bytes(c));
	frame_cache_free(c);
	budget_free(b);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("frame-cache");

	tcase_add_test(t, finds);
	tcase_add_test(t, limit);
	tcase_add_test(t, scan);
	tcase_add_test(t, gives_back);
	tcase_add_test(t, readers_keep);
	tcase_add_test(t, threads);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "data-frame-cache");
}
