/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_KEPT_H
#define CORE_VFS_KEPT_H
/*
 * Removed inodes that a front end still refers to. A kernel that stands in a directory, or is just
 * about to open what it has looked up, refers to an inode by number; on a local file system its
 * dentry would hold the inode. So what such a front end removes (vfs_cred.keeps) stays an orphan,
 * as an open file does, until it says vfs_forget.
 *
 * A front end forgets a removed inode when its last user has gone, so there are no more of these
 * than files in use; each keeps its inode in memory. What is still kept when the engine stops is
 * removed then, what a crash leaves has a record as every orphan.
 */
#include "core/vfs/engine_internal.h"

void kept_init(struct vfs_engine *e);
void kept_done(struct vfs_engine *e); /* what is left goes with the table of inodes */
/* The inode has just lost its last name. Lock held exclusively; again is fine. */
void kept_add(struct inode *i);
static inline bool kept(const struct inode *i)
{
	return atomic_load(&i->kept);
}
/* Removes what is still kept. No locks held. */
void kept_drop_all(struct vfs_engine *e);

#endif
