/* SPDX-License-Identifier: GPL-3.0-or-later */
/* copy_file_range: what is shared and what is copied, errors, accounting, and that a shared frame
 * stays whoever goes first. */
#include "core/base/rng.h" /* before the fixture's `v`, which its functions would hide */

#include "core/data/collect.h"
#include "tests/unit/vfs-ops-fixture.h"

#include <stdio.h>
#include <unistd.h>

#define BIG 1000000u

static uint8_t big[BIG], back[BIG + 100000];

static void fill(void)
{
	struct rng r = rng_of(7);

	rng_fill(&r, big, sizeof(big));
}

static uint64_t sealed_bytes(void)
{
	struct data_stats s;

	data_stats(v->data, &s);
	return s.plain_sealed;
}

static int64_t copy(struct vfs_file *from, uint64_t offset, struct vfs_file *to, uint64_t to_offset,
	uint64_t len)
{
	return vfs_copy_range(v->vfs, &test_root, from, offset, to, to_offset, len);
}

static void expect(struct vfs_file *f, uint64_t offset, const void *bytes, size_t len)
{
	ck_assert_int_eq(vfs_read(v->vfs, f, offset, back, len), (int64_t)len);
	ck_assert_mem_eq(back, bytes, len);
}

static void expect_zeros(struct vfs_file *f, uint64_t offset, size_t len)
{
	ck_assert_int_eq(vfs_read(v->vfs, f, offset, back, len), (int64_t)len);
	for (size_t i = 0; i < len; i++)
		ck_assert_uint_eq(back[i], 0);
}

static struct vfs_file *open_at(uint64_t inode, int flags)
{
	struct vfs_file *f;

	OK(vfs_open(v->vfs, &test_root, inode, flags, &f));
	return f;
}

static int collect(void)
{
	struct collect_options o = {.store = v->store,
		.keys = v->keys,
		.index = v->index,
		.log = v->log,
		.epoch = v->t.claim.epoch};
	struct error err = {0};
	int r = collect_segments(&o, &err);

	if (r < 0)
		ck_abort_msg("collect: %s", error_text(&err, r));
	return r;
}

/* ---- what is shared ---- */

START_TEST(test_stored)
{
	struct vfs_attr a, b;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a), *g = create_at(VFS_ROOT, "g", &b);
	uint64_t before;

	fill();
	ck_assert_int_eq(write_at(f, 0, big, BIG), BIG);
	OK(vfs_fsync(v->vfs, f, false));
	before = sealed_bytes();
	ck_assert_int_eq(copy(f, 0, g, 0, BIG), BIG);
	expect(g, 0, big, BIG);
	OK(vfs_fsync(v->vfs, g, false));
	ck_assert_uint_eq(sealed_bytes(), before); /* no byte was stored again */
	ck_assert_uint_eq(attr(b.inode).allocated, attr(a.inode).allocated);
	expect(g, 0, big, BIG);
	/* Out of place, so that frames are cut at other chunks. */
	ck_assert_int_eq(copy(f, 12345, g, BIG + 777, 500000), 500000);
	ck_assert_uint_eq(attr(b.inode).size, BIG + 777 + 500000);
	expect(g, BIG + 777, big + 12345, 500000);
	expect_zeros(g, BIG, 777);
	/* Within one file. */
	ck_assert_int_eq(copy(g, 100, g, BIG + 1000, 300000), 300000);
	expect(g, BIG + 1000, big + 100, 300000);
	ck_assert_uint_eq(sealed_bytes(), before);
	OK(vfs_fsync(v->vfs, g, false));
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
	ck_assert_uint_eq(small_volume_check(v), 0);
	reopen();
	g = open_at(b.inode, O_RDWR);
	expect(g, 0, big, BIG);
	expect(g, BIG + 1000, big + 100, 300000);
	vfs_release(v->vfs, g);
}
END_TEST

/* In the group that wrote the source: what is sealed early is shared, the rest copied. */
START_TEST(test_dirty)
{
	struct vfs_attr b;
	struct vfs_file *f = create_at(VFS_ROOT, "f", NULL), *g = create_at(VFS_ROOT, "g", &b);

	fill();
	ck_assert_int_eq(write_at(f, 0, big, BIG), BIG);
	ck_assert_int_eq(copy(f, 0, g, 5000, BIG), BIG);
	ck_assert_int_eq(write_at(f, 0, back, 5000), 5000);
	expect(g, 5000, big, BIG);
	expect_zeros(g, 0, 5000);
	/* The source goes before anything is durable. */
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	vfs_release(v->vfs, f);
	OK(vfs_fsync(v->vfs, g, false));
	expect(g, 5000, big, BIG);
	vfs_release(v->vfs, g);
	small_volume_maintain(v);
	(void)collect();
	reopen();
	g = open_at(b.inode, O_RDONLY);
	expect(g, 5000, big, BIG);
	vfs_release(v->vfs, g);
}
END_TEST

START_TEST(test_inline)
{
	struct vfs_attr a, b, c;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a), *g = create_at(VFS_ROOT, "g", &b),
			*h = create_at(VFS_ROOT, "h", &c);
	uint64_t before = sealed_bytes();

	fill();
	ck_assert_int_eq(write_at(f, 0, "0123456789", 10), 10);
	ck_assert_int_eq(copy(f, 2, g, 1, 100), 8);
	expect(g, 0, "\00023456789", 9);
	ck_assert_int_eq(copy(f, 0, f, 10, 5), 5);
	expect(f, 0, "012345678901234", 15);
	OK(vfs_fsync(v->vfs, g, false));
	ck_assert_uint_eq(sealed_bytes(), before); /* both are inline still */
	/* To a file of extents, and past what an inode holds. */
	ck_assert_int_eq(write_at(h, 0, big, 10000), 10000);
	ck_assert_int_eq(copy(f, 0, h, 9998, 15), 15);
	expect(h, 9990, big + 9990, 8);
	expect(h, 9998, "012345678901234", 15);
	ck_assert_int_eq(copy(f, 0, g, 5000, 15), 15);
	expect(g, 0, "\00023456789\0\0", 11);
	expect(g, 5000, "012345678901234", 15);
	/* From extents into an inline file. */
	ck_assert_int_eq(copy(h, 0, f, 3, 4), 4);
	expect(f, 0, "012", 3);
	expect(f, 3, big, 4);
	expect(f, 7, "78901234", 8);
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
	vfs_release(v->vfs, h);
	reopen();
	g = open_at(b.inode, O_RDONLY);
	expect(g, 0, "\00023456789\0\0", 11);
	vfs_release(v->vfs, g);
	f = open_at(a.inode, O_RDONLY);
	expect(f, 3, big, 4);
	vfs_release(v->vfs, f);
}
END_TEST

START_TEST(test_holes)
{
	const uint64_t tera = 1ull << 40;
	struct vfs_attr a, b;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a), *g = create_at(VFS_ROOT, "g", &b);
	struct vfs_attr size = {.size = tera};

	fill();
	OK(vfs_setattr(v->vfs, &test_root, a.inode, f, VFS_SET_SIZE, &size, &a));
	ck_assert_int_eq(write_at(f, 1 << 20, big, 100000), 100000);
	ck_assert_int_eq(write_at(f, tera - 300000, big, 100000), 100000);
	OK(vfs_fallocate(v->vfs, &test_root, f, 0, 1ull << 30, 1 << 20));
	OK(vfs_fsync(v->vfs, f, false));
	/* Bytes where the copy brings holes, and where it brings what was reserved. */
	ck_assert_int_eq(write_at(g, 0, big, 200000), 200000);
	ck_assert_int_eq(write_at(g, 1ull << 30, big, 200000), 200000);
	OK(vfs_fallocate(v->vfs, &test_root, g, 0, 1ull << 31, 1 << 20));
	ck_assert_int_eq(copy(f, 0, g, 0, tera), (int64_t)tera);
	b = attr(b.inode);
	ck_assert_uint_eq(b.size, tera);
	expect_zeros(g, 0, 200000);
	expect(g, 1 << 20, big, 100000);
	expect_zeros(g, 1ull << 30, 200000);
	expect(g, tera - 300000, big, 100000);
	ck_assert_int_eq(vfs_seek(v->vfs, g, 0, VFS_SEEK_DATA), 1 << 20);
	OK(vfs_fsync(v->vfs, g, false));
	ck_assert_uint_lt(attr(b.inode).allocated, 210000);
	ck_assert_int_eq(vfs_seek(v->vfs, g, 2 << 20, VFS_SEEK_DATA), (int64_t)(tera - 300000));
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
}
END_TEST

/* Many pieces of one byte each make no record that is too long to be read. */
START_TEST(test_crumbs)
{
	const struct small_volume_options roomy = {.name = "vfs-ops", .memory = 1ull << 29};
	struct vfs_attr a, b;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a), *g = create_at(VFS_ROOT, "g", &b);
	static uint8_t want[9000];

	fill();
	ck_assert_int_eq(write_at(f, 0, big, BIG), BIG);
	ck_assert_int_eq(write_at(g, 0, big, 300000), 300000);
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
	small_volume_close(v);
	v = small_volume_open(&roomy); /* one group takes all of the following */
	f = open_at(a.inode, O_RDONLY);
	g = open_at(b.inode, O_RDWR);
	for (size_t i = 0; i < sizeof(want); i++) {
		want[i] = big[BIG - 7 * i - 1];
		ck_assert_int_eq(copy(f, BIG - 7 * i - 1, g, 500 + i, 1), 1);
	}
	OK(vfs_fsync(v->vfs, g, false));
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
	reopen();
	g = open_at(b.inode, O_RDONLY);
	expect(g, 0, big, 500);
	expect(g, 500, want, sizeof(want));
	expect(g, 500 + sizeof(want), big + 500 + sizeof(want), 200000);
	vfs_release(v->vfs, g);
}
END_TEST

/* ---- who goes first ---- */

START_TEST(test_source_goes)
{
	struct vfs_attr a, b;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a), *g = create_at(VFS_ROOT, "g", &b);

	fill();
	ck_assert_int_eq(write_at(f, 0, big, BIG), BIG);
	OK(vfs_fsync(v->vfs, f, false));
	small_volume_maintain(v);
	ck_assert_int_eq(copy(f, 100000, g, 0, 300000), 300000);
	vfs_release(v->vfs, f);
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("f")));
	(void)collect(); /* before the copy has a record */
	expect(g, 0, big + 100000, 300000);
	small_volume_maintain(v);
	(void)collect();
	small_volume_maintain(v);
	ck_assert_uint_eq(small_volume_check(v), 0);
	(void)collect();
	vfs_release(v->vfs, g);
	reopen();
	g = open_at(b.inode, O_RDONLY);
	expect(g, 0, big + 100000, 300000);
	vfs_release(v->vfs, g);
	/* With the copy the last reference goes, and the segments with it. */
	OK(vfs_unlink(v->vfs, &test_root, VFS_ROOT, S("g")));
	small_volume_maintain(v);
	small_volume_maintain(v);
	ck_assert_int_gt(collect(), 0);
}
END_TEST

/* ---- errors and rules ---- */

START_TEST(test_errors)
{
	struct vfs_attr a, b;
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a), *g = create_at(VFS_ROOT, "g", &b), *ro,
			*wo, *app, *dir;

	ck_assert_int_eq(write_at(f, 0, "0123456789", 10), 10);
	ro = open_at(b.inode, O_RDONLY);
	wo = open_at(a.inode, O_WRONLY);
	app = open_at(b.inode, O_WRONLY | O_APPEND);
	dir = open_at(VFS_ROOT, O_RDONLY);
	FAILS(copy(f, 0, ro, 0, 1), EBADF);
	FAILS(copy(wo, 0, g, 0, 1), EBADF);
	FAILS(copy(f, 0, app, 0, 1), EBADF);
	FAILS(copy(dir, 0, g, 0, 1), EISDIR);
	FAILS(copy(f, 0, dir, 0, 1), EISDIR);
	FAILS(copy(f, 0, f, 5, 6), EINVAL);
	FAILS(copy(f, 4, f, 0, 5), EINVAL);
	ck_assert_int_eq(copy(f, 5, f, 0, 5), 5);
	ck_assert_int_eq(copy(f, 8, f, 3, 10), 2); /* cut at the end: these do not overlap */
	expect(f, 0, "567", 3);
	FAILS(copy(f, 0, g, VFS_FILE_MAX, 1), EFBIG);
	ck_assert_int_eq(copy(f, 10, g, 0, 1), 0);
	ck_assert_int_eq(copy(f, 1000, g, 0, 1), 0);
	ck_assert_int_eq(copy(f, 0, g, 0, 0), 0);
	ck_assert_uint_eq(attr(b.inode).size, 0);
	vfs_release(v->vfs, ro);
	vfs_release(v->vfs, wo);
	vfs_release(v->vfs, app);
	vfs_release(v->vfs, dir);
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
}
END_TEST

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

START_TEST(test_attributes)
{
	struct vfs_attr a, b, set = {.mode = 06777, .atime = {5, 5}, .mtime = {6, 6}};
	struct vfs_file *f = create_at(VFS_ROOT, "f", &a), *g = create_at(VFS_ROOT, "g", &b);

	fill();
	ck_assert_int_eq(write_at(f, 0, big, 100000), 100000);
	OK(vfs_setattr(v->vfs, &test_root, a.inode, NULL, VFS_SET_ATIME | VFS_SET_MTIME, &set, &a));
	OK(vfs_setattr(v->vfs, &test_root, b.inode, NULL,
		VFS_SET_MODE | VFS_SET_MTIME | VFS_SET_ATIME, &set, &b));
	ck_assert_int_eq(
		vfs_copy_range(v->vfs, &ann, f, 0, g, 0, 100000), 100000); /* through open files */
	ck_assert_uint_eq(attr(b.inode).mode & 07777, 0777);
	ck_assert(later(attr(b.inode).mtime, b.mtime));
	ck_assert(later(attr(b.inode).ctime, b.ctime));
	ck_assert(later(attr(a.inode).atime, a.atime));
	ck_assert_int_eq(attr(a.inode).mtime.tv_sec, 6);
	ck_assert_uint_eq(attr(a.inode).change, a.change); /* reading is no change */
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
}
END_TEST

START_TEST(test_quota)
{
	struct vfs_attr a, b;
	struct vfs_file *f, *g;
	int64_t n = 0, done = 0;

	small_volume_close(v);
	setup_with(&(struct small_volume_options){.name = "vfs-ops", .max_bytes = 1500000});
	f = create_at(VFS_ROOT, "f", &a);
	g = create_at(VFS_ROOT, "g", &b);
	fill();
	ck_assert_int_eq(write_at(f, 0, big, 900000), 900000);
	/* A copy counts in full, though it takes no room in the store. */
	while ((n = copy(f, (uint64_t)done, g, (uint64_t)done, 900000 - (uint64_t)done)) > 0)
		done += n;
	FAILS(n, ENOSPC);
	ck_assert_int_gt(done, 450000);
	ck_assert_int_le(done, 600000);
	/* What is there already, and holes, need no room. */
	ck_assert_int_eq(copy(f, 0, g, 0, 400000), 400000);
	OK(vfs_setattr(v->vfs, &test_root, a.inode, f, VFS_SET_SIZE,
		&(struct vfs_attr){.size = 10000000}, &a));
	ck_assert_int_eq(copy(f, 1000000, g, 1000000, 9000000), 9000000);
	vfs_release(v->vfs, f);
	vfs_release(v->vfs, g);
}
END_TEST

/* ---- against arrays ---- */

#define FILES 2
#define ARRAY_MAX 700000u

struct array {
	struct vfs_file *f;
	uint64_t inode;
	size_t len;
	uint8_t bytes[ARRAY_MAX];
};
static struct array arrays[FILES];

static void random_write(struct rng *r, struct array *x)
{
	size_t len = rng_range(r, 1, rng_chance(r, 1, 3) ? 200000 : 3000);
	size_t at = rng_below(r, ARRAY_MAX - len);

	rng_fill(r, back, len);
	ck_assert_int_eq(write_at(x->f, at, back, len), (int64_t)len);
	memcpy(x->bytes + at, back, len);
	x->len = x->len > at + len ? x->len : at + len;
}

static void random_copy(struct rng *r, struct array *x, struct array *y)
{
	size_t at = rng_below(r, x->len + 1), len = rng_range(r, 1, 300000), to;

	len = len < x->len - at ? len : x->len - at;
	to = rng_below(r, ARRAY_MAX - len);
	if (rng_chance(r, 1, 3)) { /* in step, as cp does */
		at = at / 65536 * 65536;
		to = to / 65536 * 65536;
	}
	if (x == y && at < to + len && to < at + len)
		return;
	ck_assert_int_eq(copy(x->f, at, y->f, to, len), (int64_t)len);
	memmove(y->bytes + to, x->bytes + at, len);
	if (len)
		y->len = y->len > to + len ? y->len : to + len;
}

static void random_cut(struct rng *r, struct array *x)
{
	size_t at = rng_below(r, ARRAY_MAX), len = rng_range(r, 1, 100000);
	struct vfs_attr a = {.size = at};

	if (rng_chance(r, 1, 3)) {
		OK(vfs_setattr(v->vfs, &test_root, x->inode, x->f, VFS_SET_SIZE, &a, &a));
		if (at < x->len)
			memset(x->bytes + at, 0, x->len - at);
		x->len = at;
		return;
	}
	OK(vfs_fallocate(
		v->vfs, &test_root, x->f, VFS_FALLOC_PUNCH | VFS_FALLOC_KEEP_SIZE, at, len));
	len = len < ARRAY_MAX - at ? len : ARRAY_MAX - at;
	memset(x->bytes + at, 0, len);
}

static void compare(struct array *x)
{
	ck_assert_uint_eq(attr(x->inode).size, x->len);
	ck_assert_int_eq(vfs_read(v->vfs, x->f, 0, back, sizeof(back)), (int64_t)x->len);
	ck_assert_mem_eq(back, x->bytes, x->len);
}

static void open_arrays(void)
{
	for (unsigned i = 0; i < FILES; i++)
		arrays[i].f = open_at(arrays[i].inode, O_RDWR);
}

static void close_arrays(void)
{
	for (unsigned i = 0; i < FILES; i++)
		vfs_release(v->vfs, arrays[i].f);
}

static void random_step(struct rng *r)
{
	struct array *x = &arrays[rng_below(r, FILES)], *y = &arrays[rng_below(r, FILES)];

	switch (rng_below(r, 12)) {
	case 0 ... 2:
		random_write(r, x);
		break;
	case 3 ... 6:
		random_copy(r, x, y);
		break;
	case 7:
		random_cut(r, x);
		break;
	case 8:
		log_close_group(v->log); /* copies meet groups that close */
		break;
	case 9:
		OK(vfs_fsync(v->vfs, x->f, false));
		break;
	case 10:
		compare(x);
		break;
	default:
		if (rng_chance(r, 1, 4)) {
			small_volume_maintain(v);
			(void)collect();
		}
	}
}

START_TEST(test_arrays)
{
	struct rng r = rng_of((uint64_t)_i);

	printf("copies against arrays: seed %d\n", _i);
	for (unsigned i = 0; i < FILES; i++) {
		char name[2] = {(char)('a' + i), 0};

		arrays[i].len = 0;
		memset(arrays[i].bytes, 0, ARRAY_MAX);
		arrays[i].inode = file_at(VFS_ROOT, name);
	}
	open_arrays();
	for (unsigned n = 0; n < 250; n++) {
		random_step(&r);
		if (n % 50 == 49) {
			close_arrays();
			ck_assert_uint_eq(small_volume_check(v), 0);
			reopen();
			open_arrays();
			compare(&arrays[0]);
			compare(&arrays[1]);
		}
	}
	close_arrays();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, test_stored);
	tcase_add_test(t, test_dirty);
	tcase_add_test(t, test_inline);
	tcase_add_test(t, test_holes);
	tcase_add_test(t, test_crumbs);
	tcase_add_test(t, test_source_goes);
	tcase_add_test(t, test_errors);
	tcase_add_test(t, test_attributes);
	tcase_add_test(t, test_quota);
	tcase_add_loop_test(t, test_arrays, 1, 5);
}

int main(void)
{
	return run_suite("vfs-copy", add_tests);
}
