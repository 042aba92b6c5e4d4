/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Permission decisions as tables of cases. */
#include "core/vfs/inode_format.h"
#include "core/vfs/perm.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static const uint32_t groups_7_8[] = {7, 8};
static const struct vfs_cred root = {.uid = 0, .gid = 0};
static const struct vfs_cred ann = {.uid = 100, .gid = 100};
static const struct vfs_cred bob = {.uid = 200, .gid = 200, .ngroups = 2, .groups = groups_7_8};

#define REG(bits) (S_IFREG | (bits))
#define DIR(bits) (S_IFDIR | (bits))
#define NODE(m, u, g, f)                                                                           \
	{                                                                                          \
		.mode = (m), .uid = (u), .gid = (g), .flags = (f)                                  \
	}

START_TEST(test_check)
{
	static const struct {
		const struct vfs_cred *c;
		struct perm_node n;
		int mask, want;
	} cases[] = {
		{&ann, NODE(REG(0600), 100, 1, 0), R_OK | W_OK, 0},
		{&ann, NODE(REG(0400), 100, 1, 0), W_OK, -EACCES},
		{&ann, NODE(REG(0400), 100, 1, 0), R_OK, 0},
		/* the owner's class counts alone, even where others may more */
		{&ann, NODE(REG(0077), 100, 100, 0), R_OK, -EACCES},
		{&ann, NODE(REG(0707), 1, 100, 0), R_OK, -EACCES},
		{&ann, NODE(REG(0070), 1, 100, 0), R_OK | W_OK | X_OK, 0},
		{&ann, NODE(REG(0004), 1, 1, 0), R_OK, 0},
		{&ann, NODE(REG(0004), 1, 1, 0), W_OK, -EACCES},
		{&ann, NODE(REG(0770), 1, 1, 0), R_OK, -EACCES},
		/* supplementary groups */
		{&bob, NODE(REG(0040), 1, 8, 0), R_OK, 0},
		{&bob, NODE(REG(0040), 1, 7, 0), R_OK, 0},
		{&bob, NODE(REG(0040), 1, 9, 0), R_OK, -EACCES},
		{&bob, NODE(REG(0004), 1, 8, 0), R_OK, -EACCES},
		/* root: everything but running what nobody may run */
		{&root, NODE(REG(0000), 1, 1, 0), R_OK | W_OK, 0},
		{&root, NODE(REG(0000), 1, 1, 0), X_OK, -EACCES},
		{&root, NODE(REG(0001), 1, 1, 0), X_OK, 0},
		{&root, NODE(DIR(0000), 1, 1, 0), R_OK | W_OK | X_OK, 0},
		{&ann, NODE(DIR(0600), 100, 1, 0), X_OK, -EACCES},
		{&ann, NODE(REG(0000), 100, 1, 0), 0, 0},
	};

	ck_assert_int_eq(perm_check(cases[_i].c, &cases[_i].n, cases[_i].mask), cases[_i].want);
	ck_assert_uint_eq(sizeof(cases) / sizeof(*cases), 19);
}
END_TEST

START_TEST(test_remove)
{
	static const struct {
		const struct vfs_cred *c;
		struct perm_node dir, child;
		int want;
	} cases[] = {
		{&ann, NODE(DIR(0777), 1, 1, 0), NODE(REG(0), 1, 1, 0), 0},
		{&ann, NODE(DIR(0555), 1, 1, 0), NODE(REG(0777), 100, 100, 0), -EACCES},
		{&ann, NODE(DIR(0666), 1, 1, 0), NODE(REG(0777), 100, 100, 0),
			-EACCES}, /* no search */
		/* sticky: owner of the file, of the directory, or root */
		{&ann, NODE(DIR(01777), 1, 1, 0), NODE(REG(0777), 1, 1, 0), -EPERM},
		{&ann, NODE(DIR(01777), 1, 1, 0), NODE(REG(0), 100, 1, 0), 0},
		{&ann, NODE(DIR(01777), 100, 1, 0), NODE(REG(0), 1, 1, 0), 0},
		{&root, NODE(DIR(01777), 1, 1, 0), NODE(REG(0), 1, 1, 0), 0},
		{&root, NODE(DIR(0777), 1, 1, INODE_FLAG_IMMUTABLE), NODE(REG(0), 1, 1, 0), -EPERM},
		{&root, NODE(DIR(0777), 1, 1, INODE_FLAG_APPEND), NODE(REG(0), 1, 1, 0), -EPERM},
		{&root, NODE(DIR(0777), 1, 1, 0), NODE(REG(0), 1, 1, INODE_FLAG_IMMUTABLE), -EPERM},
		{&root, NODE(DIR(0777), 1, 1, 0), NODE(REG(0), 1, 1, INODE_FLAG_APPEND), -EPERM},
		{&root, NODE(DIR(0777), 1, 1, INODE_FLAG_NODUMP),
			NODE(REG(0), 1, 1, INODE_FLAG_NOATIME), 0},
	};

	ck_assert_int_eq(
		perm_remove(cases[_i].c, &cases[_i].dir, &cases[_i].child), cases[_i].want);
	ck_assert_uint_eq(sizeof(cases) / sizeof(*cases), 12);
}
END_TEST

START_TEST(test_insert)
{
	struct perm_node dir = NODE(DIR(0755), 100, 100, 0);

	ck_assert_int_eq(perm_insert(&ann, &dir), 0);
	ck_assert_int_eq(perm_insert(&bob, &dir), -EACCES);
	dir.flags = INODE_FLAG_APPEND; /* entries may be added */
	ck_assert_int_eq(perm_insert(&ann, &dir), 0);
	dir.flags = INODE_FLAG_IMMUTABLE;
	ck_assert_int_eq(perm_insert(&ann, &dir), -EPERM);
	ck_assert_int_eq(perm_insert(&root, &dir), -EPERM);
}
END_TEST

START_TEST(test_new)
{
	struct perm_node plain = NODE(DIR(0777), 1, 8, 0), setgid = NODE(DIR(02777), 1, 8, 0);
	struct perm_node foreign = NODE(DIR(02777), 1, 9, 0);

	ck_assert_uint_eq(perm_new_gid(&bob, &plain), 200);
	ck_assert_uint_eq(perm_new_gid(&bob, &setgid), 8);
	ck_assert_uint_eq(perm_new_mode(&bob, &plain, DIR(0755)), DIR(0755));
	ck_assert_uint_eq(perm_new_mode(&bob, &setgid, DIR(0755)), DIR(02755));
	ck_assert_uint_eq(perm_new_mode(&bob, &setgid, REG(0755)), REG(0755));
	/* set-gid of a group that is not the maker's */
	ck_assert_uint_eq(perm_new_mode(&bob, &setgid, REG(02755)), REG(02755));
	ck_assert_uint_eq(perm_new_mode(&bob, &foreign, REG(02755)), REG(0755));
	ck_assert_uint_eq(perm_new_mode(&bob, &foreign, REG(02745)), REG(02745));
	ck_assert_uint_eq(perm_new_mode(&root, &foreign, REG(02755)), REG(02755));
}
END_TEST

START_TEST(test_unknown_groups)
{
	const struct perm_node plain = {.mode = S_IFDIR | 0777, .gid = 9},
			       setgid = {.mode = S_IFDIR | 02777, .gid = 9};
	const struct vfs_cred unknown = {.uid = 5, .gid = 5, .partial = true},
			      known = {.uid = 5, .gid = 5},
			      own = {.uid = 5, .gid = 9, .partial = true};

	ck_assert_int_eq(perm_knows_new_mode(&unknown, &setgid, REG(02755)), -EPERM);
	ck_assert_int_eq(perm_knows_new_mode(&unknown, &setgid, REG(02745)), 0);
	ck_assert_int_eq(perm_knows_new_mode(&unknown, &setgid, S_IFDIR | 02755), 0);
	ck_assert_int_eq(perm_knows_new_mode(&unknown, &plain, REG(02755)), 0);
	ck_assert_int_eq(perm_knows_new_mode(&known, &setgid, REG(02755)), 0);
	ck_assert_int_eq(perm_knows_new_mode(&own, &setgid, REG(02755)), 0);
}
END_TEST

/* Somebody else has looked at permissions: what is left is what flags forbid. */
START_TEST(test_checked)
{
	const struct vfs_cred c = {.uid = 100, .gid = 100, .checked = true};
	const struct perm_node dir = {DIR(01000), 1, 1, 0, {0}}, file = {REG(0), 1, 1, 0, {0}},
			       foreign = {REG(04755), 1, 1, 0, {0}},
			       frozen = {REG(0777), 100, 100, INODE_FLAG_IMMUTABLE, {0}};
	const struct vfs_attr in = {.uid = 5, .mode = 02755};

	ck_assert_int_eq(perm_check(&c, &file, R_OK | W_OK | X_OK), 0);
	ck_assert_int_eq(perm_remove(&c, &dir, &file), 0);
	ck_assert_int_eq(perm_remove(&c, &dir, &frozen), -EPERM);
	ck_assert_int_eq(perm_setattr(&c, &file, VFS_SET_UID | VFS_SET_SIZE, &in, false), 0);
	ck_assert_int_eq(perm_setattr(&c, &frozen, VFS_SET_UID, &in, false), -EPERM);
	ck_assert_int_eq(perm_setattr(&c, &foreign, VFS_SET_CHOWN, &in, false), -EPERM);
	ck_assert_int_eq(perm_setattr(&c, &file, VFS_SET_CHOWN, &in, false), 0);
	ck_assert_uint_eq(perm_chmod_mode(&c, 9, REG(02755)), REG(02755));
	ck_assert(!perm_kills_setid(&c, false));
	ck_assert(perm_kills_setid(&c, true));
	ck_assert(perm_kills_setid(&ann, false));
	ck_assert(!perm_kills_setid(&root, false));
}
END_TEST

START_TEST(test_kill_setid)
{
	static const struct {
		uint32_t mode, want_member, want_other;
	} cases[] = {
		{REG(06755), REG(0755), REG(0755)},
		{REG(06745), REG(02745), REG(0745)}, /* no group execution */
		{REG(02644), REG(02644), REG(0644)},
		{REG(01644), REG(01644), REG(01644)},
	};
	const uint32_t groups[] = {7, 9};
	const struct vfs_cred super = {.partial = true},
			      own = {.uid = 5, .gid = 9, .partial = true},
			      member = {.uid = 5, .gid = 5, .ngroups = 2, .groups = groups},
			      other = {.uid = 5, .gid = 5},
			      unknown = {.uid = 5, .gid = 5, .partial = true};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct perm_node n = {.mode = cases[i].mode, .uid = 1, .gid = 9};
		bool depends = cases[i].want_member != cases[i].want_other;

		ck_assert_uint_eq(perm_kill_setid(&member, &n), cases[i].want_member);
		ck_assert_uint_eq(perm_kill_setid(&own, &n), cases[i].want_member);
		ck_assert_uint_eq(perm_kill_setid(&super, &n), cases[i].want_member);
		ck_assert_uint_eq(perm_kill_setid(&other, &n), cases[i].want_other);
		ck_assert_int_eq(perm_knows_setid(&unknown, &n), depends ? -EPERM : 0);
		ck_assert_int_eq(perm_knows_setid(&super, &n), 0);
		ck_assert_int_eq(perm_knows_setid(&own, &n), 0);
		ck_assert_int_eq(perm_knows_setid(&other, &n), 0);
		/* chown of nothing: only who has something to lose must be the owner. */
		ck_assert_int_eq(perm_setattr(&other, &n, VFS_SET_CHOWN, NULL, false),
			cases[i].want_other != cases[i].mode ? -EPERM : 0);
	}
}
END_TEST

START_TEST(test_setattr)
{
	static const struct perm_node anns = NODE(REG(0640), 100, 100, 0),
				      open = NODE(REG(0666), 1, 1, 0);
	static const struct perm_node frozen = NODE(REG(0666), 100, 100, INODE_FLAG_IMMUTABLE);
	static const struct perm_node growing = NODE(REG(0666), 100, 100, INODE_FLAG_APPEND);
	static const struct {
		const struct vfs_cred *c;
		const struct perm_node *n;
		unsigned set;
		struct vfs_attr in;
		bool may_truncate;
		int want;
	} cases[] = {
		{&ann, &anns, VFS_SET_MODE, {.mode = 0777}, false, 0},
		{&bob, &anns, VFS_SET_MODE, {.mode = 0777}, false, -EPERM},
		{&root, &anns, VFS_SET_MODE, {.mode = 0777}, false, 0},
		{&ann, &anns, VFS_SET_UID, {.uid = 200}, false, -EPERM},
		{&ann, &anns, VFS_SET_UID, {.uid = 100}, false, 0},
		{&bob, &anns, VFS_SET_UID, {.uid = 100}, false, -EPERM},
		{&root, &anns, VFS_SET_UID, {.uid = 5}, false, 0},
		{&ann, &anns, VFS_SET_GID, {.gid = 8}, false, -EPERM},
		{&ann, &anns, VFS_SET_GID, {.gid = 100}, false, 0},
		{&bob, &open, VFS_SET_GID, {.gid = 8}, false, -EPERM},
		{&root, &open, VFS_SET_GID, {.gid = 8}, false, 0},
		{&bob, &anns, VFS_SET_SIZE, {0}, false, -EACCES},
		{&bob, &anns, VFS_SET_SIZE, {0}, true, 0},
		{&bob, &open, VFS_SET_SIZE, {0}, false, 0},
		{&bob, &open, VFS_SET_MTIME, {0}, false, -EPERM},
		{&bob, &open, VFS_SET_MTIME_NOW, {0}, false, 0},
		{&bob, &anns, VFS_SET_MTIME_NOW, {0}, false, -EACCES},
		{&ann, &anns, VFS_SET_ATIME | VFS_SET_MTIME, {0}, false, 0},
		{&root, &frozen, VFS_SET_MODE, {0}, false, -EPERM},
		{&ann, &frozen, VFS_SET_MTIME_NOW, {0}, false, -EPERM},
		{&root, &frozen, VFS_SET_FLAGS, {0}, false, 0},
		{&ann, &frozen, VFS_SET_FLAGS, {0}, false, -EPERM},
		{&ann, &anns, VFS_SET_FLAGS, {.flags = INODE_FLAG_NODUMP}, false, 0},
		{&ann, &anns, VFS_SET_FLAGS, {.flags = INODE_FLAG_APPEND}, false, -EPERM},
		{&bob, &anns, VFS_SET_FLAGS, {0}, false, -EPERM},
		{&root, &growing, VFS_SET_SIZE, {0}, true, -EPERM},
		{&ann, &growing, VFS_SET_MTIME_NOW, {0}, false, 0},
		{&bob, &open, VFS_SET_KILL_PRIV, {0}, false, 0},
	};

	ck_assert_int_eq(perm_setattr(cases[_i].c, cases[_i].n, cases[_i].set, &cases[_i].in,
				 cases[_i].may_truncate),
		cases[_i].want);
	ck_assert_uint_eq(sizeof(cases) / sizeof(*cases), 28);
}
END_TEST

START_TEST(test_owner)
{
	struct perm_node n = NODE(REG(0), 100, 1, 0);

	ck_assert_int_eq(perm_owner(&ann, &n), 0);
	ck_assert_int_eq(perm_owner(&bob, &n), -EPERM);
	ck_assert_int_eq(perm_owner(&root, &n), 0);
	ck_assert(perm_in_group(&bob, 200));
	ck_assert(perm_in_group(&bob, 7));
	ck_assert(!perm_in_group(&bob, 9));
}
END_TEST

START_TEST(test_frozen)
{
	struct perm_node dir = NODE(DIR(0755), 0, 0, 0);

	for (unsigned flags = 0; flags < 16; flags++) {
		bool immutable = flags & INODE_FLAG_IMMUTABLE, append = flags & INODE_FLAG_APPEND;

		ck_assert_int_eq(perm_frozen(flags, false), immutable || append ? -EPERM : 0);
		ck_assert_int_eq(perm_frozen(flags, true), immutable ? -EPERM : 0);
		dir.flags = flags;
		ck_assert_uint_eq(
			perm_new_flags(&dir), flags & (INODE_FLAG_NODUMP | INODE_FLAG_NOATIME));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfs-perm");
	TCase *t = tcase_create("perm");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, test_check, 0, 19);
	tcase_add_loop_test(t, test_remove, 0, 12);
	tcase_add_loop_test(t, test_setattr, 0, 28);
	tcase_add_test(t, test_insert);
	tcase_add_test(t, test_new);
	tcase_add_test(t, test_unknown_groups);
	tcase_add_test(t, test_kill_setid);
	tcase_add_test(t, test_checked);
	tcase_add_test(t, test_owner);
	tcase_add_test(t, test_frozen);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
