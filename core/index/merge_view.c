/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a reader sees of a merge: of each key the versions up to the view, until one ends them,
 * folded. */
#include "core/index/merge.h"

#include "core/index/cover.h"

#include <stdlib.h>

struct view_version {
	uint64_t group;
	enum record_op op;
	size_t value, len; /* place in `values` */
};

struct merge_view {
	struct iter *in;
	uint64_t view;
	struct buf end; /* empty = none */
	const struct index_fold *fold;
	struct cover cover;
	bool on_key;	   /* the input may still be at versions of `key` */
	struct buf key;	   /* the key being looked at */
	struct buf values; /* of its deltas */
	struct buf folded;
	struct view_version *versions;
	size_t nversions, capversions;
	struct record *recs; /* the same for the fold */
	size_t caprecs;
};

int merge_view_open(struct iter *in, uint64_t view, struct slice first, struct slice end,
	const struct index_fold *fold, struct merge_view **ret, struct error *err)
{
	struct merge_view *m = calloc(1, sizeof(*m));
	int r;

	if (!m) {
		iter_close(in);
		return error_set(err, -ENOMEM, "no memory for a scan");
	}
	m->in = in;
	m->view = view;
	m->fold = fold;
	r = buf_append_slice(&m->end, end);
	r = r < 0 ? error_set(err, r, "no memory for a scan") : iter_seek(in, first, err);
	if (r < 0) {
		merge_view_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void merge_view_close(struct merge_view *m)
{
	if (!m)
		return;
	iter_close(m->in);
	cover_done(&m->cover);
	buf_done(&m->end);
	buf_done(&m->key);
	buf_done(&m->values);
	buf_done(&m->folded);
	free(m->versions);
	free(m->recs);
	free(m);
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "no memory for a scan");
}

/* Past the rest of the current key, which has no range deletes among its versions. */
static int leave_key(struct merge_view *m, struct error *err)
{
	while (m->in->valid && m->on_key && slice_eq(m->in->rec.key, buf_slice(&m->key))) {
		int r = iter_next(m->in, err);

		if (r < 0)
			return r;
	}
	m->on_key = false;
	return 0;
}

static bool at_end(const struct merge_view *m)
{
	return !m->in->valid || (m->end.len && slice_cmp(m->in->rec.key, buf_slice(&m->end)) >= 0);
}

/* Takes range deletes in, to the next point record. */
static int take_ranges(struct merge_view *m, struct error *err)
{
	while (!at_end(m) && m->in->rec.op == RECORD_RANGE) {
		const struct record *rec = &m->in->rec;

		cover_advance(&m->cover, rec->key);
		if (rec->group <= m->view && cover_add(&m->cover, rec->value, rec->group) < 0)
			return no_memory(err);
		int r = iter_next(m->in, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int remember(struct merge_view *m, const struct record *rec, struct error *err)
{
	if (m->nversions == m->capversions) {
		size_t cap = m->capversions ? m->capversions * 2 : 16;
		struct view_version *v = reallocarray(m->versions, cap, sizeof(*v));

		if (!v)
			return no_memory(err);
		m->versions = v;
		m->capversions = cap;
	}
	m->versions[m->nversions++] =
		(struct view_version){rec->group, rec->op, m->values.len, rec->value.len};
	return buf_append_slice(&m->values, rec->value) < 0 ? no_memory(err) : 0;
}

/* Folds the remembered deltas and, when `put`, the input's current record below them. */
static int fold_key(struct merge_view *m, bool put, struct record *ret, struct error *err)
{
	size_t n = m->nversions + put;
	enum record_op op;
	int r;

	if (n > m->caprecs) {
		struct record *recs = reallocarray(m->recs, n * 2, sizeof(*recs));

		if (!recs)
			return no_memory(err);
		m->recs = recs;
		m->caprecs = n * 2;
	}
	for (size_t i = 0; i < m->nversions; i++) {
		const struct view_version *v = &m->versions[i];

		m->recs[i] = (struct record){buf_slice(&m->key), v->group, v->op,
			SLICE(m->values.data + v->value, v->len)};
	}
	if (put)
		m->recs[m->nversions] = m->in->rec;
	buf_clear(&m->folded);
	r = m->fold->fold(m->recs, n, true, &m->folded, &op);
	if (r < 0)
		return error_set(err, r, "versions of a key do not fold");
	*ret = (struct record){buf_slice(&m->key), m->recs[0].group, op, buf_slice(&m->folded)};
	return 1;
}

/*
 * Looks at the key of the current record. 1: *ret is what the view sees; the input stays at a put
 * that ended the versions, because its value is borrowed. 0: nothing.
 */
static int look_at_key(struct merge_view *m, struct record *ret, struct error *err)
{
	bool seen = false;
	uint64_t before = 0;

	m->nversions = 0;
	buf_clear(&m->values);
	for (; m->in->valid && slice_eq(m->in->rec.key, buf_slice(&m->key));) {
		const struct record *rec = &m->in->rec;

		if (rec->group <= m->view && !(seen && rec->group >= before)) {
			if (rec->op == RECORD_DELETE || rec->group < cover_group(&m->cover))
				break;
			if (rec->op == RECORD_PUT && m->nversions) {
				return fold_key(m, true, ret, err);
			} else if (rec->op == RECORD_PUT) {
				*ret = *rec;
				return 1;
			}
			int r = remember(m, rec, err);

			if (r < 0)
				return r;
			seen = true;
			before = rec->group;
		}
		int r = iter_next(m->in, err);

		if (r < 0)
			return r;
	}
	return m->nversions ? fold_key(m, false, ret, err) : 0;
}

int merge_view_next(struct merge_view *m, struct record *ret, struct error *err)
{
	for (;;) {
		int r = leave_key(m, err);

		if (r == 0)
			r = take_ranges(m, err);
		if (r < 0)
			return r;
		if (at_end(m))
			return 0;
		buf_clear(&m->key);
		if (buf_append_slice(&m->key, m->in->rec.key) < 0)
			return no_memory(err);
		m->on_key = true;
		cover_advance(&m->cover, buf_slice(&m->key));
		r = look_at_key(m, ret, err);
		if (r != 0)
			return r;
	}
}
