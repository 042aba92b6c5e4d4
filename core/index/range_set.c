/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/range_set.h"

#include <assert.h>
#include <stdlib.h>

static struct range_node *node_new(struct range_set *s, unsigned height, size_t key_bytes)
{
	struct range_node *n =
		arena_alloc(s->arena, sizeof(*n) + height * sizeof(n->links[0]) + key_bytes);

	if (!n)
		return NULL;
	*n = (struct range_node){.height = (uint8_t)height};
	for (unsigned i = 0; i < height; i++) {
		atomic_init(&n->links[i].next, NULL);
		atomic_init(&n->links[i].far, NULL);
		atomic_init(&n->links[i].newest, 0);
	}
	return n;
}

int range_set_init(struct range_set *s, struct arena *arena)
{
	s->arena = arena;
	s->state = 0x9fb21c651e98df25;
	s->head = node_new(s, RANGE_HEIGHT, 0);
	return s->head ? 0 : -ENOMEM;
}

static struct range_node *next_at(const struct range_node *n, unsigned level)
{
	return atomic_load_explicit(&n->links[level].next, memory_order_acquire);
}

static const struct range_node *far_at(const struct range_node *n, unsigned level)
{
	return atomic_load_explicit(&n->links[level].far, memory_order_acquire);
}

static bool is_before(const struct range_node *n, struct slice first, uint64_t group)
{
	int r = slice_cmp(n->first, first);

	return r < 0 || (r == 0 && n->group > group);
}

static struct range_node *walk(
	const struct range_set *s, struct slice first, uint64_t group, struct range_node **prev)
{
	struct range_node *at = s->head, *next = NULL;

	for (unsigned level = RANGE_HEIGHT; level-- > 0;) {
		while ((next = next_at(at, level)) && is_before(next, first, group))
			at = next;
		if (prev)
			prev[level] = at;
	}
	return next;
}

struct range_node *range_set_find(const struct range_set *s, struct slice key)
{
	return walk(s, key, UINT64_MAX, NULL);
}

/* I1 for one link that is to have `n` below it. */
static void raise_link(struct range_link *l, const struct range_node *n)
{
	const struct range_node *far = atomic_load_explicit(&l->far, memory_order_relaxed);

	if (!far || slice_cmp(far->end, n->end) < 0)
		atomic_store_explicit(&l->far, n, memory_order_release);
	if (atomic_load_explicit(&l->newest, memory_order_relaxed) < n->group)
		atomic_store_explicit(&l->newest, n->group, memory_order_release);
}

/* I1 for the links that begin at the new node: exact, from what lies between it and the next node
 * of that level. */
static void init_links(struct range_node *n)
{
	for (unsigned i = 0; i < n->height; i++) {
		struct range_link *l = &n->links[i];
		const struct range_node *stop = next_at(n, i);

		raise_link(l, n);
		if (i == 0)
			continue;
		for (const struct range_node *x = n; x != stop; x = next_at(x, i - 1)) {
			uint64_t newest =
				atomic_load_explicit(&x->links[i - 1].newest, memory_order_relaxed);

			raise_link(l, far_at(x, i - 1));
			if (atomic_load_explicit(&l->newest, memory_order_relaxed) < newest)
				atomic_store_explicit(&l->newest, newest, memory_order_relaxed);
		}
	}
}

static unsigned random_height(struct range_set *s)
{
	unsigned height = 1;

	s->state ^= s->state << 13;
	s->state ^= s->state >> 7;
	s->state ^= s->state << 17;
	for (uint64_t bits = s->state >> 32; height < RANGE_HEIGHT && (bits & 3) == 0; bits >>= 2)
		height++;
	return height;
}

struct range_node *range_set_add(
	struct range_set *s, struct slice first, struct slice end, uint64_t group)
{
	struct range_node *prev[RANGE_HEIGHT];

	for (struct range_node *n = walk(s, first, group, prev);
		n && n->group == group && slice_eq(n->first, first); n = range_next(n))
		if (slice_cmp(n->end, end) >= 0)
			return NULL;
	struct range_node *n = node_new(s, random_height(s), first.len + end.len);

	assert(n);
	uint8_t *keys = (uint8_t *)&n->links[n->height];

	memcpy(keys, first.data, first.len);
	memcpy(keys + first.len, end.data, end.len);
	n->first = SLICE(keys, first.len);
	n->end = SLICE(keys + first.len, end.len);
	n->group = group;
	for (unsigned i = 0; i < n->height; i++)
		atomic_init(&n->links[i].next, next_at(prev[i], i));
	init_links(n);
	for (unsigned i = 0; i < RANGE_HEIGHT; i++)
		raise_link(&prev[i]->links[i], n);
	for (unsigned i = 0; i < n->height; i++)
		atomic_store_explicit(&prev[i]->links[i].next, n, memory_order_release);
	return n;
}

/* ---- what covers a key ---- */

struct cover_query {
	struct slice key;
	uint64_t floor, view, best;
	/* with `all`, every range that begins before the key is collected instead */
	bool all;
	const struct range_node **found;
	size_t n, cap;
	int result;
};

static void collect(struct cover_query *q, const struct range_node *n)
{
	if (q->n == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 8;
		const struct range_node **p =
			reallocarray(q->found, cap, sizeof(const struct range_node *));

		if (!p) {
			q->result = -ENOMEM;
			return;
		}
		q->found = p;
		q->cap = cap;
	}
	q->found[q->n++] = n;
}

static void visit(struct cover_query *q, const struct range_node *n)
{
	int r = slice_cmp(n->first, q->key);

	if (r > 0 || slice_cmp(q->key, n->end) >= 0)
		return;
	if (q->all && r < 0)
		collect(q, n);
	else if (!q->all && n->group > q->floor && n->group <= q->view && n->group > q->best)
		q->best = n->group;
}

/* Whether the ranges in [x, next of x) can matter; `next` was read before (I1). */
static bool may_cover(const struct cover_query *q, const struct range_node *x, unsigned level)
{
	const struct range_node *far = far_at(x, level);
	uint64_t newest = atomic_load_explicit(&x->links[level].newest, memory_order_acquire);

	if (!far || slice_cmp(q->key, far->end) >= 0)
		return false;
	return q->all || (newest > q->best && newest > q->floor);
}

/* All ranges in [x, stop), as far as they begin not behind the key. */
static void search(struct cover_query *q, const struct range_set *s, const struct range_node *x,
	const struct range_node *stop, unsigned level)
{
	while (x != stop) {
		const struct range_node *next = next_at(x, level);

		if (may_cover(q, x, level)) {
			if (level > 0)
				search(q, s, x, next, level - 1);
			else if (x != s->head)
				visit(q, x);
		}
		if (!next || slice_cmp(next->first, q->key) > 0)
			break;
		x = next;
	}
}

uint64_t range_set_cover(const struct range_set *s, struct slice key, uint64_t floor, uint64_t view)
{
	struct cover_query q = {.key = key, .floor = floor, .view = view};

	if (range_set_empty(s))
		return 0;
	search(&q, s, s->head, NULL, RANGE_HEIGHT - 1);
	return q.best;
}

int range_set_covering(
	const struct range_set *s, struct slice key, const struct range_node ***ret, size_t *ret_n)
{
	struct cover_query q = {.key = key, .all = true};

	search(&q, s, s->head, NULL, RANGE_HEIGHT - 1);
	if (q.result < 0) {
		free(q.found);
		return q.result;
	}
	*ret = q.found;
	*ret_n = q.n;
	return 0;
}
