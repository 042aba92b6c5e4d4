/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine over a follower's index: it reads, refuses changes, and sees what the writer did after
 * a refresh. */
#include "core/follower.h"
#include "tests/lib/small_volume.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct small_volume *w;
static struct {
	struct store *store;
	struct budget *budget;
	struct follower *follower;
	struct data *data;
	struct vfs_engine *engine;
	struct vfs *vfs;
} f;

#define S(text) SLICE_STR(text)

static void open_follower(void)
{
	struct error err = {0};

	ck_assert_int_eq(mem_store_open("vfs-follower", &f.store, &err), 0);
	f.budget = budget_new(64u << 20);
	struct follower_options fo = {
		.store = f.store,
		.keys = w->keys,
		.index = {.store = f.store,
			.keys = w->keys,
			.fold = &data_fold,
			.budget = f.budget,
			.memtable_bytes = 1u << 20,
			.table_bytes = 1u << 20,
			.level1_bytes = 4u << 20,
			.block_bytes = 4096,
			.block_cache_bytes = 4u << 20},
	};
	ck_assert_msg(follower_open(&fo, &f.follower, &err) == 0, "%s", err.text);
	struct vfs_engine_options eo = {
		.index = follower_index(f.follower),
		.keys = w->keys,
		.budget = f.budget,
		.inode_cache_bytes = 1u << 20,
		.read_only = true,
	};
	ck_assert_int_eq(vfs_engine_new(&eo, &f.engine, &err), 0);
	struct data_options dopt = {
		.store = f.store,
		.keys = w->keys,
		.index = follower_index(f.follower),
		.budget = f.budget,
		.frame_cache_bytes = 1u << 20,
	};
	ck_assert_int_eq(data_open(&dopt, &f.data, &err), 0);
	ck_assert_msg(vfs_engine_start(f.engine, f.data, NULL, 0, 0, &err) == 0, "%s", err.text);
	f.vfs = vfs_engine_vfs(f.engine);
}

static void setup(void)
{
	mem_store_forget("vfs-follower");
	w = small_volume_open(&(struct small_volume_options){.name = "vfs-follower"});
}

static void teardown(void)
{
	vfs_engine_stop(f.engine);
	vfs_engine_free(f.engine);
	data_close(f.data);
	follower_close(f.follower);
	store_close(f.store);
	budget_free(f.budget);
	small_volume_close(w);
}

static void poll_follower(void)
{
	ck_assert_int_eq(follower_poll(f.follower, NULL, NULL), 0);
	vfs_engine_refresh(f.engine);
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	struct slice s = SLICE(bytes, len);
	struct vfs_file *file;
	struct vfs_attr a;

	ck_assert_int_eq(vfs_create(w->vfs, &test_root, VFS_ROOT, S(name), 0644, O_RDWR | O_TRUNC,
				 &a, &file, NULL),
		0);
	ck_assert_int_eq(vfs_write(w->vfs, &test_root, file, 0, &s, 1, 0, NULL), (int64_t)len);
	ck_assert_int_eq(vfs_fsync(w->vfs, file, false), 0);
	vfs_release(w->vfs, file);
}

START_TEST(test_follow)
{
	static char big[100000], back[100001];
	struct vfs_file *open, *other;
	struct vfs_attr a, gone;

	memset(big, 'g', sizeof(big));
	write_file("small", "one", 3);
	write_file("big", big, sizeof(big));
	write_file("gone", "x", 1);
	open_follower();
	ck_assert_int_eq(vfs_lookup(f.vfs, &test_root, VFS_ROOT, S("gone"), &gone), 0);
	ck_assert_int_eq(vfs_lookup(f.vfs, &test_root, VFS_ROOT, S("small"), &a), 0);
	ck_assert_int_eq(vfs_open(f.vfs, &test_root, a.inode, O_RDONLY, &open), 0);
	ck_assert_int_eq(vfs_read(f.vfs, open, 0, back, sizeof(back)), 3);
	ck_assert_int_eq(vfs_lookup(f.vfs, &test_root, VFS_ROOT, S("big"), &a), 0);
	ck_assert_int_eq(vfs_open(f.vfs, &test_root, a.inode, O_RDONLY, &other), 0);
	ck_assert_int_eq(vfs_read(f.vfs, other, 0, back, sizeof(back)), (int64_t)sizeof(big));
	ck_assert_mem_eq(back, big, sizeof(big));
	/* The writer goes on; nothing moves here until the refresh. */
	memset(big, 'h', sizeof(big));
	write_file("small", "three", 5);
	write_file("big", big, sizeof(big));
	ck_assert_int_eq(vfs_unlink(w->vfs, &test_root, VFS_ROOT, S("gone")), 0);
	write_file("new", "n", 1);
	small_volume_maintain(w);
	ck_assert_int_eq(vfs_lookup(f.vfs, &test_root, VFS_ROOT, S("new"), &a), -ENOENT);
	poll_follower();
	ck_assert_int_eq(vfs_lookup(f.vfs, &test_root, VFS_ROOT, S("new"), &a), 0);
	ck_assert_int_eq(vfs_lookup(f.vfs, &test_root, VFS_ROOT, S("gone"), &a), -ENOENT);
	ck_assert_int_eq(vfs_getattr(f.vfs, &test_root, gone.inode, &a), -ESTALE);
	ck_assert_int_eq(vfs_read(f.vfs, open, 0, back, sizeof(back)), 5);
	ck_assert_mem_eq(back, "three", 5);
	ck_assert_int_eq(vfs_read(f.vfs, other, 0, back, sizeof(back)), (int64_t)sizeof(big));
	ck_assert_mem_eq(back, big, sizeof(big));
	vfs_release(f.vfs, open);
	vfs_release(f.vfs, other);
}
END_TEST

START_TEST(test_read_only)
{
	struct vfs_attr a, in = {.mode = 0600};
	struct vfs_file *file;

	write_file("file", "x", 1);
	open_follower();
	ck_assert_int_eq(vfs_lookup(f.vfs, &test_root, VFS_ROOT, S("file"), &a), 0);
	ck_assert_int_eq(vfs_open(f.vfs, &test_root, a.inode, O_RDWR, &file), -EROFS);
	ck_assert_int_eq(vfs_mkdir(f.vfs, &test_root, VFS_ROOT, S("d"), 0755, &a), -EROFS);
	ck_assert_int_eq(vfs_unlink(f.vfs, &test_root, VFS_ROOT, S("file")), -EROFS);
	ck_assert_int_eq(
		vfs_rename(f.vfs, &test_root, VFS_ROOT, S("file"), VFS_ROOT, S("g"), 0), -EROFS);
	ck_assert_int_eq(
		vfs_setattr(f.vfs, &test_root, a.inode, NULL, VFS_SET_MODE, &in, &a), -EROFS);
	ck_assert_int_eq(vfs_access(f.vfs, &test_root, a.inode, W_OK), -EROFS);
	ck_assert_int_eq(vfs_access(f.vfs, &test_root, a.inode, R_OK), 0);
	ck_assert_int_eq(vfs_sync(f.vfs, NULL), 0);
	ck_assert_int_eq(vfs_open(f.vfs, &test_root, a.inode, O_RDONLY, &file), 0);
	ck_assert_int_eq(vfs_fsync(f.vfs, file, false), 0);
	ck_assert_int_eq(vfs_flush(f.vfs, file), 0);
	vfs_release(f.vfs, file);
}
END_TEST

static void set_attribute(const char *name, struct slice value)
{
	struct vfs_attr a;

	ck_assert_int_eq(vfs_lookup(w->vfs, &test_root, VFS_ROOT, S("file"), &a), 0);
	ck_assert_int_eq(vfs_setxattr(w->vfs, &test_root, a.inode, S(name), value, 0), 0);
}

/* What an inode that is in use knows of its attributes and its ACL moves along. */
START_TEST(test_attributes)
{
	/* owner rw-, user 100 r--, group ---, mask r--, others --- */
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 100,
		0, 0, 0, 4, 0, 0, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0,
		0, 255, 255, 255, 255};
	const struct vfs_cred ann = {.uid = 100, .gid = 100};
	struct vfs_attr a, in = {.mode = 0600};
	struct buf out = BUF_INIT;
	struct vfs_file *file;

	write_file("file", "x", 1);
	ck_assert_int_eq(vfs_lookup(w->vfs, &test_root, VFS_ROOT, S("file"), &a), 0);
	ck_assert_int_eq(vfs_setattr(w->vfs, &test_root, a.inode, NULL, VFS_SET_MODE, &in, &a), 0);
	ck_assert_int_eq(vfs_sync(w->vfs, NULL), 0);
	open_follower();
	ck_assert_int_eq(vfs_open(f.vfs, &test_root, a.inode, O_RDONLY, &file), 0);
	ck_assert_int_eq(vfs_getxattr(f.vfs, &test_root, a.inode, S("user.a"), &out), -ENODATA);
	ck_assert_int_eq(vfs_access(f.vfs, &ann, a.inode, R_OK), -EACCES);
	set_attribute("user.a", S("value"));
	set_attribute("system.posix_acl_access", SLICE(acl, sizeof(acl)));
	ck_assert_int_eq(vfs_sync(w->vfs, NULL), 0);
	poll_follower();
	ck_assert_int_eq(vfs_getxattr(f.vfs, &test_root, a.inode, S("user.a"), &out), 0);
	ck_assert_uint_eq(out.len, 5);
	ck_assert_int_eq(vfs_access(f.vfs, &ann, a.inode, R_OK), 0);
	ck_assert_int_eq(vfs_setxattr(f.vfs, &test_root, a.inode, S("user.b"), S("1"), 0), -EROFS);
	ck_assert_int_eq(vfs_removexattr(f.vfs, &test_root, a.inode, S("user.a")), -EROFS);
	vfs_release(f.vfs, file);
	buf_done(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfs-follower");
	TCase *t = tcase_create("follower");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_follow);
	tcase_add_test(t, test_read_only);
	tcase_add_test(t, test_attributes);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
