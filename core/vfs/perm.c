/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Permission decisions, as Linux takes them for ext4. tests/unit/test-vfs-perm.c has them as a
 * table. */
#include "core/vfs/perm.h"
#include "core/vfs/acl.h"
#include "core/vfs/inode_format.h"

#include <assert.h>
#include <unistd.h>

static_assert((int)VFS_FLAG_IMMUTABLE == (int)INODE_FLAG_IMMUTABLE &&
		      (int)VFS_FLAG_APPEND == (int)INODE_FLAG_APPEND &&
		      (int)VFS_FLAG_NODUMP == (int)INODE_FLAG_NODUMP &&
		      (int)VFS_FLAG_NOATIME == (int)INODE_FLAG_NOATIME,
	"vfs_attr.flags are stored as they are");

bool perm_is_trusted(const struct vfs_cred *c)
{
	return c->uid == 0 || c->checked;
}

bool perm_in_group(const struct vfs_cred *c, uint32_t gid)
{
	if (c->gid == gid)
		return true;
	for (uint32_t i = 0; i < c->ngroups; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

int perm_check(const struct vfs_cred *c, const struct perm_node *n, int mask)
{
	uint32_t granted;

	if (c->checked)
		return 0;
	if (c->uid == 0) {
		if ((mask & X_OK) && !S_ISDIR(n->mode) && !(n->mode & 0111))
			return -EACCES;
		return 0;
	}
	if (c->uid == n->uid)
		granted = n->mode >> 6;
	else if (n->acl.len && (n->mode & S_IRWXG)) /* with an empty mask Linux does not look */
		return acl_permits(n->acl, c, n->gid, (uint32_t)mask);
	else if (perm_in_group(c, n->gid))
		granted = n->mode >> 3;
	else
		granted = n->mode;
	return (uint32_t)mask & ~(granted & 7) ? -EACCES : 0;
}

int perm_owner(const struct vfs_cred *c, const struct perm_node *n)
{
	return perm_is_trusted(c) || c->uid == n->uid ? 0 : -EPERM;
}

int perm_insert(const struct vfs_cred *c, const struct perm_node *dir)
{
	if (dir->flags & INODE_FLAG_IMMUTABLE)
		return -EPERM;
	return perm_check(c, dir, W_OK | X_OK);
}

int perm_remove(
	const struct vfs_cred *c, const struct perm_node *dir, const struct perm_node *child)
{
	int r = perm_insert(c, dir);

	return r < 0 ? r : perm_remove_child(c, dir, child);
}

int perm_remove_child(
	const struct vfs_cred *c, const struct perm_node *dir, const struct perm_node *child)
{
	if (perm_frozen(dir->flags, false) < 0 || perm_frozen(child->flags, false) < 0)
		return -EPERM;
	if ((dir->mode & S_ISVTX) && !perm_is_trusted(c) && c->uid != child->uid &&
		c->uid != dir->uid)
		return -EPERM;
	return 0;
}

int perm_frozen(uint64_t flags, bool append)
{
	if (flags & INODE_FLAG_IMMUTABLE)
		return -EPERM;
	return (flags & INODE_FLAG_APPEND) && !append ? -EPERM : 0;
}

uint64_t perm_new_flags(const struct perm_node *dir)
{
	return dir->flags & (INODE_FLAG_NODUMP | INODE_FLAG_NOATIME);
}

uint32_t perm_new_gid(const struct vfs_cred *c, const struct perm_node *dir)
{
	return dir->mode & S_ISGID ? dir->gid : c->gid;
}

uint32_t perm_new_mode(const struct vfs_cred *c, const struct perm_node *dir, uint32_t mode)
{
	if (!(dir->mode & S_ISGID))
		return mode;
	if (S_ISDIR(mode))
		return mode | S_ISGID;
	if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !perm_is_trusted(c) &&
		!perm_in_group(c, dir->gid))
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}

/* Of a file in a set-gid directory: set-gid goes unless its group is the caller's. */
static bool new_mode_depends(const struct perm_node *dir, uint32_t mode)
{
	return (dir->mode & S_ISGID) && !S_ISDIR(mode) &&
	       (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

int perm_knows_new_mode(const struct vfs_cred *c, const struct perm_node *dir, uint32_t mode)
{
	if (!c->partial || !new_mode_depends(dir, mode))
		return 0;
	return perm_is_trusted(c) || perm_in_group(c, dir->gid) ? 0 : -EPERM;
}

bool perm_kills_setid(const struct vfs_cred *c, bool asked)
{
	/* Who has checked knows of capabilities, and says when. */
	return asked || !perm_is_trusted(c);
}

uint32_t perm_kill_setid(const struct vfs_cred *c, const struct perm_node *n)
{
	uint32_t mode = n->mode & ~(uint32_t)S_ISUID;

	if ((mode & S_IXGRP) || (c->uid != 0 && !perm_in_group(c, n->gid)))
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}

int perm_knows_setid(const struct vfs_cred *c, const struct perm_node *n)
{
	if (!(n->mode & S_ISGID) || (n->mode & S_IXGRP) || !c->partial)
		return 0;
	return c->uid == 0 || perm_in_group(c, n->gid) ? 0 : -EPERM;
}

uint32_t perm_chmod_mode(const struct vfs_cred *c, uint32_t gid, uint32_t mode)
{
	if (!perm_is_trusted(c) && !perm_in_group(c, gid))
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}

static int check_owner_change(const struct vfs_cred *c, const struct perm_node *n, unsigned set,
	const struct vfs_attr *in)
{
	if (perm_is_trusted(c))
		return 0;
	if ((set & VFS_SET_UID) && (c->uid != n->uid || in->uid != n->uid))
		return -EPERM;
	if ((set & VFS_SET_GID) &&
		(c->uid != n->uid || (in->gid != n->gid && !perm_in_group(c, in->gid))))
		return -EPERM;
	return 0;
}

static int check_flags_change(const struct vfs_cred *c, const struct perm_node *n, uint32_t flags)
{
	const uint32_t guarded = INODE_FLAG_IMMUTABLE | INODE_FLAG_APPEND;
	int r = perm_owner(c, n);

	if (r < 0)
		return r;
	if (((flags ^ n->flags) & guarded) && !perm_is_trusted(c))
		return -EPERM;
	return 0;
}

static int check_times(const struct vfs_cred *c, const struct perm_node *n, unsigned set)
{
	if (perm_owner(c, n) == 0)
		return 0;
	if (set & (VFS_SET_ATIME | VFS_SET_MTIME | VFS_SET_CTIME))
		return -EPERM;
	if (set & (VFS_SET_ATIME_NOW | VFS_SET_MTIME_NOW))
		return perm_check(c, n, W_OK);
	return 0;
}

/* Flags that forbid a change whoever asks. Only VFS_SET_FLAGS itself passes, so that they can be
 * taken away. */
static int check_frozen(const struct perm_node *n, unsigned set)
{
	const unsigned now = VFS_SET_ATIME_NOW | VFS_SET_MTIME_NOW;

	if ((n->flags & INODE_FLAG_IMMUTABLE) && (set & ~(unsigned)VFS_SET_FLAGS))
		return -EPERM;
	if ((n->flags & INODE_FLAG_APPEND) && (set & ~(unsigned)VFS_SET_FLAGS & ~now))
		return -EPERM;
	return 0;
}

static int check_change(const struct vfs_cred *c, const struct perm_node *n, unsigned set,
	const struct vfs_attr *in, bool may_truncate)
{
	int r = check_owner_change(c, n, set, in);

	if (r == 0 && (set & VFS_SET_MODE))
		r = perm_owner(c, n);
	if (r == 0 && (set & VFS_SET_FLAGS))
		r = check_flags_change(c, n, in->flags);
	if (r == 0)
		r = check_times(c, n, set);
	/* Nobody has checked this one: a kernel asks for it in the same words before a write by
	 * anybody. */
	if (r == 0 && (set & VFS_SET_CHOWN) && !S_ISDIR(n->mode) &&
		perm_kill_setid(c, n) != n->mode && c->uid != 0 && c->uid != n->uid)
		r = -EPERM;
	if (r == 0 && (set & VFS_SET_SIZE) && !may_truncate)
		r = perm_check(c, n, W_OK);
	return r;
}

int perm_setattr(const struct vfs_cred *c, const struct perm_node *n, unsigned set,
	const struct vfs_attr *in, bool may_truncate)
{
	const unsigned changes_setid =
		VFS_SET_UID | VFS_SET_GID | VFS_SET_SIZE | VFS_SET_KILL_PRIV | VFS_SET_CHOWN;
	int r = check_frozen(n, set & ~(unsigned)VFS_SET_CHECKED);

	if (r == 0 && !(set & VFS_SET_CHECKED))
		r = check_change(c, n, set, in, may_truncate);
	if (r == 0 && (set & changes_setid))
		r = perm_knows_setid(c, n);
	return r;
}
