/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests about extended attributes. ACLs come here too: the kernel has decoded and encoded them
 * again by then, keeps its own copies of them, and forgets those with every change that it asks us
 * for and with every attribute that has timed out.
 */
#include "fuse/ops_internal.h"

#define ACCESS_ACL "system.posix_acl_access"
#define CAPABILITY "security.capability"

/* Answers a value or a list: its size alone when the caller asked with size 0. */
static void reply_sized(struct call *c, int r, const struct buf *value, uint32_t size)
{
	struct fuse_getxattr_out out = {.size = (uint32_t)value->len};

	if (r < 0)
		reply_result(c, r);
	else if (size == 0)
		reply_data(c, &out, sizeof out);
	else if (value->len > size)
		reply_result(c, -ERANGE);
	else
		reply_data(c, value->data, value->len);
}

void req_getxattr(struct call *c)
{
	struct fuse_getxattr_in in;
	struct buf value = BUF_INIT;
	struct slice name;
	size_t at = sizeof in;
	int r;

	if (!call_args(c, &in, sizeof in) || !call_string(c, &at, &name))
		return;
	TRY_WITH_GROUPS(c, r, vfs_getxattr(c->vfs, &c->cred, c->header.nodeid, name, &value));
	reply_sized(c, r, &value, in.size);
	buf_done(&value);
}

void req_listxattr(struct call *c)
{
	struct fuse_getxattr_in in;
	struct buf names = BUF_INIT;

	if (!call_args(c, &in, sizeof in))
		return;
	reply_sized(c, vfs_listxattr(c->vfs, &c->cred, c->header.nodeid, &names), &names, in.size);
	buf_done(&names);
}

/* The fixed part, in the form that INIT agreed upon; returns its length, 0 where that was answered.
 */
static size_t setxattr_args(struct call *c, struct fuse_setxattr_in *in)
{
	size_t len = atomic_load(&c->ops->flags) & FUSE_SETXATTR_EXT ? sizeof *in
								     : FUSE_COMPAT_SETXATTR_IN_SIZE;

	memset(in, 0, sizeof *in);
	return call_args(c, in, len) ? len : 0;
}

void req_setxattr(struct call *c)
{
	struct fuse_setxattr_in in;
	struct slice name;
	size_t at = setxattr_args(c, &in);
	unsigned flags = in.flags & (VFS_XATTR_CREATE | VFS_XATTR_REPLACE);
	int r;

	if (at == 0 || !call_string(c, &at, &name))
		return;
	if (flags != in.flags || c->arg_len - at < in.size) {
		reply_result(c, -EINVAL);
		return;
	}
	if (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID)
		flags |= VFS_XATTR_KILL_SGID;
	/* A set-gid bit stays when the file's group is one of the caller's: that is no refusal, so
	 * it cannot be retried. */
	if (slice_eq(name, SLICE_STR(ACCESS_ACL)))
		call_load_groups(c);
	TRY_WITH_GROUPS(c, r,
		vfs_setxattr(c->vfs, &c->cred, c->header.nodeid, name, SLICE(c->arg + at, in.size),
			flags));
	reply_result(c, r);
}

/*
 * In whose name to remove. Before a write to a file with capabilities the kernel has them removed,
 * as a request of whoever writes; whether somebody may do that himself it has always checked (its
 * security modules do, whatever the mount's options are).
 */
static struct vfs_cred remover(const struct call *c, struct slice name)
{
	struct vfs_cred cred = c->cred;

	if (slice_eq(name, SLICE_STR(CAPABILITY)))
		cred.uid = 0;
	return cred;
}

void req_removexattr(struct call *c)
{
	struct vfs_cred cred;
	struct slice name;
	size_t at = 0;
	int r;

	if (!call_string(c, &at, &name))
		return;
	TRY_WITH_GROUPS(c, r,
		(cred = remover(c, name), vfs_removexattr(c->vfs, &cred, c->header.nodeid, name)));
	reply_result(c, r);
}
