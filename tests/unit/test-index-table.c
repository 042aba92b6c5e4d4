/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/filter.h"
#include "core/index/range_cut.h"
#include "core/store/mem.h"
#include "tests/unit/index-fixture.h"

#define KEYS 1500

/* What lookups and iterators of a table say, against the records that went in. */
static void check_get(struct table *t, const struct naive *m, const char *key, uint64_t view)
{
	struct versions v;
	uint64_t want, sum = 0;
	bool has = naive_get(m, view, key, &want);

	versions_init(&v, SLICE_STR(key), view);
	ck_assert_int_eq(table_get(t, filter_hash(v.key), 0, &v, NULL), 0);
	for (size_t i = 0; i < v.n; i++)
		sum = (sum + sum_number(v.recs[i].value)) % SUM_MODULO;
	ck_assert_msg(has == (v.n > 0) && (!has || sum == want), "key %s, view %llu", key,
		(unsigned long long)view);
	versions_done(&v);
}

/* All records from `from` on; range deletes as fragments, which are only counted. */
static void check_iter(struct table *t, const struct naive *m, const char *from, unsigned flags)
{
	struct naive_record *points = calloc(m->n + 1, sizeof(*points));
	size_t n = 0, at = 0;
	struct iter *it;
	struct buf last = BUF_INIT;

	for (size_t i = 0; i < m->n; i++)
		if (m->recs[i].op != RECORD_RANGE && strcmp(m->recs[i].key, from) >= 0)
			points[n++] = m->recs[i];
	qsort(points, n, sizeof(*points), naive_cmp);
	ck_assert_int_eq(table_iter_new(t, SLICE(NULL, 0), flags, &it), 0);
	ck_assert_int_eq(iter_seek(it, SLICE_STR(from), NULL), 0);
	while (it->valid) {
		ck_assert(slice_cmp(buf_slice(&last), it->rec.key) <= 0);
		buf_clear(&last);
		ck_assert_int_eq(buf_append_slice(&last, it->rec.key), 0);
		if (it->rec.op != RECORD_RANGE) {
			uint8_t value[8];
			struct record want;

			ck_assert_uint_lt(at, n);
			want = naive_record(&points[at++], value);
			ck_assert(slice_eq(want.key, it->rec.key) && want.group == it->rec.group &&
				  want.op == it->rec.op && slice_eq(want.value, it->rec.value));
		}
		ck_assert_int_eq(iter_next(it, NULL), 0);
	}
	ck_assert_uint_eq(at, flags & TABLE_RANGES_ONLY ? 0 : n);
	iter_close(it);
	buf_done(&last);
	free(points);
}

static void random_key(struct rng *rng, char key[12])
{
	snprintf(key, 12, "%02u-%05u", (unsigned)rng_below(rng, 7),
		(unsigned)rng_below(rng, KEYS) % 100000);
}

static void fill(struct rng *rng, struct naive *m, size_t points, size_t ranges)
{
	for (size_t i = 0; i < points; i++) {
		struct naive_record r = {.group = rng_range(rng, 1, 20),
			.number = rng_below(rng, SUM_MODULO),
			.op = (enum record_op)rng_range(rng, RECORD_PUT, RECORD_DELTA)};

		random_key(rng, r.key);
		if (!naive_has(m, r.key, r.group))
			naive_add(m, &r);
	}
	for (size_t i = 0; i < ranges; i++) {
		struct naive_record r = {.group = rng_range(rng, 1, 20), .op = RECORD_RANGE};

		random_key(rng, r.key);
		random_key(rng, r.end);
		if (strcmp(r.key, r.end) < 0)
			naive_add(m, &r);
	}
}

static struct table *table_of(struct shop *s, const struct naive *m, uint64_t block_bytes,
	const uint64_t *pins, size_t npins)
{
	struct naive_record *sorted = malloc((m->n + 1) * sizeof(*sorted));
	struct table_writer *w = shop_writer(s, block_bytes, pins, npins);

	memcpy(sorted, m->recs, m->n * sizeof(*sorted));
	qsort(sorted, m->n, sizeof(*sorted), naive_cmp);
	for (size_t i = 0; i < m->n; i++) {
		uint8_t value[8];
		struct record r = naive_record(&sorted[i], value);

		ck_assert_int_eq(table_writer_add(w, &r, NULL), 0);
	}
	free(sorted);
	return shop_finish(s, w, NULL);
}

START_TEST(random_tables)
{
	static const uint64_t pins[] = {4, 9, 15};
	struct rng rng = fixture_rng();
	struct shop s;

	shop_open(&s, 256 << 10, 1 << 20);
	for (int round = 0; round < 8; round++) {
		struct naive m = {0};
		size_t npins = round % 2 ? 3 : 0;

		fill(&rng, &m, 1 + rng_below(&rng, 1200), rng_below(&rng, 20));
		struct table *t = table_of(&s, &m, 64 << rng_below(&rng, 5), pins, npins);

		for (int i = 0; i < 400; i++) {
			char key[12];

			random_key(&rng, key);
			check_get(t, &m, key, npins ? pins[rng_below(&rng, 3)] : GROUP_NOW);
			check_get(t, &m, key, GROUP_NOW);
			if (i % 40 == 0) {
				check_iter(t, &m, key, 0);
				check_iter(t, &m, key, TABLE_BULK);
				check_iter(t, &m, key, TABLE_RANGES_ONLY);
			}
		}
		table_unref(t);
		naive_done(&m);
	}
	shop_close(&s);
}
END_TEST

/* The versions of one key go on from block to block. */
START_TEST(long_keys)
{
	struct shop s;
	struct naive m = {0};

	shop_open(&s, 256 << 10, 1 << 20);
	for (uint64_t group = 1; group <= 200; group++)
		for (unsigned k = 0; k < 3; k++) {
			struct naive_record r = {.group = group,
				.number = group,
				.op = group % 70 ? RECORD_DELTA : RECORD_PUT};

			snprintf(r.key, sizeof(r.key), "k%u", k);
			naive_add(&m, &r);
		}
	struct table *t = table_of(&s, &m, 128, NULL, 0);

	for (uint64_t view = 1; view <= 200; view++)
		check_get(t, &m, view % 2 ? "k1" : "k2", view);
	check_iter(t, &m, "k1", 0);
	check_get(t, &m, "k11", GROUP_NOW);
	table_unref(t);
	naive_done(&m);
	shop_close(&s);
}
END_TEST

/* Pairs of fragments against the ranges they came from, at every key. */
START_TEST(fragments)
{
	struct rng rng = fixture_rng();

	for (int round = 0; round < 300; round++) {
		struct naive m = {0};
		uint64_t pins[3], n, groups;
		size_t npins = rng_below(&rng, 4), nfragments;
		struct buf plain = BUF_INIT, last = BUF_INIT;
		struct table_fragment *f;
		struct record recs[12];
		uint8_t value[8];

		pins[0] = rng_range(&rng, 1, 6);
		pins[1] = pins[0] + rng_range(&rng, 1, 5);
		pins[2] = pins[1] + rng_range(&rng, 1, 5);
		for (size_t i = rng_below(&rng, 12); i > 0; i--) {
			struct naive_record r = {
				.op = RECORD_RANGE, .group = rng_range(&rng, 1, 16)};

			r.key[0] = (char)rng_range(&rng, 'a', 'n');
			r.end[0] = (char)rng_range(&rng, r.key[0] + 1, 'o');
			naive_add(&m, &r);
		}
		if (m.n)
			qsort(m.recs, m.n, sizeof(*m.recs), naive_cmp);
		for (size_t i = 0; i < m.n; i++)
			recs[i] = naive_record(&m.recs[i], value);
		ck_assert_int_eq(range_cut(recs, m.n, pins, npins, &plain, &n, &last), 0);
		ck_assert_int_eq(table_ranges_decode(buf_slice(&plain), &f, &nfragments, NULL), 0);
		ck_assert_uint_eq(n, nfragments);
		for (char k = 'a'; k < 'p'; k++)
			for (groups = 0; groups <= npins; groups++) {
				uint64_t view = groups < npins ? pins[groups] : GROUP_NOW, want = 0,
					 is = 0;

				for (size_t i = 0; i < m.n; i++)
					if (m.recs[i].key[0] <= k && k < m.recs[i].end[0] &&
						m.recs[i].group <= view && m.recs[i].group > want)
						want = m.recs[i].group;
				for (size_t i = 0; i < n; i++)
					if (f[i].first.data[0] <= k && k < f[i].end.data[0])
						for (size_t g = f[i].ngroups; g-- > 0;)
							if (f[i].groups[g] <= view)
								is = f[i].groups[g];
				ck_assert_uint_eq(is, want);
			}
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_le(f[i].ngroups, npins + 1);
		free(f);
		buf_done(&plain);
		buf_done(&last);
		naive_done(&m);
	}
}
END_TEST

START_TEST(splits_range_deletes)
{
	struct shop s;

	shop_open(&s, 64 << 10, 1 << 20);
	struct table_writer *a = shop_writer(&s, 256, NULL, 0), *b;
	struct table_writer_options o = {.store = s.store,
		.keys = s.keys,
		.budget = s.budget,
		.table_bytes = 4 << 20,
		.block_bytes = 256};
	struct table *ta, *tb;
	struct naive m = {0};
	const struct naive_record ranges[] = {{"b", "d", 5, 0, RECORD_RANGE},
		{"c", "x", 7, 0, RECORD_RANGE}, {"p", "q", 9, 0, RECORD_RANGE}};

	shop_add(a, "c", 3, RECORD_DELETE, SLICE(NULL, 0));
	for (int i = 0; i < 3; i++) {
		shop_add(a, ranges[i].key, ranges[i].group, RECORD_RANGE, SLICE_STR(ranges[i].end));
		naive_add(&m, &ranges[i]);
	}
	ck_assert_int_eq(table_writer_new(&o, (struct table_id){1, 99}, a, &b, NULL), 0);
	ck_assert_int_eq(table_writer_split(a, SLICE_STR("m"), b), 0);
	ta = shop_finish(&s, a, NULL);
	tb = shop_finish(&s, b, NULL);
	ck_assert(slice_eq(buf_slice(&table_meta(ta)->first), SLICE_STR("b")));
	ck_assert(slice_eq(buf_slice(&table_meta(ta)->last), SLICE_STR("m")));
	ck_assert(slice_eq(buf_slice(&table_meta(tb)->first), SLICE_STR("m")));
	ck_assert(slice_eq(buf_slice(&table_meta(tb)->last), SLICE_STR("x")));
	ck_assert_uint_eq(table_meta(ta)->group_low, 3);
	ck_assert_uint_eq(table_meta(ta)->group_high, 7);
	ck_assert_uint_eq(table_meta(tb)->group_low, 7);
	ck_assert_uint_eq(table_meta(tb)->group_high, 9);
	for (char k = 'a'; k < 'z'; k++) {
		char key[2] = {k, 0};
		struct versions v;
		uint64_t want = k >= 'p' && k < 'q'   ? 9
				: k >= 'c' && k < 'x' ? 7
				: k >= 'b' && k < 'd' ? 5
						      : 0;

		versions_init(&v, SLICE_STR(key), GROUP_NOW);
		ck_assert_int_eq(table_get(k < 'm' ? ta : tb, filter_hash(v.key), 0, &v, NULL), 0);
		ck_assert_uint_eq(v.cover, want);
		versions_done(&v);
	}
	table_unref(ta);
	table_unref(tb);
	naive_done(&m);
	shop_close(&s);
}
END_TEST

/* A merge that leaves nothing must still say what it dropped. */
START_TEST(only_dropped_references)
{
	struct shop s;
	struct segment_refs dropped = {0}, got = {0};
	struct table_properties p;

	shop_open(&s, 64 << 10, 1 << 20);
	struct table_writer *w = shop_writer(&s, 256, NULL, 0);
	struct table_meta m;

	ck_assert_int_eq(table_writer_finish(w, NULL, &m, NULL), -EINVAL);
	table_writer_free(w);
	w = shop_writer(&s, 256, NULL, 0);
	ck_assert(table_writer_empty(w));
	ck_assert_int_eq(table_writer_cover(w, SLICE_STR("k")), 0);
	ck_assert_int_eq(segment_refs_add(&dropped, 3, 4, -4096), 0);
	ck_assert_int_eq(segment_refs_add(&dropped, 1, 1ull << 40, INT64_MAX), 0);
	struct table *t = shop_finish(&s, w, &dropped);

	ck_assert_int_eq(table_dropped(t, &got, NULL), 0);
	ck_assert_int_eq(table_dropped(t, &got, NULL), 0);
	ck_assert_uint_eq(got.n, 2);
	ck_assert_int_eq(got.refs[1].bytes, -8192);
	ck_assert_int_eq(table_counts(t, &p, NULL), 0);
	ck_assert_uint_eq(p.puts + p.deletes + p.deltas + p.ranges, 0);
	segment_refs_done(&got);
	segment_refs_done(&dropped);
	table_unref(t);
	shop_close(&s);
}
END_TEST

/* Requests: one to open a small table, two when the tail is long, one for each block that is not
 * cached. */
START_TEST(requests)
{
	struct shop s;
	struct versions v;
	struct table *t[2];

	shop_open(&s, 64 << 20, 64 << 20);
	for (int big = 0; big < 2; big++) {
		struct table_writer *w = shop_writer(&s, 512, NULL, 0);

		for (unsigned i = 0; i < (big ? 40000 : 10); i++) {
			char key[12];
			uint8_t value[40];

			snprintf(key, sizeof(key), "k%07u", i);
			memset(value, (int)(i * 2654435761u >> 24), sizeof(value));
			put_le64(value, i % SUM_MODULO);
			shop_add(w, key, 7, RECORD_PUT, SLICE(value, sizeof(value)));
		}
		t[big] = shop_finish(&s, w, NULL);
		uint64_t gets = shop_gets(&s);

		versions_init(&v, SLICE_STR("k0000003"), GROUP_NOW);
		ck_assert_int_eq(table_get(t[big], filter_hash(v.key), TABLE_CACHED, &v, NULL),
			-EWOULDBLOCK);
		ck_assert_int_eq(table_get(t[big], filter_hash(v.key), 0, &v, NULL), 0);
		ck_assert_uint_eq(v.n, 1);
		versions_done(&v);
		ck_assert_uint_eq(shop_gets(&s) - gets, big ? 3 : 2);
		versions_init(&v, SLICE_STR("k0000003"), GROUP_NOW);
		ck_assert_int_eq(table_get(t[big], filter_hash(v.key), TABLE_CACHED, &v, NULL), 0);
		versions_done(&v);
		/* A key that is not there: the filter knows, mostly. */
		for (unsigned i = 0; i < 100; i++) {
			char key[16];

			snprintf(key, sizeof(key), "k%07u.", i % 9);
			versions_init(&v, SLICE_STR(key), GROUP_NOW);
			ck_assert_int_eq(table_get(t[big], filter_hash(v.key), 0, &v, NULL), 0);
			versions_done(&v);
		}
		ck_assert_uint_le(shop_gets(&s) - gets, 6);
	}
	ck_assert_uint_ge(table_pool_filter_skips(s.pool), 150);
	/* A scan reads runs of blocks, a merge even longer ones. */
	for (int bulk = 1; bulk >= 0; bulk--) {
		uint64_t gets = shop_gets(&s);
		struct iter *it;
		size_t n = 0;

		ck_assert_int_eq(
			table_iter_new(t[1], SLICE(NULL, 0), bulk ? TABLE_BULK : 0, &it), 0);
		ck_assert_int_eq(iter_seek(it, SLICE(NULL, 0), NULL), 0);
		for (; it->valid; n++)
			ck_assert_int_eq(iter_next(it, NULL), 0);
		iter_close(it);
		ck_assert_uint_eq(n, 40000);
		ck_assert_uint_le(shop_gets(&s) - gets, bulk ? 4 : 100);
	}
	table_unref(t[0]);
	table_unref(t[1]);
	shop_close(&s);
}
END_TEST

/* Bodies above the pool's limit are closed, and opened again when they are wanted. */
START_TEST(pool_limit)
{
	struct shop s;
	struct table *t[6];

	shop_open(&s, 64 << 10, 40000);
	for (int i = 0; i < 6; i++) {
		struct table_writer *w = shop_writer(&s, 256, NULL, 0);

		for (unsigned k = 0; k < 3000; k++) {
			char key[12];
			uint8_t value[8];

			snprintf(key, sizeof(key), "%u", 10000 + k);
			put_le64(value, k % SUM_MODULO);
			shop_add(w, key, (uint64_t)i + 1, RECORD_PUT, SLICE(value, 8));
		}
		t[i] = shop_finish(&s, w, NULL);
	}
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 6; i++) {
			struct versions v;

			versions_init(&v, SLICE_STR("10007"), GROUP_NOW);
			ck_assert_int_eq(table_get(t[i], filter_hash(v.key), 0, &v, NULL), 0);
			ck_assert_uint_eq(v.n, 1);
			ck_assert_uint_eq(sum_number(v.recs[0].value), 7);
			versions_done(&v);
			/* one body over the limit at most, and the blocks */
			ck_assert_uint_le(
				budget_used(s.budget, BUDGET_CACHE), 40000 + 40000 + (64 << 10));
		}
	for (int i = 0; i < 6; i++)
		table_unref(t[i]);
	shop_close(&s);
}
END_TEST

/* ---- damage ---- */

/* Reads everything of the object `key` as if it were that table: right, or -EBADMSG. */
static int read_damaged(struct shop *s, const struct table_meta *meta, const struct naive *m)
{
	struct table *t = table_new(s->pool, meta);
	struct iter *it;
	size_t points = 0, want = 0;
	int r;

	for (size_t i = 0; i < m->n; i++)
		want += m->recs[i].op != RECORD_RANGE;
	ck_assert_int_eq(table_iter_new(t, SLICE(NULL, 0), TABLE_BULK, &it), 0);
	r = iter_seek(it, SLICE(NULL, 0), NULL);
	while (r == 0 && it->valid) {
		if (it->rec.op != RECORD_RANGE) {
			uint8_t value[8];
			struct record w = naive_record(&m->recs[points++], value);

			ck_assert(slice_eq(w.key, it->rec.key) && w.group == it->rec.group &&
				  w.op == it->rec.op && slice_eq(w.value, it->rec.value));
		}
		r = iter_next(it, NULL);
	}
	ck_assert_msg(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT, "%d", r);
	ck_assert(r < 0 || points == want);
	iter_close(it);
	table_unref(t);
	return r;
}

START_TEST(damage)
{
	struct rng rng = fixture_rng();
	struct shop s;
	struct naive m = {0};
	struct buf object = BUF_INIT;
	char key[TABLE_KEY_BYTES];

	shop_open(&s, 1 << 20, 1 << 20);
	fill(&rng, &m, 60, 0);
	qsort(m.recs, m.n, sizeof(*m.recs), naive_cmp);
	struct table_writer *w = shop_writer(&s, 300, NULL, 0);

	for (size_t i = 0; i < m.n; i++) {
		uint8_t value[8];
		struct record r = naive_record(&m.recs[i], value);

		ck_assert_int_eq(table_writer_add(w, &r, NULL), 0);
	}
	shop_add(w, "zz", 20, RECORD_RANGE, SLICE_STR("zzz"));
	struct table_meta meta;

	ck_assert_int_eq(table_writer_finish(w, NULL, &meta, NULL), 0);
	table_writer_free(w);
	table_key(meta.id, key);
	ck_assert_int_eq(store_get_all(s.store, key, 1 << 20, &object, NULL), 0);
	ck_assert_uint_eq(object.len, meta.size);
	ck_assert_int_eq(read_damaged(&s, &meta, &m), 0);
	for (size_t len = 0; len < object.len; len += 1 + rng_below(&rng, 9)) {
		ck_assert_int_eq(store_put(s.store, key, SLICE(object.data, len), NULL), 0);
		ck_assert_int_eq(read_damaged(&s, &meta, &m), -EBADMSG);
	}
	for (size_t i = 0; i < object.len; i++) {
		uint8_t bit = (uint8_t)(1 << rng_below(&rng, 8));

		object.data[i] ^= bit;
		ck_assert_int_eq(store_put(s.store, key, buf_slice(&object), NULL), 0);
		ck_assert_msg(
			read_damaged(&s, &meta, &m) < 0, "byte %zu changed, and nobody noticed", i);
		object.data[i] ^= bit;
	}
	/* Another table in its place, and none. */
	ck_assert_int_eq(store_put(s.store, key, buf_slice(&object), NULL), 0);
	ck_assert_int_eq(read_damaged(&s, &meta, &m), 0);
	meta.salt[3] ^= 1;
	ck_assert_int_eq(read_damaged(&s, &meta, &m), -EBADMSG);
	meta.salt[3] ^= 1;
	meta.digest[3] ^= 1;
	ck_assert_int_eq(read_damaged(&s, &meta, &m), -EBADMSG);
	meta.digest[3] ^= 1;
	meta.size++;
	ck_assert_int_eq(read_damaged(&s, &meta, &m), -EBADMSG);
	ck_assert_int_eq(store_delete(s.store, key, NULL), 0);
	struct table *gone = table_new(s.pool, &meta);
	struct table_properties p;

	ck_assert_int_eq(table_counts(gone, &p, NULL), -ENOENT);
	table_unref(gone);
	buf_done(&object);
	buf_done(&meta.first);
	buf_done(&meta.last);
	naive_done(&m);
	shop_close(&s);
}
END_TEST

/* ---- decoders ---- */

static void decode_all(struct slice plain)
{
	struct table_block *blocks = NULL;
	struct table_fragment *pieces = NULL;
	struct table_properties p = {0};
	uint64_t sum = 0;
	size_t n;
	int r = table_index_decode(plain, 100000, &blocks, &n, NULL);

	ck_assert(r == 0 || r == -EBADMSG);
	for (size_t i = 0; r == 0 && i < n; i++) {
		ck_assert(blocks[i].offset >= 96 && blocks[i].offset + blocks[i].sealed <= 100000);
		sum += blocks[i].last.data[blocks[i].last.len - 1];
	}
	free(blocks);
	r = table_ranges_decode(plain, &pieces, &n, NULL);
	ck_assert(r == 0 || r == -EBADMSG);
	for (size_t i = 0; r == 0 && i < n; i++) {
		ck_assert_int_lt(slice_cmp(pieces[i].first, pieces[i].end), 0);
		ck_assert_uint_gt(pieces[i].ngroups, 0);
		for (size_t g = 0; g < pieces[i].ngroups; g++)
			sum += pieces[i].groups[g];
	}
	free(pieces);
	r = table_properties_decode(plain, &p, NULL);
	ck_assert(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	table_properties_done(&p);
	ck_assert_uint_ne(sum, UINT64_MAX); /* so that all of it is read */
}

/* Three valid parts to start from. */
static void valid_part(int which, struct buf *out)
{
	uint64_t groups[] = {9, 5, 2};
	struct table_fragment f[] = {{SLICE_STR("a"), SLICE_STR("c"), groups, 3},
		{SLICE_STR("c"), SLICE_STR("dd"), groups + 1, 1}};
	struct table_block b[] = {
		{SLICE_STR("k"), 96, 500, 900}, {SLICE_STR("k1"), 600, 77, 70000}};
	struct table_properties p = {.group_low = 2, .group_high = 300, .puts = 5, .ranges = 1};

	if (which == 0) {
		ck_assert_int_eq(buf_append_varint(out, 2), 0);
		ck_assert_int_eq(table_index_append(out, &b[0], 96), 0);
		ck_assert_int_eq(table_index_append(out, &b[1], 596), 0);
	} else if (which == 1) {
		ck_assert_int_eq(buf_append_varint(out, 2), 0);
		ck_assert_int_eq(table_fragment_append(out, &f[0]), 0);
		ck_assert_int_eq(table_fragment_append(out, &f[1]), 0);
	} else {
		ck_assert_int_eq(buf_append(&p.first, "a", 1), 0);
		ck_assert_int_eq(buf_append(&p.last, "z", 1), 0);
		ck_assert_int_eq(segment_refs_add(&p.dropped, 1, 2, -300), 0);
		ck_assert_int_eq(segment_refs_add(&p.dropped, 1, 3, 1 << 20), 0);
		ck_assert_int_eq(table_properties_encode(&p, out), 0);
		table_properties_done(&p);
	}
}

START_TEST(decoders_take_anything)
{
	struct rng rng = fixture_rng();

	for (int round = 0; round < 20000; round++) {
		struct buf plain = BUF_INIT;
		uint8_t *copy;
		size_t len;

		valid_part(round % 3, &plain);
		len = rng_chance(&rng, 1, 2) ? plain.len : rng_below(&rng, plain.len + 1);
		for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
			plain.data[rng_below(&rng, plain.len)] =
				(uint8_t)(rng_chance(&rng, 1, 3) ? 0xff : rng_below(&rng, 256));
		copy = malloc(len ? len : 1);
		memcpy(copy, plain.data, len);
		decode_all(SLICE(copy, len));
		free(copy);
		buf_done(&plain);
	}
}
END_TEST

START_TEST(decoders_give_what_was_encoded)
{
	struct buf plain = BUF_INIT, again = BUF_INIT;
	struct table_block *b;
	struct table_fragment *f;
	struct table_properties p;
	size_t n;

	valid_part(0, &plain);
	ck_assert_int_eq(table_index_decode(buf_slice(&plain), 100000, &b, &n, NULL), 0);
	ck_assert(n == 2 && b[1].offset == 600 && b[1].sealed == 77 && b[1].plain == 70000);
	ck_assert_int_eq(table_index_decode(buf_slice(&plain), 676, &b, &n, NULL), -EBADMSG);
	free(b);
	buf_clear(&plain);
	valid_part(1, &plain);
	ck_assert_int_eq(table_ranges_decode(buf_slice(&plain), &f, &n, NULL), 0);
	ck_assert(n == 2 && f[0].ngroups == 3 && f[0].groups[1] == 5 && f[1].groups[0] == 5);
	free(f);
	buf_clear(&plain);
	valid_part(2, &plain);
	ck_assert_int_eq(table_properties_decode(buf_slice(&plain), &p, NULL), 0);
	ck_assert_int_eq(table_properties_encode(&p, &again), 0);
	ck_assert(slice_eq(buf_slice(&plain), buf_slice(&again)));
	ck_assert_int_eq(p.dropped.refs[0].bytes, -300);
	table_properties_done(&p);
	buf_done(&plain);
	buf_done(&again);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("table");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, random_tables);
	tcase_add_test(t, long_keys);
	tcase_add_test(t, fragments);
	tcase_add_test(t, splits_range_deletes);
	tcase_add_test(t, only_dropped_references);
	tcase_add_test(t, requests);
	tcase_add_test(t, pool_limit);
	tcase_add_test(t, damage);
	tcase_add_test(t, decoders_take_anything);
	tcase_add_test(t, decoders_give_what_was_encoded);
	return t;
}

int main(void)
{
	return run_suite(make, "index-table");
}
