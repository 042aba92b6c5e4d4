/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table's life, its memory, and its inodes. */
#include "core/vfs/lock_table.h"
#include "core/base/budget.h"
#include "core/vfs/inode.h"

#include <assert.h>
#include <stdlib.h>

/*
 * Locks cannot be dropped as a cache can, so they are bounded by a part of what caches may have,
 * which make room for them. With the default of 256 MiB that is more than 70,000 ranges.
 */
#define LOCK_SHARE 4
#define LOCK_BYTES_MIN (2u << 20)
#define LOCK_OVERHEAD 16 /* bytes: the allocator's */

void lock_table_init(struct lock_table *t, struct budget *b, struct events *e)
{
	uint64_t seed;

	*t = (struct lock_table){.budget = b, .events = e};
	t->max_bytes = budget_limit(b, BUDGET_CACHE) / LOCK_SHARE;
	if (t->max_bytes < LOCK_BYTES_MIN)
		t->max_bytes = LOCK_BYTES_MIN;
	env_random(&seed, sizeof(seed));
	t->rng = rng_of(seed);
	mutex_init(&t->lock, RANK_LOCKS);
	t->inodes = t->tokens = (struct map)MAP_INIT;
	atomic_init(&t->bytes, 0);
}

void file_locks_init(struct file_locks *f)
{
	list_init(&f->ranges);
	list_init(&f->waits);
	atomic_init(&f->used, false);
}

/* ---- memory ---- */

void *lock_alloc(struct lock_table *t, size_t size)
{
	const uint64_t charge = size + LOCK_OVERHEAD;
	void *p;

	if (atomic_fetch_add(&t->bytes, charge) + charge > t->max_bytes || !(p = calloc(1, size))) {
		atomic_fetch_sub(&t->bytes, charge);
		return NULL;
	}
	budget_force(t->budget, BUDGET_CACHE, charge);
	return p;
}

void lock_free(struct lock_table *t, void *p, size_t size)
{
	const uint64_t charge = size + LOCK_OVERHEAD;

	if (!p)
		return;
	free(p);
	budget_put(t->budget, BUDGET_CACHE, charge);
	atomic_fetch_sub(&t->bytes, charge);
}

void lock_room_init(struct lock_room *room)
{
	list_init(&room->ranges);
	room->holder = NULL;
}

int lock_room_fill(struct lock_table *t, struct lock_room *room, unsigned ranges, bool holder)
{
	while (ranges--) {
		struct lock_range *r = lock_alloc(t, sizeof(*r));

		if (!r)
			return -ENOLCK;
		list_init(&r->in_file);
		list_push_back(&room->ranges, &r->in_file);
	}
	if (holder && !(room->holder = lock_alloc(t, sizeof(*room->holder))))
		return -ENOLCK;
	return 0;
}

void lock_room_free(struct lock_table *t, struct lock_room *room)
{
	struct lock_range *r, *next;

	list_for_each_safe (r, next, &room->ranges, in_file) {
		list_remove(&r->in_file);
		lock_free(t, r, sizeof(*r));
	}
	lock_free(t, room->holder, sizeof(*room->holder));
	room->holder = NULL;
}

/* ---- inodes ---- */

struct lock_inode *lock_inode_find(struct lock_table *t, uint64_t number)
{
	mutex_assert_held(&t->lock);
	return map_find(&t->inodes, number);
}

static void inode_drop(struct lock_table *t, struct lock_inode *i)
{
	(void)map_remove(&t->inodes, i->inode->number);
	inode_unref(i->inode);
	lock_free(t, i, sizeof(*i));
}

void lock_inode_drop_if_empty(struct lock_table *t, struct lock_inode *i)
{
	mutex_assert_held(&t->lock);
	for (int k = 0; k < LOCK_KINDS; k++)
		if (!lock_set_empty(&i->sets[k]) || !list_empty(&i->waits[k]))
			return;
	inode_drop(t, i);
}

static void inode_clear(struct lock_table *t, struct lock_inode *i)
{
	struct lock_room room;
	struct lock_wait *w;

	for (int k = 0; k < LOCK_KINDS; k++) {
		while ((w = list_first(&i->waits[k], struct lock_wait, in_inode)))
			lock_wait_end(t, w, -1);
		while (i->sets[k].holders) {
			lock_room_init(&room);
			lock_set_remove(lock_holder_first(container_of(
						i->sets[k].holders, struct lock_holder, in_set)),
				&room);
			lock_room_free(t, &room);
		}
	}
	inode_drop(t, i);
}

void lock_table_done(struct lock_table *t)
{
	size_t cursor;
	void *i;

	mutex_lock(&t->lock);
	while (cursor = 0, map_next(&t->inodes, &cursor, NULL, &i))
		inode_clear(t, i);
	mutex_unlock(&t->lock);
	assert(atomic_load(&t->bytes) == 0);
	map_done(&t->inodes);
	map_done(&t->tokens);
	mutex_done(&t->lock);
}
