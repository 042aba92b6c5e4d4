/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of a sorted level one behind the other; a table is opened when the iteration reaches
 * it. */
#include "core/base/list.h"
#include "core/index/table_read.h"

#include <stdlib.h>

struct level_iter {
	struct iter iter;
	struct buf end; /* empty = none */
	unsigned flags;
	struct iter *now; /* of tables[at - 1]; NULL = none */
	size_t at, n;	  /* the next table */
	struct table *tables[];
};

static struct level_iter *of(struct iter *it)
{
	return container_of(it, struct level_iter, iter);
}

/* To the first record at or behind `key` of the current table, or of the next ones when it has
 * none. */
static int settle(struct level_iter *i, struct error *err)
{
	while ((!i->now || !i->now->valid) && i->at < i->n) {
		struct table *t = i->tables[i->at];
		struct slice first = buf_slice(&table_meta(t)->first);
		int r;

		iter_close(i->now);
		i->now = NULL;
		if (i->end.len && slice_cmp(first, buf_slice(&i->end)) >= 0)
			i->at = i->n;
		if (i->at == i->n)
			break;
		r = table_iter_new(t, buf_slice(&i->end), i->flags, &i->now);
		if (r < 0)
			return error_set(err, r, "no memory to read a table");
		i->at++;
		r = iter_seek(i->now, first, err);
		if (r < 0)
			return r;
	}
	i->iter.valid = i->now && i->now->valid;
	if (i->iter.valid)
		i->iter.rec = i->now->rec;
	return 0;
}

static int level_iter_seek(struct iter *it, struct slice key, struct error *err)
{
	struct level_iter *i = of(it);
	size_t low = 0, high = i->n;
	int r;

	it->valid = false;
	iter_close(i->now);
	i->now = NULL;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slice_cmp(buf_slice(&table_meta(i->tables[mid])->last), key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	i->at = low;
	if (low < i->n && slice_cmp(buf_slice(&table_meta(i->tables[low])->first), key) < 0) {
		r = table_iter_new(i->tables[low], buf_slice(&i->end), i->flags, &i->now);
		if (r < 0)
			return error_set(err, r, "no memory to read a table");
		i->at++;
		r = iter_seek(i->now, key, err);
		if (r < 0)
			return r;
	}
	return settle(i, err);
}

static int level_iter_next(struct iter *it, struct error *err)
{
	struct level_iter *i = of(it);
	int r;

	it->valid = false;
	r = iter_next(i->now, err);
	return r < 0 ? r : settle(i, err);
}

static void level_iter_close(struct iter *it)
{
	struct level_iter *i = of(it);

	iter_close(i->now);
	for (size_t t = 0; t < i->n; t++)
		table_unref(i->tables[t]);
	buf_done(&i->end);
	free(i);
}

static const struct iter_ops level_iter_ops = {
	.seek = level_iter_seek, .next = level_iter_next, .close = level_iter_close};

int level_iter_new(
	struct table *const *tables, size_t n, struct slice end, unsigned flags, struct iter **ret)
{
	struct level_iter *i = calloc(1, sizeof(*i) + n * sizeof(struct table *));

	if (!i)
		return -ENOMEM;
	if (buf_append_slice(&i->end, end) < 0) {
		free(i);
		return -ENOMEM;
	}
	i->iter.ops = &level_iter_ops;
	i->flags = flags;
	i->n = n;
	for (size_t t = 0; t < n; t++)
		i->tables[t] = table_ref(tables[t]);
	*ret = &i->iter;
	return 0;
}
