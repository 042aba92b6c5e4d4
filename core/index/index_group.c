/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Groups: a whole one lies in one memtable, the newest when it began. */
#include "core/index/index_internal.h"

#include "core/index/block.h"

#include <assert.h>
#include <stdlib.h>

#define UNSEALED_MAX 2

struct index_group {
	struct index *ix;
	struct index_memtable *im; /* in the current version while it has unacknowledged groups */
	struct memtable_group *records;
	uint64_t number;
	bool sealed; /* guarded by the index's lock */
};

static int begin_locked(struct index *ix, uint64_t number, struct index_group *g)
{
	int r = 0;

	mutex_assert_held(&ix->lock);
	assert(number > ix->last_begun && ix->unsealed < UNSEALED_MAX);
	if (!ix->active || memtable_bytes(ix->active->table) >= ix->o.memtable_bytes)
		r = index_new_memtable_locked(ix);
	if (r < 0)
		return r;
	g->records = memtable_group_new(ix->active->table, number);
	if (!g->records)
		return -ENOMEM;
	g->im = ix->active;
	if (g->im->low == 0)
		g->im->low = number;
	g->im->high = number;
	g->im->open++;
	ix->last_begun = number;
	ix->unsealed++;
	return 0;
}

int index_group_begin(struct index *ix, uint64_t number, struct index_group **ret)
{
	struct index_group *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->ix = ix;
	g->number = number;
	mutex_lock(&ix->lock);
	r = begin_locked(ix, number, g);
	mutex_unlock(&ix->lock);
	if (r < 0) {
		free(g);
		return r;
	}
	*ret = g;
	return 0;
}

int index_reserve(struct index_group *g, size_t bytes, size_t n)
{
	return memtable_reserve(g->records, bytes, n);
}

void index_unreserve(struct index_group *g, size_t bytes, size_t n)
{
	memtable_unreserve(g->records, bytes, n);
}

void index_put(struct index_group *g, struct slice key, struct slice value)
{
	memtable_add(g->records, RECORD_PUT, key, value);
}

void index_delete(struct index_group *g, struct slice key)
{
	memtable_add(g->records, RECORD_DELETE, key, SLICE(NULL, 0));
}

void index_delta(struct index_group *g, struct slice key, struct slice value)
{
	memtable_add(g->records, RECORD_DELTA, key, value);
}

void index_range_delete(struct index_group *g, struct slice first, struct slice end)
{
	memtable_range_delete(g->records, first, end);
}

enum record_op index_group_find(struct index_group *g, struct slice key, struct slice *ret_value)
{
	return memtable_group_find(g->records, key, ret_value);
}

uint64_t index_group_bytes(struct index_group *g)
{
	return memtable_group_bytes(g->records);
}

size_t index_group_count(struct index_group *g)
{
	return memtable_group_count(g->records);
}

static void set_sealed(struct index_group *g)
{
	struct index *ix = g->ix;

	memtable_group_close(g->records);
	mutex_lock(&ix->lock);
	if (!g->sealed)
		ix->unsealed--;
	g->sealed = true;
	mutex_unlock(&ix->lock);
}

int index_group_seal(struct index_group *g, struct buf *out)
{
	set_sealed(g);
	return memtable_group_encode(g->records, out);
}

void index_group_acked(struct index *ix, struct index_group *g)
{
	assert(g->ix == ix && g->sealed);
	mutex_lock(&ix->lock);
	assert(g->im->open > 0);
	g->im->open--;
	cond_broadcast(&ix->changed);
	mutex_unlock(&ix->lock);
	memtable_group_free(g->records);
	free(g);
}

void index_group_abandon(struct index *ix, struct index_group *g)
{
	assert(g->ix == ix);
	set_sealed(g); /* the memtable keeps counting it as open, so it never goes to tables */
	memtable_group_free(g->records);
	free(g);
}

/* ---- replay ---- */

struct replay_size {
	size_t bytes, n;
};

/* Reads the whole block before anything is changed. */
static int check_block(struct slice block, uint64_t number, struct replay_size *ret)
{
	struct block_iter it;
	int r = block_iter_init(&it, block);

	*ret = (struct replay_size){0};
	if (r == 0)
		r = block_iter_first(&it);
	while (r == 0 && it.valid) {
		if (it.rec.group != number)
			return -EBADMSG;
		ret->bytes += it.rec.key.len + it.rec.value.len;
		ret->n++;
		r = block_iter_next(&it);
	}
	return r;
}

/* Range deletes go first: they cover older groups only, so the point records of the block all stay.
 */
static int add_block(struct index_group *g, struct slice block, bool ranges)
{
	struct block_iter it;
	int r = block_iter_init(&it, block);

	if (r == 0)
		r = block_iter_first(&it);
	while (r == 0 && it.valid) {
		if (ranges && it.rec.op == RECORD_RANGE)
			memtable_range_delete(g->records, it.rec.key, it.rec.value);
		else if (!ranges && it.rec.op != RECORD_RANGE)
			memtable_add(g->records, it.rec.op, it.rec.key, it.rec.value);
		r = block_iter_next(&it);
	}
	return r;
}

/* Ends a group that got no record: its number may be begun again. */
static void take_back(struct index *ix, struct index_group *g, uint64_t before)
{
	set_sealed(g);
	mutex_lock(&ix->lock);
	ix->last_begun = before;
	mutex_unlock(&ix->lock);
	index_group_acked(ix, g);
}

int index_group_replay(struct index *ix, uint64_t number, struct slice block, struct error *err)
{
	struct index_group *g;
	struct replay_size size;
	uint64_t before;
	int r;

	mutex_lock(&ix->lock);
	before = ix->last_begun;
	mutex_unlock(&ix->lock);
	if (number <= before || check_block(block, number, &size) < 0)
		return error_set(err, -EBADMSG, "records of group %llu do not decode",
			(unsigned long long)number);
	r = index_group_begin(ix, number, &g);
	if (r < 0)
		return error_set(err, r, "no memory for group %llu", (unsigned long long)number);
	/* Nothing can be flushed to make room before the replay is over. */
	r = memtable_reserve(g->records, size.bytes, size.n);
	if (r < 0) {
		take_back(ix, g, before);
		return error_set(err, r, "no memory for group %llu", (unsigned long long)number);
	}
	r = add_block(g, block, true);
	if (r == 0)
		r = add_block(g, block, false);
	assert(r == 0); /* checked before */
	set_sealed(g);
	index_group_acked(ix, g);
	return 0;
}
