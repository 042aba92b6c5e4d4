/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_INODE_ACL_H
#define CORE_VFS_INODE_ACL_H
/*
 * The ACLs of inodes. An access ACL that says no more than the mode is not kept, so where there is
 * one it is extended, and the mode's group bits are its mask. `tag`: INODE_TAG_ACCESS_ACL or
 * INODE_TAG_DEFAULT_ACL.
 */
#include "core/vfs/op.h"

#define XATTR_NAME_ACCESS_ACL "system.posix_acl_access"
#define XATTR_NAME_DEFAULT_ACL "system.posix_acl_default"

/* Appends the ACL. Lock held at least shared. -ENODATA; -EOPNOTSUPP a symlink; -ENOMEM. */
int inode_acl_get(const struct inode *i, uint64_t tag, struct buf *out);
/* No bytes or entries in `value`: no ACL any more. `kill_sgid`: the caller may not keep that bit,
 * whatever its groups are. No locks held. */
int inode_acl_set(struct inode *i, const struct vfs_cred *c, uint64_t tag, struct slice value,
	bool kill_sgid);
/* The mode changed by chmod: the access ACL follows. Lock held exclusively. */
void inode_acl_chmod(struct inode *i);

/*
 * What `i`, which nobody can find yet, inherits from `dir`. Prepare gets memory and holds no lock;
 * inherit, with `dir` locked and the mode set with its type, sets ACLs and mode: the umask counts
 * only where the directory has no default ACL. -ENOMEM; inherit: -EAGAIN, prepare again.
 */
int inode_acl_prepare(struct inode *dir, struct inode *i);
int inode_acl_inherit(const struct inode *dir, uint32_t umask, struct inode *i);

#endif
