/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removed inodes that a front end refers to: they answer until they are forgotten, and are gone
 * afterwards, also after a crash. */
#include "tests/unit/vfs-ops-fixture.h"

static const struct vfs_cred kernel = {.pid = 9, .keeps = true};

static uint64_t orphans(void)
{
	struct vfs_engine_stats s;

	vfs_engine_stats(v->engine, &s);
	return s.orphans;
}

/* Records of orphans in the index. */
static unsigned orphan_records(void)
{
	struct key low = key_orphan(0), high = key_kind_first(0, KEY_ORPHAN + 1);
	struct index_scan *s;
	struct record rec;
	unsigned n = 0;

	OK(index_scan_open(v->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0, &s, NULL));
	while (index_scan_next(s, &rec, NULL) > 0)
		n++;
	index_scan_close(s);
	return n;
}

static bool answers(uint64_t inode)
{
	struct vfs_attr a;
	int r = vfs_getattr(v->vfs, &kernel, inode, &a);

	ck_assert(r == 0 || r == -ESTALE);
	return r == 0;
}

START_TEST(test_file)
{
	struct vfs_file *f;
	struct vfs_attr a;
	uint64_t i = file_at(VFS_ROOT, "f");

	OK(vfs_unlink(v->vfs, &kernel, VFS_ROOT, S("f")));
	ck_assert_uint_eq(lookup(VFS_ROOT, "f"), 0);
	ck_assert_uint_eq(attr(i).nlink, 0);
	ck_assert_uint_eq(orphans(), 1);
	FAILS(vfs_link(v->vfs, &kernel, i, VFS_ROOT, S("g"), &a), ENOENT);
	OK(vfs_open(v->vfs, &kernel, i, O_RDWR, &f));
	ck_assert_int_eq(write_at(f, 0, "alive", 5), 5);
	vfs_release(v->vfs, f);
	ck_assert_uint_eq(attr(i).size, 5);
	vfs_forget(v->vfs, i);
	ck_assert(!answers(i));
	ck_assert_uint_eq(orphans(), 0);
	vfs_forget(v->vfs, i);
	vfs_forget(v->vfs, 123456);
	FAILS(vfs_open(v->vfs, &kernel, i, O_RDWR, &f), ESTALE);
}
END_TEST

START_TEST(test_forgotten_while_open)
{
	struct vfs_file *f;
	uint64_t i = file_at(VFS_ROOT, "f");

	OK(vfs_open(v->vfs, &kernel, i, O_RDWR, &f));
	OK(vfs_unlink(v->vfs, &kernel, VFS_ROOT, S("f")));
	vfs_forget(v->vfs, i);
	ck_assert(answers(i));
	vfs_release(v->vfs, f);
	ck_assert(!answers(i));
}
END_TEST

START_TEST(test_directory)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d"), e = mkdir_at(VFS_ROOT, "e"),
		 t = mkdir_at(VFS_ROOT, "t");
	struct vfs_attr a;

	OK(vfs_rmdir(v->vfs, &kernel, VFS_ROOT, S("d")));
	OK(vfs_rename(v->vfs, &kernel, VFS_ROOT, S("t"), VFS_ROOT, S("e"), 0));
	for (int k = 0; k < 2; k++) {
		uint64_t gone = k ? e : d;

		ck_assert_uint_eq(attr(gone).nlink, 0);
		FAILS(vfs_lookup(v->vfs, &kernel, gone, S("x"), &a), ENOENT);
		FAILS(vfs_mkdir(v->vfs, &kernel, gone, S("x"), 0755, &a), ENOENT);
		FAILS(vfs_symlink(v->vfs, &kernel, gone, S("x"), S("y"), &a), ENOENT);
		FAILS(vfs_rename(v->vfs, &kernel, VFS_ROOT, S("e"), gone, S("x"), 0), ENOENT);
		FAILS(vfs_unlink(v->vfs, &kernel, gone, S("x")), ENOENT);
		vfs_forget(v->vfs, gone);
		ck_assert(!answers(gone));
	}
	ck_assert_uint_eq(lookup(VFS_ROOT, "e"), t);
}
END_TEST

/* A record is written only for what is still there when its group closes. */
START_TEST(test_records)
{
	uint64_t i = file_at(VFS_ROOT, "f"), k = file_at(VFS_ROOT, "g");
	struct vfs_attr a;

	OK(vfs_unlink(v->vfs, &kernel, VFS_ROOT, S("f")));
	OK(vfs_unlink(v->vfs, &kernel, VFS_ROOT, S("g")));
	ck_assert_uint_eq(orphan_records(), 0);
	vfs_forget(v->vfs, k);
	OK(vfs_sync(v->vfs, NULL));
	ck_assert_uint_eq(orphan_records(), 1);
	ck_assert_uint_eq(small_volume_check(v), 0);
	/* Changed again in a later group, and forgotten in one later still. */
	OK(vfs_setattr(
		v->vfs, &kernel, i, NULL, VFS_SET_MODE, &(struct vfs_attr){.mode = 0600}, &a));
	OK(vfs_sync(v->vfs, NULL));
	ck_assert_uint_eq(orphan_records(), 1);
	vfs_forget(v->vfs, i);
	ck_assert_uint_eq(orphan_records(), 0);
	OK(vfs_sync(v->vfs, NULL));
	ck_assert_uint_eq(orphans(), 0);
}
END_TEST

/* Many changes of one orphan in the group in which it became one. */
START_TEST(test_room)
{
	struct vfs_file *f = create_at(VFS_ROOT, "f", NULL);
	uint64_t i = lookup(VFS_ROOT, "f");
	struct vfs_attr a;
	char bytes[2000];

	memset(bytes, 'b', sizeof(bytes));
	OK(vfs_unlink(v->vfs, &kernel, VFS_ROOT, S("f")));
	for (unsigned n = 0; n < 40; n++) {
		ck_assert_int_eq(write_at(f, n * 50, bytes, 50), 50);
		OK(vfs_setattr(v->vfs, &kernel, i, f, VFS_SET_MODE,
			&(struct vfs_attr){.mode = n & 0777}, &a));
	}
	OK(vfs_sync(v->vfs, NULL));
	ck_assert_uint_eq(orphan_records(), 1);
	vfs_release(v->vfs, f);
	ck_assert(answers(i));
	vfs_forget(v->vfs, i);
	ck_assert(!answers(i));
}
END_TEST

START_TEST(test_end_and_crash)
{
	uint64_t i = file_at(VFS_ROOT, "f"), d = mkdir_at(VFS_ROOT, "d");

	OK(vfs_unlink(v->vfs, &kernel, VFS_ROOT, S("f")));
	reopen(); /* a clean end leaves none */
	ck_assert_uint_eq(orphan_records(), 0);
	ck_assert(!answers(i));
	OK(vfs_rmdir(v->vfs, &kernel, VFS_ROOT, S("d")));
	OK(vfs_sync(v->vfs, NULL));
	small_volume_cut(v);
	reopen(); /* removed in the background */
	for (unsigned n = 0; n < 2000 && orphan_records(); n++)
		env_sleep_ms(1);
	ck_assert_uint_eq(orphan_records(), 0);
	ck_assert(!answers(d));
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_file);
	tcase_add_test(t, test_forgotten_while_open);
	tcase_add_test(t, test_directory);
	tcase_add_test(t, test_records);
	tcase_add_test(t, test_room);
	tcase_add_test(t, test_end_and_crash);
}

int main(void)
{
	return run_suite("vfs-kept", add_tests);
}
