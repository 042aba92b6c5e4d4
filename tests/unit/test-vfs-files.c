/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each operation on files and attributes with its errors, what a crash leaves of them, and limits,
 * on a whole volume in memory. */
#include "tests/unit/vfs-ops-fixture.h"

#include <stdio.h>
#include <unistd.h>

static bool later_or_equal(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec >= b.tv_nsec;
}

/* ---- bytes ---- */

START_TEST(test_read_write)
{
	struct vfs_file *f = create_at(VFS_ROOT, "f", NULL), *ro, *app;
	static uint8_t big[300000], back[300000];
	struct slice parts[2] = {SLICE("one ", 4), SLICE("two", 3)};
	uint64_t size, inode;
	char buf[32];

	ck_assert_int_eq(vfs_write(v->vfs, &test_root, f, 3, parts, 2, 0, &size), 7);
	ck_assert_uint_eq(size, 10);
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, buf, sizeof(buf)), 10);
	ck_assert_mem_eq(buf, "\0\0\0one two", 10);
	ck_assert_int_eq(vfs_read(v->vfs, f, 10, buf, sizeof(buf)), 0);
	ck_assert_int_eq(vfs_read(v->vfs, f, 8, buf, sizeof(buf)), 2);
	ck_assert_int_eq(write_at(f, 0, "", 0), 0);
	FAILS(write_at(f, VFS_FILE_MAX, "x", 1), EFBIG);
	inode = lookup(VFS_ROOT, "f");
	OK(vfs_open(v->vfs, &test_root, inode, O_RDONLY, &ro));
	FAILS(write_at(ro, 0, "x", 1), EBADF);
	OK(vfs_open(v->vfs, &test_root, inode, O_WRONLY | O_APPEND, &app));
	FAILS(vfs_read(v->vfs, app, 0, buf, 1), EBADF);
	ck_assert_int_eq(write_at(app, 0, "end", 3), 3);
	ck_assert_uint_eq(attr(inode).size, 13);
	ck_assert_int_eq(
		vfs_write(v->vfs, &test_root, f, 0, &S("!"), 1, VFS_WRITE_APPEND, &size), 1);
	ck_assert_uint_eq(size, 14);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 + i / 251);
	ck_assert_int_eq(write_at(f, 100, big, sizeof(big)), (int64_t)sizeof(big));
	vfs_release(v->vfs, app);
	vfs_release(v->vfs, ro);
	vfs_release(v->vfs, f);
	reopen();
	inode = lookup(VFS_ROOT, "f");
	OK(vfs_open(v->vfs, &test_root, inode, O_RDONLY, &f));
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, back, 100), 100);
	ck_assert_mem_eq(back, "\0\0\0one twoend!\0\0", 16);
	ck_assert_int_eq(vfs_read(v->vfs, f, 100, back, sizeof(back)), (int64_t)sizeof(back));
	ck_assert_mem_eq(back, big, sizeof(big));
	vfs_release(v->vfs, f);
}
END_TEST

START_TEST(test_truncate)
{
	struct vfs_attr a;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a);
	char buf[5000];

#define SIZE(n)                                                                                    \
	vfs_setattr(v->vfs, &test_root, a.inode, NULL, VFS_SET_SIZE,                               \
		&(struct vfs_attr){.size = (n)}, &a)
	ck_assert_int_eq(write_at(f, 0, "0123456789", 10), 10);
	OK(SIZE(4));
	ck_assert_uint_eq(a.size, 4);
	OK(SIZE(8));
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, buf, 20), 8);
	ck_assert_mem_eq(buf, "0123\0\0\0\0", 8);
	OK(SIZE(4000)); /* leaves the inode */
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, buf, sizeof(buf)), 4000);
	ck_assert_mem_eq(buf, "0123\0\0\0\0", 8);
	ck_assert_int_eq(buf[3999], 0);
	OK(SIZE(1ull << 40));
	OK(SIZE(2));
	FAILS(SIZE(1ull << 63), EFBIG);
	FAILS(vfs_setattr(
		      v->vfs, &test_root, VFS_ROOT, NULL, VFS_SET_SIZE, &(struct vfs_attr){0}, &a),
		EISDIR);
	FAILS(vfs_setattr(v->vfs, &ann, a.inode, NULL, VFS_SET_SIZE, &(struct vfs_attr){0}, &a),
		EACCES);
	OK(vfs_setattr(v->vfs, &ann, a.inode, f, VFS_SET_SIZE, &(struct vfs_attr){.size = 1}, &a));
	vfs_release(v->vfs, f);
	reopen();
	OK(vfs_open(v->vfs, &test_root, a.inode, O_RDWR, &f));
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, buf, sizeof(buf)), 1);
	ck_assert_int_eq(buf[0], '0');
	/* From extents this time. */
	memset(buf, 'x', sizeof(buf));
	ck_assert_int_eq(write_at(f, 0, buf, 5000), 5000);
	OK(vfs_fsync(v->vfs, f, false));
	OK(SIZE(4500));
	OK(SIZE(5000));
	ck_assert_int_eq(vfs_read(v->vfs, f, 4400, buf, 600), 600);
	ck_assert_int_eq(buf[99], 'x');
	ck_assert_int_eq(buf[100], 0);
	ck_assert_int_eq(buf[599], 0);
	OK(SIZE(0));
	ck_assert_uint_eq(attr(a.inode).allocated, 0);
	vfs_release(v->vfs, f);
}
END_TEST

START_TEST(test_fallocate)
{
	struct vfs_attr a;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a);
	char buf[200];

	OK(vfs_fallocate(v->vfs, &test_root, f, 0, 0, 100000));
	a = attr(a.inode);
	ck_assert_uint_eq(a.size, 100000);
	ck_assert_uint_ge(a.allocated, 100000);
	ck_assert_int_eq(vfs_read(v->vfs, f, 50000, buf, 10), 10);
	ck_assert_int_eq(buf[0], 0);
	OK(vfs_fallocate(v->vfs, &test_root, f, VFS_FALLOC_KEEP_SIZE, 0, 200000));
	ck_assert_uint_eq(attr(a.inode).size, 100000);
	memset(buf, 'b', sizeof(buf));
	ck_assert_int_eq(write_at(f, 1000, buf, 200), 200);
	OK(vfs_fallocate(
		v->vfs, &test_root, f, VFS_FALLOC_PUNCH | VFS_FALLOC_KEEP_SIZE, 1050, 100));
	ck_assert_int_eq(vfs_read(v->vfs, f, 1000, buf, 200), 200);
	ck_assert_int_eq(buf[49], 'b');
	ck_assert_int_eq(buf[50], 0);
	ck_assert_int_eq(buf[149], 0);
	ck_assert_int_eq(buf[150], 'b');
	OK(vfs_fallocate(v->vfs, &test_root, f, VFS_FALLOC_ZERO, 1000, 200000));
	ck_assert_uint_eq(attr(a.inode).size, 201000);
	ck_assert_int_eq(vfs_read(v->vfs, f, 1000, buf, 1), 1);
	ck_assert_int_eq(buf[0], 0);
	FAILS(vfs_fallocate(v->vfs, &test_root, f, VFS_FALLOC_PUNCH, 0, 1), EOPNOTSUPP);
	FAILS(vfs_fallocate(v->vfs, &test_root, f, VFS_FALLOC_COLLAPSE, 0, 4096), EOPNOTSUPP);
	FAILS(vfs_fallocate(v->vfs, &test_root, f, VFS_FALLOC_INSERT, 0, 4096), EOPNOTSUPP);
	FAILS(vfs_fallocate(v->vfs, &test_root, f, 0, 0, 0), EINVAL);
	FAILS(vfs_fallocate(v->vfs, &test_root, f, 0, VFS_FILE_MAX, 1), EFBIG);
	vfs_release(v->vfs, f);
	OK(vfs_open(v->vfs, &test_root, a.inode, O_RDONLY, &f));
	FAILS(vfs_fallocate(v->vfs, &test_root, f, 0, 0, 1), EBADF);
	vfs_release(v->vfs, f);
}
END_TEST

START_TEST(test_seek)
{
	struct vfs_attr a;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a);
	static char block[65536];

	memset(block, 'd', sizeof(block));
	OK(vfs_setattr(v->vfs, &test_root, a.inode, f, VFS_SET_SIZE,
		&(struct vfs_attr){.size = 1 << 20}, &a));
	ck_assert_int_eq(write_at(f, 262144, block, sizeof(block)), (int64_t)sizeof(block));
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(vfs_seek(v->vfs, f, 0, VFS_SEEK_DATA), 262144);
		ck_assert_int_eq(vfs_seek(v->vfs, f, 262144, VFS_SEEK_HOLE), 262144 + 65536);
		ck_assert_int_eq(vfs_seek(v->vfs, f, 10, VFS_SEEK_HOLE), 10);
		FAILS(vfs_seek(v->vfs, f, 400000, VFS_SEEK_DATA), ENXIO);
		FAILS(vfs_seek(v->vfs, f, 1 << 20, VFS_SEEK_HOLE), ENXIO);
		OK(vfs_fsync(v->vfs, f, true)); /* now from stored extents */
	}
	vfs_release(v->vfs, f);
}
END_TEST

/* ---- attributes ---- */

START_TEST(test_setattr)
{
	uint64_t f = file_at(VFS_ROOT, "f");
	struct vfs_attr a = attr(f), b, in = {0};

	in.mode = 06777;
	OK(vfs_setattr(v->vfs, &test_root, f, NULL, VFS_SET_MODE, &in, &b));
	ck_assert_uint_eq(b.mode, S_IFREG | 06777);
	ck_assert(later_or_equal(b.ctime, a.ctime));
	ck_assert_uint_gt(b.change, a.change);
	in.uid = 100;
	in.gid = 300;
	OK(vfs_setattr(v->vfs, &test_root, f, NULL, VFS_SET_UID | VFS_SET_GID, &in, &b));
	ck_assert_uint_eq(b.mode, S_IFREG | 0777); /* set-id bits go with the owner */
	ck_assert_uint_eq(b.uid, 100);
	ck_assert_uint_eq(b.gid, 300);
	FAILS(vfs_setattr(v->vfs, &bob, f, NULL, VFS_SET_MODE, &in, &b), EPERM);
	in.mode = 02755;
	OK(vfs_setattr(v->vfs, &ann, f, NULL, VFS_SET_MODE, &in, &b));
	ck_assert_uint_eq(b.mode, S_IFREG | 0755); /* not a member of group 300 */
	in.mtime = (struct timespec){-5, 123456789};
	in.atime = (struct timespec){1ll << 40, 1};
	OK(vfs_setattr(v->vfs, &ann, f, NULL, VFS_SET_MTIME | VFS_SET_ATIME, &in, &b));
	in.mtime.tv_nsec = 1000000000;
	FAILS(vfs_setattr(v->vfs, &ann, f, NULL, VFS_SET_MTIME, &in, &b), EINVAL);
	in.flags = 4;
	OK(vfs_setattr(v->vfs, &ann, f, NULL, VFS_SET_FLAGS, &in, &b));
	reopen();
	b = attr(f);
	ck_assert_int_eq(b.mtime.tv_sec, -5);
	ck_assert_int_eq(b.mtime.tv_nsec, 123456789);
	ck_assert_int_eq(b.atime.tv_sec, 1ll << 40);
	ck_assert_uint_eq(b.flags, 4);
	ck_assert_uint_eq(b.uid, 100);
	ck_assert_uint_eq(b.generation, a.generation);
	ck_assert_int_eq(b.btime.tv_nsec, a.btime.tv_nsec);
	OK(vfs_access(v->vfs, &ann, f, R_OK | W_OK | X_OK));
	FAILS(vfs_access(v->vfs, &bob, f, W_OK), EACCES);
	FAILS(vfs_setattr(v->vfs, &test_root, 4242, NULL, VFS_SET_MODE, &in, &b), ESTALE);
}
END_TEST

START_TEST(test_times)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d"), f;
	struct vfs_attr before = attr(d), after;
	struct vfs_file *open;

	f = file_at(d, "f");
	after = attr(d);
	ck_assert(later_or_equal(after.mtime, before.mtime));
	ck_assert_uint_gt(after.change, before.change);
	before = after;
	OK(vfs_rename(v->vfs, &test_root, d, S("f"), d, S("g"), 0));
	ck_assert_uint_gt(attr(d).change, before.change);
	before = attr(f);
	OK(vfs_open(v->vfs, &test_root, f, O_RDWR, &open));
	ck_assert_int_eq(write_at(open, 0, "x", 1), 1);
	after = attr(f);
	ck_assert(later_or_equal(after.mtime, before.mtime));
	ck_assert(later_or_equal(after.ctime, before.ctime));
	ck_assert_uint_gt(after.change, before.change);
	/* Write by another user clears set-id bits. */
	OK(vfs_setattr(v->vfs, &test_root, f, NULL, VFS_SET_MODE, &(struct vfs_attr){.mode = 06777},
		&after));
	ck_assert_int_eq(write_at(open, 0, "y", 1), 1);
	ck_assert_uint_eq(attr(f).mode, S_IFREG | 06777);
	ck_assert_int_eq(
		vfs_write(v->vfs, &test_root, open, 0, &S("z"), 1, VFS_WRITE_KILL_PRIV, NULL), 1);
	ck_assert_uint_eq(attr(f).mode, S_IFREG | 0777);
	/* relatime: read after write moves atime, once. */
	before = attr(f);
	ck_assert_int_eq(vfs_read(v->vfs, open, 0, &(char){0}, 1), 1);
	after = attr(f);
	ck_assert(later_or_equal(after.atime, before.mtime));
	ck_assert_uint_eq(after.change, before.change);
	ck_assert_int_eq(vfs_read(v->vfs, open, 0, &(char){0}, 1), 1);
	ck_assert_int_eq(attr(f).atime.tv_nsec, after.atime.tv_nsec);
	vfs_release(v->vfs, open);
	reopen();
	ck_assert_int_eq(attr(f).atime.tv_nsec, after.atime.tv_nsec); /* a clean end keeps it */
}
END_TEST

START_TEST(test_flags)
{
	struct vfs_attr a, in = {.flags = 2};
	struct vfs_file *f = create_at(VFS_ROOT, "log", &a), *g;

	OK(vfs_setattr(v->vfs, &test_root, a.inode, NULL, VFS_SET_FLAGS, &in, &a));
	FAILS(write_at(f, 0, "x", 1), EPERM);
	ck_assert_int_eq(
		vfs_write(v->vfs, &test_root, f, 0, &S("x"), 1, VFS_WRITE_APPEND, NULL), 1);
	FAILS(vfs_open(v->vfs, &test_root, a.inode, O_WRONLY, &g), EPERM);
	FAILS(vfs_open(v->vfs, &test_root, a.inode, O_WRONLY | O_APPEND | O_TRUNC, &g), EPERM);
	FAILS(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("log")), EPERM);
	FAILS(vfs_rename(v->vfs, &test_root, VFS_ROOT, S("log"), VFS_ROOT, S("x"), 0), EPERM);
	in.flags = 1;
	OK(vfs_setattr(v->vfs, &test_root, a.inode, NULL, VFS_SET_FLAGS, &in, &a));
	FAILS(vfs_write(v->vfs, &test_root, f, 0, &S("x"), 1, VFS_WRITE_APPEND, NULL), EPERM);
	FAILS(vfs_link(v->vfs, &test_root, a.inode, VFS_ROOT, S("y"), &a), EPERM);
	FAILS(vfs_fallocate(v->vfs, &test_root, f, 0, 0, 10), EPERM);
	in.flags = 0;
	OK(vfs_setattr(v->vfs, &test_root, a.inode, NULL, VFS_SET_FLAGS, &in, &a));
	vfs_release(v->vfs, f);
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("log")));
}
END_TEST

/* ---- open ---- */

START_TEST(test_open_errors)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d"), i = file_at(VFS_ROOT, "f");
	struct vfs_file *f;

	FAILS(vfs_open(v->vfs, &test_root, d, O_RDWR, &f), EISDIR);
	FAILS(vfs_open(v->vfs, &test_root, i, O_RDONLY | O_DIRECTORY, &f), ENOTDIR);
	FAILS(vfs_open(v->vfs, &ann, i, O_RDWR, &f), EACCES);
	FAILS(vfs_open(v->vfs, &ann, i, O_RDONLY | O_TRUNC, &f), EACCES);
	FAILS(vfs_open(v->vfs, &ann, i, O_RDONLY | O_NOATIME, &f), EPERM);
	FAILS(vfs_open(v->vfs, &ann, 777777, O_RDONLY, &f), ESTALE);
	OK(vfs_open(v->vfs, &ann, i, O_RDONLY, &f));
	vfs_release(v->vfs, f);
}
END_TEST

/* ---- durability ---- */

START_TEST(test_crash)
{
	struct vfs_attr a, b;
	struct vfs_file *f = create_at(VFS_ROOT, "synced", &a), *g, *h;
	uint64_t d = mkdir_at(VFS_ROOT, "d");
	char buf[16];

	ck_assert_int_eq(write_at(f, 0, "durable", 7), 7);
	h = create_at(d, "orphan", &b);
	ck_assert_int_eq(write_at(h, 0, "gone", 4), 4);
	OK(vfs_unlink(v->vfs, &test_root, d, S("orphan")));
	OK(vfs_fsync(v->vfs, f, false));
	OK(vfs_fsync(v->vfs, h, false));
	OK(vfs_fsync(v->vfs, f, false)); /* nothing to do */
	small_volume_cut(v);
	FAILS(vfs_mkdir(v->vfs, &test_root, VFS_ROOT, S("late"), 0755, &b), ESTALE);
	FAILS(vfs_flush(v->vfs, f), ESTALE);
	OK(vfs_flush(v->vfs, f)); /* told once */
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, h);
	small_volume_close(v);
	v = small_volume_open(&(struct small_volume_options){.name = "vfs-ops"});
	ck_assert_uint_eq(lookup(VFS_ROOT, "synced"), a.inode);
	OK(vfs_open(v->vfs, &test_root, a.inode, O_RDONLY, &g));
	ck_assert_int_eq(vfs_read(v->vfs, g, 0, buf, sizeof(buf)), 7);
	vfs_release(v->vfs, g);
	ck_assert_uint_eq(lookup(VFS_ROOT, "d"), d);
	ck_assert_uint_eq(lookup(VFS_ROOT, "late"), 0);
	/* The orphan of the crash goes in the background. */
	for (int i = 0; i < 500 && vfs_getattr(v->vfs, &test_root, b.inode, &b) != -ESTALE; i++)
		env_sleep_ms(10);
	FAILS(vfs_getattr(v->vfs, &test_root, b.inode, &b), ESTALE);
	for (int i = 0; i < 500; i++) {
		struct vfs_engine_stats st;

		vfs_engine_stats(v->engine, &st);
		if (st.orphans == 0 && st.used_inodes == 3)
			break;
		env_sleep_ms(10);
	}
	/* Numbers are not given twice. */
	ck_assert_uint_gt(mkdir_at(VFS_ROOT, "next"), d);
}
END_TEST

START_TEST(test_encode_on_touch)
{
	/* Many groups, and the same inodes in all of them; then a crash. */
	uint64_t d = mkdir_at(VFS_ROOT, "d");
	struct vfs_attr a;
	struct vfs_file *f = create_at(d, "f", &a);
	char name[32];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		file_at(d, name);
		ck_assert_int_eq(vfs_write(v->vfs, &test_root, f, 0, &S("0123456789"), 1,
					 VFS_WRITE_APPEND, NULL),
			10);
		log_close_group(v->log);
		if (i % 8 == 7)
			OK(vfs_fsync(v->vfs, f, false));
	}
	OK(vfs_fsync(v->vfs, f, false));
	vfs_release(v->vfs, f);
	small_volume_cut(v);
	small_volume_close(v);
	v = small_volume_open(&(struct small_volume_options){.name = "vfs-ops"});
	ck_assert_uint_eq(attr(a.inode).size, 400);
	ck_assert_uint_eq(attr(d).nlink, 2);
}
END_TEST

/* Closes the open group, which has bytes to seal; it cannot get on until *ret_held is put back. */
static uint64_t close_held(uint64_t *ret_held)
{
	uint64_t group = log_open_group(v->log);

	*ret_held = budget_limit(v->budget, BUDGET_COMMIT);
	budget_force(v->budget, BUDGET_COMMIT, *ret_held);
	log_close_group(v->log);
	while (log_open_group(v->log) == group)
		env_sleep_ms(1);
	return group;
}

/* A group that is closing and cannot get on, while operations touch what it changed; then it is all
 * that survives. */
START_TEST(test_touch_while_closing)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d"), held, group, sub;
	static uint8_t bytes[300000];
	struct vfs_attr f, in = {.mode = 0600};
	struct vfs_file *big = create_at(d, "big", NULL), *small;
	char buf[10];

	memset(bytes, 'b', sizeof(bytes));
	ck_assert_int_eq(write_at(big, 0, bytes, sizeof(bytes)), (int64_t)sizeof(bytes));
	vfs_release(v->vfs, big);
	small_volume_close(v);
	v = small_volume_open(&(struct small_volume_options){
		.name = "vfs-ops", .flush_interval_ms = 600000, .quiet_ms = 600000});
	/* The group: a new file, and a change of bytes whose chunk is not in memory, so that it is
	 * counted twice until the close. */
	OK(vfs_open(v->vfs, &test_root, lookup(d, "big"), O_RDWR, &big));
	small = create_at(d, "f", &f);
	ck_assert_int_eq(write_at(small, 0, "old", 3), 3);
	ck_assert_int_eq(write_at(big, 1000, bytes, 50000), 50000);
	group = close_held(&held);
	/* The next group changes all of it. */
	OK(vfs_setattr(v->vfs, &test_root, f.inode, NULL, VFS_SET_MODE, &in, &in));
	ck_assert_int_eq(write_at(small, 0, "newer", 5), 5);
	ck_assert_int_eq(write_at(big, 60000, bytes, 10), 10);
	OK(vfs_rename(v->vfs, &test_root, d, S("f"), d, S("moved"), 0));
	sub = mkdir_at(d, "sub");
	file_at(sub, "deep");
	ck_assert_uint_lt(log_acked(v->log), group);
	budget_put(v->budget, BUDGET_COMMIT, held);
	OK(log_wait(v->log, group, NULL));
	small_volume_cut(v);
	vfs_release(v->vfs, small);
	vfs_release(v->vfs, big);
	small_volume_close(v);
	v = small_volume_open(&(struct small_volume_options){.name = "vfs-ops"});
	ck_assert_uint_eq(lookup(d, "f"), f.inode);
	ck_assert_uint_eq(lookup(d, "moved"), 0);
	ck_assert_uint_eq(lookup(d, "sub"), 0);
	ck_assert_uint_eq(attr(d).nlink, 2);
	ck_assert_uint_eq(attr(f.inode).mode, S_IFREG | 0644);
	OK(vfs_open(v->vfs, &test_root, f.inode, O_RDONLY, &small));
	ck_assert_int_eq(vfs_read(v->vfs, small, 0, buf, sizeof(buf)), 3);
	ck_assert_mem_eq(buf, "old", 3);
	vfs_release(v->vfs, small);
	ck_assert_uint_eq(attr(lookup(d, "big")).allocated, (sizeof(bytes) + 511) / 512 * 512);
}
END_TEST

/*
 * What is allocated is below 0 for a moment: bytes were counted twice, because their chunk was not
 * in memory, a truncate took all of it away, and then the first of the two groups found out. A
 * record that is encoded on touch at that moment is right in the end.
 */
START_TEST(test_touch_below_nothing)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d"), inode, held, group;
	static uint8_t bytes[300000];
	struct vfs_attr in = {.mode = 0600, .size = 0}, a;
	struct vfs_file *big = create_at(d, "big", &a), *other;

	inode = a.inode;
	memset(bytes, 'b', sizeof(bytes));
	ck_assert_int_eq(write_at(big, 0, bytes, sizeof(bytes)), (int64_t)sizeof(bytes));
	vfs_release(v->vfs, big);
	small_volume_close(v);
	v = small_volume_open(&(struct small_volume_options){
		.name = "vfs-ops", .flush_interval_ms = 600000, .quiet_ms = 600000});
	OK(vfs_open(v->vfs, &test_root, inode, O_RDWR, &big));
	other = create_at(d, "other", NULL);
	ck_assert_int_eq(write_at(big, 1000, bytes, 50000), 50000);
	group = close_held(&held);
	OK(vfs_setattr(v->vfs, &test_root, inode, NULL, VFS_SET_SIZE, &in, &a));
	ck_assert_int_eq(write_at(other, 0, bytes, 50000), 50000);
	budget_put(v->budget, BUDGET_COMMIT, held);
	OK(log_wait(v->log, group, NULL));
	group = close_held(&held);
	OK(vfs_setattr(v->vfs, &test_root, inode, NULL, VFS_SET_MODE, &in, &a));
	ck_assert_uint_lt(log_acked(v->log), group);
	budget_put(v->budget, BUDGET_COMMIT, held);
	OK(log_wait(v->log, group, NULL));
	small_volume_cut(v);
	vfs_release(v->vfs, other);
	vfs_release(v->vfs, big);
	small_volume_close(v);
	v = small_volume_open(&(struct small_volume_options){.name = "vfs-ops"});
	ck_assert_uint_eq(attr(inode).allocated, 0);
	ck_assert_uint_eq(attr(inode).size, 0);
	ck_assert_uint_eq(attr(inode).mode, S_IFREG | 0644);
}
END_TEST

START_TEST(test_maintained)
{
	uint64_t d = mkdir_at(VFS_ROOT, "d"), kept = 0;
	static uint8_t bytes[200000], back[200000];
	struct vfs_file *f;
	char name[32];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 60; i++) {
			snprintf(name, sizeof(name), "f%d-%d", round, i);
			memset(bytes, i, sizeof(bytes));
			f = create_at(d, name, NULL);
			ck_assert_int_gt(
				write_at(f, 0, bytes, i % 4 ? (size_t)i * 10 : sizeof(bytes)), -1);
			vfs_release(v->vfs, f);
			if (i % 2)
				OK(vfs_unlink(v->vfs, &test_root, d, S(name)));
		}
		small_volume_maintain(v);
	}
	ck_assert_uint_eq(small_volume_check(v), 0);
	reopen();
	kept = lookup(d, "f1-4");
	ck_assert_uint_ne(kept, 0);
	ck_assert_uint_eq(lookup(d, "f1-5"), 0);
	OK(vfs_open(v->vfs, &test_root, kept, O_RDONLY, &f));
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, back, sizeof(back)), (int64_t)sizeof(back));
	memset(bytes, 4, sizeof(bytes));
	ck_assert_mem_eq(back, bytes, sizeof(bytes));
	vfs_release(v->vfs, f);
}
END_TEST

/* ---- quota ---- */

START_TEST(test_quota)
{
	static char block[100000];
	struct vfs_statfs st;
	struct vfs_file *f, *g;
	int64_t r = 0;
	int n = 0;

	small_volume_close(v);
	setup_with(&(struct small_volume_options){.name = "vfs-ops", .max_bytes = 1000000});
	memset(block, 'q', sizeof(block));
	f = create_at(VFS_ROOT, "f", NULL);
	g = create_at(VFS_ROOT, "g", NULL);
	OK(vfs_statfs(v->vfs, &st));
	ck_assert_uint_eq(st.total_bytes, 1000000);
	ck_assert_uint_eq(st.inodes, 3);
	while (n < 20 && (r = write_at(f, (uint64_t)n * sizeof(block), block, sizeof(block))) > 0)
		n++;
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_eq(n, 10);
	/* What is there may be written again; what is not, not. */
	ck_assert_int_eq(write_at(f, 500000, block, sizeof(block)), (int64_t)sizeof(block));
	FAILS(write_at(g, 0, block, 1000), ENOSPC);
	FAILS(vfs_fallocate(v->vfs, &test_root, g, 0, 0, 1000), ENOSPC);
	OK(vfs_sync(v->vfs, NULL));
	OK(vfs_statfs(v->vfs, &st));
	ck_assert_uint_eq(st.free_bytes, 0);
	vfs_release(v->vfs, f);
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	ck_assert_int_eq(write_at(g, 0, block, sizeof(block)), (int64_t)sizeof(block));
	vfs_release(v->vfs, g);
}
END_TEST

START_TEST(test_small_cache)
{
	/* Everything is evicted all the time. */
	uint64_t inodes[300];
	char name[32];

	small_volume_close(v);
	setup_with(&(struct small_volume_options){.name = "vfs-ops", .inode_cache_bytes = 1});
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		inodes[i] = file_at(VFS_ROOT, name);
		if (i % 50 == 49)
			OK(vfs_sync(v->vfs, NULL));
	}
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ck_assert_uint_eq(lookup(VFS_ROOT, name), inodes[i]);
	}
	struct vfs_engine_stats st;

	vfs_engine_stats(v->engine, &st);
	ck_assert_uint_lt(st.inodes_cached, 200);
	ck_assert_uint_eq(st.used_inodes, 301);
}
END_TEST

/* What an idle program gives back: everything that is cached can go, and comes back when it is
 * asked for. */
START_TEST(test_trim)
{
	static uint8_t bytes[200000], back[200000];
	struct vfs_file *held = create_at(VFS_ROOT, "held", NULL), *f;
	uint64_t inodes[100];
	struct vfs_engine_stats st;
	char name[32];

	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(write_at(held, 0, bytes, sizeof(bytes)), (int64_t)sizeof(bytes));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		inodes[i] = file_at(VFS_ROOT, name);
	}
	small_volume_maintain(v);
	ck_assert_int_eq(vfs_read(v->vfs, held, 0, back, sizeof(back)), (int64_t)sizeof(back));
	ck_assert_uint_gt(budget_used(v->budget, BUDGET_CACHE), sizeof(bytes));
	index_trim(v->index, 0);
	data_trim(v->data, 0);
	vfs_engine_trim(v->engine, 0);
	vfs_engine_stats(v->engine, &st);
	ck_assert_uint_le(st.inodes_cached, 2); /* "held", and the root while somebody looks */
	ck_assert_uint_lt(budget_used(v->budget, BUDGET_CACHE), sizeof(bytes) / 4);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ck_assert_uint_eq(lookup(VFS_ROOT, name), inodes[i]);
	}
	OK(vfs_open(v->vfs, &test_root, lookup(VFS_ROOT, "held"), O_RDONLY, &f));
	memset(back, 0, sizeof(back));
	ck_assert_int_eq(vfs_read(v->vfs, f, 0, back, sizeof(back)), (int64_t)sizeof(back));
	ck_assert_mem_eq(back, bytes, sizeof(bytes));
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, held);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, test_read_write);
	tcase_add_test(t, test_truncate);
	tcase_add_test(t, test_fallocate);
	tcase_add_test(t, test_seek);
	tcase_add_test(t, test_setattr);
	tcase_add_test(t, test_times);
	tcase_add_test(t, test_flags);
	tcase_add_test(t, test_open_errors);
	tcase_add_test(t, test_crash);
	tcase_add_test(t, test_encode_on_touch);
	tcase_add_test(t, test_touch_while_closing);
	tcase_add_test(t, test_touch_below_nothing);
	tcase_add_test(t, test_maintained);
	tcase_add_test(t, test_quota);
	tcase_add_test(t, test_small_cache);
	tcase_add_test(t, test_trim);
}

int main(void)
{
	return run_suite("vfs-files", add);
}
