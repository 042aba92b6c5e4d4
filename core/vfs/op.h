/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_OP_H
#define CORE_VFS_OP_H
/*
 * One change of the volume: warm, lock, join, apply, leave (architecture, "The write path").
 *
 *   op_begin    waits for memory and for level 0; nothing is held
 *   op_add ...  names the inodes (the caller read what it needs without locks)
 *   op_lock     takes their locks; the caller re-checks everything that can fail and decides; where
 * it finds that it must read from the store, or that another inode is meant, it calls op_unlock and
 * begins again op_join     reserves index memory in the open group and marks every inode that was
 * named; the last step that can fail apply       op_put, op_delete, fields of inodes, data_*:
 * cannot fail, waits for nothing op_end      leaves the group and unlocks; also ends an operation
 * that gave up before
 *
 * Locks of inodes are taken in the order of their numbers, directories and others alike: since
 * every operation knows its inodes before it locks the first, this one order suffices and needs no
 * view of the tree. A new inode is locked before anybody can find it.
 *
 * Encode on touch: op_join meets an inode that an older group changed and that is not encoded yet:
 * it encodes it into that group before the change, so that the older journal holds no half of the
 * newer group. There is at most one such group. What that group's close still learns about the
 * file's allocated bytes goes into the record then (owner.c).
 */
#include "core/data/share.h"
#include "core/vfs/engine_internal.h"

#define OP_INODES_MAX 4

/* What a group holds for the vfs (group_vfs). */
struct group_inodes {
	struct list all; /* in engine.groups */
	/* guarded by groups_lock; each member with a reference */
	struct list inodes;  /* struct inode.changed */
	struct list touched; /* struct inode.touched: encoded on touch with bytes pending */
	_Atomic int64_t pending_bytes; /* quota */
	_Atomic uint64_t record_bytes; /* reserved by operations, used or not */
	_Atomic unsigned lazy;	       /* operations that changed an access time only */
	_Atomic bool created; /* room for the counter of inode numbers is kept in the group */
};

struct op {
	struct vfs_engine *engine;
	struct inode *inodes[OP_INODES_MAX]; /* borrowed */
	unsigned n;
	struct inode *fresh;  /* a new inode, locked by inode_insert; borrowed */
	struct inode *source; /* one of `inodes` that is locked and not changed, or NULL */
	bool locked;
	bool lazy;	     /* only an access time: asks for no commit */
	bool keeps;	     /* what it removes stays while the front end refers to it */
	bool crowded;	     /* the group has records enough: to be closed */
	size_t inline_after; /* the most inline bytes that a file has afterwards */
	size_t tags_more;    /* by how much tagged fields may grow */
	/* between op_join and op_end */
	struct group *group;
	struct index_group *records;
	struct group_inodes *members;
	size_t bytes, nrecords; /* reserved and not used yet */
	struct timespec now;
	struct group_inodes *spare;
	uint64_t number; /* of the group, also afterwards; 0 = nothing was changed */
};

/* No locks held. 0, -EROFS, -ESTALE, -ECANCELED, -ENOMEM. op_end follows in any case. */
int op_begin(struct op *op, struct vfs_engine *e);
/*
 * For what adds to the volume: 0; -ENOSPC, -EACCES while the store takes nothing. What removes or
 * only changes goes on while there is memory for it. Never waits.
 */
int op_may_add(const struct op *op);
/* Names an inode; twice the same is fine. Before op_lock. */
void op_add(struct op *op, struct inode *i);
void op_lock(struct op *op);
/* Back to before op_add. */
void op_unlock(struct op *op);
/* `nentries` records besides the inodes, `bytes` of keys and values. 0; -ENOMEM: nothing happened.
 */
int op_join(struct op *op, size_t nentries, size_t bytes);
void op_put(struct op *op, const struct key *k, struct slice value);
void op_delete(struct op *op, const struct key *k);
/* [first, end) of older groups, and what this group has of it. Counts as one record of both keys.
 */
void op_range_delete(struct op *op, const struct key *first, const struct key *end);
void op_end(struct op *op);

/* ---- applying ---- */

/* ctime, and mtime if asked, of an inode of the operation: now, never backwards. */
void op_touch(struct op *op, struct inode *i, bool mtime);
/* Index bytes of an entry. */
size_t op_entry_bytes(struct slice name);
void op_put_entry(struct op *op, struct inode *dir, uint64_t cookie, struct slice name,
	const struct inode *child);
void op_delete_entry(struct op *op, struct inode *dir, uint64_t cookie, struct slice name);
/* Keys and values that op_drop may need: an orphan record. And those of the inode's extended
 * attributes (xattr_all_records, xattr_all_bytes). */
#define OP_DROP_RECORDS 1
#define OP_DROP_BYTES 24
/* The bytes of a regular file. Take the reserve; `size` is still the one before the operation. */
void op_write(struct op *op, struct inode *i, struct data_reserve *r);
void op_punch(
	struct op *op, struct inode *i, uint64_t offset, uint64_t len, struct data_reserve *r);
void op_allocate(
	struct op *op, struct inode *i, uint64_t offset, uint64_t len, struct data_reserve *r);
/* Puts what was planned from another file, or from other places of this one. */
void op_share(struct op *op, struct inode *i, uint64_t offset, struct data_share *s);
/* The inode has no name and is open, which a record is to say if that lasts; it takes what op_drop
 * takes of the reservation. And: it has got a name. */
void op_become_orphan(struct op *op, struct inode *i);
void op_name_orphan(struct op *op, struct inode *i);
/*
 * An inode has lost its last name: it becomes an orphan while it is open or kept, else it is
 * removed with its bytes. The orphan's record is made when the group is encoded, if it is one then.
 * `r` (for regular files, from data_prepare_change) is taken.
 */
void op_drop(struct op *op, struct inode *i, struct data_reserve *r);

/* The same without encoding it: the change will not be stored with this group. */
void op_forget(struct inode *i);
/* The vfs's part of a group, with groups_lock not held; NULL when nothing was changed in it. */
struct group_inodes *op_group_members(struct group *g);
/* Encodes one inode that its group's list holds and takes it out of it. Lock held exclusively.
 * Drops the list's reference. */
void op_encode(struct inode *i);

#endif
