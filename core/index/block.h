/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_BLOCK_H
#define CORE_INDEX_BLOCK_H
/*
 * Blocks: sorted records with prefix-compressed keys and restart points (docs/format.md "Block"),
 * for tables and for journals. A journal's block holds range deletes among the point records,
 * behind a point record of the same key and group. A builder belongs to one thread; an iterator
 * too, and it borrows the block's bytes.
 */
#include "core/index/record.h"

#define BLOCK_RESTART 16 /* entries */

struct block_builder {
	struct buf out;	     /* the block so far */
	struct buf restarts; /* le32 offsets */
	uint64_t base;	     /* no group of the block is above this */
	size_t n;	     /* entries */
	uint8_t last[RECORD_KEY_MAX];
	size_t last_len;
	uint64_t last_group;
	enum record_op last_op;
};

/* `base`: at least the highest group that will be added. 0, -ENOMEM. */
int block_builder_init(struct block_builder *b, uint64_t base);
/* Records come in order (assert). Their key and value lengths are within the limits of record.h
 * (assert). 0, -ENOMEM. */
int block_builder_add(struct block_builder *b, const struct record *r);
size_t block_builder_bytes(const struct block_builder *b); /* of the finished block */
/* Appends the restart points; `b->out` is then the block. Only block_builder_done may follow. 0,
 * -ENOMEM. */
int block_builder_finish(struct block_builder *b);
void block_builder_done(struct block_builder *b);

/*
 * Reads any bytes safely. The constructor checks the frame of the block, each step its own entry,
 * and that the order rises; -EBADMSG leaves the iterator invalid. rec.key is borrowed until the
 * next step, rec.value from the block.
 */
struct block_iter {
	struct slice data;	 /* entries only */
	const uint8_t *restarts; /* le32 each */
	uint32_t nrestarts;
	uint64_t base;
	size_t entries; /* offset of the first entry */
	size_t next;	/* offset of the next entry */
	bool valid;
	struct record rec; /* the current record, when valid */
	uint8_t key[RECORD_KEY_MAX];
};

int block_iter_init(struct block_iter *it, struct slice block); /* not positioned; 0 or -EBADMSG */
/* To the first record of the block. 0 (valid, or not: empty), -EBADMSG. */
int block_iter_first(struct block_iter *it);
/* To the first record whose user key is at least `key`. */
int block_iter_seek(struct block_iter *it, struct slice key);
int block_iter_next(struct block_iter *it);

#endif
