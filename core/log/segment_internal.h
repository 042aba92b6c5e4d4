/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_SEGMENT_INTERNAL_H
#define CORE_LOG_SEGMENT_INTERNAL_H
/*
 * A segment in memory. Two kinds of references: those that callers hold (segment_ref) keep the
 * sealed bytes; the struct itself, with salt, key and sums, may be held longer (segment_hold),
 * because a group lists its segments until it is acknowledged.
 *
 * Life: takes reservations -> closed -> (no reservation outstanding: *ready*) -> sealed by
 * segment_seal -> bytes let go.
 */
#include "core/base/list.h"
#include "core/base/refcount.h"
#include "core/base/workers.h"
#include "core/log/segment.h"

struct log;

/* Sealed bytes as one sealer handed them over. */
struct segment_block {
	uint8_t *bytes;
	size_t len;
};

struct segment_frame {
	const uint8_t *bytes; /* NULL: not appended, or never used */
	uint64_t offset;      /* in the object */
	uint64_t inode, file_offset;
	uint32_t sealed_len;
	uint32_t plain_len; /* of the first ordinal of a reservation that is outstanding: its plain
			       bytes */
};

struct segment {
	/* immutable */
	struct envelope envelope;
	uint64_t epoch, sequence;
	struct budget *budget; /* may be NULL */
	struct log *log; /* told about appends; NULL outside a log. Written before anybody else
			    knows the segment */

	struct refcount holds;	 /* of the struct; all references to the bytes together have one */
	struct refcount readers; /* references to the bytes */

	/* guarded by lock */
	struct mutex lock;
	struct segment_frame *frames;
	size_t nframes, frames_cap; /* nframes: ordinals given out */
	struct segment_block *blocks;
	size_t nblocks, blocks_cap;
	size_t pending;		/* reservations outstanding */
	uint64_t pending_plain; /* their plain bytes */
	uint64_t sealed;	/* bytes in blocks */
	uint64_t plain;		/* plain bytes of all frames appended */
	uint64_t charge;	/* of BUDGET_COMMIT, given back with the bytes */
	bool closed;

	bool refused; /* the store's last answer to it; guarded by log.lock */

	/* owned by the one who seals and uploads; read-only once sealed */
	struct buf tail; /* directory, journal parts, footer */

	/* owned by the log (commit.c) */
	struct buf journal; /* plain, waiting to be sealed */
	uint64_t appended;  /* bytes counted as unsent. Guarded by log.positions_lock */
	struct work upload;
	bool unsure; /* W3: "exists", then nothing: ask who owns the volume before the next attempt.
			Upload job only */
};

struct segment *segment_hold(struct segment *s);
void segment_release(struct segment *s);
/* Whether reservations are outstanding. */
bool segment_pending(struct segment *s);
/* What the frames take: what was appended plus, for what is outstanding, the plain bytes. */
uint64_t segment_estimate(struct segment *s);
/* Whether a journal of `plain` bytes still fits the size limit of an object. */
bool segment_fits_journal(struct segment *s, size_t plain);

#endif
