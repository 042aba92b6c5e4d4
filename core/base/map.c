/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Linear probing. A removal moves later members of the run back, so there are no tombstones.
 *
 * H1  cap is 0 or a power of two, and count <= 3/4 cap, so every probe ends at an empty slot.
 * H2  between the home of a key and its slot there is no empty slot.
 */
#include "core/base/map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define CAP_MIN 16

/* Numbers of inodes and segments come in runs: every bit of the key has to reach the low bits. */
static size_t home_of(const struct map *m, uint64_t key)
{
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15ull;
	key ^= key >> 29;
	key *= 0xd1b54a32d192ed03ull;
	key ^= key >> 32;
	return (size_t)key & (m->cap - 1);
}

/* The slot of the key, or the empty one where it would go. */
static size_t probe(const struct map *m, uint64_t key)
{
	size_t i = home_of(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static int resize(struct map *m, size_t cap)
{
	struct map to = {.slots = calloc(cap, sizeof(to.slots[0])), .cap = cap, .count = m->count};

	if (!to.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].value)
			to.slots[probe(&to, m->slots[i].key)] = m->slots[i];
	free(m->slots);
	*m = to;
	return 0;
}

int map_reserve(struct map *m, size_t more)
{
	size_t cap = m->cap ? m->cap : CAP_MIN;

	if (more > SIZE_MAX / 64 - m->count)
		return -ENOMEM;
	while (cap / 4 * 3 < m->count + more)
		cap *= 2;
	return cap == m->cap ? 0 : resize(m, cap);
}

int map_insert(struct map *m, uint64_t key, void *value)
{
	assert(value);
	if (map_find(m, key))
		return -EEXIST;
	int r = map_reserve(m, 1);

	if (r < 0)
		return r;
	m->slots[probe(m, key)] = (struct map_slot){.key = key, .value = value};
	m->count++;
	return 0;
}

void *map_find(const struct map *m, uint64_t key)
{
	return m->cap ? m->slots[probe(m, key)].value : NULL;
}

/* Keeps H2: whoever behind the hole cannot be reached past it any more moves into it. */
static void close_hole(struct map *m, size_t hole)
{
	size_t mask = m->cap - 1;

	for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
		size_t home = home_of(m, m->slots[i].key);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole] = (struct map_slot){0};
}

void *map_remove(struct map *m, uint64_t key)
{
	if (!m->cap)
		return NULL;
	size_t i = probe(m, key);
	void *value = m->slots[i].value;

	if (!value)
		return NULL;
	close_hole(m, i);
	m->count--;
	if (m->cap > CAP_MIN && m->count < m->cap / 8)
		(void)resize(m, m->cap / 2); /* without memory it stays as large as it is */
	return value;
}

bool map_next(const struct map *m, size_t *cursor, uint64_t *ret_key, void **ret_value)
{
	for (; *cursor < m->cap; ++*cursor) {
		const struct map_slot *s = &m->slots[*cursor];

		if (!s->value)
			continue;
		if (ret_key)
			*ret_key = s->key;
		if (ret_value)
			*ret_value = s->value;
		++*cursor;
		return true;
	}
	return false;
}

void map_done(struct map *m)
{
	free(m->slots);
	*m = (struct map)MAP_INIT;
}
