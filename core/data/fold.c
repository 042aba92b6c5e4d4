/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/data/fold.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/data/extents.h"
#include "core/data/keyspace.h"

#include <assert.h>

#define SEGMENT_HAS_BASE 1u
#define DIRENT_PREFIX 17 /* bytes: inode, kind, cookie */

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

int segment_record_decode(struct slice value, struct segment_record *ret)
{
	struct cursor in = cursor_of(value);
	struct segment_record s = {0};
	uint8_t flags = cursor_u8(&in);

	if (flags & ~SEGMENT_HAS_BASE)
		return -EBADMSG;
	if (flags & SEGMENT_HAS_BASE) {
		struct slice salt = cursor_bytes(&in, sizeof(s.salt));

		s.has_base = true;
		if (salt.len == sizeof(s.salt))
			memcpy(s.salt, salt.data, sizeof(s.salt));
		s.plain_total = cursor_varint(&in);
	}
	s.live = unzigzag(cursor_varint(&in));
	if (in.bad || cursor_left(&in))
		return -EBADMSG;
	*ret = s;
	return 0;
}

int segment_record_encode(const struct segment_record *s, struct buf *out)
{
	int r = buf_append_u8(out, s->has_base ? SEGMENT_HAS_BASE : 0);

	if (r == 0 && s->has_base)
		r = buf_append(out, s->salt, sizeof(s->salt));
	if (r == 0 && s->has_base)
		r = buf_append_varint(out, s->plain_total);
	return r < 0 ? r : buf_append_varint(out, zigzag(s->live));
}

int usage_record_decode(struct slice value, struct usage_record *ret)
{
	struct cursor in = cursor_of(value);
	int64_t bytes = unzigzag(cursor_varint(&in)), inodes = unzigzag(cursor_varint(&in));

	if (in.bad || cursor_left(&in))
		return -EBADMSG;
	*ret = (struct usage_record){.bytes = bytes, .inodes = inodes};
	return 0;
}

int usage_record_encode(const struct usage_record *u, struct buf *out)
{
	int r = buf_append_varint(out, zigzag(u->bytes));

	return r < 0 ? r : buf_append_varint(out, zigzag(u->inodes));
}

/* Oldest first: the base, then each delta over it. */
static int fold_chunk(const struct record *versions, size_t n, bool full, struct buf *out)
{
	struct chunk c = {0};
	bool base_full = versions[n - 1].op == RECORD_PUT;
	int r = chunk_decode(versions[n - 1].value, base_full, &c);

	for (size_t i = n - 1; r == 0 && i-- > 0;) {
		struct chunk delta = {0};

		r = chunk_decode(versions[i].value, false, &delta);
		if (r == 0)
			r = chunk_apply(&c, &delta);
		chunk_done(&delta);
	}
	if (r == 0)
		r = chunk_encode(&c, full, out);
	chunk_done(&c);
	return r;
}

static int fold_segment(const struct record *versions, size_t n, struct buf *out)
{
	struct segment_record sum = {0}, one;

	for (size_t i = 0; i < n; i++) {
		int r = segment_record_decode(versions[i].value, &one);

		if (r < 0)
			return r;
		int64_t live;

		if (__builtin_add_overflow(sum.live, one.live, &live))
			return -EBADMSG;
		if (one.has_base)
			sum = one;
		sum.live = live;
	}
	return segment_record_encode(&sum, out);
}

static int fold_usage(const struct record *versions, size_t n, struct buf *out)
{
	struct usage_record sum = {0}, one;

	for (size_t i = 0; i < n; i++) {
		int r = usage_record_decode(versions[i].value, &one);

		if (r < 0)
			return r;
		if (__builtin_add_overflow(sum.bytes, one.bytes, &sum.bytes) ||
			__builtin_add_overflow(sum.inodes, one.inodes, &sum.inodes))
			return -EBADMSG;
	}
	return usage_record_encode(&sum, out);
}

static bool has_deltas(const struct key_parts *p)
{
	return p->kind == KEY_CHUNK || p->kind == KEY_SEGMENT ||
	       (p->kind == KEY_COUNTER && p->a == COUNTER_USAGE);
}

static int data_fold_fold(const struct record *versions, size_t n, bool complete, struct buf *out,
	enum record_op *ret_op)
{
	enum record_op base = versions[n - 1].op;
	bool full = complete || base == RECORD_PUT;
	struct key_parts p;
	int r;

	assert(n >= 1);
	if (n == 1 && base == RECORD_PUT) {
		*ret_op = RECORD_PUT;
		return buf_append_slice(out, versions[0].value);
	}
	if (!key_parse(versions[0].key, &p) || !has_deltas(&p))
		return -EBADMSG;
	if (p.kind == KEY_CHUNK)
		r = fold_chunk(versions, n, full, out);
	else if (p.kind == KEY_SEGMENT)
		r = fold_segment(versions, n, out);
	else
		r = fold_usage(versions, n, out);
	if (r < 0)
		return r;
	*ret_op = full ? RECORD_PUT : RECORD_DELTA;
	return 0;
}

static int data_fold_references(const struct record *r, int sign, struct segment_refs *refs)
{
	struct key_parts p;
	struct chunk c = {0};

	if (r->op != RECORD_PUT && r->op != RECORD_DELTA)
		return 0;
	if (!key_parse(r->key, &p) || p.kind != KEY_CHUNK)
		return 0;
	int e = chunk_decode(r->value, r->op == RECORD_PUT, &c);

	if (e == 0)
		e = chunk_references(&c, sign, refs);
	chunk_done(&c);
	return e;
}

static size_t data_fold_filter_prefix(struct slice key, uint8_t *out)
{
	if (key.len < DIRENT_PREFIX || key.data[8] != KEY_DIRENT)
		return 0;
	memcpy(out, key.data, DIRENT_PREFIX);
	out[DIRENT_PREFIX - 1] &= 0x80; /* the number that tells equal hashes apart */
	return DIRENT_PREFIX;
}

const struct index_fold data_fold = {
	.fold = data_fold_fold,
	.references = data_fold_references,
	.filter_prefix = data_fold_filter_prefix,
};
