/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ioctls that a FUSE kernel carries and that mean something here: the flags of files, which it
 * asks for and sets by two interfaces (chattr uses both at once), and the generation. Everything
 * else is no ioctl of ours.
 */
#include "fuse/ops_internal.h"

#include <linux/fs.h>

/* What the flags are called in the three places. */
static const struct {
	uint32_t flag, fs, xflag;
} names[] = {
	{VFS_FLAG_IMMUTABLE, FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
	{VFS_FLAG_APPEND, FS_APPEND_FL, FS_XFLAG_APPEND},
	{VFS_FLAG_NODUMP, FS_NODUMP_FL, FS_XFLAG_NODUMP},
	{VFS_FLAG_NOATIME, FS_NOATIME_FL, FS_XFLAG_NOATIME},
};
#define NAMES (sizeof names / sizeof *names)

static void reply_ioctl(struct call *c, const void *data, size_t len)
{
	struct fuse_ioctl_out out = {0};

	loop_reply2(c->request, &out, sizeof out, data, len);
}

static void get_flags(struct call *c, const struct fuse_ioctl_in *in, const struct vfs_attr *a)
{
	struct fsxattr x = {0};
	uint32_t flags = 0;

	for (size_t i = 0; i < NAMES; i++)
		if (a->flags & names[i].flag) {
			flags |= names[i].fs;
			x.fsx_xflags |= names[i].xflag;
		}
	if (in->cmd == FS_IOC_FSGETXATTR && in->out_size >= sizeof x)
		reply_ioctl(c, &x, sizeof x);
	else if (in->cmd == FS_IOC_GETFLAGS && in->out_size >= sizeof flags)
		reply_ioctl(c, &flags, sizeof flags);
	else
		reply_result(c, -EINVAL);
}

/* Flags as the caller wants them, by either interface; -EOPNOTSUPP for what is not kept. */
static int wanted_flags(struct call *c, const struct fuse_ioctl_in *in, uint32_t *ret)
{
	const uint8_t *data = c->arg + sizeof *in;
	struct fsxattr x = {0};
	uint32_t flags = 0;

	*ret = 0;
	if (in->cmd == FS_IOC_FSSETXATTR) {
		if (in->in_size < sizeof x)
			return -EINVAL;
		memcpy(&x, data, sizeof x);
		if (x.fsx_extsize || x.fsx_cowextsize || x.fsx_projid)
			return -EOPNOTSUPP;
	} else {
		if (in->in_size < sizeof flags)
			return -EINVAL;
		memcpy(&flags, data, sizeof flags);
	}
	for (size_t i = 0; i < NAMES; i++) {
		if ((flags & names[i].fs) || (x.fsx_xflags & names[i].xflag))
			*ret |= names[i].flag;
		flags &= ~names[i].fs;
		x.fsx_xflags &= ~names[i].xflag;
	}
	return flags || x.fsx_xflags ? -EOPNOTSUPP : 0;
}

static void set_flags(struct call *c, const struct fuse_ioctl_in *in)
{
	struct vfs_attr a = {0}, out;
	int r = wanted_flags(c, in, &a.flags);

	if (r == 0)
		r = vfs_setattr(c->vfs, &c->cred, c->header.nodeid, NULL, VFS_SET_FLAGS, &a, &out);
	if (r == 0)
		reply_ioctl(c, NULL, 0);
	else
		reply_result(c, r);
}

static void get_version(struct call *c, const struct fuse_ioctl_in *in, const struct vfs_attr *a)
{
	uint32_t generation = (uint32_t)a->generation;

	if (in->out_size >= sizeof generation)
		reply_ioctl(c, &generation, sizeof generation);
	else
		reply_result(c, -EINVAL);
}

void req_ioctl(struct call *c)
{
	struct fuse_ioctl_in in;
	struct vfs_attr a;

	if (!call_args(c, &in, sizeof in))
		return;
	if (c->arg_len - sizeof in < in.in_size) {
		reply_result(c, -EINVAL);
		return;
	}
	if (in.cmd == FS_IOC_SETFLAGS || in.cmd == FS_IOC_FSSETXATTR) {
		set_flags(c, &in);
		return;
	}
	if (in.cmd != FS_IOC_GETFLAGS && in.cmd != FS_IOC_FSGETXATTR &&
		in.cmd != FS_IOC_GETVERSION) {
		reply_result(c, -ENOTTY);
		return;
	}

	int r = vfs_getattr(c->vfs, &c->cred, c->header.nodeid, &a);

	if (r < 0)
		reply_result(c, r);
	else if (in.cmd == FS_IOC_GETVERSION)
		get_version(c, &in, &a);
	else
		get_flags(c, &in, &a);
}
