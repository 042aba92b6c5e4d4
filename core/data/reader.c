/* SPDX-License-Identifier: GPL-3.0-or-later */
/* data_read, data_seek: plan under the shared lock, then read without it. */
#include "core/data/chunk_cache.h"
#include "core/data/reader.h"

#include <assert.h>
#include <stdlib.h>

#define GONE_TRIES 3		   /* a segment may have been repacked between plan and GET */
#define PIECE_BYTES_MAX (8u << 20) /* planned at once: its chunks always fit the cache */
#define LOAD_TRIES 1000 /* chunks that were loaded and are missing again: no memory for them */
#define LOAD_TRIES_QUICK 8

static const struct pending *top_of(const struct reader_source *s)
{
	if (s->stored_only || s->view != GROUP_NOW)
		return NULL;
	return s->map ? s->map : s->file->pending;
}

/* Loads what the plan is missing. (0) */
static int load_missing(const struct reader_source *s, struct plan *p, struct error *err)
{
	for (size_t i = 0; i < p->nmissing; i++) {
		int r = chunk_load(s->file, s->view, p->missing[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The chunks of the range were read from records that may be old: read them again. */
static void forget_chunks(struct file_data *f, uint64_t offset, uint64_t end)
{
	rwlock_wrlock(f->lock);
	chunk_cache_drop(f, offset, end);
	rwlock_unlock(f->lock);
}

static int read_gone(int r, const struct reader_source *s, uint64_t offset, struct error *err)
{
	if (r != -ENOENT)
		return r;
	return error_set(err, -EBADMSG, "inode %llu: a segment that holds bytes at %llu is missing",
		(unsigned long long)s->file->inode, (unsigned long long)offset);
}

/* Plans [offset, end) completely; the lock is taken shared, and `size_of` tells under it where the
 * file ends (may be NULL). */
static int plan_all(const struct reader_source *s, struct plan *p, uint64_t offset, uint64_t *end,
	uint64_t (*size_of)(const struct file_data *f), uint8_t *out, struct error *err)
{
	struct file_data *f = s->file;

	for (int tries = 0; tries < LOAD_TRIES; tries++) {
		uint64_t to = *end;
		int r = 0;

		plan_done(p);
		plan_init(p, s->view);
		rwlock_rdlock(f->lock);
		if (size_of) {
			uint64_t size = size_of(f);

			to = to < size ? to : size;
		}
		if (offset >= to) {
			to = offset;
		} else if (f->is_inline && !s->map && !s->stored_only) {
			size_t have = offset < f->inline_len ? f->inline_len - offset : 0,
			       n = to - offset;

			have = have < n ? have : n;
			if (have)
				memcpy(out, f->inline_bytes + offset, have);
			memset(out + have, 0, n - have);
		} else {
			r = plan_fill(p, f, top_of(s), offset, to, out);
		}
		rwlock_unlock(f->lock);
		if (r < 0)
			return error_set(err, r, "no memory for a read");
		if (p->nmissing == 0) {
			*end = to;
			return 0;
		}
		if (tries > LOAD_TRIES_QUICK)
			env_sleep_ms(1);
		r = load_missing(s, p, err);
		if (r < 0)
			return r;
	}
	return error_set(err, -ENOMEM, "no memory for the chunks of a read");
}

static int read_some(const struct reader_source *s, uint64_t offset, size_t len, uint8_t *out,
	uint64_t (*size_of)(const struct file_data *f), size_t *ret_len, struct error *err)
{
	struct plan p;
	int r = 0;

	plan_init(&p, s->view);
	for (int i = 0; i < GONE_TRIES; i++) {
		uint64_t end = offset + len;

		r = plan_all(s, &p, offset, &end, size_of, out, err);
		*ret_len = (size_t)(end - offset);
		if (r == 0 && p.n)
			r = reader_fetch(s->file->data, &p, err);
		if (r != -ENOENT)
			break;
		forget_chunks(s->file, offset, offset + len);
	}
	plan_done(&p);
	return read_gone(r, s, offset, err);
}

int reader_read(
	const struct reader_source *s, uint64_t offset, size_t len, uint8_t *out, struct error *err)
{
	size_t got;

	assert(len <= PIECE_BYTES_MAX);
	return read_some(s, offset, len, out, NULL, &got, err);
}

int data_read(struct file_data *f, uint64_t view, uint64_t offset, size_t len, uint8_t *out,
	uint64_t (*size_of)(const struct file_data *f), size_t *ret_len, struct error *err)
{
	struct reader_source s = {.file = f, .view = view};
	size_t done = 0;

	while (done < len) {
		size_t n = len - done < PIECE_BYTES_MAX ? len - done : PIECE_BYTES_MAX, got;
		int r = read_some(&s, offset + done, n, out + done, size_of, &got, err);

		if (r < 0)
			return r;
		done += got;
		if (got < n)
			break;
	}
	*ret_len = done;
	return 0;
}

/* ---- seek ---- */

/* The same for what no map covers; `until`: where a map goes on. */
static bool stored_span(const struct reader_source *s, const struct reader_absent *a, uint64_t at,
	uint64_t until, struct reader_span *ret)
{
	const struct file_data *f = s->file;
	uint64_t number = chunk_of(at), base = number * CHUNK_BYTES, end;
	const struct chunk_entry *e = chunk_cache_find(f, s->view, number);

	*ret = (struct reader_span){.kind = PIECE_HOLE};
	if (!e && number >= a->from && number < a->to && a->encoded == f->encoded) {
		end = a->to > UINT64_MAX / CHUNK_BYTES ? UINT64_MAX : a->to * CHUNK_BYTES;
		ret->end = end < until ? end : until;
		return true;
	}
	if (!e)
		return false;
	const struct extent *x = chunk_at(&e->chunk, (uint32_t)(at - base));
	bool covers = x && x < e->chunk.extents + e->chunk.n && base + x->offset <= at;

	end = !x ? base + CHUNK_BYTES : covers ? base + x->offset + x->len : base + x->offset;
	ret->end = end < until ? end : until;
	if (covers && x->form == EXTENT_FRAME) {
		ret->kind = PIECE_EXTENT;
		ret->extent = *x;
		ret->extent.skip += (uint32_t)(at - base - x->offset);
	}
	return true;
}

bool reader_span_at(const struct reader_source *s, const struct reader_absent *a, uint64_t at,
	struct reader_span *ret)
{
	uint64_t until = UINT64_MAX;

	for (const struct pending *map = top_of(s); map; map = map->older) {
		const struct piece *p = pieces_find(&map->pieces, at);

		if (!p)
			continue;
		if (p->offset <= at) {
			*ret = (struct reader_span){.kind = p->kind, .piece = p};
			ret->end = p->end < until ? p->end : until;
			if (p->kind == PIECE_EXTENT) {
				ret->extent = p->extent;
				ret->extent.skip += (uint32_t)(at - p->offset);
			}
			return true;
		}
		until = p->offset < until ? p->offset : until;
	}
	return stored_span(s, a, at, until, ret);
}

int reader_span_load(
	const struct reader_source *s, uint64_t number, struct reader_absent *a, struct error *err)
{
	struct file_data *f = s->file;
	struct key first = key_chunk(file_key_inode(f), number);
	struct key end = key_kind_first(file_key_inode(f), KEY_CHUNK + 1);
	struct index_scan *scan;
	struct record record;
	struct key_parts parts;

	rwlock_rdlock(f->lock);
	a->encoded = f->encoded;
	rwlock_unlock(f->lock);
	int r = index_scan_open(
		f->data->o.index, s->view, key_slice(&first), key_slice(&end), 0, &scan, err);

	if (r < 0)
		return r;
	r = index_scan_next(scan, &record, err);
	uint64_t found = UINT64_MAX;

	if (r == 1 && key_parse(record.key, &parts))
		found = parts.a;
	index_scan_close(scan);
	if (r < 0)
		return r;
	a->from = number;
	a->to = found;
	return found == number ? chunk_load(f, s->view, number, err) : 0;
}

/* One pass under the lock: 1 found, 0 *at needs a chunk. */
static int seek_pass(const struct reader_source *s, const struct reader_absent *a, uint64_t size,
	bool hole, uint64_t *at)
{
	bool missing = false;
	int found = 0;

	rwlock_rdlock(s->file->lock);
	if (s->file->is_inline) {
		*at = hole ? size : *at;
		found = 1;
	}
	while (!found && !missing && *at < size) {
		struct reader_span span;

		if (!reader_span_at(s, a, *at, &span))
			missing = true;
		else if ((span.kind != PIECE_HOLE) != hole)
			found = 1;
		else
			*at = span.end;
	}
	if (*at >= size) {
		*at = size;
		found = 1;
	}
	rwlock_unlock(s->file->lock);
	return found;
}

int data_seek(struct file_data *f, uint64_t size, uint64_t offset, bool hole, uint64_t *ret,
	struct error *err)
{
	struct reader_source s = {.file = f, .view = GROUP_NOW};
	struct reader_absent absent = {0};
	uint64_t at = offset;

	if (offset >= size)
		return -ENXIO;
	while (!seek_pass(&s, &absent, size, hole, &at)) {
		int r = reader_span_load(&s, chunk_of(at), &absent, err);

		if (r < 0)
			return r;
	}
	if (at >= size && !hole)
		return -ENXIO;
	*ret = at;
	return 0;
}
