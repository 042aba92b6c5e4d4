/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_USAGE_H
#define CORE_DATA_USAGE_H
/* Checks for tests and fsck: live bytes of segments, and whether every frame opens. They read the
 * whole index, and wait for the store. */
#include "core/data/extents.h"
#include "core/index/index.h"

struct data;

/* Live bytes: sums references over all stored versions and compares with the segment records
 * (tests, fsck). Calls `bad` for each difference. */
int data_check_usage(struct index *ix, const struct segment_refs *unsettled,
	void (*bad)(
		void *arg, uint64_t epoch, uint64_t sequence, int64_t counted, int64_t recorded),
	void *arg, struct error *err);
/* Opens every frame that a live chunk of `inode` uses (fsck --data). */
int data_check_frames(struct data *d, uint64_t inode,
	void (*bad)(void *arg, const struct extent *e, uint64_t chunk, const char *why), void *arg,
	struct error *err);

#endif
