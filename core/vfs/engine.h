/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_ENGINE_H
#define CORE_VFS_ENGINE_H
/* The engine behind struct vfs: inodes, directories, permissions, orphans over data, index and log.
 */
#include "core/data/data.h"
#include "core/vfs/atime.h"
#include "core/vfs/check.h"
#include "core/vfs/vfs.h"

struct vfs_engine;

struct vfs_engine_options {
	struct index *index;
	const struct volume_keys *keys; /* name hash, generation */
	struct budget *budget;
	uint64_t max_bytes;	    /* quota of the volume, 0 = none */
	uint64_t inode_cache_bytes; /* upper limit; the budget may give less */
	struct atime_policy atime;
	bool read_only; /* a follower: no log, every change is -EROFS */
	bool for_check; /* a follower for vfs_check: counters and root may be damaged */
	/* L2: may an answer be given? 0, or -ESTALE for good; called once per operation. May be
	 * NULL. */
	int (*may_answer)(void *arg);
	void *arg;
};
/* In two steps because data wants the owner's operations first: new; data_open; log_open; start. */
int vfs_engine_new(const struct vfs_engine_options *o, struct vfs_engine **ret, struct error *err);
const struct data_owner_ops *vfs_engine_owner(struct vfs_engine *e);
/*
 * Reads the counters, makes the root directory of a new volume (mode 0755 (uid, gid) of the
 * caller), removes orphans that a crash left (in the background of the first groups). `log` NULL
 * for a follower.
 */
int vfs_engine_start(struct vfs_engine *e, struct data *d, struct log *l, uint32_t root_uid,
	uint32_t root_gid, struct error *err);
struct vfs *vfs_engine_vfs(struct vfs_engine *e);
/* A follower's view moved: forget cached inodes that nobody has open, reread the others. */
void vfs_engine_refresh(struct vfs_engine *e);
/* Keeps no more than `keep` bytes of inodes in memory that nobody uses. */
void vfs_engine_trim(struct vfs_engine *e, uint64_t keep);
/* All files must have been released; before log_close. */
void vfs_engine_stop(struct vfs_engine *e);
/* After log_close, before data_close (the files of data end with their inodes). NULL is fine. */
void vfs_engine_free(struct vfs_engine *e);

struct vfs_engine_stats {
	uint64_t inodes_cached, open_files, orphans, next_inode, used_bytes, used_inodes;
	uint64_t changes;	  /* operations that changed something, since start */
	uint64_t longest_wait_ms; /* the longest that an operation waited for memory or for level 0
				   */
};
void vfs_engine_stats(struct vfs_engine *e, struct vfs_engine_stats *ret);

#endif
