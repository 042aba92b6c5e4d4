/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Building a segment in memory. Frames stay in the buffers in which they were sealed; the object is
 * a list of slices: header, blocks in the order in which they were appended, and one buffer with
 * directory, journal and footer.
 *
 * Arrays grow when ordinals are reserved, so that segment_append cannot fail.
 */
#include "core/log/segment_internal.h"

#include "core/base/bytes.h"
#include "core/log/log_internal.h"
#include "core/log/segment_format.h"
#include "core/seal/frame.h"
#include "core/seal/secret.h"

#include <assert.h>
#include <stdlib.h>

#define FRAMES_FIRST 16 /* room in a new array */
#define BLOCKS_FIRST 8

static const struct codec_choice tail_codec = {.codec = CODEC_LZ4};

int segment_new(const struct volume_keys *k, uint64_t epoch, uint64_t sequence,
	struct budget *budget, struct segment **ret, struct error *err)
{
	struct segment *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(err, -ENOMEM, "no memory for a segment");
	int r = envelope_new(k, OBJECT_SEGMENT, epoch, sequence, &s->envelope, err);

	if (r < 0) {
		free(s);
		return r;
	}
	s->epoch = epoch;
	s->sequence = sequence;
	s->budget = budget;
	refcount_init(&s->holds);
	refcount_init(&s->readers);
	mutex_init(&s->lock, RANK_COMMIT);
	*ret = s;
	return 0;
}

struct segment *segment_hold(struct segment *s)
{
	refcount_ref(&s->holds);
	return s;
}

void segment_release(struct segment *s)
{
	if (!refcount_unref(&s->holds))
		return;
	secret_wipe(&s->envelope.key, sizeof(s->envelope.key));
	mutex_done(&s->lock);
	free(s);
}

struct segment *segment_ref(struct segment *s)
{
	refcount_ref(&s->readers);
	return s;
}

void segment_unref(struct segment *s)
{
	if (!s || !refcount_unref(&s->readers))
		return;
	mutex_lock(&s->lock);
	for (size_t i = 0; i < s->nblocks; i++)
		free(s->blocks[i].bytes);
	free(s->blocks);
	free(s->frames);
	s->blocks = NULL;
	s->frames = NULL;
	s->nblocks = s->nframes = 0;
	buf_done(&s->tail);
	buf_done(&s->journal);
	if (s->budget)
		budget_put(s->budget, BUDGET_COMMIT, s->charge);
	s->charge = 0;
	mutex_unlock(&s->lock);
	segment_release(s);
}

uint64_t segment_epoch(const struct segment *s)
{
	return s->epoch;
}

uint64_t segment_sequence(const struct segment *s)
{
	return s->sequence;
}

const uint8_t *segment_salt(const struct segment *s)
{
	return s->envelope.header.salt;
}

const struct aead_object *segment_key(const struct segment *s)
{
	return &s->envelope.key;
}

uint64_t segment_plain_total(const struct segment *s)
{
	return s->plain; /* callers ask when nothing is outstanding any more */
}

static void charge_locked(struct segment *s, uint64_t n)
{
	if (s->budget)
		budget_force(s->budget, BUDGET_COMMIT, n);
	s->charge += n;
}

/* ---- frames ---- */

/* Room for `more` elements behind `n`. 0 or -ENOMEM. */
static int grow_locked(struct segment *s, void **array, size_t n, size_t *cap, size_t more,
	size_t size, size_t first)
{
	size_t want = *cap ? *cap : first;

	while (want < n + more)
		want *= 2;
	if (want == *cap)
		return 0;
	void *p = realloc(*array, want * size);

	if (!p)
		return -ENOMEM;
	*array = p;
	charge_locked(s, (want - *cap) * size);
	*cap = want;
	return 0;
}

int segment_reserve(struct segment *s, unsigned n, size_t plain, uint64_t *ret_first)
{
	MUTEX_GUARD(&s->lock);

	assert(n >= 1 && plain <= (size_t)n * FRAME_PLAIN_MAX);
	if (s->closed || n > SEGMENT_FRAMES_MAX - s->nframes)
		return -ENOSPC;
	void *frames = s->frames, *blocks = s->blocks;
	int r = grow_locked(
		s, &frames, s->nframes, &s->frames_cap, n, sizeof(*s->frames), FRAMES_FIRST);

	s->frames = frames;
	if (r == 0)
		r = grow_locked(s, &blocks, s->nblocks + s->pending, &s->blocks_cap, 1,
			sizeof(*s->blocks), BLOCKS_FIRST);
	s->blocks = blocks;
	if (r < 0)
		return r;
	memset(s->frames + s->nframes, 0, n * sizeof(*s->frames));
	s->frames[s->nframes].plain_len = (uint32_t)plain;
	*ret_first = s->nframes;
	s->nframes += n;
	s->pending++;
	s->pending_plain += plain;
	return 0;
}

/* Takes the block in; its frames get their places. Returns its length. */
static size_t take_block_locked(struct segment *s, uint64_t first,
	const struct sealed_frame *frames, unsigned n, uint8_t *bytes,
	struct frame_place *ret_places)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		assert(frames[i].sealed_len > 0 && frames[i].plain_len > 0);
		s->frames[first + i] = (struct segment_frame){
			.bytes = bytes + len,
			.offset = HEADER_BYTES + s->sealed + len,
			.inode = frames[i].inode,
			.file_offset = frames[i].offset,
			.sealed_len = (uint32_t)frames[i].sealed_len,
			.plain_len = frames[i].plain_len,
		};
		if (ret_places)
			ret_places[i] = (struct frame_place){
				.epoch = s->epoch,
				.sequence = s->sequence,
				.ordinal = first + i,
				.offset = s->frames[first + i].offset,
				.sealed_len = (uint32_t)frames[i].sealed_len,
				.plain_len = frames[i].plain_len,
			};
		len += frames[i].sealed_len;
		s->plain += frames[i].plain_len;
	}
	s->blocks[s->nblocks++] = (struct segment_block){.bytes = bytes, .len = len};
	s->sealed += len;
	return len;
}

void segment_append(struct segment *s, uint64_t first, unsigned reserved,
	const struct sealed_frame *frames, unsigned n, uint8_t *bytes, size_t charge,
	struct frame_place *ret_places)
{
	size_t len = 0;

	mutex_lock(&s->lock);
	assert(reserved >= 1 && n <= reserved && s->pending > 0);
	assert(first < s->nframes && reserved <= s->nframes - first && !s->frames[first].bytes);
	s->pending_plain -= s->frames[first].plain_len;
	s->frames[first].plain_len = 0;
	if (n > 0) {
		len = take_block_locked(s, first, frames, n, bytes, ret_places);
		s->charge += charge;
		charge = 0;
		bytes = NULL;
	}
	s->pending--;
	bool ready = s->closed && s->pending == 0;

	mutex_unlock(&s->lock);
	free(bytes);
	if (charge > 0 && s->budget)
		budget_put(s->budget, BUDGET_COMMIT, charge);
	if (s->log)
		log_appended(s->log, s, len, ready);
}

int segment_frame(
	struct segment *s, uint64_t ordinal, struct slice *ret_sealed, uint32_t *ret_plain)
{
	MUTEX_GUARD(&s->lock);

	if (ordinal >= s->nframes || !s->frames[ordinal].bytes)
		return -ENOENT;
	*ret_sealed = SLICE(s->frames[ordinal].bytes, s->frames[ordinal].sealed_len);
	*ret_plain = s->frames[ordinal].plain_len;
	return 0;
}

bool segment_close(struct segment *s)
{
	MUTEX_GUARD(&s->lock);

	assert(!s->closed);
	s->closed = true;
	return s->pending == 0;
}

bool segment_pending(struct segment *s)
{
	MUTEX_GUARD(&s->lock);

	return s->pending > 0;
}

uint64_t segment_estimate(struct segment *s)
{
	MUTEX_GUARD(&s->lock);

	return s->sealed + s->pending_plain;
}

/* Length words and tags of the parts included. */
static uint64_t journal_bound(size_t plain)
{
	return (plain / JOURNAL_PART_MAX + 1) *
	       (JOURNAL_PART_LENGTH_BYTES + part_bound(JOURNAL_PART_MAX));
}

bool segment_fits_journal(struct segment *s, size_t plain)
{
	MUTEX_GUARD(&s->lock);

	return HEADER_BYTES + s->sealed + part_bound(s->nframes * 5 * VARINT_MAX + 2 * VARINT_MAX) +
		       journal_bound(plain) + FOOTER_BYTES <=
	       STORE_OBJECT_MAX;
}

/* ---- the sealed object ---- */

static int seal_directory(struct segment *s, struct buf *out, struct error *err)
{
	struct segment_directory d = {.n = s->nframes};
	struct buf plain = BUF_INIT;

	d.frames = calloc(d.n ? d.n : 1, sizeof(*d.frames));
	if (!d.frames)
		return error_set(err, -ENOMEM, "no memory for the directory of a segment");
	for (size_t i = 0; i < d.n; i++)
		if (s->frames[i].bytes)
			d.frames[i] = (struct segment_directory_entry){
				.offset = s->frames[i].offset,
				.inode = s->frames[i].inode,
				.file_offset = s->frames[i].file_offset,
				.sealed_len = s->frames[i].sealed_len,
				.plain_len = s->frames[i].plain_len,
			};
	int r = segment_directory_encode(&d, &plain);

	if (r < 0)
		(void)error_set(err, r, "no memory for the directory of a segment"); /* is in r */
	else
		r = part_seal(&s->envelope, ORDINAL_DIRECTORY, 0, tail_codec, buf_slice(&plain),
			out, err);
	segment_directory_done(&d);
	buf_done(&plain);
	return r;
}

/*
 * All parts but the last are full and the last is not (an empty one follows a full one), so that
 * the count of parts, which only the footer says, cannot be changed without being noticed.
 */
static int seal_journal(struct segment *s, struct slice plain, uint32_t *ret_parts, struct buf *out,
	struct error *err)
{
	uint32_t parts = 0;
	bool last;

	do {
		size_t n = plain.len < JOURNAL_PART_MAX ? plain.len : JOURNAL_PART_MAX,
		       at = out->len;
		int r = buf_append_le32(out, 0);

		last = n < JOURNAL_PART_MAX;
		if (r < 0)
			return error_set(err, r, "no memory for a journal");
		r = part_seal(&s->envelope, ORDINAL_JOURNAL_PART((uint64_t)parts), 0, tail_codec,
			SLICE(plain.data, n), out, err);
		if (r < 0)
			return r;
		put_le32(out->data + at, (uint32_t)(out->len - at - JOURNAL_PART_LENGTH_BYTES));
		plain = SLICE(plain.data + n, plain.len - n);
		parts++;
	} while (!last);
	*ret_parts = parts;
	return 0;
}

int segment_seal(struct segment *s, struct slice journal, struct error *err)
{
	struct segment_footer f = {
		.directory = HEADER_BYTES + s->sealed, .frames = (uint32_t)s->nframes};
	struct buf tail = BUF_INIT;
	uint8_t footer[FOOTER_BYTES];

	assert(s->closed && s->pending == 0 && s->tail.len == 0);
	int r = seal_directory(s, &tail, err);

	f.directory_len = (uint32_t)tail.len;
	if (r == 0 && journal.len > 0) {
		f.journal = f.directory + f.directory_len;
		r = seal_journal(s, journal, &f.journal_parts, &tail, err);
		f.journal_len = (uint32_t)(tail.len - f.directory_len);
	}
	f.size = f.directory + tail.len + FOOTER_BYTES;
	assert(r < 0 || f.size <= STORE_OBJECT_MAX);
	segment_footer_encode(&f, footer);
	if (r == 0 && buf_append(&tail, footer, sizeof(footer)) < 0)
		r = error_set(err, -ENOMEM, "no memory for the end of a segment");
	if (r < 0) {
		buf_done(&tail);
		return r;
	}
	mutex_lock(&s->lock);
	charge_locked(s, tail.cap);
	s->tail = tail;
	mutex_unlock(&s->lock);
	return 0;
}

int segment_object(struct segment *s, struct slice **ret_parts, size_t *ret_n)
{
	size_t n = 0;
	struct slice *parts;

	assert(s->tail.len > 0);
	parts = calloc(s->nblocks + 2, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	parts[n++] = SLICE(s->envelope.raw, HEADER_BYTES);
	for (size_t i = 0; i < s->nblocks; i++)
		parts[n++] = SLICE(s->blocks[i].bytes, s->blocks[i].len);
	parts[n++] = buf_slice(&s->tail);
	*ret_parts = parts;
	*ret_n = n;
	return 0;
}

uint64_t segment_size(const struct segment *s)
{
	return HEADER_BYTES + s->sealed + s->tail.len;
}
