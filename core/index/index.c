/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and closing, point lookups, what maintenance asks for. Groups are in index_group.c, scans
 * in scan.c. */
#include "core/index/index_internal.h"

#include "core/base/planted.h"
#include "core/index/filter.h"

#include <assert.h>
#include <stdlib.h>

#define TABLE_BYTES_DEFAULT (32ull << 20)
#define LEVEL1_BYTES_DEFAULT (256ull << 20)
#define BLOCK_BYTES_DEFAULT (16ull << 10)
#define MEMTABLE_BYTES_DEFAULT (8ull << 20)
#define BLOCK_CACHE_BYTES_DEFAULT (32ull << 20)
#define BODIES_LEAST                                                                               \
	(4ull << 20) /* what open tables may take at least; else half of the block cache's limit   \
		      */
#define THROTTLE_CHECK_MS 50

static_assert(INDEX_CACHED == TABLE_CACHED, "the flag is passed on");

static struct index_options with_defaults(const struct index_options *o)
{
	struct index_options r = *o;

	if (r.table_bytes == 0)
		r.table_bytes = TABLE_BYTES_DEFAULT;
	if (r.level1_bytes == 0)
		r.level1_bytes = LEVEL1_BYTES_DEFAULT;
	if (r.block_bytes == 0)
		r.block_bytes = BLOCK_BYTES_DEFAULT;
	if (r.memtable_bytes == 0)
		r.memtable_bytes = MEMTABLE_BYTES_DEFAULT;
	if (r.block_cache_bytes == 0)
		r.block_cache_bytes = BLOCK_CACHE_BYTES_DEFAULT;
	return r;
}

static uint64_t bodies_limit(const struct index_options *o)
{
	uint64_t half = o->block_cache_bytes / 2;

	return half > BODIES_LEAST ? half : BODIES_LEAST;
}

int index_open(
	const struct index_options *o, struct manifest *m, struct index **ret, struct error *err)
{
	struct index *ix = calloc(1, sizeof(*ix));
	int r = -ENOMEM;

	if (!ix)
		return error_set(err, -ENOMEM, "no memory for the index");
	ix->o = with_defaults(o);
	mutex_init(&ix->lock, RANK_INDEX);
	cond_init(&ix->changed);
	ix->cache = block_cache_new(ix->o.budget, ix->o.block_cache_bytes);
	if (ix->cache)
		ix->pool = table_pool_new(
			ix->o.store, ix->o.keys, ix->o.budget, ix->cache, bodies_limit(&ix->o));
	if (ix->pool)
		r = index_first_version(ix, m);
	if (r < 0) {
		index_close(ix);
		return error_set(err, r, "no memory for the index");
	}
	ix->last_begun = m->last_group;
	*ret = ix;
	return 0;
}

void index_close(struct index *ix)
{
	if (!ix)
		return;
	index_version_put(ix->current);
	table_pool_free(ix->pool);
	block_cache_free(ix->cache);
	cond_done(&ix->changed);
	mutex_done(&ix->lock);
	free(ix);
}

struct table_writer_options index_writer_options(
	const struct index *ix, const uint64_t *pins, size_t npins)
{
	return (struct table_writer_options){.store = ix->o.store,
		.keys = ix->o.keys,
		.fold = ix->o.fold,
		.budget = ix->o.budget,
		.table_bytes = ix->o.table_bytes,
		.block_bytes = ix->o.block_bytes,
		.codec = ix->o.codec,
		.pins = pins,
		.npins = npins};
}

/* ---- point lookups ---- */

int index_gone(struct index *ix, int r, struct error *err)
{
	bool writer;

	if (r != -ENOENT)
		return r;
	mutex_lock(&ix->lock);
	writer = ix->writer.epoch != 0;
	mutex_unlock(&ix->lock);
	if (writer)
		return error_set(
			err, -EBADMSG, "a table that the manifest names is not in the store");
	return error_set(err, -EAGAIN, "a table is gone: there must be a newer manifest");
}

/* The table of a sorted level that may hold the key: the last one that does not begin behind it. */
static struct table *table_for(const struct index_version *v, unsigned level, struct slice key)
{
	size_t low = 0, high = v->manifest->nlevel[level];

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slice_cmp(buf_slice(&table_meta(v->levels[level][mid])->first), key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? v->levels[level][low - 1] : NULL;
}

static int gather_from_tables(
	const struct index_version *ver, unsigned flags, struct versions *v, struct error *err)
{
	uint64_t hash = filter_hash(v->key);
	int r = 0;

	for (size_t i = 0; r == 0 && !v->ended && i < ver->manifest->nlevel[0]; i++)
		r = table_get(ver->levels[0][i], hash, flags, v, err);
	for (unsigned level = 1; r == 0 && !v->ended && level < MANIFEST_LEVELS; level++) {
		struct table *t = table_for(ver, level, v->key);

		if (t)
			r = table_get(t, hash, flags, v, err);
	}
	return r;
}

static int gather(
	const struct index_version *ver, unsigned flags, struct versions *v, struct error *err)
{
	for (size_t i = 0; i < ver->nmem && !v->ended; i++) {
		int r = memtable_get(ver->mem[i]->table, ver->manifest->last_group, v);

		if (r < 0)
			return error_set(err, r, "no memory for a lookup");
	}
	return v->ended ? 0 : gather_from_tables(ver, flags, v, err);
}

static int fold_versions(
	const struct index *ix, const struct versions *v, struct buf *out, struct error *err)
{
	enum record_op op;
	int r;

	if (v->n == 0)
		return -ENOENT;
	if (v->n == 1 && v->recs[0].op == RECORD_PUT)
		r = buf_append_slice(out, v->recs[0].value);
	else
		r = ix->o.fold->fold(v->recs, v->n, true, out, &op);
	return r < 0 ? error_set(err, r, "versions of a key do not fold") : 0;
}

int index_get(struct index *ix, uint64_t view, struct slice key, unsigned flags, struct buf *out,
	struct index_info *info, struct error *err)
{
	struct index_version *ver = index_version_get(ix);
	struct versions v;
	int r;

	versions_init(&v, key, view);
	r = index_gone(ix, gather(ver, flags, &v, err), err);
	if (r == 0)
		r = fold_versions(ix, &v, out, err);
	if (r == 0 && info)
		*info = (struct index_info){.merged = (unsigned)v.n, .newest = v.recs[0].group};
	versions_done(&v);
	index_version_put(ver);
	return r;
}

/* ---- maintenance ---- */

static bool can_flush_locked(const struct index *ix, const struct index_memtable *im, bool force)
{
	if (im->open && !planted(PLANTED_FLUSH_UNACKED))
		return false; /* W6 */
	return im != ix->active || force;
}

uint64_t index_flushable(struct index *ix, bool force)
{
	uint64_t upto = 0;

	MUTEX_GUARD(&ix->lock);
	const struct index_version *v = ix->current;

	for (size_t i = v->nmem; i-- > 0 && can_flush_locked(ix, v->mem[i], force);) {
		struct index_memtable *im = v->mem[i];

		upto = im->high > upto ? im->high : upto;
		im->closed = true;
		if (ix->active == im)
			ix->active = NULL;
	}
	/* What the open group still holds back takes no further group, so that its commit makes it
	 * flushable. */
	if (force && ix->active && memtable_bytes(ix->active->table) > 0) {
		ix->active->closed = true;
		ix->active = NULL;
	}
	return upto > v->manifest->last_group ? upto : 0;
}

static uint64_t memtable_bytes_locked(const struct index *ix)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < ix->current->nmem; i++)
		bytes += memtable_bytes(ix->current->mem[i]->table);
	return bytes;
}

void index_set_busy(struct index *ix, bool busy)
{
	atomic_store_explicit(&ix->busy, busy, memory_order_relaxed);
}

uint64_t index_memtable_deletes(struct index *ix)
{
	uint64_t n = 0;

	MUTEX_GUARD(&ix->lock);
	for (size_t i = 0; i < ix->current->nmem; i++)
		n += memtable_deletes(ix->current->mem[i]->table);
	return n;
}

uint64_t index_memtable_bytes(struct index *ix)
{
	MUTEX_GUARD(&ix->lock);
	return memtable_bytes_locked(ix);
}

/* Level 0 holds flushes back when it is full; that hurts from half of the memtables' share on. */
static bool must_wait_locked(const struct index *ix, uint64_t share)
{
	uint64_t bytes = memtable_bytes_locked(ix);

	return bytes >= share ||
	       (ix->current->manifest->nlevel[0] >= INDEX_LEVEL0_MAX && bytes >= share / 2);
}

int index_throttle(struct index *ix)
{
	uint64_t share = ix->o.budget ? budget_limit(ix->o.budget, BUDGET_MEMTABLE) : UINT64_MAX;
	uint64_t begin = 0, ms;
	int r = 0;

	mutex_lock(&ix->lock);
	while (!ix->cancelled && must_wait_locked(ix, share)) {
		r = ix->refused;
		if (r < 0)
			break;
		if (begin == 0)
			begin = env_now_ms();
		(void)cond_wait_until(&ix->changed, &ix->lock,
			env_now_ns() + THROTTLE_CHECK_MS * 1000000ull); /* looks again either way */
	}
	if (ix->cancelled)
		r = -ECANCELED;
	ms = begin ? env_now_ms() - begin : 0;
	if (ms > ix->throttled_max_ms)
		ix->throttled_max_ms = ms;
	mutex_unlock(&ix->lock);
	return r;
}

void index_refuse(struct index *ix, int code)
{
	MUTEX_GUARD(&ix->lock);
	ix->refused = code;
	if (code)
		cond_broadcast(&ix->changed);
}

void index_cancel(struct index *ix)
{
	mutex_lock(&ix->lock);
	ix->cancelled = true;
	cond_broadcast(&ix->changed);
	mutex_unlock(&ix->lock);
}

struct manifest *index_manifest(struct index *ix)
{
	MUTEX_GUARD(&ix->lock);
	return manifest_ref(ix->current->manifest);
}

void index_stats(struct index *ix, struct index_stats *ret)
{
	struct index_stats s = {.flushes = ix->flushes,
		.merges = ix->merges,
		.merged_bytes = ix->merged_bytes,
		.flushed_bytes = ix->flushed_bytes,
		.throttled_max_ms = ix->throttled_max_ms,
		.filter_skips = table_pool_filter_skips(ix->pool)};
	struct index_version *v = index_version_get(ix);

	s.memtables = v->nmem;
	s.level0 = v->manifest->nlevel[0];
	for (size_t i = 0; i < v->nmem; i++)
		s.memtable_bytes += memtable_bytes(v->mem[i]->table);
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++) {
		s.tables += v->manifest->nlevel[level];
		for (size_t i = 0; i < v->manifest->nlevel[level]; i++)
			s.table_bytes += v->manifest->levels[level][i].size;
	}
	index_version_put(v);
	block_cache_counts(ix->cache, &s.block_hits, &s.block_misses);
	*ret = s;
}

void index_trim(struct index *ix, uint64_t keep)
{
	uint64_t have = block_cache_bytes(ix->cache);

	if (have > keep)
		block_cache_shrink(ix->cache, have - keep);
}
