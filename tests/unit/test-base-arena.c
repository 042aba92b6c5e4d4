/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/arena.h"
#include "core/base/refcount.h"
#include "core/base/rng.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define PIECES 4000

START_TEST(gives_pieces_that_stay)
{
	struct arena a = ARENA_INIT;
	struct rng rng = rng_of(3);
	static uint8_t *piece[PIECES];
	static size_t len[PIECES];
	size_t used = 0;

	for (int i = 0; i < PIECES; i++) {
		len[i] = rng_chance(&rng, 1, 100) ? rng_below(&rng, ARENA_ALLOC_MAX + 1)
						  : rng_below(&rng, 300);
		bool large = rng_chance(&rng, 1, 200);

		if (large)
			len[i] += ARENA_CHUNK_BYTES;
		piece[i] = large ? arena_alloc_large(&a, len[i]) : arena_alloc(&a, len[i]);
		ck_assert_ptr_nonnull(piece[i]);
		ck_assert_uint_eq((uintptr_t)piece[i] % ARENA_ALIGN, 0);
		memset(piece[i], i & 0xff, len[i]);
		used += arena_cost(len[i]);
		ck_assert_uint_eq(arena_used(&a), used);
		ck_assert_uint_le(used, arena_held(&a));
	}
	for (int i = 0; i < PIECES; i++) {
		size_t k = 0;

		while (k < len[i] && piece[i][k] == (uint8_t)i)
			k++;
		ck_assert_uint_eq(k, len[i]);
	}
	arena_done(&a);
	ck_assert_uint_eq(arena_held(&a), 0);
	ck_assert_ptr_nonnull(arena_alloc(&a, 0));
	arena_done(&a);
}
END_TEST

/* Whatever the sizes of the pieces, what was reserved comes without another chunk. */
START_TEST(keeps_reservations)
{
	struct rng rng = rng_of((uint64_t)_i);
	struct arena a = ARENA_INIT;

	for (int round = 0; round < 60; round++) {
		size_t left = rng_below(&rng, 8 * ARENA_ALLOC_MAX), limit = ARENA_ALLOC_MAX;

		left -= left % ARENA_ALIGN;
		if (rng_chance(&rng, 1, 2))
			limit = 1 + rng_below(&rng, 4000);
		ck_assert_int_eq(arena_reserve(&a, left), 0);
		size_t held = arena_held(&a);

		while (left) {
			size_t most = left < limit ? left : limit, n = 1 + rng_below(&rng, most);

			if (rng_chance(&rng, 1, 2))
				n = most;
			ck_assert_ptr_nonnull(arena_alloc(&a, n));
			left -= arena_cost(n);
		}
		ck_assert_uint_eq(arena_held(&a), held);
	}
	/* Half chunks and a little, the worst case, still waste no more than as much again. */
	ck_assert_uint_le(arena_held(&a), 2 * arena_used(&a) + 20 * ARENA_CHUNK_BYTES);
	arena_done(&a);
}
END_TEST

START_TEST(reports_no_memory)
{
	struct arena a = ARENA_INIT;

	ck_assert_ptr_null(arena_alloc_large(&a, SIZE_MAX));
	ck_assert_uint_eq(arena_held(&a), 0);
	arena_done(&a);
}
END_TEST

START_TEST(refuses_large_pieces)
{
	struct arena a = ARENA_INIT;

	(void)arena_alloc(&a, ARENA_ALLOC_MAX + 1);
}
END_TEST

START_TEST(counts_references)
{
	struct refcount r;

	refcount_init(&r);
	refcount_ref(&r);
	ck_assert(refcount_ref_unless_zero(&r));
	ck_assert_uint_eq(refcount_read(&r), 3);
	ck_assert(!refcount_unref(&r));
	ck_assert(!refcount_unref(&r));
	ck_assert(refcount_unref(&r));
	ck_assert(!refcount_ref_unless_zero(&r));
}
END_TEST

START_TEST(refuses_to_revive)
{
	struct refcount r;

	refcount_init(&r);
	(void)refcount_unref(&r);
	refcount_ref(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-arena");
	TCase *t = tcase_create("all");

	tcase_add_test(t, gives_pieces_that_stay);
	tcase_add_loop_test(t, keeps_reservations, 0, 10);
	tcase_add_test(t, reports_no_memory);
	tcase_add_test_raise_signal(t, refuses_large_pieces, SIGABRT);
	tcase_add_test(t, counts_references);
	tcase_add_test_raise_signal(t, refuses_to_revive, SIGABRT);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
