/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_SEGMENT_H
#define CORE_LOG_SEGMENT_H
/*
 * Segments: built in memory frame by frame, read from memory until stored, parsed from stored bytes
 * (docs/format.md "Segment"). A segment under construction is reference-counted, because readers
 * use its frames while it uploads and is let go. Frames are kept in the buffers in which they were
 * sealed; nothing is copied before the PUT.
 */
#include "core/base/budget.h"
#include "core/seal/codec.h"
#include "core/seal/envelope.h"
#include "core/store/store.h"

#define SEGMENT_TARGET_BYTES (16ull << 20)
#define SEGMENT_FRAMES_MAX 65536u
#define SEGMENT_TAIL_READ 65536u    /* bytes of the first tail read */
#define JOURNAL_PART_MAX (8u << 20) /* plain bytes */
#define FENCE_BYTES (HEADER_BYTES + CODEC_HEADER_BYTES + AEAD_TAG_BYTES)
#define LOG_KEY_MAX 64 /* bytes, terminator included */

struct segment;

/* One sealed frame, as handed to segment_append. */
struct sealed_frame {
	size_t sealed_len;
	uint64_t inode, offset; /* of its first plain byte; for the directory */
	uint32_t plain_len;
};
/* Where a frame lies, once appended. */
struct frame_place {
	uint64_t epoch, sequence, ordinal;
	uint64_t offset; /* of its first byte in the object */
	uint32_t sealed_len, plain_len;
};

/*
 * ---- building. The log does this (log_segment); tools and tests may as well. ----
 *
 * A new, empty segment for this position with a salt of its own; one reference. `budget` is
 * borrowed and may be NULL. 0, -ENOMEM, -EBADMSG (ring without current key).
 */
int segment_new(const struct volume_keys *k, uint64_t epoch, uint64_t sequence,
	struct budget *budget, struct segment **ret, struct error *err);
/* Reserves `n` consecutive ordinals for at most `plain` plain bytes: the promise of one
 * segment_append. 0; -ENOSPC full or closed; -ENOMEM. */
int segment_reserve(struct segment *s, unsigned n, size_t plain, uint64_t *ret_first);
/* No more reservations. True when none is outstanding (any more), so that it may be sealed. */
bool segment_close(struct segment *s);
/*
 * Adds directory, journal (`journal`: from journal_encode; empty = none) and footer to a closed
 * segment without outstanding reservations. Once. 0, -ENOMEM (may be repeated).
 */
int segment_seal(struct segment *s, struct slice journal, struct error *err);
/* The sealed object as parts for store_create, borrowed from `s`; the array is the caller's to
 * free. 0 or -ENOMEM. */
int segment_object(struct segment *s, struct slice **ret_parts, size_t *ret_n);
uint64_t segment_size(const struct segment *s); /* of the sealed object */

struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s);
uint64_t segment_epoch(const struct segment *s);
uint64_t segment_sequence(const struct segment *s);
const uint8_t *segment_salt(const struct segment *s); /* AEAD_SALT_BYTES */
const struct aead_object *segment_key(const struct segment *s);
uint64_t segment_plain_total(const struct segment *s); /* plain bytes of all frames appended */
/*
 * Appends `n` frames with ordinals from `first` (as reserved by log_segment), sealed one behind the
 * other in `bytes`, which is taken (a malloc'ed block, charged to BUDGET_COMMIT by the caller with
 * `charge` bytes and given back when the segment goes). ret_places may be NULL. n = 0: the
 * reservation of `reserved` ordinals failed.
 */
void segment_append(struct segment *s, uint64_t first, unsigned reserved,
	const struct sealed_frame *frames, unsigned n, uint8_t *bytes, size_t charge,
	struct frame_place *ret_places);
/* The sealed bytes of a frame in memory, borrowed while the caller holds its reference. -ENOENT: no
 * such frame. */
int segment_frame(
	struct segment *s, uint64_t ordinal, struct slice *ret_sealed, uint32_t *ret_plain);

/* ---- stored segments ---- */

enum log_object { LOG_ABSENT, LOG_SEGMENT, LOG_FENCE };

/* The salts that a journal lists: its group's segments. */
struct journal_segment {
	uint64_t sequence;
	uint8_t salt[AEAD_SALT_BYTES];
};
struct journal {
	uint64_t group, previous;
	int64_t time_ns; /* wall clock when the group closed */
	size_t nsegments;
	struct journal_segment *segments;
	struct buf plain;   /* owns what follows */
	struct slice block; /* the records */
};
void journal_done(struct journal *j);
/* Pure: the plain journal and back. */
int journal_encode(const struct journal *j, struct buf *out);
int journal_decode(struct slice plain, struct journal *ret, struct error *err);

/* By ordinal. sealed_len 0: an ordinal that was reserved and never used. */
struct segment_directory {
	size_t n;
	struct segment_directory_entry {
		uint64_t offset, inode, file_offset;
		uint32_t sealed_len, plain_len;
	} * frames;
};
void segment_directory_done(struct segment_directory *d);

/*
 * Reads the object at a log position: what kind it is and, for a segment that ends a group, its
 * journal (*ret_journal is set when `has_journal`; ret_salt may be NULL). One GET of the tail, a
 * second where the journal is larger, and the header. LOG_ABSENT is not an error (result 0).
 * -EBADMSG: not authentic, or not of this place. `salt` NULL, or known from elsewhere.
 */
int segment_read_tail(struct store *s, const struct volume_keys *k, uint64_t epoch,
	uint64_t sequence, const uint8_t *salt, enum log_object *ret_kind, bool *ret_has_journal,
	struct journal *ret_journal, uint8_t *ret_salt, struct error *err);
/* Reads the directory of a stored segment: one GET of the tail, a second where the directory lies
 * before it, and the header. -ENOENT; -EBADMSG: not authentic, not of this place, or a fence. */
int segment_read_directory(struct store *s, const struct volume_keys *k, uint64_t epoch,
	uint64_t sequence, const uint8_t salt[AEAD_SALT_BYTES], struct segment_directory *ret,
	struct error *err);
/* Parses a whole object from memory (dump, fsck, fuzz): kind, directory, journal (zeroed where
 * absent). */
int segment_parse(const struct volume_keys *k, uint64_t epoch, uint64_t sequence,
	struct slice object, enum log_object *ret_kind, struct segment_directory *ret_directory,
	struct journal *ret_journal, struct error *err);

void log_key(char out[LOG_KEY_MAX], uint64_t epoch, uint64_t sequence); /* "log/E/S" */
/* A fence object for this position. */
int fence_build(const struct volume_keys *k, uint64_t epoch, uint64_t sequence, struct buf *out,
	struct error *err);

#endif
