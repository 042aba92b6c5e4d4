/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about attributes. */
#include "fuse/ops_internal.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void req_getattr(struct call *c)
{
	struct vfs_attr a;
	int r = vfs_getattr(c->vfs, &c->cred, c->header.nodeid, &a);

	if (r == 0)
		reply_attr(c, &a);
	else
		reply_result(c, r);
}

static struct proto_sx_time sx_time(struct timespec t)
{
	return (struct proto_sx_time){.tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec};
}

static uint64_t sx_attributes(const struct vfs_attr *a)
{
	return (a->flags & VFS_FLAG_IMMUTABLE ? STATX_ATTR_IMMUTABLE : 0) |
	       (a->flags & VFS_FLAG_APPEND ? STATX_ATTR_APPEND : 0) |
	       (a->flags & VFS_FLAG_NODUMP ? STATX_ATTR_NODUMP : 0);
}

/* Asked for when a program wants the birth time, which nothing else carries. */
void req_statx(struct call *c)
{
	struct vfs_attr a;
	int r = vfs_getattr(c->vfs, &c->cred, c->header.nodeid, &a);

	if (r < 0) {
		reply_result(c, r);
		return;
	}

	struct proto_statx_out out = {
		.stat = {.mask = STATX_BASIC_STATS | STATX_BTIME,
			.blksize = 4096,
			.attributes = sx_attributes(&a),
			.attributes_mask =
				STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP,
			.nlink = a.nlink,
			.uid = a.uid,
			.gid = a.gid,
			.mode = (uint16_t)a.mode,
			.ino = a.inode,
			.size = a.size,
			.blocks = a.allocated / 512,
			.atime = sx_time(a.atime),
			.btime = sx_time(a.btime),
			.ctime = sx_time(a.ctime),
			.mtime = sx_time(a.mtime),
			.rdev_major = major(a.rdev),
			.rdev_minor = minor(a.rdev)}};

	attr_valid(c, &a, &out.attr_valid, &out.attr_valid_nsec);
	reply_data(c, &out, sizeof out);
}

static unsigned set_decode(const struct fuse_setattr_in *in)
{
	static const struct {
		uint32_t fattr;
		unsigned set;
	} table[] = {
		{FATTR_MODE, VFS_SET_MODE},
		{FATTR_UID, VFS_SET_UID},
		{FATTR_GID, VFS_SET_GID},
		{FATTR_SIZE, VFS_SET_SIZE},
		{FATTR_CTIME, VFS_SET_CTIME},
		{FATTR_KILL_SUIDGID, VFS_SET_KILL_PRIV},
	};
	unsigned set = 0;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (in->valid & table[i].fattr)
			set |= table[i].set;
	if (in->valid & FATTR_ATIME)
		set |= in->valid & FATTR_ATIME_NOW ? VFS_SET_ATIME_NOW : VFS_SET_ATIME;
	if (in->valid & FATTR_MTIME)
		set |= in->valid & FATTR_MTIME_NOW ? VFS_SET_MTIME_NOW : VFS_SET_MTIME;
	return set;
}

void req_setattr(struct call *c)
{
	struct fuse_setattr_in in;
	struct vfs_attr out;
	int r;

	if (!call_args(c, &in, sizeof in))
		return;

	struct vfs_attr a = {
		.mode = in.mode,
		.uid = in.uid,
		.gid = in.gid,
		.size = in.size,
		.atime = {.tv_sec = (time_t)in.atime, .tv_nsec = in.atimensec},
		.mtime = {.tv_sec = (time_t)in.mtime, .tv_nsec = in.mtimensec},
		.ctime = {.tv_sec = (time_t)in.ctime, .tv_nsec = in.ctimensec},
	};
	unsigned set = set_decode(&in);
	struct vfs_file *f = in.valid & FATTR_FH ? file_of(in.fh) : NULL;

	bool nothing = set == 0;

	/* chown(2) of nothing, with the time by a kernel that owns it. */
	if (!(set & ~(unsigned)VFS_SET_CTIME))
		set = VFS_SET_CHOWN;
	/* From a kernel that owns times, after it has checked what its user may do; or its own
	 * writing back, in the name of whoever came by. */
	else if (c->ops->writeback && set & VFS_SET_CTIME)
		set |= VFS_SET_CHECKED;
	/* A set-gid bit stays when the file's group is one of the caller's: that is no refusal, so
	 * it cannot be retried. */
	if ((set & VFS_SET_MODE && in.mode & S_ISGID) || set & VFS_SET_GID)
		call_load_groups(c);
	TRY_WITH_GROUPS(c, r, vfs_setattr(c->vfs, &c->cred, c->header.nodeid, f, set, &a, &out));
	/* Or what precedes a write by anybody, who then loses the bits by the write itself. */
	if (r == -EPERM && nothing)
		r = vfs_getattr(c->vfs, &c->cred, c->header.nodeid, &out);
	if (r == 0)
		reply_attr(c, &out);
	else
		reply_result(c, r);
}

void req_readlink(struct call *c)
{
	struct buf out = BUF_INIT;
	int r = vfs_readlink(c->vfs, &c->cred, c->header.nodeid, &out);

	if (r == 0)
		reply_data(c, out.data, out.len);
	else
		reply_result(c, r);
	buf_done(&out);
}

void req_access(struct call *c)
{
	struct fuse_access_in in;
	int r;

	if (!call_args(c, &in, sizeof in))
		return;
	TRY_WITH_GROUPS(c, r, vfs_access(c->vfs, &c->cred, c->header.nodeid, (int)in.mask));
	reply_result(c, r);
}

void req_statfs(struct call *c)
{
	struct vfs_statfs s;
	int r = vfs_statfs(c->vfs, &s);

	if (r < 0) {
		reply_result(c, r);
		return;
	}

	struct fuse_statfs_out out = {
		.st =
			{
				.blocks = s.total_bytes / s.block_size,
				.bfree = s.free_bytes / s.block_size,
				.bavail = s.available_bytes / s.block_size,
				.files = s.inodes + s.free_inodes,
				.ffree = s.free_inodes,
				.bsize = s.block_size,
				.namelen = s.name_max,
				.frsize = s.block_size,
			},
	};

	reply_data(c, &out, sizeof out);
}
