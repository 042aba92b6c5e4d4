/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * S3-FIFO in shards. C1  a frame in a shard's table is in exactly one of its two queues, and holds
 * one reference and its charge. C2  the small queue is bounded to a tenth of the shard; what leaves
 * it unused leaves a trace (a hash) in the ghost ring.
 */
#include "core/data/frame_cache.h"

#include <assert.h>
#include <stdlib.h>

#define SHARDS_MAX 16u
#define SHARD_BYTES_MIN (4u << 20) /* smaller shards hold too few frames to be even */
#define GHOSTS 2048u		   /* per shard */
#define SLOTS_MIN 64u
#define USES_MAX 3u
#define FRAME_OVERHEAD 64u /* table and allocator, bytes per frame */
#define EVICT_TRIES 64u	   /* frames dropped to let one in, at most */

struct shard {
	struct mutex lock;
	/* guarded by lock */
	struct frame **slots;
	size_t nslots, count; /* power of two, or 0 */
	struct list small, main;
	uint64_t small_bytes, bytes, inserts;
	uint32_t ghosts[GHOSTS]; /* 0 = none */
	size_t ghost_at;
};

struct frame_cache {
	/* immutable */
	struct budget *budget;
	uint64_t shard_max;
	size_t nshards; /* power of two */
	struct shard shards[SHARDS_MAX];
};

uint64_t frame_key_hash(const struct frame_key *k)
{
	uint64_t h = k->sequence * 0x9e3779b97f4a7c15ull ^ k->ordinal * 0xd1b54a32d192ed03ull ^
		     k->epoch * 0x8cb92ba72f3d8dd7ull;

	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ull;
	return h ^ h >> 32;
}

struct frame_cache *frame_cache_new(struct budget *b, uint64_t max_bytes)
{
	struct frame_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->budget = b;
	c->nshards = 1;
	while (c->nshards < SHARDS_MAX && max_bytes / c->nshards >= 2 * SHARD_BYTES_MIN)
		c->nshards *= 2;
	c->shard_max = max_bytes / c->nshards;
	for (size_t i = 0; i < c->nshards; i++) {
		mutex_init(&c->shards[i].lock, RANK_CACHE);
		list_init(&c->shards[i].small);
		list_init(&c->shards[i].main);
	}
	return c;
}

struct frame *frame_new(const struct frame_key *k, uint32_t len)
{
	struct frame *f = malloc(sizeof(*f) + len);

	if (!f)
		return NULL;
	*f = (struct frame){.key = *k, .len = len};
	refcount_init(&f->refs);
	list_init(&f->queue);
	return f;
}

void frame_unref(struct frame *f)
{
	if (f && refcount_unref(&f->refs))
		free(f);
}

static uint64_t frame_charge(const struct frame *f)
{
	return sizeof(*f) + f->len + FRAME_OVERHEAD;
}

static struct shard *shard_of(struct frame_cache *c, uint64_t hash)
{
	return &c->shards[(hash >> 32) & (c->nshards - 1)];
}

/* ---- table ---- */

static struct frame **slot_of(struct shard *s, const struct frame_key *k, uint64_t hash)
{
	struct frame **at = &s->slots[hash & (s->nslots - 1)];

	while (*at && !frame_key_eq(&(*at)->key, k))
		at = &(*at)->next_hash;
	return at;
}

static bool grow_locked(struct shard *s)
{
	size_t n = s->nslots ? 2 * s->nslots : SLOTS_MIN;
	struct frame **slots = calloc(n, sizeof(*slots));

	if (!slots)
		return s->nslots > 0; /* longer chains serve as well */
	for (size_t i = 0; i < s->nslots; i++) {
		struct frame *f = s->slots[i], *next;

		for (; f; f = next) {
			struct frame **at = &slots[frame_key_hash(&f->key) & (n - 1)];

			next = f->next_hash;
			f->next_hash = *at;
			*at = f;
		}
	}
	free(s->slots);
	s->slots = slots;
	s->nslots = n;
	return true;
}

static void remove_locked(struct frame_cache *c, struct shard *s, struct frame *f)
{
	struct frame **at = slot_of(s, &f->key, frame_key_hash(&f->key));
	uint64_t charge = frame_charge(f);

	assert(*at == f);
	*at = f->next_hash;
	list_remove(&f->queue);
	s->count--;
	s->bytes -= charge;
	if (!f->main)
		s->small_bytes -= charge;
	budget_put(c->budget, BUDGET_CACHE, charge);
	frame_unref(f);
}

/* ---- queues ---- */

static void ghost_add_locked(struct shard *s, uint32_t mark)
{
	s->ghosts[s->ghost_at] = mark;
	s->ghost_at = (s->ghost_at + 1) % GHOSTS;
}

static uint32_t ghost_mark(uint64_t hash)
{
	return (uint32_t)(hash >> 20) | 1;
}

static bool ghost_take_locked(struct shard *s, uint32_t mark)
{
	for (size_t i = 0; i < GHOSTS; i++) {
		if (s->ghosts[i] != mark)
			continue;
		s->ghosts[i] = 0;
		return true;
	}
	return false;
}

static void move_to_main_locked(struct shard *s, struct frame *f)
{
	if (!f->main)
		s->small_bytes -= frame_charge(f);
	f->main = true;
	f->uses = 0;
	list_move_back(&s->main, &f->queue);
}

/* Drops one frame: from the small queue while it has more than its tenth (or all there is), else
 * from the main one. */
static bool evict_locked(struct frame_cache *c, struct shard *s)
{
	while (s->count) {
		bool from_small = !list_empty(&s->small) &&
				  (s->small_bytes > s->bytes / 10 || list_empty(&s->main));
		struct frame *f =
			list_first(from_small ? &s->small : &s->main, struct frame, queue);

		if (from_small && f->uses > 0) {
			move_to_main_locked(s, f);
		} else if (f->uses > 0) {
			f->uses--;
			list_move_back(&s->main, &f->queue);
		} else {
			if (from_small)
				ghost_add_locked(s, ghost_mark(frame_key_hash(&f->key)));
			remove_locked(c, s, f);
			return true;
		}
	}
	return false;
}

struct frame *frame_cache_get(struct frame_cache *c, const struct frame_key *k)
{
	uint64_t hash = frame_key_hash(k);
	struct shard *s = shard_of(c, hash);

	MUTEX_GUARD(&s->lock);
	struct frame *f = s->nslots ? *slot_of(s, k, hash) : NULL;

	if (!f)
		return NULL;
	/* Small reads of one frame in a row are one use: else every scan by them would look like
	 * reuse. */
	if (s->inserts - f->seen > s->count / 16 && f->uses < USES_MAX)
		f->uses++;
	f->seen = s->inserts;
	refcount_ref(&f->refs);
	return f;
}

/* Room for `charge` in the shard and in the budget, at the cost of other frames. */
static bool make_room_locked(struct frame_cache *c, struct shard *s, uint64_t charge)
{
	uint64_t excess = budget_excess(c->budget, BUDGET_CACHE), before = s->bytes;

	if (charge > c->shard_max)
		return false;
	for (unsigned i = 0; i < EVICT_TRIES && before - s->bytes < excess; i++)
		if (!evict_locked(c, s))
			break;
	while (s->bytes + charge > c->shard_max)
		if (!evict_locked(c, s))
			return false;
	for (unsigned i = 0; i < EVICT_TRIES; i++) {
		if (budget_try(c->budget, BUDGET_CACHE, charge))
			return true;
		if (!evict_locked(c, s))
			return false;
	}
	return false;
}

void frame_cache_put(struct frame_cache *c, struct frame *f)
{
	uint64_t hash = frame_key_hash(&f->key), charge = frame_charge(f);
	struct shard *s = shard_of(c, hash);

	MUTEX_GUARD(&s->lock);
	if (s->count >= s->nslots && !grow_locked(s))
		return;
	if (*slot_of(s, &f->key, hash) || !make_room_locked(c, s, charge))
		return;
	refcount_ref(&f->refs);
	f->uses = 0;
	f->seen = ++s->inserts;
	f->main = ghost_take_locked(s, ghost_mark(hash));
	list_push_back(f->main ? &s->main : &s->small, &f->queue);
	struct frame **at = &s->slots[hash & (s->nslots - 1)];

	f->next_hash = *at;
	*at = f;
	s->count++;
	s->bytes += charge;
	if (!f->main)
		s->small_bytes += charge;
}

void frame_cache_shrink(struct frame_cache *c, uint64_t bytes)
{
	uint64_t each = bytes / c->nshards + 1;

	for (size_t i = 0; i < c->nshards; i++) {
		struct shard *s = &c->shards[i];

		MUTEX_GUARD(&s->lock);
		uint64_t had = s->bytes;

		while (had - s->bytes < each && evict_locked(c, s))
			;
	}
}

uint64_t frame_cache_bytes(struct frame_cache *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->nshards; i++) {
		MUTEX_GUARD(&c->shards[i].lock);
		sum += c->shards[i].bytes;
	}
	return sum;
}

void frame_cache_free(struct frame_cache *c)
{
	if (!c)
		return;
	frame_cache_shrink(c, UINT64_MAX - 1);
	for (size_t i = 0; i < c->nshards; i++) {
		assert(c->shards[i].count == 0);
		free(c->shards[i].slots);
		mutex_done(&c->shards[i].lock);
	}
	free(c);
}
