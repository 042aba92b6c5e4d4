/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_RANGE_SET_H
#define CORE_INDEX_RANGE_SET_H
/*
 * Range deletes of a memtable: a skip list by first key and descending group, in which every link
 * also knows how far the ranges below it reach and how new they are, so that "what covers this key"
 * skips what cannot. One writer at a time (the memtable's lock), readers without lock.
 *
 * I1  For the link of level i from x to y: far(x, i) is at least as far as the end, and newest(x,
 * i) at least as high as the group, of each range in [x, y). Both only rise, and rise before a
 * range below them is linked.
 */
#include "core/base/arena.h"
#include "core/index/record.h"

#include <stdatomic.h>

#define RANGE_HEIGHT 8

struct range_node {
	struct slice first, end; /* bytes in the arena */
	uint64_t group;
	struct range_node *group_next; /* owned by the memtable's group */
	uint8_t height;
	struct range_link {
		_Atomic(struct range_node *) next;
		_Atomic(const struct range_node *) far; /* whose end is the farthest */
		_Atomic uint64_t newest;
	} links[];
};

struct range_set {
	struct arena *arena; /* the writer's */
	uint64_t state;	     /* of the heights */
	struct range_node *head;
};

/* Bytes of the arena that a range may take at most, beside its keys. */
#define RANGE_OVERHEAD                                                                             \
	(sizeof(struct range_node) + RANGE_HEIGHT * sizeof(struct range_link) + ARENA_ALIGN)

int range_set_init(struct range_set *s, struct arena *arena); /* 0, -ENOMEM */
/* Only under the writer's lock and within its reservation. NULL: a range of the same group and
 * first key covers this one. */
struct range_node *range_set_add(
	struct range_set *s, struct slice first, struct slice end, uint64_t group);
/* The newest group above `floor` and not above `view` of a range that covers `key`; 0 = none. */
uint64_t range_set_cover(
	const struct range_set *s, struct slice key, uint64_t floor, uint64_t view);
/* The first range that begins at `key` or behind it. */
struct range_node *range_set_find(const struct range_set *s, struct slice key);
/* All ranges that begin before `key` and cover it, in no particular order: an allocated array. 0,
 * -ENOMEM. */
int range_set_covering(
	const struct range_set *s, struct slice key, const struct range_node ***ret, size_t *ret_n);

static inline struct range_node *range_next(const struct range_node *n)
{
	return atomic_load_explicit(&n->links[0].next, memory_order_acquire);
}
static inline bool range_set_empty(const struct range_set *s)
{
	return range_next(s->head) == NULL;
}

#endif
