/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/versions.h"

#include <stdlib.h>

void versions_init(struct versions *v, struct slice key, uint64_t view)
{
	v->key = key;
	v->view = view;
	v->cover = 0;
	v->ended = v->deleted = false;
	v->n = v->nblocks = 0;
	v->cap = v->capblocks = VERSIONS_INLINE;
	v->recs = v->inline_recs;
	v->blocks = v->inline_blocks;
}

void versions_done(struct versions *v)
{
	for (size_t i = 0; i < v->nblocks; i++)
		block_unref(v->blocks[i]);
	if (v->recs != v->inline_recs)
		free(v->recs);
	if (v->blocks != v->inline_blocks)
		free(v->blocks);
}

/* Twice the room; the first `n` elements go along. NULL on ENOMEM. */
static void *grow(void *from, bool is_inline, size_t n, size_t size)
{
	if (!is_inline)
		return reallocarray(from, n * 2, size);
	void *p = reallocarray(NULL, n * 2, size);

	if (p)
		memcpy(p, from, n * size);
	return p;
}

void versions_cover(struct versions *v, uint64_t group)
{
	if (group <= v->view && group > v->cover)
		v->cover = group;
}

int versions_add(struct versions *v, uint64_t group, enum record_op op, struct slice value)
{
	if (v->ended || group > v->view)
		return 0;
	if (group < v->cover || op == RECORD_DELETE) {
		v->ended = v->deleted = true;
		return 0;
	}
	if (v->n && group >= v->recs[v->n - 1].group)
		return 0; /* merge.h: a record that two sources hold counts once */
	if (v->n == v->cap) {
		struct record *recs =
			grow(v->recs, v->recs == v->inline_recs, v->cap, sizeof(*recs));

		if (!recs)
			return -ENOMEM;
		v->recs = recs;
		v->cap *= 2;
	}
	v->recs[v->n++] = (struct record){v->key, group, op, value};
	v->ended = op == RECORD_PUT;
	return 0;
}

int versions_hold(struct versions *v, struct block *b)
{
	if (v->nblocks == v->capblocks) {
		struct block **blocks = grow(
			v->blocks, v->blocks == v->inline_blocks, v->capblocks, sizeof(*blocks));

		if (!blocks) {
			block_unref(b);
			return -ENOMEM;
		}
		v->blocks = blocks;
		v->capblocks *= 2;
	}
	v->blocks[v->nblocks++] = b;
	return 0;
}
