/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/thread.h"
#include "core/index/block.h"
#include "tests/unit/index-fixture.h"

#define KEYS 120
#define GROUPS 12

static void random_key(struct rng *rng, char key[12])
{
	snprintf(key, 12, "k%03u", (unsigned)rng_below(rng, KEYS) % 1000);
}

/* One random record of the group, in the memtable and in the model. */
static void add_random(struct rng *rng, struct memtable_group *g, uint64_t group, struct naive *m)
{
	struct naive_record r = {.group = group,
		.number = rng_below(rng, SUM_MODULO),
		.op = (enum record_op)rng_range(rng, RECORD_PUT, RECORD_RANGE)};
	uint8_t value[8];
	struct record rec;

	if (r.op == RECORD_RANGE && !rng_chance(rng, 1, 4))
		r.op = RECORD_PUT;
	random_key(rng, r.key);
	if (r.op == RECORD_RANGE)
		random_key(rng, r.end);
	if (r.op == RECORD_DELTA && naive_has(m, r.key, group))
		return;
	rec = naive_record(&r, value);
	ck_assert_int_eq(memtable_reserve(g, rec.key.len + rec.value.len, 1), 0);
	if (r.op == RECORD_RANGE) {
		memtable_range_delete(g, rec.key, rec.value);
		naive_remove(m, r.key, r.end, group);
		if (strcmp(r.key, r.end) < 0)
			naive_add(m, &r);
		return;
	}
	memtable_add(g, r.op, rec.key, rec.value);
	for (size_t i = 0; i < m->n; i++)
		if (m->recs[i].op != RECORD_RANGE && m->recs[i].group == group &&
			strcmp(m->recs[i].key, r.key) == 0)
			m->recs[i--] = m->recs[--m->n];
	naive_add(m, &r);
}

/* The model without groups up to `floor`. */
static struct naive above(const struct naive *m, uint64_t floor)
{
	struct naive r = {0};

	for (size_t i = 0; i < m->n; i++)
		if (m->recs[i].group > floor)
			naive_add(&r, &m->recs[i]);
	return r;
}

static void check_views(struct rng *rng, struct memtable *t, const struct naive *m)
{
	for (int i = 0; i < 300; i++) {
		char key[12];
		uint64_t view = rng_chance(rng, 1, 3) ? GROUP_NOW : rng_range(rng, 1, GROUPS), want,
			 sum = 0;
		uint64_t floor = rng_chance(rng, 1, 3) ? rng_below(rng, GROUPS) : 0;
		struct naive part = above(m, floor);
		struct versions v;
		bool has;

		random_key(rng, key);
		has = naive_get(&part, view, key, &want);
		versions_init(&v, SLICE_STR(key), view);
		ck_assert_int_eq(memtable_get(t, floor, &v), 0);
		for (size_t k = 0; k < v.n; k++)
			sum = (sum + sum_number(v.recs[k].value)) % SUM_MODULO;
		ck_assert_msg(has == (v.n > 0) && (!has || sum == want),
			"key %s view %llu floor %llu", key, (unsigned long long)view,
			(unsigned long long)floor);
		versions_done(&v);
		naive_done(&part);
	}
}

/* Folded through an iterator, from a random place on. */
static void check_iter(struct rng *rng, struct memtable *t, const struct naive *m, bool stored)
{
	uint64_t view = rng_chance(rng, 1, 2) ? GROUP_NOW : rng_range(rng, 1, GROUPS);
	char from[12], key[12];
	struct iter *it;
	struct merge_view *scan;
	struct record rec = {0};
	int r;

	random_key(rng, from);
	ck_assert_int_eq(memtable_iter_new(t, 0, stored, &it), 0);
	ck_assert_int_eq(
		merge_view_open(it, view, SLICE_STR(from), SLICE_STR("k090"), &sums, &scan, NULL),
		0);
	r = merge_view_next(scan, &rec, NULL);
	for (unsigned k = 0; k < 90; k++) {
		uint64_t want;

		snprintf(key, sizeof(key), "k%03u", k);
		if (strcmp(key, from) < 0 || !naive_get(m, view, key, &want))
			continue;
		ck_assert_int_eq(r, 1);
		ck_assert(slice_eq(rec.key, SLICE_STR(key)));
		ck_assert_uint_eq(sum_number(rec.value) % SUM_MODULO, want);
		r = merge_view_next(scan, &rec, NULL);
	}
	ck_assert_int_eq(r, 0);
	merge_view_close(scan);
}

/* The block of a group has exactly its records. */
static void check_block(struct memtable_group *g, uint64_t group, const struct naive *m)
{
	struct buf block = BUF_INIT;
	struct block_iter it;
	size_t points = 0, want = 0;

	for (size_t i = 0; i < m->n; i++)
		want += m->recs[i].group == group && m->recs[i].op != RECORD_RANGE;
	memtable_group_close(g);
	ck_assert_int_eq(memtable_group_encode(g, &block), 0);
	ck_assert_int_eq(block_iter_init(&it, buf_slice(&block)), 0);
	ck_assert_int_eq(block_iter_first(&it), 0);
	while (it.valid) {
		ck_assert_uint_eq(it.rec.group, group);
		if (it.rec.op != RECORD_RANGE) {
			char key[12] = {0};

			memcpy(key, it.rec.key.data, it.rec.key.len);
			ck_assert(naive_has(m, key, group));
			points++;
		}
		ck_assert_int_eq(block_iter_next(&it), 0);
	}
	ck_assert_uint_eq(points, want);
	buf_done(&block);
}

START_TEST(random_groups)
{
	struct rng rng = fixture_rng();
	struct budget *budget = budget_new(64 << 20);

	for (int round = 0; round < 12; round++) {
		struct memtable *t = memtable_new(budget);
		struct naive m = {0};

		for (uint64_t group = 1; group <= GROUPS; group++) {
			struct memtable_group *g = memtable_group_new(t, group);

			for (size_t n = rng_below(&rng, 60); n > 0; n--)
				add_random(&rng, g, group, &m);
			check_block(g, group, &m);
			memtable_group_free(g);
			if (group % 4 == 0)
				check_views(&rng, t, &m);
		}
		for (int i = 0; i < 10; i++)
			check_iter(&rng, t, &m, i % 2);
		ck_assert_uint_eq(budget_used(budget, BUDGET_MEMTABLE), memtable_bytes(t));
		memtable_unref(t);
		naive_done(&m);
	}
	ck_assert_uint_eq(budget_used(budget, BUDGET_MEMTABLE), 0);
	budget_free(budget);
}
END_TEST

/* The set of range deletes alone, with many that overlap. */
START_TEST(many_ranges)
{
	struct rng rng = fixture_rng();
	struct memtable *t = memtable_new(NULL);
	struct naive m = {0};

	for (uint64_t group = 1; group <= 300; group++) {
		struct memtable_group *g = memtable_group_new(t, group);
		struct naive_record r = {.group = group, .op = RECORD_RANGE};

		ck_assert_int_eq(memtable_reserve(g, 64, 4), 0);
		for (int i = 0; i < 3; i++) {
			random_key(&rng, r.key);
			random_key(&rng, r.end);
			if (rng_chance(&rng, 1, 2)) /* short ones */
				snprintf(r.end, sizeof(r.end), "%.9s~", r.key);
			memtable_range_delete(g, SLICE_STR(r.key), SLICE_STR(r.end));
			if (strcmp(r.key, r.end) < 0)
				naive_add(&m, &r);
		}
		memtable_group_free(g);
	}
	for (int i = 0; i < 2000; i++) {
		uint64_t view = rng_range(&rng, 1, 310), floor = rng_below(&rng, view), want = 0;
		struct versions v;
		char key[12];

		random_key(&rng, key);
		for (size_t k = 0; k < m.n; k++)
			if (strcmp(m.recs[k].key, key) <= 0 && strcmp(key, m.recs[k].end) < 0 &&
				m.recs[k].group > floor && m.recs[k].group <= view &&
				m.recs[k].group > want)
				want = m.recs[k].group;
		versions_init(&v, SLICE_STR(key), view);
		ck_assert_int_eq(memtable_get(t, floor, &v), 0);
		ck_assert_uint_eq(v.cover, want);
		versions_done(&v);
	}
	memtable_unref(t);
	naive_done(&m);
}
END_TEST

/* A range delete of its own group takes a record away, and a later record of that group stays. */
START_TEST(range_in_its_group)
{
	struct memtable *t = memtable_new(NULL);
	struct memtable_group *a = memtable_group_new(t, 1), *b = memtable_group_new(t, 2);
	uint8_t one[8] = {1}, two[8] = {2};
	struct versions v;
	struct slice value;
	struct buf block = BUF_INIT;
	struct block_iter it;

	ck_assert_int_eq(memtable_reserve(a, 100, 4), 0);
	ck_assert_int_eq(memtable_reserve(b, 100, 6), 0);
	memtable_add(a, RECORD_PUT, SLICE_STR("k"), SLICE(one, 8));
	memtable_add(b, RECORD_PUT, SLICE_STR("k"), SLICE(two, 8));
	ck_assert_uint_eq(memtable_group_count(b), 1);
	ck_assert_uint_eq(memtable_group_bytes(b), 9);
	memtable_range_delete(b, SLICE_STR("a"), SLICE_STR("z"));
	ck_assert_uint_eq(memtable_group_count(b), 1);
	ck_assert_uint_eq(memtable_group_bytes(b), 2);
	ck_assert_int_eq(memtable_group_find(b, SLICE_STR("k"), &value), 0);
	ck_assert_int_eq(memtable_group_find(a, SLICE_STR("k"), &value), RECORD_PUT);
	versions_init(&v, SLICE_STR("k"), GROUP_NOW);
	ck_assert_int_eq(memtable_get(t, 0, &v), 0);
	ck_assert(v.n == 0 && v.deleted);
	versions_done(&v);
	versions_init(&v, SLICE_STR("k"), 1);
	ck_assert_int_eq(memtable_get(t, 0, &v), 0);
	ck_assert_uint_eq(v.n, 1);
	versions_done(&v);
	memtable_add(b, RECORD_DELTA, SLICE_STR("k"), SLICE(two, 8));
	versions_init(&v, SLICE_STR("k"), GROUP_NOW);
	ck_assert_int_eq(memtable_get(t, 0, &v), 0);
	ck_assert(v.n == 1 && v.ended && v.recs[0].op == RECORD_DELTA);
	versions_done(&v);
	memtable_group_close(b);
	ck_assert_int_eq(memtable_group_encode(b, &block), 0);
	ck_assert_int_eq(block_iter_init(&it, buf_slice(&block)), 0);
	ck_assert_int_eq(block_iter_first(&it), 0);
	ck_assert_int_eq(it.rec.op, RECORD_RANGE);
	ck_assert_int_eq(block_iter_next(&it), 0);
	ck_assert_int_eq(it.rec.op, RECORD_DELTA);
	ck_assert_int_eq(block_iter_next(&it), 0);
	ck_assert(!it.valid);
	buf_done(&block);
	memtable_group_free(a);
	memtable_group_free(b);
	memtable_unref(t);
}
END_TEST

/* What was reserved can be added, whatever the sizes; what was not used goes back. */
START_TEST(reservations)
{
	struct rng rng = fixture_rng();
	struct budget *budget = budget_new(64 << 20);
	struct memtable *t = memtable_new(budget);
	uint8_t *value = calloc(1, RECORD_VALUE_MAX);

	for (uint64_t group = 1; group <= 20; group++) {
		struct memtable_group *g = memtable_group_new(t, group);
		size_t n = 1 + rng_below(&rng, 30), bytes = 0, sizes[30];

		for (size_t i = 0; i < n; i++) {
			sizes[i] = rng_chance(&rng, 1, 15) ? RECORD_VALUE_MAX - rng_below(&rng, 30)
							   : rng_below(&rng, 300);
			bytes += 4 + sizes[i];
		}
		ck_assert_int_eq(memtable_reserve(g, bytes, n + 1), 0);
		for (size_t i = 0; i < n; i++) {
			char key[12];

			random_key(&rng, key);
			memtable_add(g, RECORD_PUT, SLICE_STR(key), SLICE(value, sizes[i]));
		}
		if (group % 2)
			memtable_unreserve(g, 0, 1);
		memtable_group_close(g);
		ck_assert_uint_eq(budget_used(budget, BUDGET_MEMTABLE), memtable_bytes(t));
		memtable_group_free(g);
	}
	free(value);
	memtable_unref(t);
	budget_free(budget);
}
END_TEST

/* ---- readers beside a writer ---- */

#define RACE_KEYS 64
#define RACE_GROUPS 400

struct race {
	struct memtable *t;
	_Atomic uint64_t done; /* groups that are complete */
};

/* Each group puts its number under all keys; a reader never sees less than what was complete when
 * it began. */
static void read_race(void *arg)
{
	struct race *r = arg;
	uint64_t done = 0;
	unsigned k = 0;

	while (done < RACE_GROUPS) {
		struct versions v;
		char key[12];

		done = atomic_load(&r->done);
		snprintf(key, sizeof(key), "k%02u", k++ % RACE_KEYS);
		versions_init(&v, SLICE_STR(key), GROUP_NOW);
		ck_assert_int_eq(memtable_get(r->t, 0, &v), 0);
		ck_assert(done == 0 || v.n || v.deleted);
		if (v.n) {
			uint64_t sum = 0;

			for (size_t i = 0; i < v.n; i++)
				sum += sum_number(v.recs[i].value);
			ck_assert_uint_ge(v.recs[0].group, done);
			/* Puts say the group; a delta adds 0 to what its predecessor said. */
			ck_assert_uint_ge(sum, done - done % 10);
		}
		versions_done(&v);
		if (k % 100 == 0) {
			struct iter *it;
			struct buf last = BUF_INIT;

			ck_assert_int_eq(memtable_iter_new(r->t, 0, false, &it), 0);
			ck_assert_int_eq(iter_seek(it, SLICE_STR("k10"), NULL), 0);
			while (it->valid) {
				ck_assert(slice_cmp(buf_slice(&last), it->rec.key) <= 0);
				buf_clear(&last);
				ck_assert_int_eq(buf_append_slice(&last, it->rec.key), 0);
				ck_assert_int_eq(iter_next(it, NULL), 0);
			}
			iter_close(it);
			buf_done(&last);
		}
	}
}

START_TEST(readers_beside_a_writer)
{
	struct race race = {.t = memtable_new(NULL)};
	struct thread threads[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(thread_start(&threads[i], "reader", read_race, &race), 0);
	for (uint64_t group = 1; group <= RACE_GROUPS; group++) {
		struct memtable_group *g = memtable_group_new(race.t, group);

		ck_assert_int_eq(memtable_reserve(g, RACE_KEYS * 22 + 2, RACE_KEYS * 2 + 1), 0);
		if (group % 10 == 0)
			memtable_range_delete(g, SLICE_STR("k"), SLICE_STR("l"));
		for (unsigned k = 0; k < RACE_KEYS; k++) {
			char key[12];
			uint8_t value[8];

			snprintf(key, sizeof(key), "k%02u", k);
			if (group % 10 == 0 || group == 1) {
				put_le64(value, 2 * group); /* replaced within the group, and seen
							       until then */
				memtable_add(g, RECORD_PUT, SLICE_STR(key), SLICE(value, 8));
				put_le64(value, group);
				memtable_add(g, RECORD_PUT, SLICE_STR(key), SLICE(value, 8));
			} else {
				put_le64(value, 0);
				memtable_add(g, RECORD_DELTA, SLICE_STR(key), SLICE(value, 8));
			}
		}
		memtable_group_free(g);
		atomic_store(&race.done, group);
	}
	for (int i = 0; i < 2; i++)
		thread_join(&threads[i]);
	memtable_unref(race.t);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("memtable");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, random_groups);
	tcase_add_test(t, many_ranges);
	tcase_add_test(t, range_in_its_group);
	tcase_add_test(t, reservations);
	tcase_add_test(t, readers_beside_a_writer);
	return t;
}

int main(void)
{
	return run_suite(make, "index-memtable");
}
