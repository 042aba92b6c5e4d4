/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scans: a merge of all sources of one version over a range of keys.
 *
 * Where all keys of the range share one filter prefix (the entries of one name in a directory),
 * tables that do not have it give only their range deletes. That rests on filter_prefix being
 * monotone: a key between two with the same prefix has it too.
 */
#include "core/index/index_internal.h"

#include "core/index/filter.h"
#include "core/index/merge.h"

#include <stdlib.h>

#define PREFIX_TABLES_MAX 4 /* tables of a level whose filters are asked */

struct index_scan {
	struct index *ix;
	struct index_version *version; /* reference */
	struct merge_view *view;       /* or, for stored versions, */
	struct iter *raw;
	bool begun;
	struct buf end; /* of `raw`; empty = none */
};

struct sources {
	const struct index_version *v;
	struct slice first, end;
	unsigned flags;
	bool stored, no_memtables;
	bool by_prefix;
	uint64_t prefix_hash;
	struct iter **iters;
	size_t n;
};

/* The largest key of the same length below `end`, with all that may follow it, is the last of the
 * range. */
static bool key_before(struct slice end, uint8_t out[RECORD_KEY_MAX])
{
	size_t i = end.len;

	if (end.len == 0 || end.len > RECORD_KEY_MAX)
		return false;
	memcpy(out, end.data, end.len);
	while (i > 0 && out[i - 1] == 0)
		out[--i] = 0xff;
	if (i == 0)
		return false;
	out[i - 1]--;
	return true;
}

static void find_prefix(const struct index *ix, struct sources *s)
{
	uint8_t last[RECORD_KEY_MAX], a[RECORD_KEY_MAX], b[RECORD_KEY_MAX];
	size_t a_len, b_len;

	if (!ix->o.fold->filter_prefix || !key_before(s->end, last))
		return;
	a_len = ix->o.fold->filter_prefix(s->first, a);
	b_len = a_len ? ix->o.fold->filter_prefix(SLICE(last, s->end.len), b) : 0;
	if (a_len == 0 || a_len != b_len || memcmp(a, b, a_len) != 0)
		return;
	s->by_prefix = true;
	s->prefix_hash = filter_hash(SLICE(a, a_len));
}

static bool overlaps(const struct sources *s, const struct table *t)
{
	const struct table_meta *m = table_meta(t);

	return slice_cmp(buf_slice(&m->last), s->first) >= 0 &&
	       (s->end.len == 0 || slice_cmp(buf_slice(&m->first), s->end) < 0);
}

static int add_table(struct sources *s, struct table *t, struct error *err)
{
	unsigned flags = s->flags;
	bool has = true;
	int r = s->by_prefix ? table_may_have(t, s->prefix_hash, s->flags, &has, err) : 0;

	if (r < 0)
		return r;
	r = table_iter_new(t, s->end, has ? flags : flags | TABLE_RANGES_ONLY, &s->iters[s->n]);
	s->n += r == 0;
	return r < 0 ? error_set(err, r, "no memory for a scan") : 0;
}

static int add_level(struct sources *s, unsigned level, struct error *err)
{
	struct table **tables = s->v->levels[level];
	size_t from = 0, to = s->v->manifest->nlevel[level];
	int r = 0;

	while (from < to && !overlaps(s, tables[from]))
		from++;
	while (to > from && !overlaps(s, tables[to - 1]))
		to--;
	if (from == to)
		return 0;
	if (s->by_prefix && to - from <= PREFIX_TABLES_MAX) {
		for (; from < to && r == 0; from++)
			r = add_table(s, tables[from], err);
		return r;
	}
	r = level_iter_new(tables + from, to - from, s->end, s->flags, &s->iters[s->n]);
	s->n += r == 0;
	return r < 0 ? error_set(err, r, "no memory for a scan") : 0;
}

static int add_sources(struct sources *s, struct error *err)
{
	const struct index_version *v = s->v;
	int r = 0;

	for (size_t i = 0; r == 0 && !s->no_memtables && i < v->nmem; i++) {
		r = memtable_iter_new(
			v->mem[i]->table, v->manifest->last_group, s->stored, &s->iters[s->n]);
		s->n += r == 0;
		if (r < 0)
			return error_set(err, r, "no memory for a scan");
	}
	for (size_t i = 0; r == 0 && i < v->manifest->nlevel[0]; i++)
		if (overlaps(s, v->levels[0][i]))
			r = add_table(s, v->levels[0][i], err);
	for (unsigned level = 1; r == 0 && level < MANIFEST_LEVELS; level++)
		r = add_level(s, level, err);
	return r;
}

/* One iterator over all sources. */
static int open_sources(struct sources *s, struct iter **ret, struct error *err)
{
	size_t max = s->v->nmem + s->v->manifest->nlevel[0] + MANIFEST_LEVELS * PREFIX_TABLES_MAX;
	int r;

	s->iters = calloc(max, sizeof(struct iter *));
	if (!s->iters)
		return error_set(err, -ENOMEM, "no memory for a scan");
	r = add_sources(s, err);
	if (r < 0) {
		for (size_t i = 0; i < s->n; i++)
			iter_close(s->iters[i]);
	} else {
		r = merge_iter_new(s->iters, s->n, ret);
		if (r < 0)
			(void)error_set(err, r, "no memory for a scan"); /* the code is r */
	}
	free(s->iters);
	return r;
}

/* Takes the reference to the version, also on failure. */
static struct index_scan *scan_new(struct index *ix, struct index_version *v)
{
	struct index_scan *s = calloc(1, sizeof(*s));

	if (!s) {
		index_version_put(v);
		return NULL;
	}
	s->ix = ix;
	s->version = v;
	return s;
}

void index_scan_close(struct index_scan *s)
{
	if (!s)
		return;
	merge_view_close(s->view);
	iter_close(s->raw);
	buf_done(&s->end);
	index_version_put(s->version);
	free(s);
}

int index_scan_version(struct index *ix, struct index_version *v, const struct index_fold *fold,
	uint64_t view, struct slice first, struct slice end, unsigned flags,
	struct index_scan **ret, struct error *err)
{
	struct index_scan *s = scan_new(ix, v);
	struct iter *in;
	int r;

	if (!s)
		return error_set(err, -ENOMEM, "no memory for a scan");
	struct sources from = {.v = s->version, .first = first, .end = end, .flags = flags};

	find_prefix(ix, &from);
	r = open_sources(&from, &in, err);
	if (r == 0)
		r = merge_view_open(in, view, first, end, fold, &s->view, err);
	if (r < 0) {
		index_scan_close(s);
		return index_gone(ix, r, err);
	}
	*ret = s;
	return 0;
}

int index_scan_open(struct index *ix, uint64_t view, struct slice first, struct slice end,
	unsigned flags, struct index_scan **ret, struct error *err)
{
	return index_scan_version(
		ix, index_version_get(ix), ix->o.fold, view, first, end, flags, ret, err);
}

int index_scan_version_stored(struct index *ix, struct index_version *v, struct slice first,
	struct slice end, bool no_memtables, struct index_scan **ret, struct error *err)
{
	struct index_scan *s = scan_new(ix, v);
	int r;

	if (!s)
		return error_set(err, -ENOMEM, "no memory for a scan");
	struct sources from = {.v = s->version,
		.first = first,
		.end = end,
		.flags = TABLE_BULK,
		.stored = true,
		.no_memtables = no_memtables};

	r = buf_append_slice(&s->end, end);
	if (r < 0)
		(void)error_set(err, r, "no memory for a scan"); /* the code is r */
	if (r == 0)
		r = open_sources(&from, &s->raw, err);
	if (r == 0)
		r = iter_seek(s->raw, first, err);
	if (r < 0) {
		index_scan_close(s);
		return index_gone(ix, r, err);
	}
	*ret = s;
	return 0;
}

int index_scan_versions(struct index *ix, struct slice first, struct slice end,
	struct index_scan **ret, struct error *err)
{
	return index_scan_version_stored(ix, index_version_get(ix), first, end, false, ret, err);
}

int index_scan_table_versions(struct index *ix, struct slice first, struct slice end,
	struct index_scan **ret, struct error *err)
{
	return index_scan_version_stored(ix, index_version_get(ix), first, end, true, ret, err);
}

static int next_version(struct index_scan *s, struct record *ret, struct error *err)
{
	int r = s->begun ? iter_next(s->raw, err) : 0;

	s->begun = true;
	if (r < 0)
		return r;
	if (!s->raw->valid || (s->end.len && slice_cmp(s->raw->rec.key, buf_slice(&s->end)) >= 0))
		return 0;
	*ret = s->raw->rec;
	return 1;
}

int index_scan_next(struct index_scan *s, struct record *ret, struct error *err)
{
	int r = s->view ? merge_view_next(s->view, ret, err) : next_version(s, ret, err);

	return index_gone(s->ix, r, err);
}
