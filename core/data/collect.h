/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_COLLECT_H
#define CORE_DATA_COLLECT_H
/*
 * Deletes segments that nothing refers to any more (rules D7, D8). Live-byte counters choose
 * candidates, a scan of all stored record versions decides, and whatever is unclear stays. Segments
 * that are only sparse are not touched.
 *
 * Called by one background thread of the writer; waits for the store and reads the whole index when
 * there are enough candidates.
 */
#include "core/data/data.h"

struct collect_options {
	struct store *store; /* borrowed, as all */
	const struct volume_keys *keys;
	struct index *index;
	struct log *log;
	uint64_t epoch;	       /* the writer's own */
	unsigned min_segments; /* scan only for so many candidates ... */
	uint64_t min_bytes;    /* ... or for so many bytes; both 0 = always */
};

/* One round. Returns how many segments were deleted; -ESTALE: fenced. */
int collect_segments(const struct collect_options *o, struct error *err);

#endif
