/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_SKIPLIST_H
#define CORE_INDEX_SKIPLIST_H
/*
 * Point records of a memtable, by user key and descending group. One writer at a time (the
 * memtable's lock), readers without lock: a node is complete before a release store links it, nodes
 * are never removed, and a value is replaced by exchanging one pointer.
 */
#include "core/base/arena.h"
#include "core/index/record.h"

#include <stdatomic.h>

#define SKIP_HEIGHT 12

struct skip_value {
	uint32_t len;
	uint8_t op; /* enum record_op */
	bool dead;  /* removed by a range delete of its own group: reads as a delete, is stored
		       nowhere */
	const uint8_t *data;
};

struct skip_node {
	uint64_t group;
	_Atomic(const struct skip_value *) value;
	struct skip_node *group_next; /* owned by the memtable's group */
	uint16_t key_len;
	uint8_t height;
	_Atomic(struct skip_node *) next[]; /* `height` of them, then the key */
};

struct skiplist {
	struct arena *arena; /* the writer's */
	uint64_t state;	     /* of the heights */
	struct skip_node *head;
};

/* Bytes of the arena that a record may take at most, beside key and value. */
#define SKIP_OVERHEAD                                                                              \
	(sizeof(struct skip_node) + SKIP_HEIGHT * sizeof(void *) + sizeof(struct skip_value) +     \
		3 * ARENA_ALIGN)

/* 0, -ENOMEM. The list lives as long as the arena. */
int skiplist_init(struct skiplist *l, struct arena *arena);
/* A value in the arena. The reservation of the caller covers it. */
const struct skip_value *skip_value_new(struct skiplist *l, enum record_op op, struct slice value);
/* What takes the place of a value that a range delete of its group removed. */
const struct skip_value *skip_value_dead(void);

/* The first node that is not before (key, group). */
struct skip_node *skip_find(const struct skiplist *l, struct slice key, uint64_t group);
/* Only under the writer's lock: the node of exactly this key and group, or NULL. */
struct skip_node *skip_get(const struct skiplist *l, struct slice key, uint64_t group);
/* Only under the writer's lock; there is no such node yet. */
struct skip_node *skip_insert(
	struct skiplist *l, struct slice key, uint64_t group, const struct skip_value *value);

static inline struct slice skip_key(const struct skip_node *n)
{
	const uint8_t *end = (const uint8_t *)n + sizeof(*n) + n->height * sizeof(n->next[0]);

	return SLICE(end, n->key_len);
}
static inline struct skip_node *skip_next(const struct skip_node *n)
{
	return atomic_load_explicit(&n->next[0], memory_order_acquire);
}
static inline struct skip_node *skip_first(const struct skiplist *l)
{
	return skip_next(l->head);
}
static inline const struct skip_value *skip_value(const struct skip_node *n)
{
	return atomic_load_explicit(&n->value, memory_order_acquire);
}
static inline void skip_set_value(struct skip_node *n, const struct skip_value *v)
{
	atomic_store_explicit(&n->value, v, memory_order_release);
}

#endif
