/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What changes the bytes of a file: write, punch, allocate. Prepared without locks, applied without
 * failing. */
#include "core/base/checked.h"
#include "core/data/reserve.h"

#include <assert.h>
#include <stdlib.h>

#define GROW_WRITE_MAX                                                                             \
	(16u << 10) /* writes up to this may get a block with room for the next ones */
#define GROW_BLOCK_MIN 4096u
#define THROTTLE_MS 1

/* ---- preparing ---- */

void data_reserve_free(struct data_reserve *r)
{
	if (!r)
		return;
	piece_pool_done(&r->pool);
	pending_free(r->map);
	dirty_block_unref(r->block);
	dirty_block_unref(r->taker);
	free(r->inline_bytes);
	free(r);
}

struct data_reserve *reserve_new(struct data *d, size_t inline_cap)
{
	struct data_reserve *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->data = d;
	r->map = pending_new();
	r->taker = dirty_block_new(d->o.budget, 0);
	r->inline_cap = inline_cap;
	if (inline_cap)
		r->inline_bytes = malloc(inline_cap);
	if (!r->map || !r->taker || (inline_cap && !r->inline_bytes) ||
		piece_pool_fill(&r->pool, RESERVE_NODES) < 0) {
		data_reserve_free(r);
		return NULL;
	}
	return r;
}

int data_prepare_change(struct data *d, struct data_reserve **ret)
{
	struct data_reserve *r = reserve_new(d, INLINE_BYTES_MAX);

	if (!r)
		return -ENOMEM;
	*ret = r;
	return 0;
}

/*
 * A stream waits here until what the store has not taken yet is again below the bound, so that an
 * fsync beside it waits for little more than that. What can be sealed early is sent early; what
 * cannot needs the group to close.
 */
static int throttle(struct data *d)
{
	struct budget *b = d->o.budget;
	uint64_t bound = log_unsent_bound(d->log), dirty;
	bool blocked = false;

	while ((dirty = budget_used(b, BUDGET_DIRTY)) + log_unsent(d->log) > bound) {
		int r = log_refused(d->log);

		if (log_fenced(d->log))
			return -ECANCELED;
		if (r < 0)
			return r;
		if (dirty > bound / 2)
			log_close_group(d->log);
		else
			log_pressure(d->log);
		if (!blocked)
			env_blocking();
		blocked = true;
		env_sleep_ms(THROTTLE_MS);
		bound = log_unsent_bound(d->log);
	}
	return 0;
}

int reserve_room(struct data *d, uint64_t charge)
{
	struct budget *b = d->o.budget;
	int r = throttle(d);

	if (r < 0)
		return r;
	if (budget_try(b, BUDGET_DIRTY, charge))
		return 0;
	log_close_group(d->log);
	return budget_get(b, BUDGET_DIRTY, charge);
}

static int copy_bytes(
	struct data_reserve *r, const struct slice *parts, size_t nparts, uint64_t len)
{
	struct dirty_block *b = dirty_block_new(r->data->o.budget, len);

	if (!b)
		return -ENOMEM;
	for (size_t i = 0; i < nparts; i++) {
		if (parts[i].len)
			memcpy(b->data + b->len, parts[i].data, parts[i].len);
		b->len += parts[i].len;
	}
	r->block = b;
	return 0;
}

int data_prepare_write(struct data *d, uint64_t offset, const struct slice *parts, size_t nparts,
	struct data_reserve **ret)
{
	uint64_t len = 0, end;

	for (size_t i = 0; i < nparts; i++)
		len += parts[i].len;
	if (!checked_add_u64(offset, len, &end))
		return -EINVAL;
	int r = reserve_room(d, len + WRITE_OVERHEAD);

	if (r < 0)
		return r;
	struct data_reserve *reserve = reserve_new(d, end <= INLINE_BYTES_MAX ? end : 0);

	r = reserve ? copy_bytes(reserve, parts, nparts, len) : -ENOMEM;
	if (r < 0) {
		budget_put(d->o.budget, BUDGET_DIRTY, len + WRITE_OVERHEAD);
		data_reserve_free(reserve);
		return r;
	}
	reserve->block->charge = len + WRITE_OVERHEAD;
	reserve->offset = offset;
	*ret = reserve;
	return 0;
}

struct pending *reserve_map(
	struct file_data *f, struct group *g, uint64_t size, struct data_reserve *r)
{
	struct pending *map = file_map(f, g, size, &r->map);

	if (!map->touched)
		map->touched = true;
	return map;
}

/* ---- inline bytes ---- */

/* The file's bytes become [0, len), zeros where there were none. `r` brings the room when it grows.
 */
static void resize_inline(
	struct file_data *f, struct group *g, uint32_t len, struct data_reserve *r)
{
	if (len > f->inline_len) {
		assert(r->inline_cap >= len);
		uint8_t *bytes = TAKE(r->inline_bytes);

		if (f->inline_len)
			memcpy(bytes, f->inline_bytes, f->inline_len);
		memset(bytes + f->inline_len, 0, len - f->inline_len);
		free(f->inline_bytes);
		f->inline_bytes = bytes;
	}
	file_account(f, group_data_of(g), (int64_t)len - (int64_t)f->inline_len);
	f->inline_len = len;
}

static bool tail_room(struct file_data *f)
{
	struct data *d = f->data;

	if (f->tail)
		return true;
	if (atomic_load(&d->tail_bytes) >= d->tail_limit)
		return false;
	f->tail = malloc(TAIL_BLOCK_BYTES);
	if (f->tail)
		atomic_fetch_add(&d->tail_bytes, TAIL_BLOCK_BYTES);
	return f->tail != NULL;
}

void reserve_leave_inline(struct file_data *f, struct pending *map, struct data_reserve *r)
{
	uint32_t len = f->inline_len;

	f->is_inline = false;
	f->inline_len = 0;
	map->booked += len; /* counted already, as inline bytes */
	if (len == 0) {
		free(TAKE(f->inline_bytes));
		return;
	}
	if (tail_room(f)) {
		memcpy(f->tail, f->inline_bytes, len);
		f->tail_start = 0;
		f->tail_len = len;
	}
	struct dirty_block *b = r->taker;

	assert(b->len == 0);
	b->data = TAKE(f->inline_bytes);
	b->len = b->cap = len;
	b->charge = len + WRITE_OVERHEAD;
	budget_force(b->budget, BUDGET_DIRTY, b->charge);
	pieces_put(&map->pieces,
		&(struct piece){.kind = PIECE_BYTES, .offset = 0, .end = len, .block = b},
		&r->pool);
}

/* ---- the tail ---- */

/* Keeps the bytes of the last, partial block as they are after a write; `size` is that of the file
 * before. */
static void tail_after_write(
	struct file_data *f, uint64_t size, uint64_t offset, const uint8_t *bytes, size_t len)
{
	uint64_t end = offset + len, start = end - end % TAIL_BLOCK_BYTES;

	if (f->tail && f->tail_start + f->tail_len != size)
		file_tail_drop(f); /* a truncate made the file longer */
	if (end < size) {
		/* Inside the file: the last block changes where it is overlapped. */
		if (!f->tail || end <= f->tail_start)
			return;
		uint64_t from = offset > f->tail_start ? offset : f->tail_start;

		memcpy(f->tail + (from - f->tail_start), bytes + (from - offset), end - from);
		return;
	}
	if (start == end) {
		file_tail_drop(f);
	} else if (offset <= start) {
		if (!tail_room(f))
			return;
		memcpy(f->tail, bytes + (start - offset), end - start);
		f->tail_start = start;
		f->tail_len = (uint32_t)(end - start);
	} else if (f->tail && f->tail_start == start && start + f->tail_len >= offset) {
		memcpy(f->tail + (offset - start), bytes, len);
		f->tail_len = (uint32_t)(end - start);
	} else {
		file_tail_drop(f);
	}
}

/*
 * An append to a partial last block whose bytes older groups have sealed: the block is written
 * again from its start, so that extents are cut at whole blocks of the file however small the
 * appends are.
 */
static void tail_before_append(
	struct file_data *f, struct pending *map, uint64_t size, struct data_reserve *r)
{
	const struct piece *p;

	if (!f->tail || size == 0 || f->tail_start + f->tail_len != size || r->offset != size)
		return;
	p = pieces_find(&map->pieces, f->tail_start);
	if (p && p->offset < size)
		return; /* this group has some of it already */
	struct dirty_block *b = dirty_block_new(f->data->o.budget, 2 * TAIL_BLOCK_BYTES);

	if (!b)
		return;
	b->charge = b->cap + WRITE_OVERHEAD;
	budget_force(b->budget, BUDGET_DIRTY, b->charge);
	memcpy(b->data, f->tail, f->tail_len);
	b->len = f->tail_len;
	/* Zeros may have become a hole when they were sealed. */
	map_account(map, (int64_t)(f->tail_len - file_charged(f, f->pending, f->tail_start, size)));
	pieces_put(&map->pieces,
		&(struct piece){
			.kind = PIECE_BYTES, .offset = f->tail_start, .end = size, .block = b},
		&r->pool);
	dirty_block_unref(b);
}

/* ---- applying ---- */

/* A stream of small writes: a larger block, so that the next ones find room in it. */
static struct dirty_block *roomy_block(const struct pending *map, const struct data_reserve *r)
{
	const struct dirty_block *w = r->block;
	const struct piece *p = r->offset ? pieces_find(&map->pieces, r->offset - 1) : NULL;

	if (!p || p->kind != PIECE_BYTES || p->end != r->offset || w->len > GROW_WRITE_MAX)
		return NULL;
	size_t cap = GROW_BLOCK_MIN;

	while (cap < FRAME_PLAIN_MAX && (cap < 2 * (p->end - p->offset) || cap < 2 * w->len))
		cap *= 2;
	struct dirty_block *b = dirty_block_new(w->budget, cap);

	if (!b)
		return NULL;
	b->charge = cap + WRITE_OVERHEAD;
	budget_force(b->budget, BUDGET_DIRTY, b->charge);
	memcpy(b->data, w->data, w->len);
	b->len = w->len;
	return b;
}

static void put_bytes(struct pending *map, struct data_reserve *r)
{
	uint64_t end = r->offset + r->block->len;

	if (r->block->len <= GROW_WRITE_MAX &&
		pieces_grow(&map->pieces, r->offset, r->block->data, r->block->len, &r->pool))
		return;
	struct dirty_block *roomy = roomy_block(map, r);

	pieces_put(&map->pieces,
		&(struct piece){.kind = PIECE_BYTES,
			.offset = r->offset,
			.end = end,
			.block = roomy ? roomy : r->block},
		&r->pool);
	dirty_block_unref(roomy);
}

void reserve_write_inline(struct file_data *f, struct group *g, struct data_reserve *r)
{
	uint64_t end = r->offset + r->block->len;

	if (end > f->inline_len)
		resize_inline(f, g, (uint32_t)end, r);
	memcpy(f->inline_bytes + r->offset, r->block->data, r->block->len);
}

void data_write(struct file_data *f, struct group *g, uint64_t size, struct data_reserve *r)
{
	uint64_t end = r->offset + r->block->len;

	rwlock_assert_write(f->lock);
	if (r->block->len == 0) {
		data_reserve_free(r);
		return;
	}
	if (f->is_inline && end <= INLINE_BYTES_MAX) {
		reserve_write_inline(f, g, r);
		data_reserve_free(r);
		return;
	}
	struct pending *map = reserve_map(f, g, size, r);

	if (f->is_inline)
		reserve_leave_inline(f, map, r);
	uint64_t before = file_charged(f, f->pending, r->offset, end);

	tail_before_append(f, map, size, r);
	put_bytes(map, r);
	map_account(map, (int64_t)(r->block->len - before));
	tail_after_write(f, size, r->offset, r->block->data, r->block->len);
	sealer_after_write(map, r->offset, end);
	data_reserve_free(r);
}

static void punch_inline(struct file_data *f, struct group *g, uint64_t size, uint64_t offset,
	uint64_t end, struct data_reserve *r)
{
	if (end == PIECE_FOREVER && offset > INLINE_BYTES_MAX) {
		reserve_leave_inline(f, reserve_map(f, g, size, r), r);
	} else if (end == PIECE_FOREVER) {
		resize_inline(f, g, (uint32_t)offset, r);
	} else if (offset < f->inline_len) {
		uint64_t to = end < f->inline_len ? end : f->inline_len;

		memset(f->inline_bytes + offset, 0, to - offset);
	}
}

void data_punch(struct file_data *f, struct group *g, uint64_t size, uint64_t offset, uint64_t len,
	struct data_reserve *r)
{
	uint64_t end = len == UINT64_MAX ? PIECE_FOREVER : offset + len;

	rwlock_assert_write(f->lock);
	if (f->is_inline) {
		punch_inline(f, g, size, offset, end, r);
		data_reserve_free(r);
		return;
	}
	if (end != PIECE_FOREVER && end > size)
		end = size; /* nothing lies behind the end of a file */
	if (offset >= size || offset >= end) {
		data_reserve_free(r);
		return;
	}
	struct pending *map = reserve_map(f, g, size, r);
	uint64_t before = file_charged(f, f->pending, offset, end);

	pieces_put(&map->pieces, &(struct piece){.kind = PIECE_HOLE, .offset = offset, .end = end},
		&r->pool);
	if (map->reserved.n)
		pieces_clear(&map->reserved, offset, end, &r->pool);
	if (offset == 0 && end == PIECE_FOREVER) {
		before = f->allocated;
		map->reset = true;
		f->is_inline = true;
	}
	map_account(map, -(int64_t)before);
	if (f->tail && end > f->tail_start)
		file_tail_drop(f);
	data_reserve_free(r);
}

void data_allocate(struct file_data *f, struct group *g, uint64_t size, uint64_t offset,
	uint64_t len, struct data_reserve *r)
{
	uint64_t end = offset + len;

	rwlock_assert_write(f->lock);
	assert(len <= DATA_ALLOCATE_MAX && end <= UINT64_MAX - TAIL_BLOCK_BYTES);
	if (len == 0 || (f->is_inline && end <= f->inline_len)) {
		data_reserve_free(r);
		return;
	}
	struct pending *map = reserve_map(f, g, size, r);

	if (f->is_inline)
		reserve_leave_inline(f, map, r);
	/* Whole blocks: a chunk cannot gather more than so many of them. */
	offset -= offset % TAIL_BLOCK_BYTES;
	end += (TAIL_BLOCK_BYTES - end % TAIL_BLOCK_BYTES) % TAIL_BLOCK_BYTES;
	uint64_t before = file_charged(f, f->pending, offset, end);

	pieces_put(&map->reserved,
		&(struct piece){.kind = PIECE_HOLE, .offset = offset, .end = end}, &r->pool);
	map_account(map, (int64_t)(end - offset - before));
	data_reserve_free(r);
}
