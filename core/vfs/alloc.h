/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_ALLOC_H
#define CORE_VFS_ALLOC_H
/*
 * Numbers of new inodes. Each directory takes runs of its own, so that the files of one directory
 * stand together in the index: 16 numbers first, twice as many each time, at most 4096. What a
 * directory did not use of its run when it leaves memory is never used; a number never comes again.
 *
 * The high-water mark is stored in every group that made an inode (owner.c), so that after a crash
 * no number of a durable inode is given again. Thread-safe; a run belongs to whoever holds its
 * directory's lock.
 */
#include "core/base/thread.h"

#define INODE_RUN_FIRST 16u
#define INODE_RUN_MAX 4096u

struct inode_run {
	uint64_t next, end; /* equal: used up */
	uint32_t len;	    /* of the last run taken, 0 = none yet */
};

struct alloc {
	struct mutex lock; /* RANK_ALLOC */
	uint64_t next;	   /* guarded by lock: no run reaches here yet */
};

void alloc_init(struct alloc *a, uint64_t next);
void alloc_done(struct alloc *a);
/* The next number of the run, or of a new one. 0; -ENOSPC: all 2^48 are used. */
int alloc_take(struct alloc *a, struct inode_run *run, uint64_t *ret);
/* Above every number given so far. */
uint64_t alloc_high_water(struct alloc *a);

#endif
