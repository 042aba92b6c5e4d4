/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_ACL_H
#define CORE_VFS_ACL_H
/*
 * POSIX access control lists as bytes (docs/format.md "acl"): what they grant, and how they and the
 * mode follow each other. The same bytes are the value of the attributes system.posix_acl_access
 * and system.posix_acl_default, and stand in the inode. Pure functions, no locks, no I/O.
 *
 * All but acl_adopt and acl_check want bytes that acl_check accepts; an inode record that was
 * decoded holds no others.
 */
#include "core/vfs/vfs.h"

#define ACL_ENTRIES_MAX 507 /* as ext4 takes with blocks of 4 KiB */
#define ACL_HEADER_BYTES 4
#define ACL_ENTRY_BYTES 8
#define ACL_BYTES_MAX (ACL_HEADER_BYTES + ACL_ENTRY_BYTES * ACL_ENTRIES_MAX)

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};
struct acl_entry {
	uint16_t tag;  /* enum acl_tag, once checked */
	uint16_t perm; /* R_OK | W_OK | X_OK */
	uint32_t id;   /* of ACL_USER and ACL_GROUP, else 0xffffffff */
};

/* The n-th entry; false behind the last one. */
bool acl_entry(struct slice acl, size_t n, struct acl_entry *ret);
/* Whether the bytes are an ACL: the entries that there must be, each once and in order. 0; -EINVAL;
 * -EOPNOTSUPP another version; -ENOSPC too many entries. */
int acl_check(struct slice acl);
/*
 * What a user gave, checked, into the empty `out`, ids normalised. No bytes and no entries are
 * fine: they mean that there is to be no ACL, and leave `out` empty. As acl_check; -ENOMEM.
 */
int acl_adopt(struct slice given, struct buf *out);
/* Whether it says more than a mode can: named entries or a mask. */
bool acl_is_extended(struct slice acl);
/* `mode` with the permission bits that the ACL stands for: the group's are the mask. */
uint32_t acl_mode(struct slice acl, uint32_t mode);
/* After a chmod: owner, mask (or group) and others as in `mode`. */
void acl_set_mode(uint8_t *acl, size_t len, uint32_t mode);
/*
 * The copy of a default ACL becomes the access ACL of something that is created with `mode`: each
 * side keeps what both allow. Returns the mode that results.
 */
uint32_t acl_inherit(uint8_t *acl, size_t len, uint32_t mode);
/* What the access ACL says to somebody who is not the owner; `gid` is the inode's. `want` of R_OK,
 * W_OK, X_OK. 0, -EACCES. */
int acl_permits(struct slice acl, const struct vfs_cred *c, uint32_t gid, uint32_t want);

#endif
