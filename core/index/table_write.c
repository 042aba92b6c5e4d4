/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records of the current block are staged until it is full, because the block begins with its
 * highest group. Blocks are sealed as they fill and collect in chunks, which become the parts of
 * one create at the end.
 */
#include "core/index/table_write.h"

#include "core/base/arena.h"
#include "core/index/block.h"
#include "core/index/filter.h"
#include "core/index/range_cut.h"
#include "core/seal/envelope.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define CHUNK_BYTES_MIN (64u << 10)
#define CHUNK_BYTES_MAX (1u << 20)
#define HASHES_MAX (2u << 20) /* of the filter; 16 MiB while the table is written */
#define PART_BYTES_FULL                                                                            \
	(6u << 20)	 /* a plain part of this size ends a table: the limit is CODEC_PLAIN_MAX */
#define ENTRY_OVERHEAD 6 /* bytes of a block entry beside key and value, about */
#define TAIL_BYTES 4096	 /* allowance for properties and footer */
#define RANGE_BYTES 16	 /* of a fragment beside its keys, about */

struct staged {
	size_t key, value; /* offsets in `stage` */
	size_t key_len, value_len;
	uint64_t group;
	enum record_op op;
};

struct table_writer {
	struct table_writer_options o;
	struct table_id id;
	struct envelope envelope;
	uint64_t reserved; /* bytes of class MERGE */

	/* the block being filled */
	struct buf stage;
	struct staged *recs;
	size_t nrecs, caprecs;
	size_t stage_bytes; /* of the block, estimated */

	/* what is sealed */
	struct buf *chunks;
	size_t nchunks, capchunks, chunk_bytes;
	uint64_t at; /* offset of the next part in the object */
	uint64_t blocks;
	uint64_t last_end; /* of the last block */

	struct buf index; /* entries, without the count */
	uint64_t *hashes;
	size_t nhashes, caphashes;
	uint64_t last_prefix;

	struct arena range_keys;
	struct record *ranges;
	size_t nranges, capranges;
	size_t range_bytes;

	struct table_properties props;
	struct buf last_key; /* of the points */
	uint64_t npoints;
};

int table_writer_new(const struct table_writer_options *o, struct table_id id,
	struct table_writer *successor_of, struct table_writer **ret, struct error *err)
{
	struct table_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->o = *o;
	w->id = id;
	w->at = w->last_end = HEADER_BYTES;
	w->chunk_bytes = o->table_bytes / 8 < CHUNK_BYTES_MIN	? CHUNK_BYTES_MIN
			 : o->table_bytes / 8 > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX
								: (size_t)o->table_bytes / 8;
	r = envelope_new(o->keys, OBJECT_TABLE, id.job, id.counter, &w->envelope, err);
	if (r < 0) {
		free(w);
		return r;
	}
	if (successor_of) {
		w->reserved = successor_of->reserved;
		successor_of->reserved = 0;
	} else if (o->budget) {
		r = budget_get(o->budget, BUDGET_MERGE, o->table_bytes);
		if (r < 0) {
			free(w);
			return error_set(err, r, "shutting down");
		}
		w->reserved = o->table_bytes;
	}
	*ret = w;
	return 0;
}

void table_writer_free(struct table_writer *w)
{
	if (!w)
		return;
	if (w->reserved)
		budget_put(w->o.budget, BUDGET_MERGE, w->reserved);
	for (size_t i = 0; i < w->nchunks; i++)
		buf_done(&w->chunks[i]);
	free(w->chunks);
	buf_done(&w->stage);
	free(w->recs);
	buf_done(&w->index);
	free(w->hashes);
	arena_done(&w->range_keys);
	free(w->ranges);
	table_properties_done(&w->props);
	buf_done(&w->last_key);
	free(w);
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "no memory for a table");
}

/* The array, with room for one element of `size` bytes more. NULL on ENOMEM: it is as it was. */
static void *grow(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	size_t more = *cap ? *cap * 2 : 16;
	void *p = reallocarray(array, more, size);

	if (p)
		*cap = more;
	return p;
}

/* ---- sealing ---- */

/* A chunk with room for a sealed part. NULL on ENOMEM. */
static struct buf *chunk_for(struct table_writer *w, size_t bytes)
{
	struct buf *c = w->nchunks ? &w->chunks[w->nchunks - 1] : NULL;

	if (c && c->cap - c->len >= bytes)
		return c;
	struct buf *chunks = grow(w->chunks, w->nchunks, &w->capchunks, sizeof(*chunks));

	if (!chunks)
		return NULL;
	w->chunks = chunks;
	c = &chunks[w->nchunks];
	*c = (struct buf)BUF_INIT;
	if (buf_reserve(c, bytes > w->chunk_bytes ? bytes : w->chunk_bytes) < 0)
		return NULL;
	w->nchunks++;
	return c;
}

/* Seals a part of known plain length behind what is there. */
static int append_part(struct table_writer *w, uint64_t ordinal, struct codec_choice codec,
	struct slice plain, struct table_footer_part *ret, struct error *err)
{
	struct buf *c;
	size_t before;
	int r;

	if (plain.len > CODEC_PLAIN_MAX)
		return error_set(err, -EFBIG, "a part of a table has %zu bytes", plain.len);
	c = chunk_for(w, part_bound(plain.len));
	if (!c)
		return no_memory(err);
	before = c->len;
	r = part_seal(&w->envelope, ordinal, (uint32_t)plain.len, codec, plain, c, err);
	if (r < 0)
		return r;
	*ret = (struct table_footer_part){w->at, (uint32_t)(c->len - before), (uint32_t)plain.len};
	w->at += ret->sealed;
	return 0;
}

static struct record staged_record(const struct table_writer *w, const struct staged *s)
{
	return (struct record){SLICE(w->stage.data + s->key, s->key_len), s->group, s->op,
		SLICE(w->stage.data + s->value, s->value_len)};
}

static int build_block(const struct table_writer *w, struct block_builder *b)
{
	uint64_t base = 0;

	for (size_t i = 0; i < w->nrecs; i++)
		if (w->recs[i].group > base)
			base = w->recs[i].group;
	if (block_builder_init(b, base) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < w->nrecs; i++) {
		struct record r = staged_record(w, &w->recs[i]);

		if (block_builder_add(b, &r) < 0)
			return -ENOMEM;
	}
	return block_builder_finish(b);
}

static int end_block(struct table_writer *w, struct error *err)
{
	struct block_builder b = {0};
	struct table_footer_part p;
	int r = build_block(w, &b);

	r = r < 0 ? no_memory(err)
		  : append_part(w, w->blocks, w->o.codec, buf_slice(&b.out), &p, err);
	block_builder_done(&b);
	if (r < 0)
		return r;
	struct table_block entry = {
		staged_record(w, &w->recs[w->nrecs - 1]).key, p.offset, p.sealed, p.plain};

	if (table_index_append(&w->index, &entry, w->last_end) < 0)
		return no_memory(err);
	w->last_end = p.offset + p.sealed;
	w->blocks++;
	w->nrecs = 0;
	w->stage_bytes = 0;
	buf_clear(&w->stage);
	return 0;
}

/* ---- adding ---- */

static int add_hash(struct table_writer *w, uint64_t hash)
{
	uint64_t *hashes = grow(w->hashes, w->nhashes, &w->caphashes, sizeof(*hashes));

	if (!hashes)
		return -ENOMEM;
	w->hashes = hashes;
	w->hashes[w->nhashes++] = hash;
	return 0;
}

/* The key, once for all its versions, and its prefix, once for all neighbours that share it. */
static int add_to_filter(struct table_writer *w, struct slice key)
{
	uint8_t prefix[RECORD_KEY_MAX];
	size_t len =
		w->o.fold && w->o.fold->filter_prefix ? w->o.fold->filter_prefix(key, prefix) : 0;

	if (add_hash(w, filter_hash(key)) < 0)
		return -ENOMEM;
	if (len == 0)
		return 0;
	uint64_t hash = filter_hash(SLICE(prefix, len));

	if (w->nhashes > 1 && hash == w->last_prefix)
		return 0;
	w->last_prefix = hash;
	return add_hash(w, hash);
}

static void count_group(struct table_properties *p, uint64_t group)
{
	if (p->group_low == 0 || group < p->group_low)
		p->group_low = group;
	if (group > p->group_high)
		p->group_high = group;
}

static int stage_record(struct table_writer *w, const struct record *r)
{
	struct staged s = {
		.key_len = r->key.len, .value_len = r->value.len, .group = r->group, .op = r->op};

	struct staged *recs = grow(w->recs, w->nrecs, &w->caprecs, sizeof(*recs));

	if (!recs)
		return -ENOMEM;
	w->recs = recs;
	s.key = w->stage.len;
	if (buf_append_slice(&w->stage, r->key) < 0)
		return -ENOMEM;
	s.value = w->stage.len;
	if (buf_append_slice(&w->stage, r->value) < 0)
		return -ENOMEM;
	w->recs[w->nrecs++] = s;
	return 0;
}

static int add_point(struct table_writer *w, const struct record *r, struct error *err)
{
	size_t shared = slice_common_prefix(buf_slice(&w->last_key), r->key);
	bool same = w->npoints && shared == r->key.len && shared == w->last_key.len;

	if (w->nrecs && w->stage_bytes >= w->o.block_bytes) {
		int e = end_block(w, err);

		if (e < 0)
			return e;
	}
	if ((!same && add_to_filter(w, r->key) < 0) || stage_record(w, r) < 0)
		return no_memory(err);
	w->stage_bytes += r->key.len - shared + r->value.len + ENTRY_OVERHEAD;
	if (w->npoints == 0 &&
		(w->props.first.len == 0 || slice_cmp(r->key, buf_slice(&w->props.first)) < 0)) {
		buf_clear(&w->props.first);
		if (buf_append_slice(&w->props.first, r->key) < 0)
			return no_memory(err);
	}
	if (!same) {
		buf_clear(&w->last_key);
		if (buf_append_slice(&w->last_key, r->key) < 0)
			return no_memory(err);
	}
	w->npoints++;
	w->props.puts += r->op == RECORD_PUT;
	w->props.deletes += r->op == RECORD_DELETE;
	w->props.deltas += r->op == RECORD_DELTA;
	count_group(&w->props, r->group);
	return 0;
}

static int add_range(struct table_writer *w, struct slice first, struct slice end, uint64_t group)
{
	struct record *ranges = grow(w->ranges, w->nranges, &w->capranges, sizeof(*ranges));

	if (!ranges)
		return -ENOMEM;
	w->ranges = ranges;
	uint8_t *keys = arena_alloc(&w->range_keys, first.len + end.len);

	if (!keys)
		return -ENOMEM;
	memcpy(keys, first.data, first.len);
	memcpy(keys + first.len, end.data, end.len);
	w->ranges[w->nranges++] = (struct record){
		SLICE(keys, first.len), group, RECORD_RANGE, SLICE(keys + first.len, end.len)};
	w->range_bytes += 2 * (first.len + end.len + RANGE_BYTES);
	return 0;
}

int table_writer_add(struct table_writer *w, const struct record *r, struct error *err)
{
	assert(r->group > 0 && r->key.len > 0 && r->key.len <= RECORD_KEY_MAX);
	if (r->op != RECORD_RANGE)
		return add_point(w, r, err);
	if (slice_cmp(r->key, r->value) >= 0)
		return 0;
	return add_range(w, r->key, r->value, r->group) < 0 ? no_memory(err) : 0;
}

/* Extends [props.first, props.last] by a key. */
int table_writer_cover(struct table_writer *w, struct slice key)
{
	struct table_properties *p = &w->props;
	bool none = p->first.len == 0;

	if (none || slice_cmp(key, buf_slice(&p->first)) < 0) {
		buf_clear(&p->first);
		if (buf_append_slice(&p->first, key) < 0)
			return -ENOMEM;
	}
	if (p->last.len == 0 || slice_cmp(key, buf_slice(&p->last)) > 0) {
		buf_clear(&p->last);
		if (buf_append_slice(&p->last, key) < 0)
			return -ENOMEM;
	}
	return 0;
}

bool table_writer_empty(const struct table_writer *w)
{
	return w->npoints == 0 && w->nranges == 0;
}

uint64_t table_writer_bytes(const struct table_writer *w)
{
	return w->at + w->stage_bytes + w->index.len + w->nhashes * FILTER_BITS_PER_KEY / 8 +
	       w->range_bytes + TAIL_BYTES;
}

bool table_writer_full(const struct table_writer *w)
{
	return table_writer_bytes(w) >= w->o.table_bytes || w->nhashes >= HASHES_MAX ||
	       w->index.len >= PART_BYTES_FULL || w->range_bytes >= PART_BYTES_FULL;
}

int table_writer_split(struct table_writer *w, struct slice at, struct table_writer *next)
{
	size_t kept = 0;

	assert(w->npoints == 0 || slice_cmp(buf_slice(&w->last_key), at) < 0);
	for (size_t i = 0; i < w->nranges; i++) {
		struct record *r = &w->ranges[i];
		struct slice first = slice_cmp(r->key, at) < 0 ? at : r->key;

		if (slice_cmp(r->value, at) <= 0) {
			w->ranges[kept++] = *r;
			continue;
		}
		if (add_range(next, first, r->value, r->group) < 0)
			return -ENOMEM;
		if (slice_cmp(r->key, at) >= 0)
			continue;
		/* `at` is the caller's: the piece that stays needs an end of its own. */
		uint8_t *end = arena_alloc(&w->range_keys, at.len);

		if (!end)
			return -ENOMEM;
		memcpy(end, at.data, at.len);
		r->value = SLICE(end, at.len);
		w->ranges[kept++] = *r;
	}
	w->nranges = kept;
	return 0;
}

/* ---- the end ---- */

static int by_first_key(const void *a, const void *b)
{
	return record_cmp(a, b);
}

static int append_ranges(struct table_writer *w, struct table_footer_part *ret, struct error *err)
{
	struct buf plain = BUF_INIT, last = BUF_INIT;
	int r;

	for (size_t i = 0; i < w->nranges; i++)
		count_group(&w->props, w->ranges[i].group);
	if (w->nranges)
		qsort(w->ranges, w->nranges, sizeof(*w->ranges), by_first_key);
	r = range_cut(
		w->ranges, w->nranges, w->o.pins, w->o.npins, &plain, &w->props.ranges, &last);
	if (r == 0 && w->nranges) {
		r = table_writer_cover(w, w->ranges[0].key);
		if (r == 0)
			r = table_writer_cover(w, buf_slice(&last));
	}
	r = r < 0 ? no_memory(err)
		  : append_part(w, ORDINAL_TABLE_RANGES, w->o.codec, buf_slice(&plain), ret, err);
	buf_done(&plain);
	buf_done(&last);
	return r;
}

static int append_filter(struct table_writer *w, struct table_footer_part *ret, struct error *err)
{
	struct codec_choice raw = {.codec = CODEC_RAW};
	struct buf plain = BUF_INIT;
	int r = filter_build(w->hashes, w->nhashes, &plain);

	r = r < 0 ? no_memory(err)
		  : append_part(w, ORDINAL_TABLE_FILTER, raw, buf_slice(&plain), ret, err);
	buf_done(&plain);
	return r;
}

static int append_index(struct table_writer *w, struct table_footer_part *ret, struct error *err)
{
	struct buf plain = BUF_INIT;
	int r = buf_append_varint(&plain, w->blocks);

	if (r == 0)
		r = buf_append_slice(&plain, buf_slice(&w->index));
	r = r < 0 ? no_memory(err)
		  : append_part(w, ORDINAL_TABLE_INDEX, w->o.codec, buf_slice(&plain), ret, err);
	buf_done(&plain);
	return r;
}

static int append_properties(struct table_writer *w, const struct segment_refs *dropped,
	struct table_footer_part *ret, struct error *err)
{
	struct table_properties p = w->props; /* borrows */
	struct buf plain = BUF_INIT;
	int r;

	p.dropped = dropped ? *dropped : (struct segment_refs){0};
	r = table_properties_encode(&p, &plain);
	r = r < 0 ? no_memory(err)
		  : append_part(
			    w, ORDINAL_TABLE_PROPERTIES, w->o.codec, buf_slice(&plain), ret, err);
	buf_done(&plain);
	return r;
}

static int append_tail(struct table_writer *w, const struct segment_refs *dropped,
	struct table_footer *f, struct error *err)
{
	int r = w->nrecs ? end_block(w, err) : 0;

	if (r == 0 && w->npoints && table_writer_cover(w, buf_slice(&w->last_key)) < 0)
		r = no_memory(err);
	if (r == 0)
		r = append_filter(w, &f->part[TABLE_FILTER], err);
	if (r == 0)
		r = append_ranges(w, &f->part[TABLE_RANGES], err);
	if (r == 0 && w->props.first.len == 0)
		r = error_set(err, -EINVAL, "a table without keys");
	if (r == 0)
		r = append_index(w, &f->part[TABLE_INDEX], err);
	if (r == 0)
		r = append_properties(w, dropped, &f->part[TABLE_PROPERTIES], err);
	f->size = w->at + TABLE_FOOTER_BYTES;
	return r;
}

static int store_object(struct table_writer *w, const uint8_t *footer, struct error *err)
{
	char key[TABLE_KEY_BYTES];
	struct slice *parts = calloc(w->nchunks + 2, sizeof(*parts));
	int r;

	if (!parts)
		return no_memory(err);
	parts[0] = SLICE(w->envelope.raw, HEADER_BYTES);
	for (size_t i = 0; i < w->nchunks; i++)
		parts[i + 1] = buf_slice(&w->chunks[i]);
	parts[w->nchunks + 1] = SLICE(footer, TABLE_FOOTER_BYTES);
	table_key(w->id, key);
	r = store_create(w->o.store, key, parts, w->nchunks + 2, err);
	free(parts);
	return r;
}

int table_writer_finish(struct table_writer *w, const struct segment_refs *dropped,
	struct table_meta *ret, struct error *err)
{
	uint8_t raw[TABLE_FOOTER_BYTES];
	struct table_footer f;
	struct table_meta m = {.id = w->id};
	int r = append_tail(w, dropped, &f, err);

	if (r < 0)
		return r;
	table_footer_encode(&f, raw);
	if (buf_append_slice(&m.first, buf_slice(&w->props.first)) < 0 ||
		buf_append_slice(&m.last, buf_slice(&w->props.last)) < 0)
		r = no_memory(err);
	if (r == 0)
		r = store_object(w, raw, err);
	if (r < 0) {
		buf_done(&m.first);
		buf_done(&m.last);
		return r;
	}
	memcpy(m.salt, w->envelope.header.salt, sizeof(m.salt));
	(void)crypto_generichash(m.digest, sizeof(m.digest), raw, sizeof(raw), NULL, 0);
	m.size = f.size;
	m.group_low = w->props.group_low;
	m.group_high = w->props.group_high;
	*ret = m;
	return 0;
}
