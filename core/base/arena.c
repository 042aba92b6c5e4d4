/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bump allocator.
 *
 * R1  a piece is at most half a chunk, so when it does not fit, less than half of the chunk is
 * wasted: n spare chunks always have room for n half chunks, in whatever pieces they are asked for.
 */
#include "core/base/arena.h"

#include "core/base/checked.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct arena_chunk {
	struct arena_chunk *next;
	uint8_t data[] __attribute__((aligned(16)));
};

static struct arena_chunk *chunk_new(struct arena *a, size_t bytes)
{
	size_t size;

	if (!checked_add_size(sizeof(struct arena_chunk), bytes, &size))
		return NULL;
	struct arena_chunk *c = malloc(size);

	if (!c)
		return NULL;
	a->held += size;
	return c;
}

/* Begins to fill a spare or a new chunk. */
static int next_chunk(struct arena *a)
{
	struct arena_chunk *c = a->spare;

	if (c)
		a->spare = c->next;
	else
		c = chunk_new(a, ARENA_CHUNK_BYTES);
	if (!c)
		return -ENOMEM;
	c->next = a->chunks;
	a->chunks = c;
	a->at = c->data;
	a->end = c->data + ARENA_CHUNK_BYTES;
	return 0;
}

static size_t room(const struct arena *a)
{
	return a->chunks ? (size_t)(a->end - a->at) : 0;
}

void *arena_alloc(struct arena *a, size_t len)
{
	assert(len <= ARENA_ALLOC_MAX);
	size_t cost = arena_cost(len);

	if ((!a->chunks || cost > room(a)) && next_chunk(a) < 0)
		return NULL;
	void *p = a->at;

	a->at += cost;
	a->used += cost;
	return p;
}

void *arena_alloc_large(struct arena *a, size_t len)
{
	struct arena_chunk *c = chunk_new(a, len);

	if (!c)
		return NULL;
	c->next = a->large;
	a->large = c;
	a->used += arena_cost(len);
	return c->data;
}

int arena_reserve(struct arena *a, size_t bytes)
{
	if (bytes <= room(a))
		return 0;
	/* R1; what is left of the current chunk may be wasted by the first piece. */
	size_t half = ARENA_CHUNK_BYTES / 2, need = bytes / half + (bytes % half != 0);
	struct arena_chunk **end = &a->spare;

	for (; *end && need; end = &(*end)->next)
		need--;
	for (; need; need--) {
		struct arena_chunk *c = chunk_new(a, ARENA_CHUNK_BYTES);

		if (!c)
			return -ENOMEM;
		c->next = a->spare;
		a->spare = c;
	}
	return 0;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

size_t arena_held(const struct arena *a)
{
	return a->held;
}

static void free_chunks(struct arena_chunk *c)
{
	while (c) {
		struct arena_chunk *next = c->next;

		free(c);
		c = next;
	}
}

void arena_done(struct arena *a)
{
	free_chunks(a->chunks);
	free_chunks(a->spare);
	free_chunks(a->large);
	*a = (struct arena)ARENA_INIT;
}
