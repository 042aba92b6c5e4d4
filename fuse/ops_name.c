/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about names: lookup, create, link, remove, rename. */
#include "fuse/ops_internal.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

void req_lookup(struct call *c)
{
	struct vfs_attr a;
	struct slice name;
	size_t at = 0;
	int r;

	if (!call_string(c, &at, &name))
		return;
	TRY_WITH_GROUPS(c, r, vfs_lookup(c->vfs, &c->cred, c->header.nodeid, name, &a));
	if (r == 0) {
		reply_entry(c, &a);
	} else if (r == -ENOENT && c->ops->keep_pages) {
		struct fuse_entry_out
			none; /* node id 0: the kernel may remember that there is nothing */

		memset(&a, 0, sizeof a);
		entry_encode(c, &a, &none);
		reply_data(c, &none, sizeof none);
	} else {
		reply_result(c, r);
	}
}

/*
 * No lookups are counted: node ids are inode numbers, and a number matters to the kernel only after
 * the last name is gone. From then on nobody can look it up, and the kernel gives back all its
 * lookups of an inode at once, when its last user has gone.
 */
void req_forget(struct call *c)
{
	vfs_forget(c->vfs, c->header.nodeid);
}

void req_batch_forget(struct call *c)
{
	struct fuse_batch_forget_in in;
	struct fuse_forget_one one;

	if (c->arg_len < sizeof in)
		return; /* nobody waits for an answer */
	memcpy(&in, c->arg, sizeof in);
	for (size_t at = sizeof in; in.count && c->arg_len - at >= sizeof one; in.count--) {
		memcpy(&one, c->arg + at, sizeof one);
		vfs_forget(c->vfs, one.nodeid);
		at += sizeof one;
	}
}

static uint64_t rdev_decode(uint32_t dev)
{
	return makedev((dev & 0xfff00) >> 8, (dev & 0xff) | (dev >> 12 & 0xfff00));
}

/* What a request answers that makes a name: the entry, or why not. */
static void reply_made(struct call *c, int r, const struct vfs_attr *a)
{
	if (r == 0)
		reply_entry(c, a);
	else
		reply_result(c, r);
}

void req_mknod(struct call *c)
{
	struct fuse_mknod_in in;
	struct vfs_attr a;
	struct slice name;
	size_t at = sizeof in;
	int r;

	if (!call_args(c, &in, sizeof in) || !call_string(c, &at, &name))
		return;
	c->cred.umask = in.umask;
	TRY_WITH_GROUPS(c, r,
		vfs_mknod(c->vfs, &c->cred, c->header.nodeid, name, in.mode, rdev_decode(in.rdev),
			&a));
	reply_made(c, r, &a);
}

void req_mkdir(struct call *c)
{
	struct fuse_mkdir_in in;
	struct vfs_attr a;
	struct slice name;
	size_t at = sizeof in;
	int r;

	if (!call_args(c, &in, sizeof in) || !call_string(c, &at, &name))
		return;
	c->cred.umask = in.umask;
	TRY_WITH_GROUPS(c, r, vfs_mkdir(c->vfs, &c->cred, c->header.nodeid, name, in.mode, &a));
	reply_made(c, r, &a);
}

void req_symlink(struct call *c)
{
	struct vfs_attr a;
	struct slice name, target;
	size_t at = 0;
	int r;

	if (!call_string(c, &at, &name) || !call_string(c, &at, &target))
		return;
	TRY_WITH_GROUPS(c, r, vfs_symlink(c->vfs, &c->cred, c->header.nodeid, name, target, &a));
	reply_made(c, r, &a);
}

void req_link(struct call *c)
{
	struct fuse_link_in in;
	struct vfs_attr a;
	struct slice name;
	size_t at = sizeof in;
	int r;

	if (!call_args(c, &in, sizeof in) || !call_string(c, &at, &name))
		return;
	TRY_WITH_GROUPS(c, r, vfs_link(c->vfs, &c->cred, in.oldnodeid, c->header.nodeid, name, &a));
	reply_made(c, r, &a);
}

void req_unlink(struct call *c)
{
	struct slice name;
	size_t at = 0;
	int r;

	if (!call_string(c, &at, &name))
		return;
	TRY_WITH_GROUPS(c, r, vfs_unlink(c->vfs, &c->cred, c->header.nodeid, name));
	reply_result(c, r);
}

void req_rmdir(struct call *c)
{
	struct slice name;
	size_t at = 0;
	int r;

	if (!call_string(c, &at, &name))
		return;
	TRY_WITH_GROUPS(c, r, vfs_rmdir(c->vfs, &c->cred, c->header.nodeid, name));
	reply_result(c, r);
}

/* `at`: where the two names begin. */
static void rename_names(struct call *c, size_t at, uint64_t to_dir, unsigned flags)
{
	struct slice name, to_name;
	int r;

	if (!call_string(c, &at, &name) || !call_string(c, &at, &to_name))
		return;
	TRY_WITH_GROUPS(
		c, r, vfs_rename(c->vfs, &c->cred, c->header.nodeid, name, to_dir, to_name, flags));
	reply_result(c, r);
}

void req_rename(struct call *c)
{
	struct fuse_rename_in in;

	if (call_args(c, &in, sizeof in))
		rename_names(c, sizeof in, in.newdir, 0);
}

void req_rename2(struct call *c)
{
	struct fuse_rename2_in in;

	/* RENAME_* have the values of VFS_RENAME_*. */
	if (call_args(c, &in, sizeof in))
		rename_names(c, sizeof in, in.newdir, in.flags);
}

static void reply_created(struct call *c, const struct vfs_attr *a, struct vfs_file *f, int flags)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;

	entry_encode(c, a, &out.entry);
	out.open = open_encode(c, f, flags);
	reply_data(c, &out, sizeof out);
}

void req_create(struct call *c)
{
	struct fuse_create_in in;
	struct vfs_attr a;
	struct vfs_file *f = NULL;
	struct slice name;
	size_t at = sizeof in;
	int r;

	if (!call_args(c, &in, sizeof in) || !call_string(c, &at, &name))
		return;
	c->cred.umask = in.umask;
	c->cred.kills_setid = in.open_flags & FUSE_OPEN_KILL_SUIDGID;
	TRY_WITH_GROUPS(c, r,
		vfs_create(c->vfs, &c->cred, c->header.nodeid, name, in.mode & 07777,
			open_flags(c, in.flags), &a, &f, NULL));
	if (r == 0)
		reply_created(c, &a, f, (int)in.flags);
	else
		reply_result(c, r);
}

void req_tmpfile(struct call *c)
{
	struct fuse_create_in in;
	struct vfs_attr a;
	struct vfs_file *f = NULL;
	int r;

	if (!call_args(c, &in, sizeof in))
		return;
	c->cred.umask = in.umask;
	TRY_WITH_GROUPS(c, r,
		vfs_tmpfile(c->vfs, &c->cred, c->header.nodeid, in.mode & 07777,
			open_flags(c, in.flags), &a, &f));
	if (r == 0)
		reply_created(c, &a, f, (int)in.flags);
	else
		reply_result(c, r);
}
