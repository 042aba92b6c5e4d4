/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_XATTR_H
#define CORE_VFS_XATTR_H
/*
 * Extended attributes: one record each (docs/format.md, kind 03), and in the inode a summary of
 * them, absent where there are none. So what most inodes are asked for, and do not have, is
 * answered without the index; a removal knows whether there is anything to remove; and whoever
 * writes knows whether there are capabilities to take away. ACLs are elsewhere (inode_acl.h), and
 * only look like attributes.
 *
 * Attributes count as bytes of the volume: the lengths of names and values.
 */
#include "core/vfs/op.h"

enum xattr_class {
	XATTR_USER,
	XATTR_TRUSTED,
	XATTR_SECURITY,
	XATTR_ACCESS_ACL,
	XATTR_DEFAULT_ACL,
	XATTR_SYSTEM, /* a name in "system." that means nothing here */
	XATTR_OTHER,  /* no namespace of ours */
};
/* 0; -EINVAL: a namespace and nothing behind it. */
int xattr_classify(struct slice name, enum xattr_class *ret);

struct xattr_summary {
	uint32_t count;	     /* of records */
	uint32_t capability; /* length of the value of security.capability plus 1, 0 = there is none
			      */
	uint64_t bytes;	     /* of names and values */
};
/* Lock held at least shared. All 0 where there are none. */
struct xattr_summary xattr_summary(const struct inode *i);

/* What op_join must be told for xattr_drop_capability and for xattr_drop_all. Lock held. */
size_t xattr_capability_records(const struct inode *i);
size_t xattr_capability_bytes(const struct inode *i);
size_t xattr_all_records(const struct inode *i);
size_t xattr_all_bytes(const struct inode *i);
/* The bytes or the owner change: security.capability goes, whoever the caller is. */
void xattr_drop_capability(struct op *op, struct inode *i);
/* The inode goes: one range delete, where it has any. */
void xattr_drop_all(struct op *op, struct inode *i);

#endif
