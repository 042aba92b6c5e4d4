/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsck of a follower at the worst moments: its writer books dropped references, merges and sweeps
 * between two requests of the check.
 */
#include "core/maintenance.h"
#include "core/store/store_internal.h"
#include "core/volume.h"
#include "tests/lib/small_volume.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME "vfs-check-live"
#define ROUNDS 6 /* tables of level 0: enough for a merge */

static struct small_volume *w;
static uint64_t file;

/* ---- a store that lets the writer work before a request of the follower ---- */

static struct {
	enum store_op op;
	const char *prefix; /* of the request */
	unsigned skip;	    /* so many of them first */
	void (*act)(void);  /* once; NULL = nothing planned */
} plan;
static unsigned acted;

static int call(struct layer *l, struct store_call *c, struct error *err)
{
	if (plan.act && c->op == plan.op &&
		strncmp(c->key, plan.prefix, strlen(plan.prefix)) == 0 && plan.skip-- == 0) {
		void (*act)(void) = plan.act;

		plan.act = NULL;
		acted++;
		act();
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

/* ---- the writer ---- */

static void overwrite(char with)
{
	char bytes[9000];
	struct slice s = SLICE(bytes, sizeof(bytes));
	struct vfs_file *f;

	memset(bytes, with, sizeof(bytes));
	ck_assert_int_eq(vfs_open(w->vfs, &test_root, file, O_WRONLY, &f), 0);
	ck_assert_int_eq(vfs_write(w->vfs, &test_root, f, 0, &s, 1, 0, NULL), sizeof(bytes));
	vfs_release(w->vfs, f);
	ck_assert_int_eq(vfs_sync(w->vfs, NULL), 0);
}

static void touch_counter(void)
{
	struct key k = key_counter(COUNTER_SETTLED);
	struct buf value = BUF_INIT;
	struct group *g;
	uint64_t number;

	if (index_get(w->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, NULL) < 0)
		ck_assert_int_eq(buf_append_u8(&value, 0), 0);
	g = group_join(w->log);
	number = g->number;
	ck_assert_int_eq(index_reserve(group_records(g), k.len + value.len, 1), 0);
	index_put(group_records(g), key_slice(&k), buf_slice(&value));
	group_leave(g, true);
	ck_assert_int_eq(log_wait(w->log, number, NULL), 0);
	buf_done(&value);
}

/* One table of level 0, whose flush dropped references; nothing is booked. */
static void flush(void)
{
	struct error err = {0};
	uint64_t upto;

	(void)index_flushable(w->index, true); /* closes the memtable at the next group */
	touch_counter();
	upto = index_flushable(w->index, true);
	ck_assert_uint_gt(upto, 0);
	ck_assert_msg(index_flush(w->index, upto,
			      (struct log_place){w->t.claim.epoch, log_replay_start(w->log, upto)},
			      0, &err) == 0,
		"%s", err.text);
}

static void flush_rounds(void)
{
	for (char i = 0; i < ROUNDS; i++) {
		overwrite((char)('a' + i));
		overwrite((char)('A' + i));
		flush();
	}
}

static uint64_t newest_manifest(void)
{
	struct manifest *m = index_manifest(w->index);
	uint64_t number = m->number;

	manifest_unref(m);
	return number;
}

/* Books, and merges what was booked away. */
static void settle_and_merge(void)
{
	uint64_t before = newest_manifest();

	small_volume_maintain(w);
	ck_assert_uint_gt(newest_manifest(), before);
}

static void settle_merge_sweep(void)
{
	settle_and_merge();
	ck_assert_int_gt(index_sweep(w->index, 1000, NULL), 0);
}

/* ---- the follower ---- */

static struct volume *follow(void)
{
	struct volume_config c;
	struct volume *v;
	struct error err = {0};

	volume_config_init(&c);
	c.store = open_store();
	c.password = "test";
	c.read_only = c.for_check = true;
	ck_assert_msg(volume_open(&c, &v, NULL, &err) == 0, "%s", err.text);
	return v;
}

static void finding(void *arg, const struct check_finding *f)
{
	(void)arg;
	check_print(f, stderr);
	fputc('\n', stderr);
}

static void expect_clean(struct volume *v)
{
	const struct check_options o = {.data = true, .finding = finding};
	struct check_result result;
	struct error err = {0};

	ck_assert_msg(volume_check(v, &o, &result, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(result.damage + result.leftovers, 0);
	ck_assert_ptr_null(plan.act);
}

static void setup(void)
{
	struct vfs_file *f;
	struct vfs_attr a;

	mem_store_forget(NAME);
	plan.act = NULL;
	acted = 0;
	w = small_volume_open(&(struct small_volume_options){.name = NAME});
	ck_assert_int_eq(vfs_create(w->vfs, &test_root, VFS_ROOT, SLICE_STR("file"), 0644, O_RDWR,
				 &a, &f, NULL),
		0);
	file = a.inode;
	vfs_release(w->vfs, f);
}

static void teardown(void)
{
	small_volume_close(w);
	mem_store_forget(NAME);
}

/* The tail is read before the booking, the manifest after the merge that took the lists away. */
START_TEST(test_between_tail_and_manifest)
{
	struct volume *v;

	flush_rounds();
	v = follow();
	plan.op = STORE_LIST;
	plan.prefix = "manifest/";
	plan.skip = (unsigned)_i;
	plan.act = settle_and_merge;
	expect_clean(v);
	ck_assert_uint_eq(acted, 1);
	ck_assert_int_eq(volume_close(v, NULL), 0);
}
END_TEST

/* References that tables of the view still hold are booked away while the tail is read. */
START_TEST(test_between_manifest_and_tail)
{
	struct volume *v;

	flush_rounds();
	v = follow();
	overwrite('x');
	overwrite('X');
	plan.op = STORE_GET;
	plan.prefix = "log/";
	plan.skip = (unsigned)_i;
	plan.act = settle_and_merge;
	expect_clean(v);
	ck_assert_uint_eq(acted, 1);
	ck_assert_int_eq(volume_close(v, NULL), 0);
}
END_TEST

/* Tables vanish under the scans. */
START_TEST(test_tables_vanish)
{
	struct volume *v;

	flush_rounds();
	v = follow();
	plan.op = STORE_GET;
	plan.prefix = "table/";
	plan.skip = (unsigned)_i;
	plan.act = settle_merge_sweep;
	expect_clean(v);
	ck_assert_uint_eq(acted, 1);
	ck_assert_int_eq(volume_close(v, NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vfs-check-live");
	TCase *t = tcase_create("live");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_between_tail_and_manifest, 0, 4);
	tcase_add_loop_test(t, test_between_manifest_and_tail, 0, 10);
	tcase_add_loop_test(t, test_tables_vanish, 0, 6);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
