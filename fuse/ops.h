/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_OPS_H
#define FUSE_OPS_H
/*
 * Requests of the kernel, translated to calls of struct vfs and back. Decides nothing: what an
 * operation does and whether it is allowed stands in core/vfs. Stateless but for the options; all
 * threads of the loop call it at once.
 */
#include "core/base/thread.h"
#include "core/vfs/vfs.h"
#include "fuse/loop.h"

#define OPS_MAX_PAGES 64u /* of 4 KiB: the largest read or write */
#define OPS_MAX_WRITE (OPS_MAX_PAGES * 4096u)
#define OPS_MAX_REQUEST (OPS_MAX_WRITE + 8192u) /* with headers and arguments */

#define OPS_EARLY 512u /* interrupts whose request may still come */

/* Waiting for locks; used while ops.locks. */
struct lock_waits {
	int fd; /* of the mount, a duplicate: for answers */
	struct mutex lock;
	/* guarded by lock */
	uint64_t early[OPS_EARLY]; /* interrupted requests, 0 = none */
	unsigned next;
};

struct ops {
	struct vfs *vfs;	/* borrowed */
	uint64_t valid_ms;	/* how long the kernel may keep attributes and entries */
	bool keep_pages;	/* pages survive open(2): every change passes through this mount */
	bool writeback;		/* the kernel keeps what is written, and owns sizes and times */
	_Atomic uint32_t minor; /* negotiated protocol minor, 0 before INIT */
	_Atomic uint64_t flags; /* negotiated FUSE_* of INIT */
	bool locks; /* locks are the vfs's; else the kernel keeps them, for this mount alone */
	struct lock_waits lock_waits;
};

/* For struct loop_options: `arg` is the struct ops. */
void ops_handle(void *arg, struct loop_request *r);

/* Before the loop: file locks are asked of `vfs`. `fd`: of the mount, borrowed. 0, -EMFILE, or what
 * vfs_set_events says. */
int ops_locks_start(struct ops *o, int fd);
/* After the loop: who still waits is refused. Nothing when it was not started. */
void ops_locks_stop(struct ops *o);

#endif
