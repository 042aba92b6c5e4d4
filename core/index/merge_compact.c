/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What must survive a flush or merge.
 *
 * The pins cut the groups into stripes: stripe s has the groups above pin s - 1 up to pin s, the
 * last one those above all pins. All groups of one stripe are seen by the same views, so within a
 * stripe C1  at most one version of a key survives: the fold of its versions down to the first put,
 * delete or hiding range delete; C2  a range delete hides all older versions, and these are
 * dropped; C3  deltas upon a put, a delete or a range delete of the same stripe are complete: they
 * fold to a put. Across stripes nothing is hidden, because a pin sees it. At the bottom nothing
 * older exists, so for the oldest survivor of a key C4  a delete is dropped, and then the next one
 * is the oldest; a delta is complete; C5  a range delete of the oldest stripe has nothing left to
 * hide.
 */
#include "core/index/merge.h"

#include "core/base/planted.h"
#include "core/index/cover.h"

#include <stdlib.h>

/* Deltas of one stripe are folded together when there are so many, so that memory stays bounded. */
#define DELTAS_MAX 256
#define DELTA_BYTES_MAX (1u << 20)

struct compact_version {
	uint64_t group;
	enum record_op op;
	size_t value, len; /* place in `values` */
};

struct merge_compact {
	struct iter *in;
	struct merge_compact_options o;
	struct cover *covers; /* by stripe */
	struct segment_refs dropped;
	uint64_t input_bytes;
	bool range_given; /* the input's current record, a range delete, has been handed out */

	struct buf key, values, folded;
	/* of the stripe being gathered, newest first */
	struct compact_version versions[DELTAS_MAX + 1];
	size_t nversions, stripe_start; /* where its values begin */
	struct record recs[DELTAS_MAX + 1];
	/* survivors of the key, newest first */
	struct compact_version *out;
	size_t nout, given;
};

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "no memory for a merge");
}

int merge_compact_open(struct iter **inputs, size_t n, const struct merge_compact_options *o,
	struct merge_compact **ret, struct error *err)
{
	struct merge_compact *m = calloc(1, sizeof(*m));
	struct iter *in = NULL;
	int r = merge_iter_new(inputs, n, &in);

	if (r < 0 || !m) {
		iter_close(in);
		free(m);
		return no_memory(err);
	}
	m->in = in;
	m->o = *o;
	m->covers = calloc(o->npins + 1, sizeof(*m->covers));
	m->out = calloc(o->npins + 1, sizeof(*m->out));
	r = m->covers && m->out ? iter_seek(in, SLICE(NULL, 0), err) : no_memory(err);
	if (r < 0) {
		merge_compact_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void merge_compact_close(struct merge_compact *m)
{
	if (!m)
		return;
	iter_close(m->in);
	for (size_t i = 0; m->covers && i <= m->o.npins; i++)
		cover_done(&m->covers[i]);
	free(m->covers);
	free(m->out);
	segment_refs_done(&m->dropped);
	buf_done(&m->key);
	buf_done(&m->values);
	buf_done(&m->folded);
	free(m);
}

void merge_compact_take_dropped(struct merge_compact *m, struct segment_refs *out)
{
	*out = m->dropped;
	m->dropped = (struct segment_refs){0};
}

uint64_t merge_compact_input_bytes(const struct merge_compact *m)
{
	return m->input_bytes;
}

static size_t stripe(const struct merge_compact *m, uint64_t group)
{
	return stripe_of(group, m->o.pins, m->o.npins);
}

static int step(struct merge_compact *m, struct error *err)
{
	m->input_bytes += m->in->rec.key.len + m->in->rec.value.len;
	return iter_next(m->in, err);
}

/* ---- range deletes ---- */

/* C5, and the current range delete comes in force. 1: it survives. */
static int take_range(struct merge_compact *m, struct error *err)
{
	const struct record *rec = &m->in->rec;
	size_t s = stripe(m, rec->group);

	cover_advance(&m->covers[s], rec->key);
	if (cover_add(&m->covers[s], rec->value, rec->group) < 0)
		return no_memory(err);
	if (planted(PLANTED_DROP_RANGE_DELETE))
		return 0;
	return !(m->o.bottom && s == 0);
}

/* ---- the versions of a key ---- */

static struct record record_of(const struct merge_compact *m, const struct compact_version *v)
{
	return (struct record){
		buf_slice(&m->key), v->group, v->op, SLICE(m->values.data + v->value, v->len)};
}

static int account(struct merge_compact *m, const struct record *rec, int sign, struct error *err)
{
	int r = m->o.fold->references(rec, sign, &m->dropped);

	return r < 0 ? error_set(err, r, "references of a record do not decode") : 0;
}

/* The newest `n` gathered versions become one, whose value takes the place of theirs. */
static int fold_gathered(struct merge_compact *m, size_t n, bool complete, struct error *err)
{
	struct compact_version *v = m->versions;
	struct record folded;
	int r;

	for (size_t i = 0; i < n; i++)
		m->recs[i] = record_of(m, &v[i]);
	buf_clear(&m->folded);
	folded = m->recs[0];
	r = m->o.fold->fold(m->recs, n, complete, &m->folded, &folded.op);
	if (r == 0 && m->folded.len > RECORD_VALUE_MAX)
		r = -EBADMSG;
	if (r < 0)
		return error_set(err, r, "versions of a key do not fold");
	folded.value = buf_slice(&m->folded);
	for (size_t i = 0; i < n && r == 0; i++)
		r = account(m, &m->recs[i], -1, err);
	if (r == 0)
		r = account(m, &folded, 1, err);
	if (r < 0)
		return r;
	m->values.len = v[0].value;
	v[0].op = folded.op;
	v[0].len = folded.value.len;
	m->nversions = 1;
	return buf_append_slice(&m->values, folded.value) < 0 ? no_memory(err) : 0;
}

/* Keeps a copy of the current record for the fold of its stripe. */
static int gather(struct merge_compact *m, struct error *err)
{
	const struct record *rec = &m->in->rec;

	if (m->nversions == DELTAS_MAX ||
		(m->nversions > 1 && m->values.len - m->stripe_start > DELTA_BYTES_MAX)) {
		int r = fold_gathered(m, m->nversions, false, err);

		if (r < 0)
			return r;
	}
	if (m->nversions == 0)
		m->stripe_start = m->values.len;
	m->versions[m->nversions++] =
		(struct compact_version){rec->group, rec->op, m->values.len, rec->value.len};
	return buf_append_slice(&m->values, rec->value) < 0 ? no_memory(err) : 0;
}

/* C1, C3: what was gathered of a stripe becomes its survivor. `complete`: nothing older of the
 * stripe shows through. */
static int end_stripe(struct merge_compact *m, bool complete, struct error *err)
{
	size_t n = m->nversions;
	bool deleted = n && m->versions[n - 1].op == RECORD_DELETE;
	int r = 0;

	if (n == 0)
		return 0;
	if (deleted && n > 1)
		n--; /* the fold is a put, which hides as much */
	if (n > 1 || (m->versions[0].op == RECORD_DELTA && (complete || deleted)))
		r = fold_gathered(m, n, complete || deleted, err);
	if (r < 0)
		return r;
	m->out[m->nout++] = m->versions[0];
	m->nversions = 0;
	return 0;
}

/* C4. */
static int settle_bottom(struct merge_compact *m, struct error *err)
{
	int r;

	while (m->nout && m->out[m->nout - 1].op == RECORD_DELETE)
		m->nout--;
	if (m->nout == 0 || m->out[m->nout - 1].op != RECORD_DELTA)
		return 0;
	/* Its value is followed by nothing that is still needed: it is the last one. */
	m->versions[0] = m->out[m->nout - 1];
	m->nversions = 1;
	r = fold_gathered(m, 1, true, err);
	m->out[m->nout - 1] = m->versions[0];
	m->nversions = 0;
	return r;
}

/* Takes all versions of the key in. */
static int gather_key(struct merge_compact *m, struct error *err)
{
	bool ended = false, any = false; /* of the current stripe; of the key */
	size_t current = 0;
	uint64_t before = 0;
	int r = 0;

	while (r == 0 && m->in->valid && slice_eq(m->in->rec.key, buf_slice(&m->key))) {
		const struct record *rec = &m->in->rec;
		size_t s = stripe(m, rec->group);
		bool again = any && rec->group >= before; /* a second copy of a record */

		if (any && !again && s != current) {
			r = end_stripe(m, ended, err);
			ended = false;
		}
		if (!again && rec->group < cover_group(&m->covers[s]))
			ended = true; /* C2 */
		if (r == 0 && (ended || again))
			r = account(m, rec, -1, err);
		else if (r == 0)
			r = gather(m, err);
		if (!again) {
			ended = ended || rec->op != RECORD_DELTA;
			current = s;
			before = rec->group;
			any = true;
		}
		if (r == 0)
			r = step(m, err);
	}
	return r < 0 ? r : end_stripe(m, ended, err);
}

static int next_key(struct merge_compact *m, struct error *err)
{
	int r;

	/* What comes from a store must not reach the assertions of who writes it. */
	if (m->key.len && slice_cmp(m->in->rec.key, buf_slice(&m->key)) <= 0)
		return error_set(err, -EBADMSG, "records of a table are out of order");
	m->nout = m->given = m->nversions = 0;
	buf_clear(&m->values);
	buf_clear(&m->key);
	if (buf_append_slice(&m->key, m->in->rec.key) < 0)
		return no_memory(err);
	for (size_t i = 0; i <= m->o.npins; i++)
		cover_advance(&m->covers[i], buf_slice(&m->key));
	r = gather_key(m, err);
	if (r == 0 && m->o.bottom)
		r = settle_bottom(m, err);
	return r;
}

int merge_compact_next(struct merge_compact *m, struct record *ret, struct error *err)
{
	for (;;) {
		int r = 0;

		if (m->given < m->nout) {
			*ret = record_of(m, &m->out[m->given++]);
			return 1;
		}
		if (m->range_given) {
			m->range_given = false;
			r = step(m, err);
		}
		if (r == 0 && !m->in->valid)
			return 0;
		if (r == 0 && m->in->rec.op != RECORD_RANGE) {
			r = next_key(m, err);
		} else if (r == 0) {
			r = take_range(m, err);
			m->range_given = true;
			if (r > 0) {
				*ret = m->in->rec;
				return 1;
			}
		}
		if (r < 0)
			return r;
	}
}
