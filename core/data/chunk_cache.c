/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Decoded chunks of one file, as the index folds them. All groups that are encoded are in them;
 * what is in maps is not. They are bounded for all files together, but a file may always keep a
 * few, so that every read makes progress.
 */
#include "core/data/chunk_cache.h"
#include "core/data/encode.h"

#include <assert.h>
#include <stdlib.h>

#define CHUNKS_ALWAYS 64u      /* per file, whatever the budget says */
#define CHUNKS_PER_FILE 65536u /* 16 GiB of a file */
#define LOOP_CHUNKS_MAX 64u    /* larger ranges are looked up from the side of the cache */

struct chunk_cache {
	struct map by_number;
	struct list queue; /* second chance */
};

static struct chunk_entry *entry_find(const struct file_data *f, uint64_t number)
{
	return f->chunks ? map_find(&f->chunks->by_number, number) : NULL;
}

static bool entry_is_current(const struct file_data *f, const struct chunk_entry *e, uint64_t view)
{
	return e->view == view && e->generation == atomic_load(&f->data->generation);
}

const struct chunk_entry *chunk_cache_find(
	const struct file_data *f, uint64_t view, uint64_t number)
{
	struct chunk_entry *e = entry_find(f, number);

	if (!e || !entry_is_current(f, e, view))
		return NULL;
	atomic_store_explicit(&e->used, true, memory_order_relaxed);
	return e;
}

static void entry_remove(struct file_data *f, struct chunk_entry *e)
{
	struct data *d = f->data;

	(void)map_remove(&f->chunks->by_number, e->number); /* it is `e` */
	list_remove(&e->queue);
	atomic_fetch_sub(&d->chunk_bytes, e->charge);
	budget_put(d->o.budget, BUDGET_CACHE, e->charge);
	chunk_done(&e->chunk);
	free(e);
}

/* Forgets the chunk that was not used for longest, about. */
static bool evict_one(struct file_data *f)
{
	struct chunk_entry *e;

	while ((e = list_first(&f->chunks->queue, struct chunk_entry, queue)) != NULL) {
		if (!atomic_exchange(&e->used, false)) {
			entry_remove(f, e);
			return true;
		}
		list_move_back(&f->chunks->queue, &e->queue);
	}
	return false;
}

/* Charges `n` bytes, at the cost of other chunks of this file. */
static void charge(struct file_data *f, uint64_t n)
{
	struct data *d = f->data;
	struct map *m = &f->chunks->by_number;

	while (m->count > CHUNKS_ALWAYS &&
		(m->count > CHUNKS_PER_FILE || atomic_load(&d->chunk_bytes) > d->chunk_limit ||
			budget_excess(d->o.budget, BUDGET_CACHE) > 0))
		if (!evict_one(f))
			break;
	while (!budget_try(d->o.budget, BUDGET_CACHE, n)) {
		if (m->count > CHUNKS_ALWAYS && evict_one(f))
			continue;
		budget_force(d->o.budget, BUDGET_CACHE, n);
		break;
	}
	atomic_fetch_add(&d->chunk_bytes, n);
}

static uint64_t entry_charge(const struct chunk_entry *e)
{
	return sizeof(*e) + 2 * sizeof(struct map_slot) + e->chunk.cap * sizeof(struct extent);
}

static void recharge(struct file_data *f, struct chunk_entry *e)
{
	uint64_t now = entry_charge(e);

	if (now > e->charge) {
		budget_force(f->data->o.budget, BUDGET_CACHE, now - e->charge);
		atomic_fetch_add(&f->data->chunk_bytes, now - e->charge);
		e->charge = now;
	}
}

static bool cache_begin(struct file_data *f)
{
	if (f->chunks)
		return true;
	f->chunks = calloc(1, sizeof(*f->chunks));
	if (!f->chunks)
		return false;
	list_init(&f->chunks->queue);
	return true;
}

void chunk_cache_install(struct file_data *f, uint64_t view, uint64_t number, struct chunk *c,
	unsigned merged, uint64_t generation)
{
	struct chunk_entry *e = calloc(1, sizeof(*e)), *old;

	if (!e || !cache_begin(f)) {
		free(e);
		chunk_done(c);
		return;
	}
	old = entry_find(f, number);
	if (old)
		entry_remove(f, old);
	*e = (struct chunk_entry){
		.number = number, .view = view, .generation = generation, .merged = merged};
	e->chunk = *c;
	*c = (struct chunk){0};
	atomic_init(&e->used, true);
	list_init(&e->queue);
	e->charge = entry_charge(e);
	charge(f, e->charge);
	if (map_insert(&f->chunks->by_number, number, e) < 0) {
		atomic_fetch_sub(&f->data->chunk_bytes, e->charge);
		budget_put(f->data->o.budget, BUDGET_CACHE, e->charge);
		chunk_done(&e->chunk);
		free(e);
		return;
	}
	list_push_back(&f->chunks->queue, &e->queue);
}

/* ---- ranges ---- */

/* Chunk numbers [first, end) that touch the bytes. */
static void chunk_range(uint64_t offset, uint64_t end, uint64_t *ret_first, uint64_t *ret_end)
{
	*ret_first = chunk_of(offset);
	*ret_end = chunk_of(end - 1) + 1;
}

/* Numbers of cached chunks within [first, end), in a new array. NULL: none, or no memory. */
static uint64_t *known_numbers(
	const struct file_data *f, uint64_t first, uint64_t end, size_t *ret_n)
{
	size_t cursor = 0, n = 0;
	uint64_t number, *numbers;

	*ret_n = 0;
	if (!f->chunks || !f->chunks->by_number.count)
		return NULL;
	numbers = calloc(f->chunks->by_number.count, sizeof(*numbers));
	if (!numbers)
		return NULL;
	while (map_next(&f->chunks->by_number, &cursor, &number, NULL))
		if (number >= first && number < end)
			numbers[n++] = number;
	*ret_n = n;
	return numbers;
}

void chunk_cache_drop(struct file_data *f, uint64_t offset, uint64_t end)
{
	uint64_t first, last;
	size_t n;

	if (!f->chunks)
		return;
	chunk_range(offset, end, &first, &last);
	if (last - first <= LOOP_CHUNKS_MAX) {
		for (uint64_t c = first; c < last; c++) {
			struct chunk_entry *e = entry_find(f, c);

			if (e)
				entry_remove(f, e);
		}
		return;
	}
	uint64_t *numbers = known_numbers(f, first, last, &n);

	if (!numbers && f->chunks->by_number.count) {
		chunk_cache_done(f); /* no memory to tell them apart */
		return;
	}
	for (size_t i = 0; i < n; i++)
		entry_remove(f, entry_find(f, numbers[i]));
	free(numbers);
}

void chunk_cache_done(struct file_data *f)
{
	if (!f->chunks)
		return;
	while (!list_empty(&f->chunks->queue))
		entry_remove(f, list_first(&f->chunks->queue, struct chunk_entry, queue));
	map_done(&f->chunks->by_number);
	free(f->chunks);
	f->chunks = NULL;
}

static uint64_t overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
	uint64_t from = a > b ? a : b, to = a_end < b_end ? a_end : b_end;

	return from < to ? to - from : 0;
}

uint64_t chunk_charged(const struct chunk *c, uint64_t base, uint64_t offset, uint64_t end)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct extent *e = &c->extents[i];

		if (e->form != EXTENT_HOLE)
			sum += overlap(base + e->offset, base + e->offset + e->len, offset, end);
	}
	return sum;
}

/* The part of the range that lies in one chunk. */
static uint64_t charged_in_chunk(
	const struct file_data *f, uint64_t number, uint64_t offset, uint64_t end)
{
	const struct chunk_entry *e = chunk_cache_find(f, GROUP_NOW, number);

	return e ? chunk_charged(&e->chunk, number * CHUNK_BYTES, offset, end) : 0;
}

uint64_t chunk_cache_charged(const struct file_data *f, uint64_t offset, uint64_t end)
{
	uint64_t first, last, number, sum = 0;
	size_t cursor = 0;

	if (offset >= end || !f->chunks)
		return 0;
	chunk_range(offset, end, &first, &last);
	if (last - first <= LOOP_CHUNKS_MAX) {
		for (uint64_t c = first; c < last; c++)
			sum += charged_in_chunk(f, c, offset, end);
		return sum;
	}
	while (map_next(&f->chunks->by_number, &cursor, &number, NULL))
		if (number >= first && number < last)
			sum += charged_in_chunk(f, number, offset, end);
	return sum;
}

/* ---- overlay ---- */

struct extent piece_extent(const struct piece *p, uint64_t chunk)
{
	uint64_t base = chunk * CHUNK_BYTES;
	uint64_t from = p->offset > base ? p->offset : base;
	uint64_t to = p->end - base > CHUNK_BYTES ? base + CHUNK_BYTES : p->end;
	struct extent e = {.form = EXTENT_HOLE};

	assert(p->kind != PIECE_BYTES && from < to);
	if (p->kind == PIECE_EXTENT) {
		e = p->extent;
		e.form = EXTENT_FRAME;
		e.skip += (uint32_t)(from - p->offset);
	}
	e.offset = (uint32_t)(from - base);
	e.len = (uint32_t)(to - from);
	return e;
}

static void overlay_one(struct file_data *f, const struct piece *p, uint64_t number)
{
	struct chunk_entry *e = entry_find(f, number);

	if (!e)
		return;
	struct extent x = piece_extent(p, number);

	if (e->view != GROUP_NOW || chunk_put(&e->chunk, &x) < 0) {
		entry_remove(f, e);
		return;
	}
	if (e->overlaid != f->encoded + 1) {
		/* Above the limit encode.c has just written the whole record. */
		e->merged = e->merged > CHUNK_MERGED_MAX ? 1 : e->merged + 1;
		e->overlaid = f->encoded + 1;
	}
	recharge(f, e);
}

void chunk_cache_overlay(struct file_data *f, const struct piece *p)
{
	uint64_t first, last;
	size_t n;

	if (!f->chunks)
		return;
	chunk_range(p->offset, p->end, &first, &last);
	if (last - first <= LOOP_CHUNKS_MAX) {
		for (uint64_t c = first; c < last; c++)
			overlay_one(f, p, c);
		return;
	}
	uint64_t *numbers = known_numbers(f, first, last, &n);

	if (!numbers) {
		chunk_cache_drop(f, p->offset, p->end);
		return;
	}
	for (size_t i = 0; i < n; i++)
		overlay_one(f, p, numbers[i]);
	free(numbers);
}

/* ---- loading ---- */

int chunk_read(struct file_data *f, uint64_t view, uint64_t number, unsigned flags,
	struct chunk *ret, unsigned *ret_merged, struct error *err)
{
	struct key k = key_chunk(file_key_inode(f), number);
	struct index_info info = {0};
	struct buf value = BUF_INIT;
	int r = index_get(f->data->o.index, view, key_slice(&k), flags, &value, &info, err);

	*ret_merged = 0;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = chunk_decode(buf_slice(&value), true, ret);
	buf_done(&value);
	if (r == -EBADMSG)
		return error_set(err, r, "inode %llu: the record of chunk %llu is damaged",
			(unsigned long long)f->inode, (unsigned long long)number);
	*ret_merged = info.merged;
	return r < 0 ? error_set(err, r, "no memory for a chunk") : 0;
}

int chunk_load(struct file_data *f, uint64_t view, uint64_t number, struct error *err)
{
	struct data *d = f->data;
	struct chunk c = {0};
	unsigned merged;

	rwlock_rdlock(f->lock);
	uint64_t encoded = f->encoded, generation = atomic_load(&d->generation);

	rwlock_unlock(f->lock);
	int r = chunk_read(f, view, number, 0, &c, &merged, err);

	if (r < 0)
		return r;
	if (c.n >= CHUNK_EXTENTS_REFRAME && view == GROUP_NOW)
		reframe_request(f, number);
	rwlock_wrlock(f->lock);
	if (encoded == f->encoded || view != GROUP_NOW)
		chunk_cache_install(f, view, number, &c, merged, generation);
	rwlock_unlock(f->lock);
	chunk_done(&c);
	return 0;
}
