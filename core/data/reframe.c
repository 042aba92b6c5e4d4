/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks in too many extents are written anew.
 *
 * In the background: as a write of the same bytes, in which every stretch of bytes without a hole
 * becomes whole frames again. It does not change what is allocated, so the inode need not be
 * encoded with it.
 *
 * While a group closes, when its record would get too long or its pieces are too many: each frame
 * of the file that is worn becomes one piece from its first byte to its last, holes between
 * included.
 */
#include "core/data/chunk_cache.h"
#include "core/data/encode.h"
#include "core/data/reader.h"

#include <assert.h>
#include <stdlib.h>

#define REQUESTS_MAX 256u
#define ATTEMPTS 3
#define FRAMES_PER_CHUNK (CHUNK_BYTES / FRAME_PLAIN_MAX)
#define WORN_EXTENTS 4u /* a frame of the file in more extents than this is written anew */
#define BLOCK_OVERHEAD 512u

struct reframe {
	struct work work;
	struct list link; /* in data.reframes */
	struct file_data *file;
	uint64_t chunk;
};

/* A worn frame of the file, in the chunk: from its first byte of data to its last (from >= to: it
 * has none). */
struct worn {
	uint32_t frame, from, to;
};

static size_t find_worn(const struct chunk *c, struct worn ret[FRAMES_PER_CHUNK])
{
	size_t n = 0;

	for (uint32_t start = 0; start < CHUNK_BYTES; start += FRAME_PLAIN_MAX) {
		uint32_t end = start + FRAME_PLAIN_MAX;
		struct worn w = {.frame = start, .from = end, .to = start};
		unsigned extents = 0;

		for (size_t i = 0; i < c->n; i++) {
			const struct extent *e = &c->extents[i];
			uint32_t from = e->offset > start ? e->offset : start;
			uint32_t to = e->offset + e->len < end ? e->offset + e->len : end;

			if (from >= to)
				continue;
			extents++;
			if (e->form != EXTENT_FRAME)
				continue;
			w.from = from < w.from ? from : w.from;
			w.to = to > w.to ? to : w.to;
		}
		if (extents > WORN_EXTENTS)
			ret[n++] = w;
	}
	return n;
}

/* ---- while a group closes ---- */

/* The chunk as the map leaves it, with bytes as frames of nowhere: only its shape counts. */
static int shape_of(struct pending *map, uint64_t chunk, struct chunk *ret, struct error *err)
{
	uint64_t start = chunk * CHUNK_BYTES;
	uint32_t ordinal = 0;
	unsigned merged;
	int r = chunk_read(map->file, GROUP_NOW, chunk, 0, ret, &merged, err);
	const struct piece *p = pieces_find(&map->pieces, start);

	for (; r == 0 && p && p->offset < start + CHUNK_BYTES; p = piece_next(p)) {
		struct piece as = *p;

		if (as.kind == PIECE_BYTES) {
			as.kind = PIECE_EXTENT;
			as.extent = (struct extent){.ordinal = ordinal++};
		}
		struct extent e = piece_extent(&as, chunk);

		r = chunk_put(ret, &e);
	}
	return r;
}

/* The block holds the chunk's bytes: puts the worn frames over the map; what lies around the bytes
 * becomes one hole. (X) */
static void put_worn(struct pending *map, uint64_t chunk, const struct worn *worn, size_t n,
	struct dirty_block *b, struct piece_pool *pool)
{
	uint64_t start = chunk * CHUNK_BYTES;

	for (size_t i = 0; i < n; i++) {
		uint64_t frame = start + worn[i].frame;

		pieces_put(&map->pieces,
			&(struct piece){.kind = PIECE_HOLE,
				.offset = frame,
				.end = frame + FRAME_PLAIN_MAX},
			pool);
		if (worn[i].from < worn[i].to)
			pieces_put(&map->pieces,
				&(struct piece){.kind = PIECE_BYTES,
					.offset = start + worn[i].from,
					.end = start + worn[i].to,
					.block = b,
					.start = worn[i].from},
				pool);
	}
}

static int gather(struct pending *map, uint64_t chunk, struct dirty_block *b,
	struct piece_pool *pool, struct error *err)
{
	struct reader_source s = {.file = map->file, .view = GROUP_NOW, .map = map};
	struct worn worn[FRAMES_PER_CHUNK];
	struct chunk shape = {0};
	int r = shape_of(map, chunk, &shape, err);

	if (r == 0)
		r = reader_read(&s, chunk * CHUNK_BYTES, CHUNK_BYTES, b->data, err);
	if (r == 0) {
		rwlock_wrlock(map->file->lock);
		put_worn(map, chunk, worn, find_worn(&shape, worn), b, pool);
		rwlock_unlock(map->file->lock);
	}
	chunk_done(&shape);
	return r;
}

int reframe_closing(struct pending *map, uint64_t chunk)
{
	struct data *d = map->file->data;
	static struct diag_limit limit;
	struct piece_pool pool = {0};
	struct dirty_block *b = NULL;
	struct error err = {0};
	int r;

	for (;; env_sleep_ms(RETRY_MS)) {
		r = log_turn(d->log, map->group->group);
		if (r < 0)
			break;
		if (!b)
			b = dirty_block_new(d->o.budget, CHUNK_BYTES);
		if (!b || piece_pool_fill(&pool, 4 * FRAMES_PER_CHUNK) < 0)
			continue;
		if (!b->charge) {
			b->charge = CHUNK_BYTES + BLOCK_OVERHEAD;
			budget_force(d->o.budget, BUDGET_DIRTY, b->charge);
		}
		b->len = CHUNK_BYTES;
		r = gather(map, chunk, b, &pool, &err);
		if (r == 0 || r == -ECANCELED)
			break;
		diag_limited(&limit, DIAG_WARNING, "data", "inode=%llu chunk=%llu: %s",
			(unsigned long long)map->file->inode, (unsigned long long)chunk,
			error_text(&err, r));
		if (r == -EBADMSG) {
			r = 0; /* what lies below is damaged: the record gets long, but nothing is
				  hidden */
			break;
		}
	}
	piece_pool_done(&pool);
	dirty_block_unref(b);
	return r;
}

/* ---- in the background ---- */

/* Whether some map says anything about the chunk. (S) */
static bool touched(const struct file_data *f, uint64_t chunk)
{
	uint64_t start = chunk * CHUNK_BYTES, end = start + CHUNK_BYTES;

	for (const struct pending *map = f->pending; map; map = map->older) {
		const struct piece *p = pieces_find(&map->pieces, start),
				   *q = pieces_find(&map->reserved, start);

		if ((p && p->offset < end) || (q && q->offset < end))
			return true;
	}
	return false;
}

/* 1: a copy of the chunk and the count of encodes at which it held. 0: not worth it, or busy. (0)
 */
static int look(struct file_data *f, uint64_t chunk, struct chunk *ret, uint64_t *ret_encoded,
	struct error *err)
{
	int r = chunk_load(f, GROUP_NOW, chunk, err);

	if (r < 0)
		return r;
	rwlock_rdlock(f->lock);
	const struct chunk_entry *e = chunk_cache_find(f, GROUP_NOW, chunk);

	if (e && !f->is_inline && !touched(f, chunk) && e->chunk.n >= CHUNK_EXTENTS_REFRAME) {
		r = chunk_copy(&e->chunk, ret);
		r = r < 0 ? r : 1;
	}
	*ret_encoded = f->encoded;
	rwlock_unlock(f->lock);
	return r;
}

/* Extents of bytes from `i` on that lie behind each other in the file; 0: no bytes there. */
static size_t stretch_at(const struct chunk *c, size_t i)
{
	const struct extent *e = &c->extents[i];
	size_t n = 0;

	while (i + n < c->n && e[n].form == EXTENT_FRAME &&
		(n == 0 || e[n].offset == e[n - 1].offset + e[n - 1].len))
		n++;
	return n;
}

static bool has_stretch(const struct chunk *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (stretch_at(c, i) > 1)
			return true;
	return false;
}

/* Puts every stretch of several extents. (X) */
static void put_stretches(struct pending *map, uint64_t chunk, const struct chunk *c,
	struct dirty_block *b, struct piece_pool *pool)
{
	uint64_t start = chunk * CHUNK_BYTES;

	for (size_t i = 0, n; i < c->n; i += n) {
		const struct extent *e = &c->extents[i];

		n = stretch_at(c, i);
		if (n > 1)
			pieces_put(&map->pieces,
				&(struct piece){.kind = PIECE_BYTES,
					.offset = start + e->offset,
					.end = start + e[n - 1].offset + e[n - 1].len,
					.block = b,
					.start = e->offset},
				pool);
		n += n == 0;
	}
}

/* Writes the bytes as they were read, if nothing has changed the chunk since. */
static bool write_same(struct file_data *f, uint64_t chunk, const struct chunk *c,
	struct dirty_block *b, struct piece_pool *pool, struct pending **spare, uint64_t encoded)
{
	struct data *d = f->data;
	bool unchanged;

	rwlock_wrlock(f->lock);
	unchanged = f->encoded == encoded && !touched(f, chunk) && !f->is_inline;
	if (unchanged) {
		struct group *g = group_join(d->log);

		/* Its size is not known here: as if older groups could have any chunk. */
		put_stretches(file_map(f, g, UINT64_MAX, spare), chunk, c, b, pool);
		group_leave(g, true);
	}
	rwlock_unlock(f->lock);
	return unchanged;
}

/* 1 done, or nothing to do; 0 something changed meanwhile. */
static int rewrite(struct file_data *f, uint64_t chunk, struct dirty_block *b,
	struct piece_pool *pool, struct pending **spare, struct error *err)
{
	struct reader_source s = {.file = f, .view = GROUP_NOW, .stored_only = true};
	struct chunk c = {0};
	uint64_t encoded = 0;
	int r = look(f, chunk, &c, &encoded, err);

	if (r == 0 || (r > 0 && !has_stretch(&c))) {
		chunk_done(&c);
		return 1;
	}
	if (r > 0)
		r = reader_read(&s, chunk * CHUNK_BYTES, CHUNK_BYTES, b->data, err);
	if (r == 0)
		r = piece_pool_fill(pool, c.n + 1);
	if (r == 0) {
		b->len = CHUNK_BYTES;
		r = write_same(f, chunk, &c, b, pool, spare, encoded);
	}
	chunk_done(&c);
	return r;
}

static int reframe_one(struct file_data *f, uint64_t chunk, struct error *err)
{
	struct data *d = f->data;
	struct piece_pool pool = {0};
	struct pending *spare = pending_new();
	struct dirty_block *b = dirty_block_new(d->o.budget, CHUNK_BYTES);
	int r = spare && b ? 0 : -ENOMEM;

	/* Waits for nobody: dirty bytes may be held by groups that are being given up. Whoever
	 * reads or writes the chunk next asks again. */
	if (r == 0 && budget_try(d->o.budget, BUDGET_DIRTY, CHUNK_BYTES + BLOCK_OVERHEAD)) {
		b->charge = CHUNK_BYTES + BLOCK_OVERHEAD;
		for (int i = 0; r == 0 && i < ATTEMPTS; i++)
			r = rewrite(f, chunk, b, &pool, &spare, err);
	}
	piece_pool_done(&pool);
	pending_free(spare);
	dirty_block_unref(b);
	return r < 0 ? r : 0;
}

static void reframe_run(struct work *w)
{
	struct reframe *x = container_of(w, struct reframe, work);
	struct file_data *f = x->file;
	struct data *d = f->data;
	static struct diag_limit limit;
	struct error err = {0};
	int r = 0;

	mutex_lock(&d->lock);
	bool stopping = d->stopping;

	mutex_unlock(&d->lock);
	if (!stopping)
		r = reframe_one(f, x->chunk, &err);
	if (r < 0 && r != -ECANCELED)
		diag_limited(&limit, DIAG_WARNING, "data",
			"inode=%llu chunk=%llu not re-framed: %s", (unsigned long long)f->inode,
			(unsigned long long)x->chunk, error_text(&err, r));
	mutex_lock(&d->lock);
	list_remove(&x->link);
	d->nreframes--;
	mutex_unlock(&d->lock);
	free(x);
	d->owner.file_unref(f);
}

static bool wanted_locked(const struct data *d, const struct file_data *f, uint64_t chunk)
{
	const struct reframe *x;

	if (d->stopping || d->nreframes >= REQUESTS_MAX)
		return false;
	list_for_each (x, &d->reframes, link)
		if (x->file == f && x->chunk == chunk)
			return false;
	return true;
}

void reframe_request(struct file_data *f, uint64_t chunk)
{
	struct data *d = f->data;

	if (!d->log || !d->reframers)
		return;
	struct reframe *x = calloc(1, sizeof(*x));

	if (!x)
		return;
	x->work.run = reframe_run;
	x->file = f;
	x->chunk = chunk;
	d->owner.file_ref(f);
	mutex_lock(&d->lock);
	bool wanted = wanted_locked(d, f, chunk);

	if (wanted) {
		list_push_back(&d->reframes, &x->link);
		d->nreframes++;
		/* Under the lock, so that data_stop sees all that will run. */
		workers_submit(d->reframers, &x->work);
	}
	mutex_unlock(&d->lock);
	if (!wanted) {
		d->owner.file_unref(f);
		free(x);
	}
}
