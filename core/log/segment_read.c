/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects at log positions, from stored bytes. What the header says is believed once a sealed part
 * that has it as additional data has been opened: the journal, or the directory where there is
 * none. All bytes are untrusted.
 */
#include "core/log/segment.h"

#include "core/base/bytes.h"
#include "core/base/cleanup.h"
#include "core/log/journal.h"
#include "core/log/segment_format.h"

#include <stdlib.h>

#define KINDS_LOG (1u << OBJECT_SEGMENT | 1u << OBJECT_FENCE)

/* A part of an object that begins at `offset`. */
struct piece {
	struct slice bytes;
	uint64_t offset;
};

/* [offset, offset + len) of the object, which must lie in the piece (checked by who read it). */
static struct slice piece_range(const struct piece *p, uint64_t offset, uint64_t len)
{
	return SLICE(p->bytes.data + (offset - p->offset), (size_t)len);
}

int fence_build(const struct volume_keys *k, uint64_t epoch, uint64_t sequence, struct buf *out,
	struct error *err)
{
	struct envelope e;
	int r = envelope_new(k, OBJECT_FENCE, epoch, sequence, &e, err);

	if (r < 0)
		return r;
	if (buf_append(out, e.raw, HEADER_BYTES) < 0)
		return error_set(err, -ENOMEM, "no memory for a fence");
	return part_seal(&e, ORDINAL_FENCE, 0, (struct codec_choice){.codec = CODEC_RAW},
		SLICE(NULL, 0), out, err);
}

/* A whole fence. */
static int check_fence(const struct envelope *e, struct slice object, struct error *err)
{
	struct buf plain = BUF_INIT;
	int r;

	if (object.len != FENCE_BYTES)
		return error_set(err, -EBADMSG, "a fence has %zu bytes", object.len);
	r = part_open(e, ORDINAL_FENCE, 0,
		SLICE(object.data + HEADER_BYTES, object.len - HEADER_BYTES), 0, &plain, "fence",
		err);
	buf_done(&plain);
	return r;
}

static int open_directory(const struct envelope *e, const struct segment_footer *f,
	const struct piece *p, struct segment_directory *ret, struct error *err)
{
	struct buf plain = BUF_INIT;
	struct segment_directory d = {0};
	int r = part_open(e, ORDINAL_DIRECTORY, 0, piece_range(p, f->directory, f->directory_len),
		DIRECTORY_PLAIN_MAX, &plain, "directory", err);

	if (r == 0)
		r = segment_directory_decode(buf_slice(&plain), f->directory, &d, err);
	buf_done(&plain);
	if (r == 0 && d.n != f->frames) {
		segment_directory_done(&d);
		r = error_set(err, -EBADMSG,
			"the segment's directory has another count of frames than its footer");
	}
	if (r == 0)
		*ret = d;
	return r;
}

/* All parts into `plain`. Only the last is not full: so a part that was cut away shows. */
static int open_parts(const struct envelope *e, const struct segment_footer *f, struct cursor c,
	struct buf *plain, struct error *err)
{
	for (uint64_t i = 0; i < f->journal_parts; i++) {
		uint64_t len = cursor_le32(&c);
		struct slice sealed = cursor_bytes(&c, len);
		size_t before = plain->len;

		if (c.bad)
			return error_set(err, -EBADMSG, "part %llu of the journal is cut short",
				(unsigned long long)i);
		int r = part_open(e, ORDINAL_JOURNAL_PART(i), 0, sealed, JOURNAL_PART_MAX, plain,
			"journal", err);

		if (r < 0)
			return r;
		if ((plain->len - before < JOURNAL_PART_MAX) != (i + 1 == f->journal_parts))
			return error_set(err, -EBADMSG, "the journal does not have all its parts");
	}
	if (cursor_left(&c) > 0)
		return error_set(err, -EBADMSG, "there are bytes behind the journal");
	return 0;
}

static int open_journal(const struct envelope *e, const struct segment_footer *f,
	const struct piece *p, struct journal *ret, struct error *err)
{
	struct buf plain = BUF_INIT;
	struct journal j = {0};
	int r = open_parts(
		e, f, cursor_of(piece_range(p, f->journal, f->journal_len)), &plain, err);

	if (r == 0)
		r = journal_take(&plain, &j, err);
	buf_done(&plain);
	if (r < 0)
		return r;
	/* A group's journal lies above all its segments (W1), in the last of them. */
	const struct journal_segment *last = &j.segments[j.nsegments - 1];

	if (last->sequence != e->header.b ||
		memcmp(last->salt, e->header.salt, AEAD_SALT_BYTES) != 0) {
		journal_done(&j);
		return error_set(err, -EBADMSG,
			"the journal does not end with the segment in which it lies");
	}
	*ret = j;
	return 0;
}

static int parse_segment(const struct envelope *e, struct slice object,
	struct segment_directory *ret_directory, struct journal *ret_journal, struct error *err)
{
	struct piece p = {.bytes = object};
	struct segment_directory d = {0};
	struct journal j = {0};
	struct segment_footer f;

	if (object.len < FOOTER_BYTES)
		return error_set(err, -EBADMSG, "a segment has %zu bytes", object.len);
	int r = segment_footer_decode(
		SLICE(object.data + object.len - FOOTER_BYTES, FOOTER_BYTES), object.len, &f, err);

	if (r == 0)
		r = open_directory(e, &f, &p, &d, err);
	if (r == 0 && f.journal > 0)
		r = open_journal(e, &f, &p, &j, err);
	if (r < 0) {
		segment_directory_done(&d);
		return r;
	}
	*ret_directory = d;
	*ret_journal = j;
	return 0;
}

int segment_parse(const struct volume_keys *k, uint64_t epoch, uint64_t sequence,
	struct slice object, enum log_object *ret_kind, struct segment_directory *ret_directory,
	struct journal *ret_journal, struct error *err)
{
	struct envelope e;
	int r = envelope_open(k, object, KINDS_LOG, epoch, sequence, NULL, &e, err);

	if (r < 0)
		return r;
	if (e.header.kind == OBJECT_FENCE) {
		r = check_fence(&e, object, err);
		if (r < 0)
			return r;
		*ret_kind = LOG_FENCE;
		*ret_directory = (struct segment_directory){0};
		*ret_journal = (struct journal){0};
		return 0;
	}
	r = parse_segment(&e, object, ret_directory, ret_journal, err);
	if (r == 0)
		*ret_kind = LOG_SEGMENT;
	return r;
}

/* ---- from the store ---- */

/* One position while it is read. */
struct tail_read {
	struct store *store;
	char key[LOG_KEY_MAX];
	uint64_t size;
	uint8_t *tail, *more; /* last bytes; what lies before them, when that is needed */
	size_t tail_len;
	uint8_t header[HEADER_BYTES];
};

/* Bytes [offset, offset + len). -ENOENT: it has gone meanwhile. */
static int get_range(struct tail_read *t, uint64_t offset, void *out, size_t len, struct error *err)
{
	uint64_t size;
	size_t got;
	int r = store_get(t->store, t->key, offset, out, len, &got, &size, err);

	if (r < 0)
		return r;
	if (size != t->size || got != len)
		return error_set(err, -EBADMSG, "the object changed its size while it was read");
	return 0;
}

/* The bytes from `from` to the end of the object. */
static int get_piece(struct tail_read *t, uint64_t from, struct piece *ret, struct error *err)
{
	uint64_t have = t->size - t->tail_len;

	if (from >= have) {
		*ret = (struct piece){.bytes = SLICE(t->tail, t->tail_len), .offset = have};
		return 0;
	}
	/* The footer was bounded by the object, and an object by STORE_OBJECT_MAX. */
	t->more = malloc((size_t)(t->size - from));
	if (!t->more)
		return error_set(err, -ENOMEM, "no memory for the end of a segment");
	int r = get_range(t, from, t->more, (size_t)(have - from), err);

	if (r < 0)
		return r;
	memcpy(t->more + (have - from), t->tail, t->tail_len);
	*ret = (struct piece){.bytes = SLICE(t->more, (size_t)(t->size - from)), .offset = from};
	return 0;
}

static int read_segment(struct tail_read *t, const struct envelope *e, bool *ret_has_journal,
	struct journal *ret_journal, struct error *err)
{
	struct segment_footer f;
	struct piece p = {0};
	int r;

	if (t->tail_len < FOOTER_BYTES)
		return error_set(err, -EBADMSG, "a segment has %zu bytes", t->tail_len);
	r = segment_footer_decode(
		SLICE(t->tail + t->tail_len - FOOTER_BYTES, FOOTER_BYTES), t->size, &f, err);
	if (r == 0)
		r = get_piece(t, f.journal ? f.journal : f.directory, &p, err);
	if (r < 0)
		return r;
	if (f.journal > 0) {
		r = open_journal(e, &f, &p, ret_journal, err);
	} else {
		struct segment_directory d = {0};

		r = open_directory(e, &f, &p, &d, err);
		segment_directory_done(&d);
	}
	if (r == 0)
		*ret_has_journal = f.journal > 0;
	return r;
}

static int read_object(struct tail_read *t, const struct volume_keys *k, uint64_t epoch,
	uint64_t sequence, const uint8_t *salt, enum log_object *ret_kind, bool *ret_has_journal,
	struct journal *ret_journal, uint8_t *ret_salt, struct error *err)
{
	struct envelope e;
	int r = store_get_tail(
		t->store, t->key, t->tail, SEGMENT_TAIL_READ, &t->tail_len, &t->size, err);

	if (r < 0)
		return r;
	if (t->size > STORE_OBJECT_MAX || t->size < HEADER_BYTES || t->tail_len > t->size)
		return error_set(err, -EBADMSG, "an object of %llu bytes cannot be in the log",
			(unsigned long long)t->size);
	if (t->tail_len == t->size)
		memcpy(t->header, t->tail, HEADER_BYTES);
	else
		r = get_range(t, 0, t->header, HEADER_BYTES, err);
	if (r == 0)
		r = envelope_open(k, SLICE(t->header, HEADER_BYTES), KINDS_LOG, epoch, sequence,
			salt, &e, err);
	if (r < 0)
		return r;
	if (e.header.kind == OBJECT_FENCE) {
		r = t->size == FENCE_BYTES
			    ? check_fence(&e, SLICE(t->tail, t->tail_len), err)
			    : error_set(err, -EBADMSG, "a fence has other bytes behind it");
		*ret_kind = LOG_FENCE;
	} else {
		r = read_segment(t, &e, ret_has_journal, ret_journal, err);
		*ret_kind = LOG_SEGMENT;
	}
	if (ret_salt)
		memcpy(ret_salt, e.header.salt, AEAD_SALT_BYTES);
	return r;
}

int segment_read_tail(struct store *s, const struct volume_keys *k, uint64_t epoch,
	uint64_t sequence, const uint8_t *salt, enum log_object *ret_kind, bool *ret_has_journal,
	struct journal *ret_journal, uint8_t *ret_salt, struct error *err)
{
	struct tail_read t = {.store = s};
	struct error why = {0};
	enum log_object kind = LOG_ABSENT;
	bool has_journal = false;
	int r;

	log_key(t.key, epoch, sequence);
	t.tail = malloc(SEGMENT_TAIL_READ);
	if (!t.tail)
		return error_set(err, -ENOMEM, "no memory to read %s", t.key);
	r = read_object(
		&t, k, epoch, sequence, salt, &kind, &has_journal, ret_journal, ret_salt, &why);
	free(t.tail);
	free(t.more);
	if (r == -ENOENT) {
		*ret_kind = LOG_ABSENT;
		*ret_has_journal = false;
		return 0;
	}
	if (r < 0)
		return error_set(err, r, "%s: %s", t.key, error_text(&why, r));
	*ret_kind = kind;
	*ret_has_journal = has_journal;
	return 0;
}

static int read_directory(struct tail_read *t, const struct envelope *e,
	struct segment_directory *ret, struct error *err)
{
	uint64_t have = t->size - t->tail_len;
	struct segment_footer f;
	struct piece p = {.bytes = SLICE(t->tail, t->tail_len), .offset = have};
	int r = t->tail_len < FOOTER_BYTES
			? error_set(err, -EBADMSG, "a segment has %zu bytes", t->tail_len)
			: segment_footer_decode(
				  SLICE(t->tail + t->tail_len - FOOTER_BYTES, FOOTER_BYTES),
				  t->size, &f, err);

	if (r == 0 && f.directory < have) {
		t->more = malloc(f.directory_len);
		if (!t->more)
			return error_set(err, -ENOMEM, "no memory for a directory");
		r = get_range(t, f.directory, t->more, f.directory_len, err);
		p = (struct piece){.bytes = SLICE(t->more, f.directory_len), .offset = f.directory};
	}
	return r < 0 ? r : open_directory(e, &f, &p, ret, err);
}

int segment_read_directory(struct store *s, const struct volume_keys *k, uint64_t epoch,
	uint64_t sequence, const uint8_t salt[AEAD_SALT_BYTES], struct segment_directory *ret,
	struct error *err)
{
	struct tail_read t = {.store = s};
	struct error why = {0};
	struct envelope e;

	log_key(t.key, epoch, sequence);
	t.tail = malloc(SEGMENT_TAIL_READ);
	if (!t.tail)
		return error_set(err, -ENOMEM, "no memory to read %s", t.key);
	int r = store_get_tail(s, t.key, t.tail, SEGMENT_TAIL_READ, &t.tail_len, &t.size, &why);

	if (r == 0 && (t.size > STORE_OBJECT_MAX || t.size < HEADER_BYTES || t.tail_len > t.size))
		r = error_set(&why, -EBADMSG, "an object of %llu bytes cannot be in the log",
			(unsigned long long)t.size);
	if (r == 0)
		r = get_range(&t, 0, t.header, HEADER_BYTES, &why);
	if (r == 0)
		r = envelope_open(k, SLICE(t.header, HEADER_BYTES), 1u << OBJECT_SEGMENT, epoch,
			sequence, salt, &e, &why);
	if (r == 0)
		r = read_directory(&t, &e, ret, &why);
	free(t.tail);
	free(t.more);
	return r < 0 ? error_set(err, r, "%s", error_text(&why, r)) : 0;
}
