/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs of inode numbers. */
#include "core/vfs/alloc.h"
#include "core/base/error.h"
#include "core/data/keyspace.h"

#include <assert.h>

void alloc_init(struct alloc *a, uint64_t next)
{
	mutex_init(&a->lock, RANK_ALLOC);
	a->next = next;
}

void alloc_done(struct alloc *a)
{
	mutex_done(&a->lock);
}

static uint32_t next_run_len(uint32_t len)
{
	if (!len)
		return INODE_RUN_FIRST;
	return len < INODE_RUN_MAX ? len * 2 : INODE_RUN_MAX;
}

static int take_run(struct alloc *a, struct inode_run *run)
{
	uint32_t len = next_run_len(run->len);
	uint64_t left;

	MUTEX_GUARD(&a->lock);
	if (a->next > INODE_MAX)
		return -ENOSPC;
	left = INODE_MAX - a->next + 1;
	run->next = a->next;
	run->end = a->next + (len < left ? len : left);
	run->len = len;
	a->next = run->end;
	return 0;
}

int alloc_take(struct alloc *a, struct inode_run *run, uint64_t *ret)
{
	if (run->next == run->end) {
		int r = take_run(a, run);

		if (r < 0)
			return r;
	}
	assert(run->next < run->end);
	*ret = run->next++;
	return 0;
}

uint64_t alloc_high_water(struct alloc *a)
{
	MUTEX_GUARD(&a->lock);
	return a->next;
}
