/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_QUOTA_H
#define CORE_VFS_QUOTA_H
/*
 * What the volume holds, and its limit. Bytes are those of the usage counter, which data books when
 * a group closes; what was written since counts in full until its group is acknowledged. Near the
 * limit a write therefore first has the pending groups committed and then asks how much of its
 * range is new (quota_admit). Inodes are counted exactly.
 */
#include <stdatomic.h>
#include <stdint.h>

struct group;
struct vfs_engine;
struct inode;
struct group_inodes;

struct quota {
	uint64_t max_bytes; /* 0 = no limit; immutable */
	_Atomic int64_t used_bytes, used_inodes, pending_bytes;
};

/* Reads the stored counter. Waits for the store. */
int quota_load(struct vfs_engine *e);
/* The group is acknowledged: what it booked counts from now on. */
void quota_acked(struct vfs_engine *e, struct group *g);
uint64_t quota_used(const struct quota *q); /* bytes, pending ones included */
/*
 * Whether `len` bytes at `offset` may be added to the file (NULL: to anything). No locks held; may
 * wait for a commit. 0, -ENOSPC, log_refused(), or an error of waiting.
 */
int quota_admit(struct vfs_engine *e, struct inode *i, uint64_t offset, uint64_t len);
/* In a group: so many bytes were written. */
void quota_note(struct vfs_engine *e, struct group_inodes *gi, uint64_t bytes);

#endif
