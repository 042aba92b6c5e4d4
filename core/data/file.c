/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state of one file, and what is counted as allocated.
 *
 * An operation counts as well as it can: what is not in memory it takes for a hole. When its group
 * is encoded, the extents before and after are compared, and the difference to what was counted is
 * booked in the same group, before the inode is encoded (encode_finish). So after every group the
 * inodes and the volume's usage agree with the extents. In between the number may be off, even
 * below 0 (modulo 2^64), when a truncate to nothing came between an operation and the close of its
 * group.
 *
 * A1  allocated = what older groups' extents charge + what maps have booked + the inline bytes.
 */
#include "core/data/charged.h"
#include "core/data/chunk_cache.h"

#include <assert.h>
#include <stdlib.h>

void data_file_init(struct file_data *f, struct data *d, uint64_t inode, struct rwlock *lock,
	bool fresh, uint64_t allocated)
{
	*f = (struct file_data){.data = d, .inode = inode, .lock = lock, .is_inline = fresh};
	f->allocated = allocated;
}

int data_file_set_inline(struct file_data *f, struct slice bytes)
{
	assert(bytes.len <= INLINE_BYTES_MAX && !f->pending);
	uint8_t *copy = malloc(bytes.len ? bytes.len : 1);

	if (!copy)
		return -ENOMEM;
	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	free(f->inline_bytes);
	f->inline_bytes = copy;
	f->inline_len = (uint32_t)bytes.len;
	f->is_inline = true;
	return 0;
}

void file_tail_drop(struct file_data *f)
{
	if (!f->tail)
		return;
	free(f->tail);
	f->tail = NULL;
	f->tail_len = 0;
	atomic_fetch_sub(&f->data->tail_bytes, TAIL_BLOCK_BYTES);
}

void data_file_done(struct file_data *f)
{
	assert(!f->pending);
	chunk_cache_done(f);
	file_tail_drop(f);
	free(f->inline_bytes);
	f->inline_bytes = NULL;
	f->inline_len = 0;
}

bool data_file_busy(const struct file_data *f)
{
	return f->pending != NULL;
}

/* ---- maps ---- */

struct pending *pending_new(void)
{
	struct pending *map = calloc(1, sizeof(*map));

	if (map)
		list_init(&map->link);
	return map;
}

void pending_free(struct pending *map)
{
	if (!map)
		return;
	if (map->charge)
		budget_put(map->file->data->o.budget, BUDGET_DIRTY, map->charge);
	pieces_done(&map->pieces);
	pieces_done(&map->reserved);
	free(map);
}

struct pending *file_map(
	struct file_data *f, struct group *g, uint64_t size, struct pending **spare)
{
	struct group_data *gd = group_data_of(g);
	struct pending *map = f->pending;

	rwlock_assert_write(f->lock);
	if (map && map->number == g->number)
		return map;
	/* Operations lock the inode before they join a group, so groups rise. */
	assert(!map || map->number < g->number);
	map = *spare;
	*spare = NULL;
	map->file = f;
	map->group = gd;
	map->number = g->number;
	map->old_size = f->is_inline ? 0 : size;
	/* What was reserved ends at a whole block. */
	if (map->old_size <= UINT64_MAX - TAIL_BLOCK_BYTES)
		map->old_size +=
			(TAIL_BLOCK_BYTES - map->old_size % TAIL_BLOCK_BYTES) % TAIL_BLOCK_BYTES;
	map->pieces.random = f->inode;
	map->older = f->pending;
	f->pending = map;
	f->data->owner.file_ref(f);
	mutex_lock(&gd->lock);
	list_push_back(&gd->maps, &map->link);
	mutex_unlock(&gd->lock);
	return map;
}

void file_unlink_map(struct file_data *f, struct pending *map)
{
	struct pending **at = &f->pending;

	rwlock_assert_write(f->lock);
	while (*at != map)
		at = &(*at)->older;
	*at = map->older;
	map->older = NULL;
}

/* ---- accounting ---- */

void file_account(struct file_data *f, struct group_data *gd, int64_t change)
{
	rwlock_assert_write(f->lock);
	f->allocated += (uint64_t)change;
	atomic_fetch_add(&gd->usage_bytes, change);
}

void map_account(struct pending *map, int64_t change)
{
	file_account(map->file, map->group, change);
	map->booked += change;
}

static uint64_t charged_by_pieces(
	const struct file_data *f, const struct pending *map, uint64_t offset, uint64_t end);

/* One layer: ranges that are reserved in it are charged, whatever lies below. */
static uint64_t charged_from(
	const struct file_data *f, const struct pending *map, uint64_t offset, uint64_t end)
{
	uint64_t sum = 0, at = offset;

	if (offset >= end)
		return 0;
	if (!map)
		return chunk_cache_charged(f, offset, end);
	const struct piece *p = pieces_find(&map->reserved, offset);

	for (; p && p->offset < end; p = piece_next(p)) {
		uint64_t from = p->offset > at ? p->offset : at, to = p->end < end ? p->end : end;

		sum += charged_by_pieces(f, map, at, from);
		sum += to - from;
		at = to;
	}
	return sum + charged_by_pieces(f, map, at, end);
}

static uint64_t charged_by_pieces(
	const struct file_data *f, const struct pending *map, uint64_t offset, uint64_t end)
{
	uint64_t sum = 0, at = offset;

	if (offset >= end)
		return 0;
	const struct piece *p = pieces_find(&map->pieces, offset);

	for (; p && p->offset < end; p = piece_next(p)) {
		uint64_t from = p->offset > at ? p->offset : at, to = p->end < end ? p->end : end;

		sum += charged_from(f, map->older, at, from);
		if (p->kind != PIECE_HOLE)
			sum += to - from;
		at = to;
	}
	return sum + charged_from(f, map->older, at, end);
}

uint64_t data_charged(const struct file_data *f, uint64_t offset, uint64_t end)
{
	if (!f->is_inline)
		return charged_from(f, f->pending, offset, end);
	if (end > f->inline_len)
		end = f->inline_len;
	return offset < end ? end - offset : 0;
}

uint64_t file_charged(
	const struct file_data *f, const struct pending *top, uint64_t offset, uint64_t end)
{
	return charged_from(f, top, offset, end);
}
