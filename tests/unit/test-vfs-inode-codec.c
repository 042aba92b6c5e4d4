/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inode records and entry values: round trips, golden bytes, damage. */
#include "core/base/error.h"
#include "core/base/rng.h"
#include "core/vfs/inode_codec.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

static size_t encode(const struct inode_record *r, uint8_t **ret)
{
	size_t bound = inode_record_bound(r->inline_data.len, r->symlink.len, r->tags.len);
	size_t len;

	*ret = malloc(bound);
	ck_assert_ptr_nonnull(*ret);
	len = inode_record_encode(r, *ret);
	ck_assert_uint_le(len, bound);
	return len;
}

static void same(const struct inode_record *a, const struct inode_record *b)
{
	ck_assert_uint_eq(a->mode, b->mode);
	ck_assert_uint_eq(a->uid, b->uid);
	ck_assert_uint_eq(a->gid, b->gid);
	ck_assert_uint_eq(a->nlink, b->nlink);
	ck_assert_uint_eq(a->size, b->size);
	ck_assert_uint_eq(a->rdev, b->rdev);
	ck_assert_int_eq(a->atime.tv_sec, b->atime.tv_sec);
	ck_assert_int_eq(a->mtime.tv_sec, b->mtime.tv_sec);
	ck_assert_int_eq(a->ctime.tv_nsec, b->ctime.tv_nsec);
	ck_assert_int_eq(a->btime.tv_nsec, b->btime.tv_nsec);
	ck_assert_uint_eq(a->generation, b->generation);
	ck_assert_uint_eq(a->parent, b->parent);
	ck_assert_uint_eq(a->flags, b->flags);
	ck_assert_uint_eq(a->allocated, b->allocated);
	ck_assert(slice_eq(a->inline_data, b->inline_data));
	ck_assert(slice_eq(a->symlink, b->symlink));
	ck_assert(slice_eq(a->tags, b->tags));
}

static int decode_copy(const uint8_t *bytes, size_t len, struct inode_record *ret)
{
	return inode_record_decode(SLICE(bytes, len), ret);
}

START_TEST(test_round_trip)
{
	static const uint8_t tags[] = {3, 2, 'a', 'b', 0x80, 0x40, 3, 'x', 'y', 'z', 6, 0};
	struct inode_record in[] = {
		{.mode = S_IFREG | 06755,
			.uid = UINT32_MAX,
			.gid = 5,
			.nlink = 1,
			.size = 5,
			.atime = {-1, 999999999},
			.mtime = {INT64_MIN, 0},
			.ctime = {INT64_MAX, 1},
			.btime = {1, 2},
			.generation = UINT64_MAX,
			.flags = UINT64_MAX,
			.allocated = 5,
			.inline_data = SLICE("hello", 5),
			.tags = SLICE(tags, sizeof(tags))},
		{.mode = S_IFDIR | 01777, .nlink = UINT32_MAX, .parent = 77},
		{.mode = S_IFLNK | 0777, .size = 4, .symlink = SLICE("a/bc", 4), .nlink = 1},
		{.mode = S_IFCHR, .rdev = UINT64_MAX},
		{.mode = S_IFREG, .size = INT64_MAX, .allocated = INT64_MAX},
		{.mode = S_IFREG},
		{.mode = S_IFSOCK | 0600},
		{.mode = S_IFIFO | 0600},
	};

	for (size_t i = 0; i < sizeof(in) / sizeof(*in); i++) {
		struct inode_record out;
		uint8_t *bytes;
		size_t len = encode(&in[i], &bytes);

		ck_assert_int_eq(decode_copy(bytes, len, &out), 0);
		same(&in[i], &out);
		free(bytes);
	}
}
END_TEST

START_TEST(test_golden)
{
	static const uint8_t want[] = {
		1,			/* version */
		0xa4, 0x81, 0, 0,	/* 0100644 */
		0xe8, 0x07, 0xe9, 0x07, /* uid 1000, gid 1001 */
		2, 3, 0,		/* size, nlink, rdev */
		2, 0,			/* atime 1 s */
		1, 7,			/* mtime -1 s, 7 ns */
		4, 0, 6, 0,		/* ctime, birth time */
		9, 0, 1, 2,		/* generation, parent, flags, allocated */
		2, 'h', 'i', 0,		/* inline data, no target */
		5, 1, 'L',		/* tag 5 */
	};
	struct inode_record r = {
		.mode = 0100644,
		.uid = 1000,
		.gid = 1001,
		.size = 2,
		.nlink = 3,
		.atime = {1, 0},
		.mtime = {-1, 7},
		.ctime = {2, 0},
		.btime = {3, 0},
		.generation = 9,
		.flags = 1,
		.allocated = 2,
		.inline_data = SLICE("hi", 2),
		.tags = SLICE("\5\1L", 3),
	};
	uint8_t *bytes;
	size_t len = encode(&r, &bytes);

	ck_assert_uint_eq(len, sizeof(want));
	ck_assert_mem_eq(bytes, want, sizeof(want));
	free(bytes);
}
END_TEST

START_TEST(test_refused)
{
	/* Records that say things which do not go together. */
	struct inode_record bad[] = {
		{.mode = 0644},		     /* no type */
		{.mode = S_IFREG | 0200000}, /* bits that do not exist */
		{.mode = S_IFREG, .size = 3, .inline_data = SLICE("hi", 2)}, /* not all of it */
		{.mode = S_IFIFO, .size = 2, .inline_data = SLICE("hi", 2)},
		{.mode = S_IFLNK}, /* no target */
		{.mode = S_IFLNK, .size = 1, .symlink = SLICE("ab", 2)},
		{.mode = S_IFREG, .symlink = SLICE("ab", 2)}, {.mode = S_IFDIR}, /* no parent */
		{.mode = S_IFDIR, .parent = 1ull << 48}, {.mode = S_IFREG, .parent = 1},
		{.mode = S_IFREG, .size = 1ull << 63}, {.mode = S_IFREG, .allocated = 1ull << 63},
		{.mode = S_IFREG,
			.tags = SLICE("\1\5ab", 4)}, /* a tag that goes on behind the end */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct inode_record out;
		uint8_t *bytes;
		size_t len = encode(&bad[i], &bytes);

		ck_assert_msg(decode_copy(bytes, len, &out) == -EBADMSG, "case %zu", i);
		free(bytes);
	}
}
END_TEST

START_TEST(test_damage)
{
	struct inode_record r = {.mode = S_IFREG,
				    .size = 5,
				    .allocated = 5,
				    .inline_data = SLICE("hello", 5),
				    .tags = SLICE("\3\2ab", 4)},
			    out;
	uint8_t *bytes, *copy;
	size_t len = encode(&r, &bytes);
	struct rng rng = rng_of(1);

	/* Every prefix: in memory of exactly that size, so that reading beyond it is seen. */
	for (size_t n = 0; n < len; n++) {
		copy = malloc(n ? n : 1);
		memcpy(copy, bytes, n);
		if (decode_copy(copy, n, &out) == 0)
			ck_assert_uint_eq(n, len - 4); /* without the tag it is whole */
		free(copy);
	}
	bytes[0] = 2;
	ck_assert_int_eq(decode_copy(bytes, len, &out), -EPROTONOSUPPORT);
	bytes[0] = 1;
	for (int i = 0; i < 20000; i++) {
		copy = malloc(len);
		memcpy(copy, bytes, len);
		for (int k = 0; k < 3; k++)
			copy[1 + rng_below(&rng, len - 1)] = (uint8_t)rng_next(&rng);
		if (decode_copy(copy, len, &out) == 0) {
			uint8_t *again;
			size_t n = encode(&out, &again);

			/* What decodes is encoded to the same bytes: there is one form of each
			 * record. */
			ck_assert_uint_eq(n, len);
			ck_assert_mem_eq(again, copy, len);
			free(again);
		}
		free(copy);
	}
	free(bytes);
}
END_TEST

START_TEST(test_tags)
{
	struct slice tags = SLICE("\1\2ab\x80\x40\3xyz\6\0", 12), found;

	found = inode_record_tag(tags, 1);
	ck_assert(slice_eq(found, SLICE("ab", 2)));
	found = inode_record_tag(tags, 8192);
	ck_assert(slice_eq(found, SLICE("xyz", 3)));
	found = inode_record_tag(tags, 6);
	ck_assert(found.data && !found.len);
	ck_assert_ptr_null(inode_record_tag(tags, 5).data);
	ck_assert_ptr_null(inode_record_tag((struct slice){0}, 1).data);
}
END_TEST

START_TEST(test_dirent)
{
	static const uint8_t types[] = {DT_REG, DT_DIR, DT_LNK, DT_CHR, DT_BLK, DT_FIFO, DT_SOCK};
	uint8_t v[DIRENT_VALUE_MAX], type;
	uint64_t inode;

	for (size_t i = 0; i < sizeof(types); i++) {
		size_t len = dirent_value_encode((1ull << 48) - 1, types[i], v);

		ck_assert_int_eq(dirent_value_decode(SLICE(v, len), &inode, &type), 0);
		ck_assert_uint_eq(inode, (1ull << 48) - 1);
		ck_assert_uint_eq(type, types[i]);
		ck_assert_int_eq(dirent_value_decode(SLICE(v, len - 1), &inode, &type), -EBADMSG);
	}
	ck_assert_int_eq(dirent_value_decode(SLICE("\5\4", 2), &inode, &type), 0);
	ck_assert_int_eq(dirent_value_decode(SLICE("\5\4\0", 3), &inode, &type), -EBADMSG);
	ck_assert_int_eq(dirent_value_decode(SLICE("\0\4", 2), &inode, &type), -EBADMSG);
	ck_assert_int_eq(dirent_value_decode(SLICE("\5\0", 2), &inode, &type), -EBADMSG);
	ck_assert_int_eq(dirent_value_decode(SLICE("\5\3", 2), &inode, &type), -EBADMSG);
	ck_assert_int_eq(dirent_value_decode(SLICE("\5\xff", 2), &inode, &type), -EBADMSG);
	ck_assert_int_eq(dirent_value_decode((struct slice){0}, &inode, &type), -EBADMSG);
	ck_assert_uint_eq(dirent_type_of_mode(S_IFLNK | 0777), DT_LNK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfs-inode-codec");
	TCase *t = tcase_create("codec");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, test_round_trip);
	tcase_add_test(t, test_golden);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_damage);
	tcase_add_test(t, test_tags);
	tcase_add_test(t, test_dirent);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
