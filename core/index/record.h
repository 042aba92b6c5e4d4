/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_RECORD_H
#define CORE_INDEX_RECORD_H
/*
 * Records: a user key, the number of the group that wrote it, an operation, a value (docs/format.md
 * "Index keys"). Order everywhere: user key ascending, then group descending. A group holds at most
 * one point record per key.
 *
 * The index knows no inode: what a delta means, and which segments a value refers to, it learns
 * from an operations table that the data layer gives it.
 */
#include "core/base/buf.h"
#include "core/base/error.h"

enum record_op {
	RECORD_PUT = 1,	   /* the value, whole */
	RECORD_DELETE = 2, /* the key is gone */
	RECORD_DELTA = 3,  /* a change to what older groups say */
	RECORD_RANGE = 4,  /* deletes [key, value) in older groups */
};

#define RECORD_KEY_MAX 512	    /* bytes of a user key */
#define RECORD_VALUE_MAX (1u << 17) /* bytes */
#define GROUP_NOW UINT64_MAX	    /* the view that sees everything */

struct record {
	struct slice key;
	uint64_t group;
	enum record_op op;
	struct slice value;
};

/* Key ascending, then group descending. */
int record_cmp(const struct record *a, const struct record *b);

/* Changes of live bytes by segment, kept sorted by (epoch, sequence); an entry of 0 is dropped. Not
 * thread-safe. */
struct segment_refs {
	size_t n, cap;
	struct segment_ref {
		uint64_t epoch, sequence;
		int64_t bytes;
	} * refs;
};
int segment_refs_add(
	struct segment_refs *r, uint64_t epoch, uint64_t sequence, int64_t bytes); /* 0, -ENOMEM */
int segment_refs_merge(struct segment_refs *r, const struct segment_refs *more, int sign);
void segment_refs_done(struct segment_refs *r);

/* Given by data (data/fold.h). All members are pure functions and thread-safe. */
struct index_fold {
	/*
	 * Folds n >= 1 versions of one key, newest first, into one. All but the last are deltas;
	 * the last is a delta or a put. `complete`: nothing older exists, so the result is a put
	 * (RECORD_PUT); else, when the last is a delta, the result is a delta again. Appends the
	 * value to the empty `out`. 0; -EBADMSG (a version does not decode, or the kind has no
	 * deltas); -ENOMEM.
	 */
	int (*fold)(const struct record *versions, size_t n, bool complete, struct buf *out,
		enum record_op *ret_op);
	/* Adds `sign` times the bytes that this version refers to, by segment. Kinds without
	 * references: nothing. */
	int (*references)(const struct record *r, int sign, struct segment_refs *refs);
	/* A second key under which the filter of a table should know `key` (docs/format.md
	 * "Table"), into `out` of RECORD_KEY_MAX bytes; 0 = none. */
	size_t (*filter_prefix)(struct slice key, uint8_t *out);
};

#endif
