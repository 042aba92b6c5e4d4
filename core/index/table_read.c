/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handles of tables, the pool that bounds what open ones keep in memory, and point lookups. */
#include "core/index/table_internal.h"

#include "core/index/block.h"
#include "core/index/filter.h"

#include <assert.h>
#include <stdlib.h>

/* ---- the pool ---- */

struct table_pool *table_pool_new(struct store *store, const struct volume_keys *keys,
	struct budget *budget, struct block_cache *cache, uint64_t max_bytes)
{
	struct table_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->store = store;
	p->keys = keys;
	p->budget = budget;
	p->cache = cache;
	p->max_bytes = max_bytes;
	mutex_init(&p->lock, RANK_CACHE);
	list_init(&p->open);
	list_init(&p->all);
	return p;
}

void table_pool_free(struct table_pool *p)
{
	if (!p)
		return;
	assert(list_empty(&p->open) && list_empty(&p->all));
	mutex_done(&p->lock);
	free(p);
}

uint64_t table_pool_filter_skips(struct table_pool *p)
{
	return atomic_load_explicit(&p->filter_skips, memory_order_relaxed);
}

bool table_pool_uses(struct table_pool *p, struct table_id id)
{
	struct table *t;
	bool found = false;

	MUTEX_GUARD(&p->lock);
	list_for_each (t, &p->all, handle) {
		if (t->meta.id.job == id.job && t->meta.id.counter == id.counter)
			found = true;
	}
	return found;
}

static void leave_pool_locked(struct table *t)
{
	mutex_assert_held(&t->pool->lock);
	t->pool->bytes -= t->pooled;
	t->pooled = 0;
	list_remove(&t->link);
}

/* While bodies take too much: the one used longest ago, but not `keep`, leaves the pool and is
 * returned with a reference. */
static struct table *pick_victim(struct table_pool *p, const struct table *keep)
{
	struct table *t, *oldest = NULL;

	MUTEX_GUARD(&p->lock);
	if (p->bytes <= p->max_bytes)
		return NULL;
	list_for_each (t, &p->open, link) {
		if (t != keep &&
			(!oldest || atomic_load_explicit(&t->last_used, memory_order_relaxed) <
					    atomic_load_explicit(
						    &oldest->last_used, memory_order_relaxed)))
			oldest = t;
	}
	if (!oldest || !refcount_ref_unless_zero(&oldest->refs))
		return NULL;
	leave_pool_locked(oldest);
	return oldest;
}

static void close_body(struct table *t)
{
	struct table_body *b;

	mutex_lock(&t->lock);
	b = t->body;
	t->body = NULL;
	mutex_unlock(&t->lock);
	table_body_unref(b);
}

static void enter_pool(struct table *t, size_t charge)
{
	struct table_pool *p = t->pool;
	struct table *victim;

	mutex_lock(&p->lock);
	if (t->pooled)
		leave_pool_locked(t);
	t->pooled = charge;
	p->bytes += charge;
	list_push_front(&p->open, &t->link);
	mutex_unlock(&p->lock);
	while ((victim = pick_victim(p, t))) {
		close_body(victim);
		table_unref(victim);
	}
}

/* ---- handles ---- */

struct table *table_new(struct table_pool *p, const struct table_meta *meta)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->meta = *meta;
	t->meta.first = t->meta.last = (struct buf)BUF_INIT;
	if (buf_append_slice(&t->meta.first, buf_slice(&meta->first)) < 0 ||
		buf_append_slice(&t->meta.last, buf_slice(&meta->last)) < 0) {
		buf_done(&t->meta.first);
		free(t);
		return NULL;
	}
	refcount_init(&t->refs);
	t->pool = p;
	table_key(meta->id, t->key);
	mutex_init(&t->lock, RANK_CACHE);
	cond_init(&t->opened);
	list_init(&t->link);
	mutex_lock(&p->lock);
	list_push_front(&p->all, &t->handle);
	mutex_unlock(&p->lock);
	return t;
}

struct table *table_ref(struct table *t)
{
	refcount_ref(&t->refs);
	return t;
}

void table_unref(struct table *t)
{
	if (!t || !refcount_unref(&t->refs))
		return;
	mutex_lock(&t->pool->lock);
	leave_pool_locked(t);
	list_remove(&t->handle);
	mutex_unlock(&t->pool->lock);
	table_body_unref(t->body);
	buf_done(&t->meta.first);
	buf_done(&t->meta.last);
	cond_done(&t->opened);
	mutex_done(&t->lock);
	free(t);
}

const struct table_meta *table_meta(const struct table *t)
{
	return &t->meta;
}

/* Opens for all who want it; those wait for `opened`. */
static int open_locked(struct table *t, struct error *err)
{
	struct table_body *b = NULL;
	int r;

	t->opening = true;
	mutex_unlock(&t->lock);
	r = table_body_read(t, &b, err);
	if (r == 0)
		atomic_fetch_add_explicit(&t->pool->clock, 1, memory_order_relaxed);
	mutex_lock(&t->lock);
	t->opening = false;
	t->body = b;
	cond_broadcast(&t->opened);
	return r;
}

int table_load(struct table *t, unsigned flags, struct table_body **ret, struct error *err)
{
	size_t charge = 0;
	int r = 0;

	mutex_lock(&t->lock);
	while (!t->body && t->opening && !(flags & TABLE_CACHED))
		cond_wait(&t->opened, &t->lock);
	if (!t->body && (flags & TABLE_CACHED)) {
		r = -EWOULDBLOCK;
	} else if (!t->body) {
		r = open_locked(t, err);
		charge = r == 0 ? t->body->charge : 0;
	}
	if (r == 0) {
		*ret = t->body;
		refcount_ref(&t->body->refs);
	}
	mutex_unlock(&t->lock);
	atomic_store_explicit(&t->last_used,
		atomic_load_explicit(&t->pool->clock, memory_order_relaxed), memory_order_relaxed);
	if (charge)
		enter_pool(t, charge);
	return r;
}

int table_dropped(struct table *t, struct segment_refs *out, struct error *err)
{
	struct table_body *b;
	int r = table_load(t, 0, &b, err);

	if (r < 0)
		return r;
	r = segment_refs_merge(out, &b->props.dropped, 1);
	table_body_unref(b);
	return r < 0 ? error_set(err, r, "no memory for dropped references") : 0;
}

int table_counts(struct table *t, struct table_properties *ret, struct error *err)
{
	struct table_body *b;
	int r = table_load(t, 0, &b, err);

	if (r < 0)
		return r;
	*ret = (struct table_properties){.group_low = b->props.group_low,
		.group_high = b->props.group_high,
		.puts = b->props.puts,
		.deletes = b->props.deletes,
		.deltas = b->props.deltas,
		.ranges = b->props.ranges};
	table_body_unref(b);
	return 0;
}

/* ---- places in a table ---- */

size_t table_block_find(const struct table_body *b, struct slice key)
{
	size_t low = 0, high = b->nblocks;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slice_cmp(b->blocks[mid].last, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

size_t table_fragment_find(const struct table_body *b, struct slice key)
{
	size_t low = 0, high = b->nfragments;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slice_cmp(b->fragments[mid].end, key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int table_read_blocks(const struct table *t, const struct table_body *b, size_t first, size_t n,
	struct buf *ret, struct error *err)
{
	const struct table_block *last = &b->blocks[first + n - 1];
	uint64_t from = b->blocks[first].offset;
	size_t len = (size_t)(last->offset + last->sealed - from), got;
	uint8_t *p = buf_extend(ret, len);
	int r;

	if (!p)
		return error_set(err, -ENOMEM, "no memory for blocks of a table");
	r = store_get(t->pool->store, t->key, from, p, len, &got, NULL, err);
	if (r < 0)
		return r;
	if (got != len)
		return error_set(
			err, -EBADMSG, "%s gave %zu bytes instead of %zu", t->key, got, len);
	return 0;
}

int table_open_block(const struct table *t, const struct table_body *b, size_t i,
	struct slice sealed, struct buf *plain, struct error *err)
{
	uint32_t len = b->blocks[i].plain;
	int r = part_open(&b->envelope, i, len, sealed, len, plain, "block of a table", err);

	if (r < 0)
		(void)error_prefix(err, "%s, block %zu", t->key, i); /* the code is r */
	return r;
}

struct block_key table_block_key(const struct table *t, size_t i)
{
	return (struct block_key){t->meta.id, i};
}

/* ---- point lookups ---- */

static int load_block(struct table *t, const struct table_body *b, size_t i, unsigned flags,
	struct block **ret, struct error *err)
{
	struct block_key key = table_block_key(t, i);
	struct buf sealed = BUF_INIT, plain = BUF_INIT;
	int r = block_cache_begin(
		t->pool->cache, &key, flags & TABLE_CACHED ? BLOCK_CACHE_NO_WAIT : 0, ret);

	if (r != 0)
		return r < 0 ? r : 0;
	r = table_read_blocks(t, b, i, 1, &sealed, err);
	if (r == 0)
		r = table_open_block(t, b, i, buf_slice(&sealed), &plain, err);
	block_cache_finish(t->pool->cache, &key, r == 0 ? &plain : NULL, ret);
	buf_done(&sealed);
	buf_done(&plain);
	return r;
}

/* Versions of v->key in one block. *ret_more: the next block may have more. */
static int get_in_block(struct slice block, bool is_first, struct versions *v, bool *ret_more)
{
	struct block_iter it;
	int r = block_iter_init(&it, block);

	if (r == 0)
		r = is_first ? block_iter_seek(&it, v->key) : block_iter_first(&it);
	while (r == 0 && it.valid && slice_eq(it.rec.key, v->key)) {
		if (it.rec.op == RECORD_RANGE)
			return -EBADMSG;
		r = versions_add(v, it.rec.group, it.rec.op, it.rec.value);
		if (r < 0 || v->ended)
			break;
		r = block_iter_next(&it);
	}
	*ret_more = r == 0 && !v->ended && !it.valid;
	return r;
}

static int get_in_blocks(struct table *t, const struct table_body *b, unsigned flags,
	struct versions *v, struct error *err)
{
	bool more = true;
	int r = 0;

	for (size_t first = table_block_find(b, v->key), i = first;
		more && i < b->nblocks && r == 0; i++) {
		struct block *block;
		size_t had = v->n;

		r = load_block(t, b, i, flags, &block, err);
		if (r < 0)
			break;
		r = get_in_block(block->plain, i == first, v, &more);
		if (r == -EBADMSG)
			r = error_set(err, r, "%s, block %zu does not decode", t->key, i);
		if (v->n > had && r == 0)
			r = versions_hold(v, block);
		else
			block_unref(block);
	}
	return r;
}

static void get_cover(const struct table_body *b, struct versions *v)
{
	size_t i = table_fragment_find(b, v->key);

	if (i == b->nfragments || slice_cmp(b->fragments[i].first, v->key) > 0)
		return;
	for (size_t g = 0; g < b->fragments[i].ngroups; g++)
		if (b->fragments[i].groups[g] <= v->view) {
			versions_cover(v, b->fragments[i].groups[g]);
			return;
		}
}

int table_get(struct table *t, uint64_t hash, unsigned flags, struct versions *v, struct error *err)
{
	struct table_body *b;
	int r;

	if (v->ended || t->meta.group_low > v->view ||
		slice_cmp(v->key, buf_slice(&t->meta.first)) < 0 ||
		slice_cmp(v->key, buf_slice(&t->meta.last)) > 0)
		return 0;
	r = table_load(t, flags, &b, err);
	if (r < 0)
		return r;
	get_cover(b, v);
	if (filter_has(buf_slice(&b->plain[TABLE_FILTER]), hash))
		r = get_in_blocks(t, b, flags, v, err);
	else
		atomic_fetch_add_explicit(&t->pool->filter_skips, 1, memory_order_relaxed);
	table_body_unref(b);
	if (r == 0 && v->cover && !v->ended) /* all that is left is older than a range delete */
		v->ended = v->deleted = true;
	return r;
}

int table_may_have(struct table *t, uint64_t hash, unsigned flags, bool *ret, struct error *err)
{
	struct table_body *b;
	int r = table_load(t, flags, &b, err);

	if (r < 0)
		return r;
	*ret = filter_has(buf_slice(&b->plain[TABLE_FILTER]), hash);
	if (!*ret)
		atomic_fetch_add_explicit(&t->pool->filter_skips, 1, memory_order_relaxed);
	table_body_unref(b);
	return 0;
}
