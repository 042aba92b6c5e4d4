/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: the table of all inodes. */
#include "core/vfs/check_internal.h"

#include <stdlib.h>

struct check_inode *check_inode_at(const struct check_inodes *t, size_t i)
{
	return &t->blocks[i / CHECK_BLOCK_INODES][i % CHECK_BLOCK_INODES];
}

static int add_block(struct check_inodes *t)
{
	if (t->nblocks == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct check_inode **more = reallocarray(t->blocks, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		t->blocks = more;
		t->cap = cap;
	}
	t->blocks[t->nblocks] = calloc(CHECK_BLOCK_INODES, sizeof(struct check_inode));
	if (!t->blocks[t->nblocks])
		return -ENOMEM;
	t->nblocks++;
	return 0;
}

int check_inode_add(struct check_inodes *t, const struct check_inode *i)
{
	if (t->n == t->nblocks * CHECK_BLOCK_INODES) {
		int r = add_block(t);

		if (r < 0)
			return r;
	}
	*check_inode_at(t, t->n++) = *i;
	return 0;
}

/* The first of [low, high) whose number is not below; first by blocks, so that little memory is
 * touched. */
static size_t lower_bound(
	const struct check_inodes *t, size_t low, size_t high, size_t step, uint64_t number)
{
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (check_inode_at(t, middle * step)->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct check_inode *check_find(const struct check *c, uint64_t number)
{
	const struct check_inodes *t = &c->inodes;
	size_t block = lower_bound(t, 0, t->nblocks, CHECK_BLOCK_INODES, number);
	size_t first = block ? (block - 1) * CHECK_BLOCK_INODES : 0;
	size_t end = block * CHECK_BLOCK_INODES + 1;
	size_t at = lower_bound(t, first, end < t->n ? end : t->n, 1, number);

	if (at == t->n || check_inode_at(t, at)->number != number)
		return NULL;
	return check_inode_at(t, at);
}

void check_inodes_done(struct check_inodes *t)
{
	for (size_t i = 0; i < t->nblocks; i++)
		free(t->blocks[i]);
	free(t->blocks);
	*t = (struct check_inodes){0};
}
