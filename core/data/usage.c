/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/data/usage.h"

#include "core/data/fold.h"
#include "core/data/keyspace.h"

#include <stdlib.h>

#define PROGRESS_RECORDS 65536u

static int place_cmp(const struct segment_usage *a, uint64_t epoch, uint64_t sequence)
{
	if (a->epoch != epoch)
		return a->epoch < epoch ? -1 : 1;
	return a->sequence < sequence ? -1 : a->sequence > sequence;
}

struct segment_usage *usage_find(const struct segment_usages *u, uint64_t epoch, uint64_t sequence)
{
	size_t low = 0, high = u->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int cmp = place_cmp(&u->v[middle], epoch, sequence);

		if (cmp == 0)
			return &u->v[middle];
		if (cmp < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void usage_done(struct segment_usages *u)
{
	free(u->v);
	*u = (struct segment_usages){0};
}

static struct segment_usage *append(struct segment_usages *u, uint64_t epoch, uint64_t sequence)
{
	if (u->n == u->cap) {
		size_t cap = u->cap ? u->cap * 2 : 256;
		struct segment_usage *more = reallocarray(u->v, cap, sizeof(*more));

		if (!more)
			return NULL;
		u->v = more;
		u->cap = cap;
	}
	u->v[u->n] = (struct segment_usage){.epoch = epoch, .sequence = sequence};
	return &u->v[u->n++];
}

/* ---- segment records ---- */

struct records {
	struct segment_usages *out;
	struct key_parts last;
	bool any, done;		 /* `last` is set; a newer version of it was whole */
	struct segment_usage *s; /* of `last`, once it turned out to be there */
};

/* One version, newest first. 0, -ENOMEM. */
static int add_record(struct records *c, const struct record *rec, const struct key_parts *p)
{
	struct segment_record one;

	if (!c->any || p->a != c->last.a || p->b != c->last.b) {
		c->done = false;
		c->s = NULL;
	}
	c->any = true;
	c->last = *p;
	if (c->done || rec->op == RECORD_RANGE)
		return 0;
	c->done = rec->op != RECORD_DELTA;
	if (rec->op == RECORD_DELETE)
		return 0;
	if (!c->s) {
		c->s = append(c->out, p->a, p->b);
		if (!c->s)
			return -ENOMEM;
		c->s->record = true;
	}
	if (segment_record_decode(rec->value, &one) < 0) {
		c->s->damaged = true;
		return 0;
	}
	c->s->base |= one.has_base;
	/* A sum beyond all bounds is as wrong as any other. */
	(void)__builtin_add_overflow(c->s->recorded, one.live, &c->s->recorded);
	return 0;
}

static int read_records(
	struct index_snapshot *s, uint64_t view, struct segment_usages *out, struct error *err)
{
	struct key first = key_kind_first(0, KEY_SEGMENT), end = key_kind_first(0, KEY_SEGMENT + 1);
	struct records c = {.out = out};
	struct index_scan *scan;
	struct record rec;
	struct key_parts p;
	int r = index_snapshot_versions(s, key_slice(&first), key_slice(&end), &scan, err);

	if (r < 0)
		return r;
	while ((r = index_scan_next(scan, &rec, err)) == 1) {
		if (rec.group > view || !key_parse(rec.key, &p))
			continue;
		r = add_record(&c, &rec, &p);
		if (r < 0) {
			(void)error_set(err, r, "no memory to count live bytes"); /* is in r */
			break;
		}
	}
	index_scan_close(scan);
	return r;
}

/* ---- references ---- */

/* Adds to what is known; what is not goes to `others`. */
static int add_refs(const struct segment_usages *u, const struct segment_refs *refs, bool counted,
	struct segment_refs *others)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < refs->n; i++) {
		const struct segment_ref *x = &refs->refs[i];
		struct segment_usage *s = usage_find(u, x->epoch, x->sequence);

		if (!s)
			r = segment_refs_add(others, x->epoch, x->sequence, x->bytes);
		else if (counted)
			s->counted += x->bytes;
		else
			s->recorded += x->bytes;
	}
	return r;
}

static int read_chunks(struct index_snapshot *s, uint64_t view, const struct segment_usages *u,
	struct segment_refs *others, void (*progress)(void *arg, uint64_t records), void *arg,
	struct error *err)
{
	struct key first = key_kind_first(1, 0), end = key_kind_first(INODE_MAX + 1, 0);
	struct index_scan *scan;
	struct record rec;
	uint64_t n = 0;
	int r = index_snapshot_versions(s, key_slice(&first), key_slice(&end), &scan, err);

	if (r < 0)
		return r;
	while ((r = index_scan_next(scan, &rec, err)) == 1) {
		struct segment_refs refs = {0};

		if (progress && ++n % PROGRESS_RECORDS == 0)
			progress(arg, n);
		if (rec.group > view)
			continue;
		r = data_fold.references(&rec, 1, &refs);
		if (r == 0)
			r = add_refs(u, &refs, true, others);
		segment_refs_done(&refs);
		if (r == -ENOMEM) {
			(void)error_set(err, r, "no memory to count live bytes"); /* is in r */
			break;
		}
	}
	index_scan_close(scan);
	return r;
}

static int usage_order(const void *a, const void *b)
{
	const struct segment_usage *y = b;

	return place_cmp(a, y->epoch, y->sequence);
}

/* Segments without a record join the others. */
static int take_others(struct segment_usages *u, const struct segment_refs *counted,
	const struct segment_refs *booked)
{
	for (size_t i = 0; i < counted->n; i++) {
		const struct segment_ref *x = &counted->refs[i];
		struct segment_usage *s = append(u, x->epoch, x->sequence);

		if (!s)
			return -ENOMEM;
		s->counted = x->bytes;
	}
	if (counted->n)
		qsort(u->v, u->n, sizeof(*u->v), usage_order);

	struct segment_refs none = {0};
	int r = add_refs(u, booked, false, &none);

	segment_refs_done(&none); /* dropped references to what is gone, and nobody refers to */
	return r;
}

int usage_count(struct index_snapshot *s, uint64_t view, const struct segment_refs *unsettled,
	struct segment_usages *ret, void (*progress)(void *arg, uint64_t records), void *arg,
	struct error *err)
{
	struct segment_refs counted = {0}, booked = {0};
	struct segment_usages u = {0};
	int r = read_records(s, view, &u, err);

	if (r == 0)
		r = read_chunks(s, view, &u, &counted, progress, arg, err);
	if (r == 0 && unsettled)
		r = add_refs(&u, unsettled, false, &booked);
	if (r == 0)
		r = take_others(&u, &counted, &booked);
	segment_refs_done(&counted);
	segment_refs_done(&booked);
	if (r < 0) {
		usage_done(&u);
		return r == -ENOMEM ? error_set(err, r, "no memory to count live bytes") : r;
	}
	*ret = u;
	return 0;
}
