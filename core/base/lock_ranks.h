/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_LOCK_RANKS_H
#define CORE_BASE_LOCK_RANKS_H
/*
 * The order in which locks are taken: outermost first. docs/locking.md says what each protects. A
 * rank whose name ends in _NESTS may be held several times by one thread; its owner documents the
 * inner order.
 */

enum lock_rank {
	RANK_PROGRAM = 10,	/* front ends: session tables, request loop */
	RANK_CONTROL = 20,	/* control socket, volume state */
	RANK_RENAME = 30,	/* the one rename mutex; alone may be held across a store request */
	RANK_INODE_NESTS = 40,	/* inode locks: by number (vfs/op.h) */
	RANK_HANDLE = 50,	/* open files, orphans */
	RANK_LOCKS = 55,	/* file locks and who waits for them */
	RANK_INODE_TABLE = 60,	/* shards of the inode cache */
	RANK_ALLOC = 70,	/* inode numbers, volume counters */
	RANK_GROUP = 80,	/* who is in the open group */
	RANK_GROUP_INODES = 90, /* list of inodes changed in a group */
	RANK_DIRTY = 100,	/* queue of dirty ranges to seal */
	RANK_SEGMENT = 110,	/* the open segment, list of segments in memory */
	RANK_COMMIT = 120,	/* upload pipeline */
	RANK_READER = 130,	/* requests under way for the same frames */
	RANK_INDEX = 140,	/* the list of memtables and the current version */
	RANK_MEMTABLE = 150,	/* insertion into one memtable */
	RANK_MANIFEST = 160,	/* manifest commits of this process */
	RANK_EPOCH = 170,	/* claim, lease, heartbeat */
	RANK_CACHE = 180,	/* one shard of a cache */
	RANK_USAGE = 190,	/* live bytes of segments in memory */
	RANK_WORKERS = 200,	/* queue of a worker pool */
	RANK_BUDGET = 210,	/* byte budget */
	RANK_KEYS = 220,	/* key ring */
	RANK_STORE_LAYER_NESTS = 230, /* layers of the store stack, outer layers first */
	RANK_EVENTS = 240,	      /* events on their way to a front end */
	RANK_DIAG = 250,	      /* the message sink */
};

/* The name of the constant without RANK_, or "unknown". Never NULL. */
const char *lock_rank_name(enum lock_rank rank);

#define LOCK_RANK_NESTS(r) ((r) == RANK_INODE_NESTS || (r) == RANK_STORE_LAYER_NESTS)

#endif
