/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A closed map becomes records of its group: a delta for each chunk that it touches, the whole
 * record where all of it is known, deletes where nothing is left. Committer thread; nobody else
 * changes a closed map whose bytes are all sealed, so it is walked without lock.
 *
 * A base is what older groups say about a chunk: it is needed for the count of allocated bytes, for
 * reserved ranges (fallocate), and to keep the number of extents bounded. Where it is not in memory
 * the chunk is put off, and bases are read in parallel, for a bounded number of chunks; beyond it
 * deltas are written blindly (and counted as new), so a close never waits for thousands of reads.
 */
#include "core/data/chunk_cache.h"
#include "core/data/encode.h"

#include <assert.h>
#include <stdlib.h>

#define POINT_DELETES_MAX 8u
#define SCAN_CHUNKS_MAX 16384u /* of a deleted range, to count what was charged */
#define CHUNK_EXTENTS_GATHER                                                                       \
	120u /* a record would get so many: the chunk is gathered before it is encoded */
#define DEFERRED_COLD_MAX 256u /* bases that are read for one group */
#define UNKNOWN_EXTENTS_PER_LOOK 16u

struct encode {
	struct pending *map;
	struct file_data *file;
	struct index_group *records;
	struct segment_refs *refs;
	struct deferred *deferred;
	struct buf value;      /* scratch */
	int64_t total;	       /* change of allocated bytes */
	uint64_t inode, bound; /* chunks from `bound` on do not exist in older groups */
	bool last;	       /* nothing may be put off any more */
};

enum base_state {
	BASE_UNKNOWN, /* cannot be had: a delta is written blindly */
	BASE_KNOWN,
	BASE_LATER, /* put off until it is in memory */
};

/* ---- chunks put off ---- */

static int put_off(struct encode *x, uint64_t chunk, bool worn)
{
	struct deferred *d = x->deferred;

	if (d->n == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 16;
		struct deferred_chunk *grown = realloc(d->chunks, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		d->chunks = grown;
		d->cap = cap;
	}
	d->ncold += !worn;
	d->chunks[d->n++] = (struct deferred_chunk){.map = x->map, .chunk = chunk, .worn = worn};
	return 0;
}

/* ---- records ---- */

/* Room for `more` segments, so that counting references to them cannot fail half-way. */
static int refs_reserve(struct segment_refs *refs, size_t more)
{
	size_t cap = refs->cap ? refs->cap : 16;

	while (cap < refs->n + more)
		cap *= 2;
	if (cap == refs->cap)
		return 0;
	struct segment_ref *grown = realloc(refs->refs, cap * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	refs->refs = grown;
	refs->cap = cap;
	return 0;
}

static int add_value(struct encode *x, const struct key *k, const struct chunk *c, bool full)
{
	int r;

	buf_clear(&x->value);
	r = chunk_encode(c, full, &x->value);
	if (r == 0)
		r = refs_reserve(x->refs, c->n);
	if (r == 0)
		r = index_reserve(x->records, k->len + x->value.len, 1);
	if (r < 0)
		return r;
	r = chunk_references(c, 1, x->refs);
	assert(r == 0);
	if (full)
		index_put(x->records, key_slice(k), buf_slice(&x->value));
	else
		index_delta(x->records, key_slice(k), buf_slice(&x->value));
	return 0;
}

static int add_delete(struct encode *x, uint64_t chunk)
{
	struct key k = key_chunk(x->inode, chunk);
	int r = index_reserve(x->records, k.len, 1);

	if (r == 0)
		index_delete(x->records, key_slice(&k));
	return r;
}

static int add_range_delete(struct encode *x, uint64_t first, uint64_t end)
{
	struct key a = key_chunk(x->inode, first), b = key_chunk(x->inode, end);
	int r = index_reserve(x->records, a.len + b.len, 1);

	if (r == 0)
		index_range_delete(x->records, key_slice(&a), key_slice(&b));
	return r;
}

/* ---- bases ---- */

/*
 * Chunks [first, end) are about to be deleted: what they charged; waits for the store. Not of more
 * than some thousands, and what cannot be read counts as nothing. 0, or -ENOMEM: nothing was
 * counted.
 */
static int count_deleted(struct encode *x, uint64_t first, uint64_t end)
{
	struct key a = key_chunk(x->inode, first), b = key_chunk(x->inode, end);
	struct index_scan *scan;
	struct record record;
	uint64_t charged = 0;
	int r;

	if (first >= end || x->map->reset)
		return 0;
	r = index_scan_open(
		x->file->data->o.index, GROUP_NOW, key_slice(&a), key_slice(&b), 0, &scan, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (unsigned i = 0; i < SCAN_CHUNKS_MAX && (r = index_scan_next(scan, &record, NULL)) == 1;
		i++) {
		struct chunk c = {0};

		r = chunk_decode(record.value, true, &c);
		if (r == 0)
			charged += chunk_allocated(&c);
		chunk_done(&c);
		if (r == -ENOMEM)
			break;
	}
	index_scan_close(scan);
	if (r == -ENOMEM)
		return r;
	x->total -= (int64_t)charged;
	return 0;
}

static int base_from_cache(
	struct encode *x, uint64_t chunk, struct chunk *ret, unsigned *ret_merged)
{
	int r = -ENOENT;

	rwlock_rdlock(x->file->lock);
	const struct chunk_entry *e = chunk_cache_find(x->file, GROUP_NOW, chunk);

	if (e) {
		*ret_merged = e->merged;
		r = chunk_copy(&e->chunk, ret);
	}
	rwlock_unlock(x->file->lock);
	return r;
}

/*
 * The base of a chunk. What is not in memory is put off, to be read together with the others, as
 * long as there are not too many; `must`: however many. 0 with *ret_state, -ENOMEM.
 */
static int base_get(struct encode *x, uint64_t chunk, bool must, struct chunk *ret,
	unsigned *ret_merged, enum base_state *ret_state)
{
	struct error err = {0};
	int r;

	*ret_state = BASE_KNOWN;
	*ret_merged = 0;
	if (chunk >= x->bound)
		return 0;
	r = base_from_cache(x, chunk, ret, ret_merged);
	if (r == -ENOENT)
		r = chunk_read(x->file, GROUP_NOW, chunk, x->last ? 0 : INDEX_CACHED, ret,
			ret_merged, &err);
	if (r == 0 || r == -ENOMEM)
		return r;
	*ret_state = BASE_UNKNOWN;
	if (r == -EWOULDBLOCK && (must || x->deferred->ncold < DEFERRED_COLD_MAX)) {
		r = put_off(x, chunk, false);
		*ret_state = BASE_LATER;
		return r;
	}
	return 0;
}

/* ---- one chunk ---- */

/* The map's pieces in the chunk. */
static int delta_of_pieces(
	const struct encode *x, uint64_t chunk, struct chunk *ret, uint32_t *ret_covered)
{
	uint64_t start = chunk * CHUNK_BYTES;
	const struct piece *p = pieces_find(&x->map->pieces, start);

	*ret_covered = 0;
	for (; p && p->offset < start + CHUNK_BYTES; p = piece_next(p)) {
		struct extent e = piece_extent(p, chunk);
		int r = chunk_put(ret, &e);

		if (r < 0)
			return r;
		*ret_covered += e.len;
	}
	return 0;
}

/* Reserved ranges where neither the delta nor the base has bytes: they become charged zeros of the
 * delta. */
static int delta_add_reserved(
	const struct encode *x, uint64_t chunk, const struct chunk *base, struct chunk *delta)
{
	uint64_t start = chunk * CHUNK_BYTES, end = start + CHUNK_BYTES;
	const struct piece *p = pieces_find(&x->map->reserved, start);
	struct chunk now = {0};
	int r = chunk_copy(base, &now);

	if (r == 0)
		r = chunk_apply(&now, delta);
	for (; r == 0 && p && p->offset < end; p = piece_next(p)) {
		uint32_t at = (uint32_t)((p->offset > start ? p->offset : start) - start);
		uint32_t to = (uint32_t)((p->end < end ? p->end : end) - start);

		while (r == 0 && at < to) {
			const struct extent *e = chunk_at(&now, at);
			bool covers = e && e->offset <= at;
			uint32_t upto = !e ? to : covers ? e->offset + e->len : e->offset;

			upto = upto < to ? upto : to;
			if (!covers || e->form == EXTENT_HOLE)
				r = chunk_put(delta, &(struct extent){.form = EXTENT_ALLOCATED,
							     .offset = at,
							     .len = upto - at});
			at = upto;
		}
	}
	chunk_done(&now);
	return r;
}

static bool has_content(const struct chunk *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->extents[i].form != EXTENT_HOLE)
			return true;
	return false;
}

/*
 * Now and then a delta upon a base that is not in memory is the occasion to look at the chunk, so
 * that one that is only ever written does not gather extents without end.
 */
static void look_sometimes(const struct encode *x, uint64_t chunk, size_t extents)
{
	uint32_t random;

	env_random(&random, sizeof(random));
	if (random % UNKNOWN_EXTENTS_PER_LOOK < extents)
		reframe_request(x->file, chunk);
}

/* Whether so many extents are too many for the record, and the chunk can be gathered first. */
static bool too_worn(const struct encode *x, size_t extents)
{
	return extents > CHUNK_EXTENTS_GATHER && !x->last && x->map->touched;
}

/* A chunk of the map on its way to a record. */
struct chunk_encode {
	uint64_t number;
	struct chunk delta, base, whole; /* whole: delta over base */
	uint32_t covered;		 /* bytes that the map covers */
	unsigned merged;		 /* versions of the base, 0 = no record */
	enum base_state state;
};

static int write_chunk(struct encode *x, struct chunk_encode *c)
{
	struct key k = key_chunk(x->inode, c->number);

	if (c->state == BASE_UNKNOWN && c->covered < CHUNK_BYTES) {
		look_sometimes(x, c->number, c->delta.n);
		return add_value(x, &k, &c->delta, false);
	}
	if (c->state == BASE_KNOWN && c->whole.n >= CHUNK_EXTENTS_REFRAME)
		reframe_request(x->file, c->number);
	if (!has_content(&c->whole)) {
		bool nothing = c->number >= x->bound ||
			       (c->state == BASE_KNOWN && c->merged == 0 && !x->map->reset);

		return nothing ? 0 : add_delete(x, c->number);
	}
	if (c->covered == CHUNK_BYTES || c->merged == 0 || c->merged > CHUNK_MERGED_MAX)
		return add_value(x, &k, &c->whole, true);
	return add_value(x, &k, &c->delta, false);
}

/* 1 = put off. */
static int prepare_chunk(struct encode *x, struct chunk_encode *c)
{
	uint64_t start = c->number * CHUNK_BYTES;
	const struct piece *p = pieces_find(&x->map->reserved, start);
	bool reserved = p && p->offset < start + CHUNK_BYTES;
	int r = delta_of_pieces(x, c->number, &c->delta, &c->covered);

	c->state = BASE_KNOWN;
	if (r == 0 && !x->map->reset)
		r = base_get(x, c->number, reserved, &c->base, &c->merged, &c->state);
	if (r < 0 || c->state == BASE_LATER)
		return r < 0 ? r : 1;
	if (reserved && (c->state == BASE_KNOWN || c->covered == CHUNK_BYTES))
		r = delta_add_reserved(x, c->number, &c->base, &c->delta);
	if (r == 0)
		r = chunk_copy(&c->base, &c->whole);
	if (r == 0)
		r = chunk_apply(&c->whole, &c->delta);
	/* Upon a base that is unknown only the delta can be counted: copies of many small pieces
	 * make it long by themselves. */
	if (r == 0 && too_worn(x, c->state == BASE_KNOWN ? c->whole.n : c->delta.n)) {
		r = put_off(x, c->number, true);
		return r < 0 ? r : 1;
	}
	return r;
}

static int encode_chunk(struct encode *x, uint64_t number)
{
	struct chunk_encode c = {.number = number};
	int r = prepare_chunk(x, &c);

	if (r == 0) {
		r = write_chunk(x, &c);
		if (r == 0)
			x->total += (int64_t)chunk_allocated(&c.whole) -
				    (int64_t)chunk_allocated(&c.base);
	}
	chunk_done(&c.delta);
	chunk_done(&c.base);
	chunk_done(&c.whole);
	return r < 0 ? r : 0;
}

/* ---- walking ---- */

/* Chunks [first, end) are holes as a whole. */
static int encode_hole(struct encode *x, uint64_t first, uint64_t end)
{
	int r = 0;

	if (end > x->bound)
		end = x->bound;
	if (first >= end)
		return 0;
	if (end - first > POINT_DELETES_MAX) {
		r = add_range_delete(x, first, end);
	} else {
		for (uint64_t c = first; r == 0 && c < end; c++)
			r = add_delete(x, c);
	}
	return r;
}

/* Whether whole chunks from `at` on are a hole and nothing is reserved there; up to which chunk. */
static bool whole_holes(const struct encode *x, uint64_t at, uint64_t *ret_end)
{
	const struct piece *p = pieces_find(&x->map->pieces, at),
			   *r = pieces_find(&x->map->reserved, at);

	if (at % CHUNK_BYTES || !p || p->kind != PIECE_HOLE || p->offset > at)
		return false;
	*ret_end = p->end == PIECE_FOREVER ? UINT64_MAX / CHUNK_BYTES + 1 : chunk_of(p->end);
	if (r && chunk_of(r->offset) < *ret_end)
		*ret_end = chunk_of(r->offset);
	return *ret_end > chunk_of(at);
}

/* The first byte at or after `at` that the map says anything about; PIECE_FOREVER = none. */
static uint64_t next_touched(const struct encode *x, uint64_t at)
{
	const struct piece *p = pieces_find(&x->map->pieces, at),
			   *r = pieces_find(&x->map->reserved, at);
	uint64_t a = !p ? PIECE_FOREVER : p->offset > at ? p->offset : at;
	uint64_t b = !r ? PIECE_FOREVER : r->offset > at ? r->offset : at;

	return a < b ? a : b;
}

/* What begins at `*at`, which the map touches; moves it behind. A step that fails for want of
 * memory can be repeated. */
static int encode_step(struct encode *x, uint64_t *at)
{
	uint64_t chunk = chunk_of(*at), end;
	int r;

	if (whole_holes(x, chunk * CHUNK_BYTES, &end)) {
		int64_t before = x->total;

		/* While they can be read. */
		r = count_deleted(x, chunk, end < x->bound ? end : x->bound);
		if (r == 0)
			r = encode_hole(x, chunk, end);
		if (r < 0)
			x->total = before;
	} else {
		end = chunk + 1;
		r = encode_chunk(x, chunk);
	}
	if (r == 0)
		*at = end > UINT64_MAX / CHUNK_BYTES ? PIECE_FOREVER : end * CHUNK_BYTES;
	return r;
}

static struct encode encode_begin(
	struct pending *map, struct segment_refs *refs, struct deferred *deferred, bool last)
{
	return (struct encode){.map = map,
		.file = map->file,
		.records = map->group->records,
		.refs = refs,
		.deferred = deferred,
		.last = last,
		.inode = file_key_inode(map->file),
		.bound = map->old_size ? chunk_of(map->old_size - 1) + 1 : 0};
}

/* -ENOMEM: waits, and tells whether to go on at all. */
static int patiently(const struct encode *x, int r)
{
	if (r != -ENOMEM)
		return r;
	env_sleep_ms(RETRY_MS);
	return log_turn(x->file->data->log, x->map->group->group);
}

int encode_map(struct pending *map, struct segment_refs *refs, struct deferred *deferred)
{
	struct encode x = encode_begin(map, refs, deferred, false);
	uint64_t at = 0;
	int r = 0;

	while (r == 0 && (at = next_touched(&x, at)) != PIECE_FOREVER)
		r = patiently(&x, encode_step(&x, &at));
	buf_done(&x.value);
	map->total += x.total;
	return r;
}

int encode_deferred(const struct deferred_chunk *c, struct segment_refs *refs,
	struct deferred *deferred, bool last)
{
	struct encode x = encode_begin(c->map, refs, deferred, last);
	bool done = false;
	int r = 0;

	while (r == 0 && !done) {
		r = encode_chunk(&x, c->chunk);
		done = r == 0;
		r = patiently(&x, r);
	}
	buf_done(&x.value);
	c->map->total += x.total;
	return r;
}

/*
 * By how much the map changed what is allocated, by its extents. A map that covers everything has
 * made nothing of what older groups charged, which follows from A1 (file.c): all older maps are
 * encoded.
 */
static int64_t total_change(const struct pending *map)
{
	const struct file_data *f = map->file;
	uint64_t older = f->allocated - (f->is_inline ? f->inline_len : 0);

	if (!map->reset)
		return map->total;
	for (const struct pending *m = f->pending; m; m = m->older)
		older -= (uint64_t)m->booked;
	return (int64_t)(file_charged(f, map, 0, PIECE_FOREVER) - older);
}

void encode_finish(struct pending *map)
{
	struct file_data *f = map->file;

	rwlock_wrlock(f->lock);
	assert(!map->older);
	file_account(f, map->group, total_change(map) - map->booked);
	for (const struct piece *p = pieces_find(&map->pieces, 0); p; p = piece_next(p))
		chunk_cache_overlay(f, p);
	for (const struct piece *p = pieces_find(&map->reserved, 0); p; p = piece_next(p))
		chunk_cache_drop(f, p->offset, p->end);
	f->encoded++;
	file_unlink_map(f, map);
	rwlock_unlock(f->lock);
}
