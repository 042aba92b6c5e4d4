/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_INDEX_H
#define CORE_INDEX_INDEX_H
/*
 * The sorted index of a volume: memtables (newest groups) over the tables that the manifest names.
 * Reading merges all of them at a view (a group number). Writing happens in groups: a group's
 * records are visible to readers at GROUP_NOW at once, are encoded as the group's journal when it
 * closes, and go to tables (flush) only after the log has acknowledged the group (rule W6: a table
 * never holds a group that was not acknowledged).
 *
 * Thread-safe. Readers take a reference to an immutable snapshot (list of memtables, version of the
 * tables), so that a flush or merge never pulls anything away under them. Memtables have lock-free
 * readers and one lock for insertion.
 */
#include "core/base/budget.h"
#include "core/index/manifest.h"
#include "core/index/record.h"
#include "core/seal/keys.h"
#include "core/seal/codec.h"
#include "core/store/store.h"

struct index;
struct index_group; /* the records of one group */
struct index_scan;

#define INDEX_LEVEL0_MAX 12 /* tables; flush waits for a merge above that */

struct index_options {
	struct store *store;		/* borrowed */
	const struct volume_keys *keys; /* borrowed */
	const struct index_fold *fold;	/* borrowed */
	struct budget *budget;		/* borrowed: classes MEMTABLE, MERGE, CACHE */
	uint64_t memtable_bytes; /* a memtable is closed at the first group boundary above this */
	uint64_t table_bytes;	 /* target size of a table, default 32 MiB */
	uint64_t level1_bytes;	 /* target of level 1; each further level is ten times that */
	uint64_t block_bytes;	 /* target of a plain block, default 16 KiB */
	uint64_t block_cache_bytes; /* upper limit; the budget may give less */
	struct codec_choice codec;  /* of table blocks: zstd level 1 by default */
};

/* Adopts manifest `m` (a reference is taken) without memtables. No store request: tables open on
 * first use. */
int index_open(
	const struct index_options *o, struct manifest *m, struct index **ret, struct error *err);
/* No scan, group or background call may be under way. NULL is fine. */
void index_close(struct index *ix);

/* ---- writing ---- */

/* Begins group `number`, greater than all before. At most two groups are begun and not sealed at a
 * time. 0, -ENOMEM. */
int index_group_begin(struct index *ix, uint64_t number, struct index_group **ret);
/*
 * Guarantees that records of the group amounting to `bytes` (keys + values) in `n` records can be
 * added without failing. Never waits (the MEMTABLE class is charged by force): an operation calls
 * index_throttle before it takes locks, then locks, joins the group, reserves, and on -ENOMEM
 * leaves the group without having changed anything. 0, -ENOMEM. What is not used is given back by
 * index_unreserve, or when the group is sealed.
 */
int index_reserve(struct index_group *g, size_t bytes, size_t n);
void index_unreserve(struct index_group *g, size_t bytes, size_t n);
/*
 * Add a record to the group; thread-safe; cannot fail (reserved before). A later record of the same
 * key in the same group replaces the earlier one, except that a delta upon a put or delta of the
 * same group is the caller's bug (assert): callers encode a key once per group. A range delete
 * removes from the group the point records that it covers.
 */
void index_put(struct index_group *g, struct slice key, struct slice value);
void index_delete(struct index_group *g, struct slice key);
void index_delta(struct index_group *g, struct slice key, struct slice value);
void index_range_delete(struct index_group *g, struct slice first, struct slice end);
/* A point record of this key in this very group: its operation and (borrowed until the group is
 * sealed) value; 0 = none. */
enum record_op index_group_find(struct index_group *g, struct slice key, struct slice *ret_value);
uint64_t index_group_bytes(struct index_group *g); /* keys and values so far */
size_t index_group_count(struct index_group *g);   /* records so far */
/* Appends the group's records as one block (docs/format.md "Block") to `out`. No more records may
 * be added. 0, -ENOMEM. */
int index_group_seal(struct index_group *g, struct buf *out);
/* The group has been acknowledged (in order) and may go to tables. Invalidates `g`. */
void index_group_acked(struct index *ix, struct index_group *g);
/* The group will never be acknowledged (fenced, shutting down): invalidates `g`. Its records stay
 * readable and never go to tables. */
void index_group_abandon(struct index *ix, struct index_group *g);
/* A whole group from a journal block, in replay or by a follower; acknowledged at once. -EBADMSG,
 * -ENOMEM. */
int index_group_replay(struct index *ix, uint64_t number, struct slice block, struct error *err);

/* ---- reading ---- */

#define INDEX_CACHED 1u /* do not ask the store: -EWOULDBLOCK where a request would be needed */

struct index_info {
	unsigned merged; /* versions that were folded, 1 = none */
	uint64_t newest; /* group of the newest version */
};
/*
 * The folded value of `key` in `view`, appended to the empty `out`. 0; -ENOENT; -EWOULDBLOCK
 * (INDEX_CACHED only); -EBADMSG; -EAGAIN: a table is gone (D10), so a process that is not the
 * writer adopts the newest manifest and repeats; for the writer that is damage; other store errors.
 * Scans likewise. `info` may be NULL.
 */
int index_get(struct index *ix, uint64_t view, struct slice key, unsigned flags, struct buf *out,
	struct index_info *info, struct error *err);
/*
 * Folded, live records of [first, end) in `view`, in key order. The scan sees what was there when
 * it was opened, and perhaps later changes. index_scan_next: 1 and a record borrowed until the next
 * call; 0 at the end; or an error, after which only index_scan_close may follow (-EWOULDBLOCK too).
 */
int index_scan_open(struct index *ix, uint64_t view, struct slice first, struct slice end,
	unsigned flags, struct index_scan **ret, struct error *err);
int index_scan_next(struct index_scan *s, struct record *ret, struct error *err);
void index_scan_close(struct index_scan *s);
/* All stored versions, nothing folded or hidden, range deletes as RECORD_RANGE records: for fsck
 * and for counting references. */
int index_scan_versions(struct index *ix, struct slice first, struct slice end,
	struct index_scan **ret, struct error *err);
/* The same of the tables alone (rule D7). */
int index_scan_table_versions(struct index *ix, struct slice first, struct slice end,
	struct index_scan **ret, struct error *err);

/* ---- maintenance: called by background threads, one flush and one merge at a time ---- */

/* The newest group that is acknowledged, all of whose memtable is closed or (force) can be closed
 * now; 0 = nothing to flush. */
uint64_t index_flushable(struct index *ix, bool force);
uint64_t index_memtable_bytes(struct index *ix);   /* all memtables */
uint64_t index_memtable_deletes(struct index *ix); /* point deletes in them */
/* Whether changes keep coming: tables that are mostly deletes are then merged when their level is
 * full, else at once. Not busy until told so. */
void index_set_busy(struct index *ix, bool busy);
/* Waits while level 0 is full or memtables exceed their share (foreground throttle). Calls
 * env_blocking(). -ECANCELED. */
int index_throttle(struct index *ix);
/* The store takes no tables, or nothing at all: index_throttle returns `code` where it would wait
 * (deletions go on for as long as there is room). 0 ends this. */
void index_refuse(struct index *ix, int code);
void index_cancel(struct index *ix); /* wakes and refuses all who wait */
/* The current manifest, with a reference for the caller. */
struct manifest *index_manifest(struct index *ix);

struct index_stats {
	uint64_t memtable_bytes, memtables, tables, level0, table_bytes, flushes, merges,
		merged_bytes;
	uint64_t flushed_bytes, block_hits, block_misses, filter_skips;
	uint64_t throttled_max_ms;
};
void index_stats(struct index *ix, struct index_stats *ret);
/* Keeps no more than `keep` bytes of blocks in memory, those that were used most. */
void index_trim(struct index *ix, uint64_t keep);

#endif
