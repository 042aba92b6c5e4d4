/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pieces in a treap: a binary tree by offset that is a heap by random priority.
 *
 * P1  pieces do not overlap and are not empty. P2  a parent's priority is at least its children's.
 * P3  neighbours that continue each other are one piece: stretches of a hole, and bytes that lie
 * behind each other in one block.
 */
#include "core/data/pending.h"

#include "core/base/error.h"

#include <assert.h>
#include <stdlib.h>

/* ---- blocks ---- */

struct dirty_block *dirty_block_new(struct budget *budget, size_t cap)
{
	struct dirty_block *b = malloc(sizeof(*b) + cap);

	if (!b)
		return NULL;
	*b = (struct dirty_block){.budget = budget, .cap = cap, .data = b->room};
	refcount_init(&b->refs);
	return b;
}

struct dirty_block *dirty_block_ref(struct dirty_block *b)
{
	refcount_ref(&b->refs);
	return b;
}

void dirty_block_unref(struct dirty_block *b)
{
	if (!b || !refcount_unref(&b->refs))
		return;
	if (b->charge)
		budget_put(b->budget, BUDGET_DIRTY, b->charge);
	if (b->data != b->room)
		free(b->data);
	free(b);
}

/* ---- nodes ---- */

int piece_pool_fill(struct piece_pool *pool, size_t n)
{
	while (pool->n < n) {
		struct piece *p = malloc(sizeof(*p));

		if (!p)
			return -ENOMEM;
		p->up = pool->free;
		pool->free = p;
		pool->n++;
	}
	return 0;
}

void piece_pool_done(struct piece_pool *pool)
{
	while (pool->free) {
		struct piece *p = pool->free;

		pool->free = p->up;
		free(p);
	}
	pool->n = 0;
}

static struct piece *pool_take(struct piece_pool *pool)
{
	struct piece *p = pool->free;

	assert(p); /* callers fill the pool by the counts in pending.h */
	pool->free = p->up;
	pool->n--;
	return p;
}

static void pool_give(struct piece_pool *pool, struct piece *p)
{
	if (p->kind == PIECE_BYTES)
		dirty_block_unref(p->block);
	p->up = pool->free;
	pool->free = p;
	pool->n++;
}

/* ---- the tree ---- */

static uint32_t next_priority(struct pieces *t)
{
	uint64_t z = t->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(z >> 32);
}

static struct piece **link_of(struct pieces *t, struct piece *p)
{
	if (!p->up)
		return &t->root;
	return p->up->left == p ? &p->up->left : &p->up->right;
}

/* Puts the child `c` of `p` into the place of `p`, and `p` below it. */
static void rotate_up(struct pieces *t, struct piece *c)
{
	struct piece *p = c->up, *moved;

	*link_of(t, p) = c;
	c->up = p->up;
	if (p->left == c) {
		moved = c->right;
		p->left = moved;
		c->right = p;
	} else {
		moved = c->left;
		p->right = moved;
		c->left = p;
	}
	if (moved)
		moved->up = p;
	p->up = c;
}

static void count(struct pieces *t, const struct piece *p, int by)
{
	t->n += (size_t)by;
	if (p->kind == PIECE_BYTES)
		t->nbytes += (size_t)by;
}

static void tree_insert(struct pieces *t, struct piece *p)
{
	struct piece **at = &t->root, *up = NULL;

	while (*at) {
		up = *at;
		at = p->offset < up->offset ? &up->left : &up->right;
	}
	p->left = p->right = NULL;
	p->up = up;
	p->priority = next_priority(t);
	*at = p;
	while (p->up && p->up->priority < p->priority)
		rotate_up(t, p);
	count(t, p, 1);
}

static void tree_remove(struct pieces *t, struct piece *p)
{
	while (p->left || p->right) {
		if (!p->right || (p->left && p->left->priority > p->right->priority))
			rotate_up(t, p->left);
		else
			rotate_up(t, p->right);
	}
	*link_of(t, p) = NULL;
	count(t, p, -1);
}

struct piece *pieces_find(const struct pieces *t, uint64_t offset)
{
	struct piece *p = t->root, *found = NULL;

	while (p) {
		if (p->end > offset) {
			found = p;
			p = p->left;
		} else {
			p = p->right;
		}
	}
	return found;
}

struct piece *piece_next(const struct piece *p)
{
	if (p->right) {
		p = p->right;
		while (p->left)
			p = p->left;
		return (struct piece *)(uintptr_t)p;
	}
	while (p->up && p->up->right == p)
		p = p->up;
	return p->up;
}

void pieces_done(struct pieces *t)
{
	struct piece *p = t->root;

	while (p) {
		struct piece *up = p->up;

		if (p->left) {
			p = p->left;
			continue;
		}
		if (p->right) {
			p = p->right;
			continue;
		}
		*link_of(t, p) = NULL;
		if (p->kind == PIECE_BYTES)
			dirty_block_unref(p->block);
		free(p);
		p = up;
	}
	*t = (struct pieces){0};
}

/* ---- intervals ---- */

static void piece_cut_front(struct piece *p, uint64_t offset)
{
	uint64_t n = offset - p->offset;

	assert(offset > p->offset && offset < p->end);
	if (p->kind == PIECE_BYTES)
		p->start += n;
	else if (p->kind == PIECE_EXTENT)
		p->extent.skip += (uint32_t)n;
	p->offset = offset;
}

static bool piece_continues(const struct piece *a, const struct piece *b)
{
	if (a->end != b->offset || a->kind != b->kind)
		return false;
	switch (a->kind) {
	case PIECE_BYTES:
		return a->block == b->block && a->start + (a->end - a->offset) == b->start;
	case PIECE_EXTENT:
		return a->extent.epoch == b->extent.epoch &&
		       a->extent.sequence == b->extent.sequence &&
		       a->extent.ordinal == b->extent.ordinal &&
		       a->extent.skip + (a->end - a->offset) == b->extent.skip;
	case PIECE_HOLE:
		return true;
	}
	return false;
}

static struct piece *insert_copy(
	struct pieces *t, const struct piece *what, struct piece_pool *pool)
{
	struct piece *p = pool_take(pool);

	*p = *what;
	if (p->kind == PIECE_BYTES)
		dirty_block_ref(p->block);
	tree_insert(t, p);
	return p;
}

void pieces_clear(struct pieces *t, uint64_t offset, uint64_t end, struct piece_pool *pool)
{
	struct piece *p = pieces_find(t, offset);

	assert(offset < end);
	if (p && p->offset < offset) {
		struct piece rest = *p, *next;

		p->end = offset;
		if (rest.end > end) {
			piece_cut_front(&rest, end);
			(void)insert_copy(t, &rest, pool);
			return;
		}
		next = piece_next(p);
		p = next;
	}
	while (p && p->end <= end) {
		struct piece *next = piece_next(p);

		tree_remove(t, p);
		pool_give(pool, p);
		p = next;
	}
	if (p && p->offset < end)
		piece_cut_front(p, end); /* stays in order: nothing lies before it any more */
}

/* Joins `p` and the piece behind it where they are one. */
static void join(struct pieces *t, struct piece *p, struct piece_pool *pool)
{
	struct piece *next = p ? piece_next(p) : NULL;

	if (!next || !piece_continues(p, next))
		return;
	p->end = next->end;
	tree_remove(t, next);
	pool_give(pool, next);
}

void pieces_put(struct pieces *t, const struct piece *what, struct piece_pool *pool)
{
	pieces_clear(t, what->offset, what->end, pool);
	struct piece *p = insert_copy(t, what, pool);

	join(t, p, pool);
	if (p->offset > 0) {
		struct piece *before = pieces_find(t, p->offset - 1);

		if (before != p)
			join(t, before, pool);
	}
}

bool pieces_grow(struct pieces *t, uint64_t offset, const uint8_t *bytes, size_t len,
	struct piece_pool *pool)
{
	struct piece *p = offset ? pieces_find(t, offset - 1) : NULL;

	if (!p || p->offset >= offset || p->end > offset || p->kind != PIECE_BYTES)
		return false;
	struct dirty_block *b = p->block;

	if (p->start + (p->end - p->offset) != b->len || len > b->cap - b->len)
		return false;
	pieces_clear(t, offset, offset + len, pool);
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
	p->end += len;
	return true;
}

void pieces_check(const struct pieces *t)
{
	size_t n = 0, nbytes = 0;
	const struct piece *before = NULL;

	for (const struct piece *p = pieces_find(t, 0); p; before = p, p = piece_next(p)) {
		assert(p->offset < p->end);
		assert(!before || before->end <= p->offset);
		assert(!p->up || p->up->priority >= p->priority);
		assert(!p->left || p->left->up == p);
		assert(!p->right || p->right->up == p);
		n++;
		nbytes += p->kind == PIECE_BYTES;
	}
	assert(n == t->n && nbytes == t->nbytes);
}
