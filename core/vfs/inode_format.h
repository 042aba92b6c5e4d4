/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_INODE_FORMAT_H
#define CORE_VFS_INODE_FORMAT_H
/*
 * The stored inode (docs/format.md "Index keys", inode), in this order:
 *
 *   version        u8, 1
 *   mode           le32, type and permissions as in stat
 *   uid gid size nlink rdev            varints
 *   atime mtime ctime birth time       each zigzag seconds, varint nanoseconds
 *   generation parent flags allocated  varints
 *   inline data    varint length, bytes
 *   symlink target varint length, bytes
 *   tagged fields to the end: varint tag, varint length, bytes; ACLs as in acl.h
 */

#define INODE_VERSION 1
#define INODE_INLINE_MAX 2048  /* bytes */
#define INODE_SYMLINK_MAX 4095 /* bytes */

enum inode_tag {
	INODE_TAG_ACCESS_ACL = 1,
	INODE_TAG_DEFAULT_ACL = 2,
	INODE_TAG_VERIFIER = 3,
	INODE_TAG_HISTORY = 4,
	INODE_TAG_LINEAGE = 5,
	INODE_TAG_PROJECT = 6,
	INODE_TAG_XATTRS = 7,
};

/* Tag 7, absent where there are no extended attributes: count of records (le32), length of the
 * value of security.capability plus 1 or 0 (le32), lengths of all names and values (le64). */
#define INODE_XATTRS_BYTES 16

enum inode_flag {
	INODE_FLAG_IMMUTABLE = 1,
	INODE_FLAG_APPEND = 2,
	INODE_FLAG_NODUMP = 4,
	INODE_FLAG_NOATIME = 8,
};
#define INODE_FLAGS_SETTABLE                                                                       \
	(INODE_FLAG_IMMUTABLE | INODE_FLAG_APPEND | INODE_FLAG_NODUMP | INODE_FLAG_NOATIME)

#endif
