/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Single rules of the protocol, as scripts over flush, merge and sweep: counterexamples 7 and 8,
 * cancelled jobs, pins that come in between, fenced writers, garbage. Where the build can switch a
 * rule off, these scripts must fail without it.
 */
#include "tests/model/maintain-world.h"

#define SEG(slot, segment) slot, segment, 100

/* Everything deleted and merged: nothing is left but the account. */
START_TEST(deleted_data_goes)
{
	struct world w;
	struct manifest *m;
	struct index_group *g;
	struct model_record all = {.op = RECORD_RANGE, .key = "a", .end = "z"};

	world_open(&w, 1);
	for (int i = 0; i < 40; i++) {
		random_group(&w);
		if (i % 5 == 0)
			ck_assert_int_eq(flush_now(&w, NULL), 0);
	}
	merge_until_done(&w);
	g = begin_group(&w);
	all.group = w.group;
	write_record(&w, g, &all);
	end_group(&w, g);
	ck_assert_int_eq(flush_now(&w, NULL), 0);
	/* Also when nothing is written any more: a table that hides much is merged down. */
	merge_until_done(&w);
	check_references(&w);
	for (int i = 0; i < MODEL_SEGMENTS; i++)
		ck_assert_int_eq(w.model.live[i], 0);
	check_views(&w);
	m = newest(&w);
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < m->nlevel[level]; i++)
			ck_assert_uint_lt(m->levels[level][i].size, 1000);
	manifest_unref(m);
	check_swept(&w);
	world_close(&w);
}
END_TEST

/*
 * Counterexample 7 (W7): an early segment of the open group holds the replay start back although
 * the group before it is in the tables. The edit moves the last group alone; the manifest never
 * says that segment 0 lies behind.
 */
START_TEST(replay_start_held_back)
{
	struct world w;
	struct manifest *m;

	world_open(&w, 1);
	write_one(&w, RECORD_DELTA, "d00", (uint8_t[]){SEG(0, 1)}, 3);
	ck_assert_int_eq(
		index_flush(w.ix, index_flushable(w.ix, true), (struct log_place){1, 0}, 0, NULL),
		0);
	m = newest(&w);
	ck_assert_uint_eq(m->last_group, 1);
	ck_assert_int_eq(log_place_cmp(m->replay, (struct log_place){1, 0}), 0);
	manifest_unref(m);
	/* Replay skips what is in the tables, and finds the group whose segment lies at 0. */
	write_one(&w, RECORD_DELTA, "d00", (uint8_t[]){SEG(1, 2)}, 3);
	reopen(&w);
	check_views(&w);
	/* W8: without a new group the replay start moves, when the log says so. */
	ck_assert_int_eq(flush_now(&w, NULL), 0);
	ck_assert_int_eq(index_flush(w.ix, 2, (struct log_place){1, 9}, 0, NULL), 0);
	m = newest(&w);
	ck_assert_uint_eq(m->replay.sequence, 9);
	manifest_unref(m);
	check_references(&w);
	world_close(&w);
}
END_TEST

/* References of the tables alone to a segment. */
static int64_t table_references(struct world *w, uint64_t segment)
{
	struct segment_refs refs = {0};
	struct index_scan *scan = NULL;
	struct record rec;
	int64_t bytes = 0;

	ck_assert_int_eq(
		index_scan_table_versions(w->ix, SLICE("", 0), SLICE("", 0), &scan, NULL), 0);
	while (index_scan_next(scan, &rec, NULL) == 1)
		ck_assert_int_eq(toy_references(&rec, 1, &refs), 0);
	index_scan_close(scan);
	for (size_t i = 0; i < refs.n; i++)
		if (refs.refs[i].sequence == segment)
			bytes = refs.refs[i].bytes;
	segment_refs_done(&refs);
	return bytes;
}

/*
 * Counterexample 8 (D7): written in segment 1, flushed, overwritten in segment 2, durable but not
 * flushed. What readers see does not refer to segment 1 any more; the tables do, and a pin of the
 * manifest would need it.
 */
START_TEST(tables_still_refer)
{
	struct world w;
	struct buf value = BUF_INIT;

	world_open(&w, 1);
	write_one(&w, RECORD_DELTA, "d00", (uint8_t[]){SEG(0, 1)}, 3);
	ck_assert_int_eq(flush_now(&w, NULL), 0);
	write_one(&w, RECORD_DELTA, "d00", (uint8_t[]){SEG(0, 2)}, 3);
	ck_assert_int_eq(index_get(w.ix, GROUP_NOW, SLICE_STR("d00"), 0, &value, NULL, NULL), 0);
	ck_assert_uint_eq(value.data[1], 2);
	ck_assert_int_eq(table_references(&w, 1), 100);
	commit_and_adopt(&w, apply_pin, &w);
	check_views(&w);
	/* Nor does a flush or merge let go of it while the pin stands. */
	ck_assert_int_eq(flush_now(&w, NULL), 0);
	merge_until_done(&w);
	ck_assert_int_eq(table_references(&w, 1), 100);
	check_views(&w);
	check_references(&w);
	buf_done(&value);
	world_close(&w);
}
END_TEST

/* What a process does at a moment inside of another's commit: a store that calls back before its
 * n-th create of a manifest. */
struct hook {
	struct store store;
	const char *prefix;
	void (*call)(struct world *w);
	struct world *w;
};

static int hook_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	struct hook *h = (struct hook *)s;
	void (*call)(struct world * w) = h->call;

	if (call && strncmp(key, h->prefix, strlen(h->prefix)) == 0) {
		h->call = NULL;
		call(h->w);
	}
	return s->below->ops->create(s->below, key, parts, nparts, err);
}

static int hook_get(struct store *s, const char *key, uint64_t offset, bool from_end, void *buf,
	size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	return s->below->ops->get(
		s->below, key, offset, from_end, buf, len, ret_len, ret_size, err);
}

static int hook_del(struct store *s, const char *key, struct error *err)
{
	return s->below->ops->del(s->below, key, err);
}

static int hook_list(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err)
{
	return s->below->ops->list(s->below, prefix, after, out, err);
}

static const struct store_ops hook_ops = {
	.name = "hook", .create = hook_create, .get = hook_get, .del = hook_del, .list = hook_list};

/* A world whose index sees the store through the hook; `w->store` stays what the others use. */
static void hook_world(
	struct world *w, struct hook *h, const char *prefix, void (*call)(struct world *w))
{
	struct store *below;

	world_open(w, 1);
	for (int i = 0; i < 30; i++) {
		random_group(w);
		if (i % 5 == 0)
			ck_assert_int_eq(flush_now(w, NULL), 0);
	}
	ck_assert_int_eq(flush_now(w, NULL), 0);
	below = w->store;
	index_close(w->ix);
	*h = (struct hook){.store = {.ops = &hook_ops, .below = below}, .prefix = prefix, .w = w};
	w->store = &h->store;
	open_index(w);
	settle(w);
	h->call = call;
}

static void unhook(struct world *w, struct hook *h)
{
	index_close(w->ix);
	w->store = h->store.below;
	open_index(w);
	check_views(w);
	world_close(w);
}

static void pin_now(struct world *w)
{
	const struct manifest_edit edit = {.apply = apply_pin, .arg = w};

	ck_assert_int_eq(manifest_commit(w->store, w->keys, &edit, NULL, NULL), 0);
	w->next_pin++;
}

/* D2: a pin that comes between plan and commit; the next attempt knows it. */
START_TEST(pin_during_merge)
{
	struct world w;
	struct hook h;
	bool blocked;
	struct manifest *m;

	hook_world(&w, &h, "table/", pin_now);
	ck_assert_int_eq(index_merge(w.ix, w.settled, &blocked, NULL), -EAGAIN);
	m = index_manifest(w.ix);
	ck_assert_uint_eq(m->npins, 1); /* caught up */
	manifest_unref(m);
	merge_until_done(&w);
	check_views(&w);
	check_references(&w);
	/* M4: the outputs were left to the sweep, which finds them once a later edit has raised the
	 * low mark. */
	check_swept(&w);
	unhook(&w, &h);
}
END_TEST

static void take_over_now(struct world *w)
{
	struct index_writer other = {.epoch = w->writer.epoch + 1, .term = {1}};
	const struct manifest_edit edit = {.apply = apply_take_over, .arg = &other};

	ck_assert_int_eq(manifest_commit(w->store, w->keys, &edit, NULL, NULL), 0);
	w->writer.epoch = other.epoch;
}

/* W5, M7: a fenced writer commits no merge, no flush, and deletes nothing. */
START_TEST(fenced)
{
	struct world w;
	struct hook h;
	bool blocked;
	size_t objects;

	hook_world(&w, &h, "manifest/", take_over_now);
	ck_assert_int_eq(index_merge(w.ix, w.settled, &blocked, NULL), -ESTALE);
	random_group(&w);
	ck_assert_int_eq(flush_now(&w, NULL), -ESTALE);
	objects = count_names(&w, "");
	ck_assert_int_eq(index_sweep(w.ix, 100, NULL), -ESTALE);
	ck_assert_uint_eq(count_names(&w, ""), objects);
	unhook(&w, &h);
}
END_TEST

static int apply_cancel(void *arg, struct manifest *m, struct error *err)
{
	const struct world *w = arg;

	(void)err;
	if (!manifest_find_job(m, w->writer.job))
		return -EALREADY;
	manifest_close_job(m, w->writer.job);
	return 0;
}

static void cancel_now(struct world *w)
{
	const struct manifest_edit edit = {.apply = apply_cancel, .arg = w};

	ck_assert_int_eq(manifest_commit(w->store, w->keys, &edit, NULL, NULL), 0);
}

/* Schedule 9 (D2, D3): the job is closed between upload and commit: refused, and the upload can be
 * swept. */
START_TEST(job_closed_under_merge)
{
	struct world w;
	struct hook h;
	bool blocked;
	size_t live = 0;
	struct manifest *m;

	hook_world(&w, &h, "manifest/", cancel_now);
	ck_assert_int_eq(index_merge(w.ix, w.settled, &blocked, NULL), -ESTALE);
	m = newest(&w);
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		live += m->nlevel[level];
	manifest_unref(m);
	ck_assert_uint_gt(count_names(&w, "table/"), live);
	sweep_all(&w);
	ck_assert_uint_eq(count_names(&w, "table/"), live);
	unhook(&w, &h);
}
END_TEST

/* D4, D5: which tables go, of whom; and late copies. */
START_TEST(sweep_takes_garbage_only)
{
	struct world w;
	struct manifest *m;
	struct table_id retired, below, above, unknown, closed;
	uint64_t low, old_job;

	world_open(&w, 1);
	old_job = w.writer.job;
	reopen(&w);
	for (int i = 0; i < 40; i++) {
		random_group(&w);
		ck_assert_int_eq(flush_now(&w, NULL), 0);
		if (i % 4 == 0)
			merge_until_done(&w);
	}
	merge_until_done(&w);
	m = newest(&w);
	ck_assert_uint_gt(m->nretired, 0);
	retired = m->retired[0].id;
	low = manifest_find_job(m, w.writer.job)->low;
	manifest_unref(m);
	ck_assert_uint_gt(low, 0);
	check_swept(&w);
	ck_assert(!has_table(&w, retired));
	/* Late copies, tables of others, and what may still be on its way. */
	below = (struct table_id){old_job, 12345};
	above = (struct table_id){w.writer.job, low + 1000};
	unknown = (struct table_id){w.writer.job + 1000, 0};
	closed = (struct table_id){old_job, 0};
	plant_table(&w, retired);
	plant_table(&w, below);
	plant_table(&w, above);
	plant_table(&w, unknown);
	plant_table(&w, closed);
	sweep_all(&w);
	ck_assert(!has_table(&w, retired));
	ck_assert(!has_table(&w, below));
	ck_assert(!has_table(&w, closed));
	ck_assert(has_table(&w, above));
	ck_assert(has_table(&w, unknown));
	check_views(&w);
	world_close(&w);
}
END_TEST

/* M5 and T8, and names that are nobody's. */
START_TEST(sweep_cleans_names)
{
	static const char *const gone[] = {
		"writer/0000000000000001", "writer/0000000000000001.alive"};
	static const char *const kept[] = {"writer/0000000000000003",
		"writer/0000000000000003.alive", "writer/0000000000000009", "writer/notes",
		"writer/0000000000000001.alive2", "table/readme", "manifest/readme",
		"log/0000000000000001/0000000000000000"};
	struct slice body = SLICE_STR("x");
	struct world w;

	world_open(&w, 1);
	reopen(&w);
	reopen(&w);
	ck_assert_uint_eq(w.writer.epoch, 3);
	for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
		ck_assert_int_eq(store_create(w.store, gone[i], &body, 1, NULL), 0);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		ck_assert_int_eq(store_create(w.store, kept[i], &body, 1, NULL), 0);
	ck_assert_int_eq(index_sweep(w.ix, 2, NULL), 2); /* a bounded number at a time */
	sweep_all(&w);
	for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
		ck_assert_uint_eq(count_names(&w, gone[i]), 1); /* ".alive2" */
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		ck_assert_msg(count_names(&w, kept[i]) >= 1, "%s", kept[i]);
	ck_assert_uint_eq(count_names(&w, "manifest/0"), 1);
	world_close(&w);
}
END_TEST

/* The list of retired tables does not grow for ever, and never loses one that a late copy could
 * bring back unseen. */
START_TEST(retired_list_is_trimmed)
{
	struct world w;
	struct manifest *m;
	size_t retired = 0, left = 0;

	world_open(&w, 1);
	for (int i = 0; i < 160; i++) {
		random_group(&w);
		ck_assert_int_eq(flush_now(&w, NULL), 0);
		if (i % 4 == 0)
			merge_until_done(&w);
		m = newest(&w);
		retired += m->nretired - left;
		manifest_unref(m);
		sweep_all(&w);
		m = newest(&w);
		left = m->nretired;
		manifest_unref(m);
		ck_assert_uint_lt(left, 80);
	}
	ck_assert_uint_gt(retired, 150);
	check_views(&w);
	check_references(&w);
	world_close(&w);
}
END_TEST

/* Entries for tables that are not there: 80 of a closed job, 80 of counters that may still be on
 * their way. */
static int apply_retired_entries(void *arg, struct manifest *m, struct error *err)
{
	const struct world *w = arg;
	uint64_t low = manifest_find_job(m, w->writer.job)->low;
	struct manifest_retired *r = realloc(m->retired, (m->nretired + 160) * sizeof *r);

	(void)err;
	ck_assert_ptr_nonnull(r);
	m->retired = r;
	for (uint64_t i = 0; i < 160; i++)
		r[m->nretired++] = (struct manifest_retired){.number = m->number,
			.id = {i % 2 ? w->writer.job : w->writer.job - 1, low + 100 + i}};
	return 0;
}

/* D5: what is forgotten must be found by D4(b) if a late copy lands. */
START_TEST(retired_entries_stay)
{
	struct world w;
	struct manifest *m;
	struct table_id kept;

	world_open(&w, 1);
	reopen(&w);
	commit_and_adopt(&w, apply_retired_entries, &w);
	sweep_all(&w);
	m = newest(&w);
	ck_assert_uint_eq(m->nretired, 80);
	for (size_t i = 0; i < m->nretired; i++)
		ck_assert_uint_eq(m->retired[i].id.job, w.writer.job);
	kept = m->retired[7].id;
	manifest_unref(m);
	plant_table(&w, kept);
	sweep_all(&w);
	ck_assert(!has_table(&w, kept));
	world_close(&w);
}
END_TEST

/* Unsettled inputs are left alone, and said so; settled through the manifest by the next flush. */
START_TEST(unsettled_inputs_block)
{
	struct world w;
	bool blocked = false;
	struct manifest *m;
	int r = 0;

	world_open(&w, 1);
	for (int i = 0; i < 8; i++) {
		/* Two versions in one flush: a fold that drops references. */
		write_one(&w, RECORD_DELTA, "d00", (uint8_t[]){SEG(0, 1)}, 3);
		write_one(&w, RECORD_DELTA, "d00", (uint8_t[]){SEG(0, 2)}, 3);
		ck_assert_int_eq(flush_now(&w, NULL), 0);
	}
	r = index_merge(w.ix, w.settled, &blocked, NULL);
	ck_assert_int_eq(r, 0);
	ck_assert(blocked);
	settle(&w);
	r = index_merge(w.ix, w.settled, &blocked, NULL);
	ck_assert_int_eq(r, 1);
	check_references(&w);
	random_group(&w);
	ck_assert_int_eq(flush_now(&w, NULL), 0);
	m = newest(&w);
	ck_assert_uint_eq(m->settled, w.settled);
	manifest_unref(m);
	world_close(&w);
}
END_TEST

/* Failed uploads leave garbage and nothing else; the next attempt uses other names (S3). */
START_TEST(failed_uploads)
{
	struct world w;
	struct fault_rule lost = {
		.kind = FAULT_LOST_REPLY, .ops = FAULT_WRITES, .prefix = "table/"};
	struct error err = {0};

	world_open(&w, 1);
	for (int i = 0; i < 20; i++)
		random_group(&w);
	ck_assert_int_ge(fault_add(w.store, &lost), 0);
	ck_assert_int_eq(flush_now(&w, &err), -ETIMEDOUT);
	fault_clear(w.store);
	ck_assert_uint_eq(count_names(&w, "table/"), 1);
	check_views(&w);
	ck_assert_int_eq(flush_now(&w, &err), 0);
	check_views(&w);
	check_references(&w);
	sweep_all(&w);
	struct manifest *m = newest(&w);

	ck_assert_uint_eq(count_names(&w, "table/"), m->nlevel[0]);
	manifest_unref(m);
	world_close(&w);
}
END_TEST

/* M2, M3: the manifest of a flush takes effect and nobody says so. It counts, once. */
START_TEST(flush_reply_lost)
{
	struct fault_rule lost = {
		.kind = FAULT_LOST_REPLY, .ops = FAULT_WRITES, .prefix = "manifest/"};
	struct world w;
	struct manifest *m;
	struct error err = {0};
	uint64_t before;
	int r;

	world_open(&w, 1);
	for (int i = 0; i < 20; i++)
		random_group(&w);
	m = newest(&w);
	before = m->number;
	manifest_unref(m);
	ck_assert_int_ge(fault_add(w.store, &lost), 0);
	r = flush_now(&w, &err);
	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	ck_assert_uint_eq(fault_hits(w.store, 0), 1);
	m = newest(&w);
	ck_assert_uint_eq(m->number, before + 1);
	ck_assert_uint_eq(m->last_group, w.group);
	manifest_unref(m);
	check_views(&w);
	check_references(&w);
	world_close(&w);
}
END_TEST

#ifdef PLANTED_BUGS
static const char *self;
static const char *const bugs[] = {"none", "drop-range-delete", "forget-debit",
	"delete-before-manifest", "rule-d2", "rule-d4", "rule-m3", "rule-w6"};

/* The scripts fail when a rule is out, and only then. */
START_TEST(notices)
{
	char command[512];

	snprintf(command, sizeof command, "CK_RUN_CASE=scripts PLANTED=%s '%s' >/dev/null 2>&1",
		bugs[_i], self);
	ck_assert_msg((system(command) == 0) == (_i == 0), "planted: %s", bugs[_i]);
}
END_TEST
#endif

static Suite *suite(void)
{
	Suite *s = suite_create("maintain-rules");
	TCase *t = tcase_create("scripts");

	tcase_set_timeout(t, 100);
	tcase_add_test(t, deleted_data_goes);
	tcase_add_test(t, replay_start_held_back);
	tcase_add_test(t, tables_still_refer);
	tcase_add_test(t, pin_during_merge);
	tcase_add_test(t, fenced);
	tcase_add_test(t, job_closed_under_merge);
	tcase_add_test(t, flush_reply_lost);
	tcase_add_test(t, sweep_takes_garbage_only);
	tcase_add_test(t, sweep_cleans_names);
	tcase_add_test(t, retired_list_is_trimmed);
	tcase_add_test(t, retired_entries_stay);
	tcase_add_test(t, unsettled_inputs_block);
	tcase_add_test(t, failed_uploads);
	suite_add_tcase(s, t);
#ifdef PLANTED_BUGS
	t = tcase_create("planted");
	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, notices, 0, sizeof bugs / sizeof bugs[0]);
	suite_add_tcase(s, t);
#endif
	return s;
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
#ifdef PLANTED_BUGS
	const char *name = getenv("PLANTED");

	self = argv[0];
	if (name)
		planted_use(planted_by_name(name));
#endif
	SRunner *runner = srunner_create(suite());

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
