/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal of a group in its plain form (docs/format.md "Segment"). Pure. */
#include "core/log/journal.h"

#include "core/base/bytes.h"
#include "core/base/cleanup.h"
#include "core/log/segment_format.h"

#include <stdlib.h>

/* Bytes of a listed segment at least: a sequence of one byte, a salt. */
#define LISTED_BYTES_MIN (1 + AEAD_SALT_BYTES)

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

void journal_done(struct journal *j)
{
	free(j->segments);
	buf_done(&j->plain);
	*j = (struct journal){0};
}

int journal_encode(const struct journal *j, struct buf *out)
{
	int r = buf_reserve(out,
		1 + 5 * VARINT_MAX + j->nsegments * (VARINT_MAX + AEAD_SALT_BYTES) + j->block.len);

	if (r < 0)
		return r;
	/* Room is there: nothing below fails. */
	(void)buf_append_u8(out, JOURNAL_VERSION);
	(void)buf_append_varint(out, j->group);
	(void)buf_append_varint(out, j->previous);
	(void)buf_append_varint(out, zigzag(j->time_ns));
	(void)buf_append_varint(out, j->nsegments);
	for (size_t i = 0; i < j->nsegments; i++) {
		(void)buf_append_varint(out, j->segments[i].sequence);
		(void)buf_append(out, j->segments[i].salt, AEAD_SALT_BYTES);
	}
	(void)buf_append_varint(out, 0); /* client windows */
	return buf_append_slice(out, j->block);
}

static bool list_segments(struct cursor *c, struct journal *j)
{
	for (size_t i = 0; i < j->nsegments; i++) {
		struct journal_segment *s = &j->segments[i];

		s->sequence = cursor_varint(c);
		struct slice salt = cursor_bytes(c, AEAD_SALT_BYTES);

		if (c->bad || (i > 0 && s->sequence <= s[-1].sequence))
			return false;
		memcpy(s->salt, salt.data, AEAD_SALT_BYTES);
	}
	return true;
}

int journal_take(struct buf *plain, struct journal *ret, struct error *err)
{
	struct cursor c = cursor_of(buf_slice(plain));
	unsigned version = cursor_u8(&c);

	if (!c.bad && version != JOURNAL_VERSION)
		return error_set(err, -EPROTONOSUPPORT, "the journal has version %u", version);
	struct journal j = {0};

	j.group = cursor_varint(&c);
	j.previous = cursor_varint(&c);
	j.time_ns = unzigzag(cursor_varint(&c));
	uint64_t n = cursor_varint(&c);

	if (c.bad || n == 0 || n > cursor_left(&c) / LISTED_BYTES_MIN || j.group == 0 ||
		j.previous >= j.group)
		return error_set(err, -EBADMSG, "the head of the journal does not fit");
	j.nsegments = (size_t)n;
	j.segments = calloc(j.nsegments, sizeof(*j.segments));
	if (!j.segments)
		return error_set(err, -ENOMEM, "no memory for a journal");
	bool listed = list_segments(&c, &j);
	uint64_t windows = listed ? cursor_varint(&c) : 0;

	if (!listed || c.bad || windows != 0) {
		free(j.segments);
		return listed && !c.bad
			       ? error_set(err, -EPROTONOSUPPORT, "the journal has client windows")
			       : error_set(err, -EBADMSG,
					 "the list of segments in the journal does not fit");
	}
	j.block = cursor_bytes(&c, cursor_left(&c));
	j.plain = *plain;
	*plain = (struct buf)BUF_INIT;
	*ret = j;
	return 0;
}

int journal_decode(struct slice plain, struct journal *ret, struct error *err)
{
	struct buf copy = BUF_INIT;
	int r = buf_append_slice(&copy, plain);

	if (r < 0)
		return error_set(err, r, "no memory for a journal");
	r = journal_take(&copy, ret, err);
	buf_done(&copy);
	return r;
}
