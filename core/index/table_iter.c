/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Iteration over one table and over the tables of a level.
 *
 * Blocks come from the block cache. Those that are not there are read in runs of neighbours: one at
 * first, then twice as many each time while the iteration goes on, up to RUN_BYTES; for merges
 * (TABLE_BULK) BULK_BYTES from the start, and those blocks do not enter the cache.
 */
#include "core/index/table_internal.h"

#include "core/index/block.h"

#include <stdlib.h>

#define RUN_BYTES (256u << 10)
#define BULK_BYTES (1u << 20)

struct table_iter {
	struct iter iter;
	struct table *t;	 /* reference */
	struct table_body *body; /* reference; NULL before the first seek */
	unsigned flags;
	struct buf end; /* empty = none */

	/* points */
	struct block *block; /* reference, of `at` */
	size_t at;	     /* number of the current block; nblocks = at the end */
	struct block_iter points;

	/* range deletes */
	struct buf from; /* where the last seek went */
	size_t fragment, group;
	struct record range; /* the current one, when fragment < nfragments */
	bool is_range;	     /* it is the iterator's current record */

	/* blocks read ahead */
	struct buf run;
	uint64_t run_offset;
	size_t run_first, run_n, run_charge;
	size_t next_n; /* blocks of the next run */
};

static struct table_iter *of(struct iter *it)
{
	return container_of(it, struct table_iter, iter);
}

/* ---- blocks ---- */

static void drop_run(struct table_iter *i)
{
	if (i->run_charge && i->t->pool->budget)
		budget_put(i->t->pool->budget, BUDGET_CACHE, i->run_charge);
	i->run_charge = 0;
	i->run_n = 0;
	buf_clear(&i->run);
}

static bool behind_end(const struct table_iter *i, struct slice key)
{
	return i->end.len && slice_cmp(key, buf_slice(&i->end)) >= 0;
}

/* How many blocks from `first` on to read with one request. */
static size_t run_length(const struct table_iter *i, size_t first)
{
	const struct table_body *b = i->body;
	uint64_t limit = i->flags & TABLE_BULK ? BULK_BYTES : RUN_BYTES;
	uint64_t from = b->blocks[first].offset;
	size_t n = 1, max = i->flags & TABLE_BULK ? SIZE_MAX : i->next_n;

	while (n < max && first + n < b->nblocks && !behind_end(i, b->blocks[first + n - 1].last) &&
		b->blocks[first + n].offset + b->blocks[first + n].sealed - from <= limit)
		n++;
	return n;
}

static int read_run(struct table_iter *i, size_t first, struct error *err)
{
	size_t n = run_length(i, first);
	int r;

	drop_run(i);
	r = table_read_blocks(i->t, i->body, first, n, &i->run, err);
	if (r < 0)
		return r;
	i->run_offset = i->body->blocks[first].offset;
	i->run_first = first;
	i->run_n = n;
	i->run_charge = i->run.len;
	if (i->t->pool->budget)
		budget_force(i->t->pool->budget, BUDGET_CACHE, i->run_charge);
	if (i->next_n < 64)
		i->next_n *= 2;
	return 0;
}

/* Block `n` from the run, which is read when it is not in there. */
static int open_from_run(struct table_iter *i, size_t n, struct buf *plain, struct error *err)
{
	const struct table_block *b = &i->body->blocks[n];
	int r = 0;

	if (n < i->run_first || n - i->run_first >= i->run_n)
		r = read_run(i, n, err);
	if (r < 0)
		return r;
	struct slice sealed = SLICE(i->run.data + (b->offset - i->run_offset), b->sealed);

	return table_open_block(i->t, i->body, n, sealed, plain, err);
}

static int load_cached(struct table_iter *i, size_t n, struct block **ret, struct error *err)
{
	struct block_cache *cache = i->t->pool->cache;
	struct block_key key = table_block_key(i->t, n);
	struct buf plain = BUF_INIT;
	int r = block_cache_begin(
		cache, &key, i->flags & TABLE_CACHED ? BLOCK_CACHE_NO_WAIT : 0, ret);

	if (r != 0)
		return r < 0 ? r : 0;
	r = open_from_run(i, n, &plain, err);
	block_cache_finish(cache, &key, r == 0 ? &plain : NULL, ret);
	buf_done(&plain);
	return r;
}

static int load_bulk(struct table_iter *i, size_t n, struct block **ret, struct error *err)
{
	struct block_key key = table_block_key(i->t, n);
	struct buf plain = BUF_INIT;
	int r;

	*ret = block_cache_peek(i->t->pool->cache, &key);
	if (*ret)
		return 0;
	r = open_from_run(i, n, &plain, err);
	if (r < 0) {
		buf_done(&plain);
		return r;
	}
	*ret = block_wrap(i->t->pool->cache, &plain);
	return *ret ? 0 : error_set(err, -ENOMEM, "no memory for a block");
}

/* Makes `n` the current block; the place in it is not set. */
static int enter_block(struct table_iter *i, size_t n, struct error *err)
{
	int r;

	block_unref(i->block);
	i->block = NULL;
	i->points.valid = false;
	i->at = n;
	if (n == i->body->nblocks)
		return 0;
	r = i->flags & TABLE_BULK ? load_bulk(i, n, &i->block, err)
				  : load_cached(i, n, &i->block, err);
	return r < 0 ? r : block_iter_init(&i->points, i->block->plain);
}

static int bad_block(const struct table_iter *i, struct error *err)
{
	return error_set(err, -EBADMSG, "%s, block %zu does not decode", i->t->key, i->at);
}

/* Goes on to the next blocks while the current one is at its end. `r`: what the step in it gave. */
static int settle_point(struct table_iter *i, int r, struct error *err)
{
	while (r == 0 && !i->points.valid && i->at < i->body->nblocks) {
		if (behind_end(i, i->body->blocks[i->at].last)) {
			r = enter_block(i, i->body->nblocks, err);
			break;
		}
		r = enter_block(i, i->at + 1, err);
		if (r < 0 && !i->block)
			return r;
		if (r == 0 && i->block)
			r = block_iter_first(&i->points);
	}
	if (r < 0 || (i->points.valid && i->points.rec.op == RECORD_RANGE))
		return bad_block(i, err);
	return 0;
}

static int seek_point(struct table_iter *i, struct slice key, struct error *err)
{
	size_t n = i->flags & TABLE_RANGES_ONLY ? i->body->nblocks : table_block_find(i->body, key);
	int r;

	if (n > 0 && n < i->body->nblocks && behind_end(i, i->body->blocks[n - 1].last))
		n = i->body->nblocks;
	r = enter_block(i, n, err);
	if (r < 0 && !i->block)
		return r;
	if (r == 0 && i->block)
		r = block_iter_seek(&i->points, key);
	return settle_point(i, r, err);
}

/* ---- range deletes ---- */

static bool have_range(const struct table_iter *i)
{
	return i->fragment < i->body->nfragments;
}

static void set_range(struct table_iter *i)
{
	if (!have_range(i))
		return;
	const struct table_fragment *f = &i->body->fragments[i->fragment];
	struct slice from = buf_slice(&i->from);

	i->range = (struct record){slice_cmp(f->first, from) < 0 ? from : f->first,
		f->groups[i->group], RECORD_RANGE, f->end};
	if (behind_end(i, i->range.key))
		i->fragment = i->body->nfragments;
}

static void next_range(struct table_iter *i)
{
	if (++i->group == i->body->fragments[i->fragment].ngroups) {
		i->group = 0;
		i->fragment++;
	}
	set_range(i);
}

/* ---- the iterator ---- */

static void choose(struct table_iter *i)
{
	bool point = i->points.valid, range = have_range(i);

	i->is_range = range && (!point || iter_cmp(&i->range, &i->points.rec) < 0);
	i->iter.valid = point || range;
	if (i->iter.valid)
		i->iter.rec = i->is_range ? i->range : i->points.rec;
}

static int table_iter_seek(struct iter *it, struct slice key, struct error *err)
{
	struct table_iter *i = of(it);
	int r;

	it->valid = false;
	if (!i->body) {
		r = table_load(i->t, i->flags, &i->body, err);
		if (r < 0)
			return r;
	}
	i->next_n = 1;
	buf_clear(&i->from);
	if (buf_append_slice(&i->from, key) < 0)
		return error_set(err, -ENOMEM, "no memory for a key");
	i->fragment = table_fragment_find(i->body, key);
	i->group = 0;
	set_range(i);
	r = seek_point(i, key, err);
	if (r < 0)
		return r;
	choose(i);
	return 0;
}

static int table_iter_next(struct iter *it, struct error *err)
{
	struct table_iter *i = of(it);

	it->valid = false;
	if (i->is_range) {
		next_range(i);
	} else {
		int r = settle_point(i, block_iter_next(&i->points), err);

		if (r < 0)
			return r;
	}
	choose(i);
	return 0;
}

static void table_iter_close(struct iter *it)
{
	struct table_iter *i = of(it);

	drop_run(i);
	buf_done(&i->run);
	block_unref(i->block);
	table_body_unref(i->body);
	table_unref(i->t);
	buf_done(&i->end);
	buf_done(&i->from);
	free(i);
}

static const struct iter_ops table_iter_ops = {
	.seek = table_iter_seek, .next = table_iter_next, .close = table_iter_close};

int table_iter_new(struct table *t, struct slice end, unsigned flags, struct iter **ret)
{
	struct table_iter *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	if (buf_append_slice(&i->end, end) < 0) {
		free(i);
		return -ENOMEM;
	}
	i->iter.ops = &table_iter_ops;
	i->t = table_ref(t);
	i->flags = flags;
	*ret = &i->iter;
	return 0;
}
