/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unnamed files: what they are, that they get a name once, and that they go otherwise. Files that
 * are known by their numbers. */
#include "tests/unit/vfs-ops-fixture.h"

static struct vfs_file *make(uint64_t dir, int flags, struct vfs_attr *a)
{
	struct vfs_file *f;

	OK(vfs_tmpfile(v->vfs, &ann, dir, 0640, O_RDWR | flags, a, &f));
	return f;
}

static uint64_t public_dir(const char *name, uint32_t mode)
{
	uint64_t dir = mkdir_at(VFS_ROOT, name);
	struct vfs_attr a = {.mode = mode, .gid = 77};

	OK(vfs_setattr(v->vfs, &test_root, dir, NULL, VFS_SET_GID, &a, &a));
	a.mode = mode;
	OK(vfs_setattr(v->vfs, &test_root, dir, NULL, VFS_SET_MODE, &a, &a));
	return dir;
}

START_TEST(test_made)
{
	uint64_t dir = public_dir("d", 02777);
	struct vfs_attr a, before = attr(dir), after;
	struct vfs_file *f = make(dir, 0, &a);
	struct vfs_statfs s, s2;
	char buf[8];

	ck_assert_uint_eq(a.mode, S_IFREG | 0640);
	ck_assert_uint_eq(a.uid, 100);
	ck_assert_uint_eq(a.gid, 77); /* the directory passes it on */
	ck_assert_uint_eq(a.nlink, 0);
	ck_assert_uint_ne(a.inode, 0);
	after = attr(dir);
	ck_assert_int_eq(after.mtime.tv_nsec, before.mtime.tv_nsec);
	ck_assert_uint_eq(after.change, before.change);
	ck_assert_int_eq(write_at(f, 0, "unnamed", 7), 7);
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, buf, 8), 7);
	ck_assert_uint_eq(attr(a.inode).size, 7);
	OK(vfs_statfs(v->vfs, &s));
	vfs_release(v->vfs, f);
	FAILS(vfs_getattr(v->vfs, &test_root, a.inode, &a), ESTALE);
	OK(vfs_statfs(v->vfs, &s2));
	ck_assert_uint_eq(s2.inodes, s.inodes - 1);
	OK(vfs_rmdir(v->vfs, &test_root, VFS_ROOT, S("d")));
}
END_TEST

START_TEST(test_refused)
{
	uint64_t dir = public_dir("d", 0755), file = file_at(VFS_ROOT, "f");
	struct vfs_attr a;
	struct vfs_file *f;

	FAILS(vfs_tmpfile(v->vfs, &ann, dir, 0600, O_RDWR, &a, &f), EACCES);
	FAILS(vfs_tmpfile(v->vfs, &ann, file, 0600, O_RDWR, &a, &f), ENOTDIR);
	FAILS(vfs_tmpfile(v->vfs, &ann, 99999, 0600, O_RDWR, &a, &f), ESTALE);
}
END_TEST

START_TEST(test_linked)
{
	uint64_t dir = public_dir("d", 0777);
	struct vfs_attr a, b;
	struct vfs_file *f = make(dir, 0, &a), *g = make(dir, O_EXCL, &b);
	char buf[8];

	ck_assert_int_eq(write_at(f, 0, "content", 7), 7);
	FAILS(vfs_link(v->vfs, &ann, b.inode, dir, S("g"), &b), ENOENT);
	(void)file_at(dir, "taken");
	FAILS(vfs_link(v->vfs, &ann, a.inode, dir, S("taken"), &a), EEXIST);
	OK(vfs_link(v->vfs, &ann, a.inode, dir, S("f"), &a));
	ck_assert_uint_eq(a.nlink, 1);
	OK(vfs_link(v->vfs, &ann, a.inode, dir, S("f2"), &a));
	ck_assert_uint_eq(a.nlink, 2);
	ck_assert_uint_eq(small_volume_check(v), 0);
	vfs_release(v->vfs, g);
	vfs_release(v->vfs, f);
	reopen();
	ck_assert_uint_eq(lookup(dir, "f"), a.inode);
	OK(vfs_open(v->vfs, &ann, a.inode, O_RDWR, &f));
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, buf, 8), 7);
	/* A file that lost its names does not get one again. */
	OK(vfs_unlink(v->vfs, &ann, dir, S("f")));
	OK(vfs_unlink(v->vfs, &ann, dir, S("f2")));
	FAILS(vfs_link(v->vfs, &ann, a.inode, dir, S("f"), &a), ENOENT);
	vfs_release(v->vfs, f);
}
END_TEST

/* "." finds again what a kernel knows by its number alone. */
START_TEST(test_by_number)
{
	uint64_t dir = mkdir_at(VFS_ROOT, "d"), file = file_at(dir, "f");
	struct vfs_attr a, closed = {.mode = 0700};

	OK(vfs_setattr(v->vfs, &test_root, dir, NULL, VFS_SET_MODE, &closed, &a));
	OK(vfs_lookup(v->vfs, &test_root, dir, S("."), &a));
	ck_assert_uint_eq(a.inode, dir);
	OK(vfs_lookup(v->vfs, &ann, file, S("."), &a));
	ck_assert_uint_eq(a.inode, file);
	ck_assert_uint_eq(a.generation, attr(file).generation);
	FAILS(vfs_lookup(v->vfs, &ann, dir, S("."), &a), EACCES);
	FAILS(vfs_lookup(v->vfs, &test_root, file, S(".."), &a), ENOTDIR);
	OK(vfs_unlink(v->vfs, &test_root, dir, S("f")));
	FAILS(vfs_lookup(v->vfs, &test_root, file, S("."), &a), ESTALE);
}
END_TEST

/* The name is lost with its group, the file with its open file. */
static uint64_t used_inodes(void)
{
	struct vfs_engine_stats s;

	vfs_engine_stats(v->engine, &s);
	return s.used_inodes;
}

START_TEST(test_crash)
{
	uint64_t dir = public_dir("d", 0777);
	struct vfs_attr a, b;
	struct vfs_file *f = make(dir, 0, &a), *g = make(dir, 0, &b);

	ck_assert_int_eq(write_at(f, 0, "content", 7), 7);
	OK(vfs_fsync(v->vfs, f, false));
	OK(vfs_link(v->vfs, &ann, b.inode, dir, S("g"), &b));
	OK(vfs_fsync(v->vfs, g, false));
	OK(vfs_link(v->vfs, &ann, a.inode, dir, S("f"), &a));
	small_volume_cut(v);
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
	reopen();
	ck_assert_uint_eq(lookup(dir, "f"), 0);
	ck_assert_uint_eq(lookup(dir, "g"), b.inode);
	FAILS(vfs_getattr(v->vfs, &test_root, a.inode, &a), ESTALE);
	/* Removed in the background: the root, "d" and "g" are left. */
	for (int n = 0; used_inodes() > 3; n++) {
		ck_assert_int_lt(n, 2000);
		env_sleep_ms(5);
	}
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_made);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_linked);
	tcase_add_test(t, test_crash);
	tcase_add_test(t, test_by_number);
}

int main(void)
{
	return run_suite("vfs-tmpfile", add_tests);
}
