/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_INODE_CODEC_H
#define CORE_VFS_INODE_CODEC_H
/*
 * Inode records and directory entry values to bytes and back (inode_format.h). Pure. Decoders take
 * any bytes: -EBADMSG.
 */
#include "core/base/buf.h"
#include "core/vfs/inode_format.h"

#include <time.h>

struct inode_record {
	uint32_t mode, uid, gid, nlink;
	uint64_t size, rdev;
	struct timespec atime, mtime, ctime, btime;
	uint64_t generation, parent, flags, allocated;
	struct slice inline_data, symlink;
	struct slice tags; /* tagged fields as stored, unknown ones too */
};

/* The most that inode_record_encode() may write, whatever the numbers are. */
size_t inode_record_bound(size_t inline_len, size_t symlink_len, size_t tags_len);
/* Writes the record to `out`, which has room for the bound of its lengths; returns how many bytes.
 * Never fails. */
size_t inode_record_encode(const struct inode_record *r, uint8_t *out);
/* The slices of *ret borrow from `value`. 0, -EBADMSG; -EPROTONOSUPPORT an unknown version. */
int inode_record_decode(struct slice value, struct inode_record *ret);
/* The same, but contents of a tagged field that are wrong are no error: *ret_bad_tag is the first
 * of those, 0 = none. */
int inode_record_inspect(struct slice value, struct inode_record *ret, uint64_t *ret_bad_tag);
/* The bytes of a tag; an empty slice with data NULL when it is absent. */
struct slice inode_record_tag(struct slice tags, uint64_t tag);

#define DIRENT_VALUE_MAX 11 /* bytes */
size_t dirent_value_encode(uint64_t inode, uint8_t type, uint8_t out[DIRENT_VALUE_MAX]);
int dirent_value_decode(struct slice value, uint64_t *ret_inode, uint8_t *ret_type); /* -EBADMSG */
/* DT_* of a mode, and whether a byte is one of those that entries may have. */
uint8_t dirent_type_of_mode(uint32_t mode);

#endif
