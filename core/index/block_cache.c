/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * S3-FIFO in shards. A block enters the small queue; when it leaves that queue it goes to the main
 * one if it was used meanwhile, else out, leaving its hash as a ghost; a block whose ghost is still
 * there enters the main queue at once. The main queue gives a used block another round. So one scan
 * runs through the small tenth and leaves the rest alone.
 *
 * I1  A block in the shard's table holds one reference for it. A block that is being loaded is in
 * the table and in no queue. I2  shard->bytes is the charge of the blocks in its queues. Blocks
 * that only readers hold stay in the budget until they let go.
 */
#include "core/index/block_cache.h"

#include "core/base/list.h"
#include "core/base/refcount.h"
#include "core/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SHARDS 8
#define USES_MAX 3
#define SMALL_SHARE 10	  /* the small queue has a tenth */
#define LEAST_SHARE 4	  /* a quarter of the limit is kept when all caches are full */
#define BUCKET_BYTES 8192 /* one bucket for that much cache */
#define BUCKETS_MIN 64

enum queue { QUEUE_NONE, QUEUE_SMALL, QUEUE_MAIN };

struct entry {
	struct block block;
	struct refcount refs;
	struct block_cache *cache;
	struct block_key key;
	uint64_t hash;
	size_t charge;
	uint8_t *data; /* owned */
	/* guarded by the shard's lock */
	struct entry *chain;
	struct list link;
	enum queue queue;
	bool loading;
	unsigned uses;
};

struct shard {
	struct mutex lock; /* RANK_CACHE */
	struct cond loaded;
	/* guarded by lock */
	struct entry **buckets;
	struct list small, main;
	uint64_t small_bytes, bytes;
	uint64_t *ghosts; /* by hash, each place the newest */
	uint64_t hits, misses;
};

struct block_cache {
	/* immutable */
	struct budget *budget;
	uint64_t shard_bytes; /* limit */
	size_t nbuckets;      /* of each shard; a power of two */
	struct shard shards[SHARDS];
};

static struct entry *entry_of(struct block *b)
{
	return container_of(b, struct entry, block);
}

static uint64_t hash_key(const struct block_key *k)
{
	uint64_t h = k->table.job * 0x9e3779b97f4a7c15ull;

	h = (h ^ h >> 29 ^ k->table.counter) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 32 ^ k->ordinal) * 0x94d049bb133111ebull;
	return h ^ h >> 31;
}

static bool key_eq(const struct block_key *a, const struct block_key *b)
{
	return a->table.job == b->table.job && a->table.counter == b->table.counter &&
	       a->ordinal == b->ordinal;
}

struct block_cache *block_cache_new(struct budget *budget, uint64_t max_bytes)
{
	struct block_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->budget = budget;
	c->shard_bytes = max_bytes / SHARDS;
	for (c->nbuckets = BUCKETS_MIN; c->nbuckets < c->shard_bytes / BUCKET_BYTES;)
		c->nbuckets *= 2;
	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];

		mutex_init(&s->lock, RANK_CACHE);
		cond_init(&s->loaded);
		list_init(&s->small);
		list_init(&s->main);
		s->buckets = calloc(c->nbuckets, sizeof(struct entry *));
		s->ghosts = calloc(c->nbuckets, sizeof(*s->ghosts));
	}
	for (int i = 0; i < SHARDS; i++)
		if (!c->shards[i].buckets || !c->shards[i].ghosts) {
			block_cache_free(c);
			return NULL;
		}
	return c;
}

static struct shard *shard_of(struct block_cache *c, uint64_t hash)
{
	return &c->shards[hash >> 61];
}

static_assert(SHARDS == 1 << 3, "shard_of takes three bits");

static struct entry **bucket_of(const struct block_cache *c, struct shard *s, uint64_t hash)
{
	return &s->buckets[hash & (c->nbuckets - 1)];
}

static void charge(struct entry *e)
{
	if (e->cache->budget)
		budget_force(e->cache->budget, BUDGET_CACHE, e->charge);
}

static bool try_charge(struct entry *e)
{
	return !e->cache->budget || budget_try(e->cache->budget, BUDGET_CACHE, e->charge);
}

struct block *block_ref(struct block *b)
{
	refcount_ref(&entry_of(b)->refs);
	return b;
}

void block_unref(struct block *b)
{
	struct entry *e = b ? entry_of(b) : NULL;

	if (!e || !refcount_unref(&e->refs))
		return;
	if (e->charge && e->cache->budget)
		budget_put(e->cache->budget, BUDGET_CACHE, e->charge);
	free(e->data);
	free(e);
}

static struct entry *entry_new(struct block_cache *c)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	refcount_init(&e->refs);
	e->cache = c;
	list_init(&e->link);
	return e;
}

/* Gives the bytes to an entry that nobody can see yet, or whose readers wait. */
static void fill(struct entry *e, struct buf *plain)
{
	e->data = plain->data;
	e->block.plain = buf_slice(plain);
	e->charge = sizeof(*e) + plain->cap;
	*plain = (struct buf)BUF_INIT;
}

struct block *block_wrap(struct block_cache *c, struct buf *plain)
{
	struct entry *e = entry_new(c);

	if (!e) {
		buf_done(plain);
		return NULL;
	}
	fill(e, plain);
	charge(e);
	return &e->block;
}

/* ---- the shard ---- */

static struct entry *find_locked(
	const struct block_cache *c, struct shard *s, uint64_t hash, const struct block_key *key)
{
	struct entry *e = *bucket_of(c, s, hash);

	mutex_assert_held(&s->lock);
	while (e && !(e->hash == hash && key_eq(&e->key, key)))
		e = e->chain;
	return e;
}

static void enqueue_locked(struct shard *s, struct entry *e, enum queue q)
{
	e->queue = q;
	e->uses = 0;
	list_push_front(q == QUEUE_SMALL ? &s->small : &s->main, &e->link);
	s->bytes += e->charge;
	if (q == QUEUE_SMALL)
		s->small_bytes += e->charge;
}

static void dequeue_locked(struct shard *s, struct entry *e)
{
	list_remove(&e->link);
	s->bytes -= e->charge;
	if (e->queue == QUEUE_SMALL)
		s->small_bytes -= e->charge;
	e->queue = QUEUE_NONE;
}

/* Out of the table and of its queue; drops the table's reference. */
static void remove_locked(struct block_cache *c, struct shard *s, struct entry *e)
{
	struct entry **at = bucket_of(c, s, e->hash);

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	if (e->queue != QUEUE_NONE)
		dequeue_locked(s, e);
	block_unref(&e->block);
}

static void evict_small_locked(struct block_cache *c, struct shard *s)
{
	struct entry *e = list_last(&s->small, struct entry, link);

	if (e->uses) {
		dequeue_locked(s, e);
		enqueue_locked(s, e, QUEUE_MAIN);
		return;
	}
	s->ghosts[e->hash & (c->nbuckets - 1)] = e->hash;
	remove_locked(c, s, e);
}

static void evict_main_locked(struct block_cache *c, struct shard *s)
{
	struct entry *e = list_last(&s->main, struct entry, link);

	if (e->uses) {
		e->uses--;
		list_move_front(&s->main, &e->link);
		return;
	}
	remove_locked(c, s, e);
}

/* One step towards less. False: there is nothing to evict. */
static bool evict_locked(struct block_cache *c, struct shard *s)
{
	if (!list_empty(&s->small) &&
		(s->small_bytes > c->shard_bytes / SMALL_SHARE || list_empty(&s->main)))
		evict_small_locked(c, s);
	else if (!list_empty(&s->main))
		evict_main_locked(c, s);
	else
		return false;
	return true;
}

static void admit_locked(struct block_cache *c, struct shard *s, struct entry *e)
{
	uint64_t *ghost = &s->ghosts[e->hash & (c->nbuckets - 1)];
	bool known = *ghost == e->hash;

	while (s->bytes + e->charge > c->shard_bytes && evict_locked(c, s))
		;
	if (!try_charge(e)) {
		/* All caches together are full. What they owe each other is settled by each giving
		 * back as much as it takes; a part of our limit is ours in any case, so that
		 * another cache cannot starve this one. */
		uint64_t target = s->bytes > e->charge ? s->bytes - e->charge : 0;
		uint64_t least = c->shard_bytes / LEAST_SHARE;

		while (s->bytes > target && s->bytes + e->charge > least && evict_locked(c, s))
			;
		charge(e);
	}
	if (known)
		*ghost = 0;
	enqueue_locked(s, e, known ? QUEUE_MAIN : QUEUE_SMALL);
}

/* ---- use ---- */

static int begin_load_locked(
	struct block_cache *c, struct shard *s, uint64_t hash, const struct block_key *key)
{
	struct entry *e = entry_new(c), **bucket = bucket_of(c, s, hash);

	if (!e)
		return -ENOMEM;
	e->key = *key;
	e->hash = hash;
	e->loading = true;
	e->chain = *bucket;
	*bucket = e;
	s->misses++;
	return 0;
}

int block_cache_begin(
	struct block_cache *c, const struct block_key *key, unsigned flags, struct block **ret)
{
	uint64_t hash = hash_key(key);
	struct shard *s = shard_of(c, hash);
	struct entry *e;

	MUTEX_GUARD(&s->lock);
	while ((e = find_locked(c, s, hash, key)) && e->loading) {
		if (flags & BLOCK_CACHE_NO_WAIT)
			return -EWOULDBLOCK;
		cond_wait(&s->loaded, &s->lock);
	}
	if (e) {
		if (e->uses < USES_MAX)
			e->uses++;
		s->hits++;
		*ret = block_ref(&e->block);
		return 1;
	}
	if (flags & BLOCK_CACHE_NO_WAIT)
		return -EWOULDBLOCK;
	return begin_load_locked(c, s, hash, key);
}

void block_cache_finish(
	struct block_cache *c, const struct block_key *key, struct buf *plain, struct block **ret)
{
	uint64_t hash = hash_key(key);
	struct shard *s = shard_of(c, hash);

	MUTEX_GUARD(&s->lock);
	struct entry *e = find_locked(c, s, hash, key);

	assert(e && e->loading);
	e->loading = false;
	if (plain) {
		fill(e, plain);
		admit_locked(c, s, e);
		*ret = block_ref(&e->block);
	} else {
		remove_locked(c, s, e);
	}
	cond_broadcast(&s->loaded);
}

struct block *block_cache_peek(struct block_cache *c, const struct block_key *key)
{
	uint64_t hash = hash_key(key);
	struct shard *s = shard_of(c, hash);

	MUTEX_GUARD(&s->lock);
	struct entry *e = find_locked(c, s, hash, key);

	return e && !e->loading ? block_ref(&e->block) : NULL;
}

void block_cache_free(struct block_cache *c)
{
	if (!c)
		return;
	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];

		for (size_t b = 0; s->buckets && b < c->nbuckets; b++)
			while (s->buckets[b]) {
				assert(!s->buckets[b]->loading);
				assert(refcount_read(&s->buckets[b]->refs) == 1);
				remove_locked(c, s, s->buckets[b]);
			}
		free(s->buckets);
		free(s->ghosts);
		cond_done(&s->loaded);
		mutex_done(&s->lock);
	}
	free(c);
}

void block_cache_counts(struct block_cache *c, uint64_t *ret_hits, uint64_t *ret_misses)
{
	*ret_hits = *ret_misses = 0;
	for (int i = 0; i < SHARDS; i++) {
		MUTEX_GUARD(&c->shards[i].lock);
		*ret_hits += c->shards[i].hits;
		*ret_misses += c->shards[i].misses;
	}
}

void block_cache_shrink(struct block_cache *c, uint64_t bytes)
{
	uint64_t each = bytes / SHARDS + 1;

	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];

		MUTEX_GUARD(&s->lock);
		uint64_t had = s->bytes;

		while (had - s->bytes < each && evict_locked(c, s))
			;
	}
}

uint64_t block_cache_bytes(struct block_cache *c)
{
	uint64_t bytes = 0;

	for (int i = 0; i < SHARDS; i++) {
		MUTEX_GUARD(&c->shards[i].lock);
		bytes += c->shards[i].bytes;
	}
	return bytes;
}
