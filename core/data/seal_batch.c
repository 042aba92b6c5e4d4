/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/data/sealer.h"

#include <assert.h>
#include <stdlib.h>

void seal_batch_init(struct seal_batch *b, struct group_data *gd)
{
	*b = (struct seal_batch){.group = gd, .max_frames = gd->data->seal_frames};
}

void seal_batch_done(struct seal_batch *b)
{
	for (size_t i = 0; i < b->nslices; i++)
		dirty_block_unref(b->slices[i].block);
	free(b->slices);
	b->slices = NULL;
	b->nslices = b->cap = b->nframes = 0;
}

/* ---- collecting ---- */

static int add_slice(struct seal_batch *b, struct seal_frame *f, const struct piece *p,
	uint64_t from, uint64_t to)
{
	if (b->nslices == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : SEAL_FRAMES_MAX;
		struct seal_slice *grown = realloc(b->slices, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		b->slices = grown;
		b->cap = cap;
	}
	b->slices[b->nslices++] = (struct seal_slice){.block = dirty_block_ref(p->block),
		.start = p->start + (from - p->offset),
		.len = to - from,
		.offset = from};
	f->len += (uint32_t)(to - from);
	f->n++;
	return 0;
}

/* The frame that begins at `at`, inside the bytes of `p`: up to the next boundary, or where bytes
 * end. Moves `at`. */
static int collect_frame(struct seal_batch *b, struct pending *map, const struct piece **p,
	uint64_t *at, uint64_t end)
{
	struct seal_frame *f = &b->frames[b->nframes];
	uint64_t limit = *at - *at % FRAME_PLAIN_MAX + FRAME_PLAIN_MAX;

	*f = (struct seal_frame){.map = map, .offset = *at, .first = b->nslices};
	if (limit > end)
		limit = end;
	while (*p && (*p)->kind == PIECE_BYTES && (*p)->offset <= *at && *at < limit) {
		uint64_t to = (*p)->end < limit ? (*p)->end : limit;
		int r = add_slice(b, f, *p, *at, to);

		if (r < 0) {
			while (b->nslices > f->first)
				dirty_block_unref(b->slices[--b->nslices].block);
			*at = f->offset;
			return r;
		}
		*at = to;
		if (to == (*p)->end)
			*p = piece_next(*p);
	}
	b->nframes++;
	return 0;
}

int seal_collect(struct seal_batch *b, struct pending *map, uint64_t *at, uint64_t end)
{
	int r = 0;

	rwlock_rdlock(map->file->lock);
	const struct piece *p = pieces_find(&map->pieces, *at);

	while (r == 0 && b->nframes < b->max_frames) {
		while (p && p->offset < end && p->kind != PIECE_BYTES)
			p = piece_next(p);
		if (!p || p->offset >= end) {
			*at = end;
			break;
		}
		if (*at < p->offset)
			*at = p->offset;
		r = collect_frame(b, map, &p, at, end);
	}
	rwlock_unlock(map->file->lock);
	return r;
}

/* ---- sealing ---- */

static bool frame_is_zero(const struct seal_batch *b, const struct seal_frame *f)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct seal_slice *s = &b->slices[f->first + i];

		if (!bytes_are_zero(s->block->data + s->start, s->len))
			return false;
	}
	return true;
}

/* The frame's bytes as slices, joined where they lie behind each other. Returns how many, 0 = too
 * many for `room`. */
static size_t frame_slices(
	const struct seal_batch *b, const struct seal_frame *f, struct slice *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct seal_slice *s = &b->slices[f->first + i];
		const uint8_t *p = s->block->data + s->start;

		if (n && out[n - 1].data + out[n - 1].len == p) {
			out[n - 1].len += s->len;
			continue;
		}
		if (n == room)
			return 0;
		out[n++] = SLICE(p, s->len);
	}
	return n;
}

/* Seals one frame to `out`. */
static int64_t seal_one(const struct seal_batch *b, const struct seal_frame *f,
	const struct segment *s, uint64_t ordinal, uint8_t *out)
{
	const struct data *d = b->group->data;
	struct slice few[64], *slices = few;
	uint8_t *joined = NULL;
	size_t n = frame_slices(b, f, few, 64);

	if (n == 0) {
		size_t len = 0;

		joined = malloc(f->len);
		if (!joined)
			return -ENOMEM;
		for (size_t i = 0; i < f->n; i++) {
			const struct seal_slice *from = &b->slices[f->first + i];

			memcpy(joined + len, from->block->data + from->start, from->len);
			len += from->len;
		}
		few[0] = SLICE(joined, len);
		n = 1;
	}
	int64_t sealed = frame_seal(
		segment_key(s), keys_lineage(d->o.keys), ordinal, d->o.codec, slices, n, out);

	free(joined);
	return sealed;
}

/* The frames that are not zero, in order: sealed into `bytes` under ordinals from `first`. */
static int seal_frames(struct seal_batch *b, const struct segment *s, uint64_t first,
	uint8_t *bytes, struct sealed_frame *sealed, size_t *ret_len)
{
	size_t at = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < b->nframes; i++) {
		const struct seal_frame *f = &b->frames[i];

		if (f->zero)
			continue;
		int64_t len = seal_one(b, f, s, first + n, bytes + at);

		if (len < 0)
			return (int)len;
		sealed[n++] = (struct sealed_frame){.sealed_len = (size_t)len,
			.inode = file_key_inode(f->map->file),
			.offset = f->offset,
			.plain_len = f->len};
		at += (size_t)len;
	}
	*ret_len = at;
	return 0;
}

/* The reservation is made: whatever happens now, exactly one segment_append. */
static int seal_reserved(struct seal_batch *b, struct segment *s, uint64_t first, unsigned n,
	uint8_t *bytes, size_t charge)
{
	struct data *d = b->group->data;
	struct sealed_frame sealed[SEAL_FRAMES_MAX];
	struct frame_place places[SEAL_FRAMES_MAX];
	size_t len = 0, plain = 0;
	int r = segments_hold(d->segments, segment_epoch(s), segment_sequence(s), segment_salt(s),
		segment_key(s));

	if (r == 0)
		r = seal_frames(b, s, first, bytes, sealed, &len);
	if (r < 0) {
		segment_append(s, first, n, NULL, 0, bytes, charge, NULL);
		return r;
	}
	uint8_t *shrunk = realloc(bytes, len);

	if (shrunk) {
		bytes = shrunk;
		budget_put(d->o.budget, BUDGET_COMMIT, charge - len);
		charge = len;
	}
	segment_append(s, first, n, sealed, n, bytes, charge, places);
	for (unsigned i = 0, at = 0; i < b->nframes; i++) {
		if (b->frames[i].zero)
			continue;
		b->frames[i].place = places[at++];
		plain += b->frames[i].len;
	}
	atomic_fetch_add(&d->frames_sealed, n);
	atomic_fetch_add(&d->plain_sealed, plain);
	atomic_fetch_add(&d->bytes_sealed, len);
	return 0;
}

/* Turn, memory, reservation, in this order (log.h). */
static int seal_into_segment(struct seal_batch *b, unsigned n, size_t plain, size_t bound)
{
	struct data *d = b->group->data;
	struct segment *s;
	uint64_t first;
	int r = log_turn(d->log, b->group->group);

	if (r == 0)
		r = budget_get(d->o.budget, BUDGET_COMMIT, bound);
	if (r < 0)
		return r;
	uint8_t *bytes = malloc(bound);

	r = bytes ? log_segment(d->log, b->group->group, n, plain, &s, &first) : -ENOMEM;
	if (r < 0) {
		free(bytes);
		budget_put(d->o.budget, BUDGET_COMMIT, bound);
		return r;
	}
	r = seal_reserved(b, s, first, n, bytes, bound);
	segment_unref(s);
	return r;
}

/* ---- installing ---- */

/* D2: turns what is still the slice's bytes into what they were sealed as. */
static void install_slice(struct pending *map, const struct seal_frame *f,
	const struct seal_slice *s, struct piece_pool *pool)
{
	uint64_t at = s->offset, end = s->offset + s->len;
	const struct piece *p;

	while (at < end && (p = pieces_find(&map->pieces, at)) && p->offset < end) {
		uint64_t from = p->offset > at ? p->offset : at, to = p->end < end ? p->end : end;

		at = to;
		if (p->kind != PIECE_BYTES || p->block != s->block ||
			p->start + (from - p->offset) != s->start + (from - s->offset))
			continue;
		if (pool->n < 2)
			return; /* it stays bytes, and is sealed again */
		struct piece what = {.kind = PIECE_HOLE, .offset = from, .end = to};

		if (!f->zero) {
			what.kind = PIECE_EXTENT;
			what.extent = (struct extent){.form = EXTENT_FRAME,
				.skip = (uint32_t)(from - f->offset),
				.plain_len = f->place.plain_len,
				.sealed_len = f->place.sealed_len,
				.epoch = f->place.epoch,
				.sequence = f->place.sequence,
				.ordinal = f->place.ordinal,
				.place = f->place.offset};
		}
		pieces_put(&map->pieces, &what, pool);
	}
}

static void install_frame(struct seal_batch *b, const struct seal_frame *f, struct piece_pool *pool)
{
	struct pending *map = f->map;

	rwlock_wrlock(map->file->lock);
	for (size_t i = 0; i < f->n; i++)
		install_slice(map, f, &b->slices[f->first + i], pool);
	rwlock_unlock(map->file->lock);
}

int seal_batch_run(struct seal_batch *b)
{
	struct piece_pool pool = {0};
	size_t plain = 0, bound = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < b->nframes; i++) {
		struct seal_frame *f = &b->frames[i];

		f->zero = f->map->touched && frame_is_zero(b, f);
		if (f->zero)
			continue;
		n++;
		plain += f->len;
		bound += frame_bound(f->len);
	}
	int r = n ? seal_into_segment(b, n, plain, bound) : 0;

	for (unsigned i = 0; r == 0 && i < b->nframes; i++) {
		r = piece_pool_fill(&pool, 2 * b->frames[i].n + 2);
		if (r == 0)
			install_frame(b, &b->frames[i], &pool);
	}
	piece_pool_done(&pool);
	return r;
}
