/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the bytes of a range come from: maps, newest first, then the chunk's extents. */
#include "core/data/chunk_cache.h"
#include "core/data/reader.h"

#include <assert.h>
#include <stdlib.h>

void plan_init(struct plan *p, uint64_t view)
{
	p->items = p->few;
	p->n = 0;
	p->cap = PLAN_INLINE;
	p->nmissing = 0;
	p->view = view;
}

void plan_done(struct plan *p)
{
	if (p->items != p->few)
		free(p->items);
	p->items = p->few;
}

static int add_item(
	struct plan *p, const struct extent *e, uint32_t skip, uint32_t len, uint8_t *out)
{
	if (p->n == p->cap) {
		size_t cap = 4 * p->cap;
		struct plan_item *items = malloc(cap * sizeof(*items));

		if (!items)
			return -ENOMEM;
		memcpy(items, p->items, p->n * sizeof(*items));
		plan_done(p);
		p->items = items;
		p->cap = cap;
	}
	p->items[p->n] = (struct plan_item){.out = out, .len = len, .e = *e};
	p->items[p->n++].e.skip = skip;
	return 0;
}

/* The part of the range that lies in one known chunk. */
static int fill_chunk(struct plan *p, const struct chunk *c, uint64_t base, uint64_t offset,
	uint64_t end, uint8_t *out)
{
	uint32_t at = (uint32_t)(offset - base), to = (uint32_t)(end - base);
	const struct extent *e = chunk_at(c, at);
	int r = 0;

	memset(out, 0, end - offset);
	for (; r == 0 && e && e < c->extents + c->n && e->offset < to; e++) {
		uint32_t from = e->offset > at ? e->offset : at;
		uint32_t upto = e->offset + e->len < to ? e->offset + e->len : to;

		if (e->form == EXTENT_FRAME)
			r = add_item(
				p, e, e->skip + (from - e->offset), upto - from, out + (from - at));
	}
	return r;
}

/* What no map covers. */
static int fill_stored(
	struct plan *p, const struct file_data *f, uint64_t offset, uint64_t end, uint8_t *out)
{
	int r = 0;

	while (r == 0 && offset < end) {
		uint64_t number = chunk_of(offset), base = number * CHUNK_BYTES;
		uint64_t to = end - base > CHUNK_BYTES ? base + CHUNK_BYTES : end;
		const struct chunk_entry *e = chunk_cache_find(f, p->view, number);

		if (e)
			r = fill_chunk(p, &e->chunk, base, offset, to, out);
		else if (p->nmissing < PLAN_MISSING_MAX &&
			 (p->nmissing == 0 || p->missing[p->nmissing - 1] != number))
			p->missing[p->nmissing++] = number;
		out += to - offset;
		offset = to;
	}
	return r;
}

static int fill_piece(
	struct plan *p, const struct piece *piece, uint64_t offset, uint64_t end, uint8_t *out)
{
	uint64_t skip = offset - piece->offset;

	switch (piece->kind) {
	case PIECE_BYTES:
		memcpy(out, piece->block->data + piece->start + skip, end - offset);
		return 0;
	case PIECE_EXTENT:
		return add_item(p, &piece->extent, piece->extent.skip + (uint32_t)skip,
			(uint32_t)(end - offset), out);
	case PIECE_HOLE:
		memset(out, 0, end - offset);
		return 0;
	}
	return 0;
}

int plan_fill(struct plan *p, struct file_data *f, const struct pending *top, uint64_t offset,
	uint64_t end, uint8_t *out)
{
	uint64_t at = offset;
	int r = 0;

	if (offset >= end)
		return 0;
	if (!top)
		return fill_stored(p, f, offset, end, out);
	const struct piece *piece = pieces_find(&top->pieces, offset);

	for (; r == 0 && piece && piece->offset < end; piece = piece_next(piece)) {
		uint64_t from = piece->offset > at ? piece->offset : at;
		uint64_t to = piece->end < end ? piece->end : end;

		r = plan_fill(p, f, top->older, at, from, out + (at - offset));
		if (r == 0)
			r = fill_piece(p, piece, from, to, out + (from - offset));
		at = to;
	}
	return r < 0 ? r : plan_fill(p, f, top->older, at, end, out + (at - offset));
}
