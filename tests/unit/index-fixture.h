/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_INDEX_FIXTURE_H
#define TESTS_UNIT_INDEX_FIXTURE_H
/*
 * What the tests of core/index share: a toy kind of value with deltas and references, and a naive
 * model that keeps every record that was ever written in a list.
 *
 * Values are numbers of 8 bytes, perhaps followed by padding. A put says what the number is, a
 * delta what to add to it, modulo 1000. A version refers to as many bytes as its number, in the
 * segment that the last byte of the key picks. Keys of more than two bytes have their first two as
 * filter prefix.
 */
#include "core/base/bytes.h"
#include "core/index/index_internal.h"
#include "core/index/merge.h"
#include "core/store/stats.h"
#include "tests/unit/seal-fixture.h"

#define SUM_MODULO 1000
#define NAIVE_SEGMENTS 4

static inline uint64_t sum_number(struct slice v)
{
	return v.len >= 8 ? get_le64(v.data) : UINT64_MAX;
}

static inline int sum_fold(const struct record *versions, size_t n, bool complete, struct buf *out,
	enum record_op *ret_op)
{
	uint64_t sum = 0;

	ck_assert_uint_gt(n, 0);
	for (size_t i = 0; i < n; i++) {
		if (versions[i].value.len < 8)
			return -EBADMSG;
		ck_assert(versions[i].op == RECORD_DELTA ||
			  (versions[i].op == RECORD_PUT && i == n - 1));
		ck_assert(i == 0 || versions[i].group < versions[i - 1].group);
		sum = (sum + sum_number(versions[i].value)) % SUM_MODULO;
	}
	*ret_op = complete || versions[n - 1].op == RECORD_PUT ? RECORD_PUT : RECORD_DELTA;
	return buf_append_le64(out, sum);
}

static inline int sum_references(const struct record *r, int sign, struct segment_refs *refs)
{
	if (r->op != RECORD_PUT && r->op != RECORD_DELTA)
		return 0;
	if (r->value.len < 8)
		return -EBADMSG;
	return segment_refs_add(refs, 1, r->key.data[r->key.len - 1] % NAIVE_SEGMENTS,
		sign * (int64_t)(sum_number(r->value) % SUM_MODULO));
}

static inline size_t sum_prefix(struct slice key, uint8_t *out)
{
	if (key.len < 2)
		return 0;
	memcpy(out, key.data, 2);
	return 2;
}

static const struct index_fold sums = {
	.fold = sum_fold, .references = sum_references, .filter_prefix = sum_prefix};

/* ---- the naive model ---- */

struct naive_record {
	char key[12], end[12]; /* strings; `end` of range deletes */
	uint64_t group, number;
	enum record_op op;
};

struct naive {
	struct naive_record *recs; /* in no particular order */
	size_t n, cap;
};

static inline void naive_add(struct naive *m, const struct naive_record *r)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->recs = realloc(m->recs, m->cap * sizeof(*m->recs));
		ck_assert_ptr_nonnull(m->recs);
	}
	m->recs[m->n++] = *r;
}

static inline void naive_done(struct naive *m)
{
	free(m->recs);
	*m = (struct naive){0};
}

/* True and the number, when the view sees the key. */
static inline bool naive_get(const struct naive *m, uint64_t view, const char *key, uint64_t *ret)
{
	uint64_t cover = 0, sum = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct naive_record *r = &m->recs[i];

		if (r->op == RECORD_RANGE && r->group <= view && strcmp(r->key, key) <= 0 &&
			strcmp(key, r->end) < 0 && r->group > cover)
			cover = r->group;
	}
	uint64_t below = UINT64_MAX;
	bool any = false;

	for (;;) {
		const struct naive_record *newest = NULL;

		for (size_t i = 0; i < m->n; i++) {
			const struct naive_record *r = &m->recs[i];

			if (r->op != RECORD_RANGE && r->group <= view && r->group < below &&
				r->group >= cover && strcmp(r->key, key) == 0 &&
				(!newest || r->group > newest->group))
				newest = r;
		}
		if (!newest || newest->op == RECORD_DELETE)
			break;
		any = true;
		sum = (sum + newest->number) % SUM_MODULO;
		if (newest->op == RECORD_PUT) {
			break;
		}
		below = newest->group;
	}
	*ret = sum;
	return any;
}

/* Takes away the point record of this key and group, if there is one. */
static inline void naive_remove(struct naive *m, const char *first, const char *end, uint64_t group)
{
	for (size_t i = 0; i < m->n;) {
		const struct naive_record *r = &m->recs[i];

		if (r->op != RECORD_RANGE && r->group == group && strcmp(first, r->key) <= 0 &&
			strcmp(r->key, end) < 0)
			m->recs[i] = m->recs[--m->n];
		else
			i++;
	}
}

static inline bool naive_has(const struct naive *m, const char *key, uint64_t group)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->recs[i].op != RECORD_RANGE && m->recs[i].group == group &&
			strcmp(m->recs[i].key, key) == 0)
			return true;
	return false;
}

/* As stored; the value is in `value`, of 8 bytes. */
static inline struct record naive_record(const struct naive_record *r, uint8_t value[8])
{
	put_le64(value, r->number);
	return (struct record){SLICE_STR(r->key), r->group, r->op,
		r->op == RECORD_RANGE	 ? SLICE_STR(r->end)
		: r->op == RECORD_DELETE ? SLICE(NULL, 0)
					 : SLICE(value, 8)};
}

static inline int naive_cmp(const void *a, const void *b)
{
	const struct naive_record *x = a, *y = b;
	uint8_t value[8];
	struct record rx = naive_record(x, value), ry = naive_record(y, value);

	return iter_cmp(&rx, &ry);
}

/* ---- an iterator over a sorted list of naive records, without range deletes that begin before a
 * seek ---- */

struct naive_iter {
	struct iter iter;
	const struct naive_record *recs;
	size_t n, at;
	uint8_t value[8];
};

static inline void naive_iter_set(struct naive_iter *i)
{
	i->iter.valid = i->at < i->n;
	if (i->iter.valid)
		i->iter.rec = naive_record(&i->recs[i->at], i->value);
}

static inline int naive_iter_seek(struct iter *it, struct slice key, struct error *err)
{
	struct naive_iter *i = (struct naive_iter *)it;

	(void)err;
	for (i->at = 0; i->at < i->n && slice_cmp(SLICE_STR(i->recs[i->at].key), key) < 0; i->at++)
		;
	naive_iter_set(i);
	return 0;
}

static inline int naive_iter_next(struct iter *it, struct error *err)
{
	struct naive_iter *i = (struct naive_iter *)it;

	(void)err;
	i->at++;
	naive_iter_set(i);
	return 0;
}

static inline void naive_iter_close(struct iter *it)
{
	free(it);
}

static const struct iter_ops naive_iter_ops = {
	.seek = naive_iter_seek, .next = naive_iter_next, .close = naive_iter_close};

/* `recs` stay the caller's and are sorted by naive_cmp. */
static inline struct iter *naive_iter_new(const struct naive_record *recs, size_t n)
{
	struct naive_iter *i = calloc(1, sizeof(*i));

	ck_assert_ptr_nonnull(i);
	i->iter.ops = &naive_iter_ops;
	i->recs = recs;
	i->n = n;
	return &i->iter;
}

/* ---- tables ---- */

/* A volume in memory, with all that tables need. */
struct shop {
	struct store *store; /* counts requests */
	struct volume_keys *keys;
	struct budget *budget;
	struct block_cache *cache;
	struct table_pool *pool;
	uint64_t counter;
};

static inline void shop_open(struct shop *s, uint64_t cache_bytes, uint64_t body_bytes)
{
	*s = (struct shop){0};
	s->store = stats_new(fixture_store());
	s->keys = fixture_keys(s->store);
	s->budget = budget_new(64 << 20);
	s->cache = block_cache_new(s->budget, cache_bytes);
	s->pool = table_pool_new(s->store, s->keys, s->budget, s->cache, body_bytes);
	ck_assert(s->budget && s->cache && s->pool);
}

static inline void shop_close(struct shop *s)
{
	table_pool_free(s->pool);
	block_cache_free(s->cache);
	budget_free(s->budget);
	keys_free(s->keys);
	store_close(s->store);
}

static inline struct table_writer *shop_writer(
	struct shop *s, uint64_t block_bytes, const uint64_t *pins, size_t npins)
{
	struct table_writer_options o = {.store = s->store,
		.keys = s->keys,
		.fold = &sums,
		.budget = s->budget,
		.table_bytes = 4 << 20,
		.block_bytes = block_bytes,
		.codec = {.codec = CODEC_LZ4},
		.pins = pins,
		.npins = npins};
	struct table_writer *w = NULL;
	struct error err = {0};
	int r = table_writer_new(&o, (struct table_id){1, s->counter++}, NULL, &w, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	return w;
}

static inline void shop_add(struct table_writer *w, const char *key, uint64_t group,
	enum record_op op, struct slice value)
{
	struct record r = {SLICE_STR(key), group, op, value};

	ck_assert_int_eq(table_writer_add(w, &r, NULL), 0);
}

/* Ends the table and opens a handle of it. */
static inline struct table *shop_finish(
	struct shop *s, struct table_writer *w, const struct segment_refs *dropped)
{
	struct table_meta m;
	struct error err = {0};
	int r = table_writer_finish(w, dropped, &m, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	table_writer_free(w);
	struct table *t = table_new(s->pool, &m);

	ck_assert_ptr_nonnull(t);
	buf_done(&m.first);
	buf_done(&m.last);
	return t;
}

static inline uint64_t shop_gets(struct shop *s)
{
	struct stats st;

	stats_snapshot(s->store, &st);
	return st.count[STORE_GET][STORE_CLASS_TABLE].calls;
}

#endif
