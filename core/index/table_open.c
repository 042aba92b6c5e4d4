/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening: one read of the tail, a second one when the parts are longer than guessed. Size, salt
 * and digest of the footer come from the manifest; the footer gives places and lengths of the
 * parts, and each part proves itself by its seal. The header, which is part of what the seals
 * cover, is built from what the manifest says when it was not read; only where that fails (another
 * ring key, a feature) it is read too.
 */
#include "core/index/table_internal.h"

#include "core/base/cleanup.h"
#include "core/index/filter.h"

#include <sodium.h>
#include <stdlib.h>

#define TAIL_GUESS 65536 /* bytes */

/* The end of the object: bytes [at, size). */
struct tail {
	uint8_t *data;
	uint64_t at, size;
};

static int read_tail(const struct table *t, size_t len, struct tail *ret, struct error *err)
{
	struct tail tail = {.data = malloc(len)};
	size_t got;
	uint64_t size;
	int r;

	if (!tail.data)
		return error_set(err, -ENOMEM, "no memory to open a table");
	r = store_get_tail(t->pool->store, t->key, tail.data, len, &got, &size, err);
	if (r == 0 && size != t->meta.size)
		r = error_set(err, -EBADMSG, "has %llu bytes instead of %llu",
			(unsigned long long)size, (unsigned long long)t->meta.size);
	if (r == 0 && got != (size < len ? size : len))
		r = error_set(err, -EBADMSG, "gave %zu bytes of its end instead of %zu", got, len);
	if (r < 0) {
		free(tail.data);
		return r;
	}
	tail.size = size;
	tail.at = size - got;
	free(ret->data);
	*ret = tail;
	return 0;
}

static int read_footer(
	const struct table *t, const struct tail *tail, struct table_footer *ret, struct error *err)
{
	const uint8_t *raw = tail->data + (tail->size - tail->at) - TABLE_FOOTER_BYTES;
	uint8_t digest[DIGEST_BYTES];

	if (tail->size < HEADER_BYTES + TABLE_FOOTER_BYTES)
		return error_set(err, -EBADMSG, "is shorter than a table");
	(void)crypto_generichash(digest, sizeof(digest), raw, TABLE_FOOTER_BYTES, NULL, 0);
	if (memcmp(digest, t->meta.digest, DIGEST_BYTES) != 0)
		return error_set(
			err, -EBADMSG, "is not the one that the manifest names (other digest)");
	return table_footer_decode(raw, tail->size, ret, err);
}

/* The tail that holds all parts. */
static int read_parts(
	const struct table *t, struct tail *tail, struct table_footer *f, struct error *err)
{
	uint64_t first;
	int r = read_tail(t, TAIL_GUESS, tail, err);

	if (r == 0)
		r = read_footer(t, tail, f, err);
	if (r < 0)
		return r;
	first = f->size;
	for (int i = 0; i < TABLE_PARTS; i++)
		if (f->part[i].offset < first)
			first = f->part[i].offset;
	return first >= tail->at ? 0 : read_tail(t, (size_t)(f->size - first), tail, err);
}

static int open_header(const struct table *t, const uint8_t raw[HEADER_BYTES], struct envelope *ret,
	struct error *err)
{
	return envelope_open(t->pool->keys, SLICE(raw, HEADER_BYTES), 1u << OBJECT_TABLE,
		t->meta.id.job, t->meta.id.counter, t->meta.salt, ret, err);
}

/* The header as it ought to be. */
static int guess_header(const struct table *t, struct envelope *ret, struct error *err)
{
	struct header h = {.kind = OBJECT_TABLE,
		.key_id = keys_current(t->pool->keys),
		.a = t->meta.id.job,
		.b = t->meta.id.counter};
	uint8_t raw[HEADER_BYTES];

	memcpy(h.volume, keys_volume_id(t->pool->keys), VOLUME_ID_BYTES);
	memcpy(h.salt, t->meta.salt, AEAD_SALT_BYTES);
	header_encode(&h, raw);
	return open_header(t, raw, ret, err);
}

static int read_header(const struct table *t, struct envelope *ret, struct error *err)
{
	uint8_t raw[HEADER_BYTES];
	size_t got;
	int r = store_get(t->pool->store, t->key, 0, raw, sizeof(raw), &got, NULL, err);

	if (r < 0)
		return r;
	if (got != sizeof(raw))
		return error_set(err, -EBADMSG, "is shorter than a header");
	return open_header(t, raw, ret, err);
}

static int open_part(const struct table_body *b, const struct tail *tail,
	const struct table_footer *f, enum table_part part, struct buf *ret, struct error *err)
{
	const struct table_footer_part *p = &f->part[part];
	struct slice sealed = SLICE(tail->data + (p->offset - tail->at), p->sealed);

	return part_open(&b->envelope, table_part_ordinal[part], p->plain, sealed, p->plain, ret,
		table_part_name[part], err);
}

/* The header and, as its proof, the properties. */
static int open_properties(const struct table *t, const struct tail *tail,
	const struct table_footer *f, struct table_body *b, struct buf *plain, struct error *err)
{
	int r;

	if (tail->at == 0) {
		r = open_header(t, tail->data, &b->envelope, err);
		return r < 0 ? r : open_part(b, tail, f, TABLE_PROPERTIES, plain, err);
	}
	if (guess_header(t, &b->envelope, NULL) == 0 &&
		open_part(b, tail, f, TABLE_PROPERTIES, plain, NULL) == 0)
		return 0;
	buf_clear(plain);
	r = read_header(t, &b->envelope, err);
	return r < 0 ? r : open_part(b, tail, f, TABLE_PROPERTIES, plain, err);
}

static int decode_body(struct table_body *b, const struct table_footer *f, struct error *err)
{
	int r = table_index_decode(buf_slice(&b->plain[TABLE_INDEX]), f->size - TABLE_FOOTER_BYTES,
		&b->blocks, &b->nblocks, err);

	if (r == 0)
		r = table_ranges_decode(
			buf_slice(&b->plain[TABLE_RANGES]), &b->fragments, &b->nfragments, err);
	if (r == 0 && filter_check(buf_slice(&b->plain[TABLE_FILTER])) < 0)
		r = error_set(err, -EBADMSG, "filter of a table does not decode");
	return r;
}

static size_t body_bytes(const struct table_body *b)
{
	size_t bytes = sizeof(*b) + b->nblocks * sizeof(*b->blocks) +
		       b->nfragments * sizeof(*b->fragments) +
		       b->props.dropped.cap * sizeof(struct segment_ref);

	for (int i = 0; i < TABLE_PARTS; i++)
		bytes += b->plain[i].cap;
	return bytes;
}

static int fill_body(
	const struct table *t, struct tail *tail, struct table_body *b, struct error *err)
{
	struct table_footer f;
	struct buf plain = BUF_INIT;
	int r = read_parts(t, tail, &f, err);

	if (r == 0)
		r = open_properties(t, tail, &f, b, &plain, err);
	if (r == 0)
		r = table_properties_decode(buf_slice(&plain), &b->props, err);
	buf_done(&plain);
	for (int i = 0; i < TABLE_PARTS && r == 0; i++)
		if (i != TABLE_PROPERTIES)
			r = open_part(b, tail, &f, (enum table_part)i, &b->plain[i], err);
	return r < 0 ? r : decode_body(b, &f, err);
}

int table_body_read(const struct table *t, struct table_body **ret, struct error *err)
{
	struct table_body *b = calloc(1, sizeof(*b));
	struct tail tail = {0};
	int r;

	if (!b)
		return error_set(err, -ENOMEM, "no memory to open a table");
	refcount_init(&b->refs);
	r = fill_body(t, &tail, b, err);
	free(tail.data);
	if (r < 0) {
		table_body_unref(b);
		(void)error_prefix(err, "%s", t->key); /* the code is r */
		return r;
	}
	b->budget = t->pool->budget;
	b->charge = body_bytes(b);
	if (b->budget)
		budget_force(b->budget, BUDGET_CACHE, b->charge);
	*ret = b;
	return 0;
}

void table_body_unref(struct table_body *b)
{
	if (!b || !refcount_unref(&b->refs))
		return;
	if (b->budget)
		budget_put(b->budget, BUDGET_CACHE, b->charge);
	for (int i = 0; i < TABLE_PARTS; i++)
		buf_done(&b->plain[i]);
	free(b->blocks);
	free(b->fragments);
	table_properties_done(&b->props);
	free(b);
}
