/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_TABLE_READ_H
#define CORE_INDEX_TABLE_READ_H
/*
 * Reading of tables. A `struct table` is a handle made from what the manifest says, without a
 * request; index, filter and range deletes (the *body*) come with one tail read on first use, are
 * proven by salt, size and digest of the manifest, and stay in memory as long as the pool has room.
 * Handles and bodies are reference-counted: versions share handles, readers go on with a body that
 * has been dropped from its handle. Thread-safe.
 */
#include "core/base/budget.h"
#include "core/index/block_cache.h"
#include "core/index/iter.h"
#include "core/index/table_format.h"
#include "core/index/versions.h"
#include "core/seal/keys.h"

/* Flags of reading; TABLE_CACHED has the value of INDEX_CACHED. */
#define TABLE_CACHED 1u	     /* no request: -EWOULDBLOCK */
#define TABLE_BULK 2u	     /* for merges: large reads that leave the block cache alone */
#define TABLE_RANGES_ONLY 4u /* the iterator yields range deletes alone */

struct table;
struct table_pool;

/* What all tables of an index share. Pointers are borrowed. `max_bytes`: bodies in memory. NULL on
 * ENOMEM. */
struct table_pool *table_pool_new(struct store *store, const struct volume_keys *keys,
	struct budget *budget, struct block_cache *cache, uint64_t max_bytes);
void table_pool_free(struct table_pool *p); /* after all its tables; NULL is fine */
uint64_t table_pool_filter_skips(struct table_pool *p);
/* Whether somebody holds a handle of this table: the sweep leaves its object alone then. */
bool table_pool_uses(struct table_pool *p, struct table_id id);

/* Copies `meta`. No request. NULL on ENOMEM. */
struct table *table_new(struct table_pool *p, const struct table_meta *meta);
struct table *table_ref(struct table *t);
void table_unref(struct table *t); /* NULL is fine */
const struct table_meta *table_meta(const struct table *t);

/* Adds the dropped references of the table to `out`. */
int table_dropped(struct table *t, struct segment_refs *out, struct error *err);
/* What the properties say: counts of puts, deletes, deltas and range deletes in `ret` (keys and
 * dropped references stay empty). */
int table_counts(struct table *t, struct table_properties *ret, struct error *err);

/*
 * Gathers what the table says about v->key; `hash` is filter_hash of the key. 0; -EWOULDBLOCK;
 * -EBADMSG; store errors (-ENOENT: the object is gone, which for a table of the newest manifest is
 * damage).
 */
int table_get(
	struct table *t, uint64_t hash, unsigned flags, struct versions *v, struct error *err);
/* False: no point record has the key or prefix that `hash` stands for. Opens the table. Error as
 * above. */
int table_may_have(struct table *t, uint64_t hash, unsigned flags, bool *ret, struct error *err);

/* Iterators hold a reference to the table(s). `end` (copied; empty = none): records from there on
 * need not come out. 0, -ENOMEM. */
int table_iter_new(struct table *t, struct slice end, unsigned flags, struct iter **ret);
/* The tables of one level above 0: sorted by first key, not overlapping. Opens one after the other.
 */
int level_iter_new(
	struct table *const *tables, size_t n, struct slice end, unsigned flags, struct iter **ret);

#endif
