/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_PENDING_H
#define CORE_DATA_PENDING_H
/*
 * What one group changed in one file: an interval map of pieces. A piece is bytes in memory, an
 * extent (bytes that are sealed), or a hole. Where no piece lies, older groups and stored records
 * count. Balanced trees: 100,000 small pieces in one map are ordinary.
 *
 * Guarded by the lock of the file. Changing a map never allocates: nodes come from a pool that was
 * filled before. Blocks of bytes are shared and immutable as far as they are filled; the one who
 * appends (under the file's exclusive lock) writes behind what anybody else can see.
 */
#include "core/base/budget.h"
#include "core/base/list.h"
#include "core/base/refcount.h"
#include "core/data/extents.h"

#define PIECE_FOREVER UINT64_MAX /* the end of a hole that has none */

/* Bytes of writes. Charged to BUDGET_DIRTY while it lives. */
struct dirty_block {
	struct refcount refs;
	struct budget *budget;
	uint64_t charge;
	size_t len, cap; /* filled, and room, in bytes */
	uint8_t *data;	 /* `room`, or memory taken over */
	uint8_t room[];
};
/* Not charged yet (charge 0). NULL on ENOMEM. */
struct dirty_block *dirty_block_new(struct budget *b, size_t cap);
struct dirty_block *dirty_block_ref(struct dirty_block *b);
void dirty_block_unref(struct dirty_block *b); /* gives back the charge; NULL is fine */

enum piece_kind { PIECE_BYTES, PIECE_EXTENT, PIECE_HOLE };

struct piece {
	struct piece *left, *right, *up; /* of the tree, or of the pool */
	uint32_t priority;
	enum piece_kind kind;
	uint64_t offset, end; /* in the file, not empty */
	union {
		struct {
			struct dirty_block *block;
			size_t start; /* of the first byte in the block */
		};
		struct extent extent; /* but for its offset and len, which are the piece's */
	};
};

/* Nodes that wait for use. */
struct piece_pool {
	struct piece *free;
	size_t n;
};
int piece_pool_fill(struct piece_pool *p, size_t n); /* until it has `n`; 0, -ENOMEM */
void piece_pool_done(struct piece_pool *p);

/* A set of pieces that do not overlap. All zero is empty. */
struct pieces {
	struct piece *root;
	size_t n, nbytes; /* pieces, and those of kind PIECE_BYTES */
	uint64_t random;
};
void pieces_done(struct pieces *t);
/* The piece that covers `offset`, or else the next one, or NULL. */
struct piece *pieces_find(const struct pieces *t, uint64_t offset);
struct piece *piece_next(const struct piece *p);
/* Takes away [offset, end). Needs at most 1 node of the pool, and gives back what becomes free. */
void pieces_clear(struct pieces *t, uint64_t offset, uint64_t end, struct piece_pool *pool);
/* Puts a copy of `what` (its own references are made; links are ignored) over whatever is there.
 * Needs at most 2 nodes. */
void pieces_put(struct pieces *t, const struct piece *what, struct piece_pool *pool);
/*
 * Appends `len` bytes at `offset` to the piece that ends there, if that is possible: its block has
 * room behind what is filled and nobody has appended to it since. Needs at most 1 node.
 */
bool pieces_grow(struct pieces *t, uint64_t offset, const uint8_t *bytes, size_t len,
	struct piece_pool *pool);
/* Asserts the invariants of the tree. For tests. */
void pieces_check(const struct pieces *t);

struct file_data;
struct group_data;

struct pending {
	/* immutable */
	struct file_data *file;
	struct group_data *group;
	uint64_t number;   /* of the group */
	uint64_t old_size; /* of the file before the group's first change: older groups have no
			      chunk from here on */
	/* guarded by the file's lock */
	struct pending *older;
	struct pieces pieces;
	/* Ranges that are charged even where no piece has bytes (data_allocate). */
	struct pieces reserved;
	int64_t booked;	 /* allocated bytes as its operations counted them */
	uint64_t charge; /* of BUDGET_DIRTY, for pieces that hold no bytes */
	bool reset;	 /* it covers everything: what older groups charged is gone */
	bool touched; /* by an operation, so that the inode is encoded with the group and the count
			 may change */
	/* committer only */
	int64_t total; /* change of allocated bytes by the extents, where not `reset` */
	/* guarded by the group's lock */
	struct list link;
};

#endif
