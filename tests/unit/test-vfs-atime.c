/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When reading changes an access time: the policy as a table, and what the engine makes of it. */
#include "tests/unit/vfs-ops-fixture.h"

#define DAY 86400

static const struct {
	enum atime_mode mode;
	bool no_directories, directory;
	int64_t atime, mtime, ctime, now;
	bool want;
} cases[] = {
	{ATIME_RELATIVE, false, false, 100, 50, 60, 200, false},
	{ATIME_RELATIVE, false, false, 100, 100, 60, 200, true},
	{ATIME_RELATIVE, false, false, 100, 101, 60, 200, true},
	{ATIME_RELATIVE, false, false, 100, 50, 100, 200, true},
	{ATIME_RELATIVE, false, false, 100, 50, 60, 100 + DAY - 1, false},
	{ATIME_RELATIVE, false, false, 100, 50, 60, 100 + DAY, true},
	{ATIME_RELATIVE, false, false, INT64_MIN, INT64_MIN, INT64_MIN, 100, true},
	{ATIME_RELATIVE, false, false, INT64_MAX, 50, 60, 100, false},
	{ATIME_RELATIVE, false, true, 100, 101, 60, 200, true},
	{ATIME_RELATIVE, true, true, 100, 101, 60, 200, false},
	{ATIME_RELATIVE, true, false, 100, 101, 60, 200, true},
	{ATIME_NEVER, false, false, 100, 101, 60, 100 + 2 * DAY, false},
	{ATIME_ALWAYS, false, false, 100, 50, 60, 101, true},
	{ATIME_ALWAYS, false, false, 100, 100, 100, 100, false},
	{ATIME_ALWAYS, true, true, 100, 50, 60, 101, false},
};

START_TEST(test_policy)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct atime_policy p = {
			.mode = cases[i].mode, .no_directories = cases[i].no_directories};
		struct timespec a = {.tv_sec = cases[i].atime}, m = {.tv_sec = cases[i].mtime},
				c = {.tv_sec = cases[i].ctime}, now = {.tv_sec = cases[i].now};

		ck_assert_msg(atime_changes(&p, cases[i].directory, a, m, c, now) == cases[i].want,
			"case %zu", i);
	}
}
END_TEST

static void set_atime(uint64_t inode, int64_t seconds)
{
	struct vfs_attr a;

	OK(vfs_setattr(v->vfs, &test_root, inode, NULL, VFS_SET_ATIME | VFS_SET_MTIME,
		&(struct vfs_attr){.atime.tv_sec = seconds, .mtime.tv_sec = seconds}, &a));
}

static bool read_changes(uint64_t inode, int flags)
{
	struct vfs_file *f;
	char buf[4];

	set_atime(inode, 1000);
	OK(vfs_open(v->vfs, &test_root, inode, flags, &f));
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, buf, 4), 4);
	vfs_release(v->vfs, f);
	return attr(inode).atime.tv_sec != 1000;
}

START_TEST(test_reading)
{
	struct vfs_file *f = create_at(VFS_ROOT, "f", NULL);
	uint64_t i = lookup(VFS_ROOT, "f");

	ck_assert_int_eq(write_at(f, 0, "data", 4), 4);
	vfs_release(v->vfs, f);
	ck_assert(read_changes(i, O_RDONLY));
	ck_assert(read_changes(i, O_RDWR));
	ck_assert(!read_changes(i, O_RDONLY | O_NOATIME));
	/* A kernel that reads what surrounds a write is no reader. */
	ck_assert(!read_changes(i, O_WRONLY | VFS_OPEN_READ_BACK));
	small_volume_close(v);
	v = small_volume_open(
		&(struct small_volume_options){.name = "vfs-ops", .atime = {.mode = ATIME_NEVER}});
	ck_assert(!read_changes(i, O_RDONLY));
}
END_TEST

/* What a kernel sends of its pages: at their place, with times and set-id bits left alone. */
START_TEST(test_cached_writes)
{
	struct slice text = S("pages");
	struct vfs_attr before, after;
	struct vfs_file *f;
	uint64_t i = file_at(VFS_ROOT, "f");
	char buf[8];

	OK(vfs_open(v->vfs, &test_root, i, O_WRONLY | O_APPEND, &f));
	FAILS(vfs_read(v->vfs, f, 0, buf, 8), EBADF);
	ck_assert_int_eq(write_at(f, 0, "0123456789", 10), 10);
	OK(vfs_setattr(v->vfs, &test_root, i, NULL, VFS_SET_MODE, &(struct vfs_attr){.mode = 06755},
		&before));
	ck_assert_int_eq(vfs_write(v->vfs, &ann, f, 2, &text, 1,
				 VFS_WRITE_CACHED | VFS_WRITE_KEEP_TIMES, NULL),
		5);
	after = attr(i);
	ck_assert_uint_eq(after.size, 10);
	ck_assert_uint_eq(after.mode, S_IFREG | 06755);
	ck_assert_mem_eq(&after.mtime, &before.mtime, sizeof(after.mtime));
	ck_assert_mem_eq(&after.ctime, &before.ctime, sizeof(after.ctime));
	ck_assert_int_eq(vfs_write(v->vfs, &ann, f, 0, &text, 1, VFS_WRITE_CACHED, NULL), 5);
	ck_assert_uint_eq(attr(i).mode, S_IFREG | 06755);
	ck_assert_int_eq(vfs_write(v->vfs, &ann, f, 0, &text, 1, 0, NULL), 5);
	ck_assert_uint_eq(attr(i).mode, S_IFREG | 0755);
	ck_assert_uint_eq(attr(i).size, 15);
	vfs_release(v->vfs, f);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_policy);
	tcase_add_test(t, test_reading);
	tcase_add_test(t, test_cached_writes);
}

int main(void)
{
	return run_suite("vfs-atime", add_tests);
}
