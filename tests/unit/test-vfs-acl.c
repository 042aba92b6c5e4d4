/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access control lists as tables: what is one, what it grants, and how mode and list follow each
 * other. Expectations are what ext4 on Linux 6 answers. */
#include "core/base/bytes.h"
#include "core/vfs/acl.h"
#include "core/vfs/inode_codec.h"
#include "core/vfs/perm.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define NOBODY 0xffffffffu
#define ENTRIES_MAX 8

struct list {
	struct acl_entry e[ENTRIES_MAX]; /* until tag 0 */
};

static void encode(const struct list *l, struct buf *out)
{
	buf_clear(out);
	ck_assert_int_eq(buf_append_le32(out, 2), 0);
	for (size_t n = 0; n < ENTRIES_MAX && l->e[n].tag; n++) {
		ck_assert_int_eq(buf_append_le16(out, l->e[n].tag), 0);
		ck_assert_int_eq(buf_append_le16(out, l->e[n].perm), 0);
		ck_assert_int_eq(buf_append_le32(out, l->e[n].id), 0);
	}
}

#define UO(p)                                                                                      \
	{                                                                                          \
		ACL_USER_OBJ, (p), NOBODY                                                          \
	}
#define U(id, p)                                                                                   \
	{                                                                                          \
		ACL_USER, (p), (id)                                                                \
	}
#define GO(p)                                                                                      \
	{                                                                                          \
		ACL_GROUP_OBJ, (p), NOBODY                                                         \
	}
#define G(id, p)                                                                                   \
	{                                                                                          \
		ACL_GROUP, (p), (id)                                                               \
	}
#define M(p)                                                                                       \
	{                                                                                          \
		ACL_MASK, (p), NOBODY                                                              \
	}
#define O(p)                                                                                       \
	{                                                                                          \
		ACL_OTHER, (p), NOBODY                                                             \
	}
#define LIST(...)                                                                                  \
	{                                                                                          \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

START_TEST(test_valid)
{
	static const struct {
		struct list l;
		int want;
		bool extended;
		uint32_t mode;
	} cases[] = {
		{LIST(UO(6), GO(4), O(0)), 0, false, 0640},
		{LIST(UO(6), GO(4), M(5), O(1)), 0, true, 0651},
		{LIST(UO(6), U(5, 7), GO(4), M(7), O(4)), 0, true, 0674},
		{LIST(UO(6), U(9, 7), U(5, 7), GO(4), M(7), O(4)), 0, true, 0674},
		{LIST(UO(6), U(5, 7), U(5, 7), GO(4), M(7), O(4)), 0, true, 0674},
		{LIST(UO(7), GO(5), G(1, 1), G(2, 2), M(3), O(0)), 0, true, 0730},
		{LIST(UO(6), U(5, 7), GO(4), O(4)), -EINVAL, false, 0}, /* no mask */
		{LIST(UO(6), GO(4), G(5, 7), O(4)), -EINVAL, false, 0},
		{LIST(UO(8), GO(4), O(4)), -EINVAL, false, 0},	      /* no such right */
		{LIST(UO(6), GO(4)), -EINVAL, false, 0},	      /* no others */
		{LIST(UO(6), O(4)), -EINVAL, false, 0},		      /* no group */
		{LIST(GO(6), O(4)), -EINVAL, false, 0},		      /* no owner */
		{LIST(UO(6), UO(6), GO(4), O(4)), -EINVAL, false, 0}, /* twice */
		{LIST(UO(6), GO(4), GO(4), O(4)), -EINVAL, false, 0},
		{LIST(UO(6), GO(4), M(4), M(4), O(4)), -EINVAL, false, 0},
		{LIST(UO(6), GO(4), O(4), O(4)), -EINVAL, false, 0},
		{LIST(GO(4), UO(6), O(4)), -EINVAL, false, 0}, /* order */
		{LIST(UO(6), GO(4), U(5, 7), M(7), O(4)), -EINVAL, false, 0},
		{LIST(UO(6), GO(4), M(7), G(5, 7), O(4)), -EINVAL, false, 0},
		{LIST(UO(6), GO(4), O(4), M(7)), -EINVAL, false, 0},
		{LIST(UO(6), U(NOBODY, 7), GO(4), M(7), O(4)), -EINVAL, false, 0},
		{LIST(UO(6), GO(4), G(NOBODY, 7), M(7), O(4)), -EINVAL, false, 0},
		{LIST(UO(6), GO(4), {0x40, 1, NOBODY}, O(4)), -EINVAL, false, 0}, /* no such tag */
		{LIST(UO(6), GO(4), {0x30, 1, NOBODY}, O(4)), -EINVAL, false, 0},
	};
	struct buf acl = BUF_INIT, out = BUF_INIT;

	ck_assert_uint_eq(sizeof(cases) / sizeof(*cases), 24);
	encode(&cases[_i].l, &acl);
	ck_assert_int_eq(acl_check(buf_slice(&acl)), cases[_i].want);
	ck_assert_int_eq(acl_adopt(buf_slice(&acl), &out), cases[_i].want);
	if (cases[_i].want == 0) {
		ck_assert(slice_eq(buf_slice(&acl), buf_slice(&out)));
		ck_assert_int_eq(acl_is_extended(buf_slice(&acl)), cases[_i].extended);
		ck_assert_uint_eq(acl_mode(buf_slice(&acl), 0100000 | 07123),
			0100000 | 07000 | cases[_i].mode);
	}
	buf_done(&acl);
	buf_done(&out);
}
END_TEST

START_TEST(test_bytes)
{
	static const struct list l = LIST(UO(6), GO(4), O(0));
	struct buf acl = BUF_INIT, out = BUF_INIT;
	struct acl_entry e;

	encode(&l, &acl);
	ck_assert(!acl_entry(buf_slice(&acl), 3, &e));
	ck_assert(!acl_entry(buf_slice(&acl), SIZE_MAX / 16, &e));
	for (size_t len = 1; len < acl.len; len++) {
		int want = len < 4 ? -EINVAL : len == 4 ? 0 : -EINVAL;

		ck_assert_int_eq(acl_adopt(SLICE(acl.data, len), &out), want);
		ck_assert_int_eq(acl_check(SLICE(acl.data, len)), -EINVAL);
	}
	ck_assert_int_eq(acl_adopt(SLICE(NULL, 0), &out), 0);
	ck_assert_uint_eq(out.len, 0);
	put_le32(acl.data + 8, 77); /* an id where none counts */
	ck_assert_int_eq(acl_adopt(buf_slice(&acl), &out), 0);
	ck_assert_uint_eq(get_le32(out.data + 8), NOBODY);
	put_le32(acl.data, 1);
	ck_assert_int_eq(acl_check(buf_slice(&acl)), -EOPNOTSUPP);
	ck_assert_int_eq(acl_adopt(SLICE(acl.data, 4), &out), -EOPNOTSUPP);
	buf_done(&acl);
	buf_done(&out);
}
END_TEST

START_TEST(test_too_many)
{
	struct buf acl = BUF_INIT, out = BUF_INIT;

	ck_assert_int_eq(buf_append_le32(&acl, 2), 0);
	for (unsigned n = 0; n < ACL_ENTRIES_MAX + 1; n++) {
		uint16_t tag = n == 0			  ? ACL_USER_OBJ
			       : n == ACL_ENTRIES_MAX - 2 ? ACL_GROUP_OBJ
			       : n == ACL_ENTRIES_MAX - 1 ? ACL_MASK
			       : n == ACL_ENTRIES_MAX	  ? ACL_OTHER
							  : ACL_USER;

		ck_assert_int_eq(buf_append_le16(&acl, tag), 0);
		ck_assert_int_eq(buf_append_le16(&acl, 4), 0);
		ck_assert_int_eq(buf_append_le32(&acl, n), 0);
	}
	ck_assert_int_eq(acl_adopt(buf_slice(&acl), &out), -ENOSPC);
	memmove(acl.data + 12, acl.data + 20, acl.len - 20); /* without the second entry */
	acl.len -= 8;
	ck_assert_uint_eq(acl.len, ACL_BYTES_MAX);
	ck_assert_int_eq(acl_adopt(buf_slice(&acl), &out), 0);
	buf_done(&acl);
	buf_done(&out);
}
END_TEST

static const uint32_t two_groups[] = {7, 8};
static const struct vfs_cred five = {.uid = 5, .gid = 5};
static const struct vfs_cred in_7_8 = {.uid = 6, .gid = 6, .ngroups = 2, .groups = two_groups};
static const struct vfs_cred other = {.uid = 9, .gid = 9};
static const struct vfs_cred owner = {.uid = 1, .gid = 1};
static const struct vfs_cred zero = {0};

/* Through perm_check: of a file of user 1, group 8. */
START_TEST(test_permits)
{
	static const struct {
		struct list l;
		const struct vfs_cred *c;
		int mask, want;
	} cases[] = {
		/* a named user: limited by the mask, and nothing else counts */
		{LIST(UO(0), U(5, 6), GO(0), M(7), O(0)), &five, R_OK | W_OK, 0},
		{LIST(UO(0), U(5, 6), GO(0), M(4), O(7)), &five, R_OK, 0},
		{LIST(UO(0), U(5, 6), GO(0), M(4), O(7)), &five, W_OK, -EACCES},
		{LIST(UO(0), U(5, 0), GO(7), M(7), O(7)), &five, R_OK, -EACCES},
		/* groups: one of them must grant all of it */
		{LIST(UO(0), GO(4), G(7, 2), M(7), O(0)), &in_7_8, R_OK, 0},
		{LIST(UO(0), GO(4), G(7, 2), M(7), O(0)), &in_7_8, W_OK, 0},
		{LIST(UO(0), GO(4), G(7, 2), M(7), O(0)), &in_7_8, R_OK | W_OK, -EACCES},
		{LIST(UO(0), GO(4), G(7, 6), M(7), O(0)), &in_7_8, R_OK | W_OK, 0},
		{LIST(UO(0), GO(4), G(7, 6), M(5), O(7)), &in_7_8, W_OK, -EACCES},
		{LIST(UO(0), GO(4), G(9, 6), M(7), O(7)), &in_7_8, W_OK, -EACCES},
		{LIST(UO(0), GO(0), G(9, 6), M(7), O(0)), &other, R_OK | W_OK, 0},
		/* others: not limited by the mask */
		{LIST(UO(0), U(5, 7), GO(7), M(1), O(4)), &other, R_OK, 0},
		{LIST(UO(0), U(5, 7), GO(7), M(7), O(4)), &other, W_OK, -EACCES},
		/* an empty mask: the mode alone counts, as on Linux */
		{LIST(UO(0), U(5, 7), GO(7), M(0), O(4)), &five, R_OK, 0},
		{LIST(UO(0), U(5, 7), GO(7), M(0), O(4)), &in_7_8, R_OK, -EACCES},
		/* the owner and root */
		{LIST(UO(4), U(1, 0), GO(0), M(7), O(0)), &owner, R_OK, 0},
		{LIST(UO(0), U(1, 7), GO(7), M(7), O(7)), &owner, R_OK, -EACCES},
		{LIST(UO(0), U(0, 0), GO(0), M(7), O(0)), &zero, R_OK | W_OK, 0},
		{LIST(UO(0), U(0, 0), GO(0), M(7), O(0)), &zero, X_OK, 0},
		{LIST(UO(0), U(5, 1), GO(0), M(6), O(0)), &zero, X_OK, -EACCES},
	};
	struct buf acl = BUF_INIT;

	ck_assert_uint_eq(sizeof(cases) / sizeof(*cases), 20);
	encode(&cases[_i].l, &acl);
	struct perm_node n = {.mode = acl_mode(buf_slice(&acl), S_IFREG),
		.uid = 1,
		.gid = 8,
		.acl = buf_slice(&acl)};
	ck_assert_int_eq(perm_check(cases[_i].c, &n, cases[_i].mask), cases[_i].want);
	buf_done(&acl);
}
END_TEST

START_TEST(test_follow)
{
	static const struct {
		struct list before;
		uint32_t mode; /* chmod, or that of a create */
		struct list chmod, inherited;
		uint32_t created;
	} cases[] = {
		{LIST(UO(7), U(5, 7), GO(5), M(7), O(5)), 0640,
			LIST(UO(6), U(5, 7), GO(5), M(4), O(0)),
			LIST(UO(6), U(5, 7), GO(5), M(4), O(0)), 0640},
		{LIST(UO(5), U(5, 7), GO(5), M(3), O(1)), 02666,
			LIST(UO(6), U(5, 7), GO(5), M(6), O(6)),
			LIST(UO(4), U(5, 7), GO(5), M(2), O(0)), 02420},
		{LIST(UO(7), GO(5), O(0)), 0666, LIST(UO(6), GO(6), O(6)), LIST(UO(6), GO(4), O(0)),
			0640},
	};
	struct buf acl = BUF_INIT, want = BUF_INIT;

	encode(&cases[_i].before, &acl);
	encode(&cases[_i].chmod, &want);
	acl_set_mode(acl.data, acl.len, cases[_i].mode);
	ck_assert(slice_eq(buf_slice(&acl), buf_slice(&want)));
	encode(&cases[_i].before, &acl);
	encode(&cases[_i].inherited, &want);
	ck_assert_uint_eq(acl_inherit(acl.data, acl.len, cases[_i].mode), cases[_i].created);
	ck_assert(slice_eq(buf_slice(&acl), buf_slice(&want)));
	buf_done(&acl);
	buf_done(&want);
}
END_TEST

/* Records with such fields are refused where the fields are no ACLs, or not of this kind. */
START_TEST(test_stored)
{
	static const struct list l = LIST(UO(6), GO(4), O(0));
	uint8_t out[512], tags[64] = {0};
	struct inode_record r = {.mode = S_IFREG | 0640, .tags = SLICE(tags, 30)}, back;
	struct buf acl = BUF_INIT;

	encode(&l, &acl);
	tags[0] = INODE_TAG_ACCESS_ACL;
	tags[1] = (uint8_t)acl.len;
	memcpy(tags + 2, acl.data, acl.len);
	ck_assert_int_eq(inode_record_decode(SLICE(out, inode_record_encode(&r, out)), &back), 0);
	tags[0] = INODE_TAG_DEFAULT_ACL;
	ck_assert_int_eq(
		inode_record_decode(SLICE(out, inode_record_encode(&r, out)), &back), -EBADMSG);
	r.mode = S_IFDIR | 0750;
	r.parent = 1;
	ck_assert_int_eq(inode_record_decode(SLICE(out, inode_record_encode(&r, out)), &back), 0);
	tags[8] = 9; /* a right that there is not */
	ck_assert_int_eq(
		inode_record_decode(SLICE(out, inode_record_encode(&r, out)), &back), -EBADMSG);
	tags[0] = INODE_TAG_XATTRS;
	ck_assert_int_eq(
		inode_record_decode(SLICE(out, inode_record_encode(&r, out)), &back), -EBADMSG);
	tags[1] = 16;
	r.tags = SLICE(tags, 18);
	ck_assert_int_eq(inode_record_decode(SLICE(out, inode_record_encode(&r, out)), &back), 0);
	put_le32(tags + 2, 0); /* none: then there is no field */
	ck_assert_int_eq(
		inode_record_decode(SLICE(out, inode_record_encode(&r, out)), &back), -EBADMSG);
	buf_done(&acl);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfs-acl");
	TCase *t = tcase_create("acl");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, test_valid, 0, 24);
	tcase_add_test(t, test_bytes);
	tcase_add_test(t, test_too_many);
	tcase_add_loop_test(t, test_permits, 0, 20);
	tcase_add_loop_test(t, test_follow, 0, 3);
	tcase_add_test(t, test_stored);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
