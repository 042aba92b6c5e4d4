/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_SEALER_H
#define CORE_DATA_SEALER_H
/*
 * One batch of frames on its way from pieces of bytes to extents: collected under the file's shared
 * lock, sealed into one block without locks, appended to a segment of the group, installed under
 * the file's exclusive lock. A batch may hold frames of several files. One thread at a time.
 */
#include "core/data/data_internal.h"

struct seal_slice {
	struct dirty_block *block; /* a reference */
	size_t start, len;
	uint64_t offset; /* in the file */
};
struct seal_frame {
	struct pending *map;
	uint64_t offset; /* of its first byte in the file */
	uint32_t len;
	size_t first, n; /* slices */
	bool zero;	 /* becomes a hole */
	struct frame_place place;
};
struct seal_batch {
	struct group_data *group;
	unsigned nframes, max_frames;
	struct seal_frame frames[SEAL_FRAMES_MAX];
	struct seal_slice *slices;
	size_t nslices, cap;
};

void seal_batch_init(struct seal_batch *b, struct group_data *gd);
void seal_batch_done(struct seal_batch *b);
/*
 * Adds frames for the bytes of the map in [*at, end) until the batch is full; moves *at behind what
 * was taken; `end` when nothing is left. Frames are cut at FRAME_PLAIN_MAX of the file. (0) 0,
 * -ENOMEM (what was added stays).
 */
int seal_collect(struct seal_batch *b, struct pending *map, uint64_t *at, uint64_t end);
/* Seals, appends, installs. (0) 0; -ENOMEM: what was not installed are still bytes; -ESTALE,
 * -ECANCELED. */
int seal_batch_run(struct seal_batch *b);

#endif
