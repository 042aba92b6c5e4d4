/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Index keys byte for byte, and back. */
#include "core/data/keyspace.h"
#include "tests/unit/seal-fixture.h"

static void expect(struct key k, const char *hex)
{
	uint8_t want[RECORD_KEY_MAX];
	size_t n = unhex(hex, want);

	ck_assert_uint_eq(k.len, n);
	ck_assert_mem_eq(k.bytes, want, n);
}

START_TEST(bytes_of_keys)
{
	expect(key_inode(1), "000000000000000101");
	expect(key_dirent(2, 0x1122334455667788, SLICE_STR("ab")),
		"0000000000000002021122334455667788"
		"6162");
	expect(key_dirent(2, 8, (struct slice){0}), "0000000000000002020000000000000008");
	expect(key_xattr(3, SLICE_STR("user.x")), "000000000000000303"
						  "757365722e78");
	expect(key_chunk(INODE_MAX, 5), "0000ffffffffffff040000000000000005");
	expect(key_segment(1, 2), "00000000000000001000000000000000010000000000000002");
	expect(key_counter(COUNTER_SETTLED), "00000000000000001103");
	expect(key_orphan(9), "0000000000000000120000000000000009");
	expect(key_time(7), "0000000000000000130000000000000007");
	expect(key_retired_segment(3, 4), "00000000000000001600000000000000030000000000000004");
	expect(key_kind_first(4, KEY_CHUNK + 1), "000000000000000405");
}
END_TEST

START_TEST(order)
{
	struct key a = key_chunk(4, UINT64_MAX), b = key_kind_first(4, KEY_CHUNK + 1),
		   c = key_inode(5);

	ck_assert_int_lt(slice_cmp(key_slice(&a), key_slice(&b)), 0);
	ck_assert_int_lt(slice_cmp(key_slice(&b), key_slice(&c)), 0);
}
END_TEST

START_TEST(parsing)
{
	struct key k = key_dirent(2, 77, SLICE_STR("name"));
	struct key_parts p;

	ck_assert(key_parse(key_slice(&k), &p));
	ck_assert_uint_eq(p.inode, 2);
	ck_assert_int_eq(p.kind, KEY_DIRENT);
	ck_assert_uint_eq(p.a, 77);
	ck_assert(slice_eq(p.name, SLICE_STR("name")));
	k = key_segment(8, 9);
	ck_assert(key_parse(key_slice(&k), &p));
	ck_assert(p.inode == 0 && p.kind == KEY_SEGMENT && p.a == 8 && p.b == 9);
	k = key_chunk(6, 123456789);
	ck_assert(key_parse(key_slice(&k), &p));
	ck_assert(p.inode == 6 && p.kind == KEY_CHUNK && p.a == 123456789);
	k = key_counter(COUNTER_NEXT_INODE);
	ck_assert(key_parse(key_slice(&k), &p));
	ck_assert(p.kind == KEY_COUNTER && p.a == COUNTER_NEXT_INODE);
}
END_TEST

START_TEST(not_ours)
{
	static const char *const bad[] = {
		"",
		"00000000000000",
		"0000000000000001",   /* no kind */
		"000000000000000100", /* unknown kind */
		"000000000000000105",
		"000000000000000001", /* an inode record of inode 0 */
		"000000000000000110"
		"00000000000000010000000000000002", /* a segment of inode 1 */
		"00000000000000010100",		    /* something behind */
		"0000000000000001040000",	    /* chunk number cut */
		"000000000000000010"
		"0000000000000001", /* half a place */
		"00000000000000001101ff",
	};
	struct key_parts p;
	uint8_t bytes[RECORD_KEY_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t n = unhex(bad[i], bytes);

		ck_assert_msg(!key_parse(SLICE(bytes, n), &p), "case %zu", i);
	}
	/* A name of 256 bytes. */
	struct key k = key_xattr(3, (struct slice){0});

	memset(k.bytes + k.len, 'x', 256);
	ck_assert(!key_parse(SLICE(k.bytes, k.len + 256), &p));
	ck_assert(key_parse(SLICE(k.bytes, k.len + 255), &p));
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("keyspace");

	tcase_add_test(t, bytes_of_keys);
	tcase_add_test(t, order);
	tcase_add_test(t, parsing);
	tcase_add_test(t, not_ours);
	return t;
}

int main(void)
{
	return run_suite(make, "data-keyspace");
}
