/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_LOCK_SET_H
#define CORE_VFS_LOCK_SET_H
/*
 * The locks of one kind (POSIX byte ranges, or BSD locks) that are held on one inode: pure data, no
 * waiting, no memory of its own. Ranges of one owner never overlap, and neighbours of one type are
 * one range. Two trees hold each range: all of the set in the order of their starts, each subtree
 * with its furthest end, so that a conflict is found in O(log n); and those of its owner, so that a
 * change touches the ranges that it meets and no others. Guarded by the caller.
 */
#include "core/base/list.h"
#include "core/base/rng.h"
#include "core/base/treap.h"
#include "core/vfs/vfs.h"

struct lock_key {
	uint64_t owner;
	uint32_t domain;
};

struct lock_range {
	struct treap_node in_set, in_holder;
	struct lock_holder *holder;
	struct list in_file; /* of the open file by which it was taken; or spare in a room */
	uint64_t start, end; /* inclusive */
	/* of the subtree in the set */
	uint64_t furthest, furthest_write;
	bool any_write;
	bool write;
	uint32_t pid;
};

/* An owner with at least one range in the set. */
struct lock_holder {
	struct treap_node in_set;
	struct lock_key key;
	struct lock_set *set;
	struct treap_node *ranges;
};

struct lock_set {
	struct treap_node *ranges, *holders;
	struct rng *rng;
};

/* Memory for one change, and what it set free. */
struct lock_room {
	struct list ranges; /* struct lock_range.in_file */
	struct lock_holder *holder;
};

void lock_set_init(struct lock_set *s, struct rng *rng);
static inline bool lock_set_empty(const struct lock_set *s)
{
	return !s->ranges;
}
/* 0 when equal. */
int lock_key_compare(const struct lock_key *a, const struct lock_key *b);
static inline struct lock_key lock_key_of(const struct vfs_lock *l)
{
	return (struct lock_key){.owner = l->owner, .domain = l->owner_domain};
}

/*
 * The first range, by start and then by owner, of another owner that `want` (read or write) cannot
 * live with; behind the range `after` unless that is NULL. NULL when there is none.
 */
struct lock_range *lock_set_conflict(
	const struct lock_set *s, const struct vfs_lock *want, const struct lock_range *after);
/* NULL when it holds nothing here. */
struct lock_holder *lock_set_holder(const struct lock_set *s, const struct lock_key *key);
/* The first range of a holder; it holds one. */
struct lock_range *lock_holder_first(const struct lock_holder *h);

/* Ranges that lock_set_apply may take from its room; a new owner needs a holder besides. */
#define LOCK_ROOM_LOCK 2
#define LOCK_ROOM_UNLOCK 1 /* 0 for all of the file */
/*
 * Sets or removes a lock of which it is known that it conflicts with none. `file`: list of the open
 * file's ranges. Returns true when somebody else may now get what was refused before. Cannot fail.
 */
bool lock_set_apply(
	struct lock_set *s, const struct vfs_lock *l, struct list *file, struct lock_room *room);
/* Takes one range out, into the room, and its holder if that was the last one. */
void lock_set_remove(struct lock_range *r, struct lock_room *room);

#endif
