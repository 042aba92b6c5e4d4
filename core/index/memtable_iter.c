/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Iteration over a memtable: the walk along the point records and the walk along the range deletes,
 * merged. The latter begins with the ranges that cover the place of the seek.
 */
#include "core/index/memtable_internal.h"

#include <stdlib.h>

struct memtable_iter {
	struct iter iter;
	struct memtable *m; /* reference */
	uint64_t floor;
	bool stored;
	struct skip_node *point;
	struct record point_rec;	    /* when `point` */
	struct buf from;		    /* where the last seek went */
	const struct range_node **covering; /* groups descending */
	size_t ncovering, at;
	struct range_node *range;
	bool have_range, is_range; /* `range_rec` is there; it is the current one */
	bool range_is_covering;
	struct record range_rec;
};

static struct memtable_iter *of(struct iter *it)
{
	return container_of(it, struct memtable_iter, iter);
}

/* To the first point record from `n` on that comes out. */
static void settle_point(struct memtable_iter *i, struct skip_node *n)
{
	for (; n; n = skip_next(n)) {
		const struct skip_value *v = skip_value(n);

		if (n->group <= i->floor || (i->stored && v->dead))
			continue;
		i->point_rec = (struct record){
			skip_key(n), n->group, (enum record_op)v->op, SLICE(v->data, v->len)};
		break;
	}
	i->point = n;
}

/* Picks the next range: of those that cover the place of the seek and those that begin there the
 * newest first. */
static void settle_range(struct memtable_iter *i)
{
	struct slice from = buf_slice(&i->from);

	while (i->range && i->range->group <= i->floor)
		i->range = range_next(i->range);
	while (i->at < i->ncovering && i->covering[i->at]->group <= i->floor)
		i->at++;
	const struct range_node *c = i->at < i->ncovering ? i->covering[i->at] : NULL,
				*n = i->range;

	i->have_range = c || n;
	i->range_is_covering = c && (!n || !slice_eq(n->first, from) || c->group >= n->group);
	if (i->range_is_covering)
		i->range_rec = (struct record){from, c->group, RECORD_RANGE, c->end};
	else if (n)
		i->range_rec = (struct record){n->first, n->group, RECORD_RANGE, n->end};
}

static void choose(struct memtable_iter *i)
{
	i->iter.valid = i->point || i->have_range;
	i->is_range = i->have_range && (!i->point || iter_cmp(&i->range_rec, &i->point_rec) < 0);
	if (i->iter.valid)
		i->iter.rec = i->is_range ? i->range_rec : i->point_rec;
}

static int newer_first(const void *a, const void *b)
{
	const struct range_node *x = *(const struct range_node *const *)a,
				*y = *(const struct range_node *const *)b;

	return x->group > y->group ? -1 : x->group < y->group;
}

static int memtable_iter_seek(struct iter *it, struct slice key, struct error *err)
{
	struct memtable_iter *i = of(it);

	(void)err;
	it->valid = false;
	free(i->covering);
	i->covering = NULL;
	i->ncovering = i->at = 0;
	buf_clear(&i->from);
	if (buf_append_slice(&i->from, key) < 0)
		return -ENOMEM;
	settle_point(i, skip_find(memtable_points(i->m), key, UINT64_MAX));
	if (!range_set_empty(memtable_ranges(i->m)) &&
		range_set_covering(memtable_ranges(i->m), key, &i->covering, &i->ncovering) < 0)
		return -ENOMEM;
	if (i->ncovering)
		qsort(i->covering, i->ncovering, sizeof(struct range_node *), newer_first);
	i->range = range_set_find(memtable_ranges(i->m), key);
	settle_range(i);
	choose(i);
	return 0;
}

static int memtable_iter_next(struct iter *it, struct error *err)
{
	struct memtable_iter *i = of(it);

	(void)err;
	if (!i->is_range) {
		settle_point(i, skip_next(i->point));
	} else {
		if (i->range_is_covering)
			i->at++;
		else
			i->range = range_next(i->range);
		settle_range(i);
	}
	choose(i);
	return 0;
}

static void memtable_iter_close(struct iter *it)
{
	struct memtable_iter *i = of(it);

	memtable_unref(i->m);
	buf_done(&i->from);
	free(i->covering);
	free(i);
}

static const struct iter_ops memtable_iter_ops = {
	.seek = memtable_iter_seek, .next = memtable_iter_next, .close = memtable_iter_close};

int memtable_iter_new(struct memtable *m, uint64_t floor, bool stored, struct iter **ret)
{
	struct memtable_iter *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->iter.ops = &memtable_iter_ops;
	i->m = memtable_ref(m);
	i->floor = floor;
	i->stored = stored;
	*ret = &i->iter;
	return 0;
}
