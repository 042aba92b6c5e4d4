/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsck while the n-th allocation, or the n-th request to the store, fails: for each n until none
 * does. It ends with an error, or tells what it tells otherwise; never anything else.
 */
#include "core/store/store_internal.h"
#include "core/volume.h"
#include "tests/fault/alloc_fault.h"
#include "tests/lib/small_volume.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME "fsck-sweep"
#define FINDINGS 3 /* that were planted */
#define CASES_MAX 20000

static struct volume *v;

/* ---- a store whose n-th request fails ---- */

static struct {
	bool armed, struck;
	uint64_t left;
} store_fault;

static int call(struct layer *l, struct store_call *c, struct error *err)
{
	if (store_fault.armed && store_fault.left-- == 0) {
		store_fault.armed = false;
		store_fault.struck = true;
		return error_set(err, -EIO, "planned");
	}
	return layer_pass(l, c, err);
}

static void close_layer(struct store *s)
{
	store_close(s->below);
	free(s);
}

static struct store *open_store(void)
{
	static const struct store_ops ops = {.name = "plan",
		.create = layer_create,
		.put = layer_put,
		.get = layer_get,
		.del = layer_del,
		.list = layer_list,
		.close = close_layer};
	struct layer *l = calloc(1, sizeof(*l));

	ck_assert_ptr_nonnull(l);
	l->store.ops = &ops;
	l->call = call;
	ck_assert_int_eq(mem_store_open(NAME, &l->store.below, NULL), 0);
	return &l->store;
}

/* ---- a volume with some damage ---- */

static uint64_t make_file(struct small_volume *w, uint64_t dir, const char *name, size_t size)
{
	static const char bytes[300000] = "x";
	struct slice s = SLICE(bytes, size);
	struct vfs_file *f;
	struct vfs_attr a;

	ck_assert_int_eq(
		vfs_create(w->vfs, &test_root, dir, SLICE_STR(name), 0644, O_RDWR, &a, &f, NULL),
		0);
	ck_assert_int_eq(vfs_write(w->vfs, &test_root, f, 0, &s, 1, 0, NULL), (int64_t)size);
	vfs_release(w->vfs, f);
	return a.inode;
}

static void put(struct small_volume *w, struct key k, struct slice value)
{
	struct group *g = group_join(w->log);
	uint64_t number = g->number;

	ck_assert_int_eq(index_reserve(group_records(g), k.len + value.len, 1), 0);
	index_put(group_records(g), key_slice(&k), value);
	group_leave(g, true);
	ck_assert_int_eq(log_wait(w->log, number, NULL), 0);
}

static void setup(void)
{
	struct small_volume *w;
	struct volume_config c;
	struct vfs_attr a;
	struct error err = {0};

	mem_store_forget(NAME);
	w = small_volume_open(&(struct small_volume_options){.name = NAME});
	ck_assert_int_eq(vfs_mkdir(w->vfs, &test_root, VFS_ROOT, SLICE_STR("d"), 0755, &a), 0);
	(void)make_file(w, a.inode, "small", 10);
	uint64_t large = make_file(w, a.inode, "large", 300000);

	put(w, key_orphan(4711), SLICE(NULL, 0));
	put(w, key_xattr(4711, SLICE_STR("user.x")), SLICE("y", 1));
	put(w, key_chunk(large, 0), SLICE("\1\2\3", 3));
	small_volume_maintain(w);
	small_volume_close(w);

	volume_config_init(&c);
	c.store = open_store();
	c.password = "test";
	c.read_only = c.for_check = true;
	ck_assert_msg(volume_open(&c, &v, NULL, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
	ck_assert_int_eq(volume_close(v, NULL), 0);
	mem_store_forget(NAME);
}

static unsigned told, others;

static void finding(void *arg, const struct check_finding *f)
{
	(void)arg;
	told++;
	if (f->class != CHECK_ORPHAN_NO_INODE && f->class != CHECK_XATTR_NO_INODE &&
		f->class != CHECK_EXTENTS_DAMAGED) {
		others++;
		check_print(f, stderr);
		fputc('\n', stderr);
	}
}

/* Whether the fault struck. */
static bool attempt(uint64_t n, bool allocations, bool persistent)
{
	const struct check_options o = {.data = true, .finding = finding};
	struct check_result result = {0};
	struct error err = {0};
	bool struck;
	int r;

	told = others = 0;
	if (allocations)
		alloc_fault_arm(n, persistent);
	else
		store_fault.armed = true;
	store_fault.struck = false;
	store_fault.left = n - 1;
	r = volume_check(v, &o, &result, &err);
	alloc_fault_disarm();
	store_fault.armed = false;
	struck = allocations ? alloc_fault_struck() : store_fault.struck;
	ck_assert_uint_eq(others, 0);
	ck_assert_uint_le(told, FINDINGS);
	if (r == 0)
		ck_assert_uint_eq(told, FINDINGS);
	else
		ck_assert_msg(r == (allocations ? -ENOMEM : -EIO), "case %llu: %d, %s",
			(unsigned long long)n, r, error_text(&err, r));
	ck_assert(r == 0 || struck);
	return struck;
}

static void sweep(bool allocations, bool persistent)
{
	uint64_t n = 1;

	while (attempt(n, allocations, persistent)) {
		n++;
		ck_assert_uint_lt(n, CASES_MAX);
	}
	ck_assert_uint_gt(n, 10);
	printf("%llu cases\n", (unsigned long long)n);
}

START_TEST(test_allocations)
{
	sweep(true, _i);
}
END_TEST

START_TEST(test_requests)
{
	sweep(false, false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fsck-sweep");
	TCase *t = tcase_create("faults");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_allocations, 0, 2);
	tcase_add_test(t, test_requests);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
