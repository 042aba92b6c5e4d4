/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/bytes.h"
#include "core/index/filter.h"
#include "tests/unit/seal-fixture.h"

#define MANY 20000

/* The hash is part of the format: these values never change. */
START_TEST(golden_hash)
{
	static const struct {
		const char *key;
		uint64_t hash;
	} golden[] = {
		{"", 0x0f7ee694f9b431f0ull},
		{"a", 0x356b5c4c85d8e4e8ull},
		{"abcdefg", 0x3567f60e83c390a4ull},
		{"abcdefgh", 0x4a9289bc7c7d4671ull},
		{"abcdefghi", 0xcc318c795155b120ull},
		{"The quick brown fox jumps over the lazy dog", 0xcf9d3820190849b3ull},
	};

	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++)
		ck_assert_msg(filter_hash(SLICE_STR(golden[i].key)) == golden[i].hash,
			"\"%s\": %#llx", golden[i].key,
			(unsigned long long)filter_hash(SLICE_STR(golden[i].key)));
	ck_assert_uint_ne(filter_hash(SLICE("\0", 1)), filter_hash(SLICE("\0\0", 2)));
}
END_TEST

/* So is which bits a hash sets. */
START_TEST(golden_filter)
{
	uint64_t hashes[] = {filter_hash(SLICE_STR("a")), filter_hash(SLICE_STR("b"))};
	struct buf f = BUF_INIT;
	uint64_t sum;

	ck_assert_int_eq(filter_build(hashes, 2, &f), 0);
	ck_assert_uint_eq(f.len, 4 + FILTER_LINE_BYTES);
	ck_assert_uint_eq(get_le32(f.data), 1);
	sum = filter_hash(buf_slice(&f));
	ck_assert_msg(sum == 0x7219b9e8e0e8cf82ull, "%#llx", (unsigned long long)sum);
	buf_done(&f);
}
END_TEST

static uint64_t hash_of(uint64_t number)
{
	uint8_t key[17] = {0};

	put_be64(key, number / 100);
	put_be64(key + 9, number);
	return filter_hash(SLICE(key, sizeof(key)));
}

START_TEST(has_all_and_little_else)
{
	uint64_t *hashes = calloc(MANY, sizeof(*hashes)), base;
	struct buf f = BUF_INIT;
	unsigned wrong = 0;

	env_random(&base, sizeof(base));
	base >>= 8;
	for (uint64_t i = 0; i < MANY; i++)
		hashes[i] = hash_of(base + i);
	ck_assert_int_eq(filter_build(hashes, MANY, &f), 0);
	ck_assert_int_eq(filter_check(buf_slice(&f)), 0);
	ck_assert_uint_le(f.len, 4 + MANY * FILTER_BITS_PER_KEY / 8 + FILTER_LINE_BYTES);
	for (uint64_t i = 0; i < MANY; i++)
		ck_assert(filter_has(buf_slice(&f), hashes[i]));
	for (uint64_t i = 0; i < MANY; i++)
		wrong += filter_has(buf_slice(&f), hash_of(base + MANY + i));
	ck_assert_msg(wrong < MANY / 50, "%u of %d", wrong, MANY);
	buf_done(&f);
	free(hashes);
}
END_TEST

START_TEST(empty_and_bad)
{
	struct buf f = BUF_INIT;
	uint8_t raw[4 + FILTER_LINE_BYTES] = {2};

	ck_assert_int_eq(filter_build(NULL, 0, &f), 0);
	ck_assert_int_eq(filter_check(buf_slice(&f)), 0);
	ck_assert(!filter_has(buf_slice(&f), 0));
	buf_done(&f);
	for (size_t len = 0; len <= sizeof(raw); len++)
		ck_assert_int_eq(filter_check(SLICE(raw, len)), -EBADMSG);
	raw[0] = 1;
	ck_assert_int_eq(filter_check(SLICE(raw, sizeof(raw))), 0);
	memset(raw, 0xff, 4);
	ck_assert_int_eq(filter_check(SLICE(raw, sizeof(raw))), -EBADMSG);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("filter");

	tcase_add_test(t, golden_hash);
	tcase_add_test(t, golden_filter);
	tcase_add_test(t, has_all_and_little_else);
	tcase_add_test(t, empty_and_bad);
	return t;
}

int main(void)
{
	return run_suite(make, "index-filter");
}
