/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cookies, and entries whose names share a hash. */
#include "core/vfs/dir.h"
#include "core/vfs/inode_codec.h"
#include "tests/lib/small_index.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define DIR_NUMBER 40ull

/* One bit of hash: every name has H = 1. */
static const struct name_hash all_equal = {.key = {1}, .bits = 1};

static struct small_index ix;

static void put(struct slice name, uint64_t cookie, uint64_t inode)
{
	struct key k = key_dirent(DIR_NUMBER, cookie, name);
	uint8_t v[DIRENT_VALUE_MAX];
	size_t len = dirent_value_encode(inode, DT_REG, v);

	small_index_put(&ix, &k, SLICE(v, len));
}

static struct dir_slot find(const struct name_hash *h, struct slice name)
{
	struct dir_slot s;

	ck_assert_int_eq(dir_scan(ix.index, h, DIR_NUMBER, name, 0, &s), 0);
	return s;
}

START_TEST(test_hash)
{
	/* Vectors of the authors of SipHash-2-4: key 00..0f, input 00, 00 01, 00..0e. */
	struct name_hash h = {.bits = 56};
	uint8_t in[15];

	for (uint8_t i = 0; i < 16; i++)
		h.key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		in[i] = i;
	ck_assert_uint_eq(
		name_cookie(&h, SLICE(in, 1)), (0x74f839c593dc67fdull & ((1ull << 56) - 1)) << 7);
	ck_assert_uint_eq(
		name_cookie(&h, SLICE(in, 2)), (0x0d6c8009d9a94f5aull & ((1ull << 56) - 1)) << 7);
	ck_assert_uint_eq(
		name_cookie(&h, SLICE(in, 15)), (0xa129ca6149be45e5ull & ((1ull << 56) - 1)) << 7);
	h.bits = 8;
	ck_assert_uint_eq(name_cookie(&h, SLICE(in, 1)), 0xfdull << 7);
	/* 0 becomes 1, so no cookie is below 8. */
	ck_assert_uint_eq(name_cookie(&all_equal, SLICE("a", 1)), 1ull << 7);
	ck_assert_uint_eq(name_cookie(&all_equal, SLICE("b", 1)), 1ull << 7);
}
END_TEST

START_TEST(test_find)
{
	struct name_hash h;
	struct dir_slot s;

	ck_assert_int_eq(name_hash_init(&h, ix.keys), 0);
	ck_assert(h.bits == 56 || h.bits == 8); /* 8: the build that shows collisions */
	ck_assert_int_eq(dir_is_empty(ix.index, DIR_NUMBER, 0), 1);
	s = find(&h, SLICE_STR("file"));
	ck_assert_uint_eq(s.inode, 0);
	ck_assert_uint_eq(s.cookie, name_cookie(&h, SLICE_STR("file")));
	put(s.name, s.cookie, 7);
	s = find(&h, SLICE_STR("file"));
	ck_assert_uint_eq(s.inode, 7);
	ck_assert_uint_eq(s.type, DT_REG);
	s = find(&h, SLICE_STR("fil"));
	ck_assert_uint_eq(s.inode, 0);
	ck_assert_int_eq(dir_is_empty(ix.index, DIR_NUMBER, 0), 0);
	ck_assert_int_eq(dir_is_empty(ix.index, DIR_NUMBER + 1, 0), 1);
}
END_TEST

START_TEST(test_equal_hashes)
{
	char name[16];
	struct dir_slot s;

	for (unsigned i = 0; i < COOKIE_SLOTS; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		s = find(&all_equal, SLICE_STR(name));
		ck_assert_uint_eq(s.inode, 0);
		ck_assert_uint_eq(s.cookie, (1u << 7) + i);
		put(s.name, s.cookie, 100 + i);
	}
	/* The 129th name finds no place; those that are there are all found. */
	ck_assert_uint_eq(find(&all_equal, SLICE_STR("one more")).cookie, 0);
	for (unsigned i = 0; i < COOKIE_SLOTS; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		ck_assert_uint_eq(find(&all_equal, SLICE_STR(name)).inode, 100 + i);
	}
	/* The smallest free number is given again, in both halves. */
	static const unsigned removed[] = {100, 70, 3};

	for (size_t r = 0; r < sizeof(removed) / sizeof(*removed); r++) {
		unsigned i = removed[r];
		struct key k;

		snprintf(name, sizeof(name), "n%u", i);
		k = key_dirent(DIR_NUMBER, (1u << 7) + i, SLICE_STR(name));
		small_index_delete(&ix, &k);
		ck_assert_uint_eq(find(&all_equal, SLICE_STR("one more")).cookie, (1u << 7) + i);
		ck_assert_uint_eq(find(&all_equal, SLICE_STR(name)).inode, 0);
	}
}
END_TEST

START_TEST(test_damage)
{
	struct key k = key_dirent(DIR_NUMBER, 1u << 7, SLICE_STR("x"));
	struct dir_slot s;

	small_index_put(&ix, &k, SLICE("\0\0\0", 3));
	ck_assert_int_eq(
		dir_scan(ix.index, &all_equal, DIR_NUMBER, SLICE_STR("x"), 0, &s), -EBADMSG);
	/* Another name of the same hash does not look at the value. */
	ck_assert_uint_eq(find(&all_equal, SLICE_STR("y")).cookie, (1u << 7) + 1);
}
END_TEST

static void setup(void)
{
	small_index_open(&ix);
	small_index_begin(&ix);
}

static void teardown(void)
{
	small_index_end(&ix);
	small_index_close(&ix);
}

int main(void)
{
	Suite *s = suite_create("vfs-dir");
	TCase *t = tcase_create("dir");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_hash);
	tcase_add_test(t, test_find);
	tcase_add_test(t, test_equal_hashes);
	tcase_add_test(t, test_damage);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
