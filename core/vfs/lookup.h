/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_LOOKUP_H
#define CORE_VFS_LOOKUP_H
/* The first half of operations on names: from directory and name to inodes, without locks, and the
 * pause between attempts. */
#include "core/vfs/op.h"

/* A directory that may be searched by `c`. 0; -ENOTDIR, -EACCES, -ESTALE, store errors. A new
 * reference. */
int lookup_dir(struct vfs_engine *e, const struct vfs_cred *c, uint64_t number, struct inode **ret);
/*
 * What `name` stands for in `dir`: *slot, and the child with a reference; *ret is NULL when there
 * is no such entry (result 0). Repeats while the entry changes under it. -EBADMSG: the entry names
 * no inode.
 */
int lookup_child(struct inode *dir, struct slice name, struct dir_slot *slot, struct inode **ret);

/* After an attempt that found things changed: lets others run before the next. `attempt` counts
 * from 0. */
void lookup_pause(unsigned attempt);

#endif
