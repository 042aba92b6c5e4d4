/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_ENCODE_H
#define CORE_DATA_ENCODE_H
/* Closed maps to records, and chunks that have too many extents for one. Committer thread, but for
 * reframe_request. */
#include "core/data/data_internal.h"

/* Chunks that could not be encoded yet: what older groups say is not in memory, or it would be too
 * many extents (worn). */
struct deferred {
	struct deferred_chunk {
		struct pending *map;
		uint64_t chunk;
		bool worn;
	} * chunks;
	size_t n, cap, ncold;
};
/* Adds the records of the map to the group and the references to `refs`. 0, -ECANCELED, -ESTALE;
 * waits out -ENOMEM. */
int encode_map(struct pending *map, struct segment_refs *refs, struct deferred *deferred);
/* The same for one chunk that was put off; it may be again, but not when `last`. */
int encode_deferred(const struct deferred_chunk *c, struct segment_refs *refs,
	struct deferred *deferred, bool last);
/* D5: known chunks get the pieces, `encoded` moves, the map leaves. (0) */
void encode_finish(struct pending *map);

/* ---- reframe.c ---- */

/* The chunk may have too many extents: looks at it in the background and writes it anew if so.
 * Never waits. */
void reframe_request(struct file_data *f, uint64_t chunk);
/*
 * Fills the closing map of a chunk that is in too many pieces, from what lies below, so that each
 * frame of the file with any bytes becomes one piece. 0, -ESTALE, -ECANCELED; waits out -ENOMEM.
 */
int reframe_closing(struct pending *map, uint64_t chunk);
/* Pieces in the chunk beyond which reframe_closing is due. */
#define REFRAME_PIECES 64u

#endif
