/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_HANDLE_H
#define CORE_VFS_HANDLE_H
/*
 * Open files, and what remains of files that lost their last name while open: orphans. An orphan
 * has a record in the index from the group that took its last name; the last close removes inode,
 * bytes and record in one group. What a crash left is removed by a background thread after the next
 * start.
 */
#include "core/vfs/engine_internal.h"

#include <fcntl.h>

struct vfs_file {
	struct inode *inode; /* with a reference */
	int flags;	     /* O_* of the open */
	bool directory;	     /* else a regular file */
	_Atomic bool told;   /* that writing back failed (flush) */
	struct file_locks locks;
};

/* A file that is not open yet; NULL on ENOMEM. */
struct vfs_file *handle_new(int flags);
void handle_free(struct vfs_file *f); /* of a file that was never installed; NULL is fine */
/* Opens it. The inode's lock is held at least shared. */
void handle_install(struct vfs_file *f, struct inode *i);
/* Closes and frees; removes an orphan with its last file. */
void handle_close(struct vfs_file *f);

static inline bool handle_readable(const struct vfs_file *f)
{
	return (f->flags & O_ACCMODE) != O_WRONLY;
}
static inline bool handle_writable(const struct vfs_file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY;
}

/* Removes an inode that has neither a name nor an open file nor is kept; when it fails its record
 * stays for the next start. No locks held. */
void handle_remove_orphan(struct inode *i);

/* Whether a user may still meet this inode: it has a name, is open, or a front end refers to it.
 * Lock held at least shared. */
bool handle_alive(const struct inode *i);

/* Starts the thread that removes orphans of former runs. 0, -EAGAIN, -ENOMEM. */
int handle_start_drain(struct vfs_engine *e);
void handle_stop_drain(struct vfs_engine *e);

DEFINE_CLEANUP(handle_free, struct vfs_file *);

#endif
