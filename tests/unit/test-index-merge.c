/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/cover.h"
#include "tests/unit/index-fixture.h"

#define KEYS 30
#define GROUPS 40
#define INPUTS 4

static void key_of(unsigned i, char key[12])
{
	snprintf(key, 12, "k%02u", i % 100);
}

/* Records of random keys; no two of one key and group. */
static void fill(struct rng *rng, struct naive *m, size_t n, unsigned ranges_of_ten)
{
	for (size_t i = 0; i < n; i++) {
		struct naive_record r = {.group = rng_range(rng, 1, GROUPS),
			.number = rng_below(rng, SUM_MODULO),
			.op = (enum record_op)rng_range(rng, RECORD_PUT, RECORD_DELTA)};

		if (rng_chance(rng, 1, 3))
			r.op = RECORD_DELTA;
		if (rng_chance(rng, ranges_of_ten, 10))
			r.op = RECORD_RANGE;
		key_of((unsigned)rng_below(rng, KEYS), r.key);
		key_of((unsigned)rng_below(rng, KEYS + 1), r.end);
		if (r.op == RECORD_RANGE ? strcmp(r.key, r.end) < 0 : !naive_has(m, r.key, r.group))
			naive_add(m, &r);
	}
}

/* Inputs newest first: each key's records are cut at random groups, as levels cut them. */
struct inputs {
	struct naive parts[INPUTS];
	size_t n;
};

static void split(struct rng *rng, const struct naive *m, struct inputs *in)
{
	uint64_t cuts[INPUTS] = {0};

	*in = (struct inputs){.n = 1 + rng_below(rng, INPUTS)};
	for (size_t i = 0; i + 1 < in->n; i++) {
		uint64_t above = i ? cuts[i - 1] : GROUPS;

		cuts[i] = rng_below(rng, above + 1);
	}
	for (size_t i = 0; i < m->n; i++) {
		size_t part = 0;

		while (part + 1 < in->n && m->recs[i].group <= cuts[part])
			part++;
		naive_add(&in->parts[part], &m->recs[i]);
	}
	for (size_t i = 0; i < in->n; i++)
		if (in->parts[i].n)
			qsort(in->parts[i].recs, in->parts[i].n, sizeof(struct naive_record),
				naive_cmp);
}

static void inputs_done(struct inputs *in)
{
	for (size_t i = 0; i < in->n; i++)
		naive_done(&in->parts[i]);
}

static void open_inputs(const struct inputs *in, struct iter **iters)
{
	for (size_t i = 0; i < in->n; i++)
		iters[i] = naive_iter_new(in->parts[i].recs, in->parts[i].n);
}

START_TEST(views)
{
	struct rng rng = fixture_rng();

	for (int round = 0; round < 300; round++) {
		struct naive m = {0};
		struct inputs in;
		struct iter *iters[INPUTS], *merged;
		struct merge_view *v;
		struct record rec = {0};
		uint64_t view = rng_chance(&rng, 1, 2) ? GROUP_NOW : rng_range(&rng, 1, GROUPS);
		int r;

		fill(&rng, &m, rng_below(&rng, 200), 1);
		split(&rng, &m, &in);
		open_inputs(&in, iters);
		ck_assert_int_eq(merge_iter_new(iters, in.n, &merged), 0);
		ck_assert_int_eq(merge_view_open(merged, view, SLICE(NULL, 0), SLICE_STR("k25"),
					 &sums, &v, NULL),
			0);
		r = merge_view_next(v, &rec, NULL);
		for (unsigned k = 0; k < 25; k++) {
			char key[12];
			uint64_t want;

			key_of(k, key);
			if (!naive_get(&m, view, key, &want))
				continue;
			ck_assert_int_eq(r, 1);
			ck_assert(slice_eq(rec.key, SLICE_STR(key)));
			ck_assert_int_eq(rec.op, RECORD_PUT);
			ck_assert_uint_eq(sum_number(rec.value) % SUM_MODULO, want);
			r = merge_view_next(v, &rec, NULL);
		}
		ck_assert_int_eq(r, 0);
		merge_view_close(v);
		inputs_done(&in);
		naive_done(&m);
	}
}
END_TEST

/* ---- compaction ---- */

static void take_record(struct naive *out, const struct record *rec)
{
	struct naive_record r = {
		.group = rec->group, .op = rec->op, .number = sum_number(rec->value) % SUM_MODULO};

	memcpy(r.key, rec->key.data, rec->key.len);
	if (rec->op == RECORD_RANGE)
		memcpy(r.end, rec->value.data, rec->value.len);
	naive_add(out, &r);
}

static void compact(const struct inputs *in, const uint64_t *pins, size_t npins, bool bottom,
	struct naive *out, struct segment_refs *dropped)
{
	struct merge_compact_options o = {
		.fold = &sums, .pins = pins, .npins = npins, .bottom = bottom};
	struct iter *iters[INPUTS];
	struct merge_compact *c;
	struct record rec;
	int r;

	open_inputs(in, iters);
	ck_assert_int_eq(merge_compact_open(iters, in->n, &o, &c, NULL), 0);
	while ((r = merge_compact_next(c, &rec, NULL)) == 1) {
		if (out->n) {
			uint8_t value[8];
			struct record last = naive_record(&out->recs[out->n - 1], value);

			ck_assert_int_lt(iter_cmp(&last, &rec), 1);
		}
		take_record(out, &rec);
	}
	ck_assert_int_eq(r, 0);
	merge_compact_take_dropped(c, dropped);
	merge_compact_close(c);
}

static void add_live(const struct naive *m, int64_t live[NAIVE_SEGMENTS], int sign)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct naive_record *r = &m->recs[i];

		if (r->op == RECORD_PUT || r->op == RECORD_DELTA)
			live[r->key[strlen(r->key) - 1] % NAIVE_SEGMENTS] +=
				sign * (int64_t)r->number;
	}
}

/* Dropped references are what the outputs refer to, minus the inputs. */
static void check_dropped(
	const struct naive *before, const struct naive *after, const struct segment_refs *dropped)
{
	int64_t live[NAIVE_SEGMENTS] = {0};

	add_live(after, live, 1);
	add_live(before, live, -1);
	for (size_t i = 0; i < dropped->n; i++)
		live[dropped->refs[i].sequence] -= dropped->refs[i].bytes;
	for (int i = 0; i < NAIVE_SEGMENTS; i++)
		ck_assert_int_eq(live[i], 0);
}

/* Every view that must stay is as it was, over whatever lies below. */
static void check_same(const struct naive *before, const struct naive *after,
	const struct naive *below, const uint64_t *pins, size_t npins)
{
	struct naive a = {0}, b = {0};

	for (size_t i = 0; i < below->n; i++) {
		naive_add(&a, &below->recs[i]);
		naive_add(&b, &below->recs[i]);
	}
	for (size_t i = 0; i < before->n; i++)
		naive_add(&a, &before->recs[i]);
	for (size_t i = 0; i < after->n; i++)
		naive_add(&b, &after->recs[i]);
	for (size_t p = 0; p <= npins; p++)
		for (unsigned k = 0; k < KEYS; k++) {
			uint64_t view = p < npins ? pins[p] : GROUP_NOW, want = 0, is = 0;
			char key[12];

			key_of(k, key);
			bool has = naive_get(&a, view, key, &want);

			ck_assert_msg(naive_get(&b, view, key, &is) == has, "key %s in view %llu",
				key, (unsigned long long)view);
			ck_assert(!has || is == want);
		}
	naive_done(&a);
	naive_done(&b);
}

/* No more than one version of a key between two pins; at the bottom nothing that says "nothing". */
static void check_small(const struct naive *out, const uint64_t *pins, size_t npins, bool bottom)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct naive_record *r = &out->recs[i];
		bool oldest = true;

		if (r->op == RECORD_RANGE) {
			ck_assert(!bottom || (npins && r->group > pins[0]));
			continue;
		}
		for (size_t k = 0; k < out->n; k++) {
			const struct naive_record *o = &out->recs[k];

			if (k == i || o->op == RECORD_RANGE || strcmp(o->key, r->key) != 0)
				continue;
			ck_assert_uint_ne(
				stripe_of(o->group, pins, npins), stripe_of(r->group, pins, npins));
			oldest = oldest && o->group > r->group;
		}
		ck_assert(!bottom || !oldest || r->op == RECORD_PUT);
	}
}

START_TEST(compaction)
{
	struct rng rng = fixture_rng();

	for (int round = 0; round < 600; round++) {
		struct naive m = {0}, below = {0}, out = {0};
		struct segment_refs dropped = {0};
		uint64_t pins[4];
		size_t npins = rng_below(&rng, 5);
		bool bottom = rng_chance(&rng, 1, 2);
		struct inputs in;

		for (size_t i = 0; i < 4; i++)
			pins[i] = rng_range(&rng, i ? pins[i - 1] : 0, GROUPS);
		fill(&rng, &m, rng_below(&rng, 250), rng_chance(&rng, 1, 2));
		/* Older records that the merge does not see: their groups lie below all of its. */
		for (unsigned k = 0; k < KEYS && !bottom; k++) {
			struct naive_record r = {.group = 0, .op = RECORD_PUT, .number = k};

			key_of(k, r.key);
			naive_add(&below, &r);
		}
		split(&rng, &m, &in);
		compact(&in, pins, npins, bottom, &out, &dropped);
		check_same(&m, &out, &below, pins, npins);
		check_small(&out, pins, npins, bottom);
		check_dropped(&m, &out, &dropped);
		segment_refs_done(&dropped);
		inputs_done(&in);
		naive_done(&m);
		naive_done(&below);
		naive_done(&out);
	}
}
END_TEST

/* A key with so many deltas that they are folded in parts. */
START_TEST(many_deltas)
{
	struct naive m = {0}, out = {0};
	struct segment_refs dropped = {0};
	uint64_t pin = 500;

	for (uint64_t group = 1; group <= 2000; group++) {
		struct naive_record r = {"k00", "", group, group % SUM_MODULO, RECORD_DELTA};

		naive_add(&m, &r);
	}
	qsort(m.recs, m.n, sizeof(*m.recs), naive_cmp);
	struct inputs in = {.parts = {m}, .n = 1};

	compact(&in, &pin, 1, false, &out, &dropped);
	ck_assert_uint_eq(out.n, 2);
	ck_assert(out.recs[0].op == RECORD_DELTA && out.recs[1].op == RECORD_DELTA);
	ck_assert(out.recs[0].group == 2000 && out.recs[1].group == 500);
	ck_assert_uint_eq(out.recs[1].number, 500 * 501 / 2 % SUM_MODULO);
	check_dropped(&m, &out, &dropped);
	segment_refs_done(&dropped);
	out.n = 0;
	compact(&in, NULL, 0, true, &out, &dropped);
	ck_assert(out.n == 1 && out.recs[0].op == RECORD_PUT);
	segment_refs_done(&dropped);
	naive_done(&m);
	naive_done(&out);
}
END_TEST

/* The same record from two inputs counts once, and records out of order are refused. */
START_TEST(odd_inputs)
{
	struct naive_record a[] = {{"k1", "", 5, 3, RECORD_DELTA}, {"k2", "", 5, 1, RECORD_PUT}};
	struct naive_record b[] = {{"k1", "", 5, 3, RECORD_DELTA}, {"k1", "", 4, 10, RECORD_PUT}};
	struct naive_record bad[] = {{"k2", "", 5, 1, RECORD_PUT}, {"k1", "", 5, 1, RECORD_PUT}};
	struct inputs in = {.parts = {{a, 2, 2}, {b, 2, 2}}, .n = 2};
	struct naive out = {0};
	struct segment_refs dropped = {0};
	struct merge_compact_options o = {.fold = &sums};
	struct iter *it = naive_iter_new(bad, 2);
	struct merge_compact *c;
	struct record rec;

	compact(&in, NULL, 0, false, &out, &dropped);
	ck_assert_uint_eq(out.n, 2);
	ck_assert_uint_eq(out.recs[0].number, 13);
	segment_refs_done(&dropped);
	naive_done(&out);
	ck_assert_int_eq(merge_compact_open(&it, 1, &o, &c, NULL), 0);
	ck_assert_int_eq(merge_compact_next(c, &rec, NULL), 1);
	ck_assert_int_eq(merge_compact_next(c, &rec, NULL), -EBADMSG);
	merge_compact_close(c);
}
END_TEST

/* ---- what is in force ---- */

START_TEST(cover)
{
	struct rng rng = fixture_rng();

	for (int round = 0; round < 300; round++) {
		struct cover c = {0};
		struct {
			char first, end;
			uint64_t group;
		} ranges[20];
		size_t n = 0;

		for (char at = 'a'; at <= 'z'; at++) {
			uint64_t want = 0;

			cover_advance(&c, SLICE(&at, 1));
			while (n < 20 && rng_chance(&rng, 1, 3)) {
				ranges[n].first = at;
				ranges[n].end = (char)rng_range(&rng, at + 1, 'z' + 1);
				ranges[n].group = rng_range(&rng, 1, 12);
				ck_assert_int_eq(
					cover_add(&c, SLICE(&ranges[n].end, 1), ranges[n].group),
					0);
				n++;
			}
			for (size_t i = 0; i < n; i++)
				if (at < ranges[i].end && ranges[i].group > want)
					want = ranges[i].group;
			ck_assert_uint_eq(cover_group(&c), want);
		}
		cover_done(&c);
	}
}
END_TEST

START_TEST(references)
{
	struct rng rng = fixture_rng();
	struct segment_refs r = {0}, twice = {0};
	int64_t want[8][8] = {{0}};

	for (int i = 0; i < 2000; i++) {
		uint64_t epoch = rng_below(&rng, 8), sequence = rng_below(&rng, 8);
		int64_t bytes = (int64_t)rng_below(&rng, 5) - 2;

		want[epoch][sequence] += bytes;
		ck_assert_int_eq(segment_refs_add(&r, epoch, sequence, bytes), 0);
		for (size_t k = 0; k < r.n; k++) {
			ck_assert_int_ne(r.refs[k].bytes, 0);
			ck_assert_int_eq(
				r.refs[k].bytes, want[r.refs[k].epoch][r.refs[k].sequence]);
			ck_assert(k == 0 || r.refs[k - 1].epoch < r.refs[k].epoch ||
				  (r.refs[k - 1].epoch == r.refs[k].epoch &&
					  r.refs[k - 1].sequence < r.refs[k].sequence));
		}
	}
	ck_assert_int_eq(segment_refs_merge(&twice, &r, 1), 0);
	ck_assert_int_eq(segment_refs_merge(&twice, &r, 1), 0);
	ck_assert_uint_eq(twice.n, r.n);
	ck_assert_int_eq(segment_refs_merge(&twice, &r, -1), 0);
	ck_assert_mem_eq(twice.refs, r.refs, r.n * sizeof(*r.refs));
	ck_assert_int_eq(segment_refs_merge(&twice, &r, -1), 0);
	ck_assert_uint_eq(twice.n, 0);
	segment_refs_done(&r);
	segment_refs_done(&twice);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("merge");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, views);
	tcase_add_test(t, compaction);
	tcase_add_test(t, many_deltas);
	tcase_add_test(t, odd_inputs);
	tcase_add_test(t, cover);
	tcase_add_test(t, references);
	return t;
}

int main(void)
{
	return run_suite(make, "index-merge");
}
