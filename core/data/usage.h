/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_USAGE_H
#define CORE_DATA_USAGE_H
/*
 * Live bytes of segments, counted again from all stored versions, beside what the segment records
 * say (fsck, tests). Reads all of the index, and waits for the store.
 */
#include "core/data/extents.h"
#include "core/index/snapshot.h"

/* One segment that has a record, or that a version refers to. */
struct segment_usage {
	uint64_t epoch, sequence;
	int64_t recorded; /* live bytes by its record and by what is not settled yet */
	int64_t counted;  /* what the stored versions of chunks refer to */
	uint64_t size;	  /* of its object; for the caller, 0 here */
	bool record;	  /* it has one */
	bool base;	  /* with salt and total */
	bool damaged;	  /* some version of the record does not decode */
	uint8_t mark;	  /* for the caller, 0 here */
};
/* Rising places. About 56 bytes for each. */
struct segment_usages {
	struct segment_usage *v;
	size_t n, cap;
};

/*
 * Counts in the snapshot up to group `view`, into the empty `ret`. `unsettled`: references that
 * tables of the snapshot dropped and no record up to `view` has booked; NULL = none. Versions of
 * chunks that do not decode count nothing. `progress` (may be NULL) is called now and then with
 * the records read so far. 0, -ENOMEM, errors of scans.
 */
int usage_count(struct index_snapshot *s, uint64_t view, const struct segment_refs *unsettled,
	struct segment_usages *ret, void (*progress)(void *arg, uint64_t records), void *arg,
	struct error *err);
struct segment_usage *usage_find(const struct segment_usages *u, uint64_t epoch, uint64_t sequence);
void usage_done(struct segment_usages *u);

#endif
