/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rank check. Each thread that holds a lock has a record in a static table (nothing is
 * allocated, so tests that fail allocations are not disturbed). A record is found under a spin lock
 * of its shard; after that only its own thread touches it.
 *
 * Invariant C1: a record is in use (self != 0) exactly while its thread holds at least one lock.
 */
#include "core/base/lock_check.h"

#ifdef EXPENSIVE_CHECKS
#include "core/base/env.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SHARDS 64
#define RECORDS_PER_SHARD 64
#define HELD_MAX 32 /* locks held by one thread at a time */

struct held {
	uint64_t self; /* guarded by the shard's `busy` */
	unsigned count;
	struct {
		const void *lock;
		enum lock_rank rank;
	} locks[HELD_MAX];
};

static struct shard {
	atomic_bool busy;
	struct held records[RECORDS_PER_SHARD];
} shards[SHARDS];

static struct shard *shard_enter(uint64_t self)
{
	struct shard *s = &shards[self % SHARDS];

	while (atomic_exchange_explicit(&s->busy, true, memory_order_acquire))
		(void)sched_yield();
	return s;
}

static void shard_leave(struct shard *s)
{
	atomic_store_explicit(&s->busy, false, memory_order_release);
}

static struct held *find_in_shard(struct shard *s, uint64_t self)
{
	for (unsigned i = 0; i < RECORDS_PER_SHARD; i++)
		if (s->records[i].self == self)
			return &s->records[i];
	return NULL;
}

/* NULL when the thread holds nothing. */
static struct held *held_of(uint64_t self)
{
	struct shard *s = shard_enter(self);
	struct held *h = find_in_shard(s, self);

	shard_leave(s);
	return h;
}

static void held_free(struct held *h, uint64_t self)
{
	struct shard *s = shard_enter(self);

	h->self = 0;
	shard_leave(s);
}

static struct held *held_new(uint64_t self)
{
	struct shard *s = shard_enter(self);
	struct held *h = find_in_shard(s, 0);

	if (h) {
		h->self = self;
		h->count = 0;
	}
	shard_leave(s);
	if (!h) {
		fprintf(stderr, "zerofs: rank check: too many threads hold locks\n");
		abort();
	}
	return h;
}

static void breach(enum lock_rank held, enum lock_rank taken, const char *what)
{
	fprintf(stderr, "zerofs: lock order: %s %s (%d) while holding %s (%d)\n", what,
		lock_rank_name(taken), (int)taken, lock_rank_name(held), (int)held);
	abort();
}

void lock_check_order(const void *lock, enum lock_rank rank)
{
	const struct held *h = held_of(env->thread_self());

	if (!h)
		return;
	for (unsigned i = 0; i < h->count; i++) {
		enum lock_rank held = h->locks[i].rank;

		if (held > rank || (held == rank && !LOCK_RANK_NESTS(rank)) ||
			h->locks[i].lock == lock)
			breach(held, rank, "taking");
	}
}

void lock_check_taken(const void *lock, enum lock_rank rank)
{
	uint64_t self = env->thread_self();
	struct held *h = held_of(self);

	if (!h)
		h = held_new(self);
	if (h->count == HELD_MAX) {
		fprintf(stderr, "zerofs: rank check: one thread holds too many locks\n");
		abort();
	}
	h->locks[h->count].lock = lock;
	h->locks[h->count].rank = rank;
	h->count++;
}

void lock_check_released(const void *lock)
{
	uint64_t self = env->thread_self();
	struct held *h = held_of(self);
	unsigned i = h ? h->count : 0;

	/* Locks need not be given back in order; the last one taken is the usual case. */
	while (i > 0 && h->locks[i - 1].lock != lock)
		i--;
	if (i == 0) {
		fprintf(stderr, "zerofs: rank check: releasing a lock that is not held\n");
		abort();
	}
	for (; i < h->count; i++)
		h->locks[i - 1] = h->locks[i];
	if (--h->count == 0)
		held_free(h, self);
}

void lock_check_wait(const void *lock, enum lock_rank rank)
{
	const struct held *h = held_of(env->thread_self());

	for (unsigned i = 0; h && i < h->count; i++)
		if (h->locks[i].lock != lock && h->locks[i].rank > rank)
			breach(h->locks[i].rank, rank, "waiting on a condition of");
}

void lock_check_forget(uint64_t self)
{
	struct held *h = held_of(self);

	if (h)
		held_free(h, self);
}
#endif
