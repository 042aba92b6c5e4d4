/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hash map against a plain array, and lists. */
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/rng.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 3000

/* Neighbouring keys, keys that differ in high bits only, and the extremes. */
static uint64_t key_of(size_t i)
{
	if (i < KEYS / 3)
		return i;
	if (i < 2 * KEYS / 3)
		return (uint64_t)i << 48;
	return UINT64_MAX - i;
}

static char values[KEYS];

static void compare(const struct map *m, const bool *present)
{
	bool walked[KEYS] = {0};
	size_t cursor = 0, count = 0;
	uint64_t key;
	void *value;

	while (map_next(m, &cursor, &key, &value)) {
		size_t i = (size_t)((char *)value - values);

		ck_assert(!walked[i] && present[i]);
		ck_assert_uint_eq(key, key_of(i));
		walked[i] = true;
		count++;
	}
	ck_assert_uint_eq(count, m->count);
	for (size_t i = 0; i < KEYS; i++)
		ck_assert_int_eq(walked[i], present[i]);
}

static void step(struct map *m, bool *present, size_t i, bool insert)
{
	uint64_t key = key_of(i);

	ck_assert_ptr_eq(map_find(m, key), present[i] ? &values[i] : NULL);
	if (insert) {
		ck_assert_int_eq(map_insert(m, key, &values[i]), present[i] ? -EEXIST : 0);
		present[i] = true;
	} else {
		ck_assert_ptr_eq(map_remove(m, key), present[i] ? &values[i] : NULL);
		present[i] = false;
	}
}

START_TEST(behaves_like_an_array)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)_i;
	struct rng rng = rng_of(seed);
	struct map m = MAP_INIT;
	bool present[KEYS] = {0};

	for (int round = 0; round < 8; round++) {
		/* Rounds that fill and rounds that empty. */
		uint64_t inserts = round % 2 ? 2 : 8;

		for (int i = 0; i < 6000; i++)
			step(&m, present, rng_below(&rng, KEYS), rng_chance(&rng, inserts, 10));
		compare(&m, present);
	}
	for (size_t i = 0; i < KEYS; i++)
		step(&m, present, i, false);
	ck_assert_uint_eq(m.count, 0);
	ck_assert_uint_le(m.cap, 32);
	map_done(&m);
	ck_assert_ptr_null(map_find(&m, 1));
	ck_assert_ptr_null(map_remove(&m, 1));
}
END_TEST

START_TEST(reserves)
{
	struct map m = MAP_INIT;

	ck_assert_int_eq(map_reserve(&m, 1000), 0);
	const struct map_slot *slots = m.slots;

	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(map_insert(&m, i * 4096, values), 0);
	ck_assert_ptr_eq(m.slots, slots);
	ck_assert_int_eq(map_reserve(&m, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(map_reserve(&m, SIZE_MAX / 64), -ENOMEM);
	ck_assert_uint_eq(m.count, 1000);
	map_done(&m);
}
END_TEST

struct item {
	int value;
	struct list link;
};

static void expect(const struct list *head, const char *digits)
{
	const struct item *i;

	list_for_each (i, head, link)
		ck_assert_int_eq(i->value, *digits++ - '0');
	ck_assert_int_eq(*digits, '\0');
}

START_TEST(links_lists)
{
	struct list head = LIST_INIT(head), other;
	struct item items[6], *i, *tmp;

	list_init(&other);
	ck_assert(list_empty(&head));
	ck_assert_ptr_null(list_first(&head, struct item, link));
	for (int n = 0; n < 6; n++) {
		items[n].value = n;
		if (n < 4)
			list_push_back(&head, &items[n].link);
		else
			list_push_front(&other, &items[n].link);
	}
	expect(&head, "0123");
	expect(&other, "54");
	list_move_front(&head, &items[2].link);
	list_move_back(&head, &items[0].link);
	expect(&head, "2130");
	list_splice_back(&head, &other);
	expect(&head, "213054");
	ck_assert(list_empty(&other));
	list_splice_back(&head, &other);
	ck_assert_ptr_eq(list_first(&head, struct item, link), &items[2]);
	ck_assert_ptr_eq(list_last(&head, struct item, link), &items[4]);
	list_for_each_safe (i, tmp, &head, link)
		if (i->value % 2) {
			list_remove(&i->link);
			memset(&i->link, 0xff, sizeof(i->link));
		}
	expect(&head, "204");
	list_remove(&items[2].link);
	list_remove(&items[2].link);
	expect(&head, "04");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-map");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, behaves_like_an_array, 1, 6);
	tcase_add_test(t, reserves);
	tcase_add_test(t, links_lists);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
