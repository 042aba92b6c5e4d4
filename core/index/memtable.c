/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * I1  m->reserved is the sum of what the groups of the memtable have reserved, and the arena can
 * give that much without failing. I2  The budget has been asked for m->used, for what is reserved,
 * and for the slack of the groups: what records cost less than was reserved for them.
 */
#include "core/index/memtable_internal.h"

#include "core/base/refcount.h"
#include "core/base/thread.h"
#include "core/index/block.h"

#include <assert.h>
#include <stdlib.h>

#define SLACK_MAX 32768 /* bytes; above this a group gives back what records did not need */

struct memtable {
	struct refcount refs;
	struct budget *budget; /* immutable; may be NULL */
	struct mutex lock;
	/* written under lock, read by anybody */
	struct skiplist points;
	struct range_set ranges;
	/* guarded by lock */
	struct arena arena;
	size_t reserved;
	/* written under lock, read by anybody */
	_Atomic uint64_t used, records, deletes;
};

struct memtable_group {
	struct memtable *m; /* reference */
	uint64_t number;
	/* guarded by the memtable's lock */
	size_t reserved, slack;
	struct skip_node *points;
	struct range_node *ranges;
	size_t npoints, nranges; /* nodes, removed ones included */
	size_t removed;
	uint64_t bytes;
	bool closed;
};

struct memtable *memtable_new(struct budget *budget)
{
	struct memtable *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	if (skiplist_init(&m->points, &m->arena) < 0 || range_set_init(&m->ranges, &m->arena) < 0) {
		arena_done(&m->arena);
		free(m);
		return NULL;
	}
	refcount_init(&m->refs);
	m->budget = budget;
	mutex_init(&m->lock, RANK_MEMTABLE);
	return m;
}

struct memtable *memtable_ref(struct memtable *m)
{
	refcount_ref(&m->refs);
	return m;
}

static void give_back(struct memtable *m, size_t bytes)
{
	if (m->budget && bytes)
		budget_put(m->budget, BUDGET_MEMTABLE, bytes);
}

void memtable_unref(struct memtable *m)
{
	if (!m || !refcount_unref(&m->refs))
		return;
	assert(m->reserved == 0);
	give_back(m, m->used);
	arena_done(&m->arena);
	mutex_done(&m->lock);
	free(m);
}

const struct skiplist *memtable_points(const struct memtable *m)
{
	return &m->points;
}

const struct range_set *memtable_ranges(const struct memtable *m)
{
	return &m->ranges;
}

uint64_t memtable_bytes(const struct memtable *m)
{
	return atomic_load_explicit(&m->used, memory_order_relaxed);
}

uint64_t memtable_deletes(const struct memtable *m)
{
	return atomic_load_explicit(&m->deletes, memory_order_relaxed);
}

uint64_t memtable_records(const struct memtable *m)
{
	return atomic_load_explicit(&m->records, memory_order_relaxed);
}

/* ---- groups ---- */

struct memtable_group *memtable_group_new(struct memtable *m, uint64_t number)
{
	struct memtable_group *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->m = memtable_ref(m);
	g->number = number;
	return g;
}

void memtable_group_close(struct memtable_group *g)
{
	struct memtable *m = g->m;
	size_t rest;

	mutex_lock(&m->lock);
	rest = g->reserved + g->slack;
	m->reserved -= g->reserved;
	g->reserved = g->slack = 0;
	g->closed = true;
	mutex_unlock(&m->lock);
	give_back(m, rest);
}

void memtable_group_free(struct memtable_group *g)
{
	if (!g)
		return;
	memtable_group_close(g);
	memtable_unref(g->m);
	free(g);
}

size_t memtable_cost(size_t bytes, size_t n)
{
	return bytes + n * (SKIP_OVERHEAD > RANGE_OVERHEAD ? SKIP_OVERHEAD : RANGE_OVERHEAD);
}

int memtable_reserve(struct memtable_group *g, size_t bytes, size_t n)
{
	struct memtable *m = g->m;
	size_t cost = memtable_cost(bytes, n);
	int r;

	/* The caller stands in a group, which cannot close before it leaves: waiting for memory
	 * here would wait for itself. */
	if (m->budget)
		budget_force(m->budget, BUDGET_MEMTABLE, cost);
	mutex_lock(&m->lock);
	assert(!g->closed);
	r = arena_reserve(&m->arena, m->reserved + cost);
	if (r == 0) {
		m->reserved += cost;
		g->reserved += cost;
	}
	mutex_unlock(&m->lock);
	if (r < 0)
		give_back(m, cost);
	return r;
}

void memtable_unreserve(struct memtable_group *g, size_t bytes, size_t n)
{
	struct memtable *m = g->m;
	size_t cost = memtable_cost(bytes, n);

	mutex_lock(&m->lock);
	if (g->closed)
		cost = 0; /* given back by the close */
	assert(g->reserved >= cost);
	g->reserved -= cost;
	m->reserved -= cost;
	mutex_unlock(&m->lock);
	give_back(m, cost);
}

/* A record took what the arena gave since it had used `before`; its reservation was `cost`. */
static void settle_locked(struct memtable_group *g, size_t cost, size_t before)
{
	struct memtable *m = g->m;
	size_t took = arena_used(&m->arena) - before, slack;

	mutex_assert_held(&m->lock);
	assert(took <= cost && cost <= g->reserved);
	g->reserved -= cost;
	m->reserved -= cost;
	g->slack += cost - took;
	atomic_fetch_add_explicit(&m->used, took, memory_order_relaxed);
	if (g->slack > SLACK_MAX) {
		slack = g->slack;
		g->slack = 0;
		give_back(m, slack);
	}
}

static void insert_locked(struct memtable_group *g, struct slice key, const struct skip_value *v)
{
	struct skip_node *n = skip_insert(&g->m->points, key, g->number, v);

	n->group_next = g->points;
	g->points = n;
	g->npoints++;
	g->bytes += key.len + v->len;
	atomic_fetch_add_explicit(&g->m->records, 1, memory_order_relaxed);
}

static void replace_locked(
	struct memtable_group *g, struct skip_node *n, const struct skip_value *v)
{
	const struct skip_value *old = skip_value(n);

	/* A delta says how to change what older groups say, so nothing of its own group may lie
	 * below it. */
	assert(v->op != RECORD_DELTA || old->dead);
	if (old->dead) {
		g->removed--;
		g->bytes += n->key_len;
	}
	g->bytes += v->len;
	g->bytes -= old->len;
	skip_set_value(n, v);
}

void memtable_add(struct memtable_group *g, enum record_op op, struct slice key, struct slice value)
{
	struct memtable *m = g->m;

	assert(op >= RECORD_PUT && op <= RECORD_DELTA);
	assert(key.len > 0 && key.len <= RECORD_KEY_MAX && value.len <= RECORD_VALUE_MAX);
	MUTEX_GUARD(&m->lock);
	assert(!g->closed);
	size_t before = arena_used(&m->arena);
	const struct skip_value *v = skip_value_new(&m->points, op, value);
	struct skip_node *n = skip_get(&m->points, key, g->number);

	if (n)
		replace_locked(g, n, v);
	else
		insert_locked(g, key, v);
	if (op == RECORD_DELETE)
		atomic_fetch_add_explicit(&m->deletes, 1, memory_order_relaxed);
	settle_locked(g, memtable_cost(key.len + value.len, 1), before);
}

static void remove_points_locked(struct memtable_group *g, struct slice first, struct slice end)
{
	struct skip_node *n = skip_find(&g->m->points, first, UINT64_MAX);

	for (; n && slice_cmp(skip_key(n), end) < 0; n = skip_next(n)) {
		const struct skip_value *v = skip_value(n);

		if (n->group != g->number || v->dead)
			continue;
		g->bytes -= n->key_len + v->len;
		g->removed++;
		skip_set_value(n, skip_value_dead());
	}
}

void memtable_range_delete(struct memtable_group *g, struct slice first, struct slice end)
{
	struct memtable *m = g->m;

	assert(first.len > 0 && first.len <= RECORD_KEY_MAX && end.len <= RECORD_KEY_MAX);
	MUTEX_GUARD(&m->lock);
	assert(!g->closed);
	size_t before = arena_used(&m->arena);

	if (slice_cmp(first, end) < 0) {
		struct range_node *n = range_set_add(&m->ranges, first, end, g->number);

		if (n) {
			n->group_next = g->ranges;
			g->ranges = n;
			g->nranges++;
			g->bytes += first.len + end.len;
			atomic_fetch_add_explicit(&m->records, 1, memory_order_relaxed);
		}
		/* Behind the range: who meets a removed record knows of the range, or takes it for
		 * a delete. */
		remove_points_locked(g, first, end);
	}
	settle_locked(g, memtable_cost(first.len + end.len, 1), before);
}

enum record_op memtable_group_find(
	struct memtable_group *g, struct slice key, struct slice *ret_value)
{
	MUTEX_GUARD(&g->m->lock);
	struct skip_node *n = skip_get(&g->m->points, key, g->number);
	const struct skip_value *v = n ? skip_value(n) : NULL;

	if (!v || v->dead)
		return (enum record_op)0;
	*ret_value = SLICE(v->data, v->len);
	return (enum record_op)v->op;
}

uint64_t memtable_group_bytes(struct memtable_group *g)
{
	MUTEX_GUARD(&g->m->lock);
	return g->bytes;
}

size_t memtable_group_count(struct memtable_group *g)
{
	MUTEX_GUARD(&g->m->lock);
	return g->npoints - g->removed + g->nranges;
}

/* ---- the group as a block ---- */

/* The block's order; of two range deletes that begin at one key the longer one first. */
static int cmp_for_block(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	int r = record_cmp(x, y);

	if (r)
		return r;
	if ((x->op == RECORD_RANGE) != (y->op == RECORD_RANGE))
		return x->op == RECORD_RANGE ? 1 : -1;
	return slice_cmp(y->value, x->value);
}

static size_t gather(const struct memtable_group *g, struct record *recs)
{
	size_t n = 0;

	for (const struct skip_node *p = g->points; p; p = p->group_next) {
		const struct skip_value *v = skip_value(p);

		if (!v->dead)
			recs[n++] = (struct record){skip_key(p), g->number, (enum record_op)v->op,
				SLICE(v->data, v->len)};
	}
	for (const struct range_node *p = g->ranges; p; p = p->group_next)
		recs[n++] = (struct record){p->first, g->number, RECORD_RANGE, p->end};
	qsort(recs, n, sizeof(*recs), cmp_for_block);
	return n;
}

static int encode_sorted(const struct record *recs, size_t n, uint64_t number, struct buf *out)
{
	struct block_builder b;
	int r = block_builder_init(&b, number);

	for (size_t i = 0; i < n && r == 0; i++) {
		if (i && recs[i].op == RECORD_RANGE && recs[i - 1].op == RECORD_RANGE &&
			slice_eq(recs[i].key, recs[i - 1].key))
			continue; /* the longer one stands before it */
		r = block_builder_add(&b, &recs[i]);
	}
	if (r == 0)
		r = block_builder_finish(&b);
	if (r == 0)
		r = buf_append_slice(out, buf_slice(&b.out));
	block_builder_done(&b);
	return r;
}

int memtable_group_encode(const struct memtable_group *g, struct buf *out)
{
	assert(g->closed);
	struct record *recs = calloc(g->npoints + g->nranges + 1, sizeof(*recs));

	if (!recs)
		return -ENOMEM;
	int r = encode_sorted(recs, gather(g, recs), g->number, out);

	free(recs);
	return r;
}

/* ---- reading ---- */

int memtable_get(struct memtable *m, uint64_t floor, struct versions *v)
{
	uint64_t cover;

	if (v->ended || floor >= v->view)
		return 0;
	cover = range_set_cover(&m->ranges, v->key, floor, v->view);
	versions_cover(v, cover);
	for (struct skip_node *n = skip_find(&m->points, v->key, v->view);
		n && n->group > floor && slice_eq(skip_key(n), v->key); n = skip_next(n)) {
		const struct skip_value *value = skip_value(n);
		int r = versions_add(
			v, n->group, (enum record_op)value->op, SLICE(value->data, value->len));

		if (r < 0 || v->ended)
			return r;
	}
	if (v->cover) /* all that is left is older than a range delete */
		v->ended = v->deleted = true;
	return 0;
}
