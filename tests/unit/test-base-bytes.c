/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/rng.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

START_TEST(compares_slices)
{
	ck_assert_int_lt(slice_cmp(SLICE_STR("ab"), SLICE_STR("b")), 0);
	ck_assert_int_lt(slice_cmp(SLICE_STR("ab"), SLICE_STR("abc")), 0);
	ck_assert_int_gt(slice_cmp(SLICE_STR("\xff"), SLICE_STR("\x01")), 0);
	ck_assert_int_eq(slice_cmp(SLICE(NULL, 0), SLICE_STR("")), 0);
	ck_assert_int_lt(slice_cmp(SLICE(NULL, 0), SLICE_STR("a")), 0);
	ck_assert(slice_eq(SLICE_STR("xy"), SLICE_STR("xy")));
	ck_assert(!slice_eq(SLICE_STR("xy"), SLICE_STR("xz")));
	ck_assert(!slice_eq(SLICE_STR("xy"), SLICE_STR("xyz")));
	ck_assert(slice_starts_with(SLICE_STR("xyz"), SLICE_STR("xy")));
	ck_assert(slice_starts_with(SLICE_STR("xyz"), SLICE(NULL, 0)));
	ck_assert(!slice_starts_with(SLICE_STR("x"), SLICE_STR("xy")));
	ck_assert_uint_eq(slice_common_prefix(SLICE_STR("abcd"), SLICE_STR("abx")), 2);
	ck_assert_uint_eq(slice_common_prefix(SLICE_STR("ab"), SLICE_STR("ab")), 2);
}
END_TEST

START_TEST(appends_and_reads_back)
{
	struct buf b = BUF_INIT;

	ck_assert_int_eq(buf_append(&b, NULL, 0), 0);
	ck_assert_int_eq(buf_append_u8(&b, 0xfe), 0);
	ck_assert_int_eq(buf_append_le16(&b, 0x1234), 0);
	ck_assert_int_eq(buf_append_le32(&b, 0x12345678), 0);
	ck_assert_int_eq(buf_append_le64(&b, 0x123456789abcdef0), 0);
	ck_assert_int_eq(buf_append_be64(&b, 0x123456789abcdef0), 0);
	ck_assert_int_eq(buf_append_varint(&b, 300), 0);
	ck_assert_int_eq(buf_append_slice(&b, SLICE_STR("tail")), 0);
	static const uint8_t expect[] = {0xfe, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 0xf0, 0xde, 0xbc,
		0x9a, 0x78, 0x56, 0x34, 0x12, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0xac,
		0x02, 't', 'a', 'i', 'l'};
	ck_assert_uint_eq(b.len, sizeof(expect));
	ck_assert_mem_eq(b.data, expect, sizeof(expect));

	struct cursor c = cursor_of(buf_slice(&b));

	ck_assert_uint_eq(cursor_u8(&c), 0xfe);
	ck_assert_uint_eq(cursor_le16(&c), 0x1234);
	ck_assert_uint_eq(cursor_le32(&c), 0x12345678);
	ck_assert_uint_eq(cursor_le64(&c), 0x123456789abcdef0);
	ck_assert_uint_eq(cursor_be64(&c), 0x123456789abcdef0);
	ck_assert_uint_eq(cursor_varint(&c), 300);
	ck_assert(slice_eq(cursor_bytes(&c, 4), SLICE_STR("tail")));
	ck_assert_uint_eq(cursor_left(&c), 0);
	ck_assert(!c.bad);
	ck_assert_uint_eq(cursor_u8(&c), 0);
	ck_assert(c.bad);
	buf_done(&b);
	buf_done(NULL);
	ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(grows_and_refuses_the_impossible)
{
	struct buf b = BUF_INIT;

	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(buf_append_le32(&b, (uint32_t)i), 0);
	for (uint32_t i = 0; i < 100000; i++)
		ck_assert_uint_eq(get_le32(b.data + 4 * i), i);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX - b.len), -ENOMEM);
	ck_assert_uint_eq(b.len, 400000);
	const uint8_t *at = b.data;

	buf_clear(&b);
	ck_assert_int_eq(buf_reserve(&b, 400000), 0);
	ck_assert_ptr_eq(b.data, at);
	ck_assert_ptr_eq(buf_extend(&b, 0), at);
	buf_done(&b);
}
END_TEST

START_TEST(stays_bad_after_the_first_failure)
{
	struct cursor c = cursor_of(SLICE_STR("abc"));

	ck_assert_uint_eq(cursor_le32(&c), 0);
	ck_assert(c.bad);
	ck_assert_uint_eq(cursor_left(&c), 0);
	ck_assert_uint_eq(cursor_u8(&c), 0);
	ck_assert_uint_eq(cursor_bytes(&c, 1).len, 0);
	ck_assert_uint_eq(cursor_bytes(&c, 0).len, 0);

	c = cursor_of(SLICE_STR("abc"));
	ck_assert_uint_eq(cursor_bytes(&c, UINT64_MAX).len, 0);
	ck_assert(c.bad);
	c = cursor_of(SLICE(NULL, 0));
	ck_assert_uint_eq(cursor_bytes(&c, 0).len, 0);
	ck_assert(!c.bad);
}
END_TEST

START_TEST(takes_every_varint_in_one_form_only)
{
	struct rng rng = rng_of(1);

	for (int i = 0; i < 20000; i++) {
		uint64_t v = rng_next(&rng) >> rng_below(&rng, 64);
		uint8_t bytes[VARINT_MAX];
		size_t n = put_varint(bytes, v);
		struct cursor c = cursor_of(SLICE(bytes, n));

		ck_assert_uint_eq(varint_len(v), n);
		ck_assert_uint_eq(cursor_varint(&c), v);
		ck_assert(!c.bad && cursor_left(&c) == 0);
		c = cursor_of(SLICE(bytes, n - 1));
		ck_assert_uint_eq(cursor_varint(&c), 0);
		ck_assert(c.bad);
	}
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"\x80\x00", 2},				  /* 0 in two bytes */
		{"\xff\x80\x00", 3},				  /* 127 in three */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, /* 65 bits */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81", 10}, /* more follows after 64 bits */
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cursor c = cursor_of(SLICE(bad[i].bytes, bad[i].len));

		ck_assert_uint_eq(cursor_varint(&c), 0);
		ck_assert_msg(c.bad, "case %zu", i);
	}
	struct cursor c = cursor_of(SLICE_STR("\xac\x02\xac\x02"));

	ck_assert_uint_eq(cursor_varint_max(&c, 300), 300);
	ck_assert_uint_eq(cursor_varint_max(&c, 299), 0);
	ck_assert(c.bad);
}
END_TEST

START_TEST(checks_arithmetic)
{
	uint64_t v = 7;
	size_t z = 7;

	ck_assert(checked_add_u64(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX);
	ck_assert(!checked_add_u64(UINT64_MAX, 1, &v) && v == UINT64_MAX);
	ck_assert(checked_mul_u64(1ull << 32, (1ull << 32) - 1, &v));
	ck_assert(!checked_mul_u64(1ull << 32, 1ull << 32, &v));
	ck_assert(checked_add_size(1, 2, &z) && z == 3);
	ck_assert(!checked_add_size(SIZE_MAX, 2, &z) && z == 3);
	ck_assert(!checked_mul_size(SIZE_MAX, 2, &z) && z == 3);
	ck_assert(checked_mul_size(4, 2, &z) && z == 8);
	ck_assert(range_within(0, 10, 10) && range_within(10, 0, 10) && range_within(3, 4, 10));
	ck_assert(!range_within(11, 0, 10) && !range_within(1, 10, 10));
	ck_assert(!range_within(5, UINT64_MAX, 10));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-bytes");
	TCase *t = tcase_create("all");

	tcase_add_test(t, compares_slices);
	tcase_add_test(t, appends_and_reads_back);
	tcase_add_test(t, grows_and_refuses_the_impossible);
	tcase_add_test(t, stays_bad_after_the_first_failure);
	tcase_add_test(t, takes_every_varint_in_one_form_only);
	tcase_add_test(t, checks_arithmetic);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
