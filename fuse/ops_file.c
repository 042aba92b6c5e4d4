/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about open files. A handle is the address of the vfs's open file; the kernel returns it
 * unchanged. */
#include "fuse/ops_internal.h"

#include <fcntl.h>

void req_open(struct call *c)
{
	struct fuse_open_in in;
	struct vfs_file *f;
	int r;

	if (!call_args(c, &in, sizeof in))
		return;
	c->cred.kills_setid = in.open_flags & FUSE_OPEN_KILL_SUIDGID;
	TRY_WITH_GROUPS(
		c, r, vfs_open(c->vfs, &c->cred, c->header.nodeid, open_flags(c, in.flags), &f));
	if (r == 0)
		reply_open(c, f, (int)in.flags);
	else
		reply_result(c, r);
}

void req_read(struct call *c)
{
	struct fuse_read_in in;

	if (!call_args(c, &in, sizeof in))
		return;
	if (in.size > c->request->out_size) {
		reply_result(c, -EINVAL);
		return;
	}

	int64_t n = vfs_read(c->vfs, file_of(in.fh), in.offset, c->request->out, in.size);

	if (n < 0)
		reply_result(c, (int)n);
	else
		reply_data(c, c->request->out, (size_t)n);
}

void req_write(struct call *c)
{
	struct fuse_write_in in;

	if (!call_args(c, &in, sizeof in))
		return;
	if (c->arg_len - sizeof in < in.size) {
		reply_result(c, -EINVAL);
		return;
	}

	struct slice bytes = SLICE(c->arg + sizeof in, in.size);
	unsigned flags = 0;

	if (in.write_flags & FUSE_WRITE_CACHE)
		flags |= VFS_WRITE_CACHED | (c->ops->writeback ? VFS_WRITE_KEEP_TIMES : 0);
	else if (in.flags & O_APPEND)
		flags |= VFS_WRITE_APPEND;
	if ((in.flags & O_SYNC) == O_SYNC)
		flags |= VFS_WRITE_SYNC;
	else if (in.flags & O_DSYNC)
		flags |= VFS_WRITE_DSYNC;
	if (in.write_flags & FUSE_WRITE_KILL_SUIDGID)
		flags |= VFS_WRITE_KILL_PRIV;

	int64_t n;

	TRY_WITH_GROUPS(c, n,
		vfs_write(c->vfs, &c->cred, file_of(in.fh), in.offset, &bytes, 1, flags, NULL));

	if (n < 0) {
		reply_result(c, (int)n);
		return;
	}

	struct fuse_write_out out = {.size = (uint32_t)n};

	reply_data(c, &out, sizeof out);
}

void req_release(struct call *c)
{
	struct fuse_release_in in;

	if (!call_args(c, &in, sizeof in))
		return;
	vfs_release(c->vfs, file_of(in.fh));
	reply_result(c, 0);
}

void req_fsync(struct call *c)
{
	struct fuse_fsync_in in;

	if (call_args(c, &in, sizeof in))
		reply_result(c,
			vfs_fsync(c->vfs, file_of(in.fh), in.fsync_flags & FUSE_FSYNC_FDATASYNC));
}

void req_flush(struct call *c)
{
	struct fuse_flush_in in;

	if (!call_args(c, &in, sizeof in))
		return;
	unlock_closed(c, file_of(in.fh), in.lock_owner);
	reply_result(c, vfs_flush(c->vfs, file_of(in.fh)));
}

void req_fallocate(struct call *c)
{
	static const struct {
		int mode;
		unsigned flag;
	} table[] = {
		{FALLOC_FL_KEEP_SIZE, VFS_FALLOC_KEEP_SIZE},
		{FALLOC_FL_PUNCH_HOLE, VFS_FALLOC_PUNCH},
		{FALLOC_FL_ZERO_RANGE, VFS_FALLOC_ZERO},
		{FALLOC_FL_COLLAPSE_RANGE, VFS_FALLOC_COLLAPSE},
		{FALLOC_FL_INSERT_RANGE, VFS_FALLOC_INSERT},
	};
	struct fuse_fallocate_in in;
	unsigned mode = 0;
	int r;

	if (!call_args(c, &in, sizeof in))
		return;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (in.mode & (uint32_t)table[i].mode) {
			mode |= table[i].flag;
			in.mode &= ~(uint32_t)table[i].mode;
		}
	if (in.mode) {
		reply_result(c, -EOPNOTSUPP);
		return;
	}
	TRY_WITH_GROUPS(
		c, r, vfs_fallocate(c->vfs, &c->cred, file_of(in.fh), mode, in.offset, in.length));
	reply_result(c, r);
}

void req_lseek(struct call *c)
{
	struct fuse_lseek_in in;

	if (!call_args(c, &in, sizeof in))
		return;
	/* The kernel asks without having sent what it keeps: it must take all for data. */
	if (c->ops->writeback) {
		reply_result(c, -ENOSYS);
		return;
	}
	if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) {
		reply_result(c, -EINVAL); /* the kernel resolves the others */
		return;
	}

	int64_t at = vfs_seek(c->vfs, file_of(in.fh), in.offset,
		in.whence == SEEK_DATA ? VFS_SEEK_DATA : VFS_SEEK_HOLE);

	if (at < 0) {
		reply_result(c, (int)at);
		return;
	}

	struct fuse_lseek_out out = {.offset = (uint64_t)at};

	reply_data(c, &out, sizeof out);
}

/* Bytes copied. A negative result is answered. */
static int64_t copy_file_range_bytes(struct call *c)
{
	struct fuse_copy_file_range_in in;

	if (!call_args(c, &in, sizeof in))
		return -EINVAL;

	int64_t n;

	TRY_WITH_GROUPS(c, n,
		vfs_copy_range(c->vfs, &c->cred, file_of(in.fh_in), in.off_in, file_of(in.fh_out),
			in.off_out, in.len));

	if (n < 0) /* ENOSYS: the kernel copies by itself from now on */
		reply_result(c, n == -EOPNOTSUPP ? -ENOSYS : (int)n);
	return n;
}

void req_copy_file_range(struct call *c)
{
	int64_t n = copy_file_range_bytes(c);
	struct fuse_write_out out = {.size = (uint32_t)n}; /* no more was asked for */

	if (n >= 0)
		reply_data(c, &out, sizeof out);
}

void req_copy_file_range_64(struct call *c)
{
	int64_t n = copy_file_range_bytes(c);
	struct proto_copy_file_range_out out = {.bytes_copied = (uint64_t)n};

	if (n >= 0)
		reply_data(c, &out, sizeof out);
}
