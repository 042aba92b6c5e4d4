/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_COVER_H
#define CORE_INDEX_COVER_H
/*
 * Which range deletes are in force while keys go by in rising order. Only the newest counts at each
 * key, so one that ends no later and is no newer than another is forgotten: ends rise and groups
 * fall along the array, and the first element is the answer. Range deletes are added when the walk
 * has reached their first key. Not thread-safe.
 */
#include "core/index/record.h"

struct cover {
	size_t head, n, cap; /* elements [head, n) are in force */
	struct cover_range {
		uint8_t *end; /* first key not covered; owned */
		size_t end_len;
		uint64_t group;
	} * ranges;
};

/* In force until `end`, which is copied. 0, -ENOMEM. */
int cover_add(struct cover *c, struct slice end, uint64_t group);
/* The walk is at `key`: forgets what ends there or before. */
void cover_advance(struct cover *c, struct slice key);
void cover_done(struct cover *c);

/* Group of the newest one in force, 0 = none. */
static inline uint64_t cover_group(const struct cover *c)
{
	return c->head < c->n ? c->ranges[c->head].group : 0;
}
/* Where that changes next; only when there is one. */
static inline struct slice cover_end(const struct cover *c)
{
	return SLICE(c->ranges[c->head].end, c->ranges[c->head].end_len);
}

/* Runs of groups that the same views see: the number of pins below `group`. `pins` rises. */
size_t stripe_of(uint64_t group, const uint64_t *pins, size_t npins);

#endif
