/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_SNAPSHOT_H
#define CORE_INDEX_SNAPSHOT_H
/*
 * One state of the index, held: the memtables and the tables of one manifest. Whoever needs several
 * scans to agree with each other takes one, because flush, merge and adoption change what is
 * current in between. Memtables go on growing; a view (group number) bounds what of them is seen.
 *
 * A snapshot does not keep objects in the store: when another process merges and sweeps, scans of a
 * follower's snapshot end with -EAGAIN (D10), and a newer snapshot is needed. Thread-safe.
 */
#include "core/index/index.h"

struct index_snapshot;

/* What is current now. NULL on ENOMEM. */
struct index_snapshot *index_snapshot_take(struct index *ix);
void index_snapshot_release(struct index_snapshot *s); /* after its scans; NULL is fine */
const struct manifest *index_snapshot_manifest(const struct index_snapshot *s); /* borrowed */

/* As index_scan_open, past the block cache, folding with `fold` (borrowed until the close). */
int index_snapshot_scan(struct index_snapshot *s, const struct index_fold *fold, uint64_t view,
	struct slice first, struct slice end, struct index_scan **ret, struct error *err);
/* As index_scan_versions. */
int index_snapshot_versions(struct index_snapshot *s, struct slice first, struct slice end,
	struct index_scan **ret, struct error *err);
/* Adds the dropped references of tables that manifests above `settled` added. */
int index_snapshot_unsettled(
	struct index_snapshot *s, uint64_t settled, struct segment_refs *out, struct error *err);
/*
 * Reads every table to its end, one after the other. `bad` is told the key of each that is not
 * there (-ENOENT) or does not open (-EBADMSG). 0, or the error that ended it.
 */
int index_snapshot_read_tables(struct index_snapshot *s,
	void (*bad)(void *arg, const char *key, int r, const char *why), void *arg,
	struct error *err);

#endif
