/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_BLOCK_CACHE_H
#define CORE_INDEX_BLOCK_CACHE_H
/*
 * Plain blocks of tables in memory, by table and ordinal. Sharded; scan-resistant (S3-FIFO: new
 * blocks enter a small queue and reach the main one only when they are asked for again). Accounted
 * in BUDGET_CACHE. Blocks are reference-counted, because readers go on with one that has been
 * evicted. One thread loads a block, others that want it wait for it. Thread-safe.
 */
#include "core/base/budget.h"
#include "core/index/manifest.h"

struct block_cache;

struct block_key {
	struct table_id table;
	uint64_t ordinal;
};

struct block {
	struct slice plain; /* immutable */
};

#define BLOCK_CACHE_NO_WAIT 1u /* -EWOULDBLOCK where it would have to be loaded or waited for */

/* NULL on ENOMEM. `max_bytes` bounds it; the budget may give less. */
struct block_cache *block_cache_new(struct budget *budget, uint64_t max_bytes);
void block_cache_free(struct block_cache *c); /* no block is held any more; NULL is fine */

/*
 * 1: *ret is the block, with a reference. 0: the caller must load it and call block_cache_finish
 * (which others wait for). -EWOULDBLOCK (flag). -ENOMEM.
 */
int block_cache_begin(
	struct block_cache *c, const struct block_key *key, unsigned flags, struct block **ret);
/*
 * Ends a load. Takes the bytes of `plain` (a buffer whose memory the cache frees) and gives the
 * block back with a reference; `plain` NULL: it failed, those who wait try themselves.
 */
void block_cache_finish(
	struct block_cache *c, const struct block_key *key, struct buf *plain, struct block **ret);
/* The block if it is there, without counting as a use; for merges. NULL: absent. */
struct block *block_cache_peek(struct block_cache *c, const struct block_key *key);
/* A block that is in no cache, from the bytes of `plain` (taken). NULL on ENOMEM. */
struct block *block_wrap(struct block_cache *c, struct buf *plain);
struct block *block_ref(struct block *b);
void block_unref(struct block *b); /* NULL is fine */

void block_cache_counts(struct block_cache *c, uint64_t *ret_hits, uint64_t *ret_misses);
/* Evicts until `bytes` have been given back or nothing is left; blocks that readers hold stay
 * theirs. */
void block_cache_shrink(struct block_cache *c, uint64_t bytes);
uint64_t block_cache_bytes(struct block_cache *c);

#endif
