/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_PERM_H
#define CORE_VFS_PERM_H
/* Who may do what: mode bits, ACLs, supplementary groups, the sticky bit, root. Pure functions, no
 * locks, no I/O. */
#include "core/vfs/vfs.h"

/* What a decision looks at. */
struct perm_node {
	uint32_t mode, uid, gid, flags;
	struct slice acl; /* the access ACL, extended; empty = none */
};

/* Whether nothing that belongs to others is in the caller's way: root, or it was checked. */
bool perm_is_trusted(const struct vfs_cred *c);
bool perm_in_group(const struct vfs_cred *c, uint32_t gid);
/* `mask` of R_OK, W_OK, X_OK. 0, -EACCES. Root may everything but run a file that nobody may run.
 */
int perm_check(const struct vfs_cred *c, const struct perm_node *n, int mask);
/* Whether the owner's rights are the caller's (chmod, utimes, O_NOATIME). 0, -EPERM. */
int perm_owner(const struct vfs_cred *c, const struct perm_node *n);
/*
 * Whether an entry for `child` may be taken out of `dir` (unlink, rmdir, both sides of a rename):
 * search and write permission, the sticky bit, the flags of both. 0, -EACCES, -EPERM.
 */
int perm_remove(
	const struct vfs_cred *c, const struct perm_node *dir, const struct perm_node *child);
/* The same when perm_insert has allowed the directory's part: its ACL is not looked at. */
int perm_remove_child(
	const struct vfs_cred *c, const struct perm_node *dir, const struct perm_node *child);
/* Whether an entry may be put into `dir`. 0, -EACCES, -EPERM (immutable). */
int perm_insert(const struct vfs_cred *c, const struct perm_node *dir);
/* Whether the flags of an inode let anybody change it at all: bytes or attributes, or (`append`)
 * bytes at the end. 0, -EPERM. */
int perm_frozen(uint64_t flags, bool append);
/* The flags of something new in `dir`. */
uint64_t perm_new_flags(const struct perm_node *dir);
/* Owner group and mode of something new in `dir`: a set-gid directory passes its group on, and the
 * bit to directories. */
uint32_t perm_new_gid(const struct vfs_cred *c, const struct perm_node *dir);
uint32_t perm_new_mode(const struct vfs_cred *c, const struct perm_node *dir, uint32_t mode);
/* Before that: 0, or -EPERM where it depends on groups that are not known. */
int perm_knows_new_mode(const struct vfs_cred *c, const struct perm_node *dir, uint32_t mode);
/* Whether a change of a file's bytes by `c` clears set-id bits; `asked`: the request says so. */
bool perm_kills_setid(const struct vfs_cred *c, bool asked);
/* The mode after a write or a change of owner by somebody who may not keep set-id bits. Without
 * group execution set-gid (which once meant mandatory locking) goes only if the group is not the
 * caller's. */
uint32_t perm_kill_setid(const struct vfs_cred *c, const struct perm_node *n);
/* Before that: 0, or -EPERM where it depends on groups that are not known. */
int perm_knows_setid(const struct vfs_cred *c, const struct perm_node *n);
/*
 * Whether vfs_setattr with this mask is allowed; `may_truncate`: an open file gives the right to
 * change the size. 0, -EPERM, -EACCES.
 */
int perm_setattr(const struct vfs_cred *c, const struct perm_node *n, unsigned set,
	const struct vfs_attr *in, bool may_truncate);
/* The mode that a chmod to `mode` by this caller gives: no set-gid for a group that is not the
 * caller's. */
uint32_t perm_chmod_mode(const struct vfs_cred *c, uint32_t gid, uint32_t mode);

#endif
