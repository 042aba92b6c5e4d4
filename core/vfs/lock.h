/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_LOCK_H
#define CORE_VFS_LOCK_H
/* What closing a file does to file locks; the operations are members of the engine's table. */

struct vfs_file;

/* Releases what was locked by this file and gives up what waits by it, without an event. */
void lock_close(struct vfs_file *f);

#endif
