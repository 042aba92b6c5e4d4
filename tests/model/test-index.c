/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The index against a naive list of all records: groups (two open at a time), lookups and scans in
 * pinned views, flush, merge, replay after a reopening. And readers beside a writer, a flusher and
 * a merger.
 */
#include "core/base/thread.h"
#include "core/index/manifest_internal.h"
#include "tests/unit/index-fixture.h"

#define KEYS 200
#define STEPS 400
#define GROUPS_MAX 2000

struct journal {
	uint64_t group;
	struct buf block;
};

struct world {
	struct store *store;
	struct volume_keys *keys;
	struct budget *budget;
	struct index *ix;
	struct index_writer writer;
	struct naive m;
	struct rng rng;
	uint64_t group;					   /* the last one begun */
	struct index_group *open[2], *waiting[GROUPS_MAX]; /* begun; sealed and not acknowledged */
	uint64_t open_number[2];
	size_t nopen, nwaiting;
	struct journal journals[GROUPS_MAX]; /* acknowledged groups, as the log has them */
	size_t njournals;
	struct buf sealed[GROUPS_MAX]; /* of `waiting` */
	uint64_t sealed_number[GROUPS_MAX];
	uint64_t pins[64]; /* rising */
	size_t npins;
	unsigned cold, kept; /* lookups that had to wait, and that found it in memory afterwards */
};

static struct index_options options(const struct world *w)
{
	return (struct index_options){.store = w->store,
		.keys = w->keys,
		.fold = &sums,
		.budget = w->budget,
		.memtable_bytes = 6000,
		.table_bytes = 5000,
		.level1_bytes = 12000,
		.block_bytes = 256,
		.block_cache_bytes = 16384,
		.codec = {.codec = CODEC_LZ4}};
}

static int apply_take_over(void *arg, struct manifest *m, struct error *err)
{
	struct index_writer *w = arg;

	(void)err;
	m->epoch = w->epoch;
	memcpy(m->term, w->term, TERM_BYTES);
	return manifest_add_job(m, true, w->epoch, &w->job);
}

/* Under a new epoch, whose job has numbers of its own. */
static void open_index(struct world *w)
{
	struct manifest_edit edit = {apply_take_over, &w->writer};
	struct index_options o = options(w);
	struct manifest *m;

	w->writer.epoch++;
	ck_assert_int_eq(manifest_commit(w->store, w->keys, &edit, NULL, NULL), 0);
	ck_assert_int_eq(manifest_read(w->store, w->keys, &m, NULL), 0);
	ck_assert_int_eq(index_open(&o, m, &w->ix, NULL), 0);
	index_set_writer(w->ix, &w->writer);
	manifest_unref(m);
}

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	w->rng = fixture_rng();
	w->store = stats_new(fixture_store());
	w->keys = fixture_keys(w->store);
	w->budget = budget_new(32 << 20);
	ck_assert_int_eq(manifest_create_first(w->store, w->keys, NULL), 0);
	open_index(w);
	return w;
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < w->nopen; i++)
		index_group_abandon(w->ix, w->open[i]);
	for (size_t i = 0; i < w->nwaiting; i++) {
		index_group_abandon(w->ix, w->waiting[i]);
		buf_done(&w->sealed[i]);
	}
	index_close(w->ix);
	for (size_t i = 0; i < w->njournals; i++)
		buf_done(&w->journals[i].block);
	naive_done(&w->m);
	budget_free(w->budget);
	keys_free(w->keys);
	store_close(w->store);
	free(w);
}

static void random_key(struct world *w, char key[12])
{
	snprintf(key, 12, "%u%03u", (unsigned)rng_below(&w->rng, 3),
		(unsigned)rng_below(&w->rng, KEYS));
}

/* ---- groups ---- */

static void begin_group(struct world *w)
{
	if (w->nopen == 2)
		return;
	w->group += 1 + rng_below(&w->rng, 3);
	ck_assert_int_eq(index_group_begin(w->ix, w->group, &w->open[w->nopen]), 0);
	w->open_number[w->nopen++] = w->group;
}

static void write_one(struct world *w)
{
	struct naive_record r = {.number = rng_below(&w->rng, SUM_MODULO),
		.op = (enum record_op)rng_range(&w->rng, RECORD_PUT, RECORD_DELTA)};
	struct index_group *g;
	uint8_t value[8];
	struct record rec;
	size_t which;

	if (w->nopen == 0)
		begin_group(w);
	which = rng_below(&w->rng, w->nopen);
	g = w->open[which];
	r.group = w->open_number[which];
	random_key(w, r.key);
	if (rng_chance(&w->rng, 1, 60)) {
		r.op = RECORD_RANGE;
		random_key(w, r.end);
	}
	if (r.op == RECORD_DELTA && naive_has(&w->m, r.key, r.group))
		return;
	rec = naive_record(&r, value);
	ck_assert_int_eq(index_reserve(g, 20, 2), 0);
	index_unreserve(g, 20 - rec.key.len - rec.value.len, 1);
	if (r.op == RECORD_PUT)
		index_put(g, rec.key, rec.value);
	else if (r.op == RECORD_DELETE)
		index_delete(g, rec.key);
	else if (r.op == RECORD_DELTA)
		index_delta(g, rec.key, rec.value);
	else
		index_range_delete(g, rec.key, rec.value);
	if (r.op == RECORD_RANGE) {
		naive_remove(&w->m, r.key, r.end, r.group);
	} else {
		char end[13];

		snprintf(end, sizeof(end), "%s!", r.key); /* just behind the key */
		naive_remove(&w->m, r.key, end, r.group);
	}
	if (r.op != RECORD_RANGE || strcmp(r.key, r.end) < 0)
		naive_add(&w->m, &r);
}

/* Groups are sealed and acknowledged in order. */
static void seal_group(struct world *w)
{
	if (w->nopen == 0)
		return;
	w->waiting[w->nwaiting] = w->open[0];
	w->sealed[w->nwaiting] = (struct buf)BUF_INIT;
	w->sealed_number[w->nwaiting] = w->open_number[0];
	ck_assert_int_eq(index_group_seal(w->open[0], &w->sealed[w->nwaiting]), 0);
	w->nwaiting++;
	w->open[0] = w->open[1];
	w->open_number[0] = w->open_number[1];
	w->nopen--;
}

static void acknowledge(struct world *w)
{
	if (w->nwaiting == 0)
		return;
	w->journals[w->njournals++] = (struct journal){w->sealed_number[0], w->sealed[0]};
	index_group_acked(w->ix, w->waiting[0]);
	w->nwaiting--;
	memmove(w->waiting, w->waiting + 1, w->nwaiting * sizeof(w->waiting[0]));
	memmove(w->sealed, w->sealed + 1, w->nwaiting * sizeof(w->sealed[0]));
	memmove(w->sealed_number, w->sealed_number + 1, w->nwaiting * sizeof(w->sealed_number[0]));
}

/* ---- maintenance ---- */

static uint64_t last_group(struct world *w)
{
	struct manifest *m = index_manifest(w->ix);
	uint64_t last = m->last_group;

	manifest_unref(m);
	return last;
}

static void flush(struct world *w, bool force)
{
	uint64_t upto = index_flushable(w->ix, force);
	struct error err = {0};
	int r;

	if (upto == 0)
		return;
	/* W6: no group that was not acknowledged. */
	ck_assert(w->njournals && upto <= w->journals[w->njournals - 1].group);
	r = index_flush(w->ix, upto, (struct log_place){1, upto}, 0, &err);
	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	ck_assert_uint_eq(last_group(w), upto);
}

static void merge(struct world *w)
{
	struct error err = {0};
	bool blocked;
	int r = index_merge(w->ix, UINT64_MAX, &blocked, &err);

	ck_assert_msg(r >= 0, "%s", error_text(&err, r));
}

static int apply_pin(void *arg, struct manifest *m, struct error *err)
{
	struct manifest_pin *pins = reallocarray(m->pins, m->npins + 1, sizeof(*pins));

	(void)arg;
	(void)err;
	ck_assert_ptr_nonnull(pins);
	m->pins = pins;
	m->pins[m->npins] = (struct manifest_pin){.id = m->npins + 1, .group = m->last_group};
	snprintf(m->pins[m->npins].name, sizeof(m->pins->name), "pin-%zu", m->npins);
	m->npins++;
	m->pin_generation++;
	return 0;
}

/* D9: a pin names the last group in the tables. */
static void pin(struct world *w)
{
	struct manifest_edit edit = {.apply = apply_pin};
	struct manifest *m;

	if (w->npins == 8)
		return;
	ck_assert_int_eq(manifest_commit(w->store, w->keys, &edit, &m, NULL), 0);
	ck_assert_int_eq(index_adopt(w->ix, m, NULL), 0);
	w->pins[w->npins++] = m->last_group;
	manifest_unref(m);
}

/* As after a crash: what the log does not have is gone, what it has is replayed. */
static void reopen(struct world *w)
{
	uint64_t last = w->njournals ? w->journals[w->njournals - 1].group : 0, flushed;

	for (size_t i = 0; i < w->nopen; i++)
		index_group_abandon(w->ix, w->open[i]);
	for (size_t i = 0; i < w->nwaiting; i++) {
		index_group_abandon(w->ix, w->waiting[i]);
		buf_done(&w->sealed[i]);
	}
	w->nopen = w->nwaiting = 0;
	for (size_t i = 0; i < w->m.n;)
		if (w->m.recs[i].group > last)
			w->m.recs[i] = w->m.recs[--w->m.n];
		else
			i++;
	index_close(w->ix);
	ck_assert_uint_eq(budget_used(w->budget, BUDGET_MEMTABLE), 0);
	ck_assert_uint_eq(budget_used(w->budget, BUDGET_CACHE), 0);
	open_index(w);
	flushed = last_group(w);
	for (size_t i = 0; i < w->njournals; i++) {
		struct journal *j = &w->journals[i];
		struct error err = {0};
		int r;

		if (j->group <= flushed)
			continue;
		r = index_group_replay(w->ix, j->group, buf_slice(&j->block), &err);
		ck_assert_msg(r == 0, "%s", error_text(&err, r));
	}
	w->group = last;
}

/* ---- checks ---- */

static uint64_t some_view(struct world *w)
{
	return w->npins && rng_chance(&w->rng, 1, 2) ? w->pins[rng_below(&w->rng, w->npins)]
						     : GROUP_NOW;
}

static void check_get(struct world *w, const char *key, uint64_t view)
{
	struct buf out = BUF_INIT;
	struct index_info info = {0};
	uint64_t want;
	bool has = naive_get(&w->m, view, key, &want);
	unsigned flags = rng_chance(&w->rng, 1, 4) ? INDEX_CACHED : 0;
	int r = index_get(w->ix, view, SLICE_STR(key), flags, &out, &info, NULL);

	if (r == -EWOULDBLOCK && flags) {
		/* Asked for it is there, and then it is in memory, unless the cache is so full that
		 * the block has left it already. */
		r = index_get(w->ix, view, SLICE_STR(key), 0, &out, &info, NULL);
		w->cold++;
		if (r == 0 || r == -ENOENT) {
			struct buf again = BUF_INIT;
			int r2 = index_get(w->ix, view, SLICE_STR(key), flags, &again, &info, NULL);

			w->kept += r2 == r;
			ck_assert(r2 == r || r2 == -EWOULDBLOCK);
			ck_assert(r2 != 0 || slice_eq(buf_slice(&out), buf_slice(&again)));
			buf_done(&again);
		}
	}
	ck_assert_msg(r == (has ? 0 : -ENOENT), "key %s in view %llu: %d", key,
		(unsigned long long)view, r);
	ck_assert(!has || sum_number(buf_slice(&out)) % SUM_MODULO == want);
	ck_assert(!has || (info.merged >= 1 && info.newest > 0));
	buf_done(&out);
}

static void check_scan(struct world *w)
{
	uint64_t view = some_view(w), want;
	char first[12], end[12];
	struct index_scan *s;
	struct record rec = {0};
	int r;

	random_key(w, first);
	random_key(w, end);
	if (rng_chance(&w->rng, 1, 3)) { /* a prefix that the filters know */
		first[2] = end[2] = 0;
		memcpy(end, first, 2);
		end[1]++;
	}
	if (rng_chance(&w->rng, 1, 10))
		end[0] = 0; /* no end */
	ck_assert_int_eq(
		index_scan_open(w->ix, view, SLICE_STR(first), SLICE_STR(end), 0, &s, NULL), 0);
	r = end[0] && strcmp(end, first) <= 0 ? 0 : index_scan_next(s, &rec, NULL);
	for (unsigned k = 0; k < 3 * KEYS; k++) {
		char key[12];

		snprintf(key, sizeof(key), "%u%03u", k / KEYS, k % KEYS);
		if (strcmp(key, first) < 0 || (end[0] && strcmp(key, end) >= 0) ||
			!naive_get(&w->m, view, key, &want))
			continue;
		ck_assert_int_eq(r, 1);
		ck_assert_msg(slice_eq(rec.key, SLICE_STR(key)), "%s instead of %.*s", key,
			(int)rec.key.len, (const char *)rec.key.data);
		ck_assert_uint_eq(sum_number(rec.value) % SUM_MODULO, want);
		r = index_scan_next(s, &rec, NULL);
	}
	ck_assert_int_eq(r, 0);
	index_scan_close(s);
}

/* All stored versions, folded here, give the newest view; those of the tables alone have no group
 * behind the last one there. */
static void check_versions(struct world *w)
{
	struct naive all = {0};
	struct index_scan *s;
	struct record rec;
	int r;

	ck_assert_int_eq(index_scan_versions(w->ix, SLICE_STR("0"), SLICE_STR("9"), &s, NULL), 0);
	while ((r = index_scan_next(s, &rec, NULL)) == 1) {
		struct naive_record n = {.group = rec.group,
			.op = rec.op,
			.number = sum_number(rec.value) % SUM_MODULO};

		memcpy(n.key, rec.key.data, rec.key.len);
		if (rec.op == RECORD_RANGE)
			memcpy(n.end, rec.value.data, rec.value.len);
		naive_add(&all, &n);
	}
	ck_assert_int_eq(r, 0);
	index_scan_close(s);
	for (unsigned i = 0; i < 50; i++) {
		uint64_t is, want;
		char key[12];

		random_key(w, key);
		ck_assert_int_eq(naive_get(&all, GROUP_NOW, key, &is),
			naive_get(&w->m, GROUP_NOW, key, &want));
		ck_assert_uint_eq(is, want);
	}
	naive_done(&all);
	ck_assert_int_eq(
		index_scan_table_versions(w->ix, SLICE_STR("0"), SLICE(NULL, 0), &s, NULL), 0);
	while ((r = index_scan_next(s, &rec, NULL)) == 1)
		ck_assert_uint_le(rec.group, last_group(w));
	ck_assert_int_eq(r, 0);
	index_scan_close(s);
}

static void check_some(struct world *w)
{
	for (int i = 0; i < 6; i++) {
		char key[12];

		random_key(w, key);
		check_get(w, key, some_view(w));
	}
	if (rng_chance(&w->rng, 1, 4))
		check_scan(w);
	if (rng_chance(&w->rng, 1, 30))
		check_versions(w);
}

static void step(struct world *w)
{
	uint64_t what = rng_below(&w->rng, 100);

	if (what < 40)
		for (uint64_t n = rng_below(&w->rng, 30); n > 0; n--)
			write_one(w);
	else if (what < 55)
		begin_group(w);
	else if (what < 70)
		seal_group(w);
	else if (what < 85)
		acknowledge(w);
	else if (what < 90)
		flush(w, rng_chance(&w->rng, 1, 2));
	else if (what < 97)
		merge(w);
	else if (what < 98)
		pin(w);
	else if (rng_chance(&w->rng, 1, 3))
		reopen(w);
}

START_TEST(random_steps)
{
	struct world *w = world_new();
	struct index_stats st;

	for (int i = 0; i < STEPS; i++) {
		step(w);
		check_some(w);
	}
	while (w->nopen)
		seal_group(w);
	while (w->nwaiting)
		acknowledge(w);
	flush(w, true);
	reopen(w);
	for (unsigned k = 0; k < 3 * KEYS; k++) {
		char key[12];

		snprintf(key, sizeof(key), "%u%03u", k / KEYS, k % KEYS);
		check_get(w, key, some_view(w));
	}
	check_versions(w);
	index_stats(w->ix, &st);
	ck_assert_uint_eq(st.memtables, 0);
	ck_assert_uint_gt(st.tables, 0);
	ck_assert(w->cold < 20 || w->kept > w->cold / 2);
	world_free(w);
}
END_TEST

/* A journal that is damaged is refused, and its group number can be used after all. */
START_TEST(bad_journals)
{
	struct world *w = world_new();
	struct buf block;
	struct error err = {0};

	for (int i = 0; i < 40; i++)
		write_one(w);
	while (w->nopen)
		seal_group(w);
	while (w->nwaiting)
		acknowledge(w);
	block = w->journals[0].block;
	w->m.n = 0;
	index_forget_memtables(w->ix, 0);
	for (size_t i = 0; i < block.len; i++) {
		ck_assert_int_eq(
			index_group_replay(w->ix, w->journals[0].group, SLICE(block.data, i), &err),
			-EBADMSG);
	}
	ck_assert_int_eq(
		index_group_replay(w->ix, w->journals[0].group + 1, buf_slice(&block), NULL),
		-EBADMSG);
	ck_assert_int_eq(
		index_group_replay(w->ix, w->journals[0].group, buf_slice(&block), NULL), 0);
	ck_assert_int_eq(
		index_group_replay(w->ix, w->journals[0].group, buf_slice(&block), NULL), -EBADMSG);
	world_free(w);
}
END_TEST

/* A follower whose tables were deleted learns that there is something newer; for the writer it is
 * damage. */
START_TEST(gone_table)
{
	struct world *w = world_new();
	struct buf out = BUF_INIT;
	struct index_options o = options(w);
	struct index *follower;
	struct manifest *m;
	char key[TABLE_KEY_BYTES];

	begin_group(w);
	ck_assert_int_eq(index_reserve(w->open[0], 9, 1), 0);
	index_put(w->open[0], SLICE_STR("1"), SLICE("\1\0\0\0\0\0\0\0", 8));
	seal_group(w);
	acknowledge(w);
	flush(w, true);
	m = index_manifest(w->ix);
	ck_assert_int_eq(index_open(&o, m, &follower, NULL), 0);
	table_key(m->levels[0][0].id, key);
	ck_assert_int_eq(store_delete(w->store, key, NULL), 0);
	ck_assert_int_eq(
		index_get(w->ix, GROUP_NOW, SLICE_STR("1"), 0, &out, NULL, NULL), -EBADMSG);
	ck_assert_int_eq(
		index_get(follower, GROUP_NOW, SLICE_STR("1"), 0, &out, NULL, NULL), -EAGAIN);
	manifest_unref(m);
	index_close(follower);
	world_free(w);
}
END_TEST

/* ---- readers beside everything else ---- */

#define RACE_KEYS 100
#define RACE_GROUPS 300
#define RACE_GROUPS_MAX 30000

struct race {
	struct world *w;
	_Atomic uint64_t done; /* groups that are complete in the index */
	_Atomic bool stop;
};

/* Group g puts g under every key, so a reader sees one group everywhere, and none older than what
 * was complete. */
static void read_race(void *arg)
{
	struct race *r = arg;
	unsigned k = 0;

	while (!atomic_load(&r->stop)) {
		uint64_t done = atomic_load(&r->done);
		struct buf out = BUF_INIT;
		char key[12];
		int got;

		snprintf(key, sizeof(key), "k%03u", k++ % RACE_KEYS);
		got = index_get(r->w->ix, GROUP_NOW, SLICE_STR(key), 0, &out, NULL, NULL);
		ck_assert(got == 0 || (got == -ENOENT && done == 0));
		ck_assert(got < 0 || get_le64(out.data) >= done);
		buf_done(&out);
		if (k % 50 == 0 && done) {
			struct index_scan *s;
			struct record rec;
			unsigned n = 0;

			ck_assert_int_eq(index_scan_open(r->w->ix, GROUP_NOW, SLICE_STR("k"),
						 SLICE_STR("l"), 0, &s, NULL),
				0);
			while ((got = index_scan_next(s, &rec, NULL)) == 1) {
				ck_assert_uint_ge(get_le64(rec.value.data), done);
				n++;
			}
			ck_assert_int_eq(got, 0);
			ck_assert_uint_eq(n, RACE_KEYS);
			index_scan_close(s);
		}
	}
}

static void maintain_race(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop)) {
		uint64_t upto = index_flushable(r->w->ix, false);
		bool blocked;

		if (upto)
			ck_assert_int_eq(
				index_flush(r->w->ix, upto, (struct log_place){1, upto}, 0, NULL),
				0);
		ck_assert_int_ge(index_merge(r->w->ix, UINT64_MAX, &blocked, NULL), 0);
	}
}

START_TEST(readers_beside_maintenance)
{
	struct race race = {.w = world_new()};
	struct index *ix = race.w->ix;
	struct thread threads[3];
	struct index_stats st = {0};

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
			thread_start(&threads[i], "race", i ? read_race : maintain_race, &race), 0);
	/* On a busy machine until the other threads had their turn. */
	for (uint64_t group = 1; group <= RACE_GROUPS || (!st.merges && group <= RACE_GROUPS_MAX);
		group++) {
		struct index_group *g;
		struct buf block = BUF_INIT;

		index_stats(ix, &st);
		ck_assert_int_eq(index_throttle(ix), 0);
		ck_assert_int_eq(index_group_begin(ix, group, &g), 0);
		ck_assert_int_eq(index_reserve(g, RACE_KEYS * 12 + 2, RACE_KEYS + 1), 0);
		for (unsigned k = 0; k < RACE_KEYS; k++) {
			char key[12];
			uint8_t value[8];

			snprintf(key, sizeof(key), "k%03u", k);
			put_le64(value, group);
			index_put(g, SLICE_STR(key), SLICE(value, 8));
		}
		index_range_delete(g, SLICE_STR("l"), SLICE_STR("m"));
		ck_assert_int_eq(index_group_seal(g, &block), 0);
		buf_done(&block);
		index_group_acked(ix, g);
		atomic_store(&race.done, group);
	}
	atomic_store(&race.stop, true);
	for (int i = 0; i < 3; i++)
		thread_join(&threads[i]);
	index_stats(ix, &st);
	ck_assert_uint_gt(st.flushes, 0);
	ck_assert_uint_gt(st.merges, 0);
	world_free(race.w);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("index");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, random_steps, 0, 4);
	tcase_add_test(t, bad_journals);
	tcase_add_test(t, gone_table);
	tcase_add_test(t, readers_beside_maintenance);
	return t;
}

int main(void)
{
	return run_suite(make, "index");
}
