/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_MAP_H
#define CORE_BASE_MAP_H
/*
 * A hash map from 64-bit numbers to pointers: open addressing, 16 bytes a slot, at most 3/4 full,
 * shrinks when it is sparse. Does not own what it points to. Not thread-safe.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t key;
	void *value; /* NULL = empty */
};

struct map {
	struct map_slot *slots; /* `cap` of them, a power of two, or NULL */
	size_t cap, count;
};

#define MAP_INIT                                                                                   \
	{                                                                                          \
		0                                                                                  \
	}

/* Any key; `value` not NULL. 0, -EEXIST (the old value stays), or -ENOMEM. */
int map_insert(struct map *m, uint64_t key, void *value);
/* Room for `more` keys: so many map_insert in a row cannot fail, unless map_remove comes between. 0
 * or -ENOMEM. */
int map_reserve(struct map *m, size_t more);
/* NULL when absent. */
void *map_find(const struct map *m, uint64_t key);
/* Returns what was there, NULL when absent. */
void *map_remove(struct map *m, uint64_t key);
/*
 * Walks all entries in no particular order: begin with *cursor = 0, until it returns false. The map
 * must not change meanwhile. `ret_key` and `ret_value` may be NULL.
 */
bool map_next(const struct map *m, size_t *cursor, uint64_t *ret_key, void **ret_value);
/* Frees the memory; the map is empty then and may be used again. */
void map_done(struct map *m);

#endif
