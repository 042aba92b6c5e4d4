/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The algebra of extents. An array: 128 extents are the rule, so moving the tail of it costs less
 * than a tree would.
 *
 * E1  extents are sorted by offset, do not overlap, are not empty and end at CHUNK_BYTES at the
 * latest. E2  neighbours that say the same thing (zeros, or the next bytes of the same frame) are
 * one extent.
 */
#include "core/data/extents.h"

#include "core/base/error.h"

#include <assert.h>
#include <stdlib.h>

void chunk_done(struct chunk *c)
{
	if (!c)
		return;
	free(c->extents);
	*c = (struct chunk){0};
}

int chunk_reserve(struct chunk *c, size_t more)
{
	size_t need = c->n + 2 * more, cap = c->cap ? c->cap : 4;

	if (need <= c->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	struct extent *grown = realloc(c->extents, cap * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	c->extents = grown;
	c->cap = cap;
	return 0;
}

int chunk_copy(const struct chunk *from, struct chunk *to)
{
	assert(to->n == 0);
	int r = chunk_reserve(to, (from->n + 1) / 2);

	if (r < 0)
		return r;
	if (from->n)
		memcpy(to->extents, from->extents, from->n * sizeof(*from->extents));
	to->n = from->n;
	return 0;
}

static uint32_t extent_end(const struct extent *e)
{
	return e->offset + e->len;
}

/* The first extent that ends behind `offset`. */
static size_t chunk_find(const struct chunk *c, uint32_t offset)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (extent_end(&c->extents[middle]) <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct extent *chunk_at(const struct chunk *c, uint32_t offset)
{
	size_t i = chunk_find(c, offset);

	return i < c->n ? &c->extents[i] : NULL;
}

/* Takes `n` bytes off the front. */
static void extent_cut_front(struct extent *e, uint32_t n)
{
	assert(n < e->len);
	e->offset += n;
	e->len -= n;
	if (e->form == EXTENT_FRAME)
		e->skip += n;
}

static bool extent_continues(const struct extent *a, const struct extent *b)
{
	if (extent_end(a) != b->offset || a->form != b->form)
		return false;
	if (a->form != EXTENT_FRAME)
		return true;
	return a->epoch == b->epoch && a->sequence == b->sequence && a->ordinal == b->ordinal &&
	       a->skip + a->len == b->skip;
}

/* Makes room at [at, at + new) where `old` extents were. */
static void chunk_shift(struct chunk *c, size_t at, size_t old, size_t new)
{
	assert(c->n - old + new <= c->cap);
	memmove(c->extents + at + new, c->extents + at + old,
		(c->n - at - old) * sizeof(*c->extents));
	c->n = c->n - old + new;
}

static void chunk_join(struct chunk *c, size_t i)
{
	if (i + 1 >= c->n || !extent_continues(&c->extents[i], &c->extents[i + 1]))
		return;
	c->extents[i].len += c->extents[i + 1].len;
	chunk_shift(c, i + 1, 1, 0);
}

int chunk_put(struct chunk *c, const struct extent *e)
{
	struct extent e_copy = *e, parts[3]; /* `e` may lie in `c` */
	uint32_t end = extent_end(&e_copy);
	size_t nparts = 0, at;

	assert(e_copy.len >= 1 && e_copy.offset < CHUNK_BYTES &&
		e_copy.len <= CHUNK_BYTES - e_copy.offset);
	int r = chunk_reserve(c, 1);

	if (r < 0)
		return r;
	size_t first = chunk_find(c, e_copy.offset), last = first;

	while (last < c->n && c->extents[last].offset < end)
		last++;
	if (first < last && c->extents[first].offset < e_copy.offset) {
		parts[nparts] = c->extents[first];
		parts[nparts].len = e_copy.offset - parts[nparts].offset;
		nparts++;
	}
	at = first + nparts;
	parts[nparts++] = e_copy;
	if (first < last && extent_end(&c->extents[last - 1]) > end) {
		parts[nparts] = c->extents[last - 1];
		extent_cut_front(&parts[nparts], end - parts[nparts].offset);
		nparts++;
	}
	chunk_shift(c, first, last - first, nparts);
	memcpy(c->extents + first, parts, nparts * sizeof(*parts));
	chunk_join(c, at);
	if (at > 0)
		chunk_join(c, at - 1);
	return 0;
}

int chunk_apply(struct chunk *c, const struct chunk *delta)
{
	for (size_t i = 0; i < delta->n; i++) {
		int r = chunk_put(c, &delta->extents[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

uint64_t chunk_allocated(const struct chunk *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->extents[i].form != EXTENT_HOLE)
			sum += c->extents[i].len;
	return sum;
}

int chunk_references(const struct chunk *c, int sign, struct segment_refs *refs)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct extent *e = &c->extents[i];

		if (e->form != EXTENT_FRAME)
			continue;
		int r = segment_refs_add(refs, e->epoch, e->sequence, sign * (int64_t)e->len);

		if (r < 0)
			return r;
	}
	return 0;
}
