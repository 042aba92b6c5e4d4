/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_INODE_H
#define CORE_VFS_INODE_H
/*
 * Inodes in memory, and the cache that holds them: shards by number, one small lock each. An inode
 * is found or loaded by inode_get and stays while somebody has a reference; without one, and
 * unchanged since its last encoding, it may be evicted. What keeps a changed inode is the reference
 * of its group's list (op.h); what keeps one with dirty bytes, that of data.
 *
 * Loading happens outside all locks and once: who comes second waits for the first. So a stored
 * record that was read before a change can never overwrite the changed inode.
 */
#include "core/base/cleanup.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/data/data.h"
#include "core/vfs/alloc.h"
#include "core/vfs/inode_codec.h"
#include "core/vfs/perm.h"

struct vfs_engine;

enum inode_state { INODE_LOADING, INODE_READY, INODE_FAILED };

struct inode {
	/* immutable */
	struct vfs_engine *engine;
	uint64_t number;
	/* atomic */
	_Atomic uint32_t refs;
	_Atomic bool hot;		  /* found again since the clock hand passed */
	_Atomic uint32_t opens;		  /* open files; rises only under `lock` */
	_Atomic size_t charge;		  /* bytes of the cache that it accounts for */
	_Atomic uint64_t entries_version; /* of a directory: counts changes of entries, after they
					     are in the index */
	/* removed, and a front end refers to it (kept.h); rises only under `lock` */
	_Atomic bool kept;
	/* guarded by the shard's lock */
	struct list clock;
	enum inode_state state;
	int load_error;

	struct rwlock lock; /* RANK_INODE_NESTS */
	/* guarded by lock */
	uint32_t mode, uid, gid, nlink;
	uint64_t size, rdev, generation, parent, flags;
	struct timespec atime, mtime, ctime, btime;
	uint64_t last_group;   /* of the last change, 0 = long durable */
	uint64_t change;       /* group << INODE_CHANGE_SHIFT | n */
	bool gone;	       /* removed for good, or never came to be */
	bool orphan;	       /* an orphan record is stored */
	bool orphan_room;      /* `reserved` has room for one, if it is an orphan still */
	bool linkable;	       /* has no name yet, and may get one */
	struct inode_run run;  /* of a directory */
	uint8_t *symlink;      /* `size` bytes */
	struct buf tags;       /* as stored; grows by inode_tags.h only */
	struct file_data data; /* regular files only */
	/* of extended attributes: counts their changes (xattr.c) */
	uint64_t xattr_version;
	/* guarded by lock; `group` and `changed` also by the engine's groups_lock */
	struct group *group; /* changed in it and not encoded yet; NULL = clean */
	struct list changed; /* in the list of that group */
	size_t reserved;     /* index bytes kept in that group for the encoding */
	uint8_t *room;	     /* where to encode; NULL = the stack is enough */
	/* guarded by the engine's kept_lock */
	struct list kept_link;
	/* guarded by lock, the list by groups_lock: encoded on touch into a group that is still
	 * closing */
	struct list touched;
	int64_t moved;	       /* sum of what operations did to data.allocated */
	int64_t touched_moved; /* `moved` when it was encoded */
};

/* Bits of `change` that count within a group. A loaded inode takes the highest, so that `change`
 * never goes back. */
#define INODE_CHANGE_SHIFT 20
/* Records up to this many bytes are encoded on the stack. */
#define INODE_STACK_ROOM 8192

#define INODE_SHARDS 64
struct inode_table {
	struct inode_shard {
		struct mutex lock; /* RANK_INODE_TABLE */
		struct cond loaded;
		/* guarded by lock */
		struct map map;
		struct list clock; /* hand at the front */
	} shards[INODE_SHARDS];
	uint64_t limit_bytes; /* immutable */
	_Atomic uint64_t bytes, count;
};

void inode_table_init(struct inode_table *t, uint64_t limit_bytes);
/* Nobody uses an inode any more; what was changed and not encoded is lost. */
void inode_table_done(struct vfs_engine *e);
/* Evicts inodes that nobody holds until the table has `keep` bytes or each was looked at. */
void inode_table_trim(struct vfs_engine *e, uint64_t keep);
/* A follower's view moved: drops what nobody holds, reads the others again. Waits for the store. */
void inode_table_refresh(struct vfs_engine *e);

/*
 * The inode with a reference. Waits for the store when it is not in memory; no locks may be held.
 * -ESTALE: there is none; -EBADMSG; -EIO; -ENOMEM.
 */
int inode_get(struct vfs_engine *e, uint64_t number, struct inode **ret);
/* The same, only if it is in memory now; NULL otherwise. Never waits. */
struct inode *inode_find(struct vfs_engine *e, uint64_t number);
void inode_ref(struct inode *i);   /* by who has one */
void inode_unref(struct inode *i); /* NULL is fine; never frees at once */

/*
 * A new inode, not in the table yet, with one reference; mode, owner, times are the caller's to
 * set. NULL on ENOMEM. inode_free is for one that never got into the table.
 */
struct inode *inode_new(struct vfs_engine *e, uint32_t mode);
void inode_free(struct inode *i); /* NULL is fine */
/* Gives it its number, locks it exclusively and puts it into the table. 0; -ENOMEM, -EBADMSG (the
 * number is in use): it is as before. */
int inode_insert(struct inode *i, uint64_t number);

/* Lock held at least shared. */
void inode_attr(const struct inode *i, struct vfs_attr *ret);
/* What data says that is allocated, less `later` bytes. The count is exact when a group has been
 * encoded and by estimate before; where that falls below 0 this says 0. */
uint64_t inode_allocated(const struct inode *i, int64_t later);
/* Its ACL is borrowed: good for as long as the lock is held. Lock held at least shared. */
struct perm_node inode_perm(const struct inode *i);
/* Takes the set-id bits as a write by `c` does. Lock held exclusively. */
void inode_kill_setid(struct inode *i, const struct vfs_cred *c);
/* Index bytes that encoding may take, key included, when inline data grow to `inline_len` at most.
 */
size_t inode_encode_bound(const struct inode *i, size_t inline_len);
/* Puts the record (or the deletion of one that is gone) into `g`; returns the bytes of key and
 * value. Lock held exclusively. */
size_t inode_encode(struct inode *i, struct index_group *g);
/* `size` for data_read. */
uint64_t inode_size_of(const struct file_data *f);

DEFINE_CLEANUP(inode_unref, struct inode *);

#endif
