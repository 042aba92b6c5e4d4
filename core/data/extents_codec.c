/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunk records: runs of extents and back (docs/format.md "extents"). */
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/data/extents.h"
#include "core/log/segment.h"
#include "core/seal/frame.h"

#include <assert.h>

#define CHUNK_VERSION 1

enum stored_form { FORM_RUN = 0, FORM_HOLE = 1, FORM_FRAME = 2, FORM_ALLOCATED = 3 };

/* ---- decoding ---- */

/* What any frame must satisfy wherever it stands; keeps readers from asking for absurd lengths. */
static bool frame_is_sane(const struct extent *e)
{
	return e->epoch >= 1 && e->ordinal < SEGMENT_FRAMES_MAX && e->plain_len >= 1 &&
	       e->plain_len <= FRAME_PLAIN_MAX &&
	       e->sealed_len > CODEC_HEADER_BYTES + AEAD_TAG_BYTES &&
	       e->sealed_len <= frame_bound(e->plain_len) && e->place >= HEADER_BYTES &&
	       e->place <= STORE_OBJECT_MAX - e->sealed_len;
}

static int decode_append(struct chunk *c, const struct extent *e)
{
	if (c->n >= CHUNK_EXTENTS_DECODE_MAX)
		return -EBADMSG;
	int r = chunk_reserve(c, 1);

	if (r < 0)
		return r;
	c->extents[c->n++] = *e;
	return 0;
}

static void decode_frame_head(struct cursor *in, struct extent *e)
{
	e->form = EXTENT_FRAME;
	e->epoch = cursor_varint(in);
	e->sequence = cursor_varint(in);
	e->ordinal = cursor_varint_max(in, SEGMENT_FRAMES_MAX - 1);
	e->place = cursor_varint_max(in, STORE_OBJECT_MAX);
}

static int decode_whole(struct cursor *in, struct chunk *c, uint32_t offset, uint32_t len)
{
	struct extent e = {.offset = offset, .len = len, .plain_len = len};

	decode_frame_head(in, &e);
	e.sealed_len = (uint32_t)cursor_varint_max(in, STORE_OBJECT_MAX);
	if (in->bad || !frame_is_sane(&e))
		return -EBADMSG;
	return decode_append(c, &e);
}

/* `len` file bytes at `offset` from neighbouring frames: all are used, the first from `skip` on,
 * the last perhaps not to its end. */
static int decode_run(struct cursor *in, struct chunk *c, uint32_t offset, uint32_t len)
{
	struct extent e = {.offset = offset};

	decode_frame_head(in, &e);
	e.skip = (uint32_t)cursor_varint_max(in, FRAME_PLAIN_MAX - 1);
	uint64_t count = cursor_varint_max(in, CHUNK_BYTES);

	if (in->bad || count == 0)
		return -EBADMSG;
	for (; count; count--) {
		e.plain_len = (uint32_t)cursor_varint_max(in, FRAME_PLAIN_MAX);
		e.sealed_len = (uint32_t)cursor_varint_max(in, STORE_OBJECT_MAX);
		if (in->bad || !frame_is_sane(&e) || e.skip >= e.plain_len || len == 0)
			return -EBADMSG;
		e.len = e.plain_len - e.skip < len ? e.plain_len - e.skip : len;
		int r = decode_append(c, &e);

		if (r < 0)
			return r;
		len -= e.len;
		e.offset += e.len;
		e.skip = 0;
		e.ordinal++;
		e.place += e.sealed_len;
	}
	return len ? -EBADMSG : 0;
}

static int decode_one(struct cursor *in, bool full, struct chunk *c, uint32_t *end)
{
	uint64_t head = cursor_varint_max(in, (uint64_t)CHUNK_BYTES << 2 | 3);
	uint64_t len = cursor_varint_max(in, CHUNK_BYTES), gap = head >> 2;

	if (in->bad || len == 0 || gap > CHUNK_BYTES - *end || len > CHUNK_BYTES - *end - gap)
		return -EBADMSG;
	struct extent zeros = {.offset = *end + (uint32_t)gap, .len = (uint32_t)len};

	*end = zeros.offset + zeros.len;
	switch ((enum stored_form)(head & 3)) {
	case FORM_RUN:
		return decode_run(in, c, zeros.offset, zeros.len);
	case FORM_FRAME:
		return decode_whole(in, c, zeros.offset, zeros.len);
	case FORM_HOLE:
		zeros.form = EXTENT_HOLE;
		return full ? -EBADMSG : decode_append(c, &zeros);
	case FORM_ALLOCATED:
		zeros.form = EXTENT_ALLOCATED;
		return decode_append(c, &zeros);
	}
	return -EBADMSG;
}

int chunk_decode(struct slice value, bool full, struct chunk *ret)
{
	struct cursor in = cursor_of(value);
	struct chunk c = {0};
	uint32_t end = 0;
	int r = 0;

	assert(ret->n == 0);
	if (cursor_u8(&in) != CHUNK_VERSION)
		return -EBADMSG;
	while (r == 0 && cursor_left(&in))
		r = decode_one(&in, full, &c, &end);
	if (r < 0) {
		chunk_done(&c);
		return r;
	}
	chunk_done(ret);
	*ret = c;
	return 0;
}

/* ---- encoding ---- */

/* Whether `b` can stand in the same run behind `a`. */
static bool run_goes_on(const struct extent *a, const struct extent *b)
{
	return b->form == EXTENT_FRAME && a->offset + a->len == b->offset && a->epoch == b->epoch &&
	       a->sequence == b->sequence && a->ordinal + 1 == b->ordinal &&
	       a->place + a->sealed_len == b->place && a->skip + a->len == a->plain_len &&
	       b->skip == 0;
}

static int encode_head(struct buf *out, uint32_t gap, enum stored_form form, uint32_t len)
{
	int r = buf_append_varint(out, (uint64_t)gap << 2 | form);

	return r < 0 ? r : buf_append_varint(out, len);
}

static int encode_varints(struct buf *out, const uint64_t *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = buf_append_varint(out, v[i]);
	return r;
}

/* `n` extents from `e` on as one run, or as a whole frame. */
static int encode_frames(struct buf *out, uint32_t gap, const struct extent *e, size_t n)
{
	bool whole = n == 1 && e->skip == 0 && e->len == e->plain_len;
	uint32_t len = e[n - 1].offset + e[n - 1].len - e->offset;
	int r = encode_head(out, gap, whole ? FORM_FRAME : FORM_RUN, len);

	if (r < 0)
		return r;
	if (whole)
		return encode_varints(out,
			(uint64_t[]){e->epoch, e->sequence, e->ordinal, e->place, e->sealed_len},
			5);
	r = encode_varints(
		out, (uint64_t[]){e->epoch, e->sequence, e->ordinal, e->place, e->skip, n}, 6);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = encode_varints(out, (uint64_t[]){e[i].plain_len, e[i].sealed_len}, 2);
	return r;
}

int chunk_encode(const struct chunk *c, bool full, struct buf *out)
{
	uint32_t end = 0;
	int r = buf_append_u8(out, CHUNK_VERSION);

	for (size_t i = 0, n; r == 0 && i < c->n; i += n) {
		const struct extent *e = &c->extents[i];
		uint32_t gap = e->offset - end;

		n = 1;
		if (e->form == EXTENT_HOLE && full)
			continue;
		if (e->form == EXTENT_FRAME) {
			while (i + n < c->n && run_goes_on(&e[n - 1], &e[n]))
				n++;
			r = encode_frames(out, gap, e, n);
		} else {
			r = encode_head(out, gap,
				e->form == EXTENT_HOLE ? FORM_HOLE : FORM_ALLOCATED, e->len);
		}
		end = e[n - 1].offset + e[n - 1].len;
	}
	return r;
}
