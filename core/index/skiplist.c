/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/skiplist.h"

#include <assert.h>

static_assert(
	sizeof(struct skip_node) == offsetof(struct skip_node, next), "the links end the struct");

static struct skip_node *node_new(struct skiplist *l, unsigned height, size_t key_len)
{
	struct skip_node *n =
		arena_alloc(l->arena, sizeof(*n) + height * sizeof(n->next[0]) + key_len);

	if (!n)
		return NULL;
	n->group = 0;
	n->group_next = NULL;
	n->key_len = (uint16_t)key_len;
	n->height = (uint8_t)height;
	atomic_init(&n->value, NULL);
	for (unsigned i = 0; i < height; i++)
		atomic_init(&n->next[i], NULL);
	return n;
}

int skiplist_init(struct skiplist *l, struct arena *arena)
{
	l->arena = arena;
	l->state = 0x2545f4914f6cdd1d;
	l->head = node_new(l, SKIP_HEIGHT, 0);
	return l->head ? 0 : -ENOMEM;
}

const struct skip_value *skip_value_dead(void)
{
	static const struct skip_value dead = {.op = RECORD_DELETE, .dead = true};

	return &dead;
}

const struct skip_value *skip_value_new(struct skiplist *l, enum record_op op, struct slice value)
{
	struct skip_value *v;
	uint8_t *data;

	/* The arena's largest piece has just room for the largest value. */
	if (sizeof(*v) + value.len <= ARENA_ALLOC_MAX) {
		v = arena_alloc(l->arena, sizeof(*v) + value.len);
		data = (uint8_t *)(v + 1);
	} else {
		v = arena_alloc(l->arena, sizeof(*v));
		data = arena_alloc(l->arena, value.len);
	}
	assert(v && data);
	*v = (struct skip_value){.len = (uint32_t)value.len, .op = (uint8_t)op, .data = data};
	if (value.len)
		memcpy(data, value.data, value.len);
	return v;
}

static bool is_before(const struct skip_node *n, struct slice key, uint64_t group)
{
	int r = slice_cmp(skip_key(n), key);

	return r < 0 || (r == 0 && n->group > group);
}

static struct skip_node *next_at(const struct skip_node *n, unsigned level)
{
	return atomic_load_explicit(&n->next[level], memory_order_acquire);
}

/* The first node not before; with `prev`, on each level the last node before. */
static struct skip_node *walk(
	const struct skiplist *l, struct slice key, uint64_t group, struct skip_node **prev)
{
	struct skip_node *at = l->head, *next = NULL, *refused = NULL;

	for (unsigned level = SKIP_HEIGHT; level-- > 0;) {
		/* A node that stopped the walk one level up stops it here too. */
		while ((next = next_at(at, level)) && next != refused &&
			is_before(next, key, group))
			at = next;
		refused = next;
		if (prev)
			prev[level] = at;
	}
	return next;
}

struct skip_node *skip_find(const struct skiplist *l, struct slice key, uint64_t group)
{
	return walk(l, key, group, NULL);
}

struct skip_node *skip_get(const struct skiplist *l, struct slice key, uint64_t group)
{
	struct skip_node *n = walk(l, key, group, NULL);

	return n && n->group == group && slice_eq(skip_key(n), key) ? n : NULL;
}

/* One more level with a chance of one in four. */
static unsigned random_height(struct skiplist *l)
{
	unsigned height = 1;

	l->state ^= l->state << 13;
	l->state ^= l->state >> 7;
	l->state ^= l->state << 17;
	for (uint64_t bits = l->state >> 32; height < SKIP_HEIGHT && (bits & 3) == 0; bits >>= 2)
		height++;
	return height;
}

struct skip_node *skip_insert(
	struct skiplist *l, struct slice key, uint64_t group, const struct skip_value *value)
{
	struct skip_node *prev[SKIP_HEIGHT];
	struct skip_node *n = node_new(l, random_height(l), key.len);

	assert(n);
	(void)walk(l, key, group, prev);
	n->group = group;
	memcpy(&n->next[n->height], key.data, key.len);
	atomic_init(&n->value, value);
	for (unsigned i = 0; i < n->height; i++) {
		atomic_init(&n->next[i], next_at(prev[i], i));
		atomic_store_explicit(&prev[i]->next[i], n, memory_order_release);
	}
	return n;
}
