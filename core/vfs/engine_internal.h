/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_ENGINE_INTERNAL_H
#define CORE_VFS_ENGINE_INTERNAL_H
/*
 * What the files of core/vfs share: the engine, and the members of its operations table (engine.c
 * lists them).
 */
#include "core/base/planted.h"
#include "core/vfs/alloc.h"
#include "core/vfs/dir.h"
#include "core/vfs/engine.h"
#include "core/vfs/inode.h"
#include "core/vfs/lock_table.h"
#include "core/vfs/quota.h"

struct vfs_engine {
	struct vfs vfs; /* first: a struct vfs of ours is an engine */
	/* immutable after start */
	struct vfs_engine_options o;
	struct data_owner_ops owner;
	struct index *index;
	struct data *data;
	struct log *log; /* NULL for a follower */
	struct name_hash hash;
	uint64_t group_records_max; /* bytes of reserved records above which a group is closed */

	struct inode_table table;
	struct alloc alloc;
	struct quota quota;
	struct mutex rename; /* RANK_RENAME: the tree of directories keeps its shape */

	struct mutex groups_lock; /* RANK_GROUP_INODES */
	struct list groups;	  /* guarded by groups_lock: every struct group_inodes */

	struct mutex kept_lock; /* RANK_HANDLE */
	struct list kept;	/* guarded by kept_lock: removed inodes, see kept.h */
	struct lock_table locks;
	struct events events;

	struct thread drain; /* removes orphans that a crash left */
	bool started;
	/* atomic */
	_Atomic bool stopping;
	_Atomic uint64_t nkept;
	_Atomic uint64_t last_changed; /* the newest group in which something changed */
	_Atomic uint64_t lazy_group; /* the newest group with access times that ask for no commit */
	_Atomic uint64_t changes, longest_wait_ms, open_files, orphans;
};

static inline struct vfs_engine *engine_of(struct vfs *v)
{
	return (struct vfs_engine *)(void *)v; /* its first member */
}

/* L2, at the beginning of every operation. 0 or -ESTALE. */
int engine_enter(struct vfs_engine *e);
/* What a failed read of the index or of data means to a user of files. */
int engine_read_error(int r);
/* Waits until `group` is durable; 0 at once for 0 or a follower. */
int engine_wait_durable(struct vfs_engine *e, uint64_t group, struct error *err);
/* Raises an atomic maximum. */
void engine_raise(_Atomic uint64_t *max, uint64_t value);

int engine_lookup(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	struct vfs_attr *ret);
int engine_create(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, int flags, struct vfs_attr *ret, struct vfs_file **ret_file,
	bool *ret_created);
int engine_mknod(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, uint64_t rdev, struct vfs_attr *ret);
int engine_mkdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, struct vfs_attr *ret);
int engine_symlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	struct slice target, struct vfs_attr *ret);
int engine_tmpfile(struct vfs *v, const struct vfs_cred *c, uint64_t dir, uint32_t mode, int flags,
	struct vfs_attr *ret, struct vfs_file **ret_file);
int engine_link(struct vfs *v, const struct vfs_cred *c, uint64_t inode, uint64_t dir,
	struct slice name, struct vfs_attr *ret);
int engine_unlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name);
int engine_rmdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name);
int engine_rename(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint64_t to_dir, struct slice to_name, unsigned flags);
int engine_readlink(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out);
int engine_getattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_attr *ret);
int engine_setattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_file *f,
	unsigned set, const struct vfs_attr *in, struct vfs_attr *ret);
void engine_forget(struct vfs *v, uint64_t inode);
int engine_access(struct vfs *v, const struct vfs_cred *c, uint64_t inode, int mask);
int engine_statfs(struct vfs *v, struct vfs_statfs *ret);
int engine_open(
	struct vfs *v, const struct vfs_cred *c, uint64_t inode, int flags, struct vfs_file **ret);
void engine_release(struct vfs *v, struct vfs_file *f);
int64_t engine_read(struct vfs *v, struct vfs_file *f, uint64_t offset, void *buf, size_t len);
int64_t engine_write(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t offset,
	const struct slice *parts, size_t nparts, unsigned flags, uint64_t *ret_size);
int engine_fsync(struct vfs *v, struct vfs_file *f, bool datasync);
int engine_flush(struct vfs *v, struct vfs_file *f);
int engine_fallocate(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, unsigned mode,
	uint64_t offset, uint64_t len);
int64_t engine_seek(struct vfs *v, struct vfs_file *f, uint64_t offset, int whence);
int64_t engine_copy_range(struct vfs *v, const struct vfs_cred *c, struct vfs_file *from,
	uint64_t offset, struct vfs_file *to, uint64_t to_offset, uint64_t len);
int engine_readdir(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t cookie,
	bool with_attr, vfs_emit_fn *emit, void *arg);
int engine_getxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name,
	struct buf *out);
int engine_setxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name,
	struct slice value, unsigned flags);
int engine_listxattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out);
int engine_removexattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct slice name);
int engine_getlk(struct vfs *v, struct vfs_file *f, struct vfs_lock *lock);
int engine_setlk(
	struct vfs *v, struct vfs_file *f, const struct vfs_lock *lock, uint64_t wait_token);
int engine_cancel_lk(struct vfs *v, uint64_t wait_token);
int engine_set_events(
	struct vfs *v, void (*event)(void *arg, const struct vfs_event *e), void *arg);
int engine_sync(struct vfs *v, struct error *err);

#endif
