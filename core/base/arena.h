/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H
/*
 * Memory that is given out piece by piece and freed as a whole. Pieces are aligned to 8 bytes and
 * never move. Not thread-safe: the owner locks (pieces may be read without the lock while the arena
 * lives).
 */
#include <stddef.h>
#include <stdint.h>

#define ARENA_CHUNK_BYTES (256u << 10)
#define ARENA_ALLOC_MAX (ARENA_CHUNK_BYTES / 2) /* bytes, for arena_alloc */
#define ARENA_ALIGN 8u

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* the one that is being filled first */
	struct arena_chunk *spare;  /* reserved, empty */
	struct arena_chunk *large;
	uint8_t *at, *end; /* free part of the first chunk */
	size_t used, held;
};

#define ARENA_INIT                                                                                 \
	{                                                                                          \
		0                                                                                  \
	}

/* What a piece of `len` bytes costs: the unit in which arena_reserve counts. */
static inline size_t arena_cost(size_t len)
{
	return (len + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

/* `len` up to ARENA_ALLOC_MAX; 0 gives a pointer to nothing. Uninitialised. NULL on ENOMEM. */
void *arena_alloc(struct arena *a, size_t len);
/* Any length, in a block of its own; never covered by a reservation. NULL on ENOMEM. */
void *arena_alloc_large(struct arena *a, size_t len);
/*
 * After 0, arena_alloc calls that cost `bytes` together cannot fail. Reservations do not add up:
 * who has several operations under way asks for their sum. -ENOMEM otherwise, and nothing that was
 * reserved before is lost.
 */
int arena_reserve(struct arena *a, size_t bytes);
/* Sum of the costs given out. */
size_t arena_used(const struct arena *a);
/* Memory taken from the system, spare chunks included: what a budget should count. */
size_t arena_held(const struct arena *a);
/* Frees everything; the arena is empty then and may be used again. */
void arena_done(struct arena *a);

#endif
