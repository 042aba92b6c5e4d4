/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_RESERVE_H
#define CORE_DATA_RESERVE_H
/* What a change of a file's bytes needs, allocated before locks are taken, and the steps that all
 * changes share. */
#include "core/data/data_internal.h"

#define RESERVE_NODES 6u    /* inline bytes, tail, and the change itself: two each at most */
#define WRITE_OVERHEAD 512u /* nodes and blocks of one write, bytes */

struct data_reserve {
	struct data *data;
	struct piece_pool pool;
	struct pending *map;
	struct dirty_block *block; /* the bytes of a write */
	struct dirty_block *taker; /* takes over inline bytes; no room of its own */
	uint8_t *inline_bytes;	   /* room for `inline_cap` */
	size_t inline_cap;
	uint64_t offset;
};

/* Nodes, a map, and room for inline bytes. NULL on ENOMEM. */
struct data_reserve *reserve_new(struct data *d, size_t inline_cap);
/*
 * Charges BUDGET_DIRTY; waits for it, and for the store where a stream is ahead of it. (0) 0,
 * -ECANCELED.
 */
int reserve_room(struct data *d, uint64_t charge);
/* The file's map of the group that an operation changes. (X) */
struct pending *reserve_map(
	struct file_data *f, struct group *g, uint64_t size, struct data_reserve *r);
/* Inline bytes move into the map of the group: the file has outgrown its inode. (X) */
void reserve_leave_inline(struct file_data *f, struct pending *map, struct data_reserve *r);
/* The block's bytes at `offset` of the reserve, in a file that stays inline. (X) */
void reserve_write_inline(struct file_data *f, struct group *g, struct data_reserve *r);

#endif
