/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_VFS_OPS_FIXTURE_H
#define TESTS_UNIT_VFS_OPS_FIXTURE_H
/* What the tests of the operations share: a whole volume in memory, checked after each test, users,
 * and shorthands that end the test when they fail. */
#include "tests/lib/small_volume.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>

static struct small_volume *v;
static const struct vfs_cred ann = {.uid = 100, .gid = 100, .pid = 2};
static const struct vfs_cred bob = {.uid = 200, .gid = 200, .pid = 3};

#define S(text) SLICE_STR(text)
#define OK(call) ck_assert_int_eq(call, 0)
#define FAILS(call, code) ck_assert_int_eq(call, -(code))

static inline void setup_with(const struct small_volume_options *o)
{
	mem_store_forget("vfs-ops");
	v = small_volume_open(o);
}

static inline void setup(void)
{
	setup_with(&(struct small_volume_options){.name = "vfs-ops"});
}

static inline void teardown(void)
{
	ck_assert_uint_eq(small_volume_check(v), 0);
	small_volume_close(v);
}

static inline void reopen(void)
{
	small_volume_close(v);
	v = small_volume_open(&(struct small_volume_options){.name = "vfs-ops"});
}

static inline uint64_t mkdir_at(uint64_t dir, const char *name)
{
	struct vfs_attr a;

	OK(vfs_mkdir(v->vfs, &test_root, dir, S(name), 0755, &a));
	return a.inode;
}

static inline struct vfs_file *create_at(uint64_t dir, const char *name, struct vfs_attr *a)
{
	struct vfs_file *f;
	struct vfs_attr mine;
	bool created;

	OK(vfs_create(v->vfs, &test_root, dir, S(name), 0644, O_RDWR | O_CREAT | O_EXCL,
		a ? a : &mine, &f, &created));
	ck_assert(created);
	return f;
}

static inline uint64_t file_at(uint64_t dir, const char *name)
{
	struct vfs_attr a;

	vfs_release(v->vfs, create_at(dir, name, &a));
	return a.inode;
}

static inline struct vfs_attr attr(uint64_t inode)
{
	struct vfs_attr a;

	OK(vfs_getattr(v->vfs, &test_root, inode, &a));
	return a;
}

static inline uint64_t lookup(uint64_t dir, const char *name)
{
	struct vfs_attr a;
	int r = vfs_lookup(v->vfs, &test_root, dir, S(name), &a);

	return r < 0 ? 0 : a.inode;
}

static inline int64_t write_at(struct vfs_file *f, uint64_t offset, const void *bytes, size_t len)
{
	struct slice s = SLICE(bytes, len);

	return vfs_write(v->vfs, &test_root, f, offset, &s, 1, 0, NULL);
}

static inline int run_suite(const char *name, void (*add)(TCase *t))
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create("ops");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	add(t);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
