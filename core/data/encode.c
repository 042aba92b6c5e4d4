/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A closed map becomes records of its group: a delta for each chunk that it touches, the whole record where all of it is known, deletes where
 * nothing is left. Committer thread; nobody else changes a closed map whose bytes are all sealed, so it is walked without lock.
 *
 * A base is what older groups say about a chunk: for the count of allocated bytes (pending.assumed), for reserved ranges (fallocate), and
 * to keep the number of extents bounded. Where that is not in memory the chunk is put off and bases are read in parallel, for a
 * bounded number of chunks; beyond it deltas are written blindly, so a close never waits for thousands of reads.
 */
#include "core/data/data_internal.h"

#include <assert.h>
#include <stdlib.h>

#define POINT_DELETES_MAX 8u
#define SCAN_CHUNKS_MAX 4096u	 /* of a deleted range, to count what was charged */
#define CHUNK_EXTENTS_GATHER 120u /* a record would get so many: the chunk is gathered before it is encoded */
#define DEFERRED_COLD_MAX 256u	 /* bases that are read for one group */
#define UNKNOWN_EXTENTS_PER_LOOK 16u
#define CHUNK_PUT_OFF 1

struct encode {
	struct pending *map;
	struct file_data *file;
	struct index_group *records;
	struct segment_refs *refs;
	struct deferred *deferred;
	struct buf value; /* scratch */
	int64_t change;
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

/* ---- what was counted twice ---- */

/* Charged bytes of the base that were taken for nothing when the map changed them. */
static uint64_t assumed_charge(const struct encode *x, const struct chunk *base, uint64_t chunk)
{
	uint64_t start = chunk * CHUNK_BYTES, end = start + CHUNK_BYTES, sum = 0;
	const struct piece *p = pieces_find(&x->map->assumed, start);

	for (; p && p->offset < end; p = piece_next(p)) {
		uint64_t from = p->offset > start ? p->offset : start, to = p->end < end ? p->end : end;

		sum += chunk_charged(base, start, from, to);
	}
	return sum;
}

static bool assumes(const struct encode *x, uint64_t first, uint64_t end)
{
	const struct piece *p = pieces_find(&x->map->assumed, first * CHUNK_BYTES);

	return p && chunk_of(p->offset) < end;
}

/* The same for chunks [first, end) that are about to be deleted; waits for the store. Not of more than a few thousand. */
static void count_deleted(struct encode *x, uint64_t first, uint64_t end)
{
	struct key a = key_chunk(x->inode, first), b = key_chunk(x->inode, end);
	struct index_scan *scan;
	struct record record;
	struct key_parts parts;

	if (first >= end || !assumes(x, first, end) ||
		index_scan_open(x->file->data->o.index, GROUP_NOW, key_slice(&a), key_slice(&b), 0, &scan,
			NULL) < 0)
		return;
	for (unsigned i = 0; i < SCAN_CHUNKS_MAX && index_scan_next(scan, &record, NULL) == 1; i++) {
		struct chunk c = {0};

		if (key_parse(record.key, &parts) && chunk_decode(record.value, true, &c) == 0)
			x->change -= (int64_t)assumed_charge(x, &c, parts.a);
		chunk_done(&c);
	}
	index_scan_close(scan);
}

/* ---- bases ---- */

static int base_from_cache(struct encode *x, uint64_t chunk, struct chunk *ret, unsigned *ret_merged)
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
 * The base of a chunk. What is not in memory is put off, to be read together with the others, as long as there are not too many; `must`:
 * however many. 0 with *ret_state, -ENOMEM.
 */
static int base_get(struct encode *x, uint64_t chunk, bool must, struct chunk *ret, unsigned *ret_merged,
	enum base_state *ret_state)
{
	struct error err = {0};
	int r;

	*ret_state = BASE_KNOWN;
	*ret_merged = 0;
	if (chunk >= x->bound)
		return 0;
	r = base_from_cache(x, chunk, ret, ret_merged);
	if (r == -ENOENT)
		r = chunk_read(x->file, GROUP_NOW, chunk, x->last ? 0 : INDEX_CACHED, ret, ret_merged, &err);
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
static int delta_of_pieces(const struct encode *x, uint64_t chunk, struct chunk *ret, uint32_t *ret_covered)
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

/* Reserved ranges where neither the delta nor the base has bytes: they become charged zeros of the delta. */
static int delta_add_reserved(const struct encode *x, uint64_t chunk, const struct chunk *base, struct chunk *delta)
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
 * Now and then a delta upon a base that is not in memory is the occasion to look at the chunk, so that one that is only ever written does not
 * gather extents without end.
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

static int encode_delta(struct encode *x, uint64_t chunk, struct chunk *delta, const struct chunk *base,
	unsigned merged, enum base_state state)
{
	struct key k = key_chunk(x->inode, chunk);
	struct chunk whole = {0};
	int r;

	if (state == BASE_UNKNOWN) {
		look_sometimes(x, chunk, delta->n);
		return add_value(x, &k, delta, false);
	}
	if (base->n == 0 && merged == 0) /* no record */
		return has_content(delta) ? add_value(x, &k, delta, true) : 0;
	r = chunk_copy(base, &whole);
	if (r == 0)
		r = chunk_apply(&whole, delta);
	if (r < 0 || too_worn(x, whole.n)) {
		r = r < 0 ? r : put_off(x, chunk, true);
		chunk_done(&whole);
		return r < 0 ? r : CHUNK_PUT_OFF;
	}
	if (whole.n >= CHUNK_EXTENTS_REFRAME)
		reframe_request(x->file, chunk);
	if (!has_content(&whole))
		r = add_delete(x, chunk);
	else
		r = merged > CHUNK_MERGED_MAX ? add_value(x, &k, &whole, true)
					      : add_value(x, &k, delta, false);
	chunk_done(&whole);
	return r;
}

static int encode_chunk(struct encode *x, uint64_t chunk)
{
	uint64_t start = chunk * CHUNK_BYTES;
	const struct piece *reserved = pieces_find(&x->map->reserved, start);
	bool must = reserved && reserved->offset < start + CHUNK_BYTES;
	struct chunk delta = {0}, base = {0};
	enum base_state state = BASE_UNKNOWN;
	struct key k = key_chunk(x->inode, chunk);
	unsigned merged = 0;
	uint32_t covered;
	int64_t before = x->change;
	int r = delta_of_pieces(x, chunk, &delta, &covered);

	if (r == 0 && (covered < CHUNK_BYTES || must || assumes(x, chunk, chunk + 1)))
		r = base_get(x, chunk, must, &base, &merged, &state);
	if (r == 0 && state == BASE_LATER) {
		chunk_done(&delta);
		return 0;
	}
	if (r == 0 && state == BASE_KNOWN)
		x->change -= (int64_t)assumed_charge(x, &base, chunk);
	if (r == 0 && must && state == BASE_KNOWN)
		r = delta_add_reserved(x, chunk, &base, &delta);
	if (r == 0 && covered < CHUNK_BYTES)
		r = encode_delta(x, chunk, &delta, &base, merged, state);
	else if (r == 0 && has_content(&delta))
		r = add_value(x, &k, &delta, true);
	else if (r == 0 && chunk < x->bound)
		r = add_delete(x, chunk);
	if (r != 0) /* nothing was added */
		x->change = before;
	chunk_done(&delta);
	chunk_done(&base);
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
	const struct piece *p = pieces_find(&x->map->pieces, at), *r = pieces_find(&x->map->reserved, at);

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
	const struct piece *p = pieces_find(&x->map->pieces, at), *r = pieces_find(&x->map->reserved, at);
	uint64_t a = !p ? PIECE_FOREVER : p->offset > at ? p->offset : at;
	uint64_t b = !r ? PIECE_FOREVER : r->offset > at ? r->offset : at;

	return a < b ? a : b;
}

/* What begins at `*at`, which the map touches; moves it behind. A step that fails for want of memory can be repeated. */
static int encode_step(struct encode *x, uint64_t *at)
{
	uint64_t chunk = chunk_of(*at), end;
	int r;

	if (whole_holes(x, chunk * CHUNK_BYTES, &end)) {
		int64_t before = x->change;

		count_deleted(x, chunk, end < x->bound ? end : x->bound); /* while they can be read */
		r = encode_hole(x, chunk, end);
		if (r < 0)
			x->change = before;
	} else {
		end = chunk + 1;
		r = encode_chunk(x, chunk);
	}
	if (r == 0)
		*at = end > UINT64_MAX / CHUNK_BYTES ? PIECE_FOREVER : end * CHUNK_BYTES;
	return r;
}

static struct encode encode_begin(struct pending *map, struct segment_refs *refs, struct deferred *deferred, bool last)
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
	map->assumed_change += x.change;
	return r;
}

int encode_deferred(const struct deferred_chunk *c, struct segment_refs *refs, struct deferred *deferred, bool last)
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
	c->map->assumed_change += x.change;
	return r;
}

void encode_finish(struct pending *map)
{
	struct file_data *f = map->file;

	rwlock_wrlock(f->lock);
	for (const struct piece *p = pieces_find(&map->pieces, 0); p; p = piece_next(p))
		chunk_cache_overlay(f, p);
	for (const struct piece *p = pieces_find(&map->reserved, 0); p; p = piece_next(p))
		chunk_cache_drop(f, p->offset, p->end);
	f->encoded++;
	file_unlink_map(f, map);
	file_account(f, map->group, map->change + (map->void_assumed ? 0 : map->assumed_change));
	rwlock_unlock(f->lock);
}
