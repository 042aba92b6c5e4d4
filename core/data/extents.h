/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_EXTENTS_H
#define CORE_DATA_EXTENTS_H
/*
 * The extents of one chunk, as pure functions (docs/format.md "extents"). A chunk is 256 KiB of a
 * file's address space. In memory there is one extent per frame use; encoding joins neighbours to
 * runs. Not thread-safe; no I/O.
 */
#include "core/base/buf.h"
#include "core/index/record.h"

#define CHUNK_BYTES 262144u
#define CHUNK_EXTENTS_MAX 128u	  /* format limit of a full record */
#define CHUNK_EXTENTS_REFRAME 96u /* from here on the chunk is read and re-framed */
/*
 * What a decoder accepts. Deltas of a chunk whose record is not in memory are written without
 * knowing how many extents lie below, so a fold can pass 128 until the chunk has been re-framed; it
 * must be readable meanwhile.
 */
#define CHUNK_EXTENTS_DECODE_MAX 8192u

enum extent_form {
	EXTENT_FRAME,	  /* bytes of a frame */
	EXTENT_HOLE,	  /* zeros, only kept in deltas */
	EXTENT_ALLOCATED, /* zeros that are charged */
};

struct extent {
	uint32_t offset, len; /* in the chunk; len >= 1 */
	enum extent_form form;
	/* EXTENT_FRAME only: */
	uint32_t skip; /* plain bytes of the frame before the first one used */
	uint32_t plain_len, sealed_len;
	uint64_t epoch, sequence, ordinal,
		place; /* place: byte offset of the frame in its segment */
};

/* Sorted by offset, not overlapping. In a full chunk what no extent covers reads as zeros. */
struct chunk {
	struct extent *extents;
	size_t n, cap;
};

void chunk_done(struct chunk *c);
int chunk_copy(const struct chunk *from, struct chunk *to); /* `to` is empty; 0 or -ENOMEM */
/* Decodes a full record (`full`) or a delta into an empty chunk. -EBADMSG, -ENOMEM. */
int chunk_decode(struct slice value, bool full, struct chunk *ret);
/* Appends the encoding. A full record drops holes. 0, -ENOMEM. */
int chunk_encode(const struct chunk *c, bool full, struct buf *out);
/* Room for `more` further extents, so that the next chunk_put calls cannot fail (each adds at most
 * two). */
int chunk_reserve(struct chunk *c, size_t more);
/* Puts `e` over whatever is there, cutting what it overlaps. 0, -ENOMEM. */
int chunk_put(struct chunk *c, const struct extent *e);
/* Puts all extents of `delta` over `c`. */
int chunk_apply(struct chunk *c, const struct chunk *delta);
/* The extent that covers `offset`, or else the next one (ret->offset > offset), or NULL. */
const struct extent *chunk_at(const struct chunk *c, uint32_t offset);
/* Bytes that frames and allocated extents cover. */
uint64_t chunk_allocated(const struct chunk *c);
/* Adds sign * len of each frame extent to its segment. */
int chunk_references(const struct chunk *c, int sign, struct segment_refs *refs);

#endif
