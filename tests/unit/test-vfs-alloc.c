/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs of inode numbers. */
#include "core/base/error.h"
#include "core/base/map.h"
#include "core/data/keyspace.h"
#include "core/vfs/alloc.h"

#include <check.h>
#include <stdlib.h>

START_TEST(test_runs)
{
	struct inode_run a = {0}, b = {0};
	struct alloc al;
	uint64_t n, last = 0, expect = 2, len = INODE_RUN_FIRST;

	alloc_init(&al, 2);
	/* One directory alone: consecutive; the runs double to their maximum. */
	for (int run = 0; run < 12; run++) {
		for (uint64_t i = 0; i < len; i++) {
			ck_assert_int_eq(alloc_take(&al, &a, &n), 0);
			ck_assert_uint_eq(n, expect++);
		}
		ck_assert_uint_eq(a.next, a.end);
		ck_assert_uint_eq(alloc_high_water(&al), expect);
		len = len < INODE_RUN_MAX ? len * 2 : INODE_RUN_MAX;
		last = n;
	}
	/* Another one begins small, behind what is taken. */
	ck_assert_int_eq(alloc_take(&al, &b, &n), 0);
	ck_assert_uint_eq(n, last + 1);
	ck_assert_uint_eq(b.end - b.next, INODE_RUN_FIRST - 1);
	alloc_done(&al);
}
END_TEST

START_TEST(test_end)
{
	struct inode_run a = {0}, b = {0};
	struct alloc al;
	uint64_t n;

	alloc_init(&al, INODE_MAX - 2);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(alloc_take(&al, &a, &n), 0);
		ck_assert_uint_eq(n, INODE_MAX - 2 + (uint64_t)i);
	}
	ck_assert_int_eq(alloc_take(&al, &a, &n), -ENOSPC);
	ck_assert_int_eq(alloc_take(&al, &b, &n), -ENOSPC);
	ck_assert_uint_eq(alloc_high_water(&al), INODE_MAX + 1);
	alloc_done(&al);
}
END_TEST

struct taker {
	struct thread thread;
	struct alloc *alloc;
	uint64_t numbers[5000];
};

static void take_many(void *arg)
{
	struct taker *t = arg;
	struct inode_run run = {0};

	for (size_t i = 0; i < 5000; i++)
		if (alloc_take(t->alloc, &run, &t->numbers[i]) < 0)
			abort();
}

START_TEST(test_threads)
{
	static struct taker takers[4];
	struct map seen = MAP_INIT;
	struct alloc al;

	alloc_init(&al, 2);
	for (int i = 0; i < 4; i++) {
		takers[i].alloc = &al;
		ck_assert_int_eq(
			thread_start(&takers[i].thread, "taker", take_many, &takers[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		thread_join(&takers[i].thread);
	for (int i = 0; i < 4; i++)
		for (size_t k = 0; k < 5000; k++) {
			ck_assert_uint_lt(takers[i].numbers[k], alloc_high_water(&al));
			ck_assert_int_eq(map_insert(&seen, takers[i].numbers[k], &al), 0);
		}
	map_done(&seen);
	alloc_done(&al);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfs-alloc");
	TCase *t = tcase_create("alloc");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, test_runs);
	tcase_add_test(t, test_end);
	tcase_add_test(t, test_threads);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
