/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_OPS_H
#define FUSE_OPS_H
/*
 * Requests of the kernel, translated to calls of struct vfs and back. Decides nothing: what an
 * operation does and whether it is allowed stands in core/vfs. Stateless but for the options; all
 * threads of the loop call it at once.
 */
#include "core/vfs/vfs.h"
#include "fuse/loop.h"

#define OPS_MAX_PAGES 64u /* of 4 KiB: the largest read or write */
#define OPS_MAX_WRITE (OPS_MAX_PAGES * 4096u)
#define OPS_MAX_REQUEST (OPS_MAX_WRITE + 8192u) /* with headers and arguments */

struct ops {
	struct vfs *vfs;	/* borrowed */
	uint64_t valid_ms;	/* how long the kernel may keep attributes and entries */
	bool keep_pages;	/* pages survive open(2): every change passes through this mount */
	bool writeback;		/* the kernel keeps what is written, and owns sizes and times */
	_Atomic uint32_t minor; /* negotiated protocol minor, 0 before INIT */
	_Atomic uint64_t flags; /* negotiated FUSE_* of INIT */
};

/* For struct loop_options: `arg` is the struct ops. */
void ops_handle(void *arg, struct loop_request *r);

#endif
