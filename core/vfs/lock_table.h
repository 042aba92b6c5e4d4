/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_LOCK_TABLE_H
#define CORE_VFS_LOCK_TABLE_H
/*
 * The file locks of a volume, of all front ends of this process: in memory only, they end with
 * their open file, their owner or the process.
 *
 * One mutex guards everything here. What is done under it takes microseconds (a search in a tree)
 * and waits for nothing; a mutex per inode would need a second one around waits anyway, because a
 * chain of waiting owners leads through several inodes.
 */
#include "core/base/map.h"
#include "core/base/thread.h"
#include "core/vfs/events.h"
#include "core/vfs/lock_set.h"

struct budget;
struct inode;
struct vfs_engine;

enum lock_kind { LOCK_POSIX, LOCK_FLOCK, LOCK_KINDS };

/* Part of an open file. */
struct file_locks {
	/* guarded by the table's lock */
	struct list ranges; /* struct lock_range.in_file */
	struct list waits;  /* struct lock_wait.in_file */
	_Atomic bool used;  /* a lock was ever asked for: else closing has nothing to look for */
};

/* An inode with locks or with somebody who waits for one. */
struct lock_inode {
	struct inode *inode; /* with a reference */
	struct lock_set sets[LOCK_KINDS];
	struct list waits[LOCK_KINDS]; /* in the order in which they came */
};

struct lock_table {
	struct budget *budget; /* immutable */
	uint64_t max_bytes;
	struct mutex lock; /* RANK_LOCKS */
	/* guarded by lock */
	struct map inodes;	    /* number -> struct lock_inode */
	struct map tokens;	    /* token -> struct lock_wait */
	struct treap_node *waiting; /* waits for POSIX locks, by owner */
	uint64_t next_wait, walk;   /* numbers of waits, and of walks over them */
	struct rng rng;		    /* priorities of the trees */
	struct events *events;
	_Atomic uint64_t bytes; /* of all locks and waits */
};

struct lock_wait {
	struct list in_inode, in_file;
	struct treap_node in_owner; /* POSIX only: table.waiting */
	struct list in_walk;
	struct lock_inode *inode;
	struct file_locks *file;
	struct vfs_lock want;
	uint64_t token, number, walk;
	struct lock_room room;
	struct event_entry *event; /* what will be posted when it is granted */
};

void lock_table_init(struct lock_table *t, struct budget *b, struct events *e);
/* Files need not have been closed: a mount may end under its programs. */
void lock_table_done(struct lock_table *t);
void file_locks_init(struct file_locks *f);

/* Memory within the bounds of the table; -ENOLCK is the only thing that can go wrong. */
void *lock_alloc(struct lock_table *t, size_t size); /* zeroed; NULL: none is left */
void lock_free(struct lock_table *t, void *p, size_t size);
int lock_room_fill(struct lock_table *t, struct lock_room *room, unsigned ranges, bool holder);
void lock_room_init(struct lock_room *room);
void lock_room_free(struct lock_table *t, struct lock_room *room);

/* ---- with the table's lock held ---- */

struct lock_inode *lock_inode_find(struct lock_table *t, uint64_t number);
/* Forgets an inode that has no locks and no waits any more. */
void lock_inode_drop_if_empty(struct lock_table *t, struct lock_inode *i);

/* A wait for later; NULL: no memory. Without the lock. */
struct lock_wait *lock_wait_new(struct lock_table *t, uint64_t token);
void lock_wait_free(struct lock_table *t, struct lock_wait *w); /* NULL is fine; not queued */
/* Queues it; it takes what is in `room`. 0, -ENOLCK, -EINVAL (the token is in use). */
int lock_wait_add(struct lock_table *t, struct lock_wait *w, struct lock_inode *i,
	struct file_locks *f, const struct vfs_lock *want, struct lock_room *room);
/* Takes it out of all queues and frees it; `kind`: what is posted, or nothing (-1). */
void lock_wait_end(struct lock_table *t, struct lock_wait *w, int kind);
/* Grants what can be granted, in the order in which it was asked for. */
void lock_wait_grant(struct lock_table *t, struct lock_inode *i, enum lock_kind kind);
/* Whether an owner that began to wait for `want` would wait for itself. */
bool lock_wait_deadlock(struct lock_table *t, struct lock_inode *i, const struct vfs_lock *want);

#endif
