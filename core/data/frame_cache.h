/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_FRAME_CACHE_H
#define CORE_DATA_FRAME_CACHE_H
/*
 * Plain frames in memory, by segment and ordinal. Sharded; each shard is an S3-FIFO: what is read
 * once passes through a small queue and leaves, what is read again while it is there, or soon after
 * it left, goes to the main queue. So a scan does not wash out what is used. Frames are immutable
 * and reference-counted: a reader keeps one that has left the cache.
 *
 * Charged to BUDGET_CACHE; gives back what the budget lent while dirty data were few. Thread-safe.
 */
#include "core/base/budget.h"
#include "core/base/list.h"
#include "core/base/refcount.h"

struct frame_key {
	uint64_t epoch, sequence, ordinal;
};
static inline bool frame_key_eq(const struct frame_key *a, const struct frame_key *b)
{
	return a->sequence == b->sequence && a->ordinal == b->ordinal && a->epoch == b->epoch;
}
uint64_t frame_key_hash(const struct frame_key *k);

struct frame {
	/* immutable once it is in the cache */
	struct frame_key key;
	uint32_t len;
	struct refcount refs;
	/* guarded by the shard's lock */
	struct frame *next_hash;
	struct list queue;
	uint64_t seen; /* insertions into the shard when it was last used */
	uint8_t uses;
	bool main;
	/* filled by who makes it, then immutable */
	uint8_t bytes[];
};

struct frame_cache;

struct frame_cache *frame_cache_new(struct budget *b, uint64_t max_bytes); /* NULL on ENOMEM */
void frame_cache_free(struct frame_cache *c); /* NULL is fine; frames that readers hold stay */

/* A frame for the caller to fill, with one reference; not in the cache. NULL on ENOMEM. */
struct frame *frame_new(const struct frame_key *k, uint32_t len);
void frame_unref(struct frame *f); /* NULL is fine */

/* With a reference, or NULL. Never waits but for the shard's lock. */
struct frame *frame_cache_get(struct frame_cache *c, const struct frame_key *k);
/* Takes the frame in if there is room (the caller keeps its own reference); leaves it out
 * otherwise. */
void frame_cache_put(struct frame_cache *c, struct frame *f);
/* Drops frames until `bytes` have been given back or nothing is left. */
void frame_cache_shrink(struct frame_cache *c, uint64_t bytes);
uint64_t frame_cache_bytes(struct frame_cache *c);

#endif
