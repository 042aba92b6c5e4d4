/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_MERGE_H
#define CORE_INDEX_MERGE_H
/*
 * Merging of iterators: as one iterator (nothing folded), as a view (what a reader sees), and for
 * flush and merge (what must survive).
 *
 * Inputs are given newest first: for any user key, what an earlier input holds is newer than what a
 * later one holds. A point record that two inputs hold (same key, same group) counts once, from the
 * earlier input. Range deletes hide versions of strictly older groups.
 */
#include "core/index/iter.h"

/* A k-way merge. Takes the inputs, also on failure. 0, -ENOMEM. */
int merge_iter_new(struct iter **inputs, size_t n, struct iter **ret);

/* ---- what a reader sees ---- */

struct merge_view;
/* Takes `in`. Yields the folded, live records of [first, end) in `view`; an empty `end` is no
 * bound. 0, -ENOMEM, errors of the inputs. */
int merge_view_open(struct iter *in, uint64_t view, struct slice first, struct slice end,
	const struct index_fold *fold, struct merge_view **ret, struct error *err);
/* 1 and a put, borrowed until the next call; 0 at the end; or an error, after which only the close
 * may follow. */
int merge_view_next(struct merge_view *m, struct record *ret, struct error *err);
void merge_view_close(struct merge_view *m); /* NULL is fine */

/* ---- what must survive a flush or merge ---- */

struct merge_compact;
struct merge_compact_options {
	const struct index_fold *fold;
	const uint64_t *pins; /* pinned groups, rising; borrowed until the close */
	size_t npins;
	bool bottom; /* no source outside of the inputs holds anything older for any key of the
			inputs' range */
};
/*
 * Takes the inputs, also on failure, and reads them from their beginning to their end. The views
 * that must stay as they are: each pinned group, and the newest. Two versions between which no pin
 * lies are seen by the same views, so of each such run at most one version of a key survives:
 * deltas folded into the newest of them, what puts, deletes and range deletes hide dropped. With
 * `bottom`, deletes that hide nothing any more are dropped, deltas with nothing below become puts,
 * and range deletes older than every pin go.
 */
int merge_compact_open(struct iter **inputs, size_t n, const struct merge_compact_options *o,
	struct merge_compact **ret, struct error *err);
/*
 * The next record that must be written: 1, borrowed until the next call; 0 at the end; or an error.
 * Order of iter_cmp. Range deletes come out whole, where they begin: table_writer_add takes them as
 * they are (it cuts them to fragments that do not overlap), and table_writer_split carries over to
 * the next table what reaches beyond the end of a table.
 */
int merge_compact_next(struct merge_compact *m, struct record *ret, struct error *err);
/*
 * Moves what was accounted so far into the empty `out`: references of the outputs minus those of
 * the inputs, by segment. All records of a key are accounted before the first of them is handed
 * out. A merge whose outputs are all empty must still store this somewhere: see table_writer_cover.
 */
void merge_compact_take_dropped(struct merge_compact *m, struct segment_refs *out);
/* Bytes of keys and values read so far (for statistics). */
uint64_t merge_compact_input_bytes(const struct merge_compact *m);
void merge_compact_close(struct merge_compact *m); /* NULL is fine */

#endif
