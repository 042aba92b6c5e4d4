/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_INODE_TAGS_H
#define CORE_VFS_INODE_TAGS_H
/*
 * Tagged fields of inodes that change (docs/format.md, inode). They are kept as they are stored.
 * What makes them longer is done in room that was allocated before any lock: prepare, lock, fits,
 * join with op.tags_more, take.
 */
#include "core/vfs/inode.h"

/* Bytes that a field of `len` bytes takes, its tag and length included. */
size_t inode_tag_bytes(uint64_t tag, size_t len);
/* The field as it is, to be changed in place; NULL when it is absent. */
uint8_t *inode_tag_data(struct buf *tags, uint64_t tag, size_t *ret_len);
/* Replaces or adds a field; `tags` has room for it. */
void inode_tag_set(struct buf *tags, uint64_t tag, struct slice bytes);
void inode_tag_remove(struct buf *tags, uint64_t tag); /* also when it is absent */

struct inode_tags_room {
	struct buf tags;
	uint8_t *room; /* where to encode, as in struct inode */
};
/* Room for the fields that `i` has now and `more` bytes. No lock held. 0, -ENOMEM. May be called
 * again. */
int inode_tags_prepare(struct inode *i, size_t more, struct inode_tags_room *r);
/* Whether it still suffices. Lock held. */
bool inode_tags_fit(const struct inode *i, size_t more, const struct inode_tags_room *r);
/* `i` moves its fields into the room; the caller frees what it had before. Lock held exclusively.
 */
void inode_tags_take(struct inode *i, struct inode_tags_room *r);
void inode_tags_room_done(struct inode_tags_room *r);
/* Other fields altogether, of a follower whose view moved; `tags` is exchanged with the old ones.
 * Lock held exclusively. */
void inode_tags_exchange(struct inode *i, struct buf *tags);
/* Where to encode an inode of this type with fields of so many bytes: *ret stays NULL where the
 * stack does. 0, -ENOMEM. */
int inode_tags_encode_room(uint32_t mode, size_t tags_len, uint8_t **ret);

#endif
