/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_ATTR_H
#define CORE_VFS_ATTR_H
/* Access times. */
struct vfs_file;

/*
 * The file or directory was read: its access time follows as the mount's policy says (atime.h),
 * lazily: at once in memory, durable with the next change of anything. No locks held; never waits
 * for the store.
 */
void attr_accessed(struct vfs_file *f);

#endif
